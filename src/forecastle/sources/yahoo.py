"""Yahoo Finance through yfinance: stocks, indices and coins; days without end, shorter bars for a while.

What to know of the rows: prices are adjusted for splits, not for dividends, and Yahoo restates them after every split.
They are in the currency of the listing as Yahoo gives it: shares in London are in pence (GBp), and nothing is scaled.
Volume is in shares; for a pair such as ``BTC-USD`` it is money in the quote currency. Dividends and splits come with
the days, as observations. Yahoo's terms allow personal use only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from forecastle.errors import SourceLimited
from forecastle.nouns import Instrument, Observations
from forecastle.nouns.candles import SCHEMA
from forecastle.ports import Line, Page, SourceFacts
from forecastle.sessions import Timeframe, calendar, step_of
from forecastle.sources._yahoo_bars import between, events_of, rows_of
from forecastle.sources._yahoo_symbols import yahoo_symbol

if TYPE_CHECKING:
    from forecastle.sources._yahoo_client import YahooClient

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Span:
    """How far back Yahoo has bars of a length, and how many days are asked for at once."""

    back: timedelta | None
    page: timedelta


SPANS: dict[Timeframe, Span] = {
    "1m": Span(30 * DAY, 7 * DAY),  # Yahoo gives at most 8 days of minutes in one answer
    "5m": Span(60 * DAY, 30 * DAY), "15m": Span(60 * DAY, 30 * DAY), "30m": Span(60 * DAY, 30 * DAY),
    "1h": Span(730 * DAY, 180 * DAY),
    "1d": Span(None, 25 * 365 * DAY),
}  # fmt: skip
FIRST_DAY, FIRST_COIN = datetime(1927, 1, 1, tzinfo=UTC), datetime(2010, 1, 1, tzinfo=UTC)
"""Nothing at Yahoo is older: the S&P 500 begins in December 1927."""
GRACE, COIN_GRACE = timedelta(minutes=30), timedelta(minutes=5)
"""How long after its close a bar counts as closed: Yahoo shows many exchanges up to 20 minutes late."""
LATE = 2 * DAY
"""A bar that Yahoo leaves empty may still come until then; after that it is not there."""
MARGIN = timedelta(hours=25)
"""Days are asked for with this much on both sides, and cut by the calendar: their stamps follow the exchange."""


@dataclass(frozen=True)
class Yahoo:
    """Candles of Yahoo Finance: ``1m 5m 15m 30m 1h 1d`` of stocks, indices and pairs in money such as ``BTC-USD``."""

    line: Line
    name: str = "yahoo"
    _kept: list[YahooClient] = field(default_factory=list, repr=False, compare=False)

    @property
    def facts(self) -> SourceFacts:
        """Return the units and limits of Yahoo."""
        return SourceFacts(
            title="Yahoo Finance",
            adjusted="splits",
            prices="ohlc",
            volume="shares",
            history="days: all; 1h: 730 days; 30m, 15m, 5m: 60 days; 1m: 30 days",
            limits="not published; 2 requests a second are sent, and every 429 is obeyed",
            licence="Yahoo's terms of service: personal use, no redistribution",
            pair_volume="quote",
        )

    def pages(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Iterator[Page]:
        """Yield the bars that open at or after ``start`` and close at or before ``end``, oldest first.

        A dividend or split is about the open of the session it counts from. Rows whose date is no session have no
        ``close_time``; a missing price is null. Raises ``SourceLimited`` for what Yahoo does not have (a pair in USDT,
        a timeframe, minutes of last year) and ``UpstreamError`` where it fails for now.
        """
        symbol, span = yahoo_symbol(instrument), _span(timeframe)
        now = self._client.now()
        since, stop = _range(instrument, timeframe, start, end, now)
        upto = since
        while upto < stop:
            upto = min(stop, _midnight(since) + span.page)
            page = self._page(symbol, instrument, timeframe, since, upto, end)
            yield page
            if page.until == since:
                return
            since = page.until  # not past a bar that waits: those after it tell whether it will come

    @property
    def _client(self) -> YahooClient:
        """Return the client, made on first use: yfinance costs a second."""
        if not self._kept:
            from forecastle.sources._yahoo_client import YahooClient

            self._kept.append(YahooClient(self.line))
        return self._kept[0]

    def _page(
        self, symbol: str, instrument: Instrument, timeframe: Timeframe, since: datetime, upto: datetime,
        end: datetime | None,
    ) -> Page:  # fmt: skip
        """Ask for one span and keep what has closed by Yahoo's own time."""
        days, pair = timeframe == "1d", instrument.always_open
        margin = MARGIN if days else timedelta(0)
        # A market that never closes has no hours outside trading; yfinance would cut its last minute of the day.
        got = self._client.history(symbol, timeframe, since - margin, upto + margin, prepost=pair)
        closed = self._client.now() - (COIN_GRACE if pair else GRACE)
        rows, events = pl.DataFrame(schema=SCHEMA), tuple[Observations, ...]()
        if not got.frame.empty:
            rows = rows_of(got.frame, got.chart, instrument, timeframe)
            events = events_of(got.frame, got.chart, instrument, self.name) if days else events
        cut = min(closed, end) if end else closed
        rows = _closed(rows, timeframe, since, cut)
        priced = rows.filter(pl.col("close").is_not_null() & pl.col("close_time").is_not_null())["open_time"].max()
        last = priced if isinstance(priced, datetime) else since - DAY
        until = _first_waiting(instrument, timeframe, since, upto, cut=cut, last=last, late=closed - LATE)
        rows = rows.filter(pl.col("open_time") < until)
        return Page(rows, since, until, _inside(events, since, until))


