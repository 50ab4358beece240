"""Portfolios through the command line: the parts sum to the whole, and the numbers are those of the Python face."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cli.conftest import Ran
from forecastle.app.look import load
from forecastle.app.portfolio import portfolio, portfolio_of
from forecastle.cli._face import Face
from forecastle.cli._json import plain
from forecastle.cli.portfolio import portfolio as command
from forecastle.errors import DataMissing, ForecastRefused, RequestInvalid
from forecastle.models.correlation import ConstantCorrelation
from forecastle.nouns.portfolio import JointReturns
from forecastle.requests import PortfolioRequest, SeriesRequest, build
from forecastle.workspace import Workspace
from making import make_candles, utc

if TYPE_CHECKING:
    from rich.console import RenderableType

BOTH = ["SPX.INDEX", "BTC-USD"]


def asked(filled: Path, *ids: str, **options: Any) -> tuple[dict[str, Any], str]:
    """Return the document and the text of the command."""
    answer = command(Face(str(filled)), list(ids or BOTH), window=500, **options)
    assert answer.name == "volatility-portfolio"
    told: dict[str, Any] = json.loads(json.dumps(plain(answer.document), allow_nan=False))
    return told, _text(list(answer.shown))


def _text(shown: list[RenderableType]) -> str:
    from rich.console import Console

    out = io.StringIO()
    for part in shown:
        Console(width=150, file=out).print(part)
    return out.getvalue()


def test_parts_sum_to_the_whole(filled: Path) -> None:
    told, text = asked(filled, weights="0.6,0.4", level=0.05)
    assert [p["instrument"] for p in told["parts"]] == BOTH
    assert [p["weight"] for p in told["parts"]] == [0.6, 0.4]
    for risk in ("var", "es"):
        whole = told[risk]["0.05"]
        assert sum(p[f"component_{risk}"] for p in told["parts"]) == pytest.approx(whole, abs=1e-12)
        assert all(p[f"component_{risk}"] == p["weight"] * p[f"marginal_{risk}"] for p in told["parts"])
    assert told["es"]["0.01"] > told["var"]["0.01"] > told["var"]["0.05"] > 0
    w = np.array([0.6, 0.4])
    assert told["sigma"] == pytest.approx(math.sqrt(w @ np.array(told["covariance"]) @ w), rel=1e-12)
    assert told["correlation"][0][1] == told["correlation"][1][0]
    assert told["diversification_ratio"] > 1
    assert told["converged"]
    assert text.startswith("SIMULATED DATA")
    assert told["simulated"] is True
    assert "DCC(1,1)" in text
    assert f"{told['common_bars']} bars are common to all" in text


def test_it_is_the_python_face_on_the_common_days(filled: Path) -> None:
    """Equal weights by default; the model sees the last common returns, and the bar ends with the later market."""
    told, _ = asked(filled, model="ccc", horizon=5)
    request = build(PortfolioRequest, instruments=tuple(BOTH), window=500, model="ccc", horizon=5)
    made = portfolio(Workspace.open(filled), request)
    assert told["sigma"] == made.sigma
    assert told["data_hash"] == made.data_hash
    parts = [load(Workspace.open(filled), build(SeriesRequest, instrument=name)) for name in BOTH]
    joint = JointReturns.of(parts)
    assert told["common_bars"] == joint.common
    covariance = ConstantCorrelation().fit(joint.values[-500:]).covariances(5).sum(axis=0)
    assert made.sigma == pytest.approx(math.sqrt(covariance.mean()), rel=1e-12), "equal halves"
    assert made.as_of == utc(2017, 12, 30), "the coin's day of 29 December, a Friday"
    assert made.target_time == utc(2018, 1, 9), "five sessions on: 2, 3, 4, 5, 8 January"


def test_a_short_position_adds_what_it_takes(filled: Path) -> None:
    told, text = asked(filled, weights="1,-0.5", model="ccc")
    assert told["parts"][1]["weight"] == -0.5
    assert told["converged"]
    assert "-0.500" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "1"}, "1 weights for 2 instruments"),
        ({"weights": "0,0"}, "not all zero"),
        ({"weights": "nan,1"}, "finite"),
        ({"weights": "a,b"}, "number"),
        ({"model": "garch"}, "'ccc' or 'dcc'"),
        ({"horizon": 31}, "30"),
        ({"level": 0.7}, "0.5"),
    ],
)
def test_a_wrong_question_is_refused(filled: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        asked(filled, **options)
    assert words in str(refused.value)


def test_which_instruments(filled: Path) -> None:
    with pytest.raises(RequestInvalid, match="instruments"):
        asked(filled, "SPX.INDEX")
    with pytest.raises(RequestInvalid) as twice:
        asked(filled, "SPX.INDEX", "^GSPC")
    assert "named twice" in str(twice.value)
    with pytest.raises(DataMissing, match="AAPL"):
        asked(filled, "SPX.INDEX", "AAPL")


def test_too_few_common_bars_are_refused() -> None:
    """600 days of a coin and 300 sessions meet on fewer days than the window wants."""
    parts = [make_candles(600, instrument="BTC-USD"), make_candles(300, instrument="AAPL", seed=1)]
    request = build(PortfolioRequest, instruments=("BTC-USD", "AAPL"), window=500)
    with pytest.raises(ForecastRefused, match="300 bars are common to all, with 299 returns; the window takes 500"):
        portfolio_of(parts, request)


def test_the_command_is_there(inside: Any, filled: Path) -> None:
    ran: Ran = inside("volatility", "portfolio", *BOTH, "--window", "500", "--json", home=filled)
    assert (ran.code, ran.err) == (0, "")
    assert ran.document["schema"] == "forecastle/volatility-portfolio/1"
    assert ran.document["model"] == "DCC(1,1)-GARCH(1,1)-t"
