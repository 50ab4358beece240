"""What lies beside the candles: stretches that were asked for, rows that were refused, observations, CSV twins."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from forecastle.clock import FixedClock
from forecastle.errors import DataCorrupt, DataInvalid, DataMissing, RequestInvalid
from forecastle.lake import Lake
from forecastle.lake.journal import Journal
from forecastle.lake.layout import SeriesKey
from forecastle.nouns import Observations
from forecastle.nouns.candles import SCHEMA
from lake_model import KEY, Step, Ticking, broken, hours, look
from making import BTC, NOW, key_of, make_candles, open_lake, utc


def _hour(number: int) -> object:
    return hours({number: 1.0}).start


# --- stretches that were asked for


def test_stretches_that_touch_are_one_and_gaps_stay(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    assert lake.covered(KEY) == []
    for first, last in ((0, 9), (20, 29), (10, 14), (25, 40)):
        some = hours(dict.fromkeys(range(first, last + 1), 2.0))
        lake.write(some, (some.start, some.end))
    assert lake.covered(KEY) == [(_hour(0), _hour(15)), (_hour(20), _hour(41))]
    assert open_lake(tmp_path).covered(KEY) == lake.covered(KEY)


def test_an_answer_without_rows_is_remembered_and_is_no_series(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    some = hours({0: 1.0, 9: 1.0})
    none = lake.write(some.last(0), (some.start, some.end))
    assert (none.added, none.files, none.commit) == (0, (), 1)
    assert lake.covered(KEY) == [(some.start, some.end)]
    assert lake.datasets() == []
    with pytest.raises(DataMissing):
        lake.read(KEY)
    again = lake.write(some.last(0), (some.start, some.end))
    assert again.commit == 1, "what is known already is no commit"


# --- refused rows


def _odd(columns: dict[str, Any]) -> pl.DataFrame:
    row = broken({3: 5.0}).with_columns(**{name: pl.lit(value) for name, value in columns.items()})
    return row.select(pl.col(c).cast(kind) for c, kind in {**SCHEMA, "reason": pl.String()}.items())


ODD: dict[str, dict[str, Any]] = {
    "nan": {"close": float("nan")}, "infinite": {"high": float("inf")}, "null": {"volume": None},
    "no_time": {"open_time": None}, "negative": {"low": -1.0}, "nothing": {**dict.fromkeys(SCHEMA), "reason": "x"},
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_refused_row_is_kept_as_it_was_and_only_once(tmp_path: Path, name: str) -> None:
    lake, rows = Lake(tmp_path, Ticking()), _odd(ODD[name])
    assert lake.quarantine(KEY, rows, "a.csv") == 1
    kept = lake.quarantined(KEY)
    assert kept.select(rows.columns).equals(rows)
    assert kept["origin"].to_list() == ["a.csv"]
    assert lake.quarantine(KEY, pl.concat([rows, rows]), "a.csv") == 0
    assert lake.quarantine(KEY, pl.concat([rows, rows]), "b.csv") == 0, "whatever file it comes from"
    assert lake.quarantined(KEY).height == 1
    assert lake.verify() == []


def test_refused_rows_gather_and_are_counted_beside_the_series(tmp_path: Path) -> None:
    clock = Ticking()
    lake = Lake(tmp_path, clock)
    lake.write(hours({0: 1.0}))
    for hour in range(1, 12):
        assert lake.quarantine(KEY, broken({hour: 1.0, hour + 1: 2.0}), "feed") == 2
    clock.at = NOW - timedelta(days=9)  # a clock that was set back
    assert lake.quarantine(KEY, broken({50: 1.0, 51: 1.0, 52: 1.0}), "feed") == 3
    kept = lake.quarantined(KEY)
    assert kept.height == 25
    assert kept["found_at"].is_sorted()
    (info,) = lake.datasets()
    assert (info.rows, info.quarantined) == (1, 25)
    assert lake.read(KEY).frame.equals(hours({0: 1.0}).frame)
    assert {p.parent.name for p in tmp_path.rglob("*.parquet")} == {"1h", "1h.quarantine"}


# --- observations


def _mood(*rows: tuple[int, int, float], unit: str = "points") -> Observations:
    """Return values as (day about, day known, value)."""
    first = utc(2024)
    frame = pl.DataFrame(
        [(first + timedelta(days=a), first + timedelta(days=k), v) for a, k, v in sorted(rows)],
        schema={"about": SCHEMA["open_time"], "known_at": SCHEMA["open_time"], "value": pl.Float64()}, orient="row",
    )  # fmt: skip
    return Observations(BTC, "mood", unit, "test", frame)


def _known(lake: Lake, day: int) -> dict[int, float]:
    frame = lake.read_observations(BTC, "mood").known(utc(2024) + timedelta(days=day)).frame
    return {(about - utc(2024)).days: value for about, _, value in frame.iter_rows()}


def test_what_was_known_when_is_kept_through_revisions(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    first = lake.observe(_mood((0, 1, 10.0), (1, 2, 20.0), (2, 3, 30.0)))
    assert (first.added, first.revised, first.unchanged) == (3, 0, 0)
    second = lake.observe(_mood((0, 1, 10.0), (1, 5, 21.0), (3, 4, 40.0)))
    assert (second.added, second.revised, second.unchanged) == (2, 0, 1)
    assert _known(lake, 3) == {0: 10.0, 1: 20.0, 2: 30.0}
    assert _known(lake, 5) == {0: 10.0, 1: 21.0, 2: 30.0, 3: 40.0}
    assert lake.observe(_mood((0, 9, 10.0), (1, 5, 21.0))).added == 0, "known already"
    assert lake.observe(_mood((1, 7, 20.0))).added == 1, "back to what it was is a revision too"
    assert _known(lake, 8)[1] == 20.0


def test_a_value_that_changed_at_the_same_moment_was_learned_now(tmp_path: Path) -> None:
    """Nobody can have known it then: a backtest of that day must not see it."""
    clock = Ticking()
    lake = Lake(tmp_path, clock)
    lake.observe(_mood((0, 1, 10.0), (0, 2, 11.0), (1, 2, 20.0)))
    before = lake.read_observations(BTC, "mood").frame
    corrected = _mood((0, 1, 10.5), (0, 2, 11.5), (1, 2, 20.0))
    assert lake.observe(corrected).added == 1
    frame = lake.read_observations(BTC, "mood").frame
    assert frame.join(before, on=frame.columns, how="semi").equals(before), "nothing is overwritten"
    (new,) = frame.join(before, on=frame.columns, how="anti").rows()
    assert (new[0], new[2]) == (utc(2024), 11.5)
    assert NOW < new[1] <= clock.now()
    assert lake.observe(corrected).added == 0, "the same correction again says nothing new"
    assert lake.read_observations(BTC, "mood").frame.equals(frame)


def test_a_corrected_early_vintage_does_not_become_the_last_word(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    lake.observe(_mood((0, 1, 1.0), (0, 5, 3.0)))
    lake.observe(_mood((0, 1, 1.5), (0, 5, 3.0)))
    assert lake.read_observations(BTC, "mood").known(utc(2030)).frame["value"].to_list() == [3.0]


def test_a_correction_under_a_clock_that_stands_or_was_set_back_is_still_the_last_word(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    for value in (10.0, 11.0, 12.0):
        lake.observe(_mood((0, 1, value)))
    back = Lake(tmp_path, FixedClock(utc(2024, 1, 1)))
    back.observe(_mood((0, 1, 13.0)))
    whole = back.read_observations(BTC, "mood").frame
    assert whole["value"].to_list() == [10.0, 11.0, 12.0, 13.0]
    assert whole["known_at"].is_sorted()


def test_the_lake_of_the_past_has_the_observations_of_the_past(tmp_path: Path) -> None:
    clock = Ticking()
    lake = Lake(tmp_path, clock)
    lake.observe(_mood((0, 1, 10.0)))
    then = clock.now()
    lake.observe(_mood((0, 2, 11.0), (1, 2, 1.0)))
    assert len(lake.read_observations(BTC, "mood", as_of=then)) == 1
    assert len(lake.read_observations(BTC, "mood")) == 3


def test_another_unit_or_an_unknown_name_is_refused(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    lake.observe(_mood((0, 1, 10.0)))
    with pytest.raises(DataInvalid, match=r"stored in points.\nThe new values are in percent"):
        lake.observe(_mood((1, 2, 10.0), unit="percent"))
    with pytest.raises(DataMissing, match="It holds: mood of BTC-USDT from test"):
        lake.read_observations(BTC, "vix")
    assert len(lake.read_observations(BTC, "mood")) == 1
    (info,) = lake.observation_sets()
    assert (info.name, info.unit, info.rows, info.first_about) == ("mood", "points", 1, utc(2024))
    assert lake.datasets() == []


@pytest.mark.parametrize("name", ["../up", "a/b", "A"])
def test_a_series_from_an_unsafe_source_is_refused(name: str) -> None:
    with pytest.raises(RequestInvalid):
        SeriesKey("observations", name, "BTC-USDT", "mood")


# --- CSV twins


def test_csv_twins_hold_the_same_numbers_and_are_hashed(tmp_path: Path) -> None:
    lake, candles = open_lake(tmp_path), make_candles(24 * 20, start="2023-12-22", timeframe="1h")
    lake.write(candles)
    assert lake.write_csv(key_of(candles)) == 2
    assert lake.write_csv(key_of(candles)) == 0
    for entry in Journal(tmp_path).state.files_of(key_of(candles).series):
        twin = tmp_path / entry.csv_path
        assert hashlib.sha256(twin.read_bytes()).hexdigest() == entry.csv_sha256
        read = pl.read_csv(twin, try_parse_dates=True)
        same = pl.read_parquet(tmp_path / entry.path).select(list(SCHEMA))
        assert read.select(pl.col(c).cast(kind) for c, kind in SCHEMA.items()).equals(same)
    assert lake.verify() == []
    assert lake.read(key_of(candles)).frame.equals(candles.frame)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_csv_twin_is_told_and_the_candles_serve(tmp_path: Path, damage: str) -> None:
    lake = open_lake(tmp_path)
    Step("write", {0: 1.0, 1: 2.0}).do(lake)
    lake.write_csv(KEY)
    (twin,) = tmp_path.rglob("*.csv")
    content = bytearray(twin.read_bytes())
    content[len(content) // 2] ^= 1
    twin.write_bytes(content if damage == "flip" else content[:-1])
    if damage == "remove":
        twin.unlink()
    assert [p.path for p in lake.verify()] == [twin.relative_to(tmp_path).as_posix()]
    assert look(lake).candles == {0: 1.0, 1: 2.0}


# --- proven reads


def test_rows_that_break_a_rule_cannot_hide_behind_a_right_hash(tmp_path: Path) -> None:
    """A read trusts the hash; verify looks at the rows as well."""
    lake = open_lake(tmp_path)
    Step("write", {0: 1.0, 1: 2.0}).do(lake)
    (entry,) = Journal(tmp_path).state.files_of(KEY.series)
    path = tmp_path / entry.path
    bad = pl.read_parquet(path).with_columns(low=pl.col("high") * 2)
    bad.write_parquet(path)
    with pytest.raises(DataCorrupt):
        lake.read(KEY)
    forged = entry.model_copy(update={"sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    Journal(tmp_path).append(NOW, (0, 0), (forged,), (entry.path,))
    assert any("outside_range" in problem.what or "high" in problem.what for problem in open_lake(tmp_path).verify())
