"""CoinMetrics' answers, read strictly: a form that is not known is an error, not a number."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from forecastle.errors import ForecastleError, SourceLimited, UpstreamError, UpstreamRefused
from forecastle.sources._wire import Answer, Fault

EXPLAINED = (400, 401, 403, 404)
"""Statuses whose body may say what is wrong."""
EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)
"""No chain is older: a day before it is no day of one."""
Day = tuple[datetime, dict[str, float]]
"""The midnight a day began at, and those of its metrics that are known."""


class MetricRefused(Exception):
    """One of the metrics of a question is refused, and the others may be had. ``told`` are CoinMetrics' own words."""

    def __init__(self, metric: str, told: str) -> None:
        super().__init__(metric, told)
        self.metric, self.told = metric, told


def read_plan(document: Any, asset: str) -> set[str]:
    """Return which metrics of an asset the catalog has by the day in the community data.

    Raises ``UpstreamError`` for any other form than the one known.
    """
    found: set[str] = set()
    for row in rows_of(document):
        _check_asset(row, asset)
        for metric in _list(row, "metrics"):
            by_day = [f for f in _list(metric, "frequencies") if isinstance(f, dict) and f.get("frequency") == "1d"]
            if any(frequency.get("community") is True for frequency in by_day):
                found.add(str(metric.get("metric")))
    return found


def read_days(document: Any, asset: str, metrics: Collection[str]) -> list[Day]:
    """Return the days of a page, oldest first, exact repeats once; null and an absent key are "not known".

    Raises ``UpstreamError`` for any other form than the one known, and for a day that is there with two values.
    """
    found: dict[datetime, dict[str, float]] = {}
    for row in rows_of(document):
        _check_asset(row, asset)
        day, values = _midnight(row), {metric: _number(row, metric) for metric in metrics}
        known = {metric: value for metric, value in values.items() if value is not None}
        if found.setdefault(day, known) != known:
            raise changed(f"{day:%Y-%m-%d} is there twice with two values")
    return sorted(found.items())


def rows_of(document: Any) -> list[Any]:
    """Return the rows of an answer; raises ``UpstreamError`` where it has none of the form known."""
    return _list(document, "data")


def next_token(document: dict[str, Any]) -> str:
    """Return what leads to the next page, empty on the last one; the address beside it is not followed."""
    token = document.get("next_page_token") or ""
    if not isinstance(token, str):
        raise changed(f"next_page_token is {str(token)[:40]}")
    return token


def explain(answer: Answer, asset: str, metrics: Sequence[str]) -> None:
    """Raise what the body of an answer explains; what it does not is left to the status.

    ``MetricRefused`` where it names one of ``metrics``, ``SourceLimited`` where it does not know the asset.
    """
    told = _error(answer)
    if told is None:
        return
    kind, words = told
    named = [metric for metric in metrics if re.search(rf"\b{re.escape(metric)}\b", words)]
    if named:
        raise MetricRefused(named[0], words)
    if answer.status in (400, 404) and re.search(rf"'(assets|{re.escape(asset)})'", words):
        raise SourceLimited(
            f"CoinMetrics does not know {asset}.", f"It says: {words}",
            "Ask for another coin, as in BTC-USD; candles come from other sources.",
        )  # fmt: skip
    error: type[ForecastleError] = UpstreamRefused if answer.status in (401, 403) else UpstreamError
    raise error(
        f"CoinMetrics refuses the question for {asset}: {kind}.", f"It says: {words or 'nothing'}",
        "Try again later: what was fetched before is kept.",
    )  # fmt: skip


def changed(what: str) -> UpstreamError:
    """Return the error for an answer of a form that is not known; ``what`` says where."""
    return UpstreamError(
        "CoinMetrics' answer has another form than the one known.", f"{what[:1].upper()}{what[1:]}.",
        "Try again later; if it stays, a newer version of forecastle is needed.",
    )  # fmt: skip


def _error(answer: Answer) -> tuple[str, str] | None:
    """Return the type and the words of ``{"error": {"type": ..., "message": ...}}``; None where it is none."""
    if answer.status not in EXPLAINED:
        return None
    try:
        document = answer.json()
    except Fault:
        return None
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict) or not error.get("type"):
        return None
    return str(error["type"])[:40], " ".join(str(error.get("message", "")).split())[:200]


def _list(document: Any, name: str) -> list[Any]:
    found = document.get(name) if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise changed(f"there is no list of {name} in {str(document)[:60]}")
    return found


def _check_asset(row: Any, asset: str) -> None:
    if not isinstance(row, dict) or row.get("asset") != asset:
        raise changed(f"asked was {asset}, and a row is {str(row)[:60]}")


def _midnight(row: dict[str, Any]) -> datetime:
    stamp = str(row.get("time"))
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00(\.0+)?Z", stamp):
        raise changed(f"a row is about {stamp[:40]}, no midnight")
    try:
        day = datetime.fromisoformat(stamp[:10]).replace(tzinfo=UTC)
    except ValueError as error:
        raise changed(f"a row is about {stamp[:40]}, no day") from error
    if day < EARLIEST:
        raise changed(f"a row is about {stamp[:10]}, before any chain")
    return day


def _number(row: dict[str, Any], metric: str) -> float | None:
    text = row.get(metric)
    if text is None:
        return None
    try:
        value = float(text)
    except (TypeError, ValueError) as error:
        raise changed(f"{metric} is {str(text)[:40]}") from error
    if not math.isfinite(value) or isinstance(text, bool):
        raise changed(f"{metric} is {text}")
    return value
