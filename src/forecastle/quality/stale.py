"""Bars in which nothing happens, and bars that repeat the one before."""

from __future__ import annotations

import numpy as np
import polars as pl

from forecastle.nouns import Candles
from forecastle.nouns.candles import PRICES

_RUN = 5
_RUN_OF_CLOSES = 10


def stale(candles: Candles) -> pl.DataFrame:
    """Return the bars (columns of candles) that show no trading.

    Three kinds: no volume and no range, in a series that has volumes; the same bar with the same volume once more; and
    where the series has no volumes, five bars and more with one price (ten where only closes are known), from the
    second on. With closes alone the range says nothing: there the close has to stand still, too.
    """
    frame = candles.frame
    if not len(candles):
        return frame
    same = pl.all_horizontal(pl.col(c) == pl.col(c).shift(1) for c in PRICES).fill_null(value=False)
    empty = pl.col("volume") == 0
    flat = pl.col("high") == pl.col("low")
    if float(frame["volume"].sum()) == 0.0:
        shortest = _RUN_OF_CLOSES if candles.prices == "close" else _RUN
        return frame.filter(_long_runs(frame.select(same).to_series().to_numpy(), shortest))
    idle = empty & flat & (same if candles.prices == "close" else pl.lit(value=True))
    copied = same & ~flat & (pl.col("volume") == pl.col("volume").shift(1)).fill_null(value=False)
    return frame.filter(idle | copied)


def _long_runs(same: np.ndarray[tuple[int], np.dtype[np.bool_]], shortest: int) -> pl.Series:
    """Return which bars belong to a run of repeats that is long enough."""
    edges = np.flatnonzero(np.diff(np.r_[False, same, False].astype(np.int8)))
    long = np.zeros(same.size, dtype=np.bool_)
    for first, end in edges.reshape(-1, 2):
        long[first:end] = end - first >= shortest - 1
    return pl.Series(long)
