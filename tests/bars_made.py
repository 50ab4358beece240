"""Bars from a table that a person can check, and a walk with bars missing, for tests of what follows a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecastle.nouns import Candles
from making import BTC, make_candles, moment, without

DAY = np.timedelta64(1, "D")
Bar = tuple[float, float, float, float]
"""Open, high, low and close."""


def bars(table: Sequence[Bar | None]) -> Candles:
    """Return daily candles from 2024-01-01 on; None is a bar that is missing."""
    there = [(day, bar) for day, bar in enumerate(table) if bar is not None]
    opens = moment("2024-01-01") + np.array([day for day, _ in there]) * DAY
    prices = dict(zip(("open", "high", "low", "close"), np.array([bar for _, bar in there]).T, strict=True))
    columns = {"open_time": opens, "close_time": opens + DAY, **prices, "volume": np.ones(len(there))}
    return Candles.from_columns(BTC, "1d", "test", columns, "none")


def flat(*closes: float | None) -> Candles:
    """Return bars that open, stay and close at one price each."""
    return bars([None if c is None else (c, c, c, c) for c in closes])


def holed(n: int = 120, seed: int = 0, holes: int = 6) -> Candles:
    """Return a walk of daily bars in which a few are missing."""
    inner = np.random.default_rng(seed).choice(np.arange(1, n - 1), holes, replace=False)
    return without(make_candles(n, seed=seed), *(int(row) for row in inner))
