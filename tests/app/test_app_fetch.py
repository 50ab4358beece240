"""Fetching: what is asked for, what is stored, and what a fault costs. The source here does what a script says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import forecastle as fc
from forecastle.app import export, sync
from forecastle.app import fetch as module
from forecastle.app._wanting import overlap
from forecastle.app.fetch import fetch
from forecastle.app.look import load
from forecastle.errors import DataInvalid, DataMissing, ForecastleError, LakeLocked, SourceLimited, UpstreamError
from forecastle.lake import DatasetKey
from forecastle.nouns import Candles, Instrument, Observations
from forecastle.nouns.candles import Adjusted
from forecastle.ports import Line, Page, SourceFacts
from forecastle.requests import FetchRequest, SeriesRequest, build
from forecastle.sessions import Timeframe
from forecastle.workspace import Workspace
from making import make_candles

WHOLE = make_candles(100)
START = WHOLE.start
EDGE = overlap("1d")
KEY = DatasetKey("first", "BTC-USDT", "1d")


def day(n: int) -> datetime:
    return START + timedelta(days=n)


class _Restating(SourceFacts):
    """Adjusts coins, too: the tests need but one instrument."""

    def adjusted_of(self, instrument: Instrument) -> Adjusted:
        return self.adjusted


@dataclass
class Scripted:
    """Gives ``frame`` in pages of ten rows; once, before page ``fails_at`` of its life, it raises ``fault``."""

    name: str
    frame: pl.DataFrame = field(default_factory=lambda: WHOLE.frame)
    fails_at: int = -1
    fault: BaseException | None = None
    adjusted: Adjusted = "none"
    fall_back: tuple[str, ...] = ()
    asked: list[tuple[datetime | None, datetime | None]] = field(default_factory=list)
    pages_given: int = 0
    reach: datetime | None = None
    leaves_out: tuple[int, int] = (0, 0)
    observed: tuple[Observations, ...] = ()

    @property
    def facts(self) -> SourceFacts:
        return _Restating(self.name, self.adjusted, "ohlc", "base", "", "", "", self.fall_back)

    def pages(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Iterator[Page]:
        """``reach`` bounds how far back it goes; bars ``leaves_out`` are not answered yet."""
        self.asked.append((start, end))
        if self.reach and start and start < self.reach:
            raise SourceLimited("Too old.", f"Only from {self.reach} on.", "Ask another.")
        start = start or self.reach
        rows = self.frame.filter(pl.col("open_time") >= (start or START))
        rows = rows.filter(pl.col("close_time") <= end) if end else rows
        since = start or START
        for n in range(0, rows.height, 10):
            if self.fault and self.pages_given == self.fails_at:
                self.pages_given += 1
                raise self.fault
            part = rows.slice(n, 10)
            last = part["close_time"].max()
            assert isinstance(last, datetime)
            self.pages_given += 1
            left_out = part["open_time"].is_between(day(self.leaves_out[0]), day(self.leaves_out[1]), closed="left")
            if left_out.any():
                yield Page(part.filter(~left_out), since, day(self.leaves_out[0]))
            else:
                yield Page(part, since, last, self.observed if n == 0 else ())
            since = last


class Venues(dict[str, Scripted]):
    """The sources of one test by their names."""

    def open(self, name: str, line: Line) -> Scripted:
        return self[name]


@pytest.fixture
def venues(monkeypatch: pytest.MonkeyPatch) -> Venues:
    known = Venues()
    monkeypatch.setattr(module, "open_source", known.open)
    return known


def ask(sources: str = "first", **more: object) -> FetchRequest:
    return build(FetchRequest, instruments=("BTC-USDT",), sources=sources, **more)


def stored(workspace: Workspace, key: DatasetKey = KEY) -> pl.DataFrame:
    return workspace.lake.read(key).frame


def test_a_fault_costs_nothing_that_came_before_and_the_next_run_goes_on_from_there(
    workspace: Workspace, venues: Venues
) -> None:
    for fails_at in range(10):
        home = Workspace.open(workspace.settings.home / str(fails_at), workspace.clock)
        venues["first"] = source = Scripted("first", fails_at=fails_at, fault=UpstreamError("w", "h", "y"))
        broken = fetch(home, ask())
        assert [str(e.what) for e in broken.failed] == ["w"]
        have = sum(f.added for f in broken.brought)
        assert have == 10 * fails_at
        source.asked.clear()
        assert fetch(home, ask()).settled()[0].added == 100 - have
        expected = None if fails_at == 0 else day(have) - EDGE
        assert source.asked == [(expected, None)], "only what is wanting, and the last bars again"
        assert stored(home).equals(WHOLE.frame)
        assert home.lake.verify() == []


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), UpstreamError("w", "h", "y")])
def test_what_was_given_before_a_stop_is_stored(workspace: Workspace, venues: Venues, fault: BaseException) -> None:
    venues["first"] = Scripted("first", fails_at=3, fault=fault)
    with contextlib.suppress(KeyboardInterrupt):
        fetch(workspace, ask())
    assert stored(workspace).equals(WHOLE.frame.head(30))


def test_a_second_run_adds_nothing_and_asks_for_the_last_bars_only(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = source = Scripted("first")
    fetch(workspace, ask(start=day(10), end=day(60)))
    before = {path: path.read_bytes() for path in workspace.lake.root.rglob("*.*") if path.name != ".writer.lock"}
    again = fetch(workspace, ask(start=day(10), end=day(60))).settled()[0]
    assert (again.added, again.revised, again.unchanged) == (0, 0, 0)
    assert len(source.asked) == 1, "the range was answered: nobody has to be asked"
    assert {p: p.read_bytes() for p in workspace.lake.root.rglob("*.*") if p.name != ".writer.lock"} == before


def test_an_earlier_start_asks_for_the_earlier_part_only_and_holes_of_the_source_are_not_asked_again(
    workspace: Workspace, venues: Venues
) -> None:
    holed = pl.concat([WHOLE.frame.head(40), WHOLE.frame.slice(45, 30)])
    venues["first"] = source = Scripted("first", holed)
    fetch(workspace, ask(start=day(20), end=day(75)))
    source.asked.clear()
    fetch(workspace, ask(start=day(5), end=day(75)))
    assert source.asked == [(day(5), day(20) + EDGE)]
    assert stored(workspace).equals(holed.filter(pl.col("open_time") >= day(5)))


def test_with_again_everything_is_asked_for_and_revisions_are_versions_that_are_listed(
    workspace: Workspace, venues: Venues
) -> None:
    venues["first"] = source = Scripted("first")
    fetch(workspace, ask())
    first = workspace.lake.read(KEY)
    wrong = pl.col("close") * 1.001
    source.frame = WHOLE.frame.with_columns(
        pl.when(pl.col("open_time") == day(7)).then(wrong).otherwise(pl.col("close")).alias("close")
    ).with_columns(pl.max_horizontal("high", "close").alias("high"))
    done = fetch(workspace, ask(again=True)).settled()[0]
    assert (done.added, done.revised, done.unchanged) == (0, 1, 99)
    listed = workspace.lake.revisions(KEY)
    assert listed["open_time"].to_list() == [day(7)]
    assert listed["close_before"].to_list() == [WHOLE.frame["close"][7]]
    assert listed["close"].to_list() == [WHOLE.frame["close"][7] * 1.001]
    assert workspace.lake.read(KEY).data_hash != first.data_hash


def test_a_source_that_does_not_have_it_gives_way_to_the_next(workspace: Workspace, venues: Venues) -> None:
    limit = SourceLimited("It is too old.", "Only 365 days.", "Ask another.")
    venues["first"] = Scripted("first", fails_at=0, fault=limit)
    venues["second"] = Scripted("second")
    done = fetch(workspace, ask("first,second", start=day(0))).settled()
    assert [(f.source, f.added, f.gave_up) for f in done] == [("first", 0, limit), ("second", 100, None)]
    assert [i.key.source for i in workspace.lake.datasets()] == ["second"]


def test_where_one_fails_on_the_way_the_next_brings_the_rest_and_each_row_keeps_its_source(
    workspace: Workspace, venues: Venues
) -> None:
    venues["first"] = Scripted("first", fails_at=4, fault=UpstreamError("It is down.", "503.", "Later."))
    venues["second"] = second = Scripted("second")
    fetch(workspace, ask("first,second", start=day(0))).settled()
    assert second.asked == [(day(40), None)]
    rows = {i.key.source: i.rows for i in workspace.lake.datasets()}
    assert rows == {"first": 40, "second": 60}
    both = load(workspace, SeriesRequest(instrument=KEY.instrument, source="first,second"))  # type: ignore[arg-type]
    assert both.frame.equals(WHOLE.frame)
    assert both.source == "first,second"
    with pytest.raises(DataInvalid, match="several sources"):
        load(workspace, SeriesRequest(instrument=KEY.instrument))  # type: ignore[arg-type]


def test_the_sources_a_source_names_are_asked_where_it_alone_was_named(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = Scripted("first", fails_at=0, fault=SourceLimited("a", "b", "c"), fall_back=("second",))
    venues["second"] = Scripted("second")
    assert [f.source for f in fetch(workspace, ask()).settled()] == ["first", "second"]


def test_where_all_fail_every_reason_is_told(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = Scripted("first", fails_at=0, fault=SourceLimited("Too old.", "b.", "c"))
    venues["second"] = Scripted("second", fails_at=0, fault=UpstreamError("It is down.", "e.", "f"))
    (error,) = fetch(workspace, ask("first,second")).failed
    assert isinstance(error, UpstreamError)
    assert "Too old." in error.why
    assert "It is down." in error.why


def test_a_locked_lake_is_not_the_fault_of_the_source(
    workspace: Workspace, venues: Venues, monkeypatch: pytest.MonkeyPatch
) -> None:
    venues["first"], venues["second"] = Scripted("first"), Scripted("second")

    def locked(*_: object) -> None:
        raise LakeLocked("a", "b", "c")

    waited: list[float] = []
    monkeypatch.setattr("forecastle.workspace.pause", waited.append)
    monkeypatch.setattr(type(workspace.lake), "write", locked)
    (error,) = fetch(workspace, ask("first,second")).failed
    assert isinstance(error, LakeLocked)
    assert venues["second"].asked == []
    assert 20 < sum(waited) < 60, "a short write of another process is waited for"


def test_one_series_that_fails_does_not_stop_the_others(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = Scripted("first", fails_at=0, fault=UpstreamError("w", "h", "y"))
    request = build(FetchRequest, instruments=("ETH-USDT", "BTC-USDT"), sources="first", timeframes="1d")
    outcome = fetch(workspace, request)
    assert len(outcome.failed) == 1
    assert [i.key.instrument for i in workspace.lake.datasets()] == ["BTC-USDT"]


def test_rows_that_cannot_be_candles_are_kept_apart_with_their_reason(workspace: Workspace, venues: Venues) -> None:
    bad = WHOLE.frame.with_columns(
        pl.when(pl.col("open_time") == day(3)).then(None).otherwise(pl.col("close")).alias("close"),
        pl.when(pl.col("open_time") == day(8)).then(-1.0).otherwise(pl.col("volume")).alias("volume"),
    )
    venues["first"] = Scripted("first", bad)
    done = fetch(workspace, ask()).settled()[0]
    assert (done.added, done.quarantined) == (98, 2)
    kept = workspace.lake.quarantined(KEY)
    assert kept.select("open_time", "reason").rows() == [(day(3), "not_a_number"), (day(8), "negative_volume")]
    assert stored(workspace)["open_time"].to_list() == [day(n) for n in range(100) if n not in (3, 8)]


def test_a_bar_across_the_border_of_two_questions_is_brought(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = Scripted("first")
    fetch(workspace, ask(start=day(40) + timedelta(hours=6), end=day(60)))
    fetch(workspace, ask(start=day(20), end=day(60)))
    assert stored(workspace).equals(WHOLE.frame.slice(20, 40))


def test_what_a_source_has_not_answered_yet_is_asked_for_again(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = source = Scripted("first", leaves_out=(33, 36))
    fetch(workspace, ask())
    assert stored(workspace).height == 97
    source.leaves_out = (0, 0)
    fetch(workspace, ask())
    assert stored(workspace).equals(WHOLE.frame)


def test_without_a_start_everything_is_meant_also_after_a_fetch_with_one(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = source = Scripted("first")
    fetch(workspace, ask(start=day(50)))
    fetch(workspace, ask())
    assert stored(workspace).equals(WHOLE.frame)
    source.asked.clear()
    fetch(workspace, ask())
    assert source.asked == [(day(100) - EDGE, None)], "the beginning was asked for: it is not asked for again"


def test_what_is_out_of_reach_by_now_stays_a_hole_and_does_not_stop_the_rest(
    workspace: Workspace, venues: Venues
) -> None:
    venues["first"] = source = Scripted("first", WHOLE.frame.head(30))
    fetch(workspace, ask(start=day(0)))
    source.frame, source.reach = WHOLE.frame, day(60)
    (done,) = fetch(workspace, ask(start=day(0))).settled()
    assert "no longer reaches back" in done.notes[0]
    assert stored(workspace).equals(pl.concat([WHOLE.frame.head(30), WHOLE.frame.slice(60)]))
    source.asked.clear()
    assert fetch(workspace, ask(start=day(0))).settled()[0].notes == []
    assert source.asked == [(day(100) - EDGE, None)]


def test_that_all_was_asked_for_is_no_answer_to_an_explicit_start(workspace: Workspace, venues: Venues) -> None:
    """A venue that serves the last bars only has to name its limit, and the next one is asked."""
    venues["first"], venues["second"] = Scripted("first", reach=day(60)), Scripted("second")
    fetch(workspace, ask("first,second"))
    limited, whole = fetch(workspace, ask("first,second", start=day(10))).settled()
    assert isinstance(limited.gave_up, SourceLimited)
    assert whole.added == 90


def test_an_outage_is_no_reason_to_ask_somebody_nobody_named(workspace: Workspace, venues: Venues) -> None:
    fault = UpstreamError("It is down.", "503.", "Later.")
    venues["first"] = Scripted("first", fails_at=0, fault=fault, fall_back=("second",))
    venues["second"] = Scripted("second")
    assert fetch(workspace, ask()).failed == (fault,)
    assert venues["second"].asked == []


def test_a_damaged_series_does_not_stop_the_others(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = Scripted("first")
    request = build(FetchRequest, instruments=("BTC-USDT", "ETH-USDT"), sources="first", again=True)
    fetch(workspace, request)
    (file,) = (workspace.lake.root / "first" / "BTC-USDT").rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-9] + b"something")
    venues["first"].frame = WHOLE.frame.slice(3).with_columns(volume=pl.col("volume") + 1)
    outcome = fetch(workspace, request)
    assert [type(e).__name__ for e in outcome.failed] == ["DataCorrupt"]
    assert [f.revised for f in outcome.brought] == [0, 97]


def test_one_corrected_bar_is_no_split(workspace: Workspace, venues: Venues) -> None:
    last = pl.col("open_time") == day(79)
    up = [pl.when(last).then(pl.col(c) * 1.25).otherwise(pl.col(c)).alias(c) for c in ("high", "close")]
    venues["first"] = source = Scripted("first", WHOLE.frame.head(80).with_columns(up), adjusted="splits")
    fetch(workspace, ask())
    source.frame, source.reach = WHOLE.frame, day(70)
    assert fetch(workspace, ask()).settled()[0].notes == []
    assert stored(workspace).equals(WHOLE.frame)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(("first", "then"), [((0, 20), (50, 100)), ((50, 100), (0, 30)), ((0, 80), (40, 100))])
def test_ranges_fetched_before_and_after_a_split_are_of_one_basis(
    workspace: Workspace, venues: Venues, first: tuple[int, int], then: tuple[int, int], again: bool
) -> None:
    venues["first"] = source = Scripted("first", adjusted="splits")
    fetch(workspace, ask(start=day(first[0]), end=day(first[1])))
    source.frame = WHOLE.frame.with_columns((pl.col(c) * 0.97).alias(c) for c in ("open", "high", "low", "close"))
    fetch(workspace, ask(start=day(then[0]), end=day(then[1]), again=again)).settled()
    assert stored(workspace).equals(source.frame.filter(pl.col("open_time").is_in(stored(workspace)["open_time"])))
    assert stored(workspace).height >= 50


def test_an_observation_that_is_refused_does_not_cost_the_candles(workspace: Workspace, venues: Venues) -> None:
    frame = pl.DataFrame({"about": [day(5)], "known_at": [day(5)], "value": [0.24]}).with_columns(
        pl.col("about", "known_at").cast(pl.Datetime("us", "UTC"))
    )
    units = [Observations(Instrument.parse("BTC-USDT"), "dividend", u, "first", frame) for u in ("USD", "GBP")]
    venues["first"] = Scripted("first", observed=tuple(units))
    done = fetch(workspace, ask()).settled()[0]
    assert done.added == 100
    assert "dividend was not stored" in done.notes[0]


def test_a_bad_bar_that_the_venue_puts_right_is_brought_by_the_next_run(workspace: Workspace, venues: Venues) -> None:
    good = make_candles(10, start="2026-11-09").frame
    glitch = pl.when(pl.col("open_time") == good["open_time"][6])
    venues["first"] = source = Scripted("first", good.with_columns(close=glitch.then(float("nan")).otherwise("close")))
    for _ in range(2):
        fetch(workspace, ask(start=good["open_time"][0])).settled()
        assert stored(workspace).height == 9
    assert workspace.lake.quarantined(KEY).height == 1, "the same bad row is kept once"
    source.frame = good
    assert fetch(workspace, ask(start=good["open_time"][0])).settled()[0].added == 1
    assert stored(workspace).equals(good)


def test_where_the_whole_history_cannot_be_had_anew_nothing_is_mixed(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = source = Scripted("first", WHOLE.frame.head(80), adjusted="splits")
    fetch(workspace, ask())
    source.frame = WHOLE.frame.with_columns((pl.col(c) / 4).alias(c) for c in ("open", "high", "low", "close"))
    source.fault, source.fails_at = SourceLimited("w", "Only 730 days.", "d"), source.pages_given + 3
    (error,) = fetch(workspace, ask()).failed
    assert "adjusted all of BTC-USDT 1d anew" in error.what
    assert stored(workspace).equals(WHOLE.frame.head(80))


def test_rows_of_the_future_are_refused(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = Scripted("first", make_candles(5, start="2027-01-01").frame)
    (error,) = fetch(workspace, ask()).failed
    assert isinstance(error, DataInvalid)
    assert "after tomorrow" in error.what
    assert workspace.lake.datasets() == []


def test_after_a_split_the_whole_history_is_fetched_again(workspace: Workspace, venues: Venues) -> None:
    """The source divides all its history by four; going on from where the lake is would make a false crash."""
    venues["first"] = source = Scripted("first", WHOLE.frame.head(80), adjusted="splits")
    fetch(workspace, ask())
    quarter = [(pl.col(c) / 4).alias(c) for c in ("open", "high", "low", "close")]
    source.frame = WHOLE.frame.with_columns(quarter)
    fetch(workspace, ask())
    assert stored(workspace).equals(source.frame)


def test_after_a_split_a_crash_on_the_way_is_healed_by_the_next_run(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = source = Scripted("first", WHOLE.frame.head(80), adjusted="splits")
    fetch(workspace, ask())
    quarter = [(pl.col(c) / 4).alias(c) for c in ("open", "high", "low", "close")]
    source.frame, source.fault = WHOLE.frame.with_columns(quarter), UpstreamError("w", "h", "y")
    source.fails_at = source.pages_given + 4  # the page looked at again, then four of the new history
    assert fetch(workspace, ask()).failed
    fetch(workspace, ask()).settled()
    assert stored(workspace).equals(source.frame)


@pytest.mark.parametrize("fault", ["reach", "bad bar", "left out"])
def test_a_history_that_is_not_whole_when_adjusted_anew_leaves_all_as_it_is(
    workspace: Workspace, venues: Venues, fault: str
) -> None:
    venues["first"] = source = Scripted("first", WHOLE.frame.head(80), adjusted="splits")
    fetch(workspace, ask())
    quarter = WHOLE.frame.with_columns((pl.col(c) / 4).alias(c) for c in ("open", "high", "low", "close"))
    source.frame = quarter
    if fault == "reach":
        source.frame = quarter.slice(30)
    elif fault == "bad bar":
        bad = pl.when(pl.col("open_time") == day(12)).then(float("nan")).otherwise("close")
        source.frame = quarter.with_columns(close=bad)
    else:
        source.leaves_out = (33, 36)
    for _ in range(2):
        (error,) = fetch(workspace, ask()).failed
        assert "adjusted all of BTC-USDT 1d anew" in error.what
        assert stored(workspace).equals(WHOLE.frame.head(80))
    source.frame, source.leaves_out = quarter, (0, 0)
    fetch(workspace, ask()).settled()
    assert stored(workspace).equals(quarter)


def test_older_rows_of_another_hand_do_not_make_the_gap_before_them_answered(
    workspace: Workspace, venues: Venues
) -> None:
    venues["first"], venues["second"] = Scripted("first", reach=day(60)), Scripted("second")
    fetch(workspace, ask())
    early = Candles(WHOLE.instrument, "1d", "first", WHOLE.frame.head(5), "none")
    workspace.lake.write(early)
    limited, rest = fetch(workspace, ask("first,second", start=day(2))).settled()
    assert isinstance(limited.gave_up, SourceLimited)
    assert rest.added == 98


def test_a_hole_out_of_reach_is_filled_by_the_next_source_where_there_is_one(
    workspace: Workspace, venues: Venues
) -> None:
    venues["first"] = source = Scripted("first", WHOLE.frame.head(30))
    venues["second"] = Scripted("second")
    fetch(workspace, ask("first,second", start=day(0)))
    source.frame, source.reach = WHOLE.frame, day(60)
    fetch(workspace, ask("first,second", start=day(0))).settled()
    both = load(workspace, build(SeriesRequest, instrument="BTC-USDT", source="first,second"))
    assert both.frame.equals(WHOLE.frame)


def test_what_comes_with_the_candles_is_stored_beside_them(workspace: Workspace, venues: Venues) -> None:
    frame = pl.DataFrame({"about": [day(5)], "known_at": [day(5)], "value": [0.24]}).with_columns(
        pl.col("about", "known_at").cast(pl.Datetime("us", "UTC"))
    )
    dividend = Observations(Instrument.parse("BTC-USDT"), "dividend", "USD per share", "first", frame)
    venues["first"] = Scripted("first", observed=(dividend,))
    assert fetch(workspace, ask()).settled()[0].observations == 1
    assert fetch(workspace, ask(again=True)).settled()[0].observations == 0
    assert workspace.lake.read_observations(dividend.instrument, "dividend").frame.equals(frame)


def test_csv_copies_and_a_database_that_stands_alone(workspace: Workspace, venues: Venues, tmp_path: Path) -> None:
    venues["first"] = Scripted("first")
    request = ask(start=day(10), end=day(50), csv=True)
    done = fetch(workspace, request).settled()
    assert done[0].csv_files == 1
    (twin,) = workspace.lake.root.rglob("*.csv")
    times = pl.col("open_time", "close_time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_zone="UTC", time_unit="us")
    assert pl.read_csv(twin).with_columns(times).equals(stored(workspace))
    twin.write_bytes(twin.read_bytes()[:-1])
    assert [p.path for p in workspace.lake.verify()] == [twin.relative_to(workspace.lake.root).as_posix()]

    parquet, csv = export.to_folder(workspace, done, request, tmp_path / "out")
    assert pl.read_parquet(parquet.path).equals(WHOLE.frame.slice(10, 40))
    assert pl.read_csv(csv.path).with_columns(times).equals(WHOLE.frame.slice(10, 40))
    assert (tmp_path / "out" / "SHA256SUMS").read_text().split() == [
        csv.sha256, csv.path.name, parquet.sha256, parquet.path.name,
    ]  # fmt: skip

    database = tmp_path / "all.duckdb"
    assert export.to_duckdb(workspace, database) == 40
    alone = fc.load("BTC-USDT", duckdb=database, home=tmp_path / "nothing")
    assert alone.frame.equals(stored(workspace))
    assert alone.data_hash == workspace.lake.read(KEY).data_hash
    with pytest.raises(DataMissing, match="holds no 1h candles"):
        fc.load("BTC-USDT", "1h", duckdb=database)


def test_the_watch_list_is_kept_up_to_now(workspace: Workspace, venues: Venues) -> None:
    with pytest.raises(DataMissing, match="Nothing is on the watch list"):
        sync.sync(workspace)
    venues["first"] = source = Scripted("first", WHOLE.frame.head(50))
    request = ask("first", start=day(5))
    fetch(workspace, request)
    sync.watch(workspace, request)
    sync.watch(workspace, request)
    expected = sync.Watched(instrument="BTC-USDT", timeframe="1d", sources=("first",), start=day(5))
    assert sync.watch_list(workspace) == (expected,)
    source.frame = WHOLE.frame
    assert sync.sync(workspace).settled()[0].added == 50
    assert stored(workspace).equals(WHOLE.frame.slice(5))
    by_hand = "[[watch]]  # mine\ninstrument = 'ETH-USDT'\nsources = 'first,second'\nstart = 2024-02-01\n"
    workspace.settings.watch_list.write_text(by_hand)
    assert sync.watch(workspace, request)[0].sources == ("first", "second")
    assert workspace.settings.watch_list.read_text().startswith(by_hand), "what a person wrote stays"
    workspace.settings.watch_list.write_text("[[watch]]\ninstrument = 3\n")
    with pytest.raises(DataInvalid, match="is no watch list"):
        sync.sync(workspace)


def test_one_entry_written_wrongly_does_not_stop_the_others(workspace: Workspace, venues: Venues) -> None:
    venues["first"] = Scripted("first")
    entries = "".join(
        f"[[watch]]\ninstrument = 'BTC-USDT'\ntimeframe = '{t}'\nsources = ['first']\n" for t in ("2d", "1d")
    )
    workspace.settings.home.mkdir()
    workspace.settings.watch_list.write_text(entries)
    outcome = sync.sync(workspace)
    assert [f.added for f in outcome.brought] == [100]
    assert [e.exit_code for e in outcome.failed] == [2]


def test_a_joined_series_leaves_out_a_source_that_gave_nothing(workspace: Workspace) -> None:
    workspace.lake.write(WHOLE)
    found = load(workspace, build(SeriesRequest, instrument="BTC-USDT", source="test,other"))
    assert found.frame.equals(WHOLE.frame)
    with pytest.raises(DataMissing):
        load(workspace, build(SeriesRequest, instrument="BTC-USDT", source="other,another"))


def test_a_read_of_the_past_sees_what_was_known_then(workspace: Workspace, venues: Venues) -> None:
    from forecastle.clock import FixedClock

    venues["first"] = source = Scripted("first", WHOLE.frame.head(50))
    early = Workspace.open(workspace.settings.home, FixedClock(datetime(2026, 11, 1, tzinfo=UTC)))
    fetch(early, ask())
    source.frame = WHOLE.frame
    fetch(workspace, ask())
    then = fc.load("BTC-USDT", as_of="2026-11-10", home=workspace.settings.home)
    assert then.frame.equals(WHOLE.frame.head(50))
    assert len(fc.load("BTC-USDT", home=workspace.settings.home)) == 100
    with pytest.raises(DataMissing, match="The lake was empty"):
        fc.load("BTC-USDT", as_of="2026-10-01", home=workspace.settings.home)


def test_joined_series_have_to_be_of_one_kind(workspace: Workspace) -> None:
    workspace.lake.write(WHOLE)
    other = Candles(WHOLE.instrument, "1d", "other", WHOLE.frame, "splits")
    workspace.lake.write(other)
    with pytest.raises(ForecastleError, match="not of one kind"):
        load(workspace, build(SeriesRequest, instrument="BTC-USDT", source="test,other"))
