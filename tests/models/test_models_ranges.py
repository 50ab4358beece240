"""Range models: weights written out, Yang and Zhang's formula bar by bar, the level of the returns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from forecastle.models.ranges import DECAY, LOOKBACK, Parkinson, YangZhang
from forecastle.models.realized import parkinson, rogers_satchell
from forecastle.nouns import History
from forecastle.ports import Plan
from hourly import hourly_market
from making import make_candles, without

FloatArray = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def market() -> History:
    return History(hourly_market("BTC-USDT", 400, 4).candles)


def test_parkinson_is_a_weighted_mean_of_ranges(market: History) -> None:
    bar = 200
    weights = DECAY ** np.arange(LOOKBACK)[::-1]
    one = parkinson(market.candles)[bar - LOOKBACK + 1 : bar + 1]
    assert Parkinson().estimate(market.candles)[bar] == pytest.approx(float(weights @ one / weights.sum()), rel=1e-12)


def test_yang_zhang_is_its_formula_bar_by_bar(market: History) -> None:
    """Written out for one bar, with weighted means in place of the paper's plain ones."""
    stock = make_candles(80, instrument="AAPL")
    begin, close = (np.log(stock.frame[c].to_numpy()) for c in ("open", "close"))
    bar, n = 70, (1 + DECAY) / (1 - DECAY)
    rows = np.arange(bar - LOOKBACK + 1, bar + 1)
    weights = DECAY ** np.arange(LOOKBACK)[::-1]
    weights = weights / weights.sum()

    def variance(values: FloatArray) -> float:
        return float(weights @ (values - weights @ values) ** 2) * n / (n - 1)

    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    within = float(weights @ rogers_satchell(stock)[rows])
    expected = variance(begin[rows] - close[rows - 1]) + k * variance((close - begin)[rows]) + (1 - k) * within
    assert YangZhang().estimate(stock)[bar] == pytest.approx(expected, rel=1e-9)


def test_the_night_before_a_hole_is_no_gap() -> None:
    """After a missing bar the opening gap spans two days: it says nothing about a night."""
    days = make_candles(120, start="2022-01-01")
    holed = without(days, 60)
    gap = np.log(days.frame["open"].to_numpy()[61] / days.frame["close"].to_numpy()[59])
    assert abs(gap) > 0.005
    straight, after = YangZhang().estimate(days), YangZhang().estimate(holed)
    assert after[60] == pytest.approx(straight[61], rel=0.35)
    assert np.isfinite(after[20:]).all()


def test_the_level_is_that_of_the_returns(market: History) -> None:
    """Ranges half as wide: the same sigma, for it is scaled to the squares of the returns."""
    frame = market.candles.frame
    body_high = np.maximum(frame["open"].to_numpy(), frame["close"].to_numpy())
    body_low = np.minimum(frame["open"].to_numpy(), frame["close"].to_numpy())
    narrow = frame.with_columns(
        high=body_high + 0.3 * (frame["high"].to_numpy() - body_high),
        low=body_low - 0.3 * (body_low - frame["low"].to_numpy()),
    )
    thin = History(type(market.candles)(market.candles.instrument, "1d", "test", narrow, "none"))
    plan = Plan(300, 1, np.array([0.01]))
    wide, level = (Parkinson().roll(h, plan).step.sigma for h in (market, thin))
    assert float(np.median(level / wide)) == pytest.approx(1.0, abs=0.1)
    z = market.returns.values[300:] / wide[:-1]
    assert 0.6 < float(np.mean(z**2)) < 1.6
