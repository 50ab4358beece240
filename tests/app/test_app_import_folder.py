"""A folder comes in as its map says, and every file is accounted for."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest

from forecastle.app._folder_map import Files, read_map
from forecastle.app.import_folder import FolderImported, import_folder
from forecastle.app.import_observations import Observed, import_observations
from forecastle.errors import DataInvalid, DataMissing, LakeLocked, RequestInvalid
from forecastle.lake import DatasetKey, Lake
from forecastle.nouns import Instrument
from forecastle.requests import ImportFolderRequest, ObservationsRequest, build
from forecastle.workspace import Workspace
from making import tree, utc

MAP = Path(__file__).parents[1] / "fixtures" / "shared_data.toml"
HEAD = "date,open,high,low,close,volume\n"
OK = "1,2,0.5,1.5,10"

TOML = """
[[files]]
pattern = "days/{base}_{quote}.csv"
instrument = "{base|upper}-{quote|upper}"
timeframe = "1d"
source = "mine"

[[files]]
pattern = "days/*.gz"
instrument = "SOL-USDT"
timeframe = "1d"
source = "mine"

[[files]]
pattern = "wide.csv"
instruments = "columns"
instrument = "{column}"
timeframe = "1d"
source = "closes"
adjusted = "splits"

[[files]]
pattern = "**/*.md"
skip = "words"

[[files]]
pattern = "nowhere/*.csv"
skip = "not there"

[[observations]]
pattern = "wide.csv"
instrument = "VIX.INDEX"
name = "fear"
unit = "points"
source = "mine"
value = "AAPL"
known_after = "session_close"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files that are fine in part, one that is bad, two that nobody tells of."""
    files = {
        "days/btc_usdt.csv": f"{HEAD}2024-01-01,{OK}\n2024-01-02,{OK}\n2024-01-03,1,2,0,1.5,10\n",
        "days/eth_usdt.csv": f"{HEAD}2024-01-01,1,0.5,2,1,1\n",
        "days/broken.csv.gz": "no gzip",
        "wide.csv": "Date,AAPL,MSFT\n2024-01-02,185.6,370.9\n2024-01-03,184.3,370.6\n",
        "deep/down/notes.md": "words",
        "deep/other.csv": "a,b\n1,2\n",
        "stray.bin": "x",
        "map.toml": TOML,
    }
    for name, text in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "in"


def _import(workspace: Workspace, folder: Path, *, dry_run: bool = False) -> FolderImported:
    return import_folder(workspace, ImportFolderRequest(path=folder, map=folder / "map.toml", dry_run=dry_run))


def test_every_file_is_accounted_for(workspace: Workspace, folder: Path) -> None:
    done = _import(workspace, folder)
    assert [(o.path, o.state, o.series, o.added, o.quarantined) for o in done.outcomes] == [
        ("days/broken.csv.gz", "refused", "", 0, 0),
        ("days/btc_usdt.csv", "stored", "BTC-USDT 1d from mine", 2, 1),
        ("days/eth_usdt.csv", "refused", "", 0, 0),
        ("deep/down/notes.md", "skipped", "", 0, 0),
        ("wide.csv", "stored", "AAPL 1d from closes", 2, 0),
        ("wide.csv", "stored", "MSFT 1d from closes", 2, 0),
        ("wide.csv", "stored", "fear of VIX.INDEX from mine", 2, 0),
    ]
    assert (done.unmapped, done.unmatched) == (("deep/other.csv", "stray.bin"), ("nowhere/*.csv",))
    told = [o.error for o in done.in_state("refused")]
    assert [error and error["exit_code"] for error in told] == [4, 4]
    assert all(error and error["what"] and error["why"] and error["hint"] for error in told)
    closes = workspace.lake.read(DatasetKey("closes", "MSFT", "1d"))
    assert (closes.prices, closes.adjusted, closes.frame["close"].to_list()) == ("close", "splits", [370.9, 370.6])
    assert workspace.lake.quarantined(DatasetKey("mine", "BTC-USDT", "1d"))["reason"].to_list() == ["non_positive"]


def test_a_second_run_adds_nothing(workspace: Workspace, home: Path, folder: Path) -> None:
    _import(workspace, folder)
    before = {name: content for name, content in tree(home).items() if "lock" not in name}
    again = _import(workspace, folder)
    assert [(o.added, o.revised) for o in again.in_state("stored")] == [(0, 0)] * 4
    assert sum(o.unchanged for o in again.outcomes) == 8
    assert {name: content for name, content in tree(home).items() if "lock" not in name} == before


def test_values_that_differ_where_files_overlap_are_revisions(workspace: Workspace, folder: Path) -> None:
    _import(workspace, folder)
    (folder / "days/btc_usdt.csv").write_text(f"{HEAD}2024-01-01,{OK}\n2024-01-02,1,2,0.5,1.7,10\n")
    (done,) = [o for o in _import(workspace, folder).outcomes if o.path == "days/btc_usdt.csv"]
    assert (done.added, done.revised, done.unchanged) == (0, 1, 1)


def test_a_dry_run_of_a_folder_stores_nothing_and_finds_the_same(
    workspace: Workspace, home: Path, folder: Path
) -> None:
    done = _import(workspace, folder, dry_run=True)
    assert Counter(o.state for o in done.outcomes) == {"understood": 4, "refused": 2, "skipped": 1}
    assert [o.quarantined for o in done.outcomes if o.path == "days/btc_usdt.csv"] == [1]
    assert not home.exists()


def test_a_lake_that_another_writes_to_stops_all(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file of the rest could be stored either: it is no fault of this one."""

    def locked(*_: object) -> None:
        raise LakeLocked("Another process writes.", "It is process 7.", "Wait.")

    monkeypatch.setattr(Lake, "write", locked)
    with pytest.raises(LakeLocked):
        _import(workspace, folder)


