"""Mistakes that people make, each planted once, and features that are innocent, some of which look guilty."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

from features.feature_series import observations
from forecastle.audit import Compute
from forecastle.nouns import Candles, History
from forecastle.nouns.candles import TIME
from hourly import hourly_market
from making import make_candles, without

FloatArray = npt.NDArray[np.float64]
DAYS = 300
HOLES = (90, 91, 180)


def demanding() -> History:
    """Return days with the hours inside them, holes, revised observations and a peer with holes of its own."""
    market = hourly_market("ETH-USDT", DAYS, 5, "2023-12-01")
    days = without(market.candles, *HOLES)
    observed = tuple(
        observations(name, DAYS + 10, seed=seed, start="2023-11-28") for seed, name in enumerate(("mvrv", "supply"))
    )
    peer = without(make_candles(DAYS, instrument="BTC-USDT", start="2023-12-01", seed=8), 50, 51)
    return History(days, market.finer, observed, (History(peer),))


# --- how the corpus is written down: a function of the closes, or of the whole history

Column = Callable[[FloatArray], FloatArray]


def _of_closes(column: Column) -> Compute:
    def compute(history: History) -> pl.DataFrame:
        close = history.candles.frame["close"].to_numpy()
        return _frame(history.candles, column(np.array(close)))

    return compute


def _frame(candles: Candles, values: FloatArray) -> pl.DataFrame:
    return pl.DataFrame({"known_at": candles.frame["close_time"], "x": values})


def _of_frame(expression: pl.Expr) -> Compute:
    """Return what computes one expression over the bars, with ``r`` the log returns between rows."""

    def compute(history: History) -> pl.DataFrame:
        frame = history.candles.frame.with_columns(r=pl.col("close").log().diff())
        return frame.select(known_at="close_time", x=expression)

    return compute


def _moving(x: FloatArray, n: int) -> FloatArray:
    out = np.full(x.size, np.nan)
    for t in range(n - 1, x.size):
        out[t] = x[t - n + 1 : t + 1].mean()
    return out


def _ema(x: FloatArray, alpha: float = 0.1) -> FloatArray:
    out, value = np.empty(x.size), x[0] if x.size else 0.0
    for t in range(x.size):
        value += alpha * (x[t] - value)
        out[t] = value
    return out


# --- guilty


def _centred(x: FloatArray) -> FloatArray:
    out = np.full(x.size, np.nan)
    for t in range(5, x.size - 5):
        out[t] = x[t - 5 : t + 6].mean()
    return out


def _backfilled(x: FloatArray) -> FloatArray:
    out = _moving(x, 10)
    known = np.flatnonzero(~np.isnan(out))
    if known.size:
        out[: known[0]] = out[known[0]]
    return out


def _interpolated(history: History) -> pl.DataFrame:
    """Days in a row, those that are missing drawn as a line between their neighbours."""
    frame = history.candles.frame.select(known_at="close_time", x="close")
    line = frame.upsample("known_at", every="1d").with_columns(pl.col("x").interpolate())
    return line.with_columns(pl.col("x").rolling_mean(3))


def _left_labelled(history: History) -> pl.DataFrame:
    """Four days to a bar, known at its open."""
    bars = history.candles.frame.group_by_dynamic("open_time", every="4d", closed="left", label="left")
    return bars.agg(x=pl.col("close").last()).select(known_at=pl.col("open_time").cast(TIME), x="x")


def _unfinished(history: History) -> pl.DataFrame:
    """Four days to a bar, known at its close, the last one with what is there of it."""
    bars = history.candles.frame.group_by_dynamic("open_time", every="4d").agg(x=pl.col("close").last())
    return bars.select(known_at=(pl.col("open_time") + pl.duration(days=4)).cast(TIME), x="x")


def _target_encoded(history: History) -> pl.DataFrame:
    """The mean return of each weekday, over all that is there."""
    frame = history.candles.frame.with_columns(
        r=pl.col("close").log().diff(), day=pl.col("open_time").dt.weekday()
    )  # fmt: skip
    return frame.select(known_at="close_time", x=pl.col("r").mean().over("day"))


def _future_join(history: History) -> pl.DataFrame:
    """The peer's bar that comes next: as-of in the wrong direction."""
    peer = history.peers[0].candles.frame.select(at="close_time", x="close")
    mine = history.candles.frame.select(known_at="close_time").with_columns(
        after=pl.col("known_at") + pl.duration(hours=1)
    )  # fmt: skip
    return mine.join_asof(peer, left_on="after", right_on="at", strategy="forward").select("known_at", "x")


