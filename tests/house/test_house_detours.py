"""The long ways round to a loader that runs what it reads: pickles inside other libraries, stars, loaders of modules.

What is named plainly or by another name is found by test_house_loaders.py; the words here have no use in the program at
all, so it does not matter what they are bound to.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "forecastle"
FILES = sorted(PACKAGE.rglob("*.py"))
PICKLES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
"""Modules; Ray, Dask, multiprocessing and scikit-learn keep one of these names inside."""
LOADERS = {
    "ForkingPickler", "SourceFileLoader", "SourcelessFileLoader", "ExtensionFileLoader", "spec_from_file_location",
    "spec_from_loader", "module_from_spec", "exec_module", "load_module", "FunctionType", "CodeType", "find_class",
    "__builtins__", "__loader__", "interpreters", "zipimport", "runpy", "read_pickle", "to_pickle",
}  # fmt: skip
IMPORTERS = {"import_module", "__import__", "find_spec", "library"}
TORCH = {"serialization", "package", "hub"}
"""Parts of torch that load by themselves what ``torch.load`` would."""


def detours(tree: ast.Module) -> Iterator[str]:
    """Yield what could load code by a way round, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"line {node.lineno}: {a.name}" for a in node.names if _bad(a.name))
        elif isinstance(node, ast.ImportFrom):
            yield from _from(node)
        elif isinstance(node, ast.Name) and node.id in LOADERS:
            yield f"line {node.lineno}: {node.id}"
        elif isinstance(node, ast.Attribute) and _bad(ast.unparse(node)):
            yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {*IMPORTERS, "getattr"}:
            words = [a.value for a in (*node.args, *(k.value for k in node.keywords)) if isinstance(a, ast.Constant)]
            yield from (f"line {node.lineno}: {word!r}" for word in words if isinstance(word, str) and _bad(word))


def _from(node: ast.ImportFrom) -> Iterator[str]:
    for alias in node.names:
        if alias.name == "*" or (not node.level and _bad(f"{node.module}.{alias.name}")):
            yield f"line {node.lineno}: from {node.module} import {alias.name}"


def _bad(dotted: str) -> bool:
    parts = dotted.split(".")
    return bool({*parts} & (PICKLES | LOADERS)) or (parts[0] == "torch" and bool({*parts[1:]} & TORCH))


def test_the_program_takes_no_long_way_round() -> None:
    assert len(FILES) > 150, "the package was not found"
    found = [f"{p.relative_to(PACKAGE)} {f}" for p in FILES for f in detours(ast.parse(p.read_text(encoding="utf-8")))]
    assert found == []


@pytest.mark.parametrize(
    "fault",
    [
        "from numpy import *", "from yaml import *\nload(x)", "def f():\n    from torch.serialization import load as l",
        "import torch; torch.serialization.load(x)", "import torch.hub", "from torch import package",
        "from multiprocessing.reduction import ForkingPickler as F; F.loads(x)", "from ray import cloudpickle as json",
        "import multiprocessing.reduction as r; r.ForkingPickler.loads(x)", "from distributed.protocol import pickle",
        "import distributed as d; d.protocol.pickle.loads(x)", "from sklearn.externals import joblib",
        "__builtins__['eval']('1')", "f = __builtins__.exec", "__import__(name='pickle')", "__import__('dill.source')",
        "import importlib; importlib.import_module(name='joblib')", "library(name='cloudpickle', label='a', extra='b')",
        "getattr(reduction, 'ForkingPickler')", "getattr(ray, 'cloudpickle').loads(x)",
        "import importlib.util as u; u.spec_from_file_location('a', p)", "spec.loader.exec_module(m)",
        "import importlib.machinery as m; m.SourceFileLoader('a', p)", "from importlib.util import module_from_spec",
        "import types; types.FunctionType(code, {})", "from types import CodeType as C", "import zipimport",
        "frame.to_pickle(p)", "import pandas as pd; pd.io.pickle.read_pickle(p)", "import runpy",
    ],
)  # fmt: skip
def test_a_way_round_is_caught(fault: str) -> None:
    assert list(detours(ast.parse(fault))), fault


@pytest.mark.parametrize(
    "fine",
    [
        "from importlib.util import find_spec; find_spec('torch')", "import importlib; importlib.import_module(name)",
        "library('torch', 'An LSTM', 'deep')", "'pickle'", "x['joblib']", "import torch; torch.save(x)", "net.eval()",
        "getattr(x, 'load')", "from types import MappingProxyType", "from forecastle.nouns import Candles",
        "import torch; torch.load(x, weights_only=True)", "serialization = 1", "x.package",
        "from multiprocessing import spawn",
    ],
)  # fmt: skip
def test_an_honest_line_is_let_be(fine: str) -> None:
    assert list(detours(ast.parse(fine))) == []
