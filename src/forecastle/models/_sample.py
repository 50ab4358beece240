"""What a model is fitted to: returns that were looked at before, and where they come from."""

from __future__ import annotations

import hashlib
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, ForecastRefused, RequestInvalid, ScaleWarning
from forecastle.nouns import Candles, Distribution, FitStatus, Forecast, History, Returns
from forecastle.ports import OneStep

FloatArray = npt.NDArray[np.float64]

SMALLEST_SIGMA, LARGEST_SIGMA = 1e-5, 0.2
"""Standard deviations of one-bar log returns outside this range are most likely in another unit."""


def point_out_scale(returns: FloatArray) -> None:
    """Warn with ``ScaleWarning`` where the standard deviation lies outside 1e-5 to 0.2."""
    sigma = float(returns.std())
    if not SMALLEST_SIGMA <= sigma <= LARGEST_SIGMA:
        warnings.warn(
            f"the standard deviation of the returns is {sigma:.3g}; log returns in decimals have 1e-5 to 0.2. "
            "Are these percent, prices or basis points?",
            ScaleWarning,
            stacklevel=4,
        )


FAR, MOST_PRINTS = 40.0, 4
"""Times the usual absolute return beyond which a return may be a bad print, and how many of them are not a habit."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Log returns in decimals, shape (n,), all finite, and the candles they come from (None for a bare array)."""

    returns: FloatArray
    candles: Candles | None

    @classmethod
    def of(cls, x: History | Candles | Returns | FloatArray, minimum: int) -> Sample:
        """Check ``x`` at the door.

        Raises ``DataInvalid`` for NaN, infinities or more than one dimension, ``ForecastRefused`` for fewer than
        ``minimum`` returns or returns that never change. Warns with ``ScaleWarning`` where the standard deviation
        lies outside 1e-5 to 0.2.
        """
        x = x.candles if isinstance(x, History) else x
        candles = x if isinstance(x, Candles) else None
        series = x.log_returns() if isinstance(x, Candles) else x
        returns = series.values if isinstance(series, Returns) else _numbers(series)
        _refuse_what_is_no_series(returns, minimum)
        point_out_scale(returns)
        return cls(returns, candles)

    @property
    def source(self) -> str | None:
        """Return where the candles came from; None for a bare array."""
        return self.candles.source if self.candles is not None else None

    @property
    def oddity(self) -> str:
        """Return in words that one or two returns lie far beyond all others, as a bad print does; else nothing.

        Far is ``FAR`` times the median absolute return over 0.6745: the crashes of 1987 and of March 2020 are nearer.
        """
        usual = float(np.median(np.abs(self.returns))) / 0.6745
        far = np.flatnonzero(np.abs(self.returns) > FAR * usual)
        if not usual or not 0 < far.size <= MOST_PRINTS:
            return ""
        first = self.returns[far[0]]
        return (
            f"return {far[0]} of {self.returns.size} is {100 * first:.4g} %, {abs(first) / usual:.0f} times the usual"
        )

    @property
    def data_hash(self) -> str:
        """Return the hash of the candles, or of the array."""
        if self.candles is not None:
            return self.candles.data_hash
        return hashlib.sha256(self.returns.astype("<f8").tobytes()).hexdigest()

    def forecast(
        self, distribution: Distribution, horizon: int, label: str, model_hash: str, status: FitStatus
    ) -> Forecast:
        """Return the noun: the distribution with its market and times, where they are known."""
        if self.candles is None:
            return Forecast(distribution, horizon, label, model_hash, self.data_hash, status)
        candles = self.candles
        closes = candles.calendar.next_closes(candles.times("close_time")[-1], candles.timeframe, horizon)
        return Forecast(
            distribution, horizon, label, model_hash, self.data_hash, status,
            instrument=candles.instrument, timeframe=candles.timeframe, source=candles.source,
            as_of=candles.end, target_time=_aware(closes[-1]), trained_until=candles.end,
            periods_per_year=candles.calendar.periods_per_year(candles.timeframe),
        )  # fmt: skip


PATHS = 20_000
SEED = 20261120
"""Of the simulated paths behind horizons above one bar; fixed, so that the same data give the same forecast."""

MAX_HORIZON = 250
"""Bars. Beyond about a trading year a one-bar volatility model says nothing that the average does not."""


