"""Which of three barriers is met first: one above, one below, or the end of time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from forecastle.errors import NameUnknown
from forecastle.nouns import Candles, Labels
from forecastle.sessions import Times
from forecastle.targets._ahead import Ahead, refuse_below, refuse_horizon


@dataclass(frozen=True)
class TripleBarrier:
    """1 where the price meets the upper barrier first, 0 where the lower one, within ``horizon`` bars.

    The barriers lie ``up`` and ``down`` times sigma above and below the log close of the row; sigma is the standard
    deviation of the last ``window`` one-bar log returns times the root of the horizon, known at the row (López de Prado
    2018, Advances in Financial Machine Learning, ch. 3, with the range of the bars). A bar meets a barrier with its
    high or low; one that meets both counts as down, the worse for who bought. The label is known at the close of that
    bar, and its return is that to the barrier, or to the open where the bar opens beyond it. Where none is met the
    label is the sign of the return to the last close (``at_end="sign"``), or there is none (``"drop"``). Rows without
    sigma, or with a missing bar before a barrier is met, have no label. Raises ``RequestInvalid``, ``NameUnknown``.
    """

    horizon: int = 10
    up: float = 1.0
    down: float = 1.0
    window: int = 20
    at_end: Literal["sign", "drop"] = "sign"

    def __post_init__(self) -> None:
        refuse_horizon(self.horizon)
        refuse_below("up", self.up, 1e-3)
        refuse_below("down", self.down, 1e-3)
        refuse_below("window", self.window, 2)
        if self.at_end not in ("sign", "drop"):
            raise NameUnknown("at_end", self.at_end, ("sign", "drop"))

    def labels(self, candles: Candles, moments: Times) -> Labels:
        """Return the labels of rows known at ``moments``, which are closes of ``candles``."""
        ahead = Ahead.of(candles, moments)
        sigma = ahead.trailing_sigma(self.window) * np.sqrt(self.horizon)
        start = np.log(ahead.close[ahead.at])
        above, below = start + self.up * sigma, start - self.down * sigma
        rows = ahead.at.size
        values, returns = np.full(rows, np.nan), np.full(rows, np.nan)
        known = np.full(rows, np.datetime64("NaT", "us"))
        opened = np.log(np.array(candles.frame["open"]))
        waiting = np.isfinite(sigma) & (sigma > 0.0)
        for step in range(1, self.horizon + 1):
            waiting &= ahead.whole(step)
            row = np.flatnonzero(waiting)
            bar = ahead.at[row] + step
            fell = np.log(ahead.low[bar]) <= below[row]
            rose = ~fell & (np.log(ahead.high[bar]) >= above[row])
            for met, value in ((fell, 0.0), (rose, 1.0)):
                values[row[met]] = value
            barrier = np.where(fell, np.minimum(below[row], opened[bar]), np.maximum(above[row], opened[bar]))
            met = fell | rose
            returns[row[met]] = (barrier - start[row])[met]
            known[row[met]] = ahead.closed[bar[met]]
            waiting[row[met]] = False
        end = np.flatnonzero(waiting)
        last = ahead.at[end] + self.horizon
        returns[end], known[end] = np.log(ahead.close[last]) - start[end], ahead.closed[last]
        if self.at_end == "sign":
            values[end] = np.where(returns[end] > 0.0, 1.0, np.where(returns[end] < 0.0, 0.0, np.nan))
        return Labels(f"triple_barrier_{self.horizon}", "direction", self.horizon, "up", values, returns, known)
