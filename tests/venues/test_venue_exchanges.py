"""Real ccxt code against played exchanges: every fault ends in the world's own rows or in a named error."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecastle.errors import DataInvalid, ForecastleError, SourceLimited, UpstreamError, UpstreamRefused
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.candles import SCHEMA
from forecastle.sessions import Timeframe, calendar
from forecastle.sources import open_source
from venues.fault_server import DAY, STEPS, Asked, Candle, Fault, FaultServer, Reply, Twist, World, all_handlers
from venues.playing import CANDLES, EXCHANGES, START, Stage, pages, rows
from venues.venue_time import MovedClock

pytestmark = pytest.mark.enable_socket
PASSING = ("429", "418", "500", "502", "503", "504", "html", "empty", "cut_json", "cut_gzip", "reset")
HARMLESS = ("strings", "unsorted", "micro")
"""Faults of the form only: the rows are all there."""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "venues")


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_exchange_gives_the_worlds_rows_closed_ones_only(stage: Stage, name: str) -> None:
    with stage.serve() as server:
        came = pages(stage.source(name, server), EXCHANGES[name])
    assert rows(came) == stage.wanted(EXCHANGES[name])
    assert came[0].since == START
    assert came[-1].until == datetime(2024, 6, 1, tzinfo=UTC), "the day that is not over was let in"
    assert all(earlier.until == later.since for earlier, later in pairwise(came))
    table = pl.concat([page.rows for page in came])
    assert list(table.schema.items()) == list(SCHEMA.items())
    assert len(Candles(Instrument.parse(EXCHANGES[name]), "1d", name, table, "none")) == table.height


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("kind", [*PASSING, *HARMLESS, "drip"])
def test_a_passing_fault_changes_nothing(stage: Stage, name: str, kind: str) -> None:
    stage.patience = replace(stage.patience, request=0.2 if kind == "drip" else 2.0)
    with stage.serve(Fault(kind, match=CANDLES[name]), Fault(kind, at=1)) as server:
        came = pages(stage.source(name, server), EXCHANGES[name])
        assert not server.faults_left()
    assert rows(came) == stage.wanted(EXCHANGES[name])


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("401", UpstreamRefused), ("403", UpstreamRefused), ("451", UpstreamRefused), ("503", UpstreamError),
        ("404", UpstreamError), ("400", UpstreamError), ("redirect", UpstreamError), ("huge", UpstreamError),
        ("schema", (DataInvalid, UpstreamError)), ("words", DataInvalid), ("columns", DataInvalid),
    ],
)  # fmt: skip
def test_a_fault_that_stays_has_a_name(
    stage: Stage, name: str, kind: str, error: type[ForecastleError] | tuple[type[ForecastleError], ...]
) -> None:
    with stage.serve(Fault(kind, match=CANDLES[name], times=99)) as server, pytest.raises(error) as raised:
        pages(stage.source(name, server), EXCHANGES[name])
    assert name in raised.value.what
    assert raised.value.exit_code in (4, 5)
    assert all(line and "\n" not in line for line in (raised.value.what, raised.value.why, raised.value.hint))


@pytest.mark.parametrize("name", EXCHANGES)
def test_what_the_venue_gave_wrong_row_by_row_is_handed_on_as_it_is(stage: Stage, name: str) -> None:
    """Repeats, holes, NaN and revisions inside an answer are for the findings to judge, not for the source."""
    wanted = stage.wanted(EXCHANGES[name])
    expected: dict[str, Callable[[Candle], Candle]] = {
        "nan": lambda candle: candle._replace(close=math.nan),
        "revised": lambda candle: candle._replace(close=candle.low, volume=candle.volume + 1),
    }
    for kind, change in expected.items():
        with stage.serve(Fault(kind, match=CANDLES[name])) as server:
            came = rows(pages(stage.source(name, server), EXCHANGES[name]))
        assert [row for n, row in enumerate(came) if n != 1] == [row for n, row in enumerate(wanted) if n != 1]
        assert str(came[1]).replace("None", "nan") == str(change(wanted[1]))
    for kind, count in {"duplicate": len(wanted) + 2, "gap": len(wanted) - 2}.items():
        with stage.serve(Fault(kind, match=CANDLES[name])) as server:
            came = rows(pages(stage.source(name, server), EXCHANGES[name]))
        assert len(came) == count
        assert set(came) <= set(wanted)


@pytest.mark.parametrize("name", EXCHANGES)
def test_bars_that_have_not_opened_or_closed_stay_out(stage: Stage, name: str) -> None:
    start = datetime(2024, 5, 1, tzinfo=UTC)
    with stage.serve(Fault("open", match=CANDLES[name], times=9)) as server:
        assert rows(pages(stage.source(name, server), EXCHANGES[name], start)) == stage.wanted(EXCHANGES[name], start)


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("wrong", [timedelta(days=40), timedelta(days=-40)])
def test_a_wrong_clock_of_this_machine_lets_no_open_bar_in(stage: Stage, name: str, wrong: timedelta) -> None:
    true = stage.clock.moment
    stage.world.now = true.timestamp
    stage.clock.moment += wrong
    with stage.serve() as server:
        came = pages(stage.source(name, server), EXCHANGES[name])
    assert rows(came) == stage.wanted(EXCHANGES[name])


@pytest.mark.parametrize("seconds", [0, 4, 6])
def test_a_bar_counts_as_closed_some_seconds_after_its_close(stage: Stage, seconds: int) -> None:
    stage.clock.moment = datetime(2024, 6, 1, 0, 0, seconds, tzinfo=UTC)
    with stage.serve() as server:
        came = pages(stage.source("binance", server), "BTC-USDT")
    assert came[-1].until == datetime(2024, 6 if seconds == 6 else 5, 1 if seconds == 6 else 31, tzinfo=UTC)


def test_after_a_429_nothing_comes_early_for_any_symbol(stage: Stage) -> None:
    impatient = replace(stage, patience=replace(stage.patience, wait=50.0))
    impatient.clock, impatient.world = stage.clock, stage.world
    with stage.serve(Fault("429", match="symbol=BTCUSDT", at=1, retry_after="100")) as server:
        source = impatient.source("binance", server)
        walk = source.pages(Instrument.parse("BTC-USDT"), "1d", datetime(2021, 5, 1, tzinfo=UTC), None)
        first = next(walk)
        with pytest.raises(UpstreamError, match="no request before"):
            next(walk)
        limited = server.asked[-1].at
        with pytest.raises(UpstreamError, match="no request before"):
            pages(source, "ETH-USDT")
        assert server.asked[-1].at == limited
        assert rows(pages(stage.source("binance", server), "ETH-USDT")) == stage.wanted("ETH-USDT")
    assert first.rows.height == 1000
    later = [asked.at for asked in server.asked if asked.at > limited]
    assert later
    assert min(later) >= limited + 100


def test_a_limit_told_inside_a_good_answer_is_obeyed(stage: Stage) -> None:
    """Kraken says EAPI:Rate limit exceeded with status 200."""
    handlers, told = all_handlers(), list[float]()
    honest = handlers["api.kraken.com"]

    def limited(asked: Asked, world: World, twist: Twist) -> Reply:
        if asked.path.endswith("OHLC") and len(told) < 3:
            told.append(asked.at)
            return Reply.json({"error": ["EAPI:Rate limit exceeded"]})
        return honest(asked, world, twist)

    with FaultServer(stage.world, handlers | {"api.kraken.com": limited}) as server:
        assert rows(pages(stage.source("kraken", server), "BTC-USD")) == stage.wanted("BTC-USD")
        candles = [asked.at for asked in server.candles_asked("OHLC")]
    gaps = [later - earlier for earlier, later in pairwise(candles)]
    assert gaps[0] >= 1
    assert gaps[1] >= 2
    assert gaps[2] >= 4


def test_kraken_names_its_720_bars_and_gives_them_when_no_start_is_asked(stage: Stage) -> None:
    with stage.serve() as server:
        with pytest.raises(SourceLimited, match="only from 2022-06-13") as raised:
            pages(stage.source("kraken", server), "BTC-USD", datetime(2022, 1, 1, tzinfo=UTC))
        came = pages(stage.source("kraken", server), "BTC-USD", None)
        before = pages(stage.source("kraken", server), "BTC-USD", None, datetime(2022, 1, 1, tzinfo=UTC))
    assert "last 720 bars" in raised.value.why
    assert "kraken,coinbase" in raised.value.hint
    assert rows(came) == stage.world.closed("BTC-USD", "1d")[-719:], "720 with the day that is not over"
    assert came[0].since == came[0].rows["open_time"][0], "what lies before was not answered"
    assert before == []


def test_a_market_younger_than_720_bars_is_answered_from_its_beginning(stage: Stage) -> None:
    stage.world.add("BTC-USD", "1d", stage.world.series["BTC-USD", "1d"][-300:])
    with stage.serve() as server:
        came = pages(stage.source("kraken", server), "BTC-USD", None)
    assert came[0].since == datetime(2010, 1, 1, tzinfo=UTC)
    assert rows(came) == stage.world.closed("BTC-USD", "1d")


def test_an_untried_exchange_that_ignores_the_start_is_noticed(stage: Stage) -> None:
    """Gate as ccxt reads it, playing one that answers with its last bars whatever is asked."""
    pairs = [{"id": "BTC_USDT", "base": "BTC", "quote": "USDT", "trade_status": "tradable", "fee": "0.2"}]

    def gate(asked: Asked, world: World, twist: Twist) -> Reply:
        if asked.path.endswith("/currency_pairs"):
            return Reply.json(pairs)
        if asked.path.endswith("/candlesticks"):
            last = world.select("BTC-USDT", "1d")[-1000:]
            return Reply.json(
                [
                    [str(r.time // 1000), "1", *map(str, (r.close, r.high, r.low, r.open, r.volume)), "true"]
                    for r in last
                ]
            )
        return Reply.json([])

    with FaultServer(stage.world, {"api.gateio.ws": gate}) as server:
        with pytest.raises(SourceLimited, match="gate has 1d candles of BTC-USDT only from 2021-09-06"):
            pages(stage.source("gate", server), "BTC-USDT", datetime(2021, 5, 1, tzinfo=UTC))
        start = datetime(2022, 1, 1, tzinfo=UTC)
        assert rows(pages(stage.source("gate", server), "BTC-USDT", start)) == stage.wanted("BTC-USDT", start)
        all_there_is = pages(stage.source("gate", server), "BTC-USDT", None)
    assert all_there_is[0].since == datetime(2021, 9, 6, tzinfo=UTC)


@pytest.mark.parametrize("name", ["binance", "coinbase", "okx", "bitfinex"])
def test_without_a_start_it_begins_at_the_listing(stage: Stage, name: str) -> None:
    with stage.serve() as server:
        came = rows(pages(stage.source(name, server), EXCHANGES[name], None))
    assert came == stage.world.closed(EXCHANGES[name], "1d")
    assert len(server.asked) < 40


def test_a_long_hole_is_measured_with_daily_bars(stage: Stage) -> None:
    """Hours from 2010 on by 300 would be 400 empty pages; days tell where the coin begins."""
    hours = [
        Candle(day.time + hour * STEPS["1h"], *day[1:])
        for day in stage.world.series["BTC-USD", "1d"]
        for hour in range(24)
    ]
    stage.world.add("BTC-USD", "1h", hours)
    with stage.serve() as server:
        source = stage.source("coinbase", server)
        walk = source.pages(Instrument.parse("BTC-USD"), "1h", None, None)
        came = rows(list(islice(walk, 3)))
    assert came == hours[: len(came)]
    assert len(came) > 600
    assert len(server.asked) < 40


def test_a_hole_in_the_middle_is_walked_through_and_claimed(stage: Stage) -> None:
    series = stage.world.series["BTC-USD", "1d"]
    stage.world.add("BTC-USD", "1d", series[:100] + series[800:])
    with stage.serve() as server:
        came = pages(stage.source("coinbase", server), "BTC-USD", datetime(2021, 5, 1, tzinfo=UTC))
    assert rows(came) == stage.world.closed("BTC-USD", "1d")
    assert all(earlier.until == later.since for earlier, later in pairwise(came))


def test_what_may_still_come_is_not_claimed(stage: Stage) -> None:
    """The last two days are missing at the venue: a later fetch has to ask for them again. Older holes stay holes."""
    for last in (2, 30):
        series = stage.world.closed("BTC-USDT", "1d")[:-last]
        stage.world.add("BTC-USDT", "1d", series)
        with stage.serve() as server:
            came = pages(stage.source("binance", server), "BTC-USDT")
        end = datetime.fromtimestamp(series[-1].time / 1000 + 86_400, UTC)
        assert came[-1].until == (end if last == 2 else datetime(2024, 5, 30, tzinfo=UTC))


@pytest.mark.parametrize("name", ["binance", "okx", "coinbase"])
def test_an_interrupted_walk_goes_on_where_it_stopped(stage: Stage, name: str) -> None:
    start = datetime(2021, 5, 1, tzinfo=UTC)
    with stage.serve() as server:
        walk = stage.source(name, server).pages(Instrument.parse(EXCHANGES[name]), "1d", start, None)
        before = list(islice(walk, 1))
        walk.close()  # type: ignore[attr-defined]
        after = pages(stage.source(name, server), EXCHANGES[name], before[-1].until)
        again = pages(stage.source(name, server), EXCHANGES[name], after[-1].until)
    assert rows([*before, *after]) == stage.wanted(EXCHANGES[name], start)
    assert again == [], "nothing has closed since"


@pytest.mark.parametrize("name", ["binance", "okx"])
@pytest.mark.parametrize("timeframe", ["1w", "1mo"])
def test_weeks_and_months_close_by_the_calendar(stage: Stage, name: str, timeframe: Timeframe) -> None:
    opens, closes = calendar("24/7").bars(
        np.datetime64("2021-01-01", "us"), np.datetime64("2024-06-02", "us"), timeframe
    )
    days = stage.world.series["BTC-USDT", "1d"]
    theirs = "1M" if timeframe == "1mo" else timeframe
    bars = [days[n]._replace(time=int(o.astype("datetime64[ms]").astype(int))) for n, o in enumerate(opens)]
    stage.world.add("BTC-USDT", theirs, bars)
    with stage.serve() as server:
        came = pages(stage.source(name, server), "BTC-USDT", None, None, timeframe)
    over = closes <= np.datetime64("2024-06-01T12:00:25", "us")
    table = pl.concat([page.rows for page in came])
    assert rows(came) == [bar for bar, closed in zip(bars, over, strict=True) if closed]
    assert np.array_equal(table["close_time"].dt.replace_time_zone(None).to_numpy(), closes[over])
    assert came[-1].until == table["close_time"][-1]


@pytest.mark.parametrize(
    ("name", "instrument", "timeframe", "first", "says"),
    [
        ("kraken", "BTC-USD", "1w", "2024-05-02", "on Thursday"),
        ("bitfinex", "BTC-USD", "1w", "2024-05-02", "on Thursday"),
        ("okx", "BTC-USDT", "1w", "2024-05-05T16:00", "on Sunday at 16:00"),
        ("binance", "BTC-USDT", "1mo", "2024-03-02", "on day 2"),
        ("binance", "BTC-USDT", "1mo", "2024-02-29T16:00", "on day 29 at 16:00"),
    ],
)
def test_weeks_and_months_cut_at_another_day_are_refused(
    stage: Stage, name: str, instrument: str, timeframe: Timeframe, first: str, says: str
) -> None:
    theirs, step = ("1M", timedelta(days=31)) if timeframe == "1mo" else ("1w", timedelta(days=7))
    begin = datetime.fromisoformat(first).replace(tzinfo=UTC)
    opens = [begin + n * step for n in range(3 if timeframe == "1w" else 1)]
    days = stage.world.series[instrument, "1d"]
    bars = [days[n]._replace(time=int(o.timestamp() * 1000)) for n, o in enumerate(opens)]
    stage.world.add(instrument, theirs, bars)
    with stage.serve() as server, pytest.raises(SourceLimited, match=says) as raised:
        pages(stage.source(name, server), instrument, None, None, timeframe)
    assert "--timeframe 1d" in raised.value.hint


def test_a_bar_that_the_venue_publishes_late_is_not_given_up(stage: Stage) -> None:
    """At noon the venue shows the open day, and not yet the day before."""
    yesterday = stage.world.closed("BTC-USDT", "1d")[-1]
    whole = stage.world.series["BTC-USDT", "1d"]
    stage.world.add("BTC-USDT", "1d", [candle for candle in whole if candle != yesterday])
    with stage.serve() as server:
        early = pages(stage.source("binance", server), "BTC-USDT")
        stage.world.add("BTC-USDT", "1d", whole)
        late = pages(stage.source("binance", server), "BTC-USDT", early[-1].until)
    assert rows(late) == [yesterday]


def test_a_range_ends_where_it_was_asked_to_end(stage: Stage) -> None:
    end = datetime(2023, 3, 1, tzinfo=UTC)
    with stage.serve() as server:
        came = pages(stage.source("okx", server), "BTC-USDT", START, end)
    assert rows(came) == [c for c in stage.wanted("BTC-USDT") if c.time + DAY <= end.timestamp() * 1000]
    assert came[-1].until == end


def test_perpetuals_are_not_their_pair(stage: Stage) -> None:
    for name in ("binance", "okx"):
        with stage.serve() as server:
            source = stage.source(name, server)
            came = rows(pages(source, "BTC-USDT-PERP"))
            assert came == stage.wanted("BTC-USDT-PERP")
            assert came != rows(pages(source, "BTC-USDT"))


@pytest.mark.parametrize(
    ("name", "instrument", "timeframe", "said"),
    [
        ("bitfinex", "BTC-EUR", "1d", "It has BTC-USD"),
        ("kraken", "DOGE-USD", "1d", "trades no DOGE"),
        ("kraken", "AAPL", "1d", "exchange of crypto"),
        ("coinbase", "BTC-USD", "1w", "It has 1m, 5m, 15m, 30m, 1h, 1d"),
        ("binance", "SPX.INDEX", "1d", "exchange of crypto"),
    ],
)
def test_what_an_exchange_does_not_have_is_said(
    stage: Stage, name: str, instrument: str, timeframe: str, said: str
) -> None:
    with stage.serve() as server, pytest.raises(SourceLimited) as raised:
        pages(stage.source(name, server), instrument, timeframe=timeframe)  # type: ignore[arg-type]
    assert said in raised.value.why
    assert raised.value.exit_code == 4


def test_a_dollar_is_not_a_tether(stage: Stage) -> None:
    del stage.world.series["BTC-USD", "1d"]
    with stage.serve() as server, pytest.raises(SourceLimited, match="binance has no BTC-USD") as raised:
        pages(stage.source("binance", server), "BTC-USD")
    assert "BTC-USDT" in raised.value.why
    assert "BTC-USDT" in raised.value.hint


def test_markets_are_asked_for_once(stage: Stage) -> None:
    with stage.serve() as server:
        source = stage.source("binance", server)
        pages(source, "BTC-USDT")
        pages(source, "ETH-USDT")
    assert len(server.candles_asked("exchangeInfo")) == 1


RECORDED = {
    "binance": (
        "binance/spot_klines_1m.json", "BTC-USDT", "1m",
        Candle(1634943780000, 60685.22, 60729.84, 60670.9, 60719.27, 21.63272),
    ),
    "okx": (
        "okx/candlesticks.json", "BTC-USDT", "1m",
        Candle(1625097600000, 33528.6, 33870.0, 33528.6, 33783.9, 778.838),
    ),
    "coinbase": (
        "coinbase/candles.json", "BTC-USD", "1h",
        Candle(1712188800000, 65984.18, 66387.77, 65857.35, 66314.59, 358.74851052),
    ),
    "bitfinex": (
        "bitfinex/candles_1m_BTCUSD_19-06-26_20-00-00.json", "BTC-USD", "1m",
        Candle(1561579200000, 13729, 13739, 13728, 13731, 24.906679274076),
    ),
}  # fmt: skip
"""A recorded answer, and its first candle read by eye: open, high, low, close, volume."""


@pytest.mark.shared_data
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_answers_are_read_as_a_person_reads_them(stage: Stage, name: str, shared_data: Path) -> None:
    file, instrument, timeframe, first = RECORDED[name]
    body = (shared_data / "api" / file).read_bytes()
    handlers = all_handlers()

    def play(host: str) -> Callable[[Asked, World, Twist], Reply]:
        def answer(asked: Asked, world: World, twist: Twist) -> Reply:
            wanted = CANDLES[name] in str(asked)
            return Reply(body=body) if wanted else all_handlers()[host](asked, world, twist)

        return answer

    count = len(_table(json.loads(body)))
    start = datetime.fromtimestamp(first.time / 1000, UTC)
    end = start + timedelta(milliseconds=count * STEPS[timeframe])
    with FaultServer(stage.world, {host: play(host) for host in handlers}) as server:
        source = open_source(name, stage.line(server))
        came = rows(pages(source, instrument, start, end, timeframe))  # type: ignore[arg-type]
    assert came[0] == first
    assert len(came) == count


def _table(document: object) -> list[object]:
    if isinstance(document, dict):
        document = document.get("data") or document.get("candles")
    assert isinstance(document, list)
    return document


@settings(max_examples=25)
@given(
    st.sampled_from(["binance", "okx", "bitfinex"]),
    st.lists(
        st.builds(
            Fault,
            st.sampled_from([*PASSING, *HARMLESS]),
            at=st.integers(0, 6),
            times=st.integers(1, 2),
            retry_after=st.sampled_from([None, "0", "3", "90", "x"]),
        ),
        max_size=4,
    ),
)
def test_any_script_of_passing_faults_gives_exactly_the_rows(
    tmp_path_factory: pytest.TempPathFactory, name: str, script: list[Fault]
) -> None:
    stage = Stage(tmp_path_factory.mktemp("venues"), MovedClock())
    stage.patience = replace(stage.patience, attempts=12, total=1e6)
    start = datetime(2023, 1, 1, tzinfo=UTC)
    with stage.serve(*script) as server:
        source = stage.source(name, server)
        came = pages(source, EXCHANGES[name], start)
    assert rows(came) == stage.wanted(EXCHANGES[name], start)
    _nothing_came_early(server, script)


def _nothing_came_early(server: FaultServer, script: list[Fault]) -> None:
    """Check every gap after a 429 or 418 that said how long: by the server's own count of whose turn it was."""
    seen: dict[int, int] = {}
    until = 0.0
    for asked in server.asked:
        assert asked.at >= until
        due = None
        for number, fault in enumerate(script):
            turn = seen[number] = seen.get(number, 0) + 1
            if due is None and fault.at < turn <= fault.at + fault.times:
                due = fault
        if due and due.kind in ("429", "418") and (due.retry_after or "").isdecimal():
            until = asked.at + float(due.retry_after or 0)
