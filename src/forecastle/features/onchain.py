"""On-chain, sentiment and other observations: each value from the moment it was published, revisions when they came.

Metrics are those of CoinMetrics' community data about the coin (stored under ``BTC-USD`` for every Bitcoin pair): the
value of day D is known at its published moment, one to two days later. A value is used for nine days at the most after
the moment it is about: a series that ended says nothing of today.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from forecastle.features._bars import FloatArray
from forecastle.features._definition import Observed, Steps, Wanted, ratio
from forecastle.features._visible import Book, Latest, ago, book_of, expanding_deviation, latest, trailing_mean
from forecastle.nouns import Instrument, Observations

STALE = np.timedelta64(9, "D")
"""How long after the moment it is about a value is used."""
COIN_METRICS = "CoinMetrics, Network Data Metrics"
CRYPTO = ("pair", "perpetual")


def _coin(*names: str) -> Callable[[Instrument], tuple[Wanted, ...]]:
    """Return what asks for metrics of the coin itself."""

    def wants(instrument: Instrument) -> tuple[Wanted, ...]:
        if instrument.kind not in CRYPTO:
            return ()
        coin = Instrument.parse(f"{instrument.base}-USD")
        return tuple((coin, name) for name in names)

    return wants


def _told(book: Book, at: Latest, *values: FloatArray) -> Steps:
    return Steps(book.events, at.about(book), values)


def _read(*observed: Observations) -> tuple[Book, Latest]:
    book = book_of(observed)
    return book, latest(book)


def _level(observed: Observations) -> Steps:
    book, at = _read(observed)
    return _told(book, at, at.values[:, 0])


def _change(observed: Observations, n: float) -> Steps:
    book, at = _read(observed)
    before = ago(book, at, 0, int(n))
    now = np.where((at.values[:, 0] > 0) & (before > 0), at.values[:, 0], np.nan)
    return _told(book, at, np.log(now / before))


def _quotient(above: Observations, below: Observations) -> Steps:
    book, at = _read(above, below)
    return _told(book, at, ratio(at.values[:, 0], at.values[:, 1]))


def _nvt_signal(cap: Observations, moved: Observations, days: float) -> Steps:
    book, at = _read(cap, moved)
    return _told(book, at, ratio(at.values[:, 0], trailing_mean(book, at, 1, int(days))))


def _mvrv_z(cap: Observations, mvrv: Observations) -> Steps:
    book, at = _read(cap, mvrv)
    realized = ratio(at.values[:, 0], at.values[:, 1])
    return _told(book, at, ratio(at.values[:, 0] - realized, expanding_deviation(book, at, 0)))


def _netflow(inflow: Observations, outflow: Observations, cap: Observations) -> Steps:
    book, at = _read(inflow, outflow, cap)
    return _told(book, at, ratio(at.values[:, 0] - at.values[:, 1], at.values[:, 2]))


NVT = Observed(
    "nvt", "onchain", "Network value to transactions", {"": "days"},
    "market cap / adjusted transfer value of the day (CapMrktCurUSD / TxTfrValAdjUSD)",
    "Woo, Is Bitcoin in a Bubble? Check the NVT Ratio, 2017", needs=("observations",),
    wants=_coin("market_cap", "transfer_value"), steps=_quotient,
)  # fmt: skip
NVT_SIGNAL = Observed(
    "nvt_signal", "onchain", "NVT signal: network value to the mean transfer value of {n} days", {"": "days"},
    "market cap / mean(transfer value, {n} days)", "Kalichkin, Rethinking NVT Ratio, 2018", ("n",), ((90,),), (2,),
    needs=("observations",), wants=_coin("market_cap", "transfer_value"), steps=_nvt_signal,
)  # fmt: skip
MVRV = Observed(
    "mvrv", "onchain", "Market value to realised value", {"": "ratio"},
    "market cap / realised cap (CapMVRVCur)", "Mahmudov, Puell, Bitcoin Market-Value-to-Realized-Value, 2018",
    needs=("observations",), wants=_coin("mvrv"), steps=_level,
)  # fmt: skip
MVRV_Z = Observed(
    "mvrv_z", "onchain", "MVRV Z-score", {"": "standard deviations"},
    "(market cap - realised cap) / std(market cap of all days until then), divisor n",
    "Awe, Hall, Introducing the MVRV Z-Score, 2018", needs=("observations",),
    wants=_coin("market_cap", "mvrv"), steps=_mvrv_z,
)  # fmt: skip
REALIZED_CAP = Observed(
    "realized_cap", "onchain", "Realised capitalisation: every coin at the price it last moved at", {"": "USD"},
    "market cap / MVRV (CapMrktCurUSD / CapMVRVCur = CapRealUSD)", COIN_METRICS, needs=("observations",),
    wants=_coin("market_cap", "mvrv"), steps=_quotient,
)  # fmt: skip
ACTIVE_ADDRESSES = Observed(
    "active_addresses", "onchain", "Addresses active in the day", {"": "addresses"}, "AdrActCnt", COIN_METRICS,
    needs=("observations",), wants=_coin("active_addresses"), steps=_level,
)  # fmt: skip
ADDRESS_GROWTH = Observed(
    "address_growth", "onchain", "Log change of the active addresses over {n} days", {"": "log change"},
    "ln(AdrActCnt_D / AdrActCnt_(D-{n}))", COIN_METRICS, ("n",), ((30,),), (1,), needs=("observations",),
    wants=_coin("active_addresses"), steps=_change,
)  # fmt: skip
HASH_RATE_GROWTH = Observed(
    "hash_rate_growth", "onchain", "Log change of the hash rate over {n} days", {"": "log change"},
    "ln(HashRate_D / HashRate_(D-{n}))", COIN_METRICS, ("n",), ((30,),), (1,), needs=("observations",),
    wants=_coin("hash_rate"), steps=_change,
)  # fmt: skip
EXCHANGE_NETFLOW = Observed(
    "exchange_netflow", "onchain", "Net flow to exchanges as a share of the market cap", {"": "share"},
    "(FlowInExUSD - FlowOutExUSD) / CapMrktCurUSD of the day", COIN_METRICS, needs=("observations",),
    wants=_coin("exchange_inflow", "exchange_outflow", "market_cap"), steps=_netflow,
)  # fmt: skip
FEAR_GREED = Observed(
    "fear_greed", "sentiment", "Fear and greed index of the crypto market", {"": "points"},
    "alternative.me, 0 fear to 100 greed", "alternative.me", needs=("observations",),
    wants=lambda i: ((Instrument.parse("BTC-USD"), "fear_greed"),) if i.kind in CRYPTO else (), steps=_level,
)  # fmt: skip
FUNDING_RATE = Observed(
    "funding_rate", "sentiment", "Funding rate of the coin's perpetual, last settled", {"": "share of the position"},
    "of 8 hours", "Binance, Introduction to Funding Rates", needs=("observations",),
    wants=lambda i: ((Instrument.parse(f"{i.base}-USDT-PERP"), "funding_rate"),) if i.kind in CRYPTO else (),
    steps=_level,
)  # fmt: skip
VIX = Observed(
    "vix", "sentiment", "VIX: implied volatility of the S&P 500, last close", {"": "points"},
    "annual percent, as published", "Cboe, VIX White Paper", needs=("observations",),
    wants=lambda _: ((Instrument.parse("VIX.INDEX"), "close"),), steps=_level,
)  # fmt: skip