@dataclass(frozen=True, eq=False, repr=False)
class Fitted(ABC):
    """What every fitted model shares: its sample, its name, its status, and the forecast made of them."""

    sample: Sample
    label: str
    status: FitStatus

    def __post_init__(self) -> None:
        if self.sample.oddity and self.sample.oddity not in self.status.reason:
            reason = "; ".join(filter(None, (self.status.reason, self.sample.oddity)))
            object.__setattr__(self, "status", replace(self.status, reason=reason))

    def __repr__(self) -> str:
        state = "converged" if self.status.converged else "NOT converged"
        return f"<{self.label}, fitted to {self.sample.returns.size} returns, {state}>"

    @property
    @abstractmethod
    def params(self) -> Mapping[str, float]:
        """Return the parameters by name, in decimals."""

    @abstractmethod
    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return the distribution of the sum of the ``horizon`` returns that follow ``returns``."""

    @abstractmethod
    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return one-step forecasts, row i from ``returns[i : i + window]`` alone."""

    @property
    def converged(self) -> bool:
        """Return whether the fit is to be believed."""
        return self.status.converged

    @property
    def model_hash(self) -> str:
        """Return the SHA-256 of the label and the parameters; the data have a hash of their own."""
        text = json.dumps({"label": self.label, "params": {k: repr(v) for k, v in self.params.items()}}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def forecast(self, horizon: int = 1) -> Forecast:
        """Return the forecast over the next ``horizon`` bars from the end of the sample.

        Raises ``ForecastRefused`` when the fit did not converge: a failed fit is not served; ``RequestInvalid`` for a
        horizon outside 1 to 250.
        """
        self._refuse(horizon)
        return self._noun(self.distribution(self.sample.returns, horizon), horizon)

    def term_structure(self, longest: int = 30) -> FloatArray:
        """Return the sigma of the log return over the next 1, 2, ... ``longest`` bars, shape (longest,), in decimals.

        Raises as :meth:`forecast`.
        """
        self._refuse(longest)
        return np.array([self.distribution(self.sample.returns, h).sigma for h in range(1, longest + 1)])

    def _refuse(self, horizon: int) -> None:
        if not self.status.converged:
            raise ForecastRefused(
                f"{self.label} did not converge.",
                self.status.reason or "The optimiser found no maximum.",
                "Use more data, another model, or look at summary().",
            )
        if not 1 <= horizon <= MAX_HORIZON:
            raise RequestInvalid(
                f"The horizon is {horizon} bars.", f"It has to lie between 1 and {MAX_HORIZON}.", "Choose another."
            )

    def _noun(self, distribution: Distribution, horizon: int) -> Forecast:
        return self.sample.forecast(distribution, horizon, self.label, self.model_hash, self.status)


def location_scale(mean: FloatArray, sigma: FloatArray, shape: Distribution, levels: FloatArray) -> OneStep:
    """Return one-step rows whose standardised distribution is ``shape`` in every row."""
    z, tail = shape.standard_quantile(levels), shape.standard_tail(levels)
    spread = sigma[:, None]
    return OneStep(mean, sigma, mean[:, None] + spread * z, -(mean[:, None] + spread * tail))


def _numbers(series: FloatArray) -> FloatArray:
    try:
        return np.ascontiguousarray(series, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataInvalid(
            f"A {type(series).__name__} was given that holds more than numbers.",
            "A model takes candles, a History, or a 1-d array of log returns in decimals.",
            "Pass one of these, such as fc.load(...) or its .log_returns().values.",
        ) from error


def _refuse_what_is_no_series(returns: FloatArray, minimum: int) -> None:
    if returns.ndim != 1:
        raise DataInvalid(
            f"The returns have {returns.ndim} dimensions.", "A model is fitted to one series.", "Pass a 1-d array."
        )
    if not np.isfinite(returns).all():
        first = int(np.flatnonzero(~np.isfinite(returns))[0])
        raise DataInvalid(
            f"{int((~np.isfinite(returns)).sum())} returns are not finite, the first at position {first}.",
            "NaN means unknown, and a fit cannot guess it.",
            "Leave these rows out, or import the candles: gaps are handled there.",
        )
    if returns.size < minimum:
        raise ForecastRefused(
            f"There are {returns.size} returns; this model needs at least {minimum}.",
            "Fewer do not carry its parameters.",
            "Get more history, or ask for a simpler model such as ewma.",
        )
    if float(np.ptp(returns)) == 0.0:
        raise ForecastRefused(
            "The returns never change.", "A constant series has no volatility to forecast.", "Check the source."
        )


def _aware(moment: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(moment.astype("datetime64[us]").astype(np.int64)) / 1e6, UTC)
