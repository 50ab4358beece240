"""CoinGecko: one price and one volume a day of a coin, for the last 365 days, without a key.

What to know of the rows: only the price at midnight is known, so open, high, low and close are the same number and say
nothing about the range of the day. The price stamped with day D at 00:00 UTC is the close of day D-1. Volume is money
in the quote currency, over the 24 hours until then, on all markets that CoinGecko counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

import polars as pl

from forecastle.errors import SourceLimited
from forecastle.nouns import Instrument
from forecastle.nouns.candles import SCHEMA, TIME
from forecastle.ports import Line, Page, SourceFacts
from forecastle.sessions import Timeframe
from forecastle.sources._coingecko_answers import changed, read_chart, refusal, too_old
from forecastle.sources._coingecko_coins import COINS, MONEY, only_coin
from forecastle.sources._polite import Venue, venue_of
from forecastle.sources._wire import Answer, Fault

API = "https://api.coingecko.com/api/v3"
INTERVAL = 6.0
"""Seconds between two requests: without a key CoinGecko allows 5 to 15 a minute, depending on its load."""
DAY = timedelta(days=1)
BACK = 365 * DAY
"""What the public plan gives."""
WHOLE_DAYS = 92 * DAY
"""A question about more than 90 days is answered by the day, a shorter one by the hour."""
GRACE = timedelta(minutes=40)
"""How long after midnight its price is there: CoinGecko says 35 minutes; until then a live price may stand for it."""
LATE_STAMP = 600_000
"""Milliseconds: the first stamp of a day counts as its midnight up to this late; else the day is absent."""
LATE_DAY = 2 * DAY
"""A day that is absent may still come until then."""
EXPLAINED = (200, 400, 401, 403, 404, 422)
"""Statuses whose body may say what is wrong."""


@dataclass(frozen=True)
class CoinGecko:
    """Daily closes of pairs in money such as ``BTC-USD`` or ``ETH-EUR``."""

    line: Line
    name: str = "coingecko"
    _ids: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def facts(self) -> SourceFacts:
        """Return the units and limits of CoinGecko's public interface."""
        return SourceFacts(
            title="CoinGecko",
            adjusted="none",
            prices="close",
            volume="quote",
            history="365 days of days (public plan)",
            limits="5 to 15 requests a minute without a key; one in 6 seconds is sent",
            licence="CoinGecko API terms: attribution (data by CoinGecko), no redistribution",
            fall_back=("yahoo",),
        )

    def pages(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Iterator[Page]:
        """Yield one page of the days that open at or after ``start`` and close at or before ``end``.

        Raises ``SourceLimited`` for any other timeframe, for quotes such as USDT, for a symbol of several coins and for
        a start more than 365 days ago, and ``UpstreamError`` where CoinGecko fails for now.
        """
        _check(instrument, timeframe)
        now = self._venue.now()
        first = _midnight_after(now - BACK + timedelta(minutes=10))  # the first stamp to be had
        since, stop = start or first - DAY, min(end, now) if end else now
        if since < first - DAY:
            asked = f"{instrument} from {since:%Y-%m-%d}"
            raise too_old(asked, f"It gives the last 365 days: now those that open from {first - DAY:%Y-%m-%d} on.")
        if since >= stop:
            return
        points = self._chart(instrument, _midnight_after(since), stop, first, now)
        page = _page(points, since, stop, end, self._venue.now())
        if page.until > since:
            yield page

    @property
    def _venue(self) -> Venue:
        return venue_of(self.line, "coingecko", INTERVAL)

    def _chart(
        self, instrument: Instrument, since: datetime, stop: datetime, first: datetime, now: datetime
    ) -> pl.DataFrame:
        """Ask for a span that holds all stamps from ``since`` to ``stop``, and is long enough to come by the day."""
        begin = max(first, min(since, stop - WHOLE_DAYS))
        upto = min(now, max(stop, begin + WHOLE_DAYS))
        params: dict[str, str | int] = {
            "vs_currency": instrument.quote.lower(),
            "from": int(begin.timestamp()),
            "to": int(upto.timestamp()),
        }
        path = f"coins/{quote(self._coin(instrument.base), safe='')}/market_chart/range"
        return read_chart(self._ask(path, params, f"{instrument} from {begin:%Y-%m-%d}"))

    def _coin(self, symbol: str) -> str:
        """Return CoinGecko's id of a coin, asking for its list where the symbol is not among the known ones."""
        if symbol not in COINS and symbol not in self._ids:
            self._ids[symbol] = only_coin(self._ask("coins/list", {}, symbol), symbol)
        return COINS.get(symbol) or self._ids[symbol]

    def _ask(self, path: str, params: dict[str, str | int], asked: str) -> Any:
        venue, url = self._venue, f"{API}/{path}"
        full = f"{url}?{urlencode(params)}" if params else url

        def once() -> Answer:
            answer = venue.wire.send("GET", full, {"Accept": "application/json"})
            _explain(venue, answer, asked)
            return answer

        answer = venue.ask(once)
        if answer.status != 200:
            raise changed(f"the status is {answer.status}")
        return answer.json()


def _explain(venue: Venue, answer: Answer, asked: str) -> None:
    """Raise what the body of an answer explains; what it does not is left to the status."""
    error = refusal(_document(answer), answer.status, asked) if answer.status in EXPLAINED else None
    if error and answer.status == 200 and error.throttled:
        raise venue.limited(None, "it wants fewer requests")
    if error and (answer.status not in (401, 403) or error.is_limit):
        raise error.meant


def _document(answer: Answer) -> Any:
    """Return the body as JSON, None where it is none: then the venue judges it."""
    try:
        return answer.json()
    except Fault:
        return None


def _check(instrument: Instrument, timeframe: Timeframe) -> None:
    if timeframe != "1d":
        raise SourceLimited(
            f"CoinGecko has no candles of {timeframe} here.",
            "It gives one price a day, which makes bars of 1d.",
            "Fetch --timeframe 1d, or another source.",
        )
    if instrument.kind != "pair" or instrument.quote not in MONEY:
        raise SourceLimited(
            f"CoinGecko has no prices of {instrument}.",
            f"It quotes coins in {', '.join(MONEY)}; a price in a dollar token is another price.",
            f"Fetch {instrument.base}-USD from coingecko, or {instrument} from an exchange such as binance.",
        )


def _page(points: pl.DataFrame, since: datetime, stop: datetime, end: datetime | None, now: datetime) -> Page:
    """Turn stamps into days that have closed by CoinGecko's own time."""
    cut = min(now - GRACE, end) if end else now - GRACE
    rows = _days(points).filter((pl.col("open_time") >= since) & (pl.col("close_time") <= cut))
    until = min(stop, _midnight(cut))
    priced = rows.filter(pl.col("close").is_not_null())["close_time"].max()
    last = priced if isinstance(priced, datetime) else since
    until = min(until, max(last, _midnight(now - LATE_DAY)))
    return Page(rows.filter(pl.col("open_time") < until), since, until)


def _days(points: pl.DataFrame) -> pl.DataFrame:
    """Return the bar of each midnight that has a price: the first stamp of the day, at most ten minutes late."""
    day = 86_400_000
    late = pl.col("stamp") % day
    closes = pl.from_epoch(pl.col("stamp") // day * 86_400, "s").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    first = points.filter(late <= LATE_STAMP).filter(late == late.min().over(pl.col("stamp") // day))
    timed = first.sort("stamp", maintain_order=True).with_columns(close_time=closes.cast(TIME))
    price = {name: pl.col("price") for name in ("open", "high", "low", "close")}
    opened = (pl.col("close_time") - pl.duration(days=1)).cast(TIME)
    return timed.with_columns(open_time=opened, **price).select(list(SCHEMA)).unique(maintain_order=True)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _midnight_after(moment: datetime) -> datetime:
    """Return the first midnight after ``moment``: of a moment at midnight the next one."""
    return _midnight(moment) + DAY
