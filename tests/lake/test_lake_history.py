"""The past stays readable: at every commit, through closed logs, whatever the order of the writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecastle.errors import DataCorrupt, DataMissing
from forecastle.lake import Lake, journal
from forecastle.lake.manifest import HISTORY, MIRROR, NAME, Checkpoint, State, history
from lake_model import KEY, Rows, Seen, Step, Ticking, files_without_a_name, hours, look, next_step, prices
from making import NOW, key_of, make_candles

ORDERS = st.lists(
    st.dictionaries(st.integers(0, 200), st.integers(1, 9).map(float), min_size=1, max_size=8), min_size=1, max_size=14
)


@pytest.fixture(autouse=True)
def _short_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FEWEST_LINES", 5)


def _lines(root: Path) -> int:
    return len((root / NAME).read_bytes().splitlines())


@settings(max_examples=30)
@given(orders=ORDERS)
def test_the_lake_of_any_past_moment_is_what_it_held_then(
    tmp_path_factory: pytest.TempPathFactory, orders: list[Rows]
) -> None:
    root, clock = tmp_path_factory.mktemp("lake"), Ticking()
    lake, held = Lake(root, clock), []
    for rows in orders:
        lake.write(hours(rows))
        held.append((clock.now(), prices(lake)))
    for reader in (lake, Lake(root, clock)):
        assert [prices(reader, moment) for moment, _ in held] == [then for _, then in held]
        with pytest.raises(DataMissing, match="was empty at"):
            reader.read(KEY, as_of=NOW - timedelta(days=1))


def test_rows_that_come_newest_first_read_like_those_that_come_oldest_first(tmp_path: Path) -> None:
    whole = {hour: float(hour + 1) for hour in range(300)}
    down, up = (Lake(tmp_path / name, Ticking()) for name in ("down", "up"))
    parts = [{h: whole[h] for h in range(begin, begin + 10)} for begin in range(0, 300, 10)]
    for part, other in zip(parts, reversed(parts), strict=True):
        up.write(hours(part))
        down.write(hours(other))
    assert prices(down) == prices(up) == whole
    assert down.read(KEY).data_hash == up.read(KEY).data_hash


def test_a_clock_that_was_set_back_does_not_turn_the_past_round(tmp_path: Path) -> None:
    clock = Ticking()
    lake = Lake(tmp_path, clock)
    lake.write(hours({0: 1.0}))
    between = clock.now()
    clock.at = NOW - timedelta(days=400)
    lake.write(hours({0: 2.0}))
    lake.write(hours({0: 3.0}))
    assert prices(lake, between) == {0: 3.0}, "the later commits bear the time of the first: none is before it"
    moments = [commit.at for commit, _ in journal.Journal(tmp_path).commits()]
    assert moments == sorted(moments)
    clock.at = NOW + timedelta(days=1)
    lake.write(hours({0: 4.0}))
    assert prices(lake, NOW + timedelta(hours=1)) == {0: 3.0}
    assert prices(lake) == {0: 4.0}


def test_a_moment_may_be_told_in_any_time_zone(tmp_path: Path) -> None:
    clock = Ticking()
    lake = Lake(tmp_path, clock)
    lake.write(hours({0: 1.0}))
    moment = clock.now()
    lake.write(hours({0: 2.0}))
    for zone in ("Asia/Tokyo", "America/New_York", "Pacific/Kiritimati"):
        assert prices(lake, moment.astimezone(ZoneInfo(zone))) == {0: 1.0}


def test_a_thousand_commits_lead_to_the_same_by_the_checkpoint_and_by_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "FEWEST_LINES", 100)
    lake, draw, seen = Lake(tmp_path, Ticking()), Random(1), Seen()
    for count in range(1000):
        row = {draw.randrange(1000): float(count + 1)}
        step = Step("write", row) if count % 10 else next_step(draw, seen)
        step.do(lake)
        seen = seen.after(step)
    assert look(Lake(tmp_path, Ticking())) == seen
    past = list(history(tmp_path))
    assert len(past) >= 900
    assert _lines(tmp_path) <= 101, "the log is closed again and again"
    replayed = State()
    for commit, line in journal.Journal(tmp_path).commits():
        replayed.apply(commit, line)
    now = journal.Journal(tmp_path).state
    assert replayed == now
    assert State.of(_checkpoint(tmp_path)).number == past[-1][0].number
    assert files_without_a_name(lake) == set()
    assert lake.verify() == []


def _checkpoint(root: Path) -> Any:
    return Checkpoint.model_validate_json((root / NAME).read_bytes().splitlines()[0])


def test_one_more_candle_after_many_commits_adds_no_more_than_before(tmp_path: Path) -> None:
    """What a commit writes does not grow with the commits there were: bytes, not seconds."""
    lake, sizes = Lake(tmp_path, Ticking()), []
    for day in range(300):
        lake.write(make_candles(day + 1).last(1))
        sizes.append((tmp_path / NAME).stat().st_size)
    assert max(sizes[200:]) < 1.5 * max(sizes[20:200])


@pytest.mark.parametrize("damage", ["flip", "remove", "empty"])
def test_a_damaged_history_is_told_and_the_present_serves_on(tmp_path: Path, damage: str) -> None:
    lake, clock = Lake(tmp_path, Ticking()), Ticking()
    for day in range(30):
        lake.write(make_candles(day + 1).last(1))
    files = sorted((tmp_path / HISTORY).glob("*.jsonl"))
    assert len(files) >= 4
    whole = files[1].read_bytes()
    files[1].write_bytes(b"" if damage == "empty" else whole.replace(b'"rows":', b'"rowz":', 1))
    if damage == "remove":
        files[1].unlink()
    fresh = Lake(tmp_path, clock)
    key = key_of(make_candles(1))
    assert len(fresh.read(key)) == 30
    assert HISTORY in [p.path for p in fresh.verify()]
    with pytest.raises(DataCorrupt):
        fresh.read(key, as_of=datetime(2027, 1, 1, tzinfo=UTC))
    assert fresh.write(make_candles(31).last(1)).added == 1
    files[1].write_bytes(whole)
    assert Lake(tmp_path, clock).verify() == []


def test_a_crash_between_closing_a_log_and_beginning_the_next_costs_nothing(tmp_path: Path) -> None:
    """Then the same commits are in the history and in the open log."""
    lake = Lake(tmp_path, Ticking())
    for hour in range(4):
        lake.write(hours({hour: 1.0}))
    before = {name: (tmp_path / name).read_bytes() for name in (NAME, MIRROR)}
    lake.write(hours({4: 1.0}))
    line = next(reversed([line for _, line in history(tmp_path)]))
    for name in (NAME, MIRROR):
        (tmp_path / name).write_bytes(before[name] + line + b"\n")
    again = Lake(tmp_path, Ticking())
    assert prices(again) == dict.fromkeys(range(5), 1.0)
    assert again.verify() == []
    for hour in range(5, 20):
        again.write(hours({hour: 1.0}))
    assert again.verify() == []
    assert [commit.number for commit, _ in journal.Journal(tmp_path).commits()] == list(range(1, 21))
