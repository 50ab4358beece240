"""A history whose future is absurd: what was closed and known stays, all that comes after is something else."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl

from forecastle.nouns import Candles, History, Observations
from forecastle.nouns.candles import PRICES


def poisoned(history: History, moment: datetime, seed: int = 0) -> History:
    """Return the history with every bar that closes after ``moment`` and every value known after it spoiled.

    Opens and closes are moved by random factors of up to a thousand, each its own, and the range is made wider than
    both; volumes as well; they stay valid candles. Values of observations change scale and sign. Times stay: a leak of
    which bars come shows when they are cut off. The same ``seed`` and ``moment`` give the same poison. Finer bars and
    peers are poisoned, too, each in its own way: what two of them share would hide a leak of their ratio.
    """
    since = int(_stamp(moment).astype(np.int64))
    return _spoiled(history, moment, np.random.default_rng([seed, abs(since), int(since < 0)]))


def _spoiled(history: History, moment: datetime, draw: np.random.Generator) -> History:
    return History(
        _candles(history.candles, moment, draw),
        None if history.finer is None else _candles(history.finer, moment, draw),
        tuple(_observed(o, moment, draw) for o in history.observations),
        tuple(_spoiled(peer, moment, draw) for peer in history.peers),
    )


def _candles(candles: Candles, moment: datetime, draw: np.random.Generator) -> Candles:
    first = int(np.searchsorted(candles.times("close_time"), _stamp(moment), side="right"))
    past, late = candles.frame.slice(0, first), candles.frame.slice(first)
    begin, end, traded = np.exp(draw.uniform(-7.0, 7.0, (3, late.height)))
    above, below = 1.0 + draw.exponential(2.0, (2, late.height))
    first_price, last_price = late["open"].to_numpy() * begin, late["close"].to_numpy() * end
    prices = {
        "open": first_price, "high": np.maximum(first_price, last_price) * above,
        "low": np.minimum(first_price, last_price) / below, "close": last_price,
    }  # fmt: skip
    if candles.prices == "close":  # the others repeat it
        prices = dict.fromkeys(PRICES, last_price)
    volume = (late["volume"].to_numpy() + 1.0) * traded
    spoiled = late.with_columns(pl.Series(name, values) for name, values in {**prices, "volume": volume}.items())
    # the rows were candles before, and the prices are made to keep every rule of candles
    return Candles.proven(
        candles.instrument, candles.timeframe, candles.source, past.vstack(spoiled), candles.adjusted, candles.prices
    )


def _observed(observed: Observations, moment: datetime, draw: np.random.Generator) -> Observations:
    late = observed.frame["known_at"].dt.replace_time_zone(None).to_numpy() > _stamp(moment)
    value = observed.frame["value"].to_numpy()
    other = value * draw.normal(0.0, 1e3, value.size) + 17.0
    return observed.part(observed.frame.with_columns(pl.Series("value", np.where(late, other, value))))


def _stamp(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
