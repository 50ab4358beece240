"""CoinMetrics against the fault server: right values with the lag of publication, or a named error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from forecastle.app._job import WAITS
from forecastle.app.fetch import Outcome, fetch
from forecastle.app.sync import sync, watch
from forecastle.errors import DataCorrupt, RequestInvalid, SourceLimited, UpstreamError, UpstreamRefused
from forecastle.lake.lock import writer_lock
from forecastle.nouns import Instrument
from forecastle.ports import Line, ObservedPage, Patience
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
    world.add("NEW-USD", "1d", generate(FIRST, 500, seed=3))
    return world


Ask = Callable[..., list[ObservedPage]]


@pytest.fixture
def ask(world: World, clock: MovedClock) -> Ask:
    """Return what asks a source on a line of its own; ``handler`` answers, ``script`` spoils, ``asked`` is filled."""

    def pages(
        name: str = "BTC-USD", *script: Fault, start: datetime | None = None, end: datetime | None = None,
        handler: Handler = venue_coinmetrics.answer, asked: list[Asked] | None = None,
    ) -> list[ObservedPage]:  # fmt: skip
        with FaultServer(world, {"community-api.coinmetrics.io": handler}, script, drip_seconds=0.01) as server:
            patience = Patience(attempts=3, request=0.5, seed=1, wait=60.0)
            source = CoinMetrics(Line(clock, clock.sleep, server.url, patience=patience))
            try:
                return list(source.observations(Instrument.parse(name), start, end))
            finally:
                if asked is not None:
                    asked.extend(server.asked)

    return pages


def _joined(pages: list[ObservedPage]) -> dict[str, pl.DataFrame]:
    series = [one for page in pages for one in page.series]
    return {
        name: pl.concat([s.frame for s in series if s.name == name]) for name in dict.fromkeys(s.name for s in series)
    }


def _changed(change: Callable[[dict[str, Any]], Any], path: str = "timeseries") -> Handler:
    """Return CoinMetrics with its answers to one path changed."""

    def handler(asked: Asked, world: World, twist: Twist) -> Reply:
        reply = venue_coinmetrics.answer(asked, world, twist)
        return Reply.json(change(json.loads(reply.body))) if path in asked.path else reply

    return handler


def test_all_of_it_comes_in_pages_with_the_lag_of_publication(ask: Ask, world: World) -> None:
    asked: list[Asked] = []
    found = _joined(ask(asked=asked))
    days = world.closed("BTC-USD", "1d")
    assert set(found) == {METRICS[m].name for m in PLAN["btc"]}
    catalog, *pages = asked
    assert (catalog.path, catalog.query) == ("/v4/catalog-v2/asset-metrics", {"assets": "btc"})
    assert {(a.host, a.path) for a in pages} == {("community-api.coinmetrics.io", "/v4/timeseries/asset-metrics")}
    assert [a.query.get("next_page_token") for a in pages] == [None, "page-100", "page-200", "page-300", "page-400"]
    assert [b.at - a.at for a, b in pairwise(asked)] == pytest.approx([0.6] * 5), "ten requests in six seconds"
    assert pages[0].query["metrics"].split(",") == PLAN["btc"], "what the plan has not is not asked for"
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
    assert (asked[1].query["start_time"], asked[1].query["end_time"]) == ("2023-04-21", "2023-05-01")
    assert asked[1].query["end_inclusive"] == "false"
    half = timedelta(hours=12)
    found = _joined(ask(start=FIRST + 20 * DAY + half, end=FIRST + 30 * DAY + half))
    assert found["market_cap"]["about"].to_list() == [FIRST + (21 + i) * DAY for i in range(9)]
    assert ask(start=FIRST + 20 * DAY, end=FIRST + 20 * DAY) == []


def test_days_that_were_not_asked_for_are_left_out(ask: Ask) -> None:
    def whole(asked: Asked, world: World, twist: Twist) -> Reply:
        query = {name: value for name, value in asked.query.items() if name not in ("start_time", "end_time")}
        return venue_coinmetrics.answer(replace(asked, query=query), world, twist)

    found = _joined(ask(start=FIRST + 20 * DAY, end=FIRST + 30 * DAY, handler=whole))
    assert found["market_cap"]["about"].to_list() == [FIRST + (20 + i) * DAY for i in range(10)]


@pytest.mark.parametrize(
    ("hour", "last", "price", "others"),
    [
        (0, 31, 24.0, 24.0),  # midnight itself: the day is over and its values are here
        (9, 31, 24.0, 33.0),
        (23, 31, 24.0, 47.0),
        (24 + 1, 32, 24.0, 25.0),
    ],
)
def test_what_is_here_before_its_publication_is_known_now_and_never_before_the_day_is_over(
    ask: Ask, clock: MovedClock, hour: int, last: int, price: float, others: float
) -> None:
    clock.moment = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(hours=hour)
    found = _joined(ask(start=datetime(2024, 5, 20, tzinfo=UTC)))
    for name, lag in (("price_usd", price), ("supply", others)):
        about, known_at, _ = found[name].row(-1)
        assert about == datetime(2024, 5, 1, tzinfo=UTC) + (last - 1) * DAY
        assert known_at - about == pytest.approx(timedelta(hours=lag), abs=timedelta(minutes=1))
        assert known_at >= about + DAY


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
    assert "not supported" in caught.value.why


def test_a_coin_without_any_of_our_metrics_is_told(ask: Ask) -> None:
    asked: list[Asked] = []
    with pytest.raises(SourceLimited, match="none of our metrics of new"):
        ask("NEW-USD", asked=asked)
    assert len(asked) == 1


def _promised(document: dict[str, Any]) -> dict[str, Any]:
    """Promise everything to everybody, as a catalog that is behind the plan."""
    for metric in document["data"][0]["metrics"]:
        metric["frequencies"] = [{"frequency": "1d", "community": True}]
    return document


def test_metrics_that_are_refused_are_left_out_with_a_note_each(ask: Ask) -> None:
    first, *others = ask(handler=_changed(_promised, "catalog"))
    assert {one.name for one in first.series} == {METRICS[m].name for m in PLAN["btc"]}
    assert [note.split(" is left out: ")[0] for note in first.notes] == ["realized_cap", "transfer_value"]
    assert all("not available with supplied credentials" in note for note in first.notes)
    assert [page.notes for page in others] == [()] * 4
    with pytest.raises(SourceLimited, match="none of our metrics of new") as caught:
        ask("NEW-USD", handler=_changed(_promised, "catalog"))
    assert "hash_rate" in caught.value.why


def test_a_refusal_of_everything_is_told(ask: Ask) -> None:
    def closed(asked: Asked, world: World, twist: Twist) -> Reply:
        return Reply.json({"error": {"type": "unauthorized", "message": "It requires authorization."}}, 401)

    with pytest.raises(UpstreamRefused, match="unauthorized"):
        ask(handler=closed)


def test_a_limit_is_waited_for(ask: Ask, clock: MovedClock) -> None:
    asked: list[Asked] = []
    assert len(ask("BTC-USD", Fault("429", at=2, retry_after="7"), asked=asked)) == 5
    waits = [b.at - a.at for a, b in pairwise(asked)]
    assert [wait >= 7.0 for wait in waits] == [False, False, True, False, False, False]
    with pytest.raises(UpstreamError, match="no request before"):
        ask("BTC-USD", Fault("429", retry_after="3600"))


@pytest.mark.parametrize("kind", ["500", "503", "cut_json", "cut_gzip", "empty", "html", "reset"])
@pytest.mark.parametrize("path", ["catalog", "timeseries"])
def test_a_fault_is_asked_again(ask: Ask, kind: str, path: str) -> None:
    asked: list[Asked] = []
    found = _joined(ask("BTC-USD", Fault(kind, match=path, times=2), asked=asked))
    assert len(found["market_cap"]) == 427
    assert len(asked) == 8


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
    "a row that is none": lambda d: {"data": ["btc"]},
    "another coin": lambda d: {"data": [r | {"asset": "eth"} for r in d["data"]]},
    "not a midnight": lambda d: {"data": [d["data"][0] | {"time": "2023-05-01T07:00:00.000000000Z"}]},
    "not quite midnight": lambda d: {"data": [d["data"][0] | {"time": "2023-05-01T00:00:00.500000000Z"}]},
    "another zone": lambda d: {"data": [d["data"][0] | {"time": "2023-05-01T00:00:00+02:00"}]},
    "no such day": lambda d: {"data": [d["data"][0] | {"time": "2023-02-30T00:00:00.000000000Z"}]},
    "no time": lambda d: {"data": [{"asset": "btc"}]},
    "a word": lambda d: {"data": [r | {"CapMrktCurUSD": "many"} for r in d["data"]]},
    "an infinity": lambda d: {"data": [r | {"CapMrktCurUSD": "1e999"} for r in d["data"]]},
    "NaN": lambda d: {"data": [r | {"CapMrktCurUSD": "NaN"} for r in d["data"]]},
    "yes or no": lambda d: {"data": [r | {"CapMrktCurUSD": True} for r in d["data"]]},
    "before Bitcoin": lambda d: {"data": [d["data"][0] | {"time": "1970-01-01T00:00:00.000000000Z"}]},
    "a day twice": lambda d: {"data": [d["data"][0], d["data"][0] | {"CapMrktCurUSD": "1"}]},
    "a page that leads to itself": lambda d: d | {"next_page_token": "page-0"},
    "empty pages that lead to themselves": lambda d: {"data": [], "next_page_token": "page-100"},
    "a token that is none": lambda d: d | {"next_page_token": {"page": 1}},
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_form_is_refused_and_no_value_is_made_of_it(ask: Ask, name: str) -> None:
    with pytest.raises(UpstreamError, match="another form"):
        ask(handler=_changed(CHANGES[name]))


def test_empty_pages_without_an_end_are_refused(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecastle.sources.coinmetrics.PAGES", 20)
    tokens = (f"page-{number}" for number in count())
    with pytest.raises(UpstreamError, match="another form"):
        ask(handler=_changed(lambda _: {"data": [], "next_page_token": next(tokens)}))


def test_a_page_that_goes_back_in_time_is_refused(ask: Ask) -> None:
    def first_again(asked: Asked, world: World, twist: Twist) -> Reply:
        query = asked.query | {"next_page_token": "page-0"} if asked.query.get("next_page_token") == "page-300" else {}
        return venue_coinmetrics.answer(replace(asked, query=query or asked.query), world, twist)

    with pytest.raises(UpstreamError, match="another form") as caught:
        ask(handler=first_again)
    assert "goes back to 2023-04-01" in caught.value.why


CATALOGS: dict[str, Change] = {
    "no data": lambda d: {},
    "another coin": lambda d: {"data": [d["data"][0] | {"asset": "eth"}]},
    "no metrics": lambda d: {"data": [{"asset": "btc"}]},
    "no frequencies": lambda d: {"data": [{"asset": "btc", "metrics": [{"metric": "PriceUSD"}]}]},
    "names only": lambda d: {"data": [{"asset": "btc", "metrics": ["PriceUSD"]}]},
}


@pytest.mark.parametrize("name", CATALOGS)
def test_another_form_of_the_catalog_is_refused(ask: Ask, name: str) -> None:
    with pytest.raises(UpstreamError, match="another form"):
        ask(handler=_changed(CATALOGS[name], "catalog"))


def test_rows_out_of_order_and_exact_repeats_change_nothing(ask: Ask) -> None:
    mixed = _joined(ask(handler=_changed(lambda d: d | {"data": [*reversed(d["data"]), d["data"][3]]})))
    assert mixed["price_usd"].equals(_joined(ask())["price_usd"])
    assert len(mixed["market_cap"]) == 427


# --- into the lake


@contextmanager
def _serving(
    world: World, clock: MovedClock, home: Path, *script: Fault, handler: Handler = venue_coinmetrics.answer
) -> Iterator[tuple[Workspace, FaultServer]]:
    with FaultServer(world, {"community-api.coinmetrics.io": handler}, script) as server:
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
        assert server.asked[1].query["start_time"] == "2024-05-21"
        assert len(server.asked) == 2
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
        (fetched,) = outcome.brought
        assert {(m.name, m.added, m.start, m.end) for m in fetched.metrics if m.name != "price_usd"} == {
            (METRICS[m].name, 200, FIRST, FIRST + 199 * DAY) for m in PLAN["btc"] if m != "PriceUSD"
        }, "what was stored is told"
        assert len(workspace.lake.read_observations(BTC, "market_cap")) == 200
    with _serving(world, clock, home) as (workspace, _):
        _fetch(workspace).settled()
        assert len(workspace.lake.read_observations(BTC, "market_cap")) == 427


def _revise(world: World, day: int, factor: float) -> None:
    series = list(world.series["BTC-USD", "1d"])
    series[day] = series[day]._replace(close=series[day].close * factor)
    world.series["BTC-USD", "1d"] = series


def _versions(workspace: Workspace, name: str, day: int) -> list[tuple[datetime, float]]:
    frame = workspace.lake.read_observations(BTC, name, "coinmetrics").frame
    return frame.filter(pl.col("about") == FIRST + day * DAY).select("known_at", "value").rows()


def test_a_value_that_was_early_and_is_revised_is_known_otherwise_only_from_then_on(
    world: World, clock: MovedClock, home: Path
) -> None:
    """Fetched before its safe lag, so that the answer of later days carries an earlier ``known_at`` than the truth."""
    day, first = 426, world.series["BTC-USD", "1d"][426].close * 2
    with _serving(world, clock, home) as (workspace, _):
        _fetch(workspace).settled()
        assert [value for _, value in _versions(workspace, "market_cap", day)] == [pytest.approx(first)]
        clock.sleep(4 * 86_400)
        _revise(world, day, 3.0)
        seen = clock.now()
        (fetched,) = _fetch(workspace).settled()
        assert {m.name: m.revised for m in fetched.metrics}["market_cap"] == 1
        (early, before), (late, after) = _versions(workspace, "market_cap", day)
        assert before == pytest.approx(first)
        assert after == pytest.approx(3 * first)
        assert early - (FIRST + day * DAY) < 2 * DAY
        assert late >= seen
        cap = workspace.lake.read_observations(BTC, "market_cap")
        about = pl.col("about") == FIRST + day * DAY
        assert cap.known(seen - DAY).frame.filter(about)["value"][0] == before
        assert cap.known(seen + DAY).frame.filter(about)["value"][0] == after
        for again in (False, True):  # the same once more is no news, and what was known before stays
            clock.sleep(86_400)
            _fetch(workspace, again=again).settled()
            assert _versions(workspace, "market_cap", day) == [(early, before), (late, after)]
        _revise(world, day, 1 / 3.0)
        (back,) = _fetch(workspace).settled()
        assert {m.name: m.revised for m in back.metrics}["market_cap"] == 1
        assert [value for _, value in _versions(workspace, "market_cap", day)] == pytest.approx(
            [first, 3 * first, first]
        )


def test_a_day_that_was_left_out_and_comes_later_is_known_from_then_on(
    world: World, clock: MovedClock, home: Path
) -> None:
    gap = f"{FIRST + 424 * DAY:%Y-%m-%d}"

    def without(document: dict[str, Any]) -> dict[str, Any]:
        return document | {"data": [row for row in document["data"] if not row["time"].startswith(gap)]}

    with _serving(world, clock, home, handler=_changed(without)) as (workspace, _):
        _fetch(workspace).settled()
        assert _versions(workspace, "market_cap", 424) == []
    clock.sleep(86_400)
    seen = clock.now()
    with _serving(world, clock, home) as (workspace, _):
        (fetched,) = _fetch(workspace).settled()
        assert {(m.added, m.revised) for m in fetched.metrics} == {(2, 0)}
        ((known_at, _),) = _versions(workspace, "market_cap", 424)
        assert known_at >= seen
        assert _versions(workspace, "market_cap", 300)[0][0] == FIRST + 302 * DAY


def _until(last: int, metric: str | None = None) -> Handler:
    """Return CoinMetrics with an outage: nothing of the days after ``last``, or nothing of one metric."""

    def cut(document: dict[str, Any]) -> dict[str, Any]:
        late = [row for row in document["data"] if row["time"] > f"{FIRST + last * DAY:%Y-%m-%dT12}"]
        kept = [row for row in document["data"] if row not in late]
        return document | {"data": kept + [{**row, metric: None} for row in late if metric]}

    return _changed(cut)


@pytest.mark.parametrize("metric", [None, "CapMrktCurUSD"])
def test_a_day_that_was_asked_for_and_published_late_is_known_from_when_it_was_seen(
    world: World, clock: MovedClock, home: Path, metric: str | None
) -> None:
    """The last days were asked for at a time they should have been there, and were not."""
    with _serving(world, clock, home, handler=_until(422, metric)) as (workspace, _):
        _fetch(workspace).settled()
        assert _versions(workspace, "market_cap", 423) == []
        clock.sleep(86_400)
        _fetch(workspace, end=FIRST + 100 * DAY).settled()  # does not speak of these days
    clock.sleep(86_400)
    seen = clock.now()
    with _serving(world, clock, home) as (workspace, _):
        _fetch(workspace).settled()
        for late in (423, 424, 425):  # published after NOW, and said to be from before
            ((known_at, _),) = _versions(workspace, "market_cap", late)
            assert known_at >= seen
        for day in (422, 426):  # one was there at NOW, one was not due
            ((known_at, _),) = _versions(workspace, "market_cap", day)
            assert known_at == FIRST + (day + 2) * DAY
        assert (_versions(workspace, "supply", 423)[0][0] < seen) == (metric is not None), "others were there in time"
        clock.sleep(86_400)
        assert _fetch(workspace).settled()[0].observations > 0
        assert len(_versions(workspace, "market_cap", 423)) == 1, "the same is no news"


def test_days_that_nobody_asked_for_are_known_from_their_time(world: World, clock: MovedClock, home: Path) -> None:
    with _serving(world, clock, home) as (workspace, _):
        _fetch(workspace, end=FIRST + 100 * DAY).settled()
        _fetch(workspace, start=FIRST + 200 * DAY, end=FIRST + 300 * DAY).settled()
        clock.sleep(86_400)
        _fetch(workspace, again=True).settled()
        for day in (50, 120, 150, 250, 320, 420):
            assert _versions(workspace, "market_cap", day)[0][0] == FIRST + (day + 2) * DAY, day


def test_a_damaged_note_of_what_was_asked_is_told(world: World, clock: MovedClock, home: Path) -> None:
    with _serving(world, clock, home) as (workspace, _):
        _fetch(workspace).settled()
        (note,) = (home / "venues" / "asked").iterdir()
        note.write_text(note.read_text()[:40])
        (error,) = _fetch(workspace).failed
        assert isinstance(error, DataCorrupt)
        assert str(note) in error.what
        note.unlink()
        _fetch(workspace).settled()


def test_old_revisions_are_found_by_asking_for_everything_again(world: World, clock: MovedClock, home: Path) -> None:
    with _serving(world, clock, home) as (workspace, server):
        _fetch(workspace).settled()
        _revise(world, 50, 2.0)
        clock.sleep(86_400)
        assert {m.revised for m in _fetch(workspace).settled()[0].metrics} == {0}
        asked = len(server.asked)
        assert {m.revised for m in _fetch(workspace, again=True).settled()[0].metrics} == {1}
        assert "start_time" not in server.asked[asked + 1].query
        assert _versions(workspace, "supply", 50)[1][0] >= NOW + DAY


def test_a_metric_that_the_lake_has_nothing_of_comes_whole(world: World, clock: MovedClock, home: Path) -> None:
    """As after an import of some metrics from files."""

    def fewer(document: dict[str, Any]) -> dict[str, Any]:
        document["data"][0]["metrics"] = [m for m in document["data"][0]["metrics"] if m["metric"] != "HashRate"]
        return document

    with _serving(world, clock, home, handler=_changed(fewer, "catalog")) as (workspace, _):
        _fetch(workspace).settled()
    with _serving(world, clock, home) as (workspace, server):
        told = {m.name: m for m in _fetch(workspace).settled()[0].metrics}
        assert (told["hash_rate"].added, told["hash_rate"].start) == (427, FIRST)
        assert (told["market_cap"].added, told["market_cap"].unchanged) == (0, 427)
        asked = len(server.asked)
        _fetch(workspace).settled()
        assert len(server.asked) == asked + 2


def test_ranges_are_asked_for_whatever_is_held(world: World, clock: MovedClock, home: Path) -> None:
    late, middle, early = FIRST + 300 * DAY, FIRST + 350 * DAY, FIRST + 200 * DAY
    with _serving(world, clock, home) as (workspace, server):

        def span(**fields: Any) -> tuple[str | None, str | None]:
            _fetch(workspace, **fields).settled()
            query = server.asked[-1].query
            return query.get("start_time"), query.get("end_time")

        def day(moment: datetime) -> str:
            return f"{moment:%Y-%m-%d}"

        span(start=late)
        assert span(start=late, end=middle) == (day(middle - 10 * DAY), day(middle)), "only the last ten days again"
        assert span(end=early) == (None, day(early)), "the lake has nothing so early"
        assert span(start=FIRST - 9 * DAY, end=early) == (day(FIRST - 9 * DAY), day(early))
        assert span(start=late, again=True)[0] == day(late)


def test_the_pen_of_the_lake_is_waited_for(world: World, clock: MovedClock, home: Path) -> None:
    with _serving(world, clock, home) as (workspace, _), ExitStack() as other:
        other.enter_context(writer_lock(workspace.lake.root, clock, Path("elsewhere")))

        def sleep(seconds: float) -> None:
            clock.sleep(seconds)
            if seconds in WAITS[:2]:
                other.close()

        vars(workspace)["line"] = replace(workspace.line, sleep=sleep)
        (fetched,) = _fetch(workspace).settled()
        assert len(fetched.metrics) == len(PLAN["btc"])
        assert WAITS[0] in clock.slept


def test_a_range_without_anything_is_told(world: World, clock: MovedClock, home: Path) -> None:
    with _serving(world, clock, home) as (workspace, _):
        (error,) = _fetch(workspace, end=FIRST - DAY).failed
        assert isinstance(error, SourceLimited)
        assert "nothing of BTC-USD" in error.what


def test_it_is_kept_up_by_sync(world: World, clock: MovedClock, home: Path) -> None:
    with _serving(world, clock, home) as (workspace, _):
        watch(workspace, build(FetchRequest, instruments=("BTC-USD",), sources="coinmetrics"))
        assert sync(workspace).settled()[0].observations > 3000
        clock.sleep(86_400)
        assert {m.added for m in sync(workspace).settled()[0].metrics} == {1}


def test_the_watch_list_has_it_beside_the_candles_of_the_coin(workspace: Workspace) -> None:
    for source in ("yahoo", "coinmetrics", "coinbase", "coinmetrics"):
        listed = watch(workspace, build(FetchRequest, instruments=("BTC-USD",), sources=source))
    assert [watched.sources for watched in listed] == [("yahoo",), ("coinmetrics",)]


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
