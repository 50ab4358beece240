"""Heterogeneous autoregressions of realised variance: day, week and month, in levels and in logarithms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import ForecastRefused
from forecastle.models._design import SPANS, Design, design_of, design_of_returns, terms_of
from forecastle.models._path import (
    HIGHEST_RATIO,
    WARM_UP,
    FittedVariance,
    RollsByPath,
    VariancePath,
    levelled,
    refit_rows,
    tails,
)
from forecastle.models._regression import Ridge, Rows, estimates, predicted, walk
from forecastle.models._sample import MAX_HORIZON, Sample
from forecastle.models.realized import trailing_mean
from forecastle.nouns import Candles, FitStatus, History, Observations, Returns
from forecastle.ports import Extra, Progress, silent

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

MINIMUM_RETURNS = 150
REFIT_EVERY = 20
"""Rows between the refits behind a single fit, whose forecasts give its level and its tails."""
_ANCHORS = (2, 3, 5, 8, 13, 22, 30, 60, 120, MAX_HORIZON)
_LOWEST = 0.1
_ROWS_A_BAR = 5
"""Returns for each bar of the longest horizon that is regressed on; beyond it the variance grows in proportion."""


class LogRegression(RollsByPath):
    """A ridge regression of the log variance to come, relative to the last month's: what the log models share."""

    ridge: Ridge
    minimum: ClassVar[int] = MINIMUM_RETURNS

    @abstractmethod
    def designs(self, history: History) -> tuple[Design, Sequence[Design]]:
        """Return the forecast rows of the instrument, and those of others that are learned from too."""

    def path(self, history: History, window: int, refit_every: int, progress: Progress = silent) -> VariancePath:
        """Return the forecasts of all returns of the candles."""
        own, peers = self.designs(history)
        refits = refit_rows(own.returns.size, window, refit_every)
        forecast, _ = walk(own, Rows.of(own, peers, self.ridge.peer_weight), refits, self.ridge)
        progress(1, 1, f"{history.candles.instrument} {self.label}")
        return levelled(forecast, own.target, own.returns)

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedVariance:
        """Fit to a history, to candles or to a 1-d array of log returns in decimals; at least ``minimum`` returns.

        See :meth:`Sample.of` for what is refused; raises ``ForecastRefused``, too, where too little is known.
        """
        sample = Sample.of(x, self.minimum)
        history, n = history_in(x, sample), sample.returns.size
        own, peers = self.designs(history) if history is not None else (design_of_returns(sample.returns, n), ())
        rows = Rows.of(own, peers, self.ridge.peer_weight)
        forecast, b = walk(own, rows, refit_rows(n, n, REFIT_EVERY), self.ridge)
        path = levelled(forecast, own.target, own.returns)
        scale = scale_of(self.label, path, forecast)

        def of_windows(returns: FloatArray, window: int) -> FloatArray:
            return scale * np.exp(predicted(design_of_returns(returns, window), slice(window, None), b))

        return FittedVariance(
            sample, self.label, FitStatus(converged=True), dict(zip(own.names, b.tolist(), strict=True)),
            float(tails(own.returns, path.variance)[-1]), Curve(self.ridge, own, peers, path),
            of_windows if history is None else None,
        )  # fmt: skip


@dataclass(frozen=True)
class LogHar(LogRegression):
    """``ln v[t+1]`` on day, week, month, quarter and year, falls, jumps, last hours, ranges, turnover and weekday.

    Corsi (2009), Journal of Financial Econometrics 7, 174-196; leverage and jumps as Corsi and Reno (2012), JBES 30,
    368-380; falls inside the day as Patton and Sheppard (2015), REStat 97, 683-697. ``v`` is the realised variance of
    finer bars where they are known, else Garman and Klass's with the opening gap, else the squared return. For stocks
    and indices the VIX is a regressor where it is known, and for the days of stocks what happened 13, 26, 39 and 52
    weeks before: quarterly reports come back (:mod:`forecastle.models._reports`).

    The forecast is the expected variance, not the exponential of the expected logarithm: see
    :func:`forecastle.models._path.levelled`. All history before a row goes into it, older rows with less weight.
    """

    ridge: Ridge = field(default_factory=Ridge)
    label: ClassVar[str] = "log-HAR"
    wants: ClassVar[frozenset[Extra]] = frozenset({"finer", "observations"})

    def designs(self, history: History) -> tuple[Design, Sequence[Design]]:
        """Return the rows of the instrument alone."""
        return design_of(history, implied=implied_of(history)), ()


