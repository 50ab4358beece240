"""How many rounds, and the table of counts that ``make torture`` ends with."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

ROUNDS = int(os.environ.get("FORECASTLE_TORTURE_ROUNDS", "50"))
"""Of each kind of kill and damage; ``make torture`` asks for a thousand."""
COUNTS: Counter[str] = Counter()


@pytest.fixture
def rounds() -> int:
    return ROUNDS


@pytest.fixture
def tally() -> Callable[[str, int], None]:
    """Return what counts a thing that was done to a lake and that it stood."""

    def count(what: str, times: int = 1) -> None:
        COUNTS[what] += times

    return count


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the counts of a worker of pytest-xdist to whoever started it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["torture"] = dict(COUNTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take them."""
    COUNTS.update(getattr(node, "workeroutput", {}).get("torture", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts."""
    if COUNTS:
        terminalreporter.section("torture: what was done, and how often, and lost, doubled or tore nothing")
        for what, times in sorted(COUNTS.items()):
            terminalreporter.write_line(f"{times:7,}  {what}")
