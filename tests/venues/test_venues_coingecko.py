"""CoinGecko against the fault server: right rows or a named error, whatever it sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from forecastle.errors import SourceLimited, UpstreamError, UpstreamRefused
from forecastle.nouns import Instrument
from forecastle.ports import Line, Page, Patience
from forecastle.sources.coingecko import CoinGecko
from venues import venue_coingecko
from venues.fault_server import Asked, Fault, FaultServer, Handler, Reply, Twist, World, generate
from venues.venue_time import MovedClock

BTC = Instrument.parse("BTC-USD")
START = datetime(2024, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
pytestmark = pytest.mark.enable_socket

Ask = Callable[..., list[Page]]


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(datetime(2024, 6, 1, 12, 0, 30, tzinfo=UTC))


@pytest.fixture
def world(clock: MovedClock) -> World:
    world = World(clock.seconds)
    world.add("BTC-USD", "1d", generate(datetime(2023, 4, 1, tzinfo=UTC), 500, seed=1))
    world.add("ETH-EUR", "1d", generate(datetime(2023, 4, 1, tzinfo=UTC), 500, seed=2))
    world.add("ZCN-USD", "1d", generate(datetime(2023, 4, 1, tzinfo=UTC), 500, seed=3))
    return world


class Bench:
    """A server, and a source that talks to it."""

    def __init__(self, world: World, clock: MovedClock, handler: Handler, script: list[Fault]) -> None:
        self.server = FaultServer(world, {"api.coingecko.com": handler}, script)
        self.clock = clock

    def pages(self, name: str = "BTC-USD", start: datetime | None = START, end: datetime | None = None) -> list[Page]:
        with self.server:
            patience = Patience(attempts=3, request=0.3, seed=1)
            source = CoinGecko(Line(self.clock, self.clock.sleep, self.server.url, patience=patience))
            return list(source.pages(Instrument.parse(name), "1d", start, end))


@pytest.fixture
def bench(world: World, clock: MovedClock) -> Callable[..., Bench]:
    def make(*script: Fault, change: Callable[[dict[str, Any]], Any] | None = None) -> Bench:
        return Bench(world, clock, changed_by(change) if change else venue_coingecko.answer, list(script))

    return make


def changed_by(change: Callable[[dict[str, Any]], Any]) -> Handler:
    def handler(asked: Asked, world: World, twist: Twist) -> Reply:
        return Reply.json(change(json.loads(venue_coingecko.answer(asked, world, twist).body)))

    return handler


def expected(world: World, name: str, since: datetime, until: datetime) -> list[tuple[datetime, float, float]]:
    rows = [(datetime.fromtimestamp(c.time / 1000, UTC), c.close, c.volume) for c in world.series[name, "1d"]]
    return [row for row in rows if since <= row[0] < until]


def told(page: Page) -> list[tuple[datetime, float, float]]:
    """Return (open, close, volume) of the rows, having looked that the prices are one and the bar is a day."""
    for row in page.rows.iter_rows(named=True):
        assert row["open"] == row["high"] == row["low"] == row["close"]
        assert row["close_time"] - row["open_time"] == DAY
    return list(page.rows.select("open_time", "close", "volume").iter_rows())


def test_the_days_asked_for_come_as_closes(world: World, bench: Callable[..., Bench]) -> None:
    (page,) = bench().pages()
    assert (page.since, page.until) == (START, datetime(2024, 6, 1, tzinfo=UTC))
    assert told(page) == expected(world, "BTC-USD", page.since, page.until)
    assert page.rows.height == 61


def test_a_short_range_is_asked_for_as_a_long_one_and_cut(world: World, bench: Callable[..., Bench]) -> None:
    stop = START + 3 * DAY
    made = bench()
    (page,) = made.pages("ETH-EUR", START, stop)
    assert told(page) == expected(world, "ETH-EUR", START, stop)
    (asked,) = made.server.asked
    assert int(asked.query["to"]) - int(asked.query["from"]) > 90 * 86_400  # shorter spans come by the hour
    assert asked.path == "/api/v3/coins/ethereum/market_chart/range"
    assert asked.query["vs_currency"] == "eur"


def test_the_oldest_range_the_plan_gives_comes_whole(world: World, bench: Callable[..., Bench]) -> None:
    (page,) = bench().pages("BTC-USD", None, None)
    assert page.since == datetime(2023, 6, 2, tzinfo=UTC)  # closed on 3 June, 364.5 days ago
    assert told(page) == expected(world, "BTC-USD", page.since, page.until)
    (early,) = bench().pages("BTC-USD", page.since, page.since + 2 * DAY)
    assert told(early) == told(page)[:2]


def test_a_start_before_that_names_the_limit_and_asks_nothing(bench: Callable[..., Bench]) -> None:
    made = bench()
    with pytest.raises(SourceLimited, match="2020-01-01") as caught:
        made.pages("BTC-USD", datetime(2020, 1, 1, tzinfo=UTC), None)
    assert "365 days" in caught.value.why
    assert "2023-06-02" in caught.value.why
    assert made.server.asked == []
    assert CoinGecko(Line(MovedClock(), print)).facts.fall_back == ("yahoo",)


def test_what_coingecko_itself_says_of_old_ranges_is_a_limit(bench: Callable[..., Bench]) -> None:
    status = {"error_code": 10012, "error_message": "limited to querying data within the past 365 days"}

    def refuse(asked: Asked, world: World, twist: Twist) -> Reply:
        return Reply.json({"error": {"status": status}}, 401)

    made = bench()
    made.server.handlers = {"api.coingecko.com": refuse}
    with pytest.raises(SourceLimited, match="BTC-USD") as caught:
        made.pages()
    assert "365 days" in caught.value.why
    with pytest.raises(SourceLimited):
        bench(change=lambda _: {"status": status}).pages()  # the same with status 200


def test_the_price_of_this_moment_is_no_close(world: World, clock: MovedClock, bench: Callable[..., Bench]) -> None:
    clock.moment = datetime(2024, 6, 1, 0, 20, tzinfo=UTC)  # midnight's own price may not be there yet
    (page,) = bench().pages()
    assert page.until == datetime(2024, 5, 31, tzinfo=UTC)
    assert told(page) == expected(world, "BTC-USD", START, page.until)
    clock.moment = datetime(2024, 6, 1, 0, 41, tzinfo=UTC)
    (page,) = bench().pages()
    assert told(page)[-1][0] == datetime(2024, 5, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("late", "there"), [(0, True), (7_000, True), (600_000, True), (601_000, False), (-1_000, False)]
)
def test_a_stamp_counts_as_its_midnight_up_to_ten_minutes_late(
    world: World, bench: Callable[..., Bench], late: int, there: bool
) -> None:
    def delay(chart: dict[str, Any]) -> dict[str, Any]:
        for points in chart.values():
            points[-30][0] += late
        return chart

    (page,) = bench(change=delay).pages()
    whole = expected(world, "BTC-USD", START, page.until)
    assert len(told(page)) == len(whole) - (not there)
    assert set(told(page)) <= set(whole)


def test_prices_by_the_hour_give_only_their_midnights(world: World, bench: Callable[..., Bench]) -> None:
    def hourly(chart: dict[str, Any]) -> dict[str, Any]:
        def spread(points: list[list[float]]) -> list[list[float]]:
            steps = (0, 300_000, 3_600_000, 43_200_000)  # 00:05 is not the first stamp of its day
            return [[stamp + step, value * (1 + step / 1e9)] for stamp, value in points[:-1] for step in steps]

        return {name: spread(points) for name, points in chart.items()}

    (page,) = bench(change=hourly).pages()
    assert told(page) == expected(world, "BTC-USD", START, page.until)


def test_equal_repeats_come_once_and_clashing_ones_both(world: World, bench: Callable[..., Bench]) -> None:
    def repeat(chart: dict[str, Any]) -> dict[str, Any]:
        chart["prices"] += [chart["prices"][-10], [chart["prices"][-20][0], 1.25]]
        return chart

    (page,) = bench(change=repeat).pages()
    whole = expected(world, "BTC-USD", START, page.until)
    assert len(told(page)) == len(whole) + 1
    assert [row for row in told(page) if row not in whole] == [(told(page)[-19][0], 1.25, told(page)[-19][2])]


def test_what_is_not_known_stays_null(world: World, bench: Callable[..., Bench]) -> None:
    def blank(chart: dict[str, Any]) -> dict[str, Any]:
        chart["prices"][-10][1] = None
        del chart["total_volumes"][-20]
        return chart

    (page,) = bench(change=blank).pages()
    assert page.rows.height == 61
    assert page.rows.filter(page.rows["close"].is_null()).height == 1
    assert page.rows.filter(page.rows["volume"].is_null() & page.rows["close"].is_not_null()).height == 1


def test_a_last_day_that_is_not_there_yet_is_asked_for_again(world: World, bench: Callable[..., Bench]) -> None:
    def lacking(chart: dict[str, Any]) -> dict[str, Any]:
        return {name: points[:-2] for name, points in chart.items()}

    (page,) = bench(change=lacking).pages()
    assert page.until == datetime(2024, 5, 31, tzinfo=UTC)
    assert told(page) == expected(world, "BTC-USD", START, page.until)


PASSING = [
    Fault("429", retry_after="7"), Fault("429"), Fault("500"), Fault("502"), Fault("503"), Fault("html"),
    Fault("empty"), Fault("cut_json"), Fault("cut_gzip"), Fault("reset"), Fault("drip"),
]  # fmt: skip


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.kind}-{fault.retry_after}")
def test_a_fault_that_passes_ends_in_the_right_rows(world: World, bench: Callable[..., Bench], fault: Fault) -> None:
    made = bench(fault)
    (page,) = made.pages()
    assert told(page) == expected(world, "BTC-USD", START, datetime(2024, 6, 1, tzinfo=UTC))
    assert len(made.server.asked) == 2


@pytest.mark.parametrize("kind", ["429", "418", "500", "503", "html", "empty", "cut_json", "cut_gzip", "reset"])
def test_a_fault_that_stays_is_named(bench: Callable[..., Bench], kind: str) -> None:
    with pytest.raises(UpstreamError, match="coingecko"):
        bench(Fault(kind, times=99)).pages()


@pytest.mark.parametrize("kind", ["401", "403", "451"])
def test_a_refusal_is_named_and_not_repeated(bench: Callable[..., Bench], kind: str) -> None:
    made = bench(Fault(kind, times=99))
    with pytest.raises(UpstreamRefused):
        made.pages()
    assert len(made.server.asked) == 1


@pytest.mark.parametrize("kind", ["redirect", "schema", "strings", "words", "micro", "seconds", "huge"])
def test_an_answer_of_another_form_is_refused(bench: Callable[..., Bench], kind: str) -> None:
    made = bench(Fault(kind, times=99))
    with pytest.raises(UpstreamError):
        made.pages()


@pytest.mark.parametrize("kind", ["duplicate", "unsorted", "gap", "open", "same"])
def test_odd_orders_give_right_rows_only(world: World, bench: Callable[..., Bench], kind: str) -> None:
    (page,) = bench(Fault(kind)).pages("BTC-USD", datetime(2023, 6, 10, tzinfo=UTC))
    whole = expected(world, "BTC-USD", page.since, datetime(2024, 6, 1, tzinfo=UTC))
    lacking = {"gap": 2, "same": len(whole) - 1}
    assert set(told(page)) <= set(whole)
    assert len(told(page)) == len(whole) - lacking.get(kind, 0)


def test_nan_is_no_price(bench: Callable[..., Bench]) -> None:
    (page,) = bench(Fault("nan")).pages("BTC-USD", datetime(2023, 6, 10, tzinfo=UTC))
    assert page.rows["close"].fill_nan(None).null_count() == 1


def test_after_a_429_no_request_comes_early_for_any_coin(world: World, clock: MovedClock) -> None:
    with FaultServer(world, venue_coingecko.HANDLERS, [Fault("429", at=1, retry_after="90")]) as server:
        source = CoinGecko(Line(clock, clock.sleep, server.url, patience=Patience(attempts=1, seed=1)))
        list(source.pages(BTC, "1d", START, None))
        with pytest.raises(UpstreamError):
            list(source.pages(BTC, "1d", START, None))
        list(source.pages(Instrument.parse("ETH-EUR"), "1d", START, None))
    first, refused, after = (asked.at for asked in server.asked)
    assert refused - first >= 6
    assert after - refused >= 90


def test_a_429_told_in_the_body_counts_as_one(world: World, clock: MovedClock, bench: Callable[..., Bench]) -> None:
    answers: Iterator[Any] = iter([{"status": {"error_code": 429, "error_message": "slow down"}}, None])
    made = bench(change=lambda chart: next(answers) or chart)
    (page,) = made.pages()
    assert page.rows.height == 61
    assert len(made.server.asked) == 2


def test_a_coin_off_the_list_is_looked_up_once(world: World, clock: MovedClock) -> None:
    zcn = Instrument.parse("ZCN-USD")
    with FaultServer(world, venue_coingecko.HANDLERS) as server:
        source = CoinGecko(Line(clock, clock.sleep, server.url))
        (page,) = source.pages(zcn, "1d", START, None)
        list(source.pages(zcn, "1d", START, None))
        assert told(page) == expected(world, "ZCN-USD", START, page.until)
        assert len(server.candles_asked("coins/list")) == 1
        with pytest.raises(SourceLimited, match="TWIN") as caught:
            list(source.pages(Instrument.parse("TWIN-USD"), "1d", START, None))
        assert "first-twin, second-twin" in caught.value.why
        with pytest.raises(SourceLimited, match="NOPE"):
            list(source.pages(Instrument.parse("NOPE-USD"), "1d", START, None))
        with pytest.raises(SourceLimited, match="SOL-USD") as caught:
            list(source.pages(Instrument.parse("SOL-USD"), "1d", START, None))
        assert "coin not found" in caught.value.why


@pytest.mark.parametrize(("name", "timeframe"), [("BTC-USDT", "1d"), ("BTC-USD", "1h"), ("AAPL", "1d")])
def test_what_coingecko_never_has_is_refused_without_a_request(
    world: World, clock: MovedClock, name: str, timeframe: Any
) -> None:
    with FaultServer(world, venue_coingecko.HANDLERS) as server:
        source = CoinGecko(Line(clock, clock.sleep, server.url))
        with pytest.raises(SourceLimited) as caught:
            list(source.pages(Instrument.parse(name), timeframe, START, None))
        assert server.asked == []
    if name == "BTC-USDT":
        assert "BTC-USD from coingecko" in caught.value.hint


@pytest.mark.shared_data
def test_the_recorded_answer_gives_its_two_midnights(world: World, clock: MovedClock, shared_data: Path) -> None:
    recorded = (shared_data / "api/coingecko/GetMarketChart.json").read_bytes()
    clock.moment = datetime(2024, 4, 1, 15, 1, 22, tzinfo=UTC)
    answer: dict[str, Handler] = {"api.coingecko.com": lambda *_: Reply(200, recorded)}
    with FaultServer(world, answer) as server:
        source = CoinGecko(Line(clock, clock.sleep, server.url))
        (page,) = source.pages(BTC, "1d", datetime(2024, 3, 30, tzinfo=UTC), None)
    assert told(page) == [  # the third price in the file is that of the moment of the recording
        (datetime(2024, 3, 30, tzinfo=UTC), 69702.3087473573, 16408802301.8374),
        (datetime(2024, 3, 31, tzinfo=UTC), 71246.9514406015, 19723005998.215),
    ]
    assert page.until == datetime(2024, 4, 1, tzinfo=UTC)
