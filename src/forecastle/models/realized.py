"""Realised measures: what the bars inside a bar, or its own range, say about its variance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from forecastle.errors import ForecastRefused
from forecastle.nouns import Candles, History
from forecastle.sessions import Times, found_in, is_intraday, step_of

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]

COMPLETE = 0.8
"""Share of the usual number of finer bars that a bar needs; with fewer (an outage) its own range has to do."""
LAST_SHARE = 0.25
"""The end of a bar that is looked at apart: the last six hours of a day."""
MISPRINT = 100.0
"""A variance of more than so many times the usual one, and more than the bar's own squared return, is a bad print."""
_USUAL, _LEAST_USUAL, _USUAL_STEP = 250, 30, 10
_HOUR = timedelta(hours=1)
_PARKINSON = 1.0 / (4.0 * math.log(2.0))
_GARMAN_KLASS = 2.0 * math.log(2.0) - 1.0
_BIPOWER = math.pi / 2.0


@dataclass(frozen=True, eq=False)
class Measures:
    """Measures of n bars, arrays of shape (n,); NaN where unknown. Variances are those of log returns in decimals.

    ``returns`` from the close before. ``variance`` is the best there is of the whole bar, from close to close:
    realised variance, else what the range says, else the squared return. ``spread`` the same from high and low alone:
    the realised range, else that of the bar. ``bar_range`` is Parkinson's of the bar itself; ``down`` the part of the
    variance from falling finer bars, ``bipower`` the part without jumps, ``last`` and ``last_spread`` those of the last
    quarter of the bar; NaN without finer bars. ``realised`` says where ``variance`` comes from finer bars, ``ranged``
    whether ranges are known at all, ``inside`` whether finer bars were given.
    """

    close_time: Times
    returns: FloatArray
    variance: FloatArray
    spread: FloatArray
    bar_range: FloatArray
    down: FloatArray
    bipower: FloatArray
    last: FloatArray
    last_spread: FloatArray
    turnover: FloatArray
    realised: BoolArray
    ranged: bool
    inside: bool

    def __len__(self) -> int:
        return int(self.returns.size)


@dataclass(frozen=True, eq=False)
class _Inside:
    """Sums over the finer bars of each bar, shape (n,), NaN where there are too few of them."""

    variance: FloatArray
    spread: FloatArray
    down: FloatArray
    bipower: FloatArray
    last: FloatArray
    last_spread: FloatArray


def measures_of(history: History) -> Measures:
    """Return the measures of every bar of the candles.

    A bar with fewer than 80 % of the usual number of finer bars falls back on its own range, scaled by what realised
    variance was to the range before it.
    """
    candles, n = history.candles, len(history.candles)
    close = np.log(candles.frame["close"].to_numpy())
    returns = np.r_[np.nan, np.diff(close)]
    ranged = candles.prices == "ohlc"
    follows = found_in(candles.times("close_time"), history.returns.target_time)
    returns[~follows] = np.nan
    inside = _inside(candles, history.finer, follows)
    gap = np.where(follows, opening_gap(candles), 0.0) if ranged else np.full(n, np.nan)
    own = garman_klass(candles) + gap**2 if ranged else returns**2
    bar_range = parkinson(candles) if ranged else np.full(n, np.nan)
    realised = np.isfinite(inside.variance)
    variance = np.where(realised, inside.variance, own * _scale_before(inside.variance, own))
    whole_range = bar_range + gap**2
    spread = np.where(realised, inside.spread, whole_range * _scale_before(inside.spread, whole_range))
    turnover = candles.frame["close"].to_numpy() * candles.frame["volume"].to_numpy()

    def limited(values: FloatArray) -> FloatArray:
        return believable(values, returns)

    return Measures(
        candles.times("close_time"), returns, limited(variance), limited(spread), limited(bar_range),
        limited(inside.down), limited(inside.bipower), limited(inside.last), limited(inside.last_spread),
        np.where(turnover > 0, turnover, np.nan), realised, ranged, history.finer is not None,
    )  # fmt: skip