@dataclass(frozen=True)
class Har(RollsByPath):
    """``v[t+1] = c + b_d v[t] + b_w v_week[t] + b_m v_month[t]``: Corsi (2009), J. Financial Econometrics 7, 174-196.

    Least squares weighted with the inverse square of the month's mean, on all history before a row, older rows with
    less weight. A forecast above every variance seen so far is put there, one below a tenth of the month's mean there
    (an insanity filter as in Swanson and White 1997, Macroeconomic Dynamics 1, 439-461). Over several bars the equation
    is iterated.
    """

    forget: float = 0.9995
    label: ClassVar[str] = "HAR"
    wants: ClassVar[frozenset[Extra]] = frozenset({"finer"})

    def path(self, history: History, window: int, refit_every: int, progress: Progress = silent) -> VariancePath:
        """Return the forecasts of all returns of the candles."""
        levels = _Levels.of(history)
        forecast, _ = self._walk(levels, refit_rows(levels.returns.size, window, refit_every))
        progress(1, 1, f"{history.candles.instrument} {self.label}")
        return levelled(forecast, levels.target, levels.returns)

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedVariance:
        """Fit to a history, to candles or to a 1-d array of log returns in decimals; at least 150 returns."""
        sample = Sample.of(x, MINIMUM_RETURNS)
        history = history_in(x, sample)
        levels = _Levels.of(history) if history is not None else _Levels.of_returns(sample.returns, sample.returns.size)
        forecast, b = self._walk(levels, refit_rows(levels.returns.size, levels.returns.size, REFIT_EVERY))
        path = levelled(forecast, levels.target, levels.returns)
        scale = scale_of(self.label, path, forecast)
        estimates_ = {"month": b[0], "c": b[1] * levels.unit, "day": b[2], "week": b[3]}

        def rows(returns: FloatArray, window: int) -> FloatArray:
            parts = _Levels.of_returns(returns, window, levels.unit)
            return scale * np.exp(_forecast(parts, slice(window, None), b, float(levels.target.max())))

        return FittedVariance(
            sample, self.label, FitStatus(converged=True), estimates_, float(tails(levels.returns, path.variance)[-1]),
            _Iterated(levels, b, scale, float(path.variance[-1])), rows if history is None else None,
        )  # fmt: skip

    def _walk(self, levels: _Levels, refits: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return (log forecasts, last coefficients); weighted least squares are ordinary ones of what is divided."""
        month = levels.x[:, :1]
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled, z = levels.x / month, levels.target / month[:-1, 0]
        known = np.flatnonzero(np.isfinite(scaled[:-1]).all(axis=1) & np.isfinite(z))
        rows = Rows(scaled[known], z[known], np.ones(known.size), known + 1)
        highest = np.r_[np.nan, np.maximum.accumulate(levels.target)]
        forecast, b = np.full(z.size + 1, np.nan), np.full(4, np.nan)
        stops = [*refits[1:].tolist(), z.size + 1]
        for (start, found), stop in zip(estimates(rows, refits, Ridge(0.0, self.forget)), stops, strict=True):
            b, part = found, slice(start, stop)
            forecast[part] = _forecast(levels, part, b, highest[part])
        return forecast, b


@dataclass(frozen=True, eq=False)
class _Levels:
    """Regressors of the HAR in levels: month, a constant, day and week, shape (n + 1, 4); the target (n,).

    The constant is ``unit``, the mean of the first variances, so that nothing hangs on the scale of the returns.
    """

    x: FloatArray
    target: FloatArray
    returns: FloatArray
    variance: FloatArray
    spans: tuple[int, int]
    unit: float

    @classmethod
    def of(cls, history: History) -> _Levels:
        """Return the rows of the candles, with realised variance where there are finer bars."""
        design, terms = design_of(history), terms_of(history)
        at = np.searchsorted(terms.close_time, design.as_of)
        spans = SPANS[history.candles.instrument.always_open][:2]
        return cls._made(terms.measures.variance, at, spans, design.target, design.returns, None)

    @classmethod
    def of_returns(cls, returns: FloatArray, window: int, unit: float | None = None) -> _Levels:
        """Return the rows of bare returns: their squares."""
        week, month = SPANS[False][:2]
        at = np.arange(-1, returns.size)
        return cls._made(returns**2, at, (min(week, window), min(month, window)), returns**2, returns, unit)

    @classmethod
    def _made(
        cls, variance: FloatArray, at: IntArray, spans: tuple[int, int], target: FloatArray, returns: FloatArray,
        unit: float | None,
    ) -> _Levels:  # fmt: skip
        week, month = (trailing_mean(variance, span) for span in spans)
        first = float(np.nanmean(variance[:WARM_UP])) if unit is None else unit
        x = np.column_stack([month, np.full(variance.size, first), variance, week])[at]
        x[at < 0] = np.nan
        return cls(x, target, returns, variance, spans, first)


@dataclass(frozen=True, eq=False)
class _Iterated:
    """The variance over h bars: each bar's forecast is put in for its variance, and the next one made."""

    levels: _Levels
    b: FloatArray
    scale: float
    first: float

    def __call__(self, horizon: int) -> float:
        """Return the expected square of the return over ``horizon`` bars."""
        week, month = self.levels.spans
        seen = self.levels.variance[np.isfinite(self.levels.variance)].tolist()
        highest, total = float(max(seen)), self.first
        seen.append(self.first / self.scale)
        for _ in range(horizon - 1):
            monthly = float(np.mean(seen[-month:]))
            x = np.array([monthly, self.levels.unit, seen[-1], float(np.mean(seen[-week:]))])
            seen.append(min(max(float(x @ self.b), _LOWEST * monthly), highest))
            total += self.scale * seen[-1]
        return total


def _forecast(levels: _Levels, part: slice, b: FloatArray, highest: FloatArray | float) -> FloatArray:
    """Return the log forecasts of some rows, between a tenth of the month's mean and the highest variance seen."""
    value = np.einsum("ij,j->i", levels.x[part], b)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.minimum(np.maximum(value, _LOWEST * levels.x[part, 0]), highest)))