def _open_join(history: History) -> pl.DataFrame:
    """Hours joined with the day by its open: at one in the morning they know the close of the day."""
    assert history.finer is not None
    days = history.candles.frame.select(open_time="open_time", x="close")
    hours = history.finer.frame.select(known_at="close_time")
    joined = hours.join_asof(days, left_on="known_at", right_on="open_time")
    return joined.select("known_at", "x")


def _restated(history: History) -> pl.DataFrame:
    """The last revision of each value, from when the first was known."""
    rows = history.observations[0].frame
    last = rows.group_by("about", maintain_order=True).agg(pl.col("known_at").first(), pl.col("value").last())
    return _asof(history, last, "known_at")


def _on_about(history: History) -> pl.DataFrame:
    """Values from the day they are about, two days before anybody knew them."""
    rows = history.observations[0].frame.unique("about", keep="first", maintain_order=True)
    return _asof(history, rows, "about")


def _asof(history: History, rows: pl.DataFrame, on: str) -> pl.DataFrame:
    mine = history.candles.frame.select(known_at="close_time")
    right = rows.select(at=on, x="value").sort("at")
    return mine.join_asof(right, left_on="known_at", right_on="at").select("known_at", "x")


def _detrended(x: FloatArray) -> FloatArray:
    if x.size < 3:
        return np.full(x.size, np.nan)
    t = np.arange(x.size)
    return x - np.polyval(np.polyfit(t, x, 1), t)


def _filtered_both_ways(x: FloatArray) -> FloatArray:
    return _ema(_ema(x)[::-1])[::-1] if x.size else x


def _pivot(x: FloatArray) -> FloatArray:
    """The last pivot high, at the bar that is the high: three bars before anybody could say so."""
    out, last = np.full(x.size, np.nan), np.nan
    for t in range(x.size):
        if 3 <= t < x.size - 3 and x[t] == x[t - 3 : t + 4].max():
            last = x[t]
        out[t] = last
    return out


def _principal(history: History) -> pl.DataFrame:
    """The first component of two columns, fitted on all rows."""
    frame = history.candles.frame.with_columns(r=pl.col("close").log().diff(), w=(pl.col("high") / pl.col("low")).log())
    table = frame.select("r", "w").fill_null(0.0).to_numpy()
    if len(table) < 3:
        return _frame(history.candles, np.full(len(table), np.nan))
    _, _, axes = np.linalg.svd(table - table.mean(axis=0), full_matrices=False)
    return _frame(history.candles, table @ axes[0] * np.sign(axes[0][0]))


def _scaled_once(history: History) -> pl.DataFrame:
    """A scaler of the walk-forward kind that was handed all rows at the first refit."""
    return _walked(history, lambda x, upto: x)


def _day_from_hours_of_tomorrow(history: History) -> pl.DataFrame:
    """Hours summed to days by a label that is a day late: the day of the close is the day after."""
    assert history.finer is not None
    hours = history.finer.frame.with_columns(day=pl.col("open_time").dt.truncate("1d"), r=pl.col("close").log().diff())
    sums = hours.group_by("day", maintain_order=True).agg(x=pl.col("r").pow(2).sum())
    mine = history.candles.frame.select(known_at="close_time", day="close_time")
    return mine.join(sums, on="day", how="left", maintain_order="left").select("known_at", "x")


