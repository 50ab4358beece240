"""What a strategy is shown, and what it answers before anyone sizes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataMissing
from forecastle.nouns.market import Market

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """A market and what was known at each of its closes; every array has the shape (bars, instruments).

    ``columns`` are features by column name, ``sigma`` the volatility of one bar's log return, ``forecast`` the
    out-of-sample probability of up, or the number, of a model, NaN where it said nothing. ``cost`` is the share of the
    notional that a round trip costs.
    """

    market: Market
    columns: Mapping[str, FloatArray] = field(default_factory=dict)
    sigma: FloatArray | None = None
    forecast: FloatArray | None = None
    periods_per_year: float = 365.0
    cost: float = 0.0

    def column(self, name: str) -> FloatArray:
        """Return a feature column, or a price by its name; raises ``DataMissing`` where there is none of that name."""
        if name in ("open", "high", "low", "close", "volume"):
            return np.asarray(getattr(self.market, name))
        if name not in self.columns:
            raise DataMissing(
                f"There is no column '{name}'.", f"There are: {', '.join(sorted(self.columns)) or 'none'}.",
                "Name it among what the strategy needs.",
            )  # fmt: skip
        return self.columns[name]

    @property
    def volatility(self) -> FloatArray:
        """Return sigma; raises ``DataMissing`` where none was given."""
        if self.sigma is None:
            raise DataMissing("No volatility was given.", "Sizes depend on it.", "Give sigma.")
        return self.sigma


@dataclass(frozen=True, eq=False)
class Wish:
    """What a strategy would hold after each close, each array of shape (bars, instruments).

    ``direction`` is 1 for long, -1 for short, 0 for nothing, parts of it for less, NaN where the strategy does not
    know yet. The shares are distances of the bracket from the fill, in
    decimals.
    """

    direction: FloatArray
    stop_share: FloatArray | None = None
    take_share: FloatArray | None = None
    trail_share: FloatArray | None = None
