"""Every wrong question ends in three lines, the right exit code, and the same as a document with ``--json``."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forecastle.clock import FixedClock
from forecastle.lake.lock import writer_lock

if TYPE_CHECKING:
    from cli.conftest import Cli

FETCH = ("fetch", "SPX.INDEX", "--source", "bundled")

USAGE = [
    ("fecth", "fetch"),
    ("lake lst", "list"),
    ("fetch SPX.INDEX --sorce bundled", "--source"),
    ("fetch --source bundled", "ID"),
    ("fetch SPX.INDEX", "--source"),
    ("fetch SPX.INDEX --source bundeld", "Did you mean 'bundled'?"),
    ("fetch SPX.INDEX --source nowhere", "bundled, simulated"),
    ("fetch SPX.INDEX --source bundled --timeframe 7s", "7s"),
    ("import file.csv", "--instrument"),
    ("candles 'two words'", "two words"),
    ("candles SPX.INDEX --format xml", "table, csv, parquet"),
    ("candles SPX.INDEX --start yesterday", "yesterday"),
    ("candles SPX.INDEX --end 2018-13-01", "2018-13-01"),
    ("candles SPX.INDEX --start 2018-06-01 --end 2018-01-01", "2018-06-01"),
    ("volatility forecast SPX.INDEX --horizon 0", "horizon"),
    ("volatility forecast SPX.INDEX --horizon 251", "251"),
    ("volatility forecast SPX.INDEX --horizon soon", "--horizon"),
    ("volatility forecast SPX.INDEX --model garhc", "Did you mean 'garch'?"),
    ("volatility forecast SPX.INDEX --dist cauchy", "cauchy"),
    ("volatility fit SPX.INDEX --p 4", "4"),
    ("volatility rolling SPX.INDEX --window 10", "window"),
    ("volatility rolling SPX.INDEX --refit 0", "refit"),
    ("volatility backtest SPX.INDEX --level 0", "level"),
    ("volatility backtest SPX.INDEX --level 0.7", "0.7"),
    ("volatility compare SPX.INDEX --level nan", "level"),
    ("sql 'DROP TABLE candles'", "SELECT"),
    ("sql 'SELECT nope FROM candles'", "nope"),
    ("sql 'SELEC 1'", "SELEC"),
    ("sql 'SELECT 1; SELECT 2'", "SELECT"),
    ("config show --orign", "--origin"),
]  # fmt: skip
MISSING = [
    ("candles NOPE-USD", "NOPE-USD"),
    ("candles SPX.INDEX --timeframe 1h", "1h"),
    ("candles SPX.INDEX --source simulated", "simulated"),
    ("candles SPX.INDEX --start 2030-01-01", "2018-12-31"),
    ("quality NOPE-USD", "NOPE-USD"),
    ("fetch AAPL --source bundled", "AAPL"),
    ("fetch SPX.INDEX --source bundled --start 2030-01-01", "2030-01-01"),
    ("import nowhere.csv --instrument BTC-USD", "nowhere.csv"),
    ("volatility fit NOPE-USD", "NOPE-USD"),
    ("volatility rolling SPX.INDEX --end 1999-06-01", "burn-in"),
    ("report SPX.INDEX --window 6000", "6000"),
]


def _words(line: str) -> list[str]:
    import shlex

    return shlex.split(line)


@pytest.mark.parametrize(
    ("line", "named", "code"), [(*case, 2) for case in USAGE] + [(*case, 4) for case in MISSING], ids=lambda v: str(v)
)
def test_a_wrong_question_gets_three_lines_and_a_document(
    inside: Cli, filled: Path, line: str, named: str, code: int
) -> None:
    spoken = inside(*_words(line), home=filled)
    what, why, do = spoken.complaint(code)
    assert named in f"{what} {why} {do}"
    assert spoken.out == ""

    written = inside(*_words(line), "--json", home=filled)
    assert written.complaint(code) == (what, why, do)
    document = written.document
    assert (document["schema"], document["exit_code"]) == ("forecastle/error/1", code)
    assert (document["what"], document["why"], document["hint"]) == (what, why, do)
    assert document["code"].isidentifier()


@pytest.mark.parametrize(("words", "code"), [(("fecth",), 2), (("candles", "NOPE-USD"), 4)])
def test_the_script_leaves_with_the_code(cli: Cli, filled: Path, words: tuple[str, ...], code: int) -> None:
    ran = cli(*words, home=filled)
    ran.complaint(code)
    assert ran.out == ""


def test_a_traceback_comes_with_vv_alone(inside: Cli, filled: Path) -> None:
    once, twice = (inside("candles", "NOPE-USD", flag, home=filled) for flag in ("-v", "-vv"))
    assert "Traceback" not in once.err
    assert "Traceback (most recent call last)" in twice.err
    assert twice.err.endswith(once.err[once.err.index("error: ") :]), "the three lines stay the last word"


def test_an_empty_lake_says_how_to_fill_it(inside: Cli, home: Path) -> None:
    _, why, do = inside("candles", "SPX.INDEX", home=home).complaint(4)
    assert "empty" in why
    assert "forecastle fetch SPX.INDEX --source bundled" in do
    listed = inside("lake", "list", home=home)
    assert (listed.code, listed.err) == (0, "")
    assert "forecastle fetch" in listed.out
    assert inside("lake", "verify", home=home).code == 0
    assert not home.exists(), "looking makes no folder"


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"FORECASTLE__LOG__LEVL": "debug"}, "Did you mean 'log.level'?"),
        ({"FORECASTLE__JOBS__ENGINE": "spark"}, "environment FORECASTLE__JOBS__ENGINE"),
    ],
)
def test_wrong_settings_are_a_matter_of_configuration(cli: Cli, filled: Path, env: dict[str, str], named: str) -> None:
    ran = cli("lake", "list", "--json", home=filled, env=env)
    assert named in " ".join(ran.complaint(3))
    assert ran.document["code"] == "configuration"


@pytest.mark.parametrize("words", [("lake", "list"), FETCH, ("candles", "SPX.INDEX")], ids=lambda w: w[0])
@pytest.mark.parametrize("below", ["", "below/it"])
def test_a_home_that_is_a_file(inside: Cli, tmp_path: Path, words: tuple[str, ...], below: str) -> None:
    file = tmp_path / "home.txt"
    file.write_text("not a folder")
    ran = inside(*words, home=file / below if below else file)
    assert str(file) in " ".join(ran.complaint(3))
    assert file.read_text() == "not a folder"


def test_a_home_that_cannot_be_written(cli: Cli, own_copy: Path) -> None:
    """Root writes everywhere; ``setpriv`` takes that power away, so that the mode of the folder counts."""
    powerless: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root writes everywhere, and setpriv is not here to take that away")
        powerless = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    (own_copy / "raw" / ".writer.lock").unlink()
    for path in (own_copy, *own_copy.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        refused = cli("fetch", "IXIC.INDEX", "--source", "bundled", home=own_copy, prefix=powerless)
        looked = cli("doctor", "--json", home=own_copy, prefix=powerless)
    finally:
        for path in (own_copy, *own_copy.rglob("*")):
            path.chmod(0o755)
    assert "nothing was changed" in " ".join(refused.complaint(3))
    states = {check["name"]: check["state"] for check in looked.document["checks"]}
    assert (looked.code, states["home"]) == (3, "wrong")
    assert states["lake"] == "ok", "a lake that cannot be written can be read"


@pytest.fixture
def little_room(tmp_path: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A disk of 128 KiB where one can be mounted, else a limit on the size of files, which fails the same way."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield disk / "home", () if mounted else ("prlimit", "--fsize=102400")
    finally:
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_nothing_half_written(
    cli: Cli, inside: Cli, little_room: tuple[Path, tuple[str, ...]]
) -> None:
    home, prefix = little_room
    some = inside(*FETCH, "--end", "1999-06-01", home=home)
    assert some.code == 0, some.err
    before = {path.name for path in home.rglob("*") if path.is_file()}
    what, why, _ = cli(*FETCH, home=home, prefix=prefix).complaint(3)
    assert "no room" in what
    assert "nothing was changed" in why
    assert {path.name for path in home.rglob("*") if path.is_file()} == before
    assert inside("lake", "verify", home=home).code == 0


def test_stdout_on_a_full_disk(cli: Cli, script: Path, filled: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [script, "candles", "SPX.INDEX", "--format", "csv", "--home", filled],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 3
    assert [line[:7] for line in done.stderr.splitlines()] == ["error: ", "  why: ", "   do: "]


def test_several_sources_have_to_be_told_apart(inside: Cli, own_copy: Path) -> None:
    words = ("SPX.INDEX", "--start", "2015-01-01", "--end", "2015-06-01")
    assert inside("fetch", *words, "--source", "simulated", home=own_copy).code == 0
    told = " ".join(inside("candles", "SPX.INDEX", home=own_copy).complaint(4))
    assert "bundled" in told
    assert "simulated" in told
    assert "--source" in told
    for source in ("bundled", "simulated"):
        assert (
            inside("candles", "SPX.INDEX", "--source", source, "--json", home=own_copy).document["candles"]["source"]
            == source
        )


HEADER = "open_time,open,high,low,close,volume\n"
ROW = "2024-01-01T00:00:00Z,1,2,0.5,1.5,10\n"
BAD_FILES = {
    "wrong columns": (b"day,price\n2024-01-01T00:00:00Z,1\n", "no column for"),
    "naive times": ((HEADER + ROW.replace("T00:00:00Z", " 09:30:00")).encode(), "zone"),
    "empty": (b"", "empty"),
    "header only": (HEADER.encode(), "no rows"),
    "text in numbers": ((HEADER + "2024-01-02T00:00:00Z,1,2,0.5,much,10\n").encode(), "'much'"),
    "wrong unit": ((HEADER + "1704067200,1,2,0.5,1.5,10\n1704153600000,1,2,0.5,1.5,10\n").encode(), "unit"),
    "high below low": ((HEADER + "2024-01-01T00:00:00Z,1,0.5,2,1.5,10\n").encode(), "cannot be candles"),
    "future": ((HEADER + "2124-01-01T00:00:00Z,1,2,0.5,1.5,10\n").encode(), "2124"),
    "not text": (b"\xff\xfe\x00\x01\x02,\n\x9c", "readable"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused_whole(inside: Cli, home: Path, tmp_path: Path, kind: str) -> None:
    content, named = BAD_FILES[kind]
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    ran = inside("import", file, "--instrument", "BTC-USD", home=home)
    assert named in " ".join(ran.complaint(4))
    assert ran.out == ""
    assert list(home.rglob("*.parquet")) == []


@pytest.mark.parametrize("source", ["../../outside", "Bad/Name", "", "."])
def test_the_name_of_a_source_is_no_way_out_of_the_lake(inside: Cli, home: Path, tmp_path: Path, source: str) -> None:
    (tmp_path / "good.csv").write_text(HEADER + ROW)
    ran = inside("import", tmp_path / "good.csv", "--instrument", "BTC-USD", "--source", source, home=home)
    assert f"'{source}'" in ran.complaint(2)[0]
    assert list(tmp_path.rglob("*.parquet")) == []


def test_a_dry_run_of_bad_rows_says_so_with_its_code(inside: Cli, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_bytes(BAD_FILES["high below low"][0])
    ran = inside("import", file, "--instrument", "BTC-USD", "--dry-run", home=home)
    assert (ran.code, ran.err) == (4, "")
    assert "would be refused" in ran.out
    assert not home.exists()


def test_a_second_writer_is_sent_away_with_the_name_of_the_first(cli: Cli, inside: Cli, own_copy: Path) -> None:
    with writer_lock(own_copy / "raw", FixedClock(datetime(2026, 1, 1, tzinfo=UTC)), Path("bundled")):
        ran = cli(*FETCH, "--json", home=own_copy)
        reader = inside("candles", "SPX.INDEX", "--start", "2018-12-28", home=own_copy)
    assert str(os.getpid()) in ran.complaint(5)[0]
    assert ran.document["code"] == "lake_locked"
    assert reader.code == 0, "readers need no lock"
    assert inside(*FETCH, home=own_copy).code == 0, "the lock is gone with its holder"


def test_one_flipped_bit_is_found(cli: Cli, inside: Cli, own_copy: Path) -> None:
    file = next((own_copy / "raw" / "bundled").rglob("*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    verified = cli("lake", "verify", "--json", home=own_copy)
    assert (verified.code, verified.err) == (6, "")
    (problem,) = verified.document["problems"]
    assert problem["path"].endswith(file.name)
    spoken = inside("lake", "verify", home=own_copy)
    assert (spoken.code, spoken.err, file.name in spoken.out) == (6, "", True)

    doctor = inside("doctor", "--json", home=own_copy)
    assert (doctor.code, doctor.document["ok"]) == (3, False)
    assert [c["name"] for c in doctor.document["checks"] if c["state"] == "wrong"] == ["lake"]
    inside("candles", "SPX.INDEX", home=own_copy).complaint(4)
