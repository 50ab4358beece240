"""The numbers behind the charts of the quality page: a few thousand points, however long the series is."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns import Candles
from forecastle.reports._columns import Cells, rounded, stamp
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]

MOST_POINTS = 1_500
"""So many stretches a series is drawn in; a shorter one is drawn bar by bar."""
MOST_BUCKETS = 400
"""So many stretches of time the gaps are counted in."""
MOST_MARKS = 500
VOLATILITY_BARS = 30


def series_columns(candles: Candles, flags: pl.DataFrame) -> dict[str, Cells]:
    """Return ``t close low high volume volatility`` by stretch of bars, and ``flag_t flag_price`` of the flags.

    A stretch shows its last close, lowest low, highest high, mean volume a bar, and the volatility at its end in
    percent a bar. Where the bars pause for long, a row of nulls breaks the lines.
    """
    frame = candles.frame.with_columns(volatility=pl.Series(_volatility(candles)))
    per = max(1, math.ceil(len(candles) / MOST_POINTS))
    stretch = (pl.int_range(pl.len()) // per).alias("stretch")
    pauses = (pl.col("open_time") - pl.col("close_time").shift(1) > _pause(candles)).fill_null(value=False)
    points = frame.group_by(stretch, pauses.cum_sum().alias("part"), maintain_order=True).agg(
        pl.col("open_time").first(), pl.col("close_time").last(), pl.col("close").last(), pl.col("low").min(),
        pl.col("high").max(), pl.col("volume").mean(), pl.col("volatility").last(),
    )  # fmt: skip
    points = _broken_at_pauses(points, _pause(candles))
    cells: dict[str, Cells] = {"t": stamp(_times(points["close_time"]), candles.timeframe)}
    for name in ("close", "low", "high", "volume", "volatility"):
        cells[name] = rounded(points[name].fill_null(float("nan")).to_numpy())
    return cells | _marks(candles, flags)


def gap_columns(candles: Candles) -> dict[str, Cells]:
    """Return ``t`` and ``missing`` (percent of the bars the calendar has) by stretch of time, for all of the span."""
    opens, ends = candles.times("open_time"), candles.times("close_time")
    buckets = int(min(MOST_BUCKETS, max(1, len(candles))))
    edges = (opens[0] + (ends[-1] - opens[0]) * np.arange(buckets + 1) // buckets).astype("datetime64[us]")
    absent = np.histogram(candles.missing().astype(np.int64), edges.astype(np.int64))[0]
    there = np.histogram(opens.astype(np.int64), edges.astype(np.int64))[0]
    with np.errstate(invalid="ignore"):
        share = 100.0 * absent / (absent + there)
    return {"t": stamp(edges[:-1], candles.timeframe), "missing": rounded(np.nan_to_num(share))}


def _volatility(candles: Candles) -> FloatArray:
    """Return the root mean square of the last 30 log returns at each bar, in percent; NaN before there are 30."""
    close = np.log(candles.frame["close"].to_numpy())
    returns = pl.Series(np.diff(close, prepend=np.nan)).fill_nan(None)
    mean = (returns**2).rolling_mean(VOLATILITY_BARS, min_samples=VOLATILITY_BARS)
    return np.asarray(100.0 * np.sqrt(mean.fill_null(float("nan")).to_numpy()))


def _pause(candles: Candles) -> timedelta:
    """Return how long a rest without bars has to be to break the lines: a hundredth of the whole span."""
    return (candles.end - candles.start) / 100


def _broken_at_pauses(points: pl.DataFrame, pause: timedelta) -> pl.DataFrame:
    """Insert a row of nulls where there is no bar for longer than ``pause``."""
    before = points.filter(pl.col("open_time").shift(-1) - pl.col("close_time") > pause)
    breaks = before.select(pl.col("close_time") + pause / 10)
    return pl.concat([points, breaks], how="diagonal").sort("close_time")


def _marks(candles: Candles, flags: pl.DataFrame) -> dict[str, Cells]:
    """Return the closes of the bars pointed out; idle bars are many and say nothing about the price."""
    shown = flags.filter(pl.col("kind") != "stale").head(MOST_MARKS)
    shown = shown.join(candles.frame, on="open_time", how="left")
    marks: dict[str, Cells] = {
        "flag_t": stamp(_times(shown["close_time"]), candles.timeframe),
        "flag_price": rounded(shown["close"].fill_null(float("nan")).to_numpy()),
    }
    return marks


def _times(column: pl.Series) -> Times:
    return column.dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