def believable(values: FloatArray, returns: FloatArray) -> FloatArray:
    """Return variances of bars, shape (n,), with those that one bad print makes brought down.

    None is above ``MISPRINT`` times the median of up to 250 bars before it, unless the bar's own squared return is: a
    crash leaves its trace in the close, a wrong high does not. NaN stays NaN; the first 30 bars are taken as they are.
    """
    padded = np.r_[np.full(_USUAL, np.nan), values]
    windows = np.lib.stride_tricks.sliding_window_view(padded, _USUAL)[: values.size : _USUAL_STEP]
    enough = np.isfinite(windows).sum(axis=1) >= _LEAST_USUAL
    usual = np.full(windows.shape[0], np.inf)
    usual[enough] = np.nanmedian(windows[enough], axis=1)
    limit = np.maximum(MISPRINT * np.repeat(usual, _USUAL_STEP)[: values.size], np.nan_to_num(returns**2))
    return np.where(values > limit, limit, values)


def measures_of_returns(returns: FloatArray) -> Measures:
    """Return the measures of bare returns, shape (n,): squares, and nothing else is known."""
    unknown = np.full(returns.size, np.nan)
    return Measures(
        np.array([], "datetime64[us]"), returns, returns**2, unknown, unknown, unknown, unknown, unknown, unknown,
        unknown, np.zeros(returns.size, np.bool_), ranged=False, inside=False,
    )  # fmt: skip


def parkinson(candles: Candles) -> FloatArray:
    """Return ``ln(H/L)^2 / (4 ln 2)`` of each bar, shape (n,): Parkinson (1980), Journal of Business 53, 61-65."""
    _, high, low, _ = _log_prices(candles)
    return np.asarray((high - low) ** 2 * _PARKINSON)


def garman_klass(candles: Candles) -> FloatArray:
    """Return ``ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2``: Garman and Klass (1980), Journal of Business 53, 67-78."""
    begin, high, low, close = _log_prices(candles)
    return np.asarray(0.5 * (high - low) ** 2 - _GARMAN_KLASS * (close - begin) ** 2)


def rogers_satchell(candles: Candles) -> FloatArray:
    """Return ``ln(H/C) ln(H/O) + ln(L/C) ln(L/O)``: Rogers and Satchell (1991), Ann. Appl. Prob. 1, 504-512."""
    begin, high, low, close = _log_prices(candles)
    return np.asarray((high - close) * (high - begin) + (low - close) * (low - begin))


def opening_gap(candles: Candles) -> FloatArray:
    """Return ``ln(O / close before)`` of each bar, NaN for the first, shape (n,)."""
    begin, _, _, close = _log_prices(candles)
    return np.asarray(np.r_[np.nan, begin[1:] - close[:-1]])


def refuse_close_only(candles: Candles, label: str) -> None:
    """Raise ``ForecastRefused`` where open, high and low only repeat the close."""
    if candles.prices != "ohlc":
        raise ForecastRefused(
            f"{label} needs ranges; of {candles.instrument} from {candles.source} only closes are known.",
            "Open, high and low repeat the close there and say nothing.",
            "Choose a source with open, high and low, or a model of returns such as garch.",
        )


def trailing_mean(values: FloatArray, count: int, decay: float = 1.0) -> FloatArray:
    """Return the mean of the last ``count`` values up to each, of those that are known; NaN where none is.

    Weights are ``decay^age``. Each mean is summed on its own: a value outside the ``count`` leaves no trace, not even
    in the rounding.
    """
    padded = np.r_[np.full(count - 1, np.nan), values]
    known = np.isfinite(padded)
    weights = decay ** np.arange(count - 1, -1, -1)
    windows = np.lib.stride_tricks.sliding_window_view(np.where(known, padded, 0.0), count)
    whole = np.lib.stride_tricks.sliding_window_view(known.astype(np.float64), count)
    sums, total = np.einsum("ij,j->i", windows, weights), np.einsum("ij,j->i", whole, weights)
    mean = np.full(values.size, np.nan)
    np.divide(sums, total, out=mean, where=total > 0)
    return mean


def _log_prices(candles: Candles) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    begin, high, low, close = (np.log(candles.frame[c].to_numpy()) for c in ("open", "high", "low", "close"))
    return begin, high, low, close


