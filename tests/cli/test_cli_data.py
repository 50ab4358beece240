"""Candles through the command line: fetched, imported, read back as every format, and never half written."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from cli.conftest import Cli


@pytest.fixture(scope="module")
def outside() -> pl.DataFrame:
    """The S&P 500 as its publisher wrote it, read by nothing of ours."""
    found = importlib.util.find_spec("arch")
    assert found is not None
    assert found.origin is not None
    table = pl.read_csv(
        Path(found.origin).parent / "data" / "sp500" / "sp500.csv.gz", schema_overrides={"Volume": pl.Float64}
    )
    return table.with_columns(pl.col("Date").str.to_date("%m/%d/%Y"))


def _hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".writer.lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_second_fetch_adds_nothing(cli: Cli, inside: Cli, tmp_path: Path) -> None:
    home = tmp_path / "home"
    words = ("fetch", "SPX.INDEX", "--source", "bundled")
    first = cli(*words, home=home)
    assert (first.code, first.err) == (0, "")
    assert "5031 added" in first.out
    before = _hashes(home)
    second = inside(*words, "--json", home=home)
    (result,) = second.document["results"]
    assert (result["added"], result["revised"]) == (0, 0)
    assert 0 < result["unchanged"] < 10, "the last bars are asked for again"
    assert _hashes(home) == before


def test_csv_and_parquet_are_the_candles_of_the_publisher(
    script: Path, filled: Path, outside: pl.DataFrame, tmp_path: Path
) -> None:
    read = {}
    for kind in ("csv", "parquet"):
        words = [str(script), "candles", "SPX.INDEX", "--format", kind, "--home", str(filled)]
        with (tmp_path / kind).open("wb") as file:
            done = subprocess.run(words, stdout=file, stderr=subprocess.PIPE, check=True)
        assert done.stderr == b""
        reader = pl.read_csv if kind == "csv" else pl.read_parquet
        read[kind] = reader(tmp_path / kind)
    times = pl.col("open_time", "close_time").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us")
    assert read["csv"].with_columns(times).equals(read["parquet"])
    for column in ("Open", "High", "Low", "Close", "Volume"):
        assert read["parquet"][column.lower()].to_list() == outside[column].to_list()
    assert read["parquet"]["close_time"].dt.date().to_list() == outside["Date"].to_list()


def test_json_and_sql_say_the_same_as_the_publisher(inside: Cli, filled: Path, outside: pl.DataFrame) -> None:
    last = inside("candles", "SPX.INDEX", "--start", "2018-12-01", "--json", home=filled).document["candles"]
    expected = outside.filter(pl.col("Date") >= pl.date(2018, 12, 1))
    assert (last["rows"], last["columns"]["close"]) == (expected.height, expected["Close"].to_list())
    assert (last["source"], last["simulated"], last["columns"]["close_time"][-1]) == (
        "bundled",
        False,
        "2018-12-31T21:00:00Z",
    )

    query = "SELECT count(*) AS n, max(high) AS top FROM candles WHERE instrument = 'SPX.INDEX'"
    answer = inside("sql", query, "--json", home=filled).document
    assert answer["columns"] == {"n": [outside.height], "top": [outside["High"].max()]}


def test_cells_are_shown_as_they_are(inside: Cli, filled: Path) -> None:
    """Square brackets and colons mean something to the library that draws tables; not in anyone's data."""
    ran = inside("sql", "SELECT '[/x] [bold]y :smile:' AS a, NULL AS b, 'nan'::DOUBLE AS c", home=filled)
    assert (ran.code, ran.err) == (0, "")
    assert "[/x] [bold]y :smile:" in ran.out
    ran = inside("sql", "SELECT 'nan'::DOUBLE AS c, 'inf'::DOUBLE AS d", "--json", home=filled)
    assert ran.document["columns"] == {"c": [None], "d": [None]}


def test_what_goes_out_comes_in_again(inside: Cli, filled: Path, tmp_path: Path) -> None:
    csv, home = tmp_path / "spx.csv", tmp_path / "new"
    csv.write_text(inside("candles", "SPX.INDEX", "--start", "2016-01-01", "--format", "csv", home=filled).out)
    words = ("import", csv, "--instrument", "SPX.INDEX", "--source", "mine", "--adjusted", "none", "--json")

    dry = inside(*words, "--dry-run", home=home).document
    assert (dry["dry_run"], dry["written"], dry["rows"]) == (True, None, 754)
    assert not home.exists()
    assert inside(*words, home=home).document["written"]["added"] == 754
    again = inside(*words, home=home).document["written"]
    assert (again["added"], again["revised"], again["unchanged"]) == (0, 0, 754)

    one, two = (
        inside("candles", "SPX.INDEX", "--start", "2016-01-01", "--json", home=h).document["candles"]
        for h in (filled, home)
    )
    assert one["columns"] == two["columns"]
    assert (one["source"], two["source"]) == ("bundled", "mine")
    listed = inside("lake", "list", "--json", home=home).document["series"]
    assert [(s["rows"], s["gaps"]) for s in listed] == [(754, 0)]


