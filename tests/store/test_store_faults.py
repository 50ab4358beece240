"""The online store beside other processes, in other zones, damaged, and with values of another origin."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from forecastle.app.build_features import build_table, rebuild_table
from forecastle.app.materialize import materialize
from forecastle.app.online_features import OnlineFeatures, as_of_features
from forecastle.errors import DataCorrupt, DataMissing, DefinitionChanged, LakeLocked, UpstreamError
from forecastle.features import _families
from forecastle.features.feast import FeastStore, StorePlace, definitions_today
from forecastle.nouns import Instrument
from forecastle.nouns.feature_frame import MARKS
from forecastle.requests import FeaturesRequest, build
from forecastle.sources.simulated import Simulated
from forecastle.workspace import Workspace
from making import make_candles
from store.conftest import BARS, RedisServer, eth_days, opened, request_for

ETH, BTC = Instrument.parse("ETH-USDT"), Instrument.parse("BTC-USDT")
LOCKER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""
SLOW = """
import sys
from pathlib import Path
from feast.infra.online_stores.sqlite import SqliteOnlineStore
from forecastle.app.materialize import materialize
from forecastle.workspace import Workspace
write = SqliteOnlineStore.online_write_batch
def waits(*words, **named):
    print("bringing", file=sys.__stdout__, flush=True)
    sys.stdin.readline()
    write(*words, **named)
SqliteOnlineStore.online_write_batch = waits
materialize(Workspace.open(Path(sys.argv[1])))
"""


@contextmanager
def _other(script: str, word: Path, sign: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script in another process up to the moment it gives its sign; kill it at the end."""
    words = [sys.executable, "-W", "ignore", "-c", script, str(word)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == sign
            yield process
        finally:
            process.kill()


def _state(home: Path) -> str:
    view = FeastStore(StorePlace(home / "store"))._store.get_feature_view("features_1d")
    return str(view.state.name)


# --- beside other processes


def test_a_file_that_another_process_locks_is_named_and_the_table_is_served(own_home: Path) -> None:
    workspace = opened(own_home)
    materialize(workspace)
    online = OnlineFeatures(workspace)
    assert online.read(ETH, "1d", ["rsi_14"]).served_from == "online"
    with _other(LOCKER, own_home / "store" / "online.db", "held"):
        before = time.monotonic()
        reading = online.read(ETH, "1d", ["rsi_14"])
        assert time.monotonic() - before < 2, "SQLite itself would wait for 5 s"
        assert reading.served_from == "offline"
        assert "online.db does not answer. database is locked." in reading.note
        with pytest.raises(UpstreamError, match="does not answer"):
            materialize(workspace)
    assert online.read(ETH, "1d", ["rsi_14"]).served_from == "online"


def test_a_read_while_another_process_brings_values_is_served(own_home: Path) -> None:
    workspace = opened(own_home)
    materialize(workspace)
    workspace.lake.write(eth_days(BARS + 3))
    build_table(workspace, request_for("ETH-USDT"))
    first, last = (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=days) for days in (BARS, BARS + 3))
    with _other(SLOW, own_home, "bringing") as process:
        assert _state(own_home) == "MATERIALIZING", "Feast's own read raises ValueError now"
        reading = OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"])
        assert (reading.served_from, reading.known_at, reading.note) == ("online", first, "")
        with pytest.raises(LakeLocked, match=str(process.pid)):
            materialize(workspace)
    assert _state(own_home) == "MATERIALIZING", "it was killed, and has left this behind"
    assert materialize(workspace)[1].known_at == last
    assert OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"]).known_at == last


# --- damaged


