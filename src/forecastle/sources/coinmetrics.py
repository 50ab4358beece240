"""CoinMetrics: what happens on the chain of a coin, a value a day, of its community data (no key, CC BY-NC 4.0).

What to know of the values: they are about a UTC day and published after it is over, the price at once, the others hours
into the next day, so that ``known_at`` is one day after the beginning of the day for the price and two for the rest; a
value that is here sooner was known when it was fetched. Values are revised; a revision is known from when it is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

import polars as pl

from forecastle.errors import SourceLimited
from forecastle.nouns import Instrument, Observations
from forecastle.nouns.observations import OBSERVED
from forecastle.ports import Line, ObservedPage, Page, SourceFacts
from forecastle.sessions import Timeframe
from forecastle.sources._coinmetrics_answers import (
    Day,
    MetricRefused,
    changed,
    explain,
    next_token,
    read_days,
    read_plan,
)
from forecastle.sources._polite import Venue, venue_of
from forecastle.sources._wire import Answer

API = "https://community-api.coinmetrics.io/v4"
INTERVAL = 0.6
"""Seconds between two requests: ten in six seconds are allowed."""
DAYS = 5_000
"""Days asked for in one page."""
PAGES = 1_000
"""More pages than that no coin has."""
DAY = timedelta(days=1)


class Metric(NamedTuple):
    """A metric of CoinMetrics: what it is called here, its unit, and how long after its day began it is known."""

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
    ) -> Iterator[ObservedPage]:
        """Yield the metrics of the days from ``start`` to ``end``, page by page, oldest first; none of a day not over.

        Only metrics that the catalog has in the community data are asked for; one that is refused all the same is left
        out, with a note. Raises ``SourceLimited`` for anything but ``BASE-USD`` and for a coin that CoinMetrics does
        not know, ``UpstreamError`` where it fails for now.
        """
        asset = _asset(instrument)
        since, until = _midnight_from(start) if start else None, _midnight(end) if end else None
        if since and until and since >= until:
            return
        question = _Question(asset, since, until, self._plan(asset))
        more = True
        while more:
            document, notes = self._page(question)
            days = question.wanted(read_days(document, asset, question.metrics))
            yield ObservedPage(_observations(instrument, question.metrics, days, self._venue.now()), notes)
            more = question.go_on(next_token(document))

    @property
    def _venue(self) -> Venue:
        return venue_of(self.line, "coinmetrics", INTERVAL)

    def _plan(self, asset: str) -> list[str]:
        """Return which of our metrics of a coin the community data have."""
        has = read_plan(self._ask("catalog-v2/asset-metrics", {"assets": asset}, asset, ()), asset)
        return [metric for metric in METRICS if metric in has]

    def _page(self, question: _Question) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the next page, and a note on each metric that was refused on the way to it."""
        notes: list[str] = []
        while question.metrics:
            try:
                asked = question.params()
                return self._ask("timeseries/asset-metrics", asked, question.asset, question.metrics), tuple(notes)
            except MetricRefused as refused:
                question.metrics.remove(refused.metric)
                notes.append(f"{METRICS[refused.metric].name} is left out: CoinMetrics says {refused.told}")
        raise SourceLimited(
            f"CoinMetrics has none of our metrics of {question.asset} in its community data.",
            " ".join(notes) or "Its catalog names none by the day.",
            "Ask for another coin, as in BTC-USD.",
        )

    def _ask(self, path: str, params: dict[str, str], asset: str, metrics: Sequence[str]) -> dict[str, Any]:
        venue, url = self._venue, f"{API}/{path}?{urlencode(params)}"

        def once() -> Answer:
            answer = venue.wire.send("GET", url, {"Accept": "application/json"})
            explain(answer, asset, metrics)
            return answer

        answer = venue.ask(once)
        document = answer.json() if answer.status == 200 else None
        if not isinstance(document, dict):
            raise changed(f"the status is {answer.status} and the answer begins with {answer.body[:40]!r}")
        return document


@dataclass
class _Question:
    """What is asked of one coin, page by page: the days from ``since`` to before ``until``."""

    asset: str
    since: datetime | None
    until: datetime | None
    metrics: list[str]
    token: str = ""
    reached: datetime | None = None
    seen: set[str] = field(default_factory=set)

    def params(self) -> dict[str, str]:
        """Return the question for the page that comes next."""
        params = {
            "assets": self.asset, "metrics": ",".join(self.metrics), "frequency": "1d", "page_size": str(DAYS),
            "paging_from": "start",
        }  # fmt: skip
        params |= {"start_time": f"{self.since:%Y-%m-%d}"} if self.since else {}
        params |= {"end_time": f"{self.until:%Y-%m-%d}", "end_inclusive": "false"} if self.until else {}
        return params | ({"next_page_token": self.token} if self.token else {})

    def wanted(self, days: list[Day]) -> list[Day]:
        """Return those days of a page that were asked for; raises ``UpstreamError`` where it goes back in time."""
        if days and self.reached and days[0][0] <= self.reached:
            raise changed(f"a page goes back to {days[0][0]:%Y-%m-%d}")
        self.reached = days[-1][0] if days else self.reached
        return [
            (day, values)
            for day, values in days
            if not (self.since and day < self.since) and not (self.until and day >= self.until)
        ]

    def go_on(self, token: str) -> bool:
        """Turn to the next page and return whether there is one; raises ``UpstreamError`` where there is no end."""
        if token in self.seen or len(self.seen) >= PAGES:
            raise changed(f"the page {token[:20]} comes again, or there is no last one")
        self.seen.add(token)
        self.token = token
        return bool(token)


def _asset(instrument: Instrument) -> str:
    if instrument.kind != "pair" or instrument.quote != "USD":
        raise SourceLimited(
            f"CoinMetrics has no metrics of {instrument}.",
            "They are of a coin, and are kept under its pair in dollars.",
            f"Fetch {instrument.base or 'BTC'}-USD: they serve every pair of the coin.",
        )
    return instrument.base.lower()


def _observations(
    instrument: Instrument, metrics: Sequence[str], days: Sequence[Day], now: datetime
) -> tuple[Observations, ...]:
    """Return the metrics that have values, without a day that is not over: its values are of a part of it."""
    over = [(day, values) for day, values in days if day + DAY <= now]
    found: list[Observations] = []
    for metric in metrics:
        name, unit, known_after = METRICS[metric]
        rows = [(day, _known_at(day, known_after, now), v[metric]) for day, v in over if metric in v]
        frame = pl.DataFrame(rows, schema=OBSERVED, orient="row")
        found += [Observations(instrument, name, unit, "coinmetrics", frame)] if rows else []
    return tuple(found)


def _known_at(day: datetime, known_after: timedelta, now: datetime) -> datetime:
    """Return when a value was published, to be on the safe side; now, where it is here before that."""
    return min(day + known_after, max(now, day + DAY))


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _midnight_from(moment: datetime) -> datetime:
    """Return the first midnight that is not before ``moment``."""
    day = _midnight(moment)
    return day if day == moment else day + DAY