def test_progress_counts_every_job(workspace: Workspace, folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    request = ImportFolderRequest(path=folder, map=folder / "map.toml")
    import_folder(workspace, request, lambda done, total, what: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(7)]


def test_a_folder_that_is_none_is_missing_data(workspace: Workspace, folder: Path) -> None:
    with pytest.raises(DataMissing, match="no folder"):
        import_folder(workspace, ImportFolderRequest(path=folder / "nowhere", map=folder / "map.toml"))


FILES = '[[files]]\npattern = "{a}.csv"\n'
WRONG_MAPS = {
    "no toml": ("[[files]", "no TOML"),
    "empty": ("", "has no entry"),
    "unknown key": (f'{FILES}skip = "x"\nlayuot = "lean"', "layuot"),
    "unknown table": ('[[file]]\npattern = "a"', "file"),
    "nothing but a pattern": (FILES, "lacks instrument, source, timeframe"),
    "a field not in the pattern": (f'{FILES}instrument = "{{b}}"\nsource = "m"\ntimeframe = "1d"', "uses {b}"),
    "an unknown filter": (f'{FILES}instrument = "{{a|title}}"\nsource = "m"\ntimeframe = "1d"', "there are |upper"),
    "a field twice": ('[[files]]\npattern = "{a}/{a}.csv"\nskip = "x"', "cannot be"),
    "no known_after": (
        '[[observations]]\npattern = "a"\ninstrument = "A"\nsource = "m"\nname = "x"\nunit = "u"\nvalue = "v"',
        "lacks known_after",
    ),
}


@pytest.mark.parametrize("why", WRONG_MAPS)
def test_a_map_that_cannot_be_is_refused_before_anything_is_read(
    workspace: Workspace, home: Path, folder: Path, why: str
) -> None:
    text, words = WRONG_MAPS[why]
    (folder / "map.toml").write_text(text)
    with pytest.raises(RequestInvalid) as refused:
        _import(workspace, folder)
    assert words in str(refused.value)
    assert not home.exists()


def test_a_map_that_is_not_there_is_refused(workspace: Workspace, folder: Path) -> None:
    with pytest.raises(RequestInvalid, match="cannot be read"):
        import_folder(workspace, ImportFolderRequest(path=folder, map=folder / "nowhere.toml"))


def test_a_pattern_is_a_path_with_fields() -> None:
    entry = Files(pattern="a/{base}_{quote}-*.csv", skip="x")
    assert entry.match("a/BTC_USDT-1d.csv") == {"base": "BTC", "quote": "USDT"}
    assert entry.match("a/b/BTC_USDT-1d.csv") is None, "a star is no slash"
    assert entry.match("a/BTC_USDT-1d-csv") is None, "a dot is a dot"
    assert Files(pattern="**/x.csv", skip="x").match("a/b/x.csv") == {}


# Observations --------------------------------------------------------------------------------------------------------


def _observe(workspace: Workspace, path: Path, **said: object) -> Observed:
    fields = {"instrument": "BTC-USD", "source": "mine", "name": "fear", "unit": "points", "value": "v", **said}
    return import_observations(workspace, build(ObservationsRequest, path=path, **{"known_after": "1d", **fields}))


def _rows(done: Observed) -> list[tuple[object, ...]]:
    return done.file.observations.frame.rows()


def test_a_value_is_known_after_what_it_is_about(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("date,v\n2024-01-03,7\n2024-01-02,-0.5\n2024-01-04,\n2024-01-03,7\n")
    assert _rows(_observe(workspace, path)) == [
        (utc(2024, 1, 2), utc(2024, 1, 3), -0.5), (utc(2024, 1, 3), utc(2024, 1, 4), 7.0),
    ]  # fmt: skip
    done = _observe(workspace, path, known_after="36h", source="other")
    assert [r[1] for r in _rows(done)] == [utc(2024, 1, 3, 12), utc(2024, 1, 4, 12)]
    assert {f.kind: f.count for f in done.file.findings} == {"empty_cell": 1, "duplicate": 1}
    stored = workspace.lake.read_observations(Instrument.parse("BTC-USD"), "fear", "mine")
    assert stored.known(utc(2024, 1, 3)).frame["value"].to_list() == [-0.5], "not known a moment too early"


def test_a_value_of_a_session_is_known_at_its_close(workspace: Workspace, tmp_path: Path) -> None:
    """The day before Independence Day New York closes at 13:00, which is 17:00 UTC."""
    path = tmp_path / "a.csv"
    path.write_text("Date,vix\n7/2/2024,12.03\n7/3/2024,12.09\n7/4/2024,.\n7/5/2024,12.48\n")
    said = {"instrument": "VIX.INDEX", "value": "vix", "known_after": "session_close", "time_format": "%m/%d/%Y"}
    done = _observe(workspace, path, **said)
    assert [r[1] for r in _rows(done)] == [utc(2024, 7, 2, 20), utc(2024, 7, 3, 17), utc(2024, 7, 5, 20)]
    assert [r[0].hour for r in _rows(done)] == [13, 13, 13]  # type: ignore[attr-defined]
    late = _observe(workspace, path, **{**said, "known_after": "session_close+15m"}, name="struck_later")
    assert [r[1] for r in _rows(late)] == [utc(2024, 7, 2, 20, 15), utc(2024, 7, 3, 17, 15), utc(2024, 7, 5, 20, 15)]


def test_a_second_import_of_observations_adds_nothing_and_others_are_revisions(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("date,v\n2024-01-02,1\n2024-01-03,2\n")
    first, again = _observe(workspace, path).written, _observe(workspace, path).written
    assert first is not None
    assert again is not None
    assert (first.added, again.added, again.unchanged) == (2, 0, 2)
    path.write_text("date,v\n2024-01-02,1\n2024-01-03,2.5\n")
    revised = _observe(workspace, path).written
    assert revised is not None
    assert revised.added + revised.revised == 1


WRONG_OBSERVATIONS = {
    "no number": ("date,v\n2024-01-02,abc\n", {}, "'abc' in column v"),
    "infinite": ("date,v\n2024-01-02,inf\n", {}, "'inf' in column v"),
    "no value at all": ("date,v\n2024-01-02,\n", {}, "has no value"),
    "two values": ("date,v\n2024-01-02,1\n2024-01-02,2\n", {}, "several values"),
    "no such column": ("date,w\n2024-01-02,1\n", {}, "no column 'v'"),
    "no column of times": ("day_of_it,v\n2024-01-02,1\n", {}, "no column of times"),
    "no zone": ("date,v\n2024-01-02 08:00,1\n", {}, "has no time zone"),
    "the future": ("date,v\n2027-01-02,1\n", {}, "after tomorrow"),
    "a session that never is": ("date,v\n2024-01-02,1\n", {"known_after": "session_close"}, "never closes"),
    "known before": ("date,v\n2024-01-02,1\n", {"known_after": "-1d"}, "known_after"),
    "a holiday": (
        "date,v\n" + "".join(f"2024-{m:02d}-{d:02d},1\n" for m, d in [(7, 2), (7, 4)]),
        {"known_after": "session_close", "instrument": "AAPL"}, "2024-07-04",
    ),
}  # fmt: skip


@pytest.mark.parametrize("why", WRONG_OBSERVATIONS)
def test_observations_that_cannot_be_are_refused(workspace: Workspace, home: Path, tmp_path: Path, why: str) -> None:
    text, said, words = WRONG_OBSERVATIONS[why]
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises((DataInvalid, RequestInvalid)) as refused:
        _observe(workspace, tmp_path / "a.csv", **said)
    assert words in str(refused.value)
    assert not home.exists()


# Real data -----------------------------------------------------------------------------------------------------------


@pytest.mark.shared_data
def test_the_map_of_the_shared_data_tells_of_every_file(shared_data: Path) -> None:
    plan = read_map(MAP)
    with (shared_data / "MANIFEST.csv").open(encoding="utf-8") as lines:
        listed = [row["path"] for row in csv.DictReader(lines)]
    here = [p.relative_to(shared_data).as_posix() for p in shared_data.rglob("*") if p.is_file()]
    assert len(listed) > 300
    assert [p for p in {*listed, *here} if not list(plan.of(p))] == []
    entries = (*plan.files, *plan.observations)
    assert [e.pattern for e in entries if all(e.match(p) is None for p in here)] == []
    skipped = [p for p in here if any(entry.skip for entry, _ in plan.of(p))]
    market = ("crypto/", "index/", "stocks/", "macro/", "onchain/")
    assert [p for p in skipped if p.startswith(market) and "_files/" not in p] == []


@pytest.mark.shared_data
def test_real_observations_come_in_with_their_rows(workspace: Workspace, shared_data: Path, tmp_path: Path) -> None:
    """The folders of the shared data that hold observations, by the map of all; values read again by other means."""
    done = _copied(workspace, shared_data, tmp_path)
    assert done.in_state("refused") == ()
    by_series = {o.series: o for o in done.in_state("stored")}
    assert by_series["close of VIX.INDEX from yahoo"].added == 1549
    assert by_series["close of VIX.INDEX from fred"].added == 1305 - 46
    assert by_series["fear_greed of BTC-USD from alternative-me"].added == 2250
    assert by_series["price_usd of BTC-USD from coinmetrics"].added == 5901 - 561
    btc = Instrument.parse("BTC-USD")
    with gzip.open(shared_data / "onchain/btc_coinmetrics_2009_2025-02.csv.gz", "rt") as lines:
        last = list(csv.DictReader(lines))[-1]
    price = workspace.lake.read_observations(btc, "price_usd", "coinmetrics").frame.row(-1)
    assert price == (utc(2025, 2, 28), utc(2025, 3, 1), float(last["PriceUSD"]))
    addresses = workspace.lake.read_observations(btc, "active_addresses", "coinmetrics").frame.row(-1)
    assert addresses[1:] == (utc(2025, 3, 2), float(last["AdrActCnt"]))
    assert addresses[1].timestamp() > float(last["AssetEODCompletionTime"]), "not before the vendor was done"


def _copied(workspace: Workspace, shared_data: Path, tmp_path: Path) -> FolderImported:
    folder = tmp_path / "some"
    for name in ("macro", "onchain", "index/1d/yahoo_1999_2018"):
        for path in (shared_data / name).rglob("*.csv*"):
            place = folder / path.relative_to(shared_data)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return import_folder(workspace, ImportFolderRequest(path=folder, map=MAP))
