"""What is known of the exchanges that were tried; every other exchange of ccxt gets careful defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forecastle.ports import SourceFacts

OWN_USE = "free of charge, for one's own use under its terms; passing the data on is not allowed"


@dataclass(frozen=True)
class Traits:
    """How to ask one exchange through ccxt.

    ``recent`` is the number of bars it serves at most, always the last ones, None where it goes back to the listing;
    ``options`` go to ccxt by the kind of instrument, ``currencies`` says whether its list of currencies is needed to
    read its markets, ``venue`` names the limiter where several exchanges of ccxt share one.
    """

    facts: SourceFacts
    recent: int | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    currencies: bool = False
    venue: str | None = None
    tried: bool = True


TRAITS: dict[str, Traits] = {
    "binance": Traits(
        SourceFacts(
            "Binance, spot and USD-margined perpetuals", "none", "ohlc", "base",
            "from the listing of each pair, August 2017 at the earliest; 1,000 bars an answer",
            "6,000 weight a minute and address; then 429 and, for who goes on, 418 for up to three days",
            f"{OWN_USE}; not served in some countries (451)", ("okx",),
        ),
        options={
            "pair": {"fetchMarkets": {"types": ["spot"]}},
            "perpetual": {"fetchMarkets": {"types": ["linear"]}},
        },
    ),
    "coinbase": Traits(
        SourceFacts(
            "Coinbase Advanced Trade", "none", "ohlc", "base",
            "from the listing of each pair, July 2015 for BTC-USD; 300 bars an answer; none where nobody traded",
            "10 requests a second and address", OWN_USE,
        ),
    ),
    "kraken": Traits(
        SourceFacts(
            "Kraken, spot", "none", "ohlc", "base",
            "the last 720 bars of every timeframe, whatever is asked for",
            "about one request a second and address", OWN_USE, ("coinbase",),
        ),
        recent=720,
    ),
    "okx": Traits(
        SourceFacts(
            "OKX, spot and perpetuals", "none", "ohlc", "base",
            "from the listing of each pair; 300 bars an answer",
            "20 requests in 2 seconds and address", OWN_USE,
        ),
        options={
            "pair": {"fetchMarkets": {"types": ["spot"]}},
            "perpetual": {"fetchMarkets": {"types": ["swap"]}},
        },
    ),
    "bitfinex": Traits(
        SourceFacts(
            "Bitfinex", "none", "ohlc", "base",
            "from the listing of each pair, 2013 for BTC-USD; 10,000 bars an answer; none where nobody traded",
            "30 requests a minute and address for candles", OWN_USE,
        ),
    ),
    "binanceusdm": Traits(
        SourceFacts(
            "Binance, USD-margined perpetuals", "none", "ohlc", "base",
            "from the listing of each contract, September 2019 at the earliest",
            "2,400 weight a minute and address", OWN_USE, ("okx",),
        ),
        venue="binance",
    ),
}  # fmt: skip
"""By the exchange's id in ccxt."""


def traits_of(exchange: str) -> Traits:
    """Return what is known of an exchange; for one that was not tried, what can be said of any."""
    return TRAITS.get(exchange) or Traits(
        SourceFacts(
            f"{exchange} (by ccxt)", "none", "ohlc", "unknown",
            "as far as its interface serves; not tried by us", "ccxt's own limits for it", "the exchange's own terms",
        ),
        currencies=True, tried=False,
    )  # fmt: skip
