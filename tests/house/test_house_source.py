"""Rules about the text of the program that no linter of ours knows; each is shown to catch a planted fault."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "forecastle"
FILES = sorted(PACKAGE.rglob("*.py"))
Rule = Callable[[ast.Module], Iterator[str]]

ADDRESS = re.compile(
    r"""\b[a-z][a-z0-9+.]*://(?:[\w.%:-]*@)?[\w-]  # a URL with a host
    |(?<![\w.])(?:localhost|(?:\d{1,3}\.){3}\d{1,3}|0\.0\.0\.0|\[?::1\]?)(?![\w.])  # this machine, any IPv4
    |\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}:\d{2,5}\b  # host.name:port
    |(?:^|[\s"'=(])/(?:home|root|tmp|var|etc|usr|opt|srv|mnt|data|dev|work|run|proc)\b  # an absolute path
    |(?:^|\s)~/  # a path in somebody's home
    |^[A-Z]:\\""",
    re.VERBOSE,
)
XML_NAMESPACE = "http://www.w3.org/"
"""Names a vocabulary; nothing is ever fetched from there."""
VENUES = ("https://api.coingecko.com", "https://community-api.coinmetrics.io")
"""Public addresses of market venues, each named here: they may stand in ``sources``, and nowhere else."""

CLOCKS = {
    ("datetime", "now"), ("datetime", "today"), ("datetime", "utcnow"), ("date", "today"), ("time", "time"),
    ("time", "time_ns"), ("time", "monotonic"), ("time", "monotonic_ns"), ("time", "perf_counter"),
    ("time", "perf_counter_ns"), ("time", "localtime"), ("time", "gmtime"), ("Timestamp", "now"),
    ("Timestamp", "today"), ("Timestamp", "utcnow"),
}  # fmt: skip
RUNS_WHAT_IT_LOADS = {
    ("pickle", "*"), ("cPickle", "*"), ("dill", "*"), ("cloudpickle", "*"), ("joblib", "*"), ("shelve", "*"),
    ("marshal", "*"), ("yaml", "load"), ("yaml", "unsafe_load"), ("torch", "load"), ("np", "load"), ("numpy", "load"),
    ("pd", "read_pickle"), ("os", "system"), ("os", "popen"),
}  # fmt: skip


def addresses(tree: ast.Module) -> Iterator[str]:
    """Yield constants that name a host, a port of one, or a place on a disk; docstrings are talk and left out."""
    talk = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in talk:
            text = node.value.replace(XML_NAMESPACE, "")
            for venue in VENUES:
                text = re.sub(rf"{re.escape(venue)}(?=/|$)", "", text)
            if ADDRESS.search(text):
                yield f"line {node.lineno}: {node.value[:60]!r}"


def clock_reads(tree: ast.Module) -> Iterator[str]:
    """Yield what reads the time of this machine."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (_last_name(node.value), node.attr) in CLOCKS:
            yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield f"line {node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Call) and _last_name(node.func) == "datetime64" and node.args:
            word = node.args[0]
            if isinstance(word, ast.Constant) and word.value in ("now", "today"):
                yield f"line {node.lineno}: {ast.unparse(node)}"


def loads_code(tree: ast.Module) -> Iterator[str]:
    """Yield what can run code out of data."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            yield f"line {node.lineno}: {node.func.id}"
        if isinstance(node, ast.Attribute):
            pair = (_last_name(node.value), node.attr)
            if pair in RUNS_WHAT_IT_LOADS or (pair[0], "*") in RUNS_WHAT_IT_LOADS:
                yield f"line {node.lineno}: {ast.unparse(node)}"
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            if (name.partition(".")[0], "*") in RUNS_WHAT_IT_LOADS:
                yield f"line {node.lineno}: import {name}"  # type: ignore[attr-defined]
        for word in node.keywords if isinstance(node, ast.Call) else ():
            if word.arg in ("shell", "allow_pickle") and not _is_false(word.value):
                yield f"line {word.lineno}: {ast.unparse(word)}"


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Yield what is public and says nothing about itself."""
    if not ast.get_docstring(tree):
        yield "the module"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _without_words(node, f"class {node.name}")
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                    yield from _without_words(member, f"{node.name}.{member.name}")
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield from _without_words(node, node.name)


def long_functions(tree: ast.Module) -> Iterator[str]:
    """Yield functions of more than 60 lines, docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > 60:
                yield f"{node.name}: {lines} lines"


def _without_words(node: ast.ClassDef | ast.FunctionDef, name: str) -> Iterator[str]:
    if not ast.get_docstring(node):
        yield f"line {node.lineno}: {name}"


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


RULES: dict[str, tuple[Rule, set[str]]] = {
    "addresses live in settings": (addresses, {"settings.py"}),
    "the clock lives in clock": (clock_reads, {"clock.py"}),
    "data never runs": (loads_code, set()),
    "public names say what they do": (undocumented, set()),
    "functions fit on a screen": (long_functions, set()),
}


@pytest.mark.parametrize("name", RULES)
def test_the_program_keeps_the_rule(name: str) -> None:
    rule, free = RULES[name]
    found = [
        f"{path.relative_to(PACKAGE)} {fault}"
        for path in FILES
        if path.relative_to(PACKAGE).as_posix() not in free
        for fault in rule(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_addresses_of_venues_stay_in_sources() -> None:
    holders = {
        path.relative_to(PACKAGE).parts[0]
        for path in FILES
        if any(venue in path.read_text(encoding="utf-8") for venue in VENUES)
    }
    assert holders == {"sources"}


LONG = "def f():\n" + "    x = 1\n" * 61


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (addresses, "x = 'https://api.binance.com/v3'"),
        (addresses, "x = 'https://api.coingecko.community/v3'"),
        (addresses, "x = f'redis://{host}', 'redis://user:pw@cache/0'"),
        (addresses, "x = 'http://127.0.0.1:5000'"),
        (addresses, "x = '0.0.0.0'"),
        (addresses, "serve('localhost', 80)"),
        (addresses, "x = 'db.internal:5432'"),
        (addresses, "x = '/var/lib/forecastle'"),
        (addresses, "def f(x='/tmp'): ..."),
        (addresses, "x = 'cat /etc/passwd'"),
        (addresses, "x = '~/data'"),
        (clock_reads, "import datetime as d; d.datetime.now()"),
        (clock_reads, "datetime.now(UTC)"),
        (clock_reads, "field(default_factory=datetime.utcnow)"),
        (clock_reads, "date.today()"),
        (clock_reads, "from time import perf_counter"),
        (clock_reads, "time.monotonic()"),
        (clock_reads, "np.datetime64('now')"),
        (clock_reads, "pd.Timestamp.now()"),
        (loads_code, "eval('1')"),
        (loads_code, "import joblib"),
        (loads_code, "from pickle import loads"),
        (loads_code, "yaml.load(x)"),
        (loads_code, "torch.load(x)"),
        (loads_code, "np.load(x, allow_pickle=True)"),
        (loads_code, "run('ls', shell=True)"),
        (undocumented, "'''Words.'''\ndef f(): ..."),
        (undocumented, "'''Words.'''\nclass A:\n    '''Words.'''\n    def f(self): ..."),
        (undocumented, "x = 1"),
        (long_functions, LONG),
    ],
)
def test_the_rule_finds_a_planted_fault(rule: Rule, fault: str) -> None:
    assert list(rule(ast.parse(fault)))


@pytest.mark.parametrize(
    ("rule", "fine"),
    [
        (addresses, "x = 'a/b', 'QLIKE 1:2', '12:30', '::', 'n/a', 'time://', '1.2.3', 'volatility/forecast/1'"),
        (addresses, "x = 'http://www.w3.org/2000/svg'"),
        (addresses, "'''As in https://example.org/paper.'''"),
        (clock_reads, "clock.now(); np.datetime64('2020-01-01'); from datetime import time"),
        (loads_code, "json.loads(x); ast.literal_eval(x); model.load(x); re.compile('x')"),
        (undocumented, "'''Words.'''\ndef _f(): ...\nclass A:\n    '''Words.'''\n    def __len__(self): ..."),
    ],
)
def test_the_rule_lets_honest_lines_be(rule: Rule, fine: str) -> None:
    assert list(rule(ast.parse(fine))) == []


def test_no_file_is_too_big_to_read_at_once() -> None:
    assert len(FILES) > 50, "the package was not found"
    sizes = {path.name: path.stat().st_size for path in FILES}
    assert {name: size for name, size in sizes.items() if size > 24 * 1024} == {}
