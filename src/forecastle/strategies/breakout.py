"""Breakout: follow a close beyond the range of the bars before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecastle.errors import RequestInvalid
from forecastle.nouns.seen import Seen, Wish
from forecastle.strategies._states import held_between, unknown_until


@dataclass(frozen=True)
class Breakout:
    """Long from a close above the highest high of the ``window`` bars before, until one below the low of ``leave``.

    With ``short`` the other way round as well; ``trail`` adds a trailing stop at that share below the best price. The
    channel is Donchian's.
    """

    window: int = 20
    leave: int = 10
    short: bool = False
    trail: float | None = None

    def __post_init__(self) -> None:
        if self.window < 2 or self.leave < 2 or not (self.trail is None or 0.0 < self.trail < 1.0):
            raise RequestInvalid(
                f"window is {self.window}, leave {self.leave}, trail {self.trail}.",
                "Windows are of 2 bars or more, trail is a share of the price.", "Try 20, 10 and none.",
            )  # fmt: skip

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return f"Breakout {self.window}/{self.leave}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the features it looks at."""
        return tuple(dict.fromkeys((f"donchian_{self.window}", f"donchian_{self.leave}")))

    def wish(self, seen: Seen) -> Wish:
        """Return what it would hold after each close."""
        close = seen.market.close
        high, low = (_before(seen.column(f"donchian_{self.window}.{side}")) for side in ("upper", "lower"))
        out_low, out_high = (_before(seen.column(f"donchian_{self.leave}.{side}")) for side in ("lower", "upper"))
        never = np.zeros(close.shape, dtype=np.bool_)
        with np.errstate(invalid="ignore"):
            enter_short, leave_short = (close < low, close > out_high) if self.short else (never, never)
            held = held_between(close > high, close < out_low, enter_short, leave_short)
        trail = None if self.trail is None else np.full(close.shape, self.trail)
        return Wish(unknown_until(held, np.isfinite(high) & np.isfinite(out_low)), trail_share=trail)


def _before(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the values of one bar before: the channel holds the bar itself, and no close leaves its own range."""
    return np.concatenate([np.full((1, values.shape[1]), np.nan), values[:-1]])
