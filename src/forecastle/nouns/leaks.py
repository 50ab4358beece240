"""What a leak audit found: columns that knew of the future, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

LeakKind = Literal["cut", "poison", "row", "future", "error"]
LEAKS: dict[LeakKind, str] = {
    "cut": "a row is another one when what comes after is cut off",
    "poison": "a row is another one when what comes after is poisoned",
    "row": "a row is not there, or another is, when what comes after is cut off",
    "future": "a row says that it is known before the moment it claims",
    "error": "it cannot be computed on what was known at that moment",
}


@dataclass(frozen=True)
class LeakFinding:
    """One column of one subject that depends on what came later.

    ``moment`` is the cut that shows it first, ``row`` the ``known_at`` of the row that differs, ``whole`` its value
    with the future there and ``alone`` without; ``cuts`` counts the cuts that show it.
    """

    subject: str
    column: str
    kind: LeakKind
    cuts: int
    moment: datetime
    row: datetime | None
    whole: float | None
    alone: float | None
    detail: str = ""


@dataclass(frozen=True)
class LeakReport:
    """An audit of one series: who was looked at, at how many moments (``cuts``) at least, and what was found."""

    series: str
    subjects: tuple[str, ...]
    columns: int
    bars: int
    cuts: int
    seed: int
    findings: tuple[LeakFinding, ...]

    @property
    def clean(self) -> bool:
        """Return whether nothing was found."""
        return not self.findings

    def accused(self) -> tuple[str, ...]:
        """Return the subjects with findings, each once."""
        return tuple(dict.fromkeys(finding.subject for finding in self.findings))
