"""Stress: scenarios do what they say, and the chance of liquidation is that which simulated markets show."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from forecastle.app._scenarios import STOCKS, bootstrapped
from forecastle.app._trading import setup_of, trade
from forecastle.app.stress import Stressed, _without, stress
from forecastle.backtest.liquidation import liquidated_by, share_interval
from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.workspace import Workspace
from trading import config, request, with_index

FloatArray = npt.NDArray[np.float64]


@pytest.fixture
def stressed(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stressed:
    monkeypatch.setattr("forecastle.app.stress.PATHS", 12)
    return stress(with_index(workspace), request(tmp_path, data={"instruments": "SPX.INDEX", "source": "bundled"},
                                                 strategy={"name": "crossover", "fast": 10, "slow": 50}))  # fmt: skip


def test_every_kind_of_scenario_is_there_and_does_what_it_says(stressed: Stressed) -> None:
    found = {s.name: s for s in stressed.stress.scenarios}
    assert {s.kind for s in found.values()} == {"history", "market", "costs", "parameters", "bootstrap"}
    absent = [c.name for c in STOCKS if not found[c.name].figures]
    assert absent == ["October 1987", "March 2020", "2022"], "the bundled index is of 1999 to 2018"
    base = stressed.stress.base["total_return"].value
    assert base is not None
    totals = {n: s.figures["total_return"].value for n, s in found.items() if s.figures}
    two, five = totals["costs times 2"], totals["costs times 5"]
    assert two is not None
    assert five is not None
    assert five < two < base
    crash, gap, lost = totals["1987-like"], totals["gap"], found["2008"].hold
    assert crash is not None
    assert gap is not None
    assert crash < base
    assert gap < base
    assert lost is not None
    assert lost < -0.3
    luck = found["drawn candles"].figures["total_return"]
    assert luck.low is not None
    assert luck.high is not None
    assert luck.low < luck.high
    assert stressed.folder.path.joinpath("report.html").is_file()
    assert {(c.side, c.leverage) for c in stressed.stress.liquidation} >= {("long", 1.0), ("short", 20.0)}


def test_an_outage_trades_nothing(workspace: Workspace) -> None:
    setup = setup_of(with_index(workspace), config(strategy={"name": "volatility_target", "annual": 0.1}))
    done, _ = trade(setup)
    moment = setup.market.close_time[100]
    out = _without(setup, moment, 3)
    run, _ = trade(out)
    assert np.isin([100, 101, 102], done.column("bar")).any(), "it would have traded there"
    assert not np.isin([100, 101, 102], run.column("bar")).any()
    assert len(out.market) == len(setup.market)
    assert not out.market.present[100:103].any()


def test_drawn_histories_are_of_the_bars_there_were(workspace: Workspace) -> None:
    setup = setup_of(with_index(workspace), config())
    (drawn,) = bootstrapped(setup.histories, 20.0, np.random.default_rng(1))
    old, new = setup.histories[0].candles, drawn.candles
    assert new.times("close_time").tolist() == old.times("close_time").tolist()
    before = np.round(np.diff(np.log(old.frame["close"].to_numpy())), 9)
    after = np.round(np.diff(np.log(new.frame["close"].to_numpy())), 9)
    assert np.isin(after, np.concatenate([before, before + 1e-9, before - 1e-9]).round(9)).mean() > 0.999
    pairs = (np.diff(np.searchsorted(np.unique(before), after)) != 0).mean()
    assert pairs > 0.5


STEPS, BARS, PATHS = 96, 10, 4_000


def _garch(paths: int, seed: int, steps: int | None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return returns and sigmas a bar of a known GARCH(1,1), and the log prices of each step within the bars."""
    rng = np.random.default_rng(seed)
    omega, alpha, beta = 2e-5, 0.1, 0.85
    variance = np.full(paths, 1.2e-3)
    returns, sigmas, ways = [], [], []
    level = np.zeros(paths)
    for _ in range(BARS):
        sigma = np.sqrt(variance)
        if steps is None:
            move = sigma * rng.standard_normal(paths)
        else:
            way = np.cumsum(rng.standard_normal((paths, steps)), axis=1) * (sigma / math.sqrt(steps))[:, None]
            ways.append(level[:, None] + way)
            move = way[:, -1]
        level = level + move
        returns.append(move)
        sigmas.append(sigma)
        variance = omega + alpha * move**2 + beta * variance
    within = np.concatenate(ways, axis=1) if ways else np.empty((paths, 0))
    return np.column_stack(returns), np.column_stack(sigmas), within


