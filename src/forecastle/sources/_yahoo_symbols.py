"""What Yahoo calls an instrument."""

from __future__ import annotations

from forecastle.errors import SourceLimited
from forecastle.nouns import Instrument

INDICES = {"SPX": "^GSPC", "DAX": "^GDAXI", "CAC": "^FCHI"}
"""Indices that Yahoo does not call by their own name after a caret."""
OTHER_HOURS = ("DXY",)
"""Indices that are traded outside the sessions of their calendar."""
SUFFIXES = {
    "XTKS": ".T", "XLON": ".L", "XETR": ".DE", "XPAR": ".PA", "XKRX": ".KS", "XTSE": ".TO", "XASX": ".AX",
    "XHKG": ".HK", "XNYS": "", "XNAS": "",
}  # fmt: skip
"""What follows the symbol of a stock of each market."""
COINS = {
    "UNI": "UNI7083", "SUI": "SUI20947", "APT": "APT21794", "ARB": "ARB11841", "PEPE": "PEPE24478", "TON": "TON11419",
    "GRT": "GRT6719", "IMX": "IMX10603", "STX": "STX4847", "TAO": "TAO22974",
}  # fmt: skip
"""Coins whose bare symbol means another coin at Yahoo: UNI-USD is not Uniswap."""
DOLLAR_TOKENS = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI")
"""Quotes that Yahoo does not have; a dollar token is not the dollar."""


def yahoo_symbol(instrument: Instrument) -> str:
    """Return Yahoo's symbol: ``BRK-B``, ``^GSPC``, ``4063.T``, ``BTC-USD``.

    Raises ``SourceLimited`` for what Yahoo does not have: perpetuals, pairs in dollar tokens, other markets.
    """
    if instrument.kind == "index":
        _check_hours(instrument)
        return INDICES.get(instrument.base, f"^{instrument.base}")
    if instrument.kind == "stock":
        return _stock(instrument)
    if instrument.kind == "perpetual" or instrument.quote in DOLLAR_TOKENS:
        raise SourceLimited(
            f"Yahoo has no candles of {instrument}.",
            "It quotes coins on spot markets in currencies such as USD, never in a dollar token or as a perpetual.",
            f"Fetch {instrument.base}-USD from yahoo, or {instrument} from an exchange such as binance.",
        )
    return f"{COINS.get(instrument.base, instrument.base)}-{instrument.quote}"


def _check_hours(instrument: Instrument) -> None:
    """Refuse an index whose hours are not known here: its last bar would be taken before it has closed."""
    if instrument.base in OTHER_HOURS:
        raise SourceLimited(
            f"Yahoo's candles of {instrument} are not taken.",
            f"It trades nearly round the clock, and here it has the hours of {instrument.calendar}: when a bar closes "
            "is not known.",
            "Import a file of its closes as observations: forecastle import FILE --observation close --unit points.",
        )


def _stock(instrument: Instrument) -> str:
    if instrument.calendar not in SUFFIXES:
        raise SourceLimited(
            f"Yahoo's name for {instrument} is not known here.",
            f"Stocks of these markets can be asked for: {', '.join(sorted(SUFFIXES))}.",
            "Name another listing of the same company, or import a file.",
        )
    base = instrument.base.replace(".", "-")
    if instrument.calendar == "XHKG":
        base = base.zfill(4)
    return base + SUFFIXES[instrument.calendar]