def _split_to_come(history: History) -> pl.DataFrame:
    """Closes put right for splits that are guessed from the bar after; no bar here looks like one, until poisoned."""
    close = history.candles.frame["close"].to_numpy()
    ratio = close[1:] / close[:-1]
    factor = np.append(np.where((ratio < 0.55) | (ratio > 1.8), ratio, 1.0), 1.0)
    return _frame(history.candles, close * np.cumprod(factor[::-1])[::-1])


GUILTY: dict[str, Compute] = {
    "negative shift": _of_frame(pl.col("close").log().diff().shift(-1)),
    "centred window": _of_closes(_centred),
    "global scaler": _of_frame((pl.col("close") - pl.col("close").mean()) / pl.col("close").std()),
    "backfill": _of_closes(_backfilled),
    "left-labelled resample": _left_labelled,
    "target encoding": _target_encoded,
    "future join": _future_join,
    "open-time join": _open_join,
    "unfinished candle": _unfinished,
    "restated data": _restated,
    "whole-series min/max": _of_frame(
        (pl.col("close") - pl.col("close").min()) / (pl.col("close").max() - pl.col("close").min())
    ),
    "interpolation over a hole": _interpolated,
    "trend of the whole series": _of_closes(_detrended),
    "limits from all quantiles": _of_frame(pl.col("r").clip(pl.col("r").quantile(0.01), pl.col("r").quantile(0.99))),
    "filter in both directions": _of_closes(_filtered_both_ways),
    "nulls filled with the mean of all": _of_frame(pl.col("r").rolling_std(20).fill_null(pl.col("r").std())),
    "principal component of all rows": _principal,
    "value on the day it is about": _on_about,
    "lagging span drawn forward": _of_frame(pl.col("close").shift(-26)),
    "pivot where it is, not when it is known": _of_closes(_pivot),
    "rank among all": _of_frame(pl.col("close").rank() / pl.len()),
    "scaler handed all rows": _scaled_once,
    "splits to come": _split_to_come,
    "place in the whole": _of_frame(pl.int_range(pl.len()).cast(pl.Float64) / pl.len()),
    "hours of the day to come": _day_from_hours_of_tomorrow,
}  # fmt: skip
"""Each is a mistake that was made somewhere."""


# --- innocent


def _walked(history: History, training: Callable[[FloatArray, int], FloatArray], every: int = 40) -> pl.DataFrame:
    """Scale each block by the mean and deviation of the rows it was trained on."""
    x = np.diff(np.log(history.candles.frame["close"].to_numpy()), prepend=np.nan)[1:]
    out = np.full(x.size + 1, np.nan)
    for first in range(80, x.size, every):
        known = training(x, first)
        out[first + 1 : first + every + 1] = (x[first : first + every] - known.mean()) / known.std()
    return _frame(history.candles, out)


def _scaled_in_the_fold(history: History) -> pl.DataFrame:
    return _walked(history, lambda x, upto: x[:upto])


def _whole_bars(history: History) -> pl.DataFrame:
    """Four days to a bar, known at its close, bars that are not whole left out."""
    frame = history.candles.frame.sort("open_time")
    bars = frame.group_by_dynamic("open_time", every="4d").agg(pl.col("close").last(), pl.len())
    return bars.filter(pl.col("len") == 4).select(
        known_at=(pl.col("open_time") + pl.duration(days=4)).cast(TIME), x="close"
    )


def _known_values(history: History) -> pl.DataFrame:
    """At each close the newest value that was known, the revision of it where there is one by then."""
    rows = history.observations[0].frame
    about, known = (rows[c].dt.replace_time_zone(None).to_numpy() for c in ("about", "known_at"))
    value, out = rows["value"].to_numpy(), []
    for close in history.candles.times("close_time"):
        seen = np.flatnonzero(known <= close)
        newest = seen[about[seen] == about[seen].max()] if seen.size else seen
        out.append(value[newest[np.argmax(known[newest])]] if newest.size else np.nan)
    return _frame(history.candles, np.array(out))


