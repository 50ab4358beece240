"""Numbers over the next bars: the log return, and the log of the realised volatility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecastle.nouns import Candles, Labels
from forecastle.sessions import Times
from forecastle.targets._ahead import Ahead, refuse_horizon

FLOOR = 1e-4
"""The smallest volatility that is told: one basis point, as for realised variances elsewhere."""


@dataclass(frozen=True)
class FutureReturn:
    """The log return over the next ``horizon`` bars, close to close, in decimals; none over a missing bar."""

    horizon: int = 1

    def __post_init__(self) -> None:
        refuse_horizon(self.horizon)

    def labels(self, candles: Candles, moments: Times) -> Labels:
        """Return the labels of rows known at ``moments``, which are closes of ``candles``."""
        ahead = Ahead.of(candles, moments)
        returns = ahead.returns(self.horizon)
        return Labels(
            f"return_{self.horizon}", "number", self.horizon, "log return", returns, returns,
            ahead.known_at(self.horizon),
        )  # fmt: skip


@dataclass(frozen=True)
class FutureVolatility:
    """``ln sqrt(sum r^2)`` of the one-bar log returns of the next ``horizon`` bars: the log of the realised volatility.

    It is over the whole horizon, not a bar, and at least one basis point; none over a missing bar.
    """

    horizon: int = 5

    def __post_init__(self) -> None:
        refuse_horizon(self.horizon)

    def labels(self, candles: Candles, moments: Times) -> Labels:
        """Return the labels of rows known at ``moments``, which are closes of ``candles``."""
        ahead = Ahead.of(candles, moments)
        whole = ahead.whole(self.horizon)
        values = np.full(whole.size, np.nan)
        if whole.any():
            parts = np.lib.stride_tricks.sliding_window_view(np.square(ahead.one_bar), self.horizon)
            values[whole] = np.log(np.maximum(np.sqrt(parts[ahead.at[whole] + 1].sum(axis=1)), FLOOR))
        return Labels(
            f"volatility_{self.horizon}", "number", self.horizon, "log volatility", values,
            ahead.returns(self.horizon), ahead.known_at(self.horizon),
        )  # fmt: skip