@pytest.mark.parametrize("damage", ["torn", "other"])
def test_a_registry_that_is_none_is_told_and_reads_do_not_need_it(own_home: Path, damage: str) -> None:
    workspace = opened(own_home)
    materialize(workspace)
    registry = own_home / "store" / "registry.db"
    content = registry.read_bytes()
    registry.write_bytes(content[: len(content) // 2] if damage == "torn" else b"not what Feast writes")
    assert OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"]).served_from == "online"
    rows = pl.DataFrame({"instrument": ["ETH-USDT"], "event_timestamp": [datetime(2024, 9, 1, tzinfo=UTC)]})
    assert as_of_features(workspace, rows, "1d", ["rsi_14"])["rsi_14"].null_count() == 0
    with pytest.raises(DataCorrupt) as caught:
        materialize(workspace)
    assert caught.value.exit_code == 4
    assert str(registry) in caught.value.what
    assert "Delete it and run: forecastle features materialize" in caught.value.hint
    registry.unlink()
    assert [m.checked for m in materialize(workspace)] == [139, 139]


def test_a_file_of_values_that_is_no_database_is_told(own_home: Path) -> None:
    workspace = opened(own_home)
    materialize(workspace)
    values = own_home / "store" / "online.db"
    values.write_bytes(b"not a database" * 1000)
    reading = OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"])
    assert reading.served_from == "offline"
    assert f"{values} is not what the feature store wrote." in reading.note
    with pytest.raises(DataCorrupt, match=r"online\.db") as caught:
        materialize(workspace)
    assert "Delete it" in caught.value.hint
    values.unlink()
    assert [m.checked for m in materialize(workspace)] == [139, 139]


def test_a_timeframe_that_was_never_brought_is_no_fault_of_the_store(own_home: Path) -> None:
    workspace = opened(own_home)
    materialize(workspace)
    workspace.lake.write(make_candles(300, instrument="ETH-USDT", timeframe="4h"))
    build_table(workspace, build(FeaturesRequest, instrument="ETH-USDT", timeframe="4h"))
    reading = OnlineFeatures(workspace).read(ETH, "4h", ["rsi_14"])
    assert reading.served_from == "offline"
    assert "Nothing of it is online" in reading.note
    assert "materialize ETH-USDT --timeframe 4h" in reading.note


# --- where it comes from


@pytest.mark.enable_socket
def test_what_was_made_up_says_so_online(workspace_of_each: Workspace) -> None:
    workspace = workspace_of_each
    sol = Instrument.parse("SOL-USDT")
    workspace.lake.write(Simulated().fetch(sol, "1d", None, None))
    build_table(workspace, request_for("SOL-USDT"))
    assert [m.instrument for m in materialize(workspace, source="test")] == [BTC, ETH]
    assert [m.instrument for m in materialize(workspace, source="simulated")] == [sol]
    reading = OnlineFeatures(workspace).read(sol, "1d", ["rsi_14"])
    assert (reading.served_from, reading.source, reading.simulated) == ("online", "simulated", True)
    assert not OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"]).simulated


@pytest.mark.enable_socket
def test_values_of_another_source_are_not_served_for_it(workspace_of_each: Workspace) -> None:
    workspace = workspace_of_each
    materialize(workspace)
    online = OnlineFeatures(workspace)
    assert online.read(ETH, "1d", ["rsi_14"], "test").served_from == "online"
    with pytest.raises(DataMissing, match="no 1d features of ETH-USDT from kraken") as caught:
        online.read(ETH, "1d", ["rsi_14"], "kraken")
    assert "--source kraken --rebuild" in caught.value.hint
    with pytest.raises(DataMissing, match="from kraken"):
        materialize(workspace, [("ETH-USDT", "1d")], "kraken")
    with pytest.raises(DataMissing, match="no feature table of kraken"):
        materialize(workspace, source="kraken")
    with pytest.raises(DataMissing, match="no feature table of 4h"):
        materialize(workspace, timeframe="4h")
    workspace.lake.write(replace(make_candles(BARS, instrument="ETH-USDT", seed=8), source="kraken"))
    rebuild_table(workspace, build(FeaturesRequest, instrument="ETH-USDT", source="kraken"))
    old = online.read(ETH, "1d", ["rsi_14"])
    assert (old.served_from, old.source) == ("online", "test"), "as it was brought"
    assert "The table is of kraken by now, what is online of test" in online.beside_table(old).note
    new = online.read(ETH, "1d", ["rsi_14"], "kraken")
    assert (new.served_from, new.source) == ("offline", "kraken")
    assert "Its values are of test, not of kraken" in new.note
    materialize(workspace, [("ETH-USDT", "1d")], "kraken")
    assert online.read(ETH, "1d", ["rsi_14"], "kraken").served_from == "online"


@pytest.fixture
def other_definitions(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Give what changes a definition, as a new version of the program does."""
    with monkeypatch.context() as patch:
        yield patch
    for cached in (_families.catalogue, definitions_today):
        cached.cache_clear()


@pytest.mark.enable_socket
def test_values_of_other_definitions_are_not_served(
    workspace_of_each: Workspace, other_definitions: pytest.MonkeyPatch
) -> None:
    workspace = workspace_of_each
    materialize(workspace)
    assert OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"]).served_from == "online"
    changed = {**_families.families(), "rsi": replace(_families.families()["rsi"], formula="something else")}
    other_definitions.setattr("forecastle.features._families.families", lambda: changed)
    for cached in (_families.catalogue, definitions_today):
        cached.cache_clear()
    with pytest.raises(DefinitionChanged, match="ETH-USDT"):
        OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"])
    rebuild_table(workspace, request_for("ETH-USDT"))
    reading = OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"])
    assert reading.served_from == "offline"
    assert "Its values were computed under other definitions" in reading.note
    materialize(workspace, [("ETH-USDT", "1d")])
    assert OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"]).served_from == "online"


@pytest.mark.enable_socket
def test_a_home_reads_what_another_brought_to_their_server(own_home: Path, redis_server: RedisServer) -> None:
    here, there = opened(own_home, redis_server.url), opened(own_home.parent / "there", redis_server.url)
    materialize(here)
    reading = OnlineFeatures(there).read(ETH, "1d", ["rsi_14"])
    assert (reading.served_from, reading.source) == ("online", "test")
    with pytest.raises(DataMissing):
        OnlineFeatures(there).read(Instrument.parse("SOL-USDT"), "1d", ["rsi_14"])


def test_a_table_from_before_rows_said_their_origin_is_brought(own_home: Path) -> None:
    workspace = opened(own_home)
    path = own_home / "processed" / "features" / "ETH-USDT" / "1d.parquet"
    table = pq.read_table(path)
    assert table.column_names[-2:] == list(MARKS)
    assert table["source"].unique().to_pylist() == ["test"]
    pq.write_table(table.drop_columns(list(MARKS)), path)
    before = workspace.features.read("ETH-USDT", "1d")
    assert [m.written_again for m in materialize(workspace)] == [False, False]
    after = workspace.features.read("ETH-USDT", "1d")
    assert after.meta == before.meta
    assert after.frame.equals(before.frame)
    assert not set(MARKS) & set(after.frame.columns)


# --- zones


READER = """
import sys
from pathlib import Path
from forecastle.app.materialize import materialize
from forecastle.app.online_features import OnlineFeatures
from forecastle.nouns import Instrument
from forecastle.workspace import Workspace
workspace = Workspace.open(Path(sys.argv[1]))
if sys.argv[2] == "bring":
    materialize(workspace)
reading = OnlineFeatures(workspace).read(Instrument.parse("ETH-USDT"), "1d", ["rsi_14"])
print(reading.served_from, reading.known_at.isoformat())
"""


def _in_zone(zone: str, home: Path, what: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READER, str(home), what], env={**os.environ, "TZ": zone},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Seoul"])
def test_who_reads_in_another_zone_than_who_wrote_sees_the_same_moment(own_home: Path, zone: str) -> None:
    workspace = opened(own_home)
    materialize(workspace)
    known = OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"]).known_at
    assert known == datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=BARS)
    assert _in_zone(zone, own_home, "read") == f"online {known.isoformat()}"
    (own_home / "store" / "online.db").unlink()
    assert _in_zone(zone, own_home, "bring") == f"online {known.isoformat()}"
    assert OnlineFeatures(opened(own_home)).read(ETH, "1d", ["rsi_14"]).known_at == known


def test_an_hour_that_a_zone_skips_is_an_hour_like_others(tmp_path: Path) -> None:
    """In Santiago 8 September 2024 began at one o'clock: 00:00 without a zone is no time there."""
    home = tmp_path / "home"
    workspace = opened(home)
    workspace.lake.write(eth_days(251))
    build_table(workspace, request_for("ETH-USDT"))
    assert _in_zone("America/Santiago", home, "bring") == "online 2024-09-08T00:00:00+00:00"
    assert OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"]).known_at == datetime(2024, 9, 8, tzinfo=UTC)
