"""Instrument: what is traded, and the only key anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self

from forecastle.errors import NameUnknown, RequestInvalid
from forecastle.sessions import ALWAYS_OPEN

Kind = Literal["pair", "perpetual", "stock", "index"]

QUOTES: tuple[str, ...] = (
    "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "USD", "EUR", "GBP", "JPY", "KRW", "CHF", "AUD", "CAD", "TRY",
    "BRL", "BTC", "ETH", "BNB",
)  # fmt: skip
"""The closed list of quote currencies; longer names first where one ends another."""

SIMULATED = "simulated"
"""The source of made-up candles; with a seed other than 0, ``simulated-7`` and so on."""


def is_simulated(source: str | None) -> bool:
    """Return whether a source, or one of several joined by commas, made its candles up."""
    return any(s == SIMULATED or s.startswith(f"{SIMULATED}-") for s in (source or "").split(","))


INDICES: dict[str, tuple[str, str]] = {
    "SPX": ("USD", "XNYS"), "IXIC": ("USD", "XNYS"), "NDX": ("USD", "XNYS"), "DJI": ("USD", "XNYS"),
    "RUT": ("USD", "XNYS"), "SOX": ("USD", "XNYS"), "VIX": ("USD", "XNYS"), "DXY": ("USD", "XNYS"),
    "FTSE": ("GBP", "XLON"), "DAX": ("EUR", "XETR"), "CAC": ("EUR", "XPAR"), "STOXX50E": ("EUR", "XETR"),
    "N225": ("JPY", "XTKS"), "HSI": ("HKD", "XHKG"), "KS11": ("KRW", "XKRX"), "AXJO": ("AUD", "XASX"),
    "GSPTSE": ("CAD", "XTSE"),
}  # fmt: skip
"""The closed list of indices: currency and the calendar they follow."""
_INDEX_ALIASES = {"^GSPC": "SPX", "SP500": "SPX", "S&P500": "SPX", "NASDAQ": "IXIC", "^FCHI": "CAC", "^GDAXI": "DAX"}
_NEVER_STOCKS = ("SPX", "IXIC", "NDX", "DJI", "RUT", "VIX")
"""Indices that may be written bare; CAC or DAX are stocks in New York, too."""
_COUNTRY_SUFFIX = {
    "T": "XTKS",
    "L": "XLON",
    "IL": "XLON",
    "DE": "XETR",
    "PA": "XPAR",
    "KS": "XKRX",
    "TO": "XTSE",
    "AX": "XASX",
    "HK": "XHKG",
}
_BASE = r"[A-Z0-9]{1,15}"
_PAIR = re.compile(rf"^({_BASE})-([A-Z]{{3,5}})$")
_PERPETUAL = re.compile(rf"^({_BASE})-([A-Z]{{3,5}})-PERP$")
_INDEX = re.compile(r"^([A-Z0-9]{1,15})\.INDEX$")
_LISTED = re.compile(r"^([A-Z0-9]{1,10}(?:[.-][A-Z])?)\.([A-Z]{4})$")
_STOCK = re.compile(r"^[A-Z]{1,6}(?:\.[A-KM-SU-Z])?$")
"""A share class is a letter, but for L and T: after a dot they are London and Tokyo."""


@dataclass(frozen=True, order=True)
class Instrument:
    """One tradable thing or index.

    ``id`` is path-safe: pair ``BTC-USDT`` (the part after the dash is in ``QUOTES``), perpetual ``BTC-USDT-PERP``,
    stock ``AAPL``, ``BRK.B`` or, with its market code, ``4063.XTKS``, index ``SPX.INDEX``. ``calendar`` names its
    sessions. USD is never turned into USDT.
    """

    id: str
    kind: Kind
    base: str
    quote: str
    calendar: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id or an alias (``BTC/USDT``, ``BTCUSDT``, ``BRK-B``, ``^GSPC``, ``4063.T``).

        Raises ``RequestInvalid`` when the text is none of these.
        """
        name = text.strip().upper().replace("/", "-").replace("_", "-")
        index = _INDEX_ALIASES.get(name, name.removeprefix("^"))
        written = name.startswith("^") or name in _INDEX_ALIASES or name in _NEVER_STOCKS
        name = f"{index}.INDEX" if written and index in INDICES else name
        return cls._crypto(name) or cls._listed(name) or cls._refuse(text)

    @classmethod
    def _crypto(cls, name: str) -> Self | None:
        if (found := _PERPETUAL.match(name)) and found[2] in QUOTES:
            return cls(name, "perpetual", found[1], found[2], ALWAYS_OPEN)
        if (found := _PAIR.match(name)) and found[2] in QUOTES:
            return cls(name, "pair", found[1], found[2], ALWAYS_OPEN)
        # Venues write pairs without a dash. Only six letters and more can be one: AAPL or SPY never are.
        splits = [
            (name.removesuffix(quote), quote)
            for quote in QUOTES
            if len(name) >= 6 and name.endswith(quote) and re.fullmatch(_BASE, name.removesuffix(quote))
        ]
        splits = [(base, quote) for base, quote in splits if len(base) >= 2]
        if len(splits) > 1:
            raise RequestInvalid(
                f"'{name}' can be {' or '.join(f'{base}-{quote}' for base, quote in splits)}.",
                "Several quote currencies end this name.",
                f"Write it with a dash: {splits[-1][0]}-{splits[-1][1]}.",
            )
        return cls(f"{splits[0][0]}-{splits[0][1]}", "pair", *splits[0], ALWAYS_OPEN) if splits else None

    @classmethod
    def _listed(cls, name: str) -> Self | None:
        if found := _INDEX.match(name):
            if found[1] not in INDICES:
                raise NameUnknown("index", found[1], INDICES, "Its calendar has to be known: write one of these.")
            return cls(name, "index", found[1], *INDICES[found[1]])
        name = re.sub(r"^([A-Z0-9]+)-([A-Z])\.", r"\1.\2.", name)  # one share, one id: BT-A.L is BT.A.L
        symbol, dot, suffix = name.rpartition(".")
        if dot and suffix in _COUNTRY_SUFFIX and symbol:
            name = f"{symbol}.{_COUNTRY_SUFFIX[suffix]}"
        if found := _LISTED.match(name):
            return cls(name, "stock", found[1], _CURRENCY.get(found[2], "USD"), found[2])
        name = re.sub(r"^([A-Z]{1,6})-([A-Z])$", r"\1.\2", name)  # Yahoo's BRK-B
        if _STOCK.match(name):
            return cls(name, "stock", name, "USD", "XNYS")
        return None

    @classmethod
    def _refuse(cls, text: str) -> Self:
        raise RequestInvalid(
            f"'{text}' is not the name of an instrument.",
            f"A pair ends in {', '.join(QUOTES[:8])}, ...; a stock has up to six letters; an index ends in .INDEX.",
            "Write it like BTC-USDT, BTC-USDT-PERP, AAPL, BRK.B, 4063.XTKS or SPX.INDEX.",
        )

    @property
    def always_open(self) -> bool:
        """Return whether the market never closes."""
        return self.calendar == ALWAYS_OPEN

    def __str__(self) -> str:
        return self.id


_CURRENCY = {
    "XTKS": "JPY",
    "XLON": "GBP", "XETR": "EUR", "XPAR": "EUR", "XKRX": "KRW", "XTSE": "CAD", "XASX": "AUD", "XHKG": "HKD",
}  # fmt: skip
