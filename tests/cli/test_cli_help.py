"""What a user sees who knows nothing yet: help, version, completion, and how errors of typing are met."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

import forecastle
from forecastle.cli.main import root

if TYPE_CHECKING:
    from cli.conftest import Cli

GROUPS = {"config", "lake", "volatility"}
COMMANDS = {
    "demo", "doctor", "config show", "report", "fetch", "import", "candles", "sql", "quality", "lake list",
    "lake verify", "lake export", "lake revisions", "sync", "volatility fit", "volatility forecast",
    "volatility rolling", "volatility backtest",
    "volatility compare", "volatility search", "volatility portfolio",
    "features build", "features list", "features materialize", "features read", "check leaks",
    "train", "predict", "tune", "backtest", "walk-forward", "sweep", "stress",
    "experiments list", "experiments compare", "trials list", "trials verify", "holdout lock", "holdout list",
}  # fmt: skip
"""The names that INTERFACES.md fixes and that are built so far."""
OF_INSTRUMENTS = {c for c in COMMANDS if c.startswith("volatility") or c in ("report", "fetch", "candles", "quality")}


def _found() -> set[str]:
    found = {c.name or "" for c in root.registered_commands}
    for group in root.registered_groups:
        assert isinstance(group.typer_instance, typer.Typer)
        found |= {f"{group.name} {c.name}" for c in group.typer_instance.registered_commands}
    return found


def test_the_commands_are_the_promised_ones() -> None:
    assert _found() == COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS | GROUPS))
def test_every_command_explains_itself(inside: Cli, home: Path, command: str) -> None:
    ran = inside(*command.split(), "--help", home=home)
    assert (ran.code, ran.err) == (0, "")
    assert f"Usage: forecastle {command}" in " ".join(ran.out.split())
    if command not in GROUPS:
        assert [o for o in ("--json", "--home", "--verbose") if o not in ran.out] == []
    if command in OF_INSTRUMENTS:
        assert "--timeframe" in ran.out
        assert "--source" in ran.out
    assert not home.exists(), "help makes no folder"


def test_help_and_version_of_the_script(cli: Cli, home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    shown = cli("--help", home=home)
    assert (shown.code, shown.err) == (0, "")
    assert [name for name in ("demo", "fetch", "volatility", "--version") if name not in shown.out] == []
    version = cli("--version", home=home)
    assert (version.code, version.out, version.err) == (0, f"forecastle {forecastle.__version__}\n", "")


@pytest.mark.parametrize("words", [(), ("volatility",), ("lake",)])
def test_no_command_shows_the_help_and_complains_of_nothing(cli: Cli, home: Path, words: tuple[str, ...]) -> None:
    ran = cli(*words, home=home)
    assert ran.code == 2, "a script that forgot the command has to notice"
    assert "Usage: forecastle" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize(
    ("words", "cword", "expected"),
    [
        ("forecastle vol", 1, ["volatility"]),
        ("forecastle candles B", 2, ["BTC-USD"]),
        ("forecastle lake v", 2, ["verify"]),
    ],
)
def test_the_shell_completes(cli: Cli, filled: Path, words: str, cword: int, expected: list[str]) -> None:
    env = {"_FORECASTLE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(cword)}
    ran = cli(home=filled, env=env)
    assert (ran.code, ran.out.split(), ran.err) == (0, expected, "")


def test_the_completion_script_is_shown(script: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{script} --show-completion; exit $?"], capture_output=True, text=True, check=True
    )
    assert "_FORECASTLE_COMPLETE=complete_bash" in done.stdout
