"""The commands about strategies as a user runs them, wrong input too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from trading import document

if TYPE_CHECKING:
    from cli.conftest import Cli

SMALL = {"data": {"instruments": "SPX.INDEX", "source": "bundled", "start": "2012-01-01"}}


@pytest.fixture
def home(tmp_path: Path, cli: Cli) -> Path:
    place = tmp_path / "home"
    assert cli("fetch", "SPX.INDEX", "--source", "bundled", "--timeframe", "1d", home=place).code == 0
    return place


def _file(home: Path, **changed: Any) -> Path:
    path = home.parent / "made.yaml"
    path.write_text(yaml.safe_dump(document(**{**SMALL, **changed})))
    return path


def test_a_backtest_says_what_it_earned_and_where_it_is_kept(cli: Cli, home: Path) -> None:
    ran = cli("backtest", _file(home), "--json", home=home)
    assert ran.code == 0, ran.err
    told = ran.document
    assert told["schema"] == "forecastle/backtest/1"
    assert told["trials"] == 1
    assert (Path(told["folder"]) / "report.html").is_file()
    shown = cli("backtest", _file(home), home=home)
    assert f"{100 * told['figures']['total_return']['value']:,.2f} %" in shown.out
    assert "Buy and hold" in shown.out
    assert "periods a year" in shown.out


def test_the_other_commands_answer(cli: Cli, home: Path) -> None:
    path = _file(home, choose={"fast": [10, 20]}, sweep={"fast": [10, 20, 30]}, walk_forward={"count": 3})
    walked = cli("walk-forward", path, "--json", home=home)
    assert walked.code == 0, walked.err
    assert [w["number"] for w in walked.document["windows"]] == [1, 2, 3]
    swept = cli("sweep", path, "--json", home=home)
    assert swept.code == 0, swept.err
    assert len(swept.document["sets"]) == 3
    assert swept.document["trials"] >= 4
    clean = cli("check", "leaks", path, "--bars", 200, "--cuts", 5, "--json", home=home)
    assert clean.code == 0
    assert clean.document["clean"] is True


def test_what_is_wrong_is_three_lines_and_a_code(cli: Cli, home: Path) -> None:
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"cost": {}}, 2, "Did you mean 'costs'"),
        ({"strategy": "crosover"}, 2, "crossover"),
        ({"data": {"instruments": "BTC-USDT"}}, 4, "BTC-USDT"),
    ]
    for changed, code, words in cases:
        ran = cli("backtest", _file(home, **changed), home=home)
        ran.complaint(code)
        assert words in ran.err
    assert "cannot be read" in cli("backtest", "absent.yaml", home=home).complaint(4)[0]


def test_one_strategy_is_audited_at_a_time(cli: Cli, home: Path) -> None:
    assert cli("check", "leaks", _file(home), "other.yaml", home=home).code == 2
