"""Outside data. Adding a source is one file here and one line in ``SOURCES``; exchanges come by their id in ccxt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecastle.clock import SystemClock
from forecastle.errors import NameUnknown
from forecastle.registry import Registry

if TYPE_CHECKING:
    from forecastle.ports import Line, Source, SourceFacts

SOURCES = Registry(
    "source",
    {
        "bundled": "forecastle.sources.bundled:Bundled",
        "simulated": "forecastle.sources.simulated:Simulated",
        "yahoo": "forecastle.sources.yahoo:Yahoo",
        "coingecko": "forecastle.sources.coingecko:CoinGecko",
        "coinmetrics": "forecastle.sources.coinmetrics:CoinMetrics",
    },
)
EXCHANGES = ("binance", "coinbase", "kraken", "okx", "bitfinex", "binanceusdm")
"""The exchanges of ccxt that were tried; what is known of them stands in ``_traits``."""
OFFLINE = ("bundled", "simulated")
"""Made without a line: they ask nobody."""


def open_source(name: str, line: Line) -> Source:
    """Return the source called ``name``: one of ``SOURCES``, or any exchange of ccxt by its id.

    Nothing is asked yet. Raises ``NameUnknown`` with the nearest of all names.
    """
    if name in SOURCES:
        place = SOURCES.load(name)
        source: Source = place() if name in OFFLINE else place(line)
        return source
    from forecastle.sources.exchanges import Exchange, all_exchanges

    if name not in EXCHANGES and name not in all_exchanges():
        raise _unknown(name, all_exchanges())
    return Exchange(name, line)


def source_names() -> tuple[str, ...]:
    """Return the names that are worth offering: all of ``SOURCES`` and the exchanges that were tried."""
    return (*SOURCES, *EXCHANGES)


def facts_of(name: str) -> SourceFacts:
    """Return the units and limits of a source without asking it anything; raises ``NameUnknown``."""
    from forecastle.ports import Line

    return open_source(name, Line(SystemClock(), lambda _: None)).facts


def gives_observations(name: str) -> bool:
    """Return whether a source gives observations and no candles, without asking it; False for an unknown name."""
    return name in SOURCES and facts_of(name).gives == "observations"


def _unknown(name: str, exchanges: tuple[str, ...]) -> NameUnknown:
    """Return the error: near names come from all there are, the list is kept short."""
    error = NameUnknown("source", name, {*SOURCES, *exchanges})
    error.why = f"Known here: {', '.join(source_names())}, and every other exchange of ccxt by its id."
    if not error.hint.startswith("Did you mean"):
        error.hint = "Choose one of these; forecastle import reads files."
    return error


__all__ = ["SOURCES", "facts_of", "gives_observations", "open_source", "source_names"]
