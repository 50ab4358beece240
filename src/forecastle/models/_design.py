"""What a realised-variance model looks at: regressors of the log variance of the bar to come, one row a forecast.

Everything is relative to the mean variance of the last month, so that rows of different instruments and of any scale
mean the same, and zero says "as the month" or "not known".
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.models._reports import report_terms
from forecastle.models.realized import Measures, measures_of, measures_of_returns, trailing_mean
from forecastle.nouns import Candles, History, Observations
from forecastle.sessions import Times, calendar, is_intraday, step_of

FloatArray = npt.NDArray[np.float64]

SPANS = {True: (7, 30, 90, 365), False: (5, 22, 66, 252)}
"""Bars of a week, a month, a quarter and a year, of markets that never close and of those with sessions."""
FLOOR = 0.01
"""Variances below a hundredth of the month's are raised to it: a bar that stood still has no logarithm."""
_CAP = 4.0
_FRESH = 5
"""Bars after which the last value of another series is too old to say anything."""


@dataclass(frozen=True, eq=False)
class Terms:
    """Regressors at the close of each of n bars: columns by name, shape (n,).

    ``base`` is the log of the month's mean variance. Its NaN means that nothing is known yet.
    """

    close_time: Times
    step: np.timedelta64
    base: FloatArray
    columns: Mapping[str, FloatArray]
    measures: Measures


@dataclass(frozen=True, eq=False)
class Design:
    """Forecast rows 0 .. n of n returns: row s is known at ``as_of[s]`` and is about return s; row n about the next.

    ``x`` has shape (n + 1, p), ``base`` (n + 1,); ``target`` and ``returns`` (n,): the variance measure and the return
    of the bar to come, known at ``known_at`` (n,).
    """

    names: tuple[str, ...]
    x: FloatArray
    base: FloatArray
    target: FloatArray
    returns: FloatArray
    as_of: Times
    known_at: Times

    @property
    def response(self) -> FloatArray:
        """Return ``ln(target) - base``, at least ``ln FLOOR``; shape (n,)."""
        return self.over(1)

    def over(self, horizon: int) -> FloatArray:
        """Return the log of the mean target over the next ``horizon`` returns, relative to ``base``; shape (n,).

        NaN where fewer are left.
        """
        n = self.target.size
        mean = np.full(n, np.nan)
        if n >= horizon:
            windows = np.lib.stride_tricks.sliding_window_view(self.target, horizon)
            mean[: n - horizon + 1] = windows.mean(axis=1)
        with np.errstate(divide="ignore"):
            return np.asarray(np.maximum(np.log(mean) - self.base[:-1], np.log(FLOOR)))


_TERMS: weakref.WeakKeyDictionary[Candles, tuple[Candles | None, Terms]] = weakref.WeakKeyDictionary()


def design_of(history: History, market: Sequence[History] = (), implied: Sequence[Observations] = ()) -> Design:
    """Return the forecast rows of ``history``.

    With ``market``, this instrument and others, there are terms of the whole market, the mean over them; ``implied``
    are implied volatility indices in points, of which the latest value known at each close is taken.
    """
    own = terms_of(history)
    columns = dict(own.columns)
    if market:
        columns |= _market(own, [terms_of(member) for member in market])
    columns |= _implied(own, implied, history)
    names = tuple(columns)
    series = history.returns
    rows = np.searchsorted(own.close_time, np.r_[series.as_of, own.close_time[-1:]])
    targets = np.searchsorted(own.close_time, series.target_time)
    x = np.column_stack([np.ones(own.base.size), *(columns[name] for name in names)])[rows]
    return Design(
        ("const", *names), _bounded(x), own.base[rows], own.measures.variance[targets], series.values,
        own.close_time[rows], series.target_time,
    )  # fmt: skip


def design_of_returns(returns: FloatArray, window: int) -> Design:
    """Return the forecast rows of bare returns; none looks further back than ``window`` of them. Times are counts."""
    week, month, quarter, year = (min(span, window) for span in SPANS[False])
    base, columns = own_terms(measures_of_returns(returns), (week, month, quarter, year))
    x = np.column_stack([np.ones(returns.size), *columns.values()])
    before = np.full((1, x.shape[1]), 0.0)
    count = np.arange(returns.size + 1).astype("datetime64[us]")
    return Design(
        ("const", *columns), _bounded(np.r_[before, x]), np.r_[np.nan, base], returns**2, returns, count, count[1:]
    )