def _walked(within: FloatArray, side: str, leverage: float, rate: float, funding: float) -> FloatArray:
    """Return the share liquidated by each bar, the margin followed step by step: slow and obvious."""
    price = np.exp(within)
    fallen = np.zeros(within.shape[0], dtype=bool)
    sign, paid, shares = (1.0 if side == "long" else -1.0), np.zeros(within.shape[0]), []
    before = np.ones(within.shape[0])
    for bar in range(BARS):
        paid = paid + sign * funding * before
        for step in range(bar * STEPS, (bar + 1) * STEPS):
            kept = 1.0 / leverage + sign * (price[:, step] - 1.0) - paid
            fallen |= kept <= rate * price[:, step]
        before = price[:, (bar + 1) * STEPS - 1]
        shares.append(fallen.mean())
    return np.array(shares)


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize(("leverage", "funding"), [(3.0, 0.0), (5.0, 0.002), (10.0, 0.0), (20.0, -0.001)])
def test_the_chance_of_liquidation_is_calibrated(side: str, leverage: float, funding: float) -> None:
    """Predicted from closes and sigmas alone, against prices of 96 steps a bar that are followed one by one."""
    returns, sigma, _ = _garch(40_000, 1, None)
    predicted = liquidated_by(returns, sigma, side, leverage, 0.005, funding)  # type: ignore[arg-type]
    _, _, within = _garch(PATHS, 2, STEPS)
    seen = _walked(within, side, leverage, 0.005, funding)
    for horizon in (1, 3, 5, 10):
        p = float(predicted[horizon - 1])
        # steps miss a little of what a path does between them: 96 of them see a barrier 0.06 sigma further off
        low, high = stats.binom.ppf([0.0005, 0.9995], PATHS, p) / PATHS
        assert low - 0.03 * math.sqrt(p * (1 - p)) - 0.002 <= seen[horizon - 1] <= high + 1e-9, (horizon, p, seen)


def test_a_constant_volatility_has_a_closed_form() -> None:
    """Without drift a Brownian path falls below ``-b`` by T with probability ``2 Phi(-b / (s sqrt(T)))``."""
    s, horizon, leverage, rate = 0.03, 16, 5.0, 0.005
    draw = np.random.default_rng(3)
    returns, sigma = s * draw.standard_normal((200_000, horizon)), np.full((200_000, horizon), s)
    shares = liquidated_by(returns, sigma, "long", leverage, rate)
    barrier = -math.log((1.0 - 1.0 / leverage) / (1.0 - rate))
    exact = 2.0 * stats.norm.cdf(-barrier / (s * np.sqrt(np.arange(1, horizon + 1))))
    np.testing.assert_allclose(shares, exact, atol=4.0 * math.sqrt(0.25 / 200_000))
    low, high = share_interval(float(shares[-1]), 200_000)
    assert low < exact[-1] < high or abs(shares[-1] - exact[-1]) < 0.003


def test_the_chance_rises_with_time_and_leverage() -> None:
    returns, sigma, _ = _garch(5_000, 4, None)
    shares = [liquidated_by(returns, sigma, "long", leverage, 0.005) for leverage in (2.0, 5.0, 10.0, 25.0)]
    assert all((np.diff(s) >= 0).all() for s in shares)
    assert all((a <= b).all() for a, b in itertools.pairwise(shares))


def test_what_is_no_path_is_refused() -> None:
    ones = np.ones((3, 2))
    with pytest.raises(DataInvalid):
        liquidated_by(ones * np.nan, ones, "long", 2.0, 0.0)
    with pytest.raises(RequestInvalid):
        liquidated_by(ones, ones, "long", 0.0, 0.0)
