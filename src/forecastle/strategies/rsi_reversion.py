"""Reversion: buy what has fallen fast, sell what has come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecastle.errors import RequestInvalid
from forecastle.nouns.seen import Seen, Wish
from forecastle.strategies._states import held_between, unknown_until


@dataclass(frozen=True)
class RsiReversion:
    """Long from an RSI of ``window`` bars below ``low`` until it is above ``leave``.

    With ``short`` the other way round, from above ``100 - low`` until below ``100 - leave``.
    """

    window: int = 14
    low: float = 30.0
    leave: float = 50.0
    short: bool = False

    def __post_init__(self) -> None:
        if self.window < 2 or not 0.0 < self.low < self.leave < 100.0:
            raise RequestInvalid(
                f"window is {self.window}, low {self.low:g}, leave {self.leave:g}.",
                "The window is 2 or more, and 0 < low < leave < 100.", "Try 14, 30 and 50.",
            )  # fmt: skip

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return f"RSI reversion {self.window} {self.low:g}/{self.leave:g}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the features it looks at."""
        return (f"rsi_{self.window}",)

    def wish(self, seen: Seen) -> Wish:
        """Return what it would hold after each close."""
        rsi = seen.column(self.needs[0])
        with np.errstate(invalid="ignore"):
            never = np.zeros(rsi.shape, dtype=np.bool_)
            enter_short, leave_short = (
                (rsi > 100.0 - self.low, rsi < 100.0 - self.leave) if self.short else (never, never)
            )
            held = held_between(rsi < self.low, rsi > self.leave, enter_short, leave_short)
        return Wish(unknown_until(held, np.isfinite(rsi)))