def _bounded(x: FloatArray) -> FloatArray:
    """Return the regressors with 0 where one is not known, and none beyond what the logarithm of a variance can be."""
    return np.ascontiguousarray(np.clip(np.nan_to_num(x, nan=0.0), -_CAP, _CAP))


def terms_of(history: History) -> Terms:
    """Return the regressors of one market at the close of each bar; made once for the same candles."""
    finer, found = _TERMS.get(history.candles, (None, None))
    if found is None or finer is not history.finer:
        measures = measures_of(history)
        base, columns = own_terms(measures, SPANS[history.candles.instrument.always_open])
        step = step_of(history.candles.timeframe) or np.timedelta64(31, "D")
        columns |= _season(history.candles) | _reports(history.candles)
        found = Terms(measures.close_time, step, base, columns, measures)
        _TERMS[history.candles] = (history.finer, found)
    return found


def own_terms(m: Measures, spans: tuple[int, int, int, int]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return the log of the month's mean variance, and the regressors made of the measures of one market, by name."""
    week, month, quarter, year = spans
    mean = {span: trailing_mean(m.variance, span) for span in spans}
    level = np.maximum(mean[month], FLOOR * mean[year])  # a month that stood still is not without risk
    with np.errstate(divide="ignore", invalid="ignore"):
        base = np.where(level > 0, np.log(level), np.nan)
        columns = {"day": _relative(m.variance, base)} if m.ranged or m.inside else {}
        columns |= {
            "week": _relative(mean[week], base), "month": np.log(mean[month]) - base,
            "quarter": _relative(mean[quarter], base), "year": _relative(mean[year], base),
        }  # fmt: skip
        columns |= _return_terms(m, week, np.exp(0.5 * base))
        if m.ranged or m.inside:
            columns |= _range_terms(m, week, month, base)
        if m.inside:
            columns |= _inside_terms(m, week, mean[week], base)
        columns |= _turnover_terms(m, week, month, quarter)
    return base, columns


def _relative(variance: FloatArray, base: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(np.log(variance) - base, np.log(FLOOR)))


def _return_terms(m: Measures, week: int, sigma: FloatArray) -> dict[str, FloatArray]:
    """Leverage: falls of the last bar and of the week, in standard deviations of the month."""
    z = np.clip(m.returns / sigma, -_CAP, _CAP)
    weekly = np.clip(week * trailing_mean(m.returns, week) / sigma, -_CAP, _CAP)
    return {"return": z, "size": np.abs(z), "fall": np.minimum(z, 0.0), "week_fall": np.minimum(weekly, 0.0)}


def _range_terms(m: Measures, week: int, month: int, base: FloatArray) -> dict[str, FloatArray]:
    return {
        "range_day": _relative(m.spread, base), "range_week": _relative(trailing_mean(m.spread, week), base),
        "range_month": _relative(trailing_mean(m.spread, month), base), "bar_range": _relative(m.bar_range, base),
    }  # fmt: skip


def _inside_terms(m: Measures, week: int, weekly: FloatArray, base: FloatArray) -> dict[str, FloatArray]:
    """What only finer bars tell: the share of falls, jumps, the last hours."""
    return {
        "down": m.down / m.variance - 0.5, "week_down": trailing_mean(m.down, week) / weekly - 0.5,
        "jump": np.minimum(_relative(m.variance, base) - _relative(m.bipower, base), -np.log(FLOOR)),
        "last": _relative(m.last, base), "last_range": _relative(m.last_spread, base),
    }  # fmt: skip


def _turnover_terms(m: Measures, week: int, month: int, quarter: int) -> dict[str, FloatArray]:
    usual = np.log(trailing_mean(m.turnover, month))
    return {
        "turnover": np.log(m.turnover) - usual,
        "turnover_week": np.log(trailing_mean(m.turnover, week)) - usual,
        "turnover_quarter": np.log(trailing_mean(m.turnover, quarter)) - usual,
    }


def _season(candles: Candles) -> dict[str, FloatArray]:
    """Return the weekday of the bar to come, and for bars within a day its hour as two waves: both known before."""
    closes = candles.times("close_time")
    if candles.timeframe in ("1w", "1mo") or not closes.size:
        return {}
    coming = _next_closes(candles, closes)
    weekday = (coming.astype("datetime64[D]").astype(np.int64) + 3) % 7
    if candles.instrument.always_open:  # a day's bar closes at the midnight after it
        weekday = ((coming - np.timedelta64(1, "us")).astype("datetime64[D]").astype(np.int64) + 3) % 7
    days = range(7 if candles.instrument.always_open else 5)
    columns = {f"weekday_{d}": (weekday == d) - 1.0 / len(days) for d in days}
    if not candles.instrument.always_open:
        columns["nights"] = np.log((coming - closes) / np.timedelta64(1, "D"))  # weekends and holidays between
    if is_intraday(candles.timeframe):
        angle = 2.0 * np.pi * ((coming - coming.astype("datetime64[D]")) / np.timedelta64(1, "D"))
        for k in (1, 2):
            columns |= {f"hour_sin_{k}": np.sin(k * angle), f"hour_cos_{k}": np.cos(k * angle)}
    return columns


def _reports(candles: Candles) -> dict[str, FloatArray]:
    """Return the terms of quarterly reports, for the days of stocks (those of funds have next to nothing to say)."""
    if candles.instrument.kind != "stock" or candles.timeframe != "1d" or not len(candles):
        return {}
    return report_terms(candles, _next_closes(candles, candles.times("close_time")))


def _next_closes(candles: Candles, closes: Times) -> Times:
    """Return when the bar closes that the calendar has after each, shape (n,)."""
    market = calendar(candles.instrument.calendar)
    after = market.next_closes(closes[-1], candles.timeframe, 1)
    _, known = market.bars(candles.times("open_time")[0], closes[-1], candles.timeframe)
    known = np.unique(np.r_[known, after])
    return np.asarray(known[np.minimum(np.searchsorted(known, closes, side="right"), known.size - 1)])


def _market(own: Terms, members: Sequence[Terms]) -> dict[str, FloatArray]:
    """Return the mean of some terms over the members, each as it was known at the close of each bar of ``own``."""
    columns = {}
    for name in ("range_day", "range_week", "quarter", "last_range"):
        known = np.array([_as_known(term, name, own.close_time) for term in members])
        count = np.isfinite(known).sum(axis=0)
        columns[f"market_{name}"] = np.where(count > 0, np.nansum(known, axis=0) / np.maximum(count, 1), np.nan)
    return columns


def _as_known(term: Terms, name: str, moments: Times) -> FloatArray:
    """Return the value of the last bar closed at each moment, NaN where it is missing or more than five bars old."""
    column = term.columns.get(name)
    if column is None or not column.size:
        return np.full(moments.size, np.nan)
    place = np.searchsorted(term.close_time, moments, side="right") - 1
    fresh = (place >= 0) & (moments - term.close_time[np.maximum(place, 0)] <= _FRESH * term.step)
    return np.where(fresh, column[np.maximum(place, 0)], np.nan)


def _implied(own: Terms, implied: Sequence[Observations], history: History) -> dict[str, FloatArray]:
    """Return the log of implied variance a bar over the month's, and what the index is to its own mean of a month.

    ``excess`` is the first to its own mean of a year: a stock is not as volatile as the index that options are on.
    """
    columns = {}
    candles = history.candles
    periods = candles.calendar.periods_per_year(candles.timeframe)
    for observed in implied:
        sigma = _latest(observed, own.close_time) / 100.0  # an index of 16 means 16 % a year
        _, month, _, year = SPANS[candles.instrument.always_open]
        name = f"implied_{observed.instrument.base.lower()}"
        columns[name] = np.log(sigma**2 / periods) - own.base
        columns[f"{name}_excess"] = columns[name] - trailing_mean(columns[name], year)
        columns[f"{name}_change"] = 2.0 * np.log(sigma / trailing_mean(sigma, month))
    return columns


def _latest(observed: Observations, moments: Times) -> FloatArray:
    """Return the value about the latest moment among those known at each of ``moments``; NaN where it is a week old."""
    frame = observed.frame.sort("known_at", "about")
    frame = frame.filter(pl.col("about") == pl.col("about").cum_max())  # not a late word on an earlier day
    known = frame["known_at"].dt.replace_time_zone(None).to_numpy()
    values = frame["value"].to_numpy()
    place = np.searchsorted(known, moments, side="right") - 1
    if not values.size:
        return np.full(moments.size, np.nan)
    fresh = (place >= 0) & (moments - known[np.maximum(place, 0)] <= np.timedelta64(7, "D"))
    positive = np.where(values > 0, values, np.nan)
    return np.where(fresh, positive[np.maximum(place, 0)], np.nan)
