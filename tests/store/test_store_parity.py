"""Offline and online are the same numbers with the same time: SQLite, and a real Redis."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from forecastle.app.build_features import build_table, rebuild_table
from forecastle.app.materialize import build_and_materialize, materialize
from forecastle.app.online_features import OnlineFeatures, as_of_features
from forecastle.errors import ConfigurationError, DataMissing, DefinitionChanged, NameUnknown, UpstreamError
from forecastle.features._families import families
from forecastle.features.feast import FeastStore, StorePlace, columns, definitions
from forecastle.nouns import Instrument
from forecastle.requests import FeaturesRequest, build
from forecastle.workspace import Workspace
from making import NOW, make_candles, with_close
from store.conftest import BARS, RedisServer, eth_days, opened, request_for

ETH, BTC = Instrument.parse("ETH-USDT"), Instrument.parse("BTC-USDT")
ROOT = Path(__file__).parents[2]


def _last(workspace: Workspace, instrument: Instrument) -> dict[str, Any]:
    return workspace.features.last_row(instrument.id, "1d")[1].row(0, named=True)


@pytest.mark.enable_socket
def test_every_feature_is_the_same_offline_and_online(workspace_of_each: Workspace) -> None:
    workspace = workspace_of_each
    found = materialize(workspace)
    assert [(m.instrument, m.checked, m.written_again) for m in found] == [(BTC, 139, False), (ETH, 139, False)]
    online = OnlineFeatures(workspace)
    for instrument in (ETH, BTC):
        row, reading = _last(workspace, instrument), online.read(instrument, "1d")
        assert reading.served_from == "online"
        assert (reading.known_at, reading.source) == (row["known_at"], "test")
        assert set(reading.values) == set(columns())
        for name in columns():
            assert reading.values[name] == row[name], name
    eth = online.read(ETH, "1d").values
    for name in ("mvrv", "mvrv_z", "nvt_signal_90", "realized_cap", "percent_b_20_2", "ichimoku_9_26_52.conversion",
                 "ichimoku_9_26_52.span_a", "ichimoku_9_26_52.span_b_ahead", "beta_60", "fear_greed"):  # fmt: skip
        assert eth[name] is not None, name
    assert online.read(BTC, "1d", ["beta_60"]).values == {"beta_60": None}, "null stays null"


@pytest.mark.enable_socket
def test_what_comes_later_is_brought_and_what_was_revised_is_brought_again(workspace_of_each: Workspace) -> None:
    workspace = workspace_of_each
    materialize(workspace)
    workspace.lake.write(eth_days(BARS + 3))
    (found,) = build_and_materialize(workspace, request_for("ETH-USDT"))
    assert found.built is not None
    assert (found.built.state, found.written_again) == ("appended", False)
    online = OnlineFeatures(workspace)
    assert online.read(ETH, "1d").known_at == _last(workspace, ETH)["known_at"]
    # the last bar is revised: same moment, other values
    before = online.read(ETH, "1d", ["rsi_14"]).values["rsi_14"]
    workspace.lake.write(with_close(eth_days(BARS + 3), BARS + 2, 1.2))
    (again,) = build_and_materialize(workspace, request_for("ETH-USDT"))
    assert again.built is not None
    assert again.built.state == "computed anew"
    after = OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"]).values["rsi_14"]
    assert after == _last(workspace, ETH)["rsi_14"]
    assert after != before


@pytest.mark.enable_socket
def test_an_instrument_that_ended_earlier_is_brought_too(workspace_of_each: Workspace) -> None:
    """Feast remembers one moment a view: a table that ends before it would never be brought."""
    workspace = workspace_of_each
    materialize(workspace, [("BTC-USDT", "1d")])
    workspace.lake.write(make_candles(300, instrument="SOL-USDT", seed=9))
    build_and_materialize(workspace, request_for("SOL-USDT"))
    reading = OnlineFeatures(workspace).read(Instrument.parse("SOL-USDT"), "1d", ["rsi_14"])
    assert (reading.served_from, reading.values["rsi_14"]) == ("online", _last(workspace, reading.instrument)["rsi_14"])


# --- point in time


def test_a_join_sees_what_was_known_and_no_later_correction(own_home: Path) -> None:
    workspace = opened(own_home)
    before = workspace.features.read("ETH-USDT", "1d").current()
    workspace.lake.write(with_close(eth_days(BARS), 250, 1.3))
    later = opened(own_home, at=NOW + timedelta(days=2))
    assert build_table(later, request_for("ETH-USDT")).state == "computed anew"
    materialize(later)
    table = later.features.read("ETH-USDT", "1d")
    moments = [before["known_at"][260] + timedelta(hours=5), before["known_at"][100], before["known_at"][0]]
    rows = pl.DataFrame({"instrument": ["ETH-USDT"] * 3, "event_timestamp": moments})
    joined = as_of_features(later, rows, "1d", ["rsi_14", "sma_20"]).sort("event_timestamp", descending=True)
    assert joined["rsi_14"].to_list() == [before["rsi_14"][260], before["rsi_14"][100], None]
    corrected = table.current().filter(pl.col("known_at") == before["known_at"][260])["rsi_14"][0]
    assert corrected != before["rsi_14"][260]
    after_all = pl.DataFrame({"instrument": ["ETH-USDT"], "event_timestamp": [NOW + timedelta(days=3)]})
    assert as_of_features(later, after_all, "1d", ["rsi_14"])["rsi_14"][0] == table.current()["rsi_14"][-1]
    # the same question without the filter gives the correction away: that is why it cannot be left out
    leaked = _without_filter(later, rows.head(1))
    assert leaked == corrected


def _without_filter(workspace: Workspace, rows: pl.DataFrame) -> float:
    import warnings

    store = FeastStore(StorePlace(workspace.settings.store_folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dask's, about pandas
        job = store._store.get_historical_features(entity_df=rows.to_pandas(), features=["features_1d:rsi_14"])
        return float(job.to_df()["rsi_14"].iloc[0])


# --- a store that is down


@pytest.mark.enable_socket
def test_a_store_that_stops_is_named_and_offline_values_are_served(own_home: Path, redis_server: RedisServer) -> None:
    workspace = opened(own_home, redis_server.url)
    materialize(workspace)
    online = OnlineFeatures(workspace)
    assert online.read(ETH, "1d", ["rsi_14"]).served_from == "online"
    redis_server.stop()
    down = online.read(ETH, "1d", ["rsi_14"])
    assert down.served_from == "offline"
    assert down.values["rsi_14"] == _last(workspace, ETH)["rsi_14"]
    assert f"redis://127.0.0.1:{redis_server.port} does not answer" in down.note
    with pytest.raises(UpstreamError, match="does not answer") as caught:
        materialize(workspace)
    assert caught.value.exit_code == 5
    redis_server.start()  # empty, as after a loss of memory
    assert "Nothing of it is online" in online.read(ETH, "1d", ["rsi_14"]).note
    materialize(workspace)
    assert online.read(ETH, "1d", ["rsi_14"]).served_from == "online"


@pytest.mark.enable_socket
def test_a_server_that_never_answers_is_given_up_on(own_home: Path) -> None:
    """It takes the connection and says nothing: two waits of a tenth of a second, and no repeats."""
    asked: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def take() -> None:
            while True:
                try:
                    held.append(silent.accept()[0])
                except OSError:
                    return
                asked.append(time.monotonic())

        held: list[socket.socket] = []
        taker = threading.Thread(target=take, daemon=True)
        taker.start()
        materialize(opened(own_home))
        workspace = opened(own_home, f"redis://127.0.0.1:{silent.getsockname()[1]}")
        reading = OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"])
        silent.shutdown(socket.SHUT_RDWR)
        taker.join(5)
    for connection in held:
        connection.close()
    assert "does not answer" in reading.note
    assert reading.served_from == "offline"
    assert len(asked) == 1, "it was asked once, without repeats"


@pytest.mark.enable_socket
def test_a_wrong_password_is_told_without_it(own_home: Path, tmp_path: Path) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path, "right")
    server.start()
    try:
        materialize(opened(own_home))
        workspace = opened(own_home, server.url.replace("right", "wr0ng"))
        reading = OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"])
        assert reading.served_from == "offline"
        assert "does not answer" in reading.note
        assert "wr0ng" not in reading.note
        assert materialize(opened(own_home, server.url))[0].checked == 139
    finally:
        server.stop()


def test_a_read_makes_nothing(own_home: Path) -> None:
    workspace = opened(own_home)
    reading = OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"])
    assert reading.served_from == "offline"
    assert "features materialize ETH-USDT" in reading.note
    assert not workspace.settings.store_folder.exists()


# --- what is refused


def test_a_changed_definition_is_refused_before_anything_is_written(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = opened(own_home)
    table = dict(families())
    monkeypatch.setitem(table, "rsi", replace(table["rsi"], formula="something else"))
    monkeypatch.setattr("forecastle.features._families.families", lambda: table)
    with pytest.raises(DefinitionChanged, match="ETH-USDT"):
        materialize(workspace, [("ETH-USDT", "1d")])
    assert not (own_home / "store" / "online.db").exists()
    with pytest.raises(DefinitionChanged):
        OnlineFeatures(workspace).read(ETH, "1d", ["rsi_14"])


def test_tables_that_cannot_be_served_are_told(own_home: Path) -> None:
    workspace = opened(own_home)
    with pytest.raises(DataMissing, match="no table"):
        materialize(workspace, [("SOL-USDT", "1d")])
    rebuild_table(workspace, build(FeaturesRequest, instrument="BTC-USDT", names="rsi_14"))
    with pytest.raises(DataMissing, match="features of its own") as caught:
        materialize(workspace, [("BTC-USDT", "1d")])
    assert "--rebuild" in caught.value.hint
    assert [m.instrument for m in materialize(workspace)] == [ETH], "the others are served all the same"
    with pytest.raises(DataMissing, match="no feature table"):
        materialize(opened(own_home.parent / "empty"))
    with pytest.raises(NameUnknown, match="feature column"):
        OnlineFeatures(workspace).read(ETH, "1d", ["rsi_15"])
    with pytest.raises(DataMissing):
        OnlineFeatures(workspace).read(Instrument.parse("SOL-USDT"), "1d", ["rsi_14"])


@pytest.mark.parametrize(
    "address",
    ["localhost:6379", "http://x", "redis://", "redis://:6379", "redis://h:63x9", "redis://h:99999", "redis://h:0",
     "redis://h:6379:6380", "redis://[::1", "redis://h/db", "redis://h 1"],
)  # fmt: skip
def test_an_address_that_is_none_is_a_fault_of_the_settings(own_home: Path, address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"store\.online") as caught:
        opened(own_home, address)
    assert caught.value.exit_code == 3
    assert "FORECASTLE__STORE__ONLINE" in caught.value.what
    assert "@host:6379/0" in caught.value.why


@pytest.mark.parametrize(
    "address", ["redis://h", "rediss://user:p%40ss@h.example:1/3", "redis://[::1]:6379/", "redis://:p@h"]
)
def test_an_address_that_is_one_is_taken(own_home: Path, address: str) -> None:
    assert opened(own_home, address).settings.store.online == address


@pytest.mark.parametrize("address", ["redis://me:s3cret@h:63x9", "redis://me:63/s3cret@h", "redis://me:s3/cret@h"])
def test_a_wrong_address_is_told_without_its_password(own_home: Path, address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        opened(own_home, address)
    assert "s3" not in str(caught.value)


# --- as a Feast repository


def test_feast_itself_applies_what_is_committed(own_home: Path, tmp_path: Path) -> None:
    """``feast apply`` in deploy/feast registers the views that the program uses."""
    materialize(opened(own_home))
    repo = Path(shutil.copytree(ROOT / "deploy" / "feast", tmp_path / "repo"))
    script = (
        "import sys, warnings; warnings.simplefilter('ignore'); from feast.cli.cli import cli; "
        "sys.argv = ['feast', 'apply']; cli()"
    )
    environment = {**os.environ, "FORECASTLE_HOME": str(own_home), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=repo, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    store = FeastStore(StorePlace(own_home / "store"))._store
    ours = {d.name: d for d in definitions(str(own_home / "store" / "offline")) if type(d).__name__ == "FeatureView"}
    theirs = {view.name: view for view in store.list_feature_views()}
    assert set(theirs) == set(ours)
    for name, view in ours.items():
        fields = [{(f.name, f.dtype) for f in v.schema} for v in (theirs[name], view)]  # Feast keeps no order
        assert fields[0] - {f for f in fields[0] if f[0] == "instrument"} == fields[1], name
        assert theirs[name].ttl == view.ttl
        assert theirs[name].batch_source.path == view.batch_source.path
        assert theirs[name].batch_source.created_timestamp_column == "created_at"
    assert OnlineFeatures(opened(own_home)).read(ETH, "1d", ["rsi_14"]).served_from == "online"


def test_freshness_is_told(own_home: Path) -> None:
    workspace = opened(own_home)
    materialize(workspace)
    workspace.lake.write(eth_days(BARS + 2))
    build_table(workspace, request_for("ETH-USDT"))
    online = OnlineFeatures(workspace)
    reading = online.beside_table(online.read(ETH, "1d", ["rsi_14"]))
    assert reading.served_from == "online"
    assert reading.known_at == datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=BARS)
    assert "The table goes on to" in reading.note
    assert reading.source == "test"
