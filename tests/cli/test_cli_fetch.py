"""Fetching as a user does, each source over a real connection to a server that plays the venues."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from venues.fault_server import Fault, FaultServer
from venues.playing import EXCHANGES, Stage
from venues.venue_coinmetrics import PLAN

if TYPE_CHECKING:
    from cli.conftest import Cli

pytestmark = pytest.mark.enable_socket
START = "2023-06-01"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A world whose clock is that of the command line, too: no test waits."""
    stage = Stage(tmp_path / "unused")
    monkeypatch.setattr("forecastle.workspace.SystemClock", lambda: stage.clock)
    monkeypatch.setattr("forecastle.workspace.pause", stage.clock.sleep)
    return stage


@pytest.fixture
def server(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    with stage.serve() as server:
        monkeypatch.setenv("FORECASTLE__SOURCES__GATEWAY", server.url)
        yield server


@pytest.mark.parametrize(("source", "instrument"), [*EXCHANGES.items(), ("yahoo", "BTC-USD"), ("coingecko", "BTC-USD")])
def test_every_source_ends_with_the_rows_of_the_venue_and_a_second_run_adds_nothing(
    inside: Cli, home: Path, server: FaultServer, stage: Stage, source: str, instrument: str
) -> None:
    words = ("fetch", instrument, "--source", source, "--start", START)
    (first,) = inside(*words, "--json", home=home).document["results"]
    wanted = stage.wanted(instrument, datetime(2023, 6, 1, tzinfo=UTC))
    columns = inside("candles", instrument, "--json", home=home).document["candles"]["columns"]
    assert columns["close"] == pytest.approx([c.close for c in wanted], rel=1e-12)
    if source != "coingecko":  # it knows the close only
        assert columns["high"] == pytest.approx([c.high for c in wanted], rel=1e-12)
    assert (first["added"], first["quarantined"], first["gave_up"]) == (len(wanted), 0, None)

    (second,) = inside(*words, "--json", home=home).document["results"]
    assert (second["added"], second["revised"]) == (0, 0)
    assert inside("lake", "verify", home=home).code == 0


def test_a_limit_is_named_and_the_fall_back_brings_the_whole_range(
    inside: Cli, home: Path, server: FaultServer, stage: Stage
) -> None:
    """What coingecko is too young for comes from yahoo."""
    ran = inside("fetch", "BTC-USD", "--source", "coingecko", "--start", "2021-06-01", home=home)
    assert ran.code == 0
    limit, brought = ran.out.splitlines()
    assert "365 days" in limit
    assert brought.startswith("BTC-USD 1d from yahoo: ")
    wanted = stage.wanted("BTC-USD", datetime(2021, 6, 1, tzinfo=UTC))
    columns = inside("candles", "BTC-USD", "--json", home=home).document["candles"]["columns"]
    assert columns["close"] == pytest.approx([c.close for c in wanted], rel=1e-12)


def test_a_venue_that_does_not_serve_this_country_gives_way(
    inside: Cli, home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stage.serve(Fault("451", match="binance", times=99)) as server:
        monkeypatch.setenv("FORECASTLE__SOURCES__GATEWAY", server.url)
        ran = inside("fetch", "BTCUSDT", "--source", "binance", "--start", START, home=home)
    assert ran.code == 0
    assert "451" in ran.out.splitlines()[0]
    assert "BTC-USDT 1d from okx: " in ran.out


def test_a_long_ban_is_told_and_kept_by_the_next_command(
    inside: Cli, home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stage.serve(Fault("429", match="klines", retry_after="3600")) as server:
        monkeypatch.setenv("FORECASTLE__SOURCES__GATEWAY", server.url)
        words = ("fetch", "--source", "binance,binance", "--start", START)
        inside(*words, "BTC-USDT", home=home).complaint(5)
        asked = len(server.asked)
        told = " ".join(inside(*words, "ETH-USDT", home=home).complaint(5))
        assert len(server.asked) == asked, "no symbol of that venue may be asked for before its time"
        assert f"{stage.clock.now() + timedelta(seconds=3600):%Y-%m-%d %H:%M}" in told
        stage.clock.sleep(3601)
        assert inside(*words, "ETH-USDT", home=home).code == 0


@pytest.mark.parametrize("kind", ["503", "html", "cut_json", "reset"])
def test_a_venue_that_stays_broken_costs_nothing_and_says_what_to_do(
    inside: Cli, home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with stage.serve(Fault(kind, match="/candles", at=2, times=999)) as server:
        monkeypatch.setenv("FORECASTLE__SOURCES__GATEWAY", server.url)
        inside("fetch", "BTC-USD", "--source", "coinbase", "--start", "2021-06-01", home=home)
        have = inside("lake", "list", "--json", home=home).document["series"]
    with stage.serve() as server:
        monkeypatch.setenv("FORECASTLE__SOURCES__GATEWAY", server.url)
        (done,) = inside(
            "fetch", "BTC-USD", "--source", "coinbase", "--start", "2021-06-01", "--json", home=home
        ).document["results"]
    assert have, "the pages before the fault are stored"
    wanted = stage.wanted("BTC-USD", datetime(2021, 6, 1, tzinfo=UTC))
    assert done["added"] + have[0]["rows"] == len(wanted)


def test_one_command_refreshes_a_database_that_stands_alone(
    inside: Cli, home: Path, server: FaultServer, stage: Stage, tmp_path: Path
) -> None:
    database, folder = tmp_path / "prices.duckdb", tmp_path / "out"
    words = ("fetch", "BTC-USD", "ETH-USD", "--source", "coinbase", "--start", START, "--csv", "--watch")
    ran = inside(*words, "--duckdb", database, "--out", folder, "--json", home=home)
    assert ran.code == 0
    wanted = stage.wanted("BTC-USD", datetime(2023, 6, 1, tzinfo=UTC))
    with duckdb.connect(str(database), read_only=True) as opened:
        rows = opened.execute("SELECT close FROM btc_prices WHERE timeframe = '1d' ORDER BY open_time").fetchall()
    assert [close for (close,) in rows] == pytest.approx([c.close for c in wanted], rel=1e-12)
    assert {path.name for path in folder.iterdir()} == {
        "BTC-USD_1d_coinbase.csv", "BTC-USD_1d_coinbase.parquet", "ETH-USD_1d_coinbase.csv",
        "ETH-USD_1d_coinbase.parquet", "SHA256SUMS",
    }  # fmt: skip

    stage.clock.sleep(3 * 86_400)
    synced = inside("sync", "--json", home=home).document["results"]
    assert [(s["instrument"], s["added"]) for s in synced] == [
        (name, len(stage.wanted(name, datetime(2023, 6, 1, tzinfo=UTC))) - len(wanted))
        for name in ("BTC-USD", "ETH-USD")
    ]


def test_metrics_of_the_chain_come_as_observations_a_line_each(
    inside: Cli, home: Path, server: FaultServer, stage: Stage, tmp_path: Path
) -> None:
    words = ("fetch", "BTC-USD", "--source", "coinmetrics", "--start", START)
    wanted = stage.wanted("BTC-USD", datetime(2023, 6, 1, tzinfo=UTC))
    ran = inside(*words, "--watch", home=home)
    assert ran.code == 0
    *lines, watched = ran.out.splitlines()
    assert len(lines) == len(PLAN["btc"])
    assert lines[0] == (
        f"BTC-USD 1d from coinmetrics: price_usd (USD): {len(wanted)} added, 0 revised, 0 there already; "
        "the lake holds 2023-06-01 to 2024-05-31"
    )
    assert watched == "1 series on the watch list"

    stage.clock.sleep(2 * 86_400)
    (synced,) = inside("sync", "--json", home=home).document["results"]
    assert {(m["added"], m["revised"], m["unchanged"]) for m in synced["metrics"]} == {(2, 0, 11)}
    database = tmp_path / "all.duckdb"
    (again,) = inside(*words, "--again", "--duckdb", database, "--json", home=home).document["results"]
    assert {(m["added"], m["unchanged"]) for m in again["metrics"]} == {(0, len(wanted) + 2)}
    query = "SELECT value FROM observations WHERE name = 'price_usd' ORDER BY about"
    rows = inside("sql", query, "--json", home=home).document["columns"]["value"]
    assert rows[: len(wanted)] == pytest.approx([c.close for c in wanted], rel=1e-12)
    with duckdb.connect(str(database), read_only=True) as opened:
        assert [value for (value,) in opened.execute(query).fetchall()] == rows
    assert inside("lake", "verify", home=home).code == 0


def test_metrics_that_came_before_a_fault_are_told_with_it(
    inside: Cli, home: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stage.serve(Fault("503", match="page-100", times=99)) as server:
        monkeypatch.setenv("FORECASTLE__SOURCES__GATEWAY", server.url)
        ran = inside("fetch", "BTC-USD", "--source", "coinmetrics", "--start", START, "--json", home=home)
    assert ran.code == 5
    (told,) = ran.document["results"]
    assert {m["added"] for m in told["metrics"]} == {100}
    assert "503" in told["gave_up"]["what"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--source", "coinmetrics,binance"), "--source"),
        (("--source", "yahoo,coinmetrics"), "--source"),
        (("--source", "coinmetrics", "--timeframe", "1d,1h"), "--timeframe"),
        (("--source", "coinmetrics", "--csv"), "--csv"),
        (("--source", "coinmetrics", "--out", "copies"), "--out"),
    ],
)
def test_what_observations_do_not_have_is_refused_before_anything_is_asked(
    inside: Cli, home: Path, server: FaultServer, options: tuple[str, ...], named: str
) -> None:
    what, _, _ = inside("fetch", "BTC-USD", *options, home=home).complaint(2)
    assert named in what
    assert server.asked == []
    assert not home.exists()


def test_a_file_of_another_kind_is_not_replaced_by_a_database(inside: Cli, home: Path, tmp_path: Path) -> None:
    mine = tmp_path / "README.md"
    mine.write_text("mine")
    inside("lake", "export", mine, home=home).complaint(2)
    inside("fetch", "SPX.INDEX", "--source", "bundled", "--duckdb", mine, home=home).complaint(2)
    assert mine.read_text() == "mine"
    assert not home.exists(), "refused before anything is fetched"


@pytest.mark.parametrize("gateway", ["nonsense", "ftp://127.0.0.1", "http://"])
def test_a_gateway_that_is_no_address_is_told_at_once(
    inside: Cli, home: Path, monkeypatch: pytest.MonkeyPatch, gateway: str
) -> None:
    monkeypatch.setenv("FORECASTLE__SOURCES__GATEWAY", gateway)
    what, _, _ = inside("fetch", "BTC-USD", "--source", "coinbase", home=home).complaint(3)
    assert "sources.gateway" in what
