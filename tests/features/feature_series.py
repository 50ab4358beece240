"""Series that the tests of features share: real ones, and one with everything beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns import Candles, FeatureFrame, History, Instrument, Observations
from forecastle.nouns.candles import SCHEMA
from making import make_candles

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the readers of docs/data_quality.md

from docs.reference_set import read_clean  # noqa: E402

FloatArray = npt.NDArray[np.float64]
METRICS = (
    "market_cap", "transfer_value", "mvrv", "active_addresses", "hash_rate", "exchange_inflow", "exchange_outflow",
)  # fmt: skip


def real_btc(shared: Path) -> Candles:
    """Return the daily candles of Bitcoin in Tether from Binance, 2017 to 2022."""
    read = read_clean(shared, "crypto/1d/binance_2017_2022", "BTC_USDT-1d.json.gz")
    return Candles(read.instrument, read.timeframe, "binance", read.rows.select(list(SCHEMA)), "none")


def arrays(candles: Candles) -> tuple[FloatArray, ...]:
    """Return open, high, low, close and volume."""
    return tuple(candles.frame[c].to_numpy().copy() for c in ("open", "high", "low", "close", "volume"))


def column(frame: FeatureFrame, name: str) -> FloatArray:
    """Return one column, NaN where not known."""
    return frame.values([name])[:, 0]


def observations(
    name: str, days: int, *, start: str = "2023-12-01", seed: int = 0, instrument: str = "ETH-USD", lag: int = 2
) -> Observations:
    """Return a value a day, known ``lag`` days after the day it is about begins; every 50th is revised ten days on."""
    draw = np.random.default_rng([seed, len(name)])
    about = np.datetime64(start, "us") + np.arange(days) * np.timedelta64(1, "D")
    value = 100.0 * np.exp(np.cumsum(draw.normal(0, 0.02, days)))
    known = about + np.timedelta64(lag, "D")
    again = np.arange(10, days - 15, 50)
    frame = pl.DataFrame(
        {
            "about": np.r_[about, about[again]],
            "known_at": np.r_[known, known[again] + np.timedelta64(10, "D")],
            "value": np.r_[value, value[again] * 1.07],
        }
    )
    utc = [pl.col(c).cast(pl.Datetime("us")).dt.replace_time_zone("UTC") for c in ("about", "known_at")]
    return Observations(
        Instrument.parse(instrument), name, "units", "test", frame.with_columns(utc).sort("about", "known_at")
    )  # fmt: skip


def whole_history(bars: int = 500, *, holes: tuple[int, ...] = ()) -> History:
    """Return a coin with all that features look at beside it, and holes in its bars where asked for."""
    candles = make_candles(bars, instrument="ETH-USDT", seed=3)
    if holes:
        keep = ~pl.int_range(pl.len()).is_in(list(holes))
        frame = candles.frame.filter(keep)
        candles = Candles(candles.instrument, candles.timeframe, candles.source, frame, candles.adjusted)
    days = bars + 40
    observed = [observations(name, days, seed=number) for number, name in enumerate(METRICS)]
    observed += [
        observations("fear_greed", days, seed=20, instrument="BTC-USD", lag=1),
        observations("funding_rate", days, seed=21, instrument="ETH-USDT-PERP", lag=0),
        observations("close", days, seed=22, instrument="VIX.INDEX", lag=1),
    ]
    benchmark = make_candles(bars, instrument="BTC-USDT", seed=4)
    return History(candles, None, tuple(observed), (History(benchmark),))
