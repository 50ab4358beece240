"""Volatility through the command line: the numbers against formulas from outside, and against the Python face."""

from __future__ import annotations

import importlib.util
import math
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

import forecastle as fc

if TYPE_CHECKING:
    from cli.conftest import Cli, Ran

SHORT = ("--window", "500", "--start", "2018-10-01")


@pytest.fixture(scope="module")
def closes() -> np.ndarray[Any, np.dtype[np.float64]]:
    """The closes of the S&P 500 as their publisher wrote them."""
    found = importlib.util.find_spec("arch")
    assert found is not None
    assert found.origin is not None
    return pl.read_csv(Path(found.origin).parent / "data" / "sp500" / "sp500.csv.gz")["Close"].to_numpy()


def _document(ran: Ran, name: str) -> dict[str, Any]:
    assert (ran.code, ran.err) == (0, ""), ran.err
    assert ran.document["schema"] == f"forecastle/{name}/1"
    return ran.document


def test_the_forecast_is_that_of_the_formula_and_of_the_python_face(
    cli: Cli, filled: Path, closes: np.ndarray[Any, np.dtype[np.float64]]
) -> None:
    made = _document(cli("volatility", "forecast", "SPX.INDEX", "--json", home=filled), "volatility-forecast")
    by_model = {f["model"]: f for f in made["forecasts"]}
    returns = np.diff(np.log(closes))
    assert by_model["Random walk (22)"]["sigma"] == pytest.approx(np.std(returns[-22:], ddof=1), rel=1e-12)

    candles = fc.load("SPX.INDEX", home=filled)
    fitted = fc.GarchModel(dist="t").fit(candles.last(1001)).forecast(1)
    told = by_model["GARCH(1,1)-t"]
    assert told["sigma"] == fitted.sigma
    assert told["var"]["0.01"] == fitted.var(0.01)
    assert (told["data_hash"], told["model_hash"]) == (fitted.data_hash, fitted.model_hash)
    assert (told["as_of"], told["target_time"]) == ("2018-12-31T21:00:00Z", "2019-01-02T21:00:00Z"), (
        "1 January is a holiday"
    )
    for one in made["forecasts"]:
        assert one["simulated"] is False
        assert one["annual_sigma"] == pytest.approx(one["sigma"] * math.sqrt(252), rel=1e-12)
        assert 0 < one["var"]["0.05"] < one["var"]["0.01"] < one["es"]["0.01"]


def test_horizon_model_and_distribution_are_heard(inside: Cli, filled: Path) -> None:
    words = ("volatility", "forecast", "SPX.INDEX", "--window", "500")
    (month,) = inside(*words, "--model", "random_walk", "--horizon", "22", "--json", home=filled).document["forecasts"]
    (day,) = inside(*words, "--model", "random_walk", "--json", home=filled).document["forecasts"]
    assert month["sigma"] == pytest.approx(day["sigma"] * math.sqrt(22), rel=1e-12)
    (normal,) = inside(*words, "--dist", "normal", "--json", home=filled).document["forecasts"]
    assert normal["model"] == "GARCH(1,1)-normal"
    assert "Random walk (22)" in inside(*words, "--model", "random_walk", home=filled).out


def test_kupiec_of_the_backtest_is_that_of_the_formula(inside: Cli, filled: Path) -> None:
    words = ("SPX.INDEX", *SHORT, "--level", "0.05")
    told = _document(inside("volatility", "backtest", *words, "--json", home=filled), "volatility-backtest")
    n, x, p = told["observations"], told["breaches"], 0.05
    assert n == 63, "trading days of the last quarter of 2018"
    assert 0 < x < n
    assert told["expected"] == pytest.approx(n * p)
    share = x / n
    ratio = -2 * ((n - x) * math.log(1 - p) + x * math.log(p) - (n - x) * math.log(1 - share) - x * math.log(share))
    assert told["kupiec"]["statistic"] == pytest.approx(ratio, rel=1e-9)
    assert told["kupiec"]["p_value"] == pytest.approx(math.erfc(math.sqrt(ratio / 2)), rel=1e-9), "chi-squared, 1 df"

    path = _document(inside("volatility", "rolling", *words, "--json", home=filled), "volatility-rolling")["rolling"]
    rows = list(zip(path["frame"]["outcome"], path["frame"]["var"], strict=True))
    assert len(rows) == n
    assert sum(outcome < -var for outcome, var in rows) == path["breaches"] == x


