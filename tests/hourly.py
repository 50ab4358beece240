"""Markets with hours inside their days, made up from a seed: volatility that lasts, weekends that are calm."""

from __future__ import annotations

import numpy as np
import polars as pl

from forecastle.nouns import Candles, History, Instrument, Observations
from forecastle.nouns.candles import SCHEMA
from making import moment


def hourly_market(instrument: str, days: int, seed: int, start: str = "2022-01-01") -> History:
    """Return days with their 24 hours: log volatility is autoregressive from day to day, a third lower on weekends."""
    draw = np.random.default_rng(seed)
    opens = moment(start) + np.arange(24 * days) * np.timedelta64(1, "h")
    level = np.zeros(days)
    for day in range(1, days):
        level[day] = 0.9 * level[day - 1] + 0.3 * draw.standard_normal()
    weekday = (opens[::24].astype("datetime64[D]").astype(int) + 3) % 7
    daily = 0.03 * np.exp(level) * np.where(weekday >= 5, 0.67, 1.0)
    steps = np.repeat(daily / np.sqrt(24.0), 24)[:, None] * draw.standard_normal((24 * days, 12)) / np.sqrt(12.0)
    path = np.log(100.0) + np.cumsum(steps.ravel()).reshape(steps.shape)
    begin = np.r_[np.log(100.0), path[:-1, -1]]
    columns = {
        "open_time": opens, "close_time": opens + np.timedelta64(1, "h"), "open": np.exp(begin),
        "high": np.exp(np.maximum(begin, path.max(axis=1))), "low": np.exp(np.minimum(begin, path.min(axis=1))),
        "close": np.exp(path[:, -1]), "volume": draw.uniform(1.0, 9.0, opens.size),
    }  # fmt: skip
    hours = Candles.from_columns(Instrument.parse(instrument), "1h", "test", columns, "none")
    return History(daily_of(hours), hours)


def daily_of(hours: Candles) -> Candles:
    """Return the UTC days of hours."""
    day = pl.col("open_time").dt.truncate("1d")
    frame = (
        hours.frame.group_by(day.alias("day"))
        .agg(
            pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last(),
            pl.col("volume").sum(),
        )
        .sort("day")
        .with_columns(open_time=pl.col("day"), close_time=pl.col("day") + pl.duration(days=1))
    )  # fmt: skip
    return Candles(hours.instrument, "1d", hours.source, frame.select(list(SCHEMA)), hours.adjusted)


def vix_beside(candles: Candles, seed: int = 5) -> Observations:
    """Return an index that is known at each close."""
    draw = np.random.default_rng(seed)
    value = pl.Series(15.0 * np.exp(0.2 * draw.standard_normal(len(candles))))
    frame = candles.frame.select(about="open_time", known_at="close_time", value=value)
    return Observations(Instrument.parse("VIX.INDEX"), "close", "index points", "test", frame)


def poisoned_after(candles: Candles, row: int) -> Candles:
    """Return the candles with every price after ``row`` ten times as high, and the ranges of these bars wider."""
    later = pl.int_range(pl.len()) > row
    frame = candles.frame.with_columns(
        pl.when(later).then(pl.col(c) * (17.0 if c == "high" else 10.0)).otherwise(pl.col(c)).alias(c)
        for c in ("open", "high", "low", "close")
    )
    return Candles(candles.instrument, candles.timeframe, candles.source, frame, candles.adjusted, candles.prices)
