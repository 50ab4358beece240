"""What a chart answer of Yahoo holds, read and checked before yfinance sees it.

yfinance forgives: it turns text to numbers, keeps the first of two bars for one time and writes 0 for a missing volume.
So the answer is read here first. What has another form than it should have is an ``UpstreamError``; what yfinance would
hide is kept, so that :mod:`forecastle.sources.yahoo` can hand it on.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from forecastle.errors import ForecastleError, SourceLimited, UpstreamError

NUMBERS = ("open", "high", "low", "close", "volume")
EARLIEST, LATEST = -2_208_988_800, 4_102_444_800
"""Seconds of 1900 and 2100: a stamp outside is not in seconds."""
SLACK = 8 * 86_400
"""Seconds: bars a week off the span are cut away; further off, they are not what was asked for."""
NOTHING_THERE = "data doesn't exist"
TOO_OLD = "data not available"
CURRENCY = re.compile(r"[A-Za-z]{3,5}")
UNKNOWN_SYMBOL = ("no data found", "not found", "delisted")


@dataclass(frozen=True)
class Chart:
    """The bars of one answer as they were sent: ``stamps`` in seconds UTC, one row of numbers or nulls for each.

    ``rows`` has the columns ``stamp open high low close volume``; ``live`` is the stamp of the last trade, with which
    Yahoo often adds a row of its own; ``paid_in`` the currency of dividends that are not in ``currency``, by stamp.
    """

    rows: pl.DataFrame
    zone: str
    currency: str
    live: int | None
    paid_in: dict[int, str]


def read_chart(document: Any, symbol: str, interval: str) -> Chart:
    """Return what an answer of ``v8/finance/chart`` holds; without rows where Yahoo has nothing in that span.

    Raises ``SourceLimited`` where Yahoo says that it does not have the symbol or reaches that far back, and
    ``UpstreamError`` for an answer of any other form than the one known.
    """
    chart = _part(document, "finance" if isinstance(document, dict) and "finance" in document else "chart", dict)
    if chart.get("error"):
        return _explained(chart["error"], symbol, interval)
    result = _part(chart, "result", list)
    if len(result) != 1 or not isinstance(result[0], dict):
        raise changed(f"chart.result holds {len(result)} parts where one is known")
    meta = _part(result[0], "meta", dict)
    for name, asked in (("symbol", symbol), ("dataGranularity", interval)):
        if str(meta.get(name)).upper() != asked.upper():
            raise changed(f"{name} is {str(meta.get(name))[:40]} where {asked} was asked for")
    live = meta.get("regularMarketTime")
    return Chart(
        _rows(result[0]),
        _zone(meta),
        str(meta.get("currency") or "unknown currency"),
        live if type(live) is int else None,
        _paid_in(result[0]),
    )


def check_span(chart: Chart, since: float, until: float) -> None:
    """Raise ``UpstreamError`` where bars lie far from the seconds ``[since, until)`` asked for, or most are repeats."""
    bars = chart.rows.filter(pl.col("stamp") != (chart.live or 0))["stamp"]
    far = int(((bars < since - SLACK) | (bars > until + SLACK)).sum())
    if far:
        raise changed(f"{far} of {bars.len()} bars lie far outside the span asked for")
    if bars.len() > 2 * bars.n_unique():
        raise changed(f"{bars.len()} bars have {bars.n_unique()} times")


def changed(what: str) -> UpstreamError:
    """Return the error for an answer of a form that is not known; ``what`` says where."""
    return UpstreamError(
        "Yahoo's answer has another form than the one known.",
        f"{what[:1].upper()}{what[1:]}.",
        "Try again later; if it stays, a newer version of forecastle is needed.",
    )


def _part(parent: Any, name: str, kind: type) -> Any:
    found = parent.get(name) if isinstance(parent, dict) else None
    if not isinstance(found, kind):
        raise changed(f"{name} is missing" if found is None else f"{name} is a {type(found).__name__}")
    return found


def _zone(meta: dict[str, Any]) -> str:
    name = _part(meta, "exchangeTimezoneName", str)
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise changed(f"exchangeTimezoneName is {name[:40]}, which is no time zone") from error


def _explained(error: Any, symbol: str, interval: str) -> Chart:
    """Read Yahoo's own words: nothing in this span, no such symbol, too far back, or a fault."""
    said = str(error.get("description") if isinstance(error, dict) else error)
    words = " ".join(said.split())[:200]
    if NOTHING_THERE in words.lower():
        return Chart(_frame([]), "UTC", "unknown currency", None, {})
    raise _told(words, symbol, interval)


def _told(words: str, symbol: str, interval: str) -> ForecastleError:
    if TOO_OLD in words.lower():
        return SourceLimited(
            f"Yahoo does not have {symbol} at {interval} that far back.",
            f"It says: {words}",
            "Ask for a later start, or for a longer timeframe: 1d has the whole history.",
        )
    if any(mark in words.lower() for mark in UNKNOWN_SYMBOL):
        return SourceLimited(
            f"Yahoo has nothing under the symbol {symbol}.",
            f"It says: {words}",
            "Look the symbol up at Yahoo Finance; a company may have been renamed or delisted.",
        )
    return UpstreamError(
        f"Yahoo refused the question for {symbol} at {interval}.",
        f"It says: {words}",
        "Try again later, or with another range.",
    )


def _rows(result: dict[str, Any]) -> pl.DataFrame:
    stamps = result.get("timestamp")
    if stamps is None:  # how Yahoo says that it has nothing in this span
        return _frame([])
    if not isinstance(stamps, list) or not all(type(s) is int and EARLIEST <= s <= LATEST for s in stamps):
        raise changed("timestamp holds something other than seconds")
    quotes = _part(_part(result, "indicators", dict), "quote", list)
    columns = [_numbers(quotes[0] if quotes else None, name, len(stamps)) for name in NUMBERS]
    return _frame(list(zip(stamps, *columns, strict=True)))


def _numbers(quote: Any, name: str, length: int) -> list[float | None]:
    values = _part(quote, name, list)
    if len(values) != length:
        raise changed(f"{name} has {len(values)} values for {length} times")
    for value in values:
        if value is not None and type(value) not in (int, float):
            raise changed(f"{name} holds {json.dumps(value)[:40]}, which is no number")
    return [None if value is None else float(value) for value in values]


def _frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    schema: dict[str, Any] = {"stamp": pl.Int64, **dict.fromkeys(NUMBERS, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _paid_in(result: dict[str, Any]) -> dict[int, str]:
    """Check the dividends and splits, and return the currencies that dividends name."""
    events = result.get("events") or {}
    parts = {"dividends": ("amount",), "splits": ("numerator", "denominator")}
    for kind, numbers in parts.items():
        for event in _events(events, kind):
            if type(event.get("date")) is not int or not all(_positive(event.get(name)) for name in numbers):
                raise changed(f"{kind} holds {json.dumps(event)[:80]}")
    paid_in = {d["date"]: str(d["currency"]) for d in _events(events, "dividends") if d.get("currency")}
    for currency in paid_in.values():
        if not CURRENCY.fullmatch(currency):
            raise changed(f"dividends are paid in {currency[:40]}, which is no currency")
    return paid_in


def _events(events: Any, kind: str) -> list[dict[str, Any]]:
    found = _part({"events": events}, "events", dict).get(kind) or {}
    return [_part({"event": event}, "event", dict) for event in _part({kind: found}, kind, dict).values()]


def _positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf
