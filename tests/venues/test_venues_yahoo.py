"""The real yfinance against the fault server: right rows or a named error, whatever Yahoo sends."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from forecastle.errors import SourceLimited, UpstreamError, UpstreamRefused
from forecastle.nouns import Instrument
from forecastle.ports import Line, Page, Patience
from forecastle.sessions import Exchange, calendar
from forecastle.sources._yahoo_symbols import yahoo_symbol
from forecastle.sources.yahoo import Yahoo
from venues import venue_yahoo
from venues.fault_server import Asked, Candle, Fault, FaultServer, Handler, Reply, Twist, World, generate
from venues.venue_time import MovedClock

START = datetime(2024, 3, 1, tzinfo=UTC)
NUMBERS = ("open", "high", "low", "close", "volume")
CHART = "finance/chart"
pytestmark = pytest.mark.enable_socket

Row = tuple[Any, ...]
Change = Callable[[dict[str, Any]], Any]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def sessions(market: str, first: str, last: str) -> list[tuple[datetime, datetime]]:
    """Return (open, close) of the sessions of these dates."""
    found = calendar(market)
    assert isinstance(found, Exchange)
    _, opens, closes = found.sessions(np.datetime64(first, "us"), np.datetime64(last, "us"))
    return [
        (o.astype(datetime).replace(tzinfo=UTC), c.astype(datetime).replace(tzinfo=UTC))
        for o, c in zip(opens, closes, strict=True)
    ]


def on_sessions(market: str, first: str, last: str, seed: int) -> list[Candle]:
    """Return a made-up candle for each session, at its open."""
    opens = [opened for opened, _ in sessions(market, first, last)]
    made = generate(START, len(opens), seed=seed)
    return [row._replace(time=int(o.timestamp() * 1000)) for row, o in zip(made, opens, strict=True)]


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(utc("2024-06-01 12:00:30"))  # a Saturday


@pytest.fixture(scope="module")
def series() -> dict[tuple[str, str], list[Candle]]:
    return {
        ("AAPL", "1d"): on_sessions("XNYS", "2020-01-01", "2024-06-28", 1),
        ("4063.XTKS", "1d"): on_sessions("XTKS", "2024-01-01", "2024-06-28", 2),
        ("BT.A.XLON", "1d"): on_sessions("XLON", "2024-01-01", "2024-06-28", 3),
        ("SPX.INDEX", "1d"): on_sessions("XNYS", "2024-01-01", "2024-06-28", 7),
        ("BTC-USD", "1d"): generate(utc("2024-01-01"), 200, seed=4),
        ("BTC-USD", "1h"): generate(utc("2024-04-01"), 2000, "1h", seed=5),
        ("BTC-USD", "1m"): generate(utc("2024-05-29"), 6000, "1m", seed=6),
    }


@pytest.fixture
def world(clock: MovedClock, series: dict[tuple[str, str], list[Candle]]) -> World:
    return World(clock.seconds, dict(series))


class Bench:
    """A server, and a source that talks to it."""

    def __init__(self, world: World, clock: MovedClock, script: list[Fault], change: Change | None) -> None:
        handlers = {host: changed_by(change) for host in venue_yahoo.HANDLERS} if change else venue_yahoo.HANDLERS
        self.server = FaultServer(world, handlers, script)
        patience = Patience(attempts=3, request=0.3, seed=1)
        self.server.__enter__()
        self.source = Yahoo(Line(clock, clock.sleep, self.server.url, patience=patience))

    def pages(
        self, name: str = "AAPL", timeframe: Any = "1d", start: datetime | None = START, end: datetime | None = None
    ) -> list[Page]:
        return list(self.source.pages(Instrument.parse(name), timeframe, start, end))

    def charts(self) -> list[Asked]:
        return self.server.candles_asked(CHART)


Make = Callable[..., Bench]


@pytest.fixture
def bench(world: World, clock: MovedClock, request: pytest.FixtureRequest) -> Make:
    def make(*script: Fault, change: Change | None = None) -> Bench:
        made = Bench(world, clock, list(script), change)
        request.addfinalizer(lambda: made.server.__exit__())
        return made

    return make


def changed_by(change: Change) -> Handler:
    """Return a handler that gives what Yahoo would, with its one result changed."""

    def handler(asked: Asked, world: World, twist: Twist) -> Reply:
        reply = venue_yahoo.HANDLERS[asked.host](asked, world, twist)
        if CHART not in asked.path or reply.status != 200:
            return reply
        document = json.loads(reply.body)
        change(document["chart"]["result"][0])
        return Reply.json(document)

    return handler


def quote(result: dict[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = result["indicators"]["quote"][0]
    return found


def told(page: Page) -> list[Row]:
    """Return (open, then the five numbers) of the rows in the order of time."""
    return list(page.rows.sort("open_time").select("open_time", *NUMBERS).iter_rows())


def expected(world: World, name: str, timeframe: str, since: datetime, until: datetime) -> list[Row]:
    rows = [(datetime.fromtimestamp(c.time / 1000, UTC), *c[1:]) for c in world.series[name, timeframe]]
    return [row for row in rows if since <= row[0] < until]


# What comes when nothing is wrong


def test_days_of_a_stock_are_its_sessions(world: World, bench: Make) -> None:
    (page,) = bench().pages()
    assert page.since == START
    assert utc("2024-06-01 12:00:30") <= page.until < utc("2024-06-03")  # Saturday noon: no session until Monday
    assert told(page) == expected(world, "AAPL", "1d", START, utc("2024-06-01"))
    times = list(page.rows.sort("open_time").select("open_time", "close_time").iter_rows())
    assert times == sessions("XNYS", "2024-03-01", "2024-05-31")


@pytest.mark.parametrize(("name", "market"), [("4063.XTKS", "XTKS"), ("BT.A.XLON", "XLON"), ("SPX.INDEX", "XNYS")])
def test_days_of_other_exchanges_are_theirs_and_pence_stay_pence(
    world: World, bench: Make, name: str, market: str
) -> None:
    (page,) = bench().pages(name)
    assert told(page) == expected(world, name, "1d", START, utc("2024-06-01"))
    assert list(page.rows.select("open_time", "close_time").iter_rows()) == sessions(market, "2024-03-01", "2024-05-31")


def test_the_day_of_a_session_that_goes_on_is_left_out(world: World, clock: MovedClock, bench: Make) -> None:
    clock.moment = utc("2024-05-31 18:00:00")
    (page,) = bench().pages()
    assert page.until == utc("2024-05-31 13:30:00")
    assert told(page)[-1][0] == utc("2024-05-30 13:30:00")
    clock.moment = utc("2024-05-31 20:31:00")  # half an hour after the bell
    (page,) = bench().pages()
    assert told(page) == expected(world, "AAPL", "1d", START, utc("2024-06-01"))


@pytest.mark.parametrize(("timeframe", "closed"), [("1d", "2024-06-01"), ("1h", "2024-06-01 11:00")])
def test_bars_of_a_pair_lie_on_the_utc_clock(world: World, bench: Make, timeframe: str, closed: str) -> None:
    start = utc("2024-04-15")
    pages = bench().pages("BTC-USD", timeframe, start)
    assert pages[-1].until == utc(closed)
    assert [row for page in pages for row in told(page)] == expected(world, "BTC-USD", timeframe, start, utc(closed))


def test_the_last_minute_of_a_day_is_there_though_yahoo_says_the_day_ends_at_2359(world: World, bench: Make) -> None:
    start = utc("2024-05-30")
    (page,) = bench().pages("BTC-USD", "1m", start)
    assert told(page) == expected(world, "BTC-USD", "1m", start, page.until)
    assert utc("2024-05-30 23:59") in page.rows["open_time"].to_list()
    assert page.until == utc("2024-06-01 11:55")


def test_hours_of_an_exchange_end_at_the_bell(world: World, bench: Make) -> None:
    hours = [o + timedelta(hours=h) for o, _ in sessions("XNYS", "2024-05-20", "2024-05-31") for h in range(7)]
    made = generate(START, len(hours), "1h", seed=9)
    candles = [row._replace(time=int(h.timestamp() * 1000)) for row, h in zip(made, hours, strict=True)]
    world.add("AAPL", "1h", candles)
    pages = bench().pages("AAPL", "1h", utc("2024-05-20"))
    assert [row for page in pages for row in told(page)] == expected(world, "AAPL", "1h", START, utc("2024-06-01"))
    last = pages[-1].rows.sort("open_time").row(-1, named=True)
    assert (last["open_time"], last["close_time"]) == (utc("2024-05-31 19:30"), utc("2024-05-31 20:00"))


def test_half_hours_are_made_of_quarters_and_none_is_made_up(world: World, bench: Make) -> None:
    opens = [o for o, _ in sessions("XNYS", "2024-05-29", "2024-05-31")]
    quarters = [o + timedelta(minutes=15 * q) for o in opens for q in range(26)]
    made = generate(START, len(quarters), "5m", seed=9)
    world.add("AAPL", "15m", [r._replace(time=int(q.timestamp() * 1000)) for r, q in zip(made, quarters, strict=True)])
    (page,) = bench().pages("AAPL", "30m", utc("2024-05-29"))
    pairs = zip(made[::2], made[1::2], strict=True)
    numbers = [(a.open, max(a.high, b.high), min(a.low, b.low), b.close, a.volume + b.volume) for a, b in pairs]
    assert [row[1:] for row in told(page)] == pytest.approx(np.array(numbers))
    assert page.rows.height == 39


def test_long_histories_come_in_pages_that_meet(world: World, bench: Make) -> None:
    made = bench()
    pages = made.pages("AAPL", "1d", None)
    assert len(pages) == 4
    assert [page.until for page in pages[:-1]] == [page.since for page in pages[1:]]
    whole = expected(world, "AAPL", "1d", utc("2020-01-01"), utc("2024-06-01"))
    assert [row for page in pages for row in told(page)] == whole
    assert [page.rows.height for page in pages[:2]] == [0, 0]  # before the first trade Yahoo has nothing
    minutes = made.pages("BTC-USD", "1m", utc("2024-05-10"))
    assert [(page.until - page.since).days for page in minutes[:-1]] == [7, 7, 7]


def test_cookie_and_crumb_are_fetched_once(bench: Make) -> None:
    made = bench()
    made.pages()
    made.pages("4063.XTKS")
    assert [asked.path for asked in made.server.asked if CHART not in asked.path] == ["/", "/v1/test/getcrumb"]
    assert [asked.query.get("crumb") for asked in made.charts()] == ["Crumb.1", "Crumb.1"]


def test_yfinance_keeps_nothing_and_says_nothing(
    bench: Make, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    from yfinance import cache

    made = bench(Fault("500", match=CHART, times=99))
    with caplog.at_level(logging.DEBUG), pytest.raises(UpstreamError):
        made.pages()
    assert [record for record in caplog.records if record.name == "yfinance"] == []
    assert capfd.readouterr() == ("", "")
    # The folder in the user's home, with its database of time zones and its pickled cookies, is never opened.
    assert cache._TzDBManager._db is None
    assert cache._CookieDBManager._db is None


@pytest.mark.shared_data
def test_the_recorded_answer_is_read_number_by_number(clock: MovedClock, shared_data: Path) -> None:
    (path,) = (shared_data / "api/yahoo").glob("chart_AAPL_*.json")
    recorded = json.loads(path.read_text())["chart"]["result"][0]
    handlers: dict[str, Handler] = dict.fromkeys(venue_yahoo.HANDLERS, venue_yahoo.cookie)
    handlers["query2.finance.yahoo.com"] = lambda *_: Reply(200, path.read_bytes())
    clock.moment = utc("2026-11-20 12:00:00")
    with FaultServer(World(clock.seconds), handlers) as server:
        source = Yahoo(Line(clock, clock.sleep, server.url))
        (page,) = source.pages(Instrument.parse("AAPL"), "1d", utc("2020-08-31"), utc("2020-11-07"))
    stamps = [datetime.fromtimestamp(stamp, UTC) for stamp in recorded["timestamp"]]
    numbers = [quote(recorded)[name] for name in NUMBERS]
    assert told(page) == [(stamp, *map(float, row)) for stamp, *row in zip(stamps, *numbers, strict=True)]
    assert page.rows.height == 49
    assert list(page.rows.select("open_time", "close_time").iter_rows()) == sessions("XNYS", "2020-08-31", "2020-11-06")
    dividend, split = sorted(page.observations, key=lambda found: found.name)
    assert (dividend.name, dividend.unit, dividend.source) == ("dividend", "USD per share", "yahoo")
    ex_date = utc("2020-11-06 14:30")
    assert dividend.frame.rows() == [(ex_date, ex_date, 0.205)]
    split_date = utc("2020-08-31 13:30")
    assert (split.name, split.unit) == ("split", "new shares per old")
    assert split.frame.rows() == [(split_date, split_date, 4.0)]


def test_through_a_gateway_nothing_goes_to_a_proxy(world: World, bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (page,) = bench().pages()
    assert told(page) == expected(world, "AAPL", "1d", START, utc("2024-06-01"))


# Faults of the wire and of the venue


PASSING = [
    Fault("429", retry_after="7"), Fault("429"), Fault("500"), Fault("502"), Fault("503"), Fault("html"),
    Fault("empty"), Fault("cut_json"), Fault("cut_gzip"), Fault("reset"), Fault("drip"),
]  # fmt: skip


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind}-{fault.retry_after}")
@pytest.mark.parametrize("match", [CHART, "fc.yahoo.com", "getcrumb"])
def test_a_fault_that_passes_ends_in_the_right_rows(world: World, bench: Make, fault: Fault, match: str) -> None:
    made = bench(Fault(fault.kind, match=match, retry_after=fault.retry_after))
    (page,) = made.pages()
    assert told(page) == expected(world, "AAPL", "1d", START, utc("2024-06-01"))
    assert not made.server.faults_left()


@pytest.mark.parametrize("kind", ["429", "418", "500", "503", "html", "empty", "cut_json", "cut_gzip", "reset"])
def test_a_fault_that_stays_is_named_and_asked_a_bounded_number_of_times(bench: Make, kind: str) -> None:
    made = bench(Fault(kind, match=CHART, times=99))
    with pytest.raises(UpstreamError, match="yahoo"):
        made.pages()
    # The attempts of our patience: yfinance adds none. libcurl itself asks again where a kept connection breaks.
    assert len(made.charts()) == 3 + (kind == "reset")


@pytest.mark.parametrize("kind", ["403", "451"])
def test_a_refusal_is_named_and_not_repeated(bench: Make, kind: str) -> None:
    made = bench(Fault(kind, match=CHART, times=99))
    with pytest.raises(UpstreamRefused):
        made.pages()
    assert len(made.charts()) == 1


def test_a_crumb_that_is_refused_is_fetched_again_once(world: World, bench: Make) -> None:
    (page,) = bench(Fault("401", match=CHART)).pages()
    assert told(page) == expected(world, "AAPL", "1d", START, utc("2024-06-01"))
    made = bench(Fault("401", match=CHART, times=99))
    with pytest.raises(UpstreamRefused):
        made.pages()
    assert len(made.charts()) == 2


def test_without_cookie_and_crumb_the_chart_still_comes(world: World, bench: Make) -> None:
    script = [Fault("reset", match="fc.yahoo.com", times=99), Fault("html", match="getcrumb", times=99)]
    (page,) = bench(*script).pages()
    assert told(page) == expected(world, "AAPL", "1d", START, utc("2024-06-01"))


@pytest.mark.parametrize("kind", ["redirect", "schema", "strings", "words", "micro", "seconds", "huge", "same"])
def test_an_answer_of_another_form_is_refused(bench: Make, kind: str) -> None:
    made = bench(Fault(kind, match=CHART, times=99))
    with pytest.raises(UpstreamError):
        made.pages()
    assert {asked.host for asked in made.server.asked} <= set(venue_yahoo.HANDLERS)


@pytest.mark.parametrize("match", [CHART, "getcrumb", "fc.yahoo.com"])
def test_after_a_429_no_request_comes_early_for_any_symbol(world: World, bench: Make, match: str) -> None:
    made = bench(Fault("429", match=match, retry_after="90"))
    made.pages()
    (second,) = made.pages("4063.XTKS")
    assert told(second) == expected(world, "4063.XTKS", "1d", START, utc("2024-06-01"))
    moments = [asked.at for asked in made.server.asked]
    refused = next(n for n, asked in enumerate(made.server.asked) if match in str(asked))
    assert moments[refused + 1] - moments[refused] >= 90
    assert all(after - before >= 0.5 for before, after in pairwise(moments))


def test_a_429_that_stays_bars_the_next_symbol_too(bench: Make) -> None:
    made = bench(Fault("429", match=CHART, times=99, retry_after="3600"))
    with pytest.raises(UpstreamError, match="wants no request before"):
        made.pages()
    asked = len(made.server.asked)
    with pytest.raises(UpstreamError, match="wants no request before"):
        made.pages("4063.XTKS")
    assert len(made.server.asked) == asked


def test_two_sources_on_one_line_share_the_limiter(world: World, clock: MovedClock, bench: Make) -> None:
    made = bench()
    other = Yahoo(made.source.line)
    for source in (made.source, other, made.source):
        list(source.pages(Instrument.parse("AAPL"), "1d", START, None))
    moments = [asked.at for asked in made.server.asked]
    assert all(after - before >= 0.5 for before, after in pairwise(moments))


# Odd rows


@pytest.mark.parametrize("kind", ["duplicate", "unsorted", "gap", "open"])
@pytest.mark.parametrize(("name", "timeframe"), [("AAPL", "1d"), ("BTC-USD", "1h"), ("BTC-USD", "1d")])
def test_odd_orders_give_right_rows_only(world: World, bench: Make, kind: str, name: str, timeframe: str) -> None:
    pages = bench(Fault(kind, match=CHART)).pages(name, timeframe, utc("2024-04-10"))
    rows = [row for page in pages for row in told(page)]
    whole = expected(world, name, timeframe, utc("2024-04-10"), pages[-1].until)
    # A gap tears out the third and fourth bar of the answer; those about days begin a day or two before the range.
    assert len(whole) - len(rows) in ({1, 2} if kind == "gap" else {0})
    assert set(rows) <= set(whole)


def test_nan_is_no_price(world: World, bench: Make) -> None:
    def spoil(result: dict[str, Any]) -> None:
        quote(result)["close"][-5] = float("nan")

    (page,) = bench(change=spoil).pages()
    assert page.rows.height == len(expected(world, "AAPL", "1d", START, page.until))
    assert page.rows["close"].null_count() == 1


def test_nulls_stay_nulls(world: World, bench: Make) -> None:
    def blank(result: dict[str, Any]) -> None:
        for name in NUMBERS:
            quote(result)[name][-10] = None
        quote(result)["volume"][-20] = None

    (page,) = bench(change=blank).pages()
    assert page.rows.height == len(expected(world, "AAPL", "1d", START, page.until))
    assert page.rows["close"].null_count() == 1
    assert page.rows["volume"].null_count() == 2
    assert page.rows.filter(pl.col("close").is_null())["volume"].null_count() == 1


def test_two_versions_of_a_bar_are_both_handed_on(world: World, bench: Make) -> None:
    def clash(result: dict[str, Any]) -> None:
        result["timestamp"].append(result["timestamp"][-8])
        for name in NUMBERS:
            quote(result)[name].append(quote(result)[name][-8] + 1)

    for name, timeframe in (("AAPL", "1d"), ("BTC-USD", "1h")):
        page = bench(change=clash).pages(name, timeframe, utc("2024-05-10"))[-1]
        whole = expected(world, name, timeframe, page.since, page.until)
        extra = [row for row in told(page) if row not in whole]
        assert len(told(page)) == len(whole) + 1
        ((moment, *numbers),) = extra
        (kept,) = [row for row in whole if row[0] == moment]
        assert numbers == pytest.approx([value + 1 for value in kept[1:]])


def test_a_date_that_is_no_session_is_found_out_and_spoils_nothing(world: World, bench: Make) -> None:
    def sunday(result: dict[str, Any]) -> None:
        result["timestamp"].append(int(utc("2024-05-26 13:30").timestamp()))
        for name in NUMBERS:
            quote(result)[name].append(1.0)

    (page,) = bench(change=sunday).pages()
    (strange,) = page.rows.filter(pl.col("close_time").is_null()).rows(named=True)
    assert (strange["open_time"], strange["close"]) == (utc("2024-05-26"), 1.0)
    rows = page.rows.filter(pl.col("close_time").is_not_null())
    assert rows.height == len(expected(world, "AAPL", "1d", START, page.until))


def test_a_stamp_between_bars_is_found_out(world: World, bench: Make) -> None:
    def between(result: dict[str, Any]) -> None:
        result["timestamp"][-10] += 77

    page = bench(change=between).pages("BTC-USD", "1h", utc("2024-05-10"))[-1]
    (strange,) = page.rows.filter(pl.col("close_time").is_null()).rows(named=True)
    assert strange["open_time"].second == 17
    assert page.rows.height == len(expected(world, "BTC-USD", "1h", page.since, page.until))


def test_days_at_other_midnights_than_utc_are_no_days_of_a_pair(bench: Make) -> None:
    def london(result: dict[str, Any]) -> None:
        result["meta"]["exchangeTimezoneName"] = "Europe/London"
        result["timestamp"] = [stamp - 3600 for stamp in result["timestamp"]]

    (page,) = bench(change=london).pages("BTC-USD", "1d", utc("2024-04-15"), utc("2024-05-15"))
    assert page.rows.height == 30
    assert page.rows["close_time"].null_count() == 30


@pytest.mark.parametrize("kind", ["null", "absent"])
def test_a_last_day_that_yahoo_has_not_filled_in_is_asked_for_again(world: World, bench: Make, kind: str) -> None:
    def unfilled(result: dict[str, Any]) -> None:
        for name in NUMBERS:
            quote(result)[name][-2:] = [None, *quote(result)[name][-1:]] if kind == "null" else quote(result)[name][-1:]
        if kind == "absent":
            del result["timestamp"][-2]

    (page,) = bench(change=unfilled).pages("BTC-USD")
    assert page.until == utc("2024-05-31")
    assert told(page) == expected(world, "BTC-USD", "1d", START, page.until)


def without_prices(since: str, until: str) -> Change:
    """Return the change that leaves the bars stamped in [since, until) empty."""

    def blank(result: dict[str, Any]) -> None:
        for place, stamp in enumerate(result["timestamp"]):
            if utc(since).timestamp() <= stamp < utc(until).timestamp():
                for name in NUMBERS:
                    quote(result)[name][place] = None

    return blank


def test_a_page_goes_on_at_the_bar_that_waits_and_never_past_it(world: World, bench: Make) -> None:
    """The first page ends with yesterday, whose last two minutes are empty: today's show whether they will come."""
    start, waits = utc("2024-05-25"), utc("2024-05-31 23:58")
    made = bench(change=without_prices("2024-05-31 23:58", "2024-06-01"))
    pages = made.pages("BTC-USD", "1m", start)
    assert [(page.since, page.until) for page in pages] == [(start, waits), (waits, utc("2024-06-01 11:55"))]
    whole = expected(world, "BTC-USD", "1m", start, utc("2024-06-01 11:55"))
    rows = [row for page in pages for row in told(page)]
    assert [row[0] for row in rows] == [row[0] for row in whole]
    assert [row[0] for row in rows if row[4] is None] == [waits, waits + timedelta(minutes=1)]


def test_the_walk_ends_at_the_bar_that_waits_where_nothing_follows(bench: Make) -> None:
    start, waits = utc("2024-05-25"), utc("2024-05-31 23:58")
    made = bench(change=without_prices("2024-05-31 23:58", "2024-06-02"))
    pages = made.pages("BTC-USD", "1m", start)
    assert pages[0].until == pages[-1].until == waits
    assert len(made.charts()) == 2


def test_a_revised_day_is_seen_by_the_next_fetch_of_the_same_process(world: World, bench: Make) -> None:
    made = bench(Fault("revised", match=CHART, at=1))
    stop = utc("2024-05-01")
    (before,), (after,) = made.pages("AAPL", "1d", START, stop), made.pages("AAPL", "1d", START, stop)
    assert told(before) == expected(world, "AAPL", "1d", START, stop)
    assert len(set(told(before)) ^ set(told(after))) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r["meta"].update(symbol="MSFT"), "Symbol is MSFT"),
        (lambda r: r["meta"].update(dataGranularity="1mo"), "1mo"),
        (lambda r: r["meta"].update(exchangeTimezoneName="Mars/Olympus"), "no time zone"),
        (lambda r: quote(r).pop("low"), "Low is missing"),
        (lambda r: quote(r)["low"].pop(), "values for"),
        (lambda r: quote(r).update(volume=[True] * len(quote(r)["low"])), "no number"),
        (lambda r: r.update(events={"splits": {"1": {"date": 1, "numerator": 1, "denominator": 0}}}), "Splits"),
        (lambda r: r.update(events={"dividends": {"1": {"date": 1, "amount": "0.2"}}}), "Dividends"),
        (lambda r: r.update(events=paid(("2024-04-10 13:30", 1.0, "a sum"))), "Dividends"),
        (lambda r: r["meta"].pop("instrumentType"), "yfinance|instrumentType"),
    ],
)
def test_what_yfinance_would_stumble_over_is_named(bench: Make, change: Change, says: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        bench(change=change).pages()
    assert any(word in caught.value.why for word in says.split("|"))
    assert caught.value.__class__ is UpstreamError


def paid(*dividends: tuple[str, float, str | None]) -> dict[str, Any]:
    """Return the events of an answer with dividends of (session open, amount, currency where Yahoo names it)."""
    found = {}
    for moment, amount, currency in dividends:
        stamp = int(utc(moment).timestamp())
        found[str(stamp)] = {"amount": amount, "date": stamp} | ({"currency": currency} if currency else {})
    return {"dividends": found}


def test_dividends_in_another_currency_than_the_prices_have_a_name_of_their_own(bench: Make) -> None:
    first, second, third = "2024-04-10 13:30", "2024-05-10 13:30", "2024-05-20 13:30"
    events = paid((first, 0.5, "EUR"), (second, 0.25, None), (third, 0.75, "USD"))
    (page,) = bench(change=lambda result: result.update(events=events)).pages()
    found = {(event.name, event.unit): event.frame.select("about", "value").rows() for event in page.observations}
    assert found == {
        ("dividend_eur", "EUR per share"): [(utc(first), 0.5)],
        ("dividend", "USD per share"): [(utc(second), 0.25), (utc(third), 0.75)],
    }


def test_pence_and_pounds_have_two_names(bench: Make) -> None:
    events = paid(("2024-04-10 07:00", 50.0, "GBp"), ("2024-05-10 07:00", 0.5, "GBP"), ("2024-05-20 07:00", 9.0, None))
    (page,) = bench(change=lambda result: result.update(events=events)).pages("BT.A.XLON")
    found = {(event.name, event.unit): event.frame["value"].to_list() for event in page.observations}
    assert found == {("dividend", "GBp per share"): [50.0, 9.0], ("dividend_gbp", "GBP per share"): [0.5]}
    (page,) = bench(change=lambda result: result.update(events=events)).pages("AAPL")
    assert {event.name for event in page.observations} == {"dividend", "dividend_gbp", "dividend_gbx"}


# What Yahoo does not have


@pytest.mark.parametrize(
    ("name", "timeframe", "start", "says"),
    [
        ("BTC-USDT", "1d", START, "BTC-USD from yahoo"),
        ("BTC-USDT-PERP", "1d", START, "perpetual"),
        ("VOD.XAMS", "1d", START, "XLON"),
        ("DXY.INDEX", "1d", START, "nearly round the clock"),
        ("AAPL", "4h", START, "1h"),
        ("AAPL", "1m", utc("2024-03-01"), "30 days"),
        ("AAPL", "15m", utc("2024-03-01"), "60 days"),
        ("AAPL", "1h", utc("2022-03-01"), "730 days"),
    ],
)
def test_what_yahoo_never_has_is_refused_without_a_request(
    bench: Make, name: str, timeframe: str, start: datetime, says: str
) -> None:
    made = bench()
    with pytest.raises(SourceLimited) as caught:
        made.pages(name, timeframe, start)
    assert says in str(caught.value)
    assert made.server.asked == []


def test_a_symbol_that_yahoo_does_not_know_is_named(bench: Make) -> None:
    made = bench()
    with pytest.raises(SourceLimited, match="ZZZZ") as caught:
        made.pages("ZZZZ")
    assert "may be delisted" in caught.value.why
    assert len(made.charts()) == 1


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("1m data not available for startTime=1 and endTime=2. It must be within the last 30 days.", SourceLimited),
        ("Something else", UpstreamError),
    ],
)
def test_yahoos_own_words_are_passed_on(world: World, clock: MovedClock, words: str, kind: type[Exception]) -> None:
    document = {"chart": {"result": None, "error": {"code": "Unprocessable Entity", "description": words}}}
    handlers: dict[str, Handler] = dict(venue_yahoo.HANDLERS)
    handlers["query2.finance.yahoo.com"] = lambda *_: Reply.json(document, 422)
    with FaultServer(world, handlers) as server:
        source = Yahoo(Line(clock, clock.sleep, server.url))
        with pytest.raises(kind, match="AAPL") as caught:
            list(source.pages(Instrument.parse("AAPL"), "1d", START, None))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("AAPL", "AAPL"), ("BRK.B", "BRK-B"), ("SPX", "^GSPC"), ("IXIC", "^IXIC"), ("^GDAXI", "^GDAXI"),
        ("4063.XTKS", "4063.T"), ("BT.A.XLON", "BT-A.L"), ("SAP.XETR", "SAP.DE"), ("OR.XPAR", "OR.PA"),
        ("005930.XKRX", "005930.KS"), ("RY.XTSE", "RY.TO"), ("BHP.XASX", "BHP.AX"), ("700.XHKG", "0700.HK"),
        ("BTC-USD", "BTC-USD"), ("ETH-EUR", "ETH-EUR"), ("UNI-USD", "UNI7083-USD"),
    ],
)  # fmt: skip
def test_instruments_have_their_names_at_yahoo(name: str, symbol: str) -> None:
    assert yahoo_symbol(Instrument.parse(name)) == symbol
