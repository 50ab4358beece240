"""Trend: a fast moving average above a slow one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from forecastle.errors import NameUnknown, RequestInvalid
from forecastle.nouns.seen import Seen, Wish
from forecastle.strategies._states import unknown_until

AVERAGES = ("sma", "ema")


@dataclass(frozen=True)
class Crossover:
    """Long while the average of ``fast`` closes is above that of ``slow``; else out, or short where ``short``.

    Brock, Lakonishok and LeBaron (1992), Journal of Finance 47(5), 1731-1764, is the classic test of it.
    """

    fast: int = 20
    slow: int = 50
    average: Literal["sma", "ema"] = "sma"
    short: bool = False

    def __post_init__(self) -> None:
        if self.average not in AVERAGES:
            raise NameUnknown("moving average", self.average, AVERAGES)
        if not 2 <= self.fast < self.slow:
            raise RequestInvalid(
                f"fast is {self.fast}, slow {self.slow}.", "The fast average is of 2 or more, fewer than the slow.",
                "Try 20 and 50.",
            )  # fmt: skip

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return f"Crossover {self.average} {self.fast}/{self.slow}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the features it looks at."""
        return f"{self.average}_{self.fast}", f"{self.average}_{self.slow}"

    def wish(self, seen: Seen) -> Wish:
        """Return what it would hold after each close."""
        fast, slow = (seen.column(name) for name in self.needs)
        with np.errstate(invalid="ignore"):
            above = fast > slow
        held = np.where(above, 1.0, -1.0 if self.short else 0.0)
        return Wish(unknown_until(held, np.isfinite(fast) & np.isfinite(slow)))
