"""Data never runs: no way of loading that executes what it reads, by whatever name it goes in a file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import translate
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "forecastle"
FILES = sorted(PACKAGE.rglob("*.py"))

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
    "pickletools",
}
NAMES = {
    "builtins.eval", "builtins.exec", "builtins.compile", "yaml.load", "yaml.load_all", "yaml.unsafe_load*",
    "yaml.full_load*", "yaml.Loader", "yaml.FullLoader", "yaml.UnsafeLoader", "yaml.C*Loader", "numpy.load",
    "pandas.read_pickle", "torch.load", "torch.jit.load", "torch.package.*", "runpy.*", "code.Interactive*",
    "mlflow.*.load_model", "numpy.lib.npyio.*", "os.system", "os.popen",
}  # fmt: skip
BANNED = re.compile("|".join(translate(name) for name in sorted(NAMES)))
"""Never named, called or not; ``torch.load(..., weights_only=True)`` may be."""
IMPORTERS = {"builtins.__import__", "importlib.import_module", "importlib.__import__", "importlib.util.find_spec"}
OURS = "library"
"""The function of the house that imports by name."""


class Names:
    """What each name of a file stands for, imports and plain assignments followed."""

    def __init__(self, tree: ast.Module) -> None:
        self.of = dict(_imported(tree))
        defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        self.own = defined - set(self.of)
        given, known = list(_assigned(tree)), -1
        while known < len(self.of):  # a name of a name of a name
            known = len(self.of)
            for target, node in given:
                value = self.dotted(node)
                if value and value != f"builtins.{target}":
                    self.of.setdefault(target, value)

    def dotted(self, node: ast.expr | None) -> str:
        """Return the full name that an expression stands for, empty where it is no name."""
        if isinstance(node, ast.Name):
            return self.of.get(node.id, node.id if node.id in self.own else f"builtins.{node.id}")
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value)
            return f"{base}.{node.attr}" if base else ""
        if isinstance(node, ast.Subscript) and self.dotted(node.value) == "sys.modules":
            return _text(node.slice)
        if isinstance(node, ast.Call):
            called = self.dotted(node.func)
            words = [_text(a) for a in node.args]
            if words and self.imports(called):
                return words[0]
            if called == "builtins.getattr" and len(words) > 1 and words[1]:
                return f"{self.dotted(node.args[0])}.{words[1]}"
        return ""

    @staticmethod
    def imports(called: str) -> bool:
        return called in IMPORTERS or called.rpartition(".")[2] == OURS


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (root, root)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.NamedExpr):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id, node.value


def loads_code(tree: ast.Module) -> Iterator[str]:
    """Yield what can run code out of data, with its line."""
    names = Names(tree)
    nodes = list(ast.walk(tree))
    allowed = {id(n.func) for n in nodes if isinstance(n, ast.Call) and _weights_only(names, n)}
    for node in nodes:
        for told in _told(names, node):
            if (told.partition(".")[0] in MODULES or BANNED.match(told)) and id(node) not in allowed:
                yield f"line {getattr(node, 'lineno', 0)}: {told}"
        if _allows_pickle(node):
            yield f"line {getattr(node, 'lineno', 0)}: allow_pickle"


def _told(names: Names, node: ast.AST) -> Iterator[str]:
    """Yield the full names that a node brings in or speaks of."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from (
            f"{node.module}.{alias.name}" for alias in node.names if f"{node.module}.{alias.name}" != "torch.load"
        )
    elif isinstance(node, ast.Call) or (
        isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Load)
    ):
        yield names.dotted(node)


def _weights_only(names: Names, node: ast.Call) -> bool:
    safe = any(w.arg == "weights_only" and isinstance(w.value, ast.Constant) and w.value.value is True
               for w in node.keywords)  # fmt: skip
    return safe and names.dotted(node.func) == "torch.load"