def test_simulated_candles_say_so(inside: Cli, filled: Path) -> None:
    words = ("candles", "BTC-USD", "--start", "2017-12-01")
    assert inside(*words, home=filled).out.startswith("SIMULATED DATA")
    assert inside(*words, "--json", home=filled).document["candles"]["simulated"] is True
    assert "SIMULATED" not in inside("candles", "SPX.INDEX", home=filled).out
    assert "SIMULATED" in inside("fetch", "BTC-USD", "--source", "simulated", home=filled).out


@pytest.mark.parametrize(
    "words",
    [("candles", "SPX.INDEX", "--format", "csv"), ("sql", "SELECT * FROM candles"), ("candles", "SPX.INDEX", "--json")],
)
def test_a_reader_who_has_seen_enough_is_no_fault(script: Path, filled: Path, words: tuple[str, ...]) -> None:
    """As ``forecastle ... | head -1``: the answer is larger than what a pipe holds."""
    with subprocess.Popen(
        [script, *words, "--home", str(filled)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(20)
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")


def test_an_import_stopped_in_the_middle_leaves_nothing_of_it(
    cli: Cli, inside: Cli, script: Path, own_copy: Path
) -> None:
    """Two minutes of each of 48 months: 48 files to write, and the manifest comes last."""
    rows, first = ["open_time,open,high,low,close,volume"], datetime(2010, 1, 1, tzinfo=UTC)
    for month in range(48):
        at = first.replace(year=2010 + month // 12, month=month % 12 + 1)
        rows += [f"{at + timedelta(minutes=m):%Y-%m-%dT%H:%M:%SZ},1,2,0.5,1.5,10" for m in range(2)]
    csv = own_copy.parent / "months.csv"
    csv.write_text("\n".join(rows) + "\n")
    words = ("import", str(csv), "--instrument", "ETH-USD", "--timeframe", "1m", "--source", "mine")
    before = _hashes(own_copy)

    with subprocess.Popen(
        [script, *words, "--home", str(own_copy)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=_interruptible,
    ) as process:  # fmt: skip
        folder = own_copy / "raw" / "mine"
        while process.poll() is None and not (folder.exists() and len(list(folder.rglob("*.parquet"))) >= 3):
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, ""), err
    assert [line[:7] for line in err.splitlines()] == ["error: ", "  why: ", "   do: "]

    assert [path.name for path in own_copy.rglob("*.tmp")] == []
    after = _hashes(own_copy)
    assert {name: value for name, value in after.items() if name in before} == before, "what was there is as it was"
    verified = cli("lake", "verify", home=own_copy)
    assert verified.code == 0, verified.out + verified.err
    inside("candles", "ETH-USD", "--timeframe", "1m", home=own_copy).complaint(4)
    assert inside(*words, "--json", home=own_copy).document["written"]["added"] == 96, "run again, it goes on"


def _interruptible() -> None:
    """A test run in the background ignores Ctrl-C, and its children would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setpgid(0, 0)


def test_doctor_and_config_tell_about_this_place(inside: Cli, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doctor = inside("doctor", "--json", home=filled)
    assert (doctor.code, doctor.document["ok"]) == (0, True), doctor.out
    assert {c["name"] for c in doctor.document["checks"]} >= {"python", "packages", "home", "disk", "lake"}

    monkeypatch.setenv("FORECASTLE__STORE__ONLINE", "redis://:s3cret@cache/0")
    shown = inside("config", "show", "--origin", home=filled)
    assert "s3cret" not in shown.out
    assert "environment FORECASTLE__STORE__ONLINE" in shown.out
    values = {v["key"]: v for v in inside("config", "show", "--origin", "--json", home=filled).document["settings"]}
    assert values["home"] == {"key": "home", "value": str(filled), "origin": "environment FORECASTLE_HOME"}
    assert values["jobs.engine"]["origin"] == "default"
    line = inside("config", "show", "--origin", "--json", "--home", filled, home=filled / "other").document["settings"]
    assert line[0] == {"key": "home", "value": str(filled), "origin": "command line"}


def test_quality_names_what_is_odd(inside: Cli, filled: Path, home: Path, tmp_path: Path) -> None:
    clean = inside("quality", "BTC-USD", "--json", home=filled).document["report"]
    assert (clean["rows"], clean["findings"]) == (2922, [])
    hole = ["open_time,open,high,low,close,volume"]
    hole += [f"2024-01-{day:02d}T00:00:00Z,1,2,0.5,1.5,10" for day in range(1, 32) if day not in (10, 11)]
    (tmp_path / "hole.csv").write_text("\n".join(hole))
    assert inside("import", tmp_path / "hole.csv", "--instrument", "ETH-USD", home=home).code == 0
    found = inside("quality", "ETH-USD", "--json", home=home).document["report"]["findings"]
    missing = [f for f in found if "2024-01-10" in str(f["first"])]
    assert [f["count"] for f in missing] == [2], found
    listed = inside("lake", "list", "--json", home=home).document["series"]
    assert [s["gaps"] for s in listed] == [2]
