"""Feature tables: built, gone on with, made anew, kept, refused."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import forecastle
from features.feature_series import METRICS, observations
from forecastle.app.build_features import (
    build_table,
    load_features,
    read_table,
    rebuild_table,
)
from forecastle.app.look import sql
from forecastle.clock import FixedClock
from forecastle.errors import DataCorrupt, DataMissing, DefinitionChanged, LakeLocked, NameUnknown
from forecastle.features import catalogue, compute
from forecastle.features._families import families
from forecastle.lake.lock import writer_lock
from forecastle.nouns import Candles, FeatureFrame, History, Instrument
from forecastle.requests import FeaturesRequest, build
from forecastle.workspace import Workspace
from making import make_candles, with_close, without

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _request(instrument: str, **fields: object) -> FeaturesRequest:
    return build(FeaturesRequest, instrument=instrument, **fields)


ETH = _request("ETH-USDT")
SOME = _request("ETH-USDT", names="ema_20,rsi_14,obv,bollinger_20_2,adx_14")


def _eth(bars: int = 300) -> Candles:
    return make_candles(bars, instrument="ETH-USDT", seed=3)


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    """Return a lake with 300 days of a coin, its benchmark and on-chain metrics."""
    workspace.lake.write(_eth())
    workspace.lake.write(make_candles(300, instrument="BTC-USDT", seed=4))
    for number, name in enumerate(METRICS):
        workspace.lake.observe(observations(name, 330, seed=number))
    return workspace


def _close(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert one.columns == other.columns
    assert one["known_at"].equals(other["known_at"])
    for name in one.columns[1:]:
        assert (one[name].is_null() == other[name].is_null()).all(), name
        np.testing.assert_allclose(
            one[name].drop_nulls().to_numpy(), other[name].drop_nulls().to_numpy(), rtol=1e-9, atol=1e-11, err_msg=name
        )


def test_a_build_is_what_compute_says(filled: Workspace) -> None:
    built = build_table(filled, ETH)
    assert (built.state, built.added, built.rows) == ("built", 300, 300)
    assert built.path == filled.settings.home / "processed" / "features" / "ETH-USDT" / "1d.parquet"
    frame = read_table(filled, ETH)
    coin = Instrument.parse("ETH-USD")
    observed = tuple(filled.lake.read_observations(coin, name) for name in METRICS)
    history = History(_eth(), None, observed, (History(make_candles(300, instrument="BTC-USDT", seed=4)),))
    _close(frame.frame, compute(history.until(_eth().end)).frame)
    assert frame.fingerprint == built.fingerprint
    assert frame.specs == tuple(f.spec for f in catalogue())
    assert {"fear_greed", "vix"} <= set(built.short)
    assert "mvrv_z" not in built.short


def test_a_second_build_adds_nothing_and_writes_nothing(filled: Workspace) -> None:
    path = build_table(filled, ETH).path
    before = path.read_bytes(), path.stat().st_mtime_ns
    again = build_table(filled, ETH)
    assert (again.state, again.added, again.rows) == ("up to date", 0, 300)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("names", [None, "ema_20,rsi_14,obv,bollinger_20_2,adx_14"])
def test_appended_rows_are_those_of_a_whole_build(workspace: Workspace, home: Path, names: str | None) -> None:
    request = _request("ETH-USDT", names=names)
    longer, btc = _eth(420), make_candles(420, instrument="BTC-USDT", seed=4)
    metric = observations("mvrv", 500)
    for bars in (260, 261, 290, 291, 292, 420):
        workspace.lake.write(_part(longer, bars))
        workspace.lake.write(_part(btc, bars))
        end = _part(longer, bars).end
        workspace.lake.observe(replace(metric, frame=metric.frame.filter(pl.col("known_at") <= end)))
        built = build_table(workspace, request)
        assert built.state == ("built" if bars == 260 else "appended"), built.note
    stepwise = read_table(workspace, request)
    rebuild_table(workspace, request)
    _close(stepwise.frame, read_table(workspace, request).frame)
    created = workspace.features.read("ETH-USDT", "1d").frame
    assert created["created_at"].equals(created["known_at"].rename("created_at"))


def _part(candles: Candles, bars: int) -> Candles:
    return replace(candles, frame=candles.frame.head(bars))


def test_a_hole_before_the_appended_bar_begins_a_run(workspace: Workspace) -> None:
    candles = without(_eth(120), 80)
    workspace.lake.write(_part(candles, 80))
    build_table(workspace, SOME)
    workspace.lake.write(candles)
    assert build_table(workspace, SOME).state == "appended"
    stepwise = read_table(workspace, SOME).frame
    assert stepwise["ema_20"].slice(80, 19).null_count() == 19
    rebuild_table(workspace, SOME)
    _close(stepwise, read_table(workspace, SOME).frame)


def test_filled_bars_are_gone_on_with(workspace: Workspace) -> None:
    request = replace_request(SOME, fill=2)
    candles = without(_eth(120), 80, 81, 90)
    workspace.lake.write(_part(candles, 80))
    assert build_table(workspace, request).state == "built"
    for bars in (81, 89, 117):
        workspace.lake.write(_part(candles, bars))
        assert build_table(workspace, request).state == "appended"
    stepwise = read_table(workspace, request)
    assert stepwise.steps == ("forward_fill(2)",)
    assert len(stepwise) == 120
    rebuild_table(workspace, request)
    _close(stepwise.frame, read_table(workspace, request).frame)


def replace_request(request: FeaturesRequest, **fields: object) -> FeaturesRequest:
    return request.model_copy(update=fields)


# --- what was before has changed


def test_revised_candles_make_new_versions_and_keep_the_old(filled: Workspace, home: Path) -> None:
    build_table(filled, SOME)
    old = read_table(filled, SOME).frame
    filled.lake.write(with_close(_eth(), 250, 1.1))
    later = Workspace.open(home, FixedClock(NOW + timedelta(days=3)))
    built = build_table(later, SOME)
    assert built.state == "computed anew"
    assert "revised" in built.note
    assert (built.added, built.rows) == (0, 300)
    assert 40 <= built.revised <= 50  # row 250 and what follows
    new = read_table(later, SOME).frame
    assert new.head(250).equals(old.head(250))
    assert new["ema_20"][260] != old["ema_20"][260]
    _close(new, compute(with_close(_eth(), 250, 1.1), SOME.names).frame)
    # as it was known before the revision
    _close(read_table(later, SOME, NOW + timedelta(days=1)).frame, old)
    versions = filled.features.read("ETH-USDT", "1d").frame.filter(pl.col("known_at") == new["known_at"][260])
    assert versions["created_at"].to_list() == [new["known_at"][260], NOW + timedelta(days=3)]
    assert build_table(later, SOME).state == "up to date"


def test_a_benchmark_that_comes_later_is_computed_in(workspace: Workspace) -> None:
    workspace.lake.write(_eth())
    assert "BTC-USDT" in build_table(workspace, ETH).short["beta_60"]
    workspace.lake.write(make_candles(300, instrument="BTC-USDT", seed=4))
    built = build_table(workspace, ETH)
    assert built.state == "computed anew"
    assert "beta_60" not in built.short
    assert read_table(workspace, ETH).frame["beta_60"].null_count() == 60


def test_a_revised_observation_changes_only_rows_from_when_it_was_learned(filled: Workspace) -> None:
    build_table(filled, ETH)
    before = read_table(filled, ETH).frame
    late = observations("mvrv", 330, seed=METRICS.index("mvrv"))
    moment = before["known_at"][200]
    changed = late.frame.filter(pl.col("about") == moment - timedelta(days=4)).tail(1).with_columns(
        known_at=pl.lit(moment).cast(pl.Datetime("us", "UTC")), value=pl.col("value") * 3
    )  # fmt: skip
    filled.lake.observe(replace(late, frame=changed))
    built = build_table(filled, ETH)
    assert built.state == "computed anew"
    after = read_table(filled, ETH).frame
    assert after["mvrv"].head(200).equals(before["mvrv"].head(200))


# --- what is refused


def test_a_definition_that_changed_is_refused_and_nothing_is_lost(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build_table(filled, SOME).path
    kept = path.read_bytes()
    table = dict(families())
    monkeypatch.setitem(table, "rsi", replace(table["rsi"], formula="something else"))
    monkeypatch.setattr("forecastle.features._families.families", lambda: table)
    for ask in (lambda: build_table(filled, SOME), lambda: read_table(filled, SOME)):
        with pytest.raises(DefinitionChanged, match="another one") as caught:
            ask()
        assert "rsi_14" in caught.value.why
        assert "--rebuild" in caught.value.hint
        assert caught.value.exit_code == 6
    assert path.read_bytes() == kept
    rebuilt = rebuild_table(filled, SOME)
    assert rebuilt.state == "built"
    aside = list((path.parent / "superseded").iterdir())
    assert [p.read_bytes() for p in aside] == [kept]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (_request("ETH-USDT", names="ema_20"), "rsi_14"),
        (replace_request(SOME, fill=3), "no step"),
    ],
)
def test_another_table_in_its_place_is_refused(filled: Workspace, other: FeaturesRequest, why: str) -> None:
    build_table(filled, SOME)
    with pytest.raises(DefinitionChanged) as caught:
        build_table(filled, other)
    assert why in caught.value.why


def test_another_source_is_refused(filled: Workspace) -> None:
    build_table(filled, SOME)
    filled.lake.write(replace(_eth(), source="kraken"))
    with pytest.raises(DefinitionChanged) as caught:
        build_table(filled, replace_request(SOME, source="kraken"))
    assert "kraken" in caught.value.why


def test_inputs_asked_for_by_name_have_to_be_there(workspace: Workspace) -> None:
    workspace.lake.write(_eth())
    with pytest.raises(DataMissing, match="nvt of ETH-USDT"):
        build_table(workspace, _request("ETH-USDT", names="nvt"))
    with pytest.raises(NameUnknown, match="no feature named 'rsi14'"):
        build_table(workspace, _request("ETH-USDT", names="rsi14"))
    with pytest.raises(DataMissing, match="holds no 1d candles"):
        build_table(workspace, _request("SOL-USDT"))
    with pytest.raises(DataMissing, match="no table") as caught:
        read_table(workspace, ETH)
    assert "forecastle features build ETH-USDT" in caught.value.hint


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_table_is_told_and_can_be_rebuilt(filled: Workspace, damage: str) -> None:
    path = build_table(filled, SOME).path
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[len(content) // 3] ^= 0x40
    elif damage == "empty":
        content = bytearray()
    else:
        pl.DataFrame({"x": [1.0]}).write_parquet(path)
        content = bytearray(path.read_bytes())
    path.write_bytes(content)
    with pytest.raises(DataCorrupt, match="not a feature table") as caught:
        read_table(filled, SOME)
    assert "--rebuild" in caught.value.hint
    assert rebuild_table(filled, SOME).state == "built"
    assert len(read_table(filled, SOME)) == 300


def test_one_writer_at_a_time(filled: Workspace) -> None:
    build_table(filled, SOME)
    with (
        writer_lock(filled.features.root, FixedClock(NOW), Path("x")),
        pytest.raises(LakeLocked, match="Another process"),
    ):
        build_table(filled, SOME)


def test_a_disk_that_fails_leaves_the_old_table(filled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build_table(filled, SOME).path
    kept = path.read_bytes()
    filled.lake.write(_eth(310))

    def full(handle: int, content: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Exception, match="no room"):
        build_table(filled, SOME)
    monkeypatch.undo()
    assert path.read_bytes() == kept
    assert [p.name for p in path.parent.iterdir()] == ["1d.parquet"]
    assert build_table(filled, SOME).added == 10


# --- minutes: a folder of months


def test_minutes_are_kept_by_the_month(workspace: Workspace) -> None:
    minutes = make_candles(60 * 24 * 12, timeframe="5m", instrument="ETH-USDT", start="2024-01-15")
    request = replace_request(SOME, timeframe="5m")
    workspace.lake.write(_part(minutes, 8000))
    folder = build_table(workspace, request).path
    assert [p.name for p in sorted(folder.iterdir())] == ["2024-01.parquet", "2024-02.parquet"]
    january = (folder / "2024-01.parquet").stat().st_mtime_ns
    workspace.lake.write(minutes)
    built = build_table(workspace, request)
    assert (built.state, built.rows) == ("appended", len(minutes))
    assert (folder / "2024-01.parquet").stat().st_mtime_ns == january, "what is over is not written again"
    stepwise = read_table(workspace, request)
    rebuild_table(workspace, request)
    _close(stepwise.frame, read_table(workspace, request).frame)


def test_a_build_that_was_stopped_between_two_months_is_made_whole(workspace: Workspace) -> None:
    minutes = make_candles(60 * 24 * 12, timeframe="5m", instrument="ETH-USDT", start="2024-01-15")
    request = replace_request(SOME, timeframe="5m")
    workspace.lake.write(minutes)
    folder = build_table(workspace, request).path
    whole = read_table(workspace, request).frame
    (folder / "2024-03.parquet").unlink()  # its rows were not written; the state of the month before speaks of them
    built = build_table(workspace, request)
    assert built.added == whole.filter(pl.col("known_at") >= datetime(2024, 3, 1, tzinfo=UTC)).height
    _close(read_table(workspace, request).frame, whole)


def test_what_a_rebuild_replaces_is_kept_each_time(filled: Workspace) -> None:
    path = build_table(filled, SOME).path
    first = path.read_bytes()
    filled.lake.write(with_close(_eth(), 250, 1.1))
    build_table(filled, SOME)
    second = path.read_bytes()
    rebuild_table(filled, SOME)
    rebuild_table(filled, replace_request(SOME, names=("ema_20",)))
    kept = sorted(p.read_bytes() for p in (path.parent / "superseded").iterdir())
    assert len(kept) == 2
    assert second in kept
    assert first not in kept, "it was gone on with, not replaced"
    assert len(read_table(filled, SOME).columns) == 1


def test_months_of_two_definitions_are_no_table(workspace: Workspace) -> None:
    minutes = make_candles(60 * 24 * 12, timeframe="5m", instrument="ETH-USDT", start="2024-01-15")
    request = replace_request(SOME, timeframe="5m")
    workspace.lake.write(minutes)
    folder = build_table(workspace, request).path
    kept = (folder / "2024-01.parquet").read_bytes()
    rebuild_table(workspace, replace_request(request, names=("ema_20",)))
    (folder / "2024-01.parquet").write_bytes(kept)
    with pytest.raises(DataCorrupt, match="2024-01"):
        read_table(workspace, request)


# --- faces of Python and SQL


def test_the_python_face(filled: Workspace, home: Path) -> None:
    build_table(filled, SOME)
    frame: FeatureFrame = forecastle.load_features("ETH-USDT", home=home)
    assert len(frame) == 300
    assert forecastle.features.compute(_eth(), ["rsi_14"]).columns == ("rsi_14",)
    assert load_features("ETHUSDT", home=home, as_of="2024-03-01").end <= datetime(2024, 3, 1, tzinfo=UTC)


def test_sql_reads_the_current_rows_of_all_tables(filled: Workspace) -> None:
    assert sql(filled, "SELECT count(*) FROM features").item() == 0
    build_table(filled, SOME)
    build_table(filled, _request("BTC-USDT", names="sma_20"))
    found = sql(
        filled, "SELECT instrument, timeframe, count(*), count(rsi_14), count(sma_20) FROM features GROUP BY ALL"
    )
    assert sorted(found.rows()) == [("BTC-USDT", "1d", 300, 0, 281), ("ETH-USDT", "1d", 300, 286, 0)]
    both = (
        "SELECT f.known_at FROM features f JOIN candles c ON f.known_at = c.close_time AND f.instrument = c.instrument"
    )
    assert sql(filled, both).height == 600
