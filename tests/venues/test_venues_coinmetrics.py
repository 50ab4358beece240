"""CoinMetrics against the fault server: right values with the lag of publication, or a named error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from forecastle.app.fetch import Outcome, fetch
from forecastle.app.sync import sync, watch
from forecastle.errors import RequestInvalid, SourceLimited, UpstreamError, UpstreamRefused
from forecastle.nouns import Instrument, Observations
from forecastle.ports import Line, Patience
from forecastle.requests import FetchRequest, build
from forecastle.settings import load_settings
from forecastle.sources.coinmetrics import METRICS, CoinMetrics
from forecastle.workspace import Workspace
from venues import venue_coinmetrics
from venues.fault_server import Asked, Fault, FaultServer, Handler, Reply, Twist, World, generate
from venues.venue_coinmetrics import PLAN, UNDER, value_of
from venues.venue_time import MovedClock

BTC = Instrument.parse("BTC-USD")
FIRST = datetime(2023, 4, 1, tzinfo=UTC)
NOW = datetime(2024, 6, 1, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)
pytestmark = pytest.mark.enable_socket


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock(NOW)


@pytest.fixture
def world(clock: MovedClock) -> World:
    world = World(clock.seconds)
    world.add("BTC-USD", "1d", generate(FIRST, 500, seed=1))
    world.add("ETH-USD", "1d", generate(FIRST, 500, seed=2))
    world.add("FORBIDDEN-USD", "1d", generate(FIRST, 500, seed=3))
    return world


Ask = Callable[..., list[tuple[Observations, ...]]]


@pytest.fixture
def ask(world: World, clock: MovedClock) -> Ask:
    """Return what asks a source on a line of its own; ``handler`` answers, ``script`` spoils, ``asked`` is filled."""

    def pages(
        name: str = "BTC-USD", *script: Fault, start: datetime | None = None, end: datetime | None = None,
        handler: Handler = venue_coinmetrics.answer, asked: list[Asked] | None = None,
    ) -> list[tuple[Observations, ...]]:  # fmt: skip
        with FaultServer(world, {"community-api.coinmetrics.io": handler}, script, drip_seconds=0.01) as server:
            patience = Patience(attempts=3, request=0.5, seed=1, wait=60.0)
            source = CoinMetrics(Line(clock, clock.sleep, server.url, patience=patience))
            try:
                return list(source.observations(Instrument.parse(name), start, end))
            finally:
                if asked is not None:
                    asked.extend(server.asked)

    return pages


def _joined(pages: list[tuple[Observations, ...]]) -> dict[str, pl.DataFrame]:
    names = dict.fromkeys(one.name for page in pages for one in page)
    return {name: pl.concat([one.frame for page in pages for one in page if one.name == name]) for name in names}


def test_all_of_it_comes_in_pages_with_the_lag_of_publication(ask: Ask, world: World) -> None:
    asked: list[Asked] = []
    found = _joined(ask(asked=asked))
    days = world.closed("BTC-USD", "1d")
    assert set(found) == {METRICS[m].name for m in PLAN["btc"]}
    assert len(asked) == 5
    assert [a.query.get("next_page_token") for a in asked] == [None, "page-100", "page-200", "page-300", "page-400"]
    for metric in PLAN["btc"]:
        frame = found[METRICS[metric].name]
        wanted = days[UNDER:] if metric == "PriceUSD" else days
        assert frame["about"].to_list() == [datetime.fromtimestamp(c.time / 1000, UTC) for c in wanted]
        assert frame["value"].to_list() == [float(value_of(metric, c.close)) for c in wanted]
        old = frame.filter(pl.col("about") < NOW - 3 * DAY)
        lag = 1 if metric == "PriceUSD" else 2
        assert (old["known_at"] - old["about"]).unique().to_list() == [lag * DAY]
    yesterday = found["market_cap"].tail(1)
    assert yesterday["about"][0] == datetime(2024, 5, 31, tzinfo=UTC), "today is not over"
    assert NOW <= yesterday["known_at"][0] < NOW + timedelta(minutes=5), "it is here before the safe lag: known now"
    assert found["price_usd"]["known_at"][-1] == datetime(2024, 6, 1, tzinfo=UTC)


def test_a_range_is_asked_for_as_it_is(ask: Ask) -> None:
    asked: list[Asked] = []
    found = _joined(ask(start=FIRST + 20 * DAY, end=FIRST + 30 * DAY, asked=asked))
    assert found["market_cap"]["about"].to_list() == [FIRST + (20 + i) * DAY for i in range(10)]
    assert (asked[0].query["start_time"], asked[0].query["end_time"]) == ("2023-04-21", "2023-05-01")
    assert asked[0].query["end_inclusive"] == "false"


def test_a_coin_has_what_the_plan_has_of_it(ask: Ask) -> None:
    assert set(_joined(ask("ETH-USD"))) == {"price_usd", "market_cap", "active_addresses"}


@pytest.mark.parametrize("name", ["BTC-USDT", "BTC-USD-PERP", "SPX.INDEX", "AAPL"])
def test_only_a_coin_in_dollars_has_metrics(ask: Ask, name: str) -> None:
    with pytest.raises(SourceLimited, match="no metrics") as caught:
        ask(name)
    assert "BTC-USD" in caught.value.hint or name not in ("BTC-USDT", "BTC-USD-PERP")


def test_a_coin_nobody_knows_is_told(ask: Ask) -> None:
    with pytest.raises(SourceLimited, match="does not know sol") as caught:
        ask("SOL-USD")
    assert "not supported asset" in caught.value.why


def test_a_metric_that_is_refused_is_left_out(ask: Ask) -> None:
    def strict(asked: Asked, world: World, twist: Twist) -> Reply:
        if "HashRate" in asked.query["metrics"]:
            words = "Requested metric 'HashRate' with frequency '1d' for asset 'btc' is not available."
            return Reply.json({"error": {"type": "forbidden", "message": words}}, 403)
        return venue_coinmetrics.answer(asked, world, twist)

    found = _joined(ask(handler=strict))
    assert "hash_rate" not in found
    assert "market_cap" in found


def test_a_refusal_of_everything_is_told(ask: Ask) -> None:
    def closed(asked: Asked, world: World, twist: Twist) -> Reply:
        return Reply.json({"error": {"type": "unauthorized", "message": "It requires authorization."}}, 401)

    with pytest.raises(UpstreamRefused, match="unauthorized"):
        ask(handler=closed)


def test_a_limit_is_waited_for(ask: Ask, clock: MovedClock) -> None:
    assert len(ask("BTC-USD", Fault("429", retry_after="7"))) == 5
    assert sum(clock.slept) >= 7.0
    assert any(wait > 6.0 for wait in clock.slept)


@pytest.mark.parametrize("kind", ["500", "503", "cut_json", "empty", "html", "reset"])
def test_a_fault_is_asked_again(ask: Ask, kind: str) -> None:
    assert len(_joined(ask("BTC-USD", Fault(kind, at=1)))["market_cap"]) == 427


def test_faults_that_stay_are_named_and_what_came_before_was_yielded(world: World, clock: MovedClock) -> None:
    script = [Fault("503", match="page-200", times=99)]
    with FaultServer(world, {"community-api.coinmetrics.io": venue_coinmetrics.answer}, script) as server:
        patience = Patience(attempts=2, request=0.5, seed=1)
        pages = CoinMetrics(Line(clock, clock.sleep, server.url, patience=patience)).observations(BTC, None, None)
        assert next(pages)
        assert next(pages)
        with pytest.raises(UpstreamError, match="HTTP 503"):
            next(pages)


Change = Callable[[dict[str, Any]], Any]
CHANGES: dict[str, Change] = {
    "no data": lambda d: {"rows": d["data"]},
    "data is no list": lambda d: {"data": {"a": 1}},
    "a list": lambda d: d["data"],
    "another coin": lambda d: {"data": [r | {"asset": "eth"} for r in d["data"]]},
    "not a midnight": lambda d: {"data": [r | {"time": "2023-05-01T07:00:00.000000000Z"} for r in d["data"]]},
    "no time": lambda d: {"data": [{"asset": "btc"}]},
    "a word": lambda d: {"data": [r | {"CapMrktCurUSD": "many"} for r in d["data"]]},
    "an infinity": lambda d: {"data": [r | {"CapMrktCurUSD": "1e999"} for r in d["data"]]},
    "before Bitcoin": lambda d: {"data": [r | {"time": "1970-01-01T00:00:00.000000000Z"} for r in d["data"]]},
    "a day twice": lambda d: {"data": [d["data"][0], d["data"][0] | {"CapMrktCurUSD": "1"}]},
    "a page that leads to itself": lambda d: d | {"next_page_token": "page-0"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_form_is_refused_and_no_value_is_made_of_it(ask: Ask, name: str) -> None:
    def changed(asked: Asked, world: World, twist: Twist) -> Reply:
        document = json.loads(venue_coinmetrics.answer(asked, world, twist).body)
        return Reply.json(CHANGES[name](document))

    with pytest.raises(UpstreamError, match="another form"):
        ask(handler=changed)


# --- into the lake


@contextmanager
def _serving(world: World, clock: MovedClock, home: Path, *script: Fault) -> Iterator[tuple[Workspace, FaultServer]]:
    with FaultServer(world, {"community-api.coinmetrics.io": venue_coinmetrics.answer}, script) as server:
        settings, origins = load_settings(home, {"FORECASTLE__SOURCES__GATEWAY": server.url}, home.parent)
        workspace = Workspace(settings, tuple(origins), clock)
        vars(workspace)["line"] = Line(
            clock, clock.sleep, server.url, patience=Patience(attempts=2, request=0.5, seed=1)
        )
        yield workspace, server


def _fetch(workspace: Workspace, **fields: Any) -> Outcome:
    return fetch(workspace, build(FetchRequest, instruments=("BTC-USD",), sources="coinmetrics", **fields))


def test_a_fetch_goes_on_and_keeps_revisions(world: World, clock: MovedClock, home: Path) -> None:
    with _serving(world, clock, home) as (workspace, _):
        (fetched,) = _fetch(workspace).settled()
        told = {m.name: m for m in fetched.metrics}
        assert (told["market_cap"].added, told["market_cap"].revised) == (427, 0)
        assert told["price_usd"].added == 427 - UNDER
    changed = list(world.series["BTC-USD", "1d"])
    at = 420  # one of the last ten days
    changed[at] = changed[at]._replace(close=changed[at].close * 2)
    world.series["BTC-USD", "1d"] = changed
    clock.sleep(3 * 86_400)
    with _serving(world, clock, home) as (workspace, server):
        (fetched,) = _fetch(workspace).settled()
        told = {m.name: m for m in fetched.metrics}
        assert (told["market_cap"].added, told["market_cap"].revised, told["market_cap"].unchanged) == (3, 1, 10)
        assert server.asked[0].query["start_time"] == "2024-05-21"
        assert len(server.asked) == 1
        cap = workspace.lake.read_observations(BTC, "market_cap")
        about = FIRST + at * DAY
        versions = cap.frame.filter(pl.col("about") == about)
        assert versions["value"].to_list() == pytest.approx([2 * changed[at].close / 2, 2 * changed[at].close])
        assert versions["known_at"][1] >= NOW + 3 * DAY
        before, after = cap.known(NOW + 2 * DAY), cap.known(NOW + 4 * DAY)
        assert before.frame.filter(pl.col("about") == about)["value"][0] == versions["value"][0]
        assert after.frame.filter(pl.col("about") == about)["value"][0] == versions["value"][1]
        assert _fetch(workspace).settled()[0].observations == 0, "a second run adds nothing"
        (again,) = _fetch(workspace, again=True).settled()
        assert {m.name: m.unchanged for m in again.metrics}["market_cap"] == 430


def test_what_came_before_a_fault_is_kept_and_gone_on_from(world: World, clock: MovedClock, home: Path) -> None:
    with _serving(world, clock, home, Fault("503", match="page-200", times=99)) as (workspace, _):
        outcome = _fetch(workspace)
        assert "503" in outcome.failed[0].what
        assert len(workspace.lake.read_observations(BTC, "market_cap")) == 200
    with _serving(world, clock, home) as (workspace, _):
        _fetch(workspace).settled()
        assert len(workspace.lake.read_observations(BTC, "market_cap")) == 427


def test_it_is_kept_up_by_sync(world: World, clock: MovedClock, home: Path) -> None:
    with _serving(world, clock, home) as (workspace, _):
        watch(workspace, build(FetchRequest, instruments=("BTC-USD",), sources="coinmetrics"))
        assert sync(workspace).settled()[0].observations > 3000
        clock.sleep(86_400)
        assert {m.added for m in sync(workspace).settled()[0].metrics} == {1}


@pytest.mark.parametrize(
    ("fields", "what"),
    [({"sources": "coinmetrics,binance"}, "--source"), ({"timeframes": "1h"}, "--timeframe"), ({"csv": True}, "--csv")],
)
def test_what_makes_sense_for_candles_alone_is_refused(workspace: Workspace, fields: dict[str, Any], what: str) -> None:
    request = build(FetchRequest, **{"instruments": ("BTC-USD",), "sources": "coinmetrics", **fields})
    with pytest.raises(RequestInvalid, match=what):
        fetch(workspace, request)


def test_the_features_read_what_was_fetched(world: World, clock: MovedClock, home: Path) -> None:
    from forecastle.app.build_features import build_table, read_table
    from forecastle.requests import FeaturesRequest
    from making import make_candles

    with _serving(world, clock, home) as (workspace, _):
        _fetch(workspace).settled()
        candles = make_candles(300, start="2023-06-01", instrument="BTC-USDT")
        workspace.lake.write(replace(candles, source="binance"))
        build_table(workspace, build(FeaturesRequest, instrument="BTC-USDT"))
        frame = read_table(workspace, build(FeaturesRequest, instrument="BTC-USDT")).frame
        # a bar that closes at midnight of June 2nd knows what is about May 31st
        at = datetime(2023, 5, 31, tzinfo=UTC).timestamp() * 1000
        day = next(c for c in world.series["BTC-USD", "1d"] if c.time == at)
        assert frame["active_addresses"][0] == pytest.approx(float(value_of("AdrActCnt", day.close)))
        assert frame["mvrv_z"].null_count() == 0
        assert frame["nvt"].null_count() == 300, "the community plan has no transfer value"