def _span(timeframe: Timeframe) -> Span:
    if timeframe not in SPANS:
        raise SourceLimited(
            f"Yahoo has no candles of {timeframe}.",
            f"It has {', '.join(SPANS)}.",
            "Fetch a shorter timeframe.",
        )
    return SPANS[timeframe]


def _range(
    instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """Return the first moment to ask for and the one to stop at; raises ``SourceLimited`` where Yahoo begins later."""
    stop = min(end, now) if end else now
    back = SPANS[timeframe].back
    if back is None:
        return start or (FIRST_COIN if instrument.always_open else FIRST_DAY), stop
    earliest = now - back
    if start and start < earliest:
        raise SourceLimited(
            f"Yahoo has no {timeframe} candles of {instrument} from {start:%Y-%m-%d %H:%M} UTC.",
            f"At {timeframe} it goes back {back.days} days, now to {earliest:%Y-%m-%d %H:%M} UTC.",
            "Ask for a later start, for --timeframe 1d, or another source.",
        )
    return start or _midnight(earliest) + DAY, stop


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _closed(rows: pl.DataFrame, timeframe: Timeframe, since: datetime, closed: datetime) -> pl.DataFrame:
    """Return the rows from ``since`` on that have closed; one without a close counts as long as its timeframe."""
    step = pl.col("open_time") + pl.lit(step_of(timeframe)).cast(pl.Duration("us"))
    ends = pl.col("close_time").fill_null(step)
    return rows.filter((pl.col("open_time") >= since) & (ends <= closed))


def _first_waiting(
    instrument: Instrument, timeframe: Timeframe, since: datetime, upto: datetime,
    *, cut: datetime, last: datetime, late: datetime,
) -> datetime:  # fmt: skip
    """Return the open of the first bar in [since, upto) that is not answered yet, else ``upto``.

    That is one that closes after ``cut``, or one after the ``last`` bar with a price that closed after ``late``: Yahoo
    fills in the last days late.
    """
    begin = max(since, min(cut, late) - 7 * DAY)
    opens, closes = calendar(instrument.calendar).bars(_naive(begin), _naive(upto), timeframe)
    waiting = opens[(closes > _naive(cut)) | ((opens > _naive(last)) & (closes > _naive(late)))]
    return min(upto, waiting[0].astype(datetime).replace(tzinfo=UTC)) if waiting.size else upto


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def _inside(events: tuple[Observations, ...], since: datetime, until: datetime) -> tuple[Observations, ...]:
    kept = (between(event, since, until) for event in events)
    return tuple(event for event in kept if event)
