"""Backtests from a file to a report, on the bundled index: what stands in the report is what came out."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import forecastle as fc
from forecastle.app._beside import holding
from forecastle.app._trading import setup_of, trade
from forecastle.app.backtest import Backtested, backtest, backtest_config
from forecastle.app.fetch import fetch
from forecastle.app.train import train_config
from forecastle.backtest.view import View
from forecastle.errors import NameUnknown, RequestInvalid
from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.header import read_header
from forecastle.experiments.holdout import ENDLESS, HoldoutLog
from forecastle.experiments.strategy_spec import backtest_of
from forecastle.experiments.trials import TrialLog
from forecastle.nouns.scorecard import Figure
from forecastle.requests import FetchRequest, build
from forecastle.workspace import Workspace
from trading import config, document, request, with_index

TRAINING = {
    "target": "direction", "learners": [{"name": "logistic", "strength": 0.1}],
    "features": {"columns": ["log_return_1", "realized_volatility_20", "rsi_14", "sma_distance_50"]},
}  # fmt: skip


@pytest.fixture
def index(workspace: Workspace) -> Workspace:
    return with_index(workspace)


def _value(found: Figure) -> float:
    assert found.value is not None, found.reason
    return found.value


def test_trained_traded_and_reported(index: Workspace, tmp_path: Path) -> None:
    asked = request(tmp_path, strategy={"name": "model", "enter": 0.52, "leave": 0.5, "cost_multiple": 0.0},
                    walk_forward={"count": 3, "start": 0.4}, training=TRAINING)  # fmt: skip
    trained = train_config(index, backtest_of(document(
        strategy={"name": "model"}, walk_forward={"count": 3, "start": 0.4}, training=TRAINING,
    )).training_config())  # fmt: skip
    found = backtest(index, asked)
    _is_told(found)
    learned = trained.results[0]
    first = learned.series.dataset.frame.known_at()[learned.rows[0]]
    assert found.result.market.close_time[0] == first, "it trades before there is a forecast, or later than it could"
    assert found.result.fills.height > 10
    enter = np.flatnonzero(learned.forecasts["logistic"] >= 0.52)[0]
    closes = learned.series.dataset.frame.known_at()[learned.rows[enter]]
    bought = found.result.fills.row(0, named=True)
    row = int(np.searchsorted(found.result.market.close_time, closes))
    assert bought["bar"] == row + 1
    assert bought["price"] == found.result.market.open[row + 1, 0]


def _is_told(found: Backtested) -> None:
    """The page, the Markdown, the numbers and the tables say what the result holds."""
    result, folder = found.result, found.folder
    assert folder is not None
    told = json.loads((folder.path / "backtest.json").read_text())
    for name, figure in result.figures.items():
        assert told["figures"][name]["value"] == figure.value
        assert told["figures"][name]["low"] == figure.low
    assert told["final_equity"] == result.equity[-1]
    assert told["cash"] + told["gross"] - sum(told["costs"].values()) == pytest.approx(told["final_equity"], rel=1e-12)
    fills = pl.read_parquet(folder.path / "fills.parquet")
    assert fills.equals(result.fills)
    assert pl.read_parquet(folder.path / "equity.parquet")["equity"].to_list() == result.equity.tolist()
    page, report = (folder.path / "report.html").read_text(), (folder.path / "backtest_report.md").read_text()
    total, sharpe = (100.0 * _value(result.figures["total_return"]), _value(result.figures["sharpe"]))
    for text in (page, report):
        assert f"{total:,.2f}" in text
        assert f"{sharpe:.2f}" in text
    assert read_header(folder.path / "backtest_report.md").id == folder.id
    assert f"{total / 100:.4g}" in read_header(folder.path / "backtest_report.md").metrics


def test_each_is_a_trial_and_a_repeat_is_none(index: Workspace) -> None:
    first = backtest_config(index, config())
    again = backtest_config(index, config(objective="other words"))
    other = backtest_config(index, config(strategy={"name": "crossover", "fast": 10, "slow": 100}))
    assert (first.result.trials, again.result.trials, other.result.trials) == (1, 1, 2)
    log = TrialLog(index.settings.home, index.clock)
    assert [t.kind for t in log.trials()] == ["backtest"] * 3
    _, returns = log.series(log.trials()[0])
    assert returns.tolist() == first.result.returns.tolist()
    assert other.result.deflated is not None
    assert other.result.deflated.trials == 2
    assert again.result.equity.tobytes() == first.result.equity.tobytes()


def test_what_is_held_out_is_not_traded(index: Workspace) -> None:
    start = datetime(2015, 1, 1, tzinfo=UTC)
    HoldoutLog(index.settings.home, index.clock).lock(DataSpan(("SPX.INDEX",), "1d", "", start, ENDLESS))
    found = backtest_config(index, config())
    assert found.held_out
    assert not found.opened
    assert found.result.market.close_time[-1] < np.datetime64("2015-01-01")
    opened = backtest_config(index, config(), opening="a look at the end")
    assert opened.opened
    assert opened.result.market.close_time[-1] > found.result.market.close_time[-1]


def test_holding_is_what_a_hand_computes(index: Workspace) -> None:
    setup = setup_of(index, config())
    held = holding(setup)
    opened, closes = setup.market.open[1, 0], setup.market.close[:, 0]
    costs = setup.costs
    share = 1.0 / setup.market.close[0, 0]
    units = 100_000.0 * share
    slip = costs.half_spread
    fee = max(costs.smallest_fee, costs.fee_per_unit * units)
    most = 100_000.0 / (opened * (1.0 + (slip * units * opened + fee) / (units * opened)))
    bought = min(units, most)
    left = 100_000.0 - bought * opened * (1.0 + slip) - max(costs.smallest_fee, costs.fee_per_unit * bought)
    np.testing.assert_allclose(held.equity[1:], left + bought * closes[1:], rtol=1e-12)
    assert held.equity[0] == 100_000.0


def test_benchmarks_and_readings_mean_what_they_say(index: Workspace) -> None:
    result = backtest_config(index, config()).result
    named = {b.name: b for b in result.benchmarks}
    mine = _value(result.figures["volatility"])
    assert _value(named["Held at the same volatility"].figures["volatility"]) == pytest.approx(mine, rel=0.02)
    random = named["Random entries, median"]
    assert random.p_value is not None
    assert 1 / 31 <= random.p_value <= 1.0
    readings = {r.name: _value(r.figures["total_return"]) for r in result.readings}
    assert readings["worst order within the bar"] == _value(result.figures["total_return"])
    assert readings["fees, spread and impact doubled"] < readings["worst order within the bar"]
    assert readings["no costs at all"] > readings["worst order within the bar"]


def test_nothing_traded_says_why(index: Workspace) -> None:
    result = backtest_config(index, config(strategy={"name": "rules", "enter": ["close < 0"]})).result
    assert result.signals == 0
    assert result.fills.height == 0
    assert any("wished nothing" in line for line in result.why)
    for name in ("sharpe", "sortino", "win_rate", "profit_factor", "mar"):
        assert result.figures[name].value is None
        assert result.figures[name].reason
    short = backtest_config(
        index, config(strategy={"name": "crossover", "fast": 20, "slow": 100, "short": True})
    ).result
    assert any("does not go short" in line for line in short.why)


def test_nineteen_days_have_no_yearly_figures(index: Workspace) -> None:
    result = backtest_config(index, config(data={
        "instruments": "SPX.INDEX", "source": "bundled", "start": "2018-12-03", "end": "2018-12-29",
    }, strategy="hold")).result  # fmt: skip
    assert len(result.market) < 20
    for name in ("cagr", "sharpe", "sortino", "volatility", "mar", "calmar", "turnover"):
        assert result.figures[name].value is None
        assert result.figures[name].reason
    assert result.figures["total_return"].value is not None


def test_two_markets_share_one_account(workspace: Workspace) -> None:
    names = ("BTC-USDT", "ETH-USDT")
    fetch(workspace, build(FetchRequest, instruments=names, sources=("simulated",), timeframes=("1d",)))
    result = backtest_config(workspace, config(
        data={"instruments": list(names), "source": "simulated"}, costs={"venue": "binance"},
        strategy={"name": "volatility_target", "annual": 0.5}, sizing={"name": "fraction", "rebalance": True},
        execution={"band": 0.02},
    )).result  # fmt: skip
    assert set(result.fills["instrument"]) == set(names)
    assert result.simulated
    assert not (result.position < 0).any()
    worth = np.nansum(np.where(result.position > 0, result.position * result.market.close, 0.0), axis=1)
    assert (worth <= result.equity * (1 + 1e-9)).all()
    assert result.market.names == names


def test_the_python_face() -> None:
    import forecastle.backtest

    assert callable(forecastle.backtest)
    candles = fc.Candles.from_columns(fc.Instrument.parse("AAA-USDT"), "1d", "made", _walk(400))
    result = fc.backtest(candles, fc.strategies.Crossover(5, 20), replications=99)
    assert result.equity.shape == (400,)
    assert result.fills.height > 4
    assert _value(result.scores["total_return"]) == result.equity[-1] / 100_000.0 - 1.0
    assert len(result.plot().data) >= 3


def test_a_report_of_one_s_own(tmp_path: Path) -> None:
    candles = fc.Candles.from_columns(fc.Instrument.parse("AAA-USDT"), "1d", "made", _walk(200))
    page = fc.backtest(candles, fc.strategies.Hold(), replications=99).report(tmp_path / "x.html")
    assert "<html" in page.read_text()
    assert "http://" not in page.read_text().split("<script")[0]


class Waits:
    """Buys on the tenth close, sells on the thirtieth, and notes what it saw."""

    needs = ("sma_5",)

    def __init__(self) -> None:
        self.seen: list[View] = []

    def decide(self, view: View) -> fc.Signal | None:
        self.seen.append(view)
        if view.bar == 10:
            return fc.Signal(1.0)
        return fc.Signal(0.0) if view.bar == 30 else None


def test_a_class_sees_the_past_and_its_account_alone() -> None:
    table = _walk(60)
    candles = fc.Candles.from_columns(fc.Instrument.parse("AAA-USDT"), "1d", "made", table)
    mine = Waits()
    result = fc.backtest(candles, mine, replications=99)
    assert result.fills["bar"].to_list() == [11, 31]
    for bar, view in enumerate(mine.seen):
        assert view.bar == bar
        assert view.close.shape == (bar + 1,)
        assert view.close[-1] == table["close"][bar]
        assert view.equity == result.equity[bar]
        assert view.position[0] == result.position[bar, 0]
        with pytest.raises(ValueError, match="read-only"):
            view.close[0] = 1.0
    held = mine.seen[20]
    assert held["sma_5"][-1] == pytest.approx(np.mean(table["close"][16:21]))


def test_nothing_of_later_lies_behind_a_view() -> None:
    candles = fc.Candles.from_columns(fc.Instrument.parse("AAA-USDT"), "1d", "made", _walk(60))

    class Digs:
        def decide(self, view: View) -> None:
            behind = view.close
            while behind.base is not None:
                behind = behind.base
            assert np.isnan(behind[view.bar + 1 :]).all(), "the future lies behind the view"

    fc.backtest(candles, Digs(), replications=99)


def test_bad_wishes_and_names_are_told() -> None:
    candles = fc.Candles.from_columns(fc.Instrument.parse("AAA-USDT"), "1d", "made", _walk(60))

    class Wishes:
        def __init__(self, wish: fc.Signal) -> None:
            self.wish = wish

        def decide(self, view: View) -> fc.Signal:
            return self.wish

    with pytest.raises(NameUnknown, match="limit"):
        fc.backtest(candles, Wishes(fc.Signal(1.0, kind="limt", limit=3.0)))
    with pytest.raises(RequestInvalid, match="no limit"):
        fc.backtest(candles, Wishes(fc.Signal(1.0, kind="limit")))
    with pytest.raises(RequestInvalid, match="weight"):
        fc.backtest(candles, Wishes(fc.Signal(math.nan)))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"strategy": "crossovr"}, "crossover"),
        ({"sizing": "frction"}, "fraction"),
        ({"cost": {}}, "costs"),
        ({"costs": {"vnue": "x"}}, "venue"),
        ({"costs": {"venue": "binanse"}}, "binance"),
        ({"account": {"cash": -1}}, "greater than 0"),
        ({"account": {"kind": "cross", "leverage": 100}, "costs": {"venue": "interactive_brokers"}}, "allows up to 2"),
        ({"account": {"kind": "cross"}, "costs": {"venue": "kraken"}}, "no margin"),
        ({"strategy": {"name": "crossover", "fast": 50, "slow": 20}}, "fewer than the slow"),
        ({"strategy": {"name": "crossover", "fst": 5}}, "no setting"),
        ({"strategy": {"name": "rules", "enter": ["close >> 3"]}}, "word of a rule"),
        ({"strategy": {"name": "model"}}, "needs training"),
        ({"strategy": {"name": "model"}, "training": {"split": "purged_kfold"}}, "has a split"),
        ({"strategy": {"name": "model"}, "training": {"target": "return", "learners": ["ridge"]}}, "another thing"),
        ({"strategy": {"name": "python", "file": "mine.py"}}, "python"),
        ({"sizing": "risk"}, "sets no stop"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(index: Workspace, changed: dict[str, Any], words: str) -> None:
    with pytest.raises((RequestInvalid, NameUnknown)) as told:
        backtest_config(index, config(**changed))
    assert words in str(told.value), str(told.value)


def test_random_entries_find_no_timing_in_noise() -> None:
    """Signals drawn without a look at prices: their p-values are not small more often than they should be."""
    small = 0
    for seed in range(40):
        candles = fc.Candles.from_columns(fc.Instrument.parse("AAA-USDT"), "1d", "made", _walk(300, seed))
        rng = np.random.default_rng(seed)
        forecast = np.repeat(rng.random(30), 10)
        found = fc.backtest(candles, fc.strategies.ModelDriven(0.6, 0.5, cost_multiple=0.0), forecast=forecast,
                            replications=99, seed=seed)  # fmt: skip
        random = [b for b in found.benchmarks if b.p_value is not None]
        small += bool(random and random[0].p_value is not None and random[0].p_value <= 0.1)
    assert small <= 10, "a tenth of forty is four; more than ten has a chance of three in ten thousand"


def _walk(n: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, n)))
    opened = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(opened, close) * 1.005, np.minimum(opened, close) / 1.005
    times = np.datetime64("2020-01-01", "us") + np.arange(n) * np.timedelta64(1, "D")
    return {"open_time": times, "close_time": times + np.timedelta64(1, "D"), "open": opened, "high": high, "low": low,
            "close": close, "volume": np.full(n, 1e6)}  # fmt: skip


def test_setups_are_traded_alike_twice(index: Workspace) -> None:
    setup = setup_of(index, config())
    one, two = trade(setup)[0], trade(setup)[0]
    assert one.equity.tobytes() == two.equity.tobytes()
    assert one.fills.tobytes() == two.fills.tobytes()
