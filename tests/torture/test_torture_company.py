"""Several at one lake: two writers, eight readers; and clocks and time zones that do not help."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from forecastle.errors import LakeLocked
from forecastle.lake import Lake, query
from forecastle.lake.journal import Journal
from lake_model import KEY, Ticking, hours, prices
from lake_victims import read_for_ever, write_in_turns
from lake_writers import other_process
from making import NOW

Tally = Callable[..., None]
READERS = 8
PAIR = (10, 300)
"""Two hours in two years, so in two files: every commit gives both the same price."""


def _both(price: float) -> dict[int, float]:
    return dict.fromkeys(PAIR, price)


def _writes(rounds: int) -> int:
    return min(rounds, 200)


def test_eight_processes_that_read_see_whole_commits(tmp_path: Path, rounds: int, tally: Tally) -> None:
    lake = Lake(tmp_path, Ticking())
    lake.write(hours(_both(1.0)))
    with ExitStack() as stack:
        pipes = [stack.enter_context(other_process(read_for_ever, tmp_path, PAIR))[1] for _ in range(READERS)]
        for pipe in pipes:
            assert pipe.recv() == "begun"
        for price in range(2, _writes(rounds) + 2):
            lake.write(hours(_both(float(price))))
        for pipe in pipes:
            pipe.send("enough")
        seen = [pipe.recv() for pipe in pipes]
    for prices_seen in seen:
        assert all(len(pair) == 2 and pair[0] == pair[1] for pair in prices_seen), "half a commit"
        firsts = [pair[0] for pair in prices_seen]
        assert firsts == sorted(firsts), "an older commit after a newer one"
        assert firsts[-1] == _writes(rounds) + 1.0
    assert sum(len(set(map(tuple, one))) for one in seen) > 20, "they have to have read while it was written"
    tally("reads by eight processes while another writes", sum(map(len, seen)))


def test_eight_threads_that_share_one_lake_see_whole_commits(tmp_path: Path, rounds: int, tally: Tally) -> None:
    writer, shared = (Lake(tmp_path, Ticking()) for _ in range(2))
    writer.write(hours(_both(1.0)))
    enough = threading.Event()
    seen: list[list[list[float]]] = [[] for _ in range(READERS)]

    def read(mine: list[list[float]]) -> None:
        while not enough.is_set():
            mine.append(list(prices(shared).values()))

    threads = [threading.Thread(target=read, args=(mine,)) for mine in seen]
    for thread in threads:
        thread.start()
    for price in range(2, _writes(rounds) + 2):
        writer.write(hours(_both(float(price))))
    enough.set()
    for thread in threads:
        thread.join()
    for mine in seen:
        assert all(len(pair) == 2 and pair[0] == pair[1] for pair in mine)
        assert mine == sorted(mine)
    tally("reads by eight threads while another writes", sum(map(len, seen)))


def test_two_writers_take_turns_or_are_refused_and_lose_nothing(tmp_path: Path, tally: Tally) -> None:
    lake = Lake(tmp_path, Ticking())
    with other_process(write_in_turns, tmp_path, 0, 60) as (first, one), other_process(
        write_in_turns, tmp_path, 1000, 60
    ) as (second, other):  # fmt: skip
        told = [one.recv(), other.recv()]
        names = [str(second.pid), str(first.pid)]
    for refused, holder in zip(told, names, strict=True):
        assert set(refused) <= {holder, "it has not yet signed"}
        tally("writes refused while another wrote, with the name of who wrote", refused.count(holder))
    assert any(holder in refused for refused, holder in zip(told, names, strict=True))
    expected = {hour: 1.0 for begin in (0, 1000) for hour in range(begin, begin + 60)}
    assert prices(lake) == expected
    assert list(range(1, 121)) == [c.number for c, _ in _commits(tmp_path)]
    assert lake.verify() == []


def _commits(root: Path) -> list[tuple[Any, bytes]]:
    return Journal(root).commits()


def test_a_writer_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    lake, other = Lake(tmp_path, Ticking()), Lake(tmp_path, Ticking())
    with lake._writer.writing(KEY.folder), pytest.raises(LakeLocked, match=f"process {os.getpid()}"):
        other.write(hours({0: 1.0}))
    assert other.write(hours({0: 1.0})).added == 1


@pytest.fixture
def host_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


ZONES = ["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "Australia/Lord_Howe", "Europe/Dublin"]
CHANGES = [
    datetime(2024, 3, 10, 7, tzinfo=UTC), datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 4, 6, 15, tzinfo=UTC),
    datetime(2024, 10, 27, 1, tzinfo=UTC), datetime(2024, 11, 3, 6, tzinfo=UTC),
]  # fmt: skip
"""The instants at which New York, Dublin and Lord Howe change their clocks."""


def test_the_zone_of_the_host_changes_nothing(tmp_path: Path, host_zone: Callable[[str], None], tally: Tally) -> None:
    files = set()
    for zone in ZONES:
        host_zone(zone)
        clock = Ticking(CHANGES[0] - timedelta(seconds=3))
        lake = Lake(tmp_path / zone, clock)
        held: list[tuple[datetime, dict[int, float]]] = []
        for change in CHANGES:
            for seconds in range(-2, 3):
                clock.at = change + timedelta(minutes=30 * seconds)
                price = float(len(held) + 1)
                first = int((change - datetime(2023, 12, 25, tzinfo=UTC)).total_seconds() // 3600)
                lake.write(hours({h: price + h for h in range(first - 3, first + 3)}))
                held.append((clock.now(), prices(lake)))
                tally("writes around a change of clocks, in six host time zones")
        for other in ZONES:
            host_zone(other)
            reader = Lake(tmp_path / zone, clock)
            assert [prices(reader, moment.astimezone(ZoneInfo(other))) for moment, _ in held] == [p for _, p in held]
            text = query(reader, "SELECT min(open_time)::VARCHAR t FROM candles").item()
            assert text == "2024-03-10 04:00:00+00"
        files.add(tuple(sorted(p.name for p in (tmp_path / zone).rglob("*.parquet"))))
    assert len(files) == 1, "the same bytes wherever the machine stands"


def test_a_clock_that_jumps_never_turns_the_past_round(tmp_path: Path, rounds: int, tally: Tally) -> None:
    draw, clock = Random(11), Ticking()
    lake, held = Lake(tmp_path, clock), []
    for number in range(rounds):
        clock.at = NOW + timedelta(seconds=draw.randrange(-(10**7), 10**7))
        lake.write(hours({draw.randrange(50): float(number + 1)}))
        held.append((_commits(tmp_path)[-1][0].at, prices(lake)))
        tally("commits under a clock that jumps to and fro")
    moments = [moment for moment, _ in held]
    assert moments == sorted(moments)
    last_at = dict(held)  # commits that bear one time are seen together
    for moment, then in last_at.items():
        assert prices(lake, moment) == then
