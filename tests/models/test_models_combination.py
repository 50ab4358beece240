"""The combination: a geometric mean of those who can speak, whatever is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from forecastle.errors import ForecastRefused
from forecastle.models.combination import OF_RETURNS, Combination, QlikeCombination
from forecastle.models.har import LogHar
from forecastle.models.pooled import PooledHar
from forecastle.nouns import Candles, History
from forecastle.ports import Plan
from hourly import hourly_market

FloatArray = npt.NDArray[np.float64]
PLAN = Plan(300, 20, np.array([0.01, 0.05]))


@pytest.fixture(scope="module")
def market() -> History:
    return replace(hourly_market("BTC-USDT", 420, 1), peers=(hourly_market("ETH-USDT", 420, 2),))


@pytest.fixture(scope="module")
def closes(market: History) -> History:
    frame = market.candles.frame.with_columns(pl.col("close").alias(c) for c in ("open", "high", "low"))
    return History(Candles(market.candles.instrument, "1d", "test", frame, "none", "close"))


def test_it_is_the_geometric_mean_of_its_members(market: History) -> None:
    own, pooled = (m.path(market, 300, 20).variance[300:] for m in (LogHar(), PooledHar()))
    both = Combination().roll(market, PLAN).step.sigma
    np.testing.assert_allclose(both, (own * pooled) ** 0.25, rtol=1e-12)
    alone = replace(market, peers=())
    np.testing.assert_allclose(
        Combination().roll(alone, PLAN).step.sigma, np.sqrt(LogHar().path(alone, 300, 20).variance[300:]), rtol=1e-12
    )


def test_of_closes_alone_it_is_garch_and_ewma(closes: History) -> None:
    sigmas = [m.roll(closes, PLAN).step.sigma for m in OF_RETURNS]
    rolled = Combination().roll(closes, PLAN)
    np.testing.assert_allclose(rolled.step.sigma, np.exp(np.mean(np.log(sigmas), axis=0)), rtol=1e-12)
    assert rolled.refits == len(range(0, rolled.step.sigma.size, 20))


def test_of_bare_returns_too(market: History) -> None:
    returns = market.returns.values
    fitted = Combination().fit(returns)
    members = [m.fit(returns).forecast(1).sigma for m in OF_RETURNS]
    assert fitted.forecast(1).sigma == pytest.approx(float(np.exp(np.mean(np.log(members)))), rel=1e-9)
    assert sum(v for k, v in fitted.params.items() if k.startswith("weight")) == pytest.approx(1.0)


def test_with_too_few_returns_for_garch_it_says_who_is_left_out(market: History) -> None:
    fitted = Combination().fit(market.returns.values[:120])
    assert "GARCH(1,1)-t left out: There are 120 returns" in fitted.status.reason
    assert fitted.params["weight of EWMA (0.94)"] == 1.0
    with pytest.raises(ForecastRefused, match="30 returns"):
        Combination().fit(market.returns.values[:30])


def test_weights_by_qlike_go_to_the_better_member() -> None:
    """Two members, one twice the other: after a hundred rows the one that is right has nearly all the weight."""
    draw = np.random.default_rng(1)
    outcome = 1e-4 * draw.standard_normal(300) ** 2
    right = np.full(301, 1e-4)
    variances = np.array([right, 4.0 * right])
    weights = QlikeCombination().weights(variances, outcome)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    np.testing.assert_allclose(weights[:, 0], 0.5)
    assert weights[0, 150:].min() > 0.95
    missing = variances.copy()
    missing[0, :50] = np.nan
    weights = QlikeCombination().weights(missing, outcome)
    np.testing.assert_allclose(weights[:, :50], np.repeat([[0.0], [1.0]], 50, axis=1))


def test_both_ways_of_weighting_are_near_each_other(market: History) -> None:
    equal, weighted = (m.roll(market, PLAN).step.sigma for m in (Combination(), QlikeCombination()))
    np.testing.assert_allclose(weighted, equal, rtol=0.15)