def _peer_by_close(history: History) -> pl.DataFrame:
    peer = history.peers[0].candles.frame.select(at="close_time", x="close")
    mine = history.candles.frame.select(known_at="close_time")
    return mine.join_asof(peer, left_on="known_at", right_on="at").select("known_at", "x")


def _hours_by_close(history: History) -> pl.DataFrame:
    assert history.finer is not None
    hours = history.finer.frame.with_columns(day=pl.col("open_time").dt.truncate("1d"), r=pl.col("close").log().diff())
    sums = hours.group_by("day", maintain_order=True).agg(x=pl.col("r").pow(2).sum(), n=pl.len())
    mine = history.candles.frame.select(known_at="close_time", day="open_time")
    return mine.join(sums.filter(pl.col("n") == 24), on="day", how="left", maintain_order="left").select(
        "known_at", "x"
    )


def _confirmed_pivot(x: FloatArray) -> FloatArray:
    out, last = np.full(x.size, np.nan), np.nan
    for t in range(x.size):
        if t >= 6 and x[t - 3] == x[t - 6 : t + 1].max():
            last = x[t - 3]
        out[t] = last
    return out


def _turning(x: FloatArray) -> FloatArray:
    """A stop that follows the price and changes sides."""
    out, side, stop = np.full(x.size, np.nan), 1.0, np.nan
    for t in range(x.size):
        level = x[t] * (1 - 0.05 * side)
        stop = level if np.isnan(stop) else max(stop, level) if side > 0 else min(stop, level)
        if side * (x[t] - stop) < 0:
            side, stop = -side, x[t] * (1 + 0.05 * side)
        out[t] = stop * side
    return out


def _reproducible_noise(history: History) -> pl.DataFrame:
    """Noise by the moment: looks random, and is the same whatever comes after."""
    stamps = history.candles.times("close_time").astype(np.int64) // 1_000_000
    return _frame(history.candles, np.array([np.random.default_rng(int(s)).normal() for s in stamps]))


INNOCENT: dict[str, Compute] = {
    "lag": _of_frame(pl.col("close").shift(3)),
    "return": _of_frame(pl.col("r")),
    "window to the right": _of_closes(lambda x: _moving(x, 20)),
    "exponential mean": _of_closes(_ema),
    "expanding mean": _of_closes(lambda x: np.cumsum(x) / np.arange(1, x.size + 1)),
    "highest so far": _of_frame(pl.col("high").cum_max()),
    "drawdown from the highest so far": _of_frame(pl.col("close") / pl.col("close").cum_max() - 1),
    "running sum of volume": _of_frame(pl.col("volume").cum_sum()),
    "median of a window": _of_closes(lambda x: np.array([np.median(x[max(t - 9, 0) : t + 1]) for t in range(x.size)])),
    "channel of a window": _of_frame(pl.col("high").rolling_max(20) - pl.col("low").rolling_min(20)),
    "score by an expanding window": _of_closes(
        lambda x: np.array([(x[t] - x[: t + 1].mean()) / (x[: t + 1].std() + 1e-9) for t in range(x.size)])
    ),
    "rank among those before": _of_closes(lambda x: np.array([(x[: t + 1] <= x[t]).mean() for t in range(x.size)])),
    "forward fill with a limit": _of_frame(
        pl.when(pl.col("r").abs() > 0.02).then(pl.col("r")).forward_fill(limit=5)
    ),
    "day of the week": _of_frame(pl.col("open_time").dt.weekday().cast(pl.Float64)),
    "first value ever": _of_frame(pl.col("close").first()),
    "bars keyed by their close": _whole_bars,
    "what was known, revisions when they came": _known_values,
    "peer by its close": _peer_by_close,
    "hours summed to the day that is over": _hours_by_close,
    "pivot once it is confirmed": _of_closes(_confirmed_pivot),
    "stop that changes sides": _of_closes(_turning),
    "scaler inside the fold": _scaled_in_the_fold,
    "noise by the moment": _reproducible_noise,
}  # fmt: skip
"""Each looks at the past alone."""
