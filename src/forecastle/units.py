"""Types for numbers of different meaning, and the only conversions between them.

Percent exists only where a person reads; inside, returns and volatilities are decimals (0.01 is about 1 %).
"""

from __future__ import annotations

import math
from typing import NewType

LogReturn = NewType("LogReturn", float)
"""Natural-log return in decimals."""
Volatility = NewType("Volatility", float)
"""Standard deviation of the log return over a stated horizon, in decimals."""
Bps = NewType("Bps", float)
"""Hundredths of a percent: 1 bp is 0.0001."""


def annualise(sigma: float, periods_per_year: float) -> Volatility:
    """Scale a one-bar volatility to a year: ``sigma * sqrt(periods_per_year)``.

    Assumes uncorrelated returns. Raises ``ValueError`` unless ``periods_per_year`` is positive and finite.
    """
    if not (periods_per_year > 0 and math.isfinite(periods_per_year)):
        raise ValueError(f"periods_per_year is {periods_per_year}, it has to be positive and finite")
    return Volatility(sigma * math.sqrt(periods_per_year))


def percent(value: float | None, digits: int = 2) -> str:
    """Write a decimal as percent for a person: ``percent(0.0123) == '1.23 %'``; None is ``'n/a'``."""
    return "n/a" if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def to_bps(value: float) -> Bps:
    """Convert a decimal to basis points: ``to_bps(0.0001) == 1``."""
    return Bps(value * 10_000.0)
