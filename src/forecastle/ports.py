"""The shapes a plug-in can have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from forecastle.nouns import Candles, Distribution, FitStatus, FitSummary, Forecast, Instrument, Returns
from forecastle.sessions import Timeframe

FloatArray = npt.NDArray[np.float64]


class Progress(Protocol):
    """Told how far long work has come; the face decides what to show."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Take note that ``done`` of ``total`` steps of ``what`` are finished."""
        ...


def silent(done: int, total: int, what: str) -> None:
    """Show no progress."""


class Source(Protocol):
    """Outside data: gives closed candles of an instrument."""

    @property
    def name(self) -> str:
        """Return the name every row carries as its source."""
        ...

    def fetch(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Candles:
        """Return the bars that open at or after ``start`` and close at or before ``end``."""
        ...


@dataclass(frozen=True)
class OneStep:
    """One-step-ahead forecasts for many rows: arrays of shape (rows,), or (rows, levels) for quantiles and ES.

    ``quantiles`` are log returns at the levels asked for, ``es`` positive losses at the same levels.
    """

    mean: FloatArray
    sigma: FloatArray
    quantiles: FloatArray
    es: FloatArray


class FittedModel(Protocol):
    """A model with its parameters."""

    @property
    def status(self) -> FitStatus:
        """Return whether the fit is to be believed."""
        ...

    def summary(self) -> FitSummary:
        """Return parameters, errors and criteria."""
        ...

    def forecast(self, horizon: int = 1) -> Forecast:
        """Return the forecast from the end of the data it was fitted to."""
        ...

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return the distribution of the sum of the ``horizon`` returns that follow ``returns``."""
        ...

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i from ``returns[i : i + window]`` alone, for i in 0 .. len(returns) - window."""
        ...


class Model(Protocol):
    """Something that is fitted."""

    @property
    def label(self) -> str:
        """Return the name a table shows, such as ``GARCH(1,1)-t``."""
        ...

    @property
    def naive(self) -> bool:
        """Return whether this is one of the forecasts that others have to beat."""
        ...

    def fit(self, x: Candles | Returns | FloatArray) -> FittedModel:
        """Fit to candles or to a one-dimensional array of log returns in decimals."""
        ...
