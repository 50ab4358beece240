"""What else is known of a market at a close, lined up with its returns: never a value that came later."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import DataInvalid, ForecastRefused, NameUnknown
from forecastle.nouns import Candles, History, Observations
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]

RANGE, VIX = "range", "VIX"
OLDEST = np.timedelta64(31, "D")
"""A value that became known longer ago than this is not used: the series has ended, or has a hole."""


def regressors_of(history: History, names: tuple[str, ...]) -> FloatArray:
    """Return the regressors of every return and of the bar after the last, shape (n + 1, names), not below zero.

    Row t holds what was known at ``as_of`` of return t, the close before it; the last row what is known at the end.
    ``range``: the Parkinson (1980) variance ``ln(high/low)^2 / (4 ln 2)`` of the bar that closed there. ``VIX``: the
    last known close of the index as a daily variance, ``(VIX/100)^2 / 252``. Any other name: the last known value of
    the observations of that name as it is. NaN where nothing was known in the 31 days before. Raises ``NameUnknown``
    for a series that the history has not, ``DataInvalid`` for one with values below zero.
    """
    as_of = np.r_[history.returns.as_of, history.candles.times("close_time")[-1:]]
    return np.column_stack([_column(history, name, as_of) for name in names])


def _column(history: History, name: str, as_of: Times) -> FloatArray:
    if name == RANGE:
        return _range_variance(history.candles, as_of)
    if name.upper() == VIX:
        found = [o for o in history.observations if o.instrument.base == VIX]
        return (_last_known(_only(found, name, history), as_of) / 100.0) ** 2 / 252.0
    return _last_known(_only([o for o in history.observations if o.name == name], name, history), as_of)


def _only(found: list[Observations], name: str, history: History) -> Observations:
    """Return the first of the series found."""
    if not found:
        known = {RANGE, *(VIX if o.instrument.base == VIX else o.name for o in history.observations)}
        raise NameUnknown("regressor", name, known, "Import these observations first, or take 'range'.")
    if float(found[0].frame["value"].min() or 0.0) < 0.0:  # type: ignore[arg-type]
        raise DataInvalid(
            f"The observations '{name}' have values below zero.",
            "A regressor adds to a variance, which cannot be negative.",
            "Give squares, absolute values or another series.",
        )
    return found[0]


def _range_variance(candles: Candles, as_of: Times) -> FloatArray:
    """Return the Parkinson (1980) variance of the bar that closed at each moment."""
    if candles.prices == "close":
        raise ForecastRefused(
            f"The candles of {candles.instrument} from {candles.source} know only the close.",
            "Without high and low there is no range.",
            "Take a source with whole candles, or a regressor from observations.",
        )
    high, low = (candles.frame[name].to_numpy() for name in ("high", "low"))
    variance = np.log(high / low) ** 2 / (4.0 * math.log(2.0))
    return np.asarray(variance[np.searchsorted(candles.times("close_time"), as_of)])


def _last_known(observations: Observations, as_of: Times) -> FloatArray:
    """Return the value about the latest moment that was known at each ``as_of``, in its revision of then."""
    ordered = observations.frame.sort("known_at", "about")
    newest = ordered.filter(pl.col("about") >= pl.col("about").cum_max())  # a late revision of an old value is no news
    known = newest["known_at"].dt.replace_time_zone(None).to_numpy()
    values = np.r_[np.nan, newest["value"].to_numpy()]
    place = np.searchsorted(known, as_of, side="right")
    age = as_of - np.r_[as_of.min() - 2 * OLDEST, known][place]
    return np.where(age <= OLDEST, values[place], np.nan)