def _scale_before(realised: FloatArray, own: FloatArray) -> FloatArray:
    """Return the sum of ``realised`` over that of ``own`` over the bars before each that have both; 1 at first."""
    both = np.isfinite(realised) & np.isfinite(own)
    above, below = (np.cumsum(np.where(both, v, 0.0)) for v in (realised, own))
    ratio = np.divide(above, below, out=np.ones(own.size), where=below > 0)
    return np.asarray(np.r_[1.0, ratio[:-1]])


def _inside(candles: Candles, finer: Candles | None, follows: BoolArray) -> _Inside:
    """Sum up the finer bars of each bar."""
    n = len(candles)
    if finer is None or not len(finer) or not n:
        unknown = np.full(n, np.nan)
        return _Inside(unknown, unknown, unknown, unknown, unknown, unknown)
    bar, inside = _bar_of(candles, finer)
    returns = _finer_returns(finer, bar, follows)
    before = np.r_[np.nan, returns[:-1]]
    same = np.r_[False, bar[1:] == bar[:-1]]
    product = np.where(same, np.abs(returns * before), 0.0)
    spread = parkinson(finer) if finer.prices == "ohlc" else np.full(len(finer), np.nan)
    late = inside & _is_late(candles, finer, bar)
    enough = _enough(candles, finer, np.bincount(bar[inside], minlength=n))

    def total(values: FloatArray, rows: BoolArray, scale: float = 1.0) -> FloatArray:
        sums = np.bincount(bar[rows], np.nan_to_num(values[rows]), minlength=n)
        return np.where(enough, scale * sums, np.nan)

    squares = returns**2
    variance = total(squares, inside)
    return _Inside(
        variance, total(spread, inside), total(np.where(returns < 0, squares, 0.0), inside),
        np.minimum(total(product, inside, _BIPOWER), variance),
        total(squares, late, 1.0 / LAST_SHARE), total(spread, late, 1.0 / LAST_SHARE),
    )  # fmt: skip


def _bar_of(candles: Candles, finer: Candles) -> tuple[IntArray, BoolArray]:
    """Return the number of the bar that each finer bar closes in, and whether it lies in one.

    For daily sessions a finer bar belongs to the first session that closes at or after it.
    """
    closes, opens = candles.times("close_time"), candles.times("open_time")
    bar = np.searchsorted(closes, finer.times("close_time"), side="left")
    inside = bar < closes.size
    bar = np.minimum(bar, closes.size - 1)
    slack = np.timedelta64(0, "us") if is_intraday(candles.timeframe) else np.timedelta64(12, "h")
    inside &= finer.times("open_time") >= opens[bar] - slack  # bars before the session belong to it, too
    return bar, inside


def _finer_returns(finer: Candles, bar: IntArray, follows: BoolArray) -> FloatArray:
    """Return the log return of each finer bar from the close before it, from its own open after a hole.

    The first of a bar starts at the last of the bar before, so that its squares add up to the variance from close to
    close, the night included.
    """
    begin, close = (np.log(finer.frame[c].to_numpy()) for c in ("open", "close"))
    joined = (bar[1:] == bar[:-1]) | ((bar[1:] == bar[:-1] + 1) & follows[bar[1:]])
    return np.asarray(close - np.r_[begin[0], np.where(joined, close[:-1], begin[1:])])


def _is_late(candles: Candles, finer: Candles, bar: IntArray) -> BoolArray:
    """Return which finer bars open in the last quarter of their bar."""
    opens, closes = candles.times("open_time"), candles.times("close_time")
    begin = closes - ((closes - opens) * LAST_SHARE).astype("timedelta64[us]")
    return np.asarray(finer.times("open_time") >= begin[bar])


def _enough(candles: Candles, finer: Candles, counts: IntArray) -> BoolArray:
    """Return which bars have at least 80 % of their finer bars.

    How many there are says the clock where the market never closes and the finer bars are hours, else the median of the
    bars before and this one: in many minutes nobody trades.
    """
    whole, part = step_of(candles.timeframe), step_of(finer.timeframe)
    if candles.instrument.always_open and whole is not None and part is not None and part >= _HOUR:
        return np.asarray(counts >= COMPLETE * float(whole / part))
    padded = np.r_[np.full(29, np.nan), np.where(counts > 0, counts, np.nan)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, 30)
    usual = np.array([np.median(w[np.isfinite(w)]) if np.isfinite(w).any() else np.inf for w in windows])
    return np.asarray(counts >= COMPLETE * usual)
