"""CoinMetrics: what happens on the chain of a coin, a value a day, of its community data (no key, CC BY-NC 4.0).

What to know of the values: they are about a UTC day and published after it is over, the price at once, the others hours
into the next day, so that ``known_at`` is one day after the beginning of the day for the price and two for the rest; a
value that is here sooner was known when it was fetched. Values are revised; a revision is known from when it is seen.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

import polars as pl

from forecastle.errors import ForecastleError, SourceLimited, UpstreamError, UpstreamRefused
from forecastle.nouns import Instrument, Observations
from forecastle.nouns.observations import OBSERVED
from forecastle.ports import Line, Page, SourceFacts
from forecastle.sessions import Timeframe
from forecastle.sources._polite import Venue, venue_of
from forecastle.sources._wire import Answer, Fault

API = "https://community-api.coinmetrics.io/v4"
INTERVAL = 0.6
"""Seconds between two requests: ten in six seconds are allowed."""
PAGE = 5_000
"""Days asked for at once, and at most how many pages one question may have."""
DAY = timedelta(days=1)
EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)


class Metric(NamedTuple):
    """A metric of CoinMetrics: what it is called here, its unit, and how many days after its day began it is known."""

    name: str
    unit: str
    known_after: timedelta = 2 * DAY


METRICS: dict[str, Metric] = {
    "PriceUSD": Metric("price_usd", "USD", DAY),
    "CapMrktCurUSD": Metric("market_cap", "USD"),
    "CapMVRVCur": Metric("mvrv", "ratio"),
    "CapRealUSD": Metric("realized_cap", "USD"),
    "AdrActCnt": Metric("active_addresses", "addresses"),
    "TxCnt": Metric("transactions", "transactions"),
    "TxTfrValAdjUSD": Metric("transfer_value", "USD"),
    "HashRate": Metric("hash_rate", "terahashes per second"),
    "SplyCur": Metric("supply", "coins"),
    "FlowInExUSD": Metric("exchange_inflow", "USD"),
    "FlowOutExUSD": Metric("exchange_outflow", "USD"),
}


@dataclass(frozen=True)
class CoinMetrics:
    """Daily on-chain metrics of a coin, asked for as ``BTC-USD``."""

    line: Line
    name: str = "coinmetrics"

    @property
    def facts(self) -> SourceFacts:
        """Return the units and limits of the community data."""
        return SourceFacts(
            title="CoinMetrics community data: on-chain, daily",
            adjusted="none",
            prices="close",
            volume="unknown",
            history="all of it, from the first block on",
            limits="10 requests in 6 seconds",
            licence="CC BY-NC 4.0: not for commercial use, with attribution",
            gives="observations",
        )

    def pages(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Iterator[Page]:
        """Raise ``SourceLimited``: there are no candles here."""
        raise SourceLimited(
            f"CoinMetrics has no candles of {instrument}.", "It has on-chain metrics.", "Fetch candles elsewhere."
        )

    def observations(
        self, instrument: Instrument, start: datetime | None, end: datetime | None
    ) -> Iterator[tuple[Observations, ...]]:
        """Yield the metrics of the days from ``start`` to ``end``, page by page, oldest first; none of a day not over.

        Metrics that the coin or the community plan does not have are left out. Raises ``SourceLimited`` for anything
        but ``BASE-USD`` and for a coin that CoinMetrics does not know, ``UpstreamError`` where it fails for now.
        """
        asset = _asset(instrument)
        metrics, token, seen = list(METRICS), "", set[str]()
        while metrics:
            answer = self._ask(asset, metrics, start, end, token)
            if isinstance(answer, str):
                metrics.remove(answer)
                continue
            yield _observations(instrument, asset, metrics, answer["data"], self._venue.now())
            token = str(answer.get("next_page_token") or "")
            if not token:
                return
            if token in seen:
                raise _changed(f"the page {token[:20]} leads to itself")
            seen.add(token)
        raise SourceLimited(
            f"CoinMetrics has none of our metrics of {asset} in its community data.", "Each was refused.",
            "Ask for another coin.",
        )  # fmt: skip

    @property
    def _venue(self) -> Venue:
        return venue_of(self.line, "coinmetrics", INTERVAL)

    def _ask(
        self, asset: str, metrics: Sequence[str], start: datetime | None, end: datetime | None, token: str
    ) -> dict[str, Any] | str:
        """Return one page, or the name of a metric that is refused: the others are asked for without it."""
        params = {
            "assets": asset, "metrics": ",".join(metrics), "frequency": "1d", "page_size": str(PAGE),
            "paging_from": "start", "ignore_forbidden_errors": "true", "ignore_unsupported_errors": "true",
        }  # fmt: skip
        params |= {"start_time": f"{start:%Y-%m-%d}"} if start else {}
        params |= {"end_time": f"{end:%Y-%m-%d}", "end_inclusive": "false"} if end else {}
        params |= {"next_page_token": token} if token else {}
        url, venue = f"{API}/timeseries/asset-metrics?{urlencode(params)}", self._venue

        def once() -> Answer:
            answer = venue.wire.send("GET", url, {"Accept": "application/json"})
            error = _refusal(answer, asset, metrics)
            if isinstance(error, ForecastleError):
                raise error
            if error:
                refused.append(error)
                return _ACCEPTED
            return answer

        refused: list[str] = []
        answer = venue.ask(once)
        if refused:
            return refused[-1]
        document = answer.json()
        if answer.status != 200 or not isinstance(document, dict) or not isinstance(document.get("data"), list):
            raise _changed(f"the status is {answer.status} and there is no list of data")
        return document


_ACCEPTED = Answer(200, {}, b"{}", "")
"""Stands for an answer that was understood: the venue has nothing to judge in it."""


def _asset(instrument: Instrument) -> str:
    if instrument.kind != "pair" or instrument.quote != "USD":
        raise SourceLimited(
            f"CoinMetrics has no metrics of {instrument}.",
            "They are of a coin, and are kept under its pair in dollars.",
            f"Fetch {instrument.base or 'BTC'}-USD: they serve every pair of the coin.",
        )
    return instrument.base.lower()


def _refusal(answer: Answer, asset: str, metrics: Sequence[str]) -> ForecastleError | str | None:
    """Return the error that a body explains, the metric that it refuses, or None where it explains nothing."""
    if answer.status not in (400, 401, 403, 404):
        return None
    try:
        told = answer.json().get("error", {})
        kind, words = str(told.get("type", "")), " ".join(str(told.get("message", "")).split())[:200]
    except (Fault, AttributeError):
        return None
    named = [metric for metric in metrics if re.search(rf"\b{metric}\b", words)]
    if named:
        return named[0]
    if "asset" in words.lower() and answer.status in (400, 404):
        return SourceLimited(f"CoinMetrics does not know {asset}.", f"It says: {words}", "Ask for another coin.")
    if not kind:
        return None
    error = UpstreamRefused if answer.status in (401, 403) else UpstreamError
    return error(
        f"CoinMetrics refuses the question for {asset}: {kind}.", f"It says: {words or 'nothing'}", "Try again later."
    )


def _observations(
    instrument: Instrument, asset: str, metrics: Sequence[str], rows: list[Any], now: datetime
) -> tuple[Observations, ...]:
    found: dict[str, list[tuple[datetime, datetime, float]]] = {metric: [] for metric in metrics}
    for row in rows:
        about = _day(row, asset)
        if about + DAY > now:
            continue  # not over: its values are of a part of it
        for metric in metrics:
            value = _number(row, metric)
            if value is not None:
                published = about + METRICS[metric].known_after
                known = published if published <= now else max(now, about + DAY)
                found[metric].append((about, known, value))
    return tuple(_series(instrument, METRICS[metric], values) for metric, values in found.items() if values)


def _series(instrument: Instrument, metric: Metric, values: list[tuple[datetime, datetime, float]]) -> Observations:
    frame = pl.DataFrame(values, schema=OBSERVED, orient="row").unique(maintain_order=True).sort("about", "known_at")
    if frame["about"].is_duplicated().any():
        raise _changed(f"a day of {metric.name} is there twice with two values")
    return Observations(instrument, metric.name, metric.unit, "coinmetrics", frame)


def _day(row: Any, asset: str) -> datetime:
    """Return the day of a row; raises ``UpstreamError`` where it is no row of the asset, or of no midnight."""
    try:
        told, stamp = row["asset"], str(row["time"])
        day = datetime.fromisoformat(stamp[:19]).replace(tzinfo=UTC)
    except (KeyError, TypeError, ValueError) as error:
        raise _changed(f"a row is {str(row)[:60]}") from error
    if told != asset or stamp[11:19] != "00:00:00" or not stamp.endswith("Z") or day < EARLIEST:
        raise _changed(f"a row is of {told} at {stamp}")
    return day


def _number(row: dict[str, Any], metric: str) -> float | None:
    text = row.get(metric)
    if text is None:
        return None
    try:
        value = float(text)
    except (TypeError, ValueError) as error:
        raise _changed(f"{metric} is {str(text)[:40]}") from error
    if not math.isfinite(value):
        raise _changed(f"{metric} is {value}")
    return value


def _changed(what: str) -> UpstreamError:
    return UpstreamError(
        "CoinMetrics' answer has another form than the one known.", f"{what[:1].upper()}{what[1:]}.",
        "Try again later; if it stays, a newer version of forecastle is needed.",
    )  # fmt: skip
