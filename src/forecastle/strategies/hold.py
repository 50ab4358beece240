"""Buy and hold, all of it or as much as keeps the volatility."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecastle.errors import RequestInvalid
from forecastle.nouns.seen import Seen, Wish


@dataclass(frozen=True)
class Hold:
    """Long from the first close on."""

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return "Buy and hold"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the features it looks at."""
        return ()

    def wish(self, seen: Seen) -> Wish:
        """Return what it would hold after each close."""
        return Wish(np.where(seen.market.present, 1.0, np.nan))


@dataclass(frozen=True)
class VolatilityTargeted:
    """Long by ``annual / (sigma sqrt(periods a year))``, at most ``cap``: less where the market swings more.

    ``annual`` is the standard deviation of log returns a year in decimals; sigma is the EWMA of the returns up to the
    close. Source: Moreira and Muir (2017), Journal of Finance 72(4), 1611-1644, with volatility in place of variance.
    """

    annual: float = 0.2
    cap: float = 1.0

    def __post_init__(self) -> None:
        if not (self.annual > 0.0 and self.cap > 0.0):
            raise RequestInvalid(
                f"annual is {self.annual:g}, cap {self.cap:g}.", "Both are above zero.", "Try 0.2 and 1."
            )

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return f"Volatility target {100 * self.annual:g} %"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the features it looks at."""
        return ()

    def wish(self, seen: Seen) -> Wish:
        """Return what it would hold after each close."""
        yearly = seen.volatility * np.sqrt(seen.periods_per_year)
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted = np.minimum(self.annual / yearly, self.cap)
        return Wish(np.where(yearly > 0.0, wanted, np.nan))
