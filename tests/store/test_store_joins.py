"""Joins in time: the same answer as Feast's own get_historical_features, soon; and moments of every kind of clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from forecastle.app.build_features import build_table, rebuild_table
from forecastle.app.materialize import materialize
from forecastle.app.online_features import as_of_features
from forecastle.errors import DataMissing, DefinitionChanged, RequestInvalid
from forecastle.features._families import families
from forecastle.features.feast import FOREVER, FeastStore, StorePlace
from forecastle.requests import FeaturesRequest, build
from forecastle.workspace import Workspace
from making import NOW, make_candles, with_close
from store.conftest import BARS, eth_days, opened, request_for

NAMES = ("rsi_14", "sma_20", "beta_60", "macd_12_26_9.line")
FIRST = datetime(2024, 1, 2, tzinfo=UTC)
"""When the first row is known."""
MADE = (NOW + timedelta(days=2), NOW + timedelta(days=4))
"""When corrections came."""
SECOND = timedelta(seconds=1)


def _asked(moments: Sequence[datetime], instrument: str = "ETH-USDT") -> pl.DataFrame:
    return pl.DataFrame({"instrument": [instrument] * len(moments), "event_timestamp": moments})


def _twice_revised(home: Path) -> Workspace:
    """Return a home whose table has rows in three versions; the last correction is of some old rows alone."""
    for at, bar in zip(MADE, (300, 250), strict=True):
        workspace = opened(home, at=at)
        workspace.lake.write(with_close(eth_days(BARS), bar, 1.3))
        assert build_table(workspace, request_for("ETH-USDT")).state == "computed anew"
    table = workspace.features.read("ETH-USDT", "1d")
    old = pl.col("known_at") < table.frame["known_at"][-1] - timedelta(days=10)
    rows = table.frame.filter((pl.col("created_at") < MADE[1]) | old)
    assert rows.group_by("known_at").len()["len"].max() == 3
    with workspace.features.writing("ETH-USDT"):
        workspace.features.replace(table.meta, rows)
    return workspace


def _feasts_own(workspace: Workspace, rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    store = FeastStore(StorePlace(workspace.settings.store_folder))._store
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dask's, about pandas
        job = store.get_historical_features(
            entity_df=rows.to_pandas(), features=[f"features_1d:{name}" for name in names],
            filter_by_created_timestamp=True,
        )  # fmt: skip
        found = pl.DataFrame(job.to_df())
    moment = pl.col("event_timestamp").cast(pl.Datetime("us", "UTC"))
    values = pl.col(*names).cast(pl.Float64).fill_nan(None)  # pandas knows no null
    return found.select("instrument", moment, values).sort("instrument", "event_timestamp")


def _by_definition(table: pl.DataFrame, moment: datetime, name: str) -> object:
    """Return the value of the last row known by a moment, in the last version created by then: a search, row by row."""
    rows = [r for r in table.iter_rows(named=True) if r["known_at"] <= moment and r["created_at"] <= moment]
    return max(rows, key=lambda r: (r["known_at"], r["created_at"]))[name]


def test_a_row_has_the_last_that_was_known_as_it_had_been_computed(own_home: Path) -> None:
    workspace = _twice_revised(own_home)
    table = workspace.features.read("ETH-USDT", "1d", NAMES).frame
    moments = [at + step for at in (*table["known_at"][::40], *MADE) for step in (-SECOND, 0 * SECOND, SECOND)][1:]
    found = as_of_features(workspace, _asked(moments), "1d", NAMES)
    for name in NAMES:
        assert found[name].to_list() == [_by_definition(table, moment, name) for moment in moments], name
    seen = as_of_features(workspace, _asked([MADE[0] - SECOND, *MADE]), "1d", ["rsi_14"])["rsi_14"]
    assert seen.n_unique() == 2, "a correction of the last row is seen from its own moment on, one of others never"


def test_feast_says_the_same_of_a_small_table(tmp_path: Path) -> None:
    """One moment at a time, of few rows: of more of them Feast sorts without keeping the order of versions."""
    days = eth_days(9)
    first = opened(tmp_path / "home")
    first.lake.write(days)
    build_table(first, request_for("ETH-USDT"))
    for at, bar in zip(MADE, (8, 7), strict=True):
        workspace = opened(tmp_path / "home", at=at)
        workspace.lake.write(with_close(days, bar, 1.3))
        assert build_table(workspace, request_for("ETH-USDT")).state == "computed anew"
    materialize(workspace)
    names = ("log_return_1", "body")
    known = first.features.read("ETH-USDT", "1d").current()["known_at"]
    moments = [known[4], known[6] - SECOND, known[8], MADE[0] - SECOND, MADE[0], MADE[1] - SECOND, MADE[1]]
    theirs = pl.concat([_feasts_own(workspace, _asked([moment]), names) for moment in moments])
    ours = as_of_features(workspace, _asked(moments), "1d", names)
    assert ours.equals(theirs)
    assert ours[names[0]].n_unique() == 5


def test_what_is_older_than_feast_keeps_is_not_known_either(own_home: Path) -> None:
    workspace = opened(own_home)
    materialize(workspace)
    last: datetime = workspace.features.read("ETH-USDT", "1d").current()["known_at"][-1]
    rows = _asked([last + FOREVER, last + FOREVER + timedelta(seconds=1), FIRST - timedelta(seconds=1)])
    assert _feasts_own(workspace, rows, ["rsi_14"])["event_timestamp"].to_list() == [last + FOREVER], (
        "it drops the rest"
    )
    found = as_of_features(workspace, rows, "1d", ["rsi_14"])
    assert [value is None for value in found["rsi_14"]] == [False, True, True]


def test_rows_stay_as_they_were_asked(own_home: Path) -> None:
    workspace = opened(own_home)
    moments = [FIRST + timedelta(days=days) for days in (200, 20, 200, 100)]
    rows = _asked(moments).with_columns(instrument=pl.Series(["ETH-USDT", "BTC-USDT", "ETH-USDT", "ETH-USDT"]))
    found = as_of_features(workspace, rows, "1d", ["rsi_14"])
    assert found.select("instrument", "event_timestamp").equals(rows.select("instrument", "event_timestamp"))
    assert found["rsi_14"][0] == found["rsi_14"][2] != found["rsi_14"][3]
    assert as_of_features(workspace, rows.head(0), "1d", ["rsi_14"]).schema == found.schema


def test_a_hundred_moments_of_all_columns_are_no_work(tmp_path: Path) -> None:
    """Feast takes 55 s for this; the bound only tells which of the two answers."""
    workspace = opened(tmp_path / "home")
    workspace.lake.write(make_candles(4000, instrument="ETH-USDT", seed=3))
    build_table(workspace, request_for("ETH-USDT"))
    rows = _asked([FIRST + timedelta(days=39 * number) for number in range(100)])
    before = time.monotonic()
    found = as_of_features(workspace, rows)
    assert time.monotonic() - before < 10
    assert found.shape == (100, 141)


# --- clocks


def test_a_moment_is_a_moment_in_whatever_zone_it_is_written(own_home: Path) -> None:
    """In New York 1:30 comes twice on 3 November 2024, and in Seoul a day begins nine hours before that of UTC."""
    workspace = opened(own_home)
    york, seoul = ZoneInfo("America/New_York"), ZoneInfo("Asia/Seoul")
    moments = [
        datetime(2024, 11, 3, 1, 30, tzinfo=york), datetime(2024, 11, 3, 1, 30, fold=1, tzinfo=york),
        datetime(2024, 11, 2, 20, 0, tzinfo=york), datetime(2024, 11, 2, 19, 59, 59, tzinfo=york),
        datetime(2024, 3, 10, 3, 30, tzinfo=york),
    ]  # fmt: skip
    utc = [moment.astimezone(UTC) for moment in moments]
    wanted = as_of_features(workspace, _asked(utc), "1d", ["sma_20"])
    assert wanted["sma_20"][2] != wanted["sma_20"][3], "the day ends between them"
    for zone in (york, seoul):
        rows = _asked([moment.astimezone(zone) for moment in utc])
        assert rows.schema["event_timestamp"] == pl.Datetime("us", zone.key)
        assert as_of_features(workspace, rows, "1d", ["sma_20"]).equals(wanted)
    naive = _asked([moment.replace(tzinfo=None) for moment in utc])
    for unit in ("us", "ms", "ns"):
        rows = naive.with_columns(pl.col("event_timestamp").cast(pl.Datetime(unit)))
        assert as_of_features(workspace, rows, "1d", ["sma_20"]).equals(wanted), "without a zone it is UTC"
    days = pl.DataFrame({"instrument": ["ETH-USDT"], "event_timestamp": [date(2024, 11, 3)]})
    assert as_of_features(workspace, days, "1d", ["sma_20"])["sma_20"][0] == wanted["sma_20"][2]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Seoul"])
def test_the_zone_of_the_computer_changes_no_join(own_home: Path, zone: str) -> None:
    script = (
        "import sys, polars as pl\nfrom datetime import datetime\nfrom pathlib import Path\n"
        "from forecastle.app.online_features import as_of_features\nfrom forecastle.workspace import Workspace\n"
        "moments = [datetime(2024, 11, 3), datetime(2024, 3, 10, 2, 30)]\n"
        "rows = pl.DataFrame({'instrument': ['ETH-USDT'] * 2, 'event_timestamp': moments})\n"
        "print(as_of_features(Workspace.open(Path(sys.argv[1])), rows, '1d', ['sma_20'])['sma_20'].to_list())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(own_home)], env={**os.environ, "TZ": zone}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    rows = _asked([datetime(2024, 11, 3, tzinfo=UTC), datetime(2024, 3, 10, 2, 30, tzinfo=UTC)])
    assert done.stdout.strip() == str(as_of_features(opened(own_home), rows, "1d", ["sma_20"])["sma_20"].to_list())


# --- what is refused


def test_what_cannot_be_joined_is_told(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = opened(own_home)
    good = _asked([FIRST])
    for wrong in (
        good.rename({"instrument": "who"}), good.drop("event_timestamp"),
        good.with_columns(event_timestamp=pl.lit("2024-01-02")),
    ):  # fmt: skip
        with pytest.raises(RequestInvalid, match="without a zone it is UTC"):
            as_of_features(workspace, wrong, "1d", ["rsi_14"])
    with pytest.raises(RequestInvalid, match="no moment"):
        as_of_features(workspace, pl.concat([good, good.with_columns(event_timestamp=None)], how="vertical_relaxed"))
    with pytest.raises(DataMissing, match="no table of 1d features of SOL-USDT"):
        as_of_features(workspace, _asked([FIRST], "SOL-USDT"), "1d", ["rsi_14"])
    rebuild_table(workspace, build(FeaturesRequest, instrument="BTC-USDT", names="rsi_14"))
    assert as_of_features(workspace, _asked([FIRST], "BTC-USDT"), "1d", ["rsi_14"]).height == 1
    with pytest.raises(DataMissing, match="has no sma_20") as caught:
        as_of_features(workspace, _asked([FIRST], "BTC-USDT"), "1d", ["rsi_14", "sma_20"])
    assert "--rebuild" in caught.value.hint
    table = dict(families())
    monkeypatch.setitem(table, "rsi", replace(table["rsi"], formula="something else"))
    monkeypatch.setattr("forecastle.features._families.families", lambda: table)
    with pytest.raises(DefinitionChanged):
        as_of_features(workspace, good, "1d", ["sma_20"])
