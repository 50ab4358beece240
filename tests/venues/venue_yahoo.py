"""Yahoo Finance as the fault server plays it: cookie, crumb and ``v8/finance/chart``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from forecastle.nouns import Instrument
from forecastle.sessions import Exchange, calendar
from forecastle.sources._yahoo_symbols import yahoo_symbol
from venues.fault_server import Asked, Candle, Handler, Reply, Twist, World

ZONES = {"24/7": "UTC", "XNYS": "America/New_York", "XTKS": "Asia/Tokyo", "XLON": "Europe/London"}
CURRENCIES = {"XLON": "GBp", "XTKS": "JPY"}
RANGES = ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"]


def cookie(asked: Asked, world: World, twist: Twist) -> Reply:
    """Answer as fc.yahoo.com does: nothing to see, but a cookie."""
    return Reply(404, b"<!DOCTYPE html>not here", {"Set-Cookie": "A3=d=made-up; Path=/", "Content-Type": "text/html"})


def query(asked: Asked, world: World, twist: Twist) -> Reply:
    """Answer a crumb or a chart."""
    if asked.path == "/v1/test/getcrumb":
        return Reply(200, b"Crumb.1", {"Content-Type": "text/plain"})
    symbol = asked.path.removeprefix("/v8/finance/chart/")
    found = {yahoo_symbol(Instrument.parse(name)): Instrument.parse(name) for name in _listed(world)}
    if symbol not in found:
        return _refused(404, "Not Found", "No data found, symbol may be delisted")
    interval, since, until = asked.query["interval"], int(asked.query["period1"]), int(asked.query["period2"])
    rows = world.select(found[symbol].id, interval, since * 1000, until * 1000)
    if not rows:
        why = f"Data doesn't exist for startDate = {since}, endDate = {until}"
        return _refused(400, "Bad Request", why)
    return Reply.json(chart(found[symbol], interval, twist(rows), world.now()))


def _listed(world: World) -> list[str]:
    return [name for name in world.instruments() if not name.endswith(("USDT", "PERP"))]


def _refused(status: int, code: str, why: str) -> Reply:
    return Reply.json({"chart": {"result": None, "error": {"code": code, "description": why}}}, status)


def chart(instrument: Instrument, interval: str, rows: list[Candle], now: float) -> dict[str, Any]:
    """Return a chart answer with these rows; as at Yahoo, the last day is stamped with its last trade."""
    stamps = [row.time // 1000 for row in rows]
    traded = _last_trade(instrument, now)
    if interval == "1d" and traded - 86_400 < stamps[-1] <= traded:
        stamps[-1] = traded
    quote = {name: [getattr(row, name) for row in rows] for name in ("open", "high", "low", "close", "volume")}
    meta: dict[str, Any] = {
        "currency": CURRENCIES.get(instrument.calendar, instrument.quote), "symbol": yahoo_symbol(instrument),
        "instrumentType": "CRYPTOCURRENCY" if instrument.always_open else "EQUITY", "regularMarketTime": traded,
        "exchangeTimezoneName": ZONES[instrument.calendar], "dataGranularity": interval, "validRanges": RANGES,
        "priceHint": 2,
    }  # fmt: skip
    if interval != "1d":
        meta["tradingPeriods"] = _periods(instrument, stamps)
    result = {"meta": meta, "timestamp": stamps, "indicators": {"quote": [quote]}}
    return {"chart": {"result": [result], "error": None}}


def _last_trade(instrument: Instrument, now: float) -> int:
    """Return the second of the last trade: now, or a second after the last bell."""
    market, moment = calendar(instrument.calendar), np.datetime64(int(now), "s").astype("datetime64[us]")
    if not isinstance(market, Exchange):
        return int(now)
    _, opens, closes = market.sessions(moment - np.timedelta64(10, "D"), moment)
    last = min(moment, closes[opens <= moment][-1] + np.timedelta64(1, "s"))
    return int(last.astype("datetime64[s]").astype(int))


def _periods(instrument: Instrument, stamps: list[int]) -> list[list[dict[str, Any]]]:
    """Return the hours of trading of each day; Yahoo says that of a pair ends at 23:59."""
    market = calendar(instrument.calendar)
    first, last = (np.datetime64(datetime.fromtimestamp(s, UTC).date(), "us") for s in (min(stamps), max(stamps)))
    if isinstance(market, Exchange):
        _, opens, closes = market.sessions(first, last)
    else:
        opens = np.arange(first, last + np.timedelta64(1, "D"), np.timedelta64(1, "D"))
        closes = opens + np.timedelta64(1439, "m")
    starts, ends = (times.astype("datetime64[s]").astype(int).tolist() for times in (opens, closes))
    hours = zip(starts, ends, strict=True)
    return [[{"timezone": "XXX", "start": start, "end": end, "gmtoffset": 0}] for start, end in hours]


HANDLERS: dict[str, Handler] = {
    "fc.yahoo.com": cookie,
    "query1.finance.yahoo.com": query,
    "query2.finance.yahoo.com": query,
}