def test_the_rolling_outcomes_are_the_returns_of_the_publisher(
    inside: Cli, filled: Path, closes: np.ndarray[Any, np.dtype[np.float64]]
) -> None:
    ran = inside("volatility", "rolling", "SPX.INDEX", *SHORT, "--model", "random_walk", "--json", home=filled)
    frame = ran.document["rolling"]["frame"]
    outcome = np.array(frame["outcome"])
    assert frame["target_time"][-1] == "2018-12-31T21:00:00Z"
    returns = np.diff(np.log(closes))
    # the day of mourning for G. H. W. Bush (5 December 2018) was no session, so no return is left out around it
    assert outcome[-15:] == pytest.approx(returns[-15:], rel=1e-12)
    sigmas = [np.std(returns[k - 22 : k], ddof=1) for k in range(-15, 0)]
    assert frame["sigma"][-15:] == pytest.approx(sigmas, rel=1e-9)


def test_fit_compare_and_report_hang_together(inside: Cli, filled: Path, tmp_path: Path) -> None:
    fit = _document(
        inside("volatility", "fit", "SPX.INDEX", "--start", "2016-01-01", "--json", home=filled), "volatility-fit"
    )
    assert fit["fit"]["observations"] == 753, "one less than the 754 sessions of 2016 to 2018"
    assert [p["name"] for p in fit["fit"]["parameters"]] == ["mu", "omega", "alpha[1]", "beta[1]", "nu"]
    spoken = inside("volatility", "fit", "SPX.INDEX", "--start", "2016-01-01", home=filled)
    assert "alpha[1]" in spoken.out
    assert "Student's t" in spoken.out

    told = _document(inside("volatility", "compare", "SPX.INDEX", *SHORT, "--json", home=filled), "volatility-compare")
    losses = [score["qlike"] for score in told["scores"]]
    assert losses == sorted(losses)
    assert {s["model"] for s in told["scores"] if s["naive"]} == {"Random walk (22)", "Historical", "EWMA (0.94)"}
    assert (told["observations"], told["simulated"]) == (63, False)

    out = tmp_path / "the [first] report.html"
    written = _document(inside("report", "SPX.INDEX", *SHORT, "--out", out, "--json", home=filled), "report")
    assert written["path"] == str(out)
    assert written["reports"][0]["verdict"] == told["verdict"]
    page = out.read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert page.rstrip().lower().endswith("</html>")


def test_simulated_data_say_so_whatever_is_asked(inside: Cli, filled: Path, tmp_path: Path) -> None:
    short = ("BTC-USD", "--window", "500", "--start", "2017-12-01")
    asked = {
        "forecast": ("volatility", "forecast", "BTC-USD", "--window", "500", "--model", "ewma"),
        "compare": ("volatility", "compare", *short),
        "backtest": ("volatility", "backtest", *short, "--model", "ewma"),
    }
    for name, words in asked.items():
        assert inside(*words, home=filled).out.startswith("SIMULATED DATA"), name
        told = inside(*words, "--json", home=filled).document
        assert (told["forecasts"][0] if name == "forecast" else told)["simulated"] is True
    out = tmp_path / "report.html"
    told = inside("report", *short, "--out", out, "--json", home=filled).document
    assert told["reports"][0]["simulated"] is True
    assert "simulated" in out.read_text(encoding="utf-8").lower()


def test_a_rolling_forecast_stopped_in_the_middle(script: Path, filled: Path) -> None:
    """The bar on a terminal shows when the work is on its way; then comes Ctrl-C."""
    before = {str(p): p.stat().st_mtime_ns for p in filled.rglob("*")}
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [script, "volatility", "rolling", "SPX.INDEX", "--refit", "1", "--json", "--home", filled],
        stdout=subprocess.PIPE, stderr=theirs, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=os.environ | {"TERM": "xterm"}, text=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = b""
        while b"GARCH(1,1)-t" not in seen:
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        said = _rest(ours)
        out, _ = process.communicate()
    assert process.returncode == 130, said
    assert "Interrupted." in said
    assert "Traceback" not in said
    assert '"code": "interrupted"' in out
    assert {str(p): p.stat().st_mtime_ns for p in filled.rglob("*")} == before


def _rest(terminal: int) -> str:
    said = b""
    while True:
        try:
            more = os.read(terminal, 4096)
        except OSError:  # Linux: the other side is closed
            more = b""
        if not more:
            os.close(terminal)
            return said.decode()
        said += more
