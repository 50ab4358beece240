"""Two ways to call the command line, and one home that is filled once and never changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from forecastle.app.fetch import fetch
from forecastle.nouns import Instrument
from forecastle.requests import FetchRequest
from forecastle.workspace import Workspace

SCRIPT = Path(sys.executable).with_name("forecastle")


@dataclass(frozen=True)
class Ran:
    """What one call left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; NaN and infinities are no JSON."""
        found: dict[str, Any] = json.loads(self.out, parse_constant=_not_finite)
        return found

    def complaint(self, code: int) -> tuple[str, str, str]:
        """What, why and what to do: exactly these three lines, whatever went wrong."""
        assert self.code == code, self.out + self.err
        lines = self.err.splitlines()
        assert [line[:7] for line in lines] == ["error: ", "  why: ", "   do: "], self.err
        what, why, do = (line[7:].strip() for line in lines)
        assert what
        assert why
        assert do
        return what, why, do


def _not_finite(text: str) -> float:
    raise AssertionError(f"{text} in a JSON document")


Cli = Callable[..., Ran]


@pytest.fixture(scope="session")
def script() -> Path:
    return SCRIPT


@pytest.fixture(scope="session")
def cli() -> Cli:
    """The console script as a user runs it: a process of its own."""

    def run(
        *words: object, home: Path, env: Mapping[str, str] | None = None, prefix: tuple[str, ...] = (), **options: Any
    ) -> Ran:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FORECASTLE")}
        done = subprocess.run(
            [*prefix, SCRIPT, *map(str, words)],
            env=clean | {"FORECASTLE_HOME": str(home)} | dict(env or {}),
            cwd=home.parent,
            capture_output=True,
            encoding="utf-8",
            check=False,
            **options,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """The same entry in this process: a second less for each call, and a warning is an error."""

    def run(*words: object, home: Path) -> Ran:
        from forecastle.cli.main import run as entry

        monkeypatch.setenv("FORECASTLE_HOME", str(home))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["forecastle", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            entry()
        said = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Ran(left.value.code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the bundled S&P 500 and a simulated BTC-USD; tests only read it, or take a copy."""
    home = tmp_path_factory.mktemp("filled") / "home"
    for name, source in (("SPX.INDEX", "bundled"), ("BTC-USD", "simulated")):
        fetch(Workspace.open(home), FetchRequest(instruments=(Instrument.parse(name),), sources=(source,)))
    return home


@pytest.fixture
def own_copy(filled: Path, tmp_path: Path) -> Path:
    """A copy of the filled home to break."""
    return Path(shutil.copytree(filled, tmp_path / "copy"))
