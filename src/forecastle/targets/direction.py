"""Up or down over the next bars, with a band in which neither is said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecastle.nouns import Candles, Labels
from forecastle.sessions import Times
from forecastle.targets._ahead import Ahead, refuse_below, refuse_horizon


@dataclass(frozen=True)
class Direction:
    """1 where the log return over ``horizon`` bars is above the dead band, 0 where it is below its negative.

    Inside the band, its edges too, a row has no label: it teaches nothing and is not scored. The band is ``dead_band``
    in log return plus ``dead_band_sigmas`` times the standard deviation of the last ``window`` one-bar returns times
    the root of the horizon, all known at the row. Without a band only a return of exactly zero has no label. A label
    over a missing bar is not made. Raises ``RequestInvalid`` for settings out of bounds.
    """

    horizon: int = 1
    dead_band: float = 0.0
    dead_band_sigmas: float = 0.0
    window: int = 20

    def __post_init__(self) -> None:
        refuse_horizon(self.horizon)
        refuse_below("dead_band", self.dead_band, 0.0)
        refuse_below("dead_band_sigmas", self.dead_band_sigmas, 0.0)
        refuse_below("window", self.window, 2)

    def labels(self, candles: Candles, moments: Times) -> Labels:
        """Return the labels of rows known at ``moments``, which are closes of ``candles``."""
        ahead = Ahead.of(candles, moments)
        returns = ahead.returns(self.horizon)
        band = np.full(returns.size, self.dead_band)
        if self.dead_band_sigmas:
            band += self.dead_band_sigmas * ahead.trailing_sigma(self.window) * np.sqrt(self.horizon)
        values = np.where(returns > band, 1.0, np.where(returns < -band, 0.0, np.nan))
        return Labels(
            f"direction_{self.horizon}", "direction", self.horizon, "up", values, returns, ahead.known_at(self.horizon)
        )