def _allows_pickle(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
        return not _false(node.value)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return any(key is not None and _text(key) == "allow_pickle" and not _false(value) for key, value in pairs)
    return False


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def test_no_file_of_the_program_loads_code() -> None:
    assert len(FILES) > 150, "the package was not found"
    found = [
        f"{p.relative_to(PACKAGE)} {f}" for p in FILES for f in loads_code(ast.parse(p.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "fault",
    [
        "import pickle", "import pickle as p", "from pickle import loads", "from pickle import loads as json_loads",
        "import _pickle", "import cloudpickle", "import dill", "import joblib", "from joblib import load as l",
        "import joblib.numpy_pickle", "import shelve", "import marshal", "def f():\n    import pickle",
        "try:\n    import pickle\nexcept ImportError:\n    pass", "if x:\n    from marshal import loads",
        "__import__('pickle')", "m = __import__('pickle'); m.loads(x)", "__import__('pickle').loads(x)",
        "import importlib; importlib.import_module('joblib')", "from importlib import import_module as i; i('dill')",
        "import importlib as il; il.import_module('pickle').loads(x)", "library('joblib', 'Forest', 'boost')",
        "import sys; sys.modules['pickle'].loads(x)",
        "eval('1')", "exec('1')", "compile('1', 'f', 'exec')", "e = eval; e('1')", "a = b = exec", "map(eval, texts)",
        "import builtins; builtins.eval('1')", "from builtins import eval as e; e('1')",
        "import builtins; getattr(builtins, 'exec')('1')", "(e := eval)('1')",
        "import yaml; yaml.load(x, Loader=yaml.SafeLoader)", "import yaml as y; y.load(x)",
        "from yaml import load as l",
        "import yaml; yaml.unsafe_load(x)", "import yaml; yaml.full_load(x)", "import yaml; f = yaml.load_all; f(x)",
        "import yaml; getattr(yaml, 'load')(x)", "from yaml import UnsafeLoader",
        "import yaml; read(x, yaml.FullLoader)",
        "from yaml import CLoader",
        "import torch; torch.load(x)", "import torch; torch.load(x, weights_only=False)",
        "import torch; torch.load(x, weights_only=flag)", "from torch import load as l; l(x)",
        "import torch as t; f = t.load; f(x)", "import torch; use(torch.load)", "import torch.jit; torch.jit.load(x)",
        "import torch; l = torch.load; l(x, weights_only=None)",
        "import numpy as np; np.load(x)", "import numpy; numpy.load(x, allow_pickle=True)", "from numpy import load",
        "f(x, allow_pickle=flag)", "f(x, **{'allow_pickle': True})", "import numpy as n; g = n.load; g(x)",
        "import pandas as pd; pd.read_pickle(x)", "from pandas import read_pickle",
        "import mlflow; mlflow.pyfunc.load_model(x)",
        "import runpy; runpy.run_path(x)", "import os; os.system(x)",
    ],
)  # fmt: skip
def test_what_runs_what_it_loads_is_caught(fault: str) -> None:
    assert list(loads_code(ast.parse(fault))), fault


@pytest.mark.parametrize(
    "fine",
    [
        "import json; json.loads(x)", "import ast; ast.literal_eval(x)", "import re; re.compile('x')",
        "import yaml; yaml.safe_load(x)", "from yaml import safe_load as load; load(x)", "import yaml; yaml.SafeLoader",
        "import torch; torch.load(x, weights_only=True)", "from torch import load as l; l(x, weights_only=True)",
        "net.eval()", "column.list.eval(x)", "model.load(x)", "from safetensors.torch import load; load(x)",
        "import numpy as np; np.loadtxt(x)", "f(x, allow_pickle=False)", "def load(x): ...\nload(1)",
        "def compile(x): ...\ncompile(1)", "from house import eval\neval(x)", "from . import pickle",
        "'pickle.loads(x)'", "import importlib; importlib.import_module(name)", "library('lightgbm', 'a', 'b')",
        "import importlib; importlib.import_module('json')", "d['pickle']", "self.pickle", "from .pickle import x",
        "import jsonschema, picklable", "import numba; numba.njit(f)", "from mlflow import log_metric",
        "getattr(x, 'load')(y)", "load = reader.load; load(x)",
    ],
)  # fmt: skip
def test_honest_lines_are_let_be(fine: str) -> None:
    assert list(loads_code(ast.parse(fine))) == []