@dataclass(frozen=True, eq=False)
class Curve:
    """The variance over h bars of a log regression: a regression of its own for each horizon, and lines between them.

    It never falls with h. Horizons with fewer than five returns a bar have no regression: there the variance grows in
    proportion.
    """

    ridge: Ridge
    own: Design
    peers: Sequence[Design]
    path: VariancePath

    def __call__(self, horizon: int) -> float:
        """Return the expected square of the return over ``horizon`` bars."""
        last = int(np.searchsorted(self.horizons, horizon))
        if last < self.horizons.size:
            known = np.maximum.accumulate([self._over(int(h)) for h in self.horizons[: last + 1]])
            return float(np.interp(horizon, self.horizons[: last + 1], known))
        return self(int(self.horizons[-1])) * horizon / float(self.horizons[-1])

    @cached_property
    def horizons(self) -> IntArray:
        """Return the horizons with a regression; the first is the one-step forecast."""
        n = self.own.returns.size
        return np.array([1, *(h for h in _ANCHORS if h * _ROWS_A_BAR <= n)], dtype=np.intp)

    def _over(self, horizon: int) -> float:
        """Return the variance over a horizon that has a regression."""
        if horizon == 1:
            return float(self.path.variance[-1])
        n = self.own.returns.size
        rows = Rows.of(self.own, self.peers, self.ridge.peer_weight, horizon)
        _, b = next(estimates(rows, np.array([n]), self.ridge))
        fitted = np.exp(predicted(self.own, slice(None), b))
        ratio = np.exp(self.own.over(horizon) + self.own.base[:-1]) / fitted[:-1]
        level = float(np.mean(np.minimum(ratio[np.isfinite(ratio)], HIGHEST_RATIO)))
        squares = float(self.path.variance[-1] / self.path.realised[-1])
        return horizon * float(fitted[-1]) * level * squares


def history_in(x: History | Candles | Returns | FloatArray, sample: Sample) -> History | None:
    """Return what was given as a history; None for bare returns."""
    if isinstance(x, History):
        return x
    return None if sample.candles is None else History(sample.candles)


def implied_of(history: History) -> tuple[Observations, ...]:
    """Return the closes of the VIX among the observations, of all sources together; nothing for coins and the VIX."""
    instrument = history.candles.instrument
    if instrument.always_open or instrument.base == "VIX":
        return ()
    found = [o for o in history.observations if (o.instrument.id, o.name) == ("VIX.INDEX", "close")]
    if not found:
        return ()
    frame = pl.concat([o.frame for o in found]).unique(["about", "known_at"], keep="first", maintain_order=True)
    return (replace(found[0], frame=frame.sort("about", "known_at")),)


def scale_of(label: str, path: VariancePath, forecast: FloatArray) -> float:
    """Return the expected squared return over the exponential of the log forecast, at the end of the data.

    Raises ``ForecastRefused`` where there is no forecast.
    """
    if not path.variance[-1] > 0:  # NaN, too
        raise ForecastRefused(
            f"{label} has no forecast after {forecast.size - 1} returns.",
            "Too little is known before the end, or the market stood still.",
            "Get more history, or ask for a simpler model such as ewma.",
        )
    return float(path.variance[-1] / np.exp(forecast[-1]))
