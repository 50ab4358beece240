"""Strategies and sizings against slow loops and by hand, on a simulated coin."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import forecastle as fc
from forecastle.errors import DataMissing, NameUnknown, RequestInvalid
from forecastle.features import compute
from forecastle.nouns.market import Market
from forecastle.nouns.seen import Seen, Wish
from forecastle.sources.simulated import Simulated
from forecastle.strategies import SIZINGS, STRATEGIES
from forecastle.strategies.rules import condition
from forecastle.strategies.sizing import Cash, Fraction, Kelly, Risk, Units, VolatilityTarget, on_changes

FloatArray = npt.NDArray[np.float64]
NAMES = ["sma_5", "sma_20", "rsi_7", "donchian_20", "donchian_10"]


@pytest.fixture(scope="module")
def seen() -> Seen:
    candles = Simulated().fetch(fc.Instrument.parse("BTC-USDT"), "1d", None, None).last(400)
    frame = compute(candles, NAMES)
    columns = {name: frame.frame[name].to_numpy().reshape(-1, 1) for name in frame.columns}
    sigma = np.full((400, 1), 0.03)
    return Seen(Market.of(candles), columns, sigma, None, 365.0, 0.001)


def test_a_crossover_is_long_above(seen: Seen) -> None:
    held = fc.strategies.Crossover(5, 20, short=True).wish(seen).direction[:, 0]
    close = seen.market.close[:, 0]
    for i in range(400):
        if i < 19:
            assert np.isnan(held[i])
        else:
            assert held[i] == (1.0 if close[i - 4 : i + 1].mean() > close[i - 19 : i + 1].mean() else -1.0)


def test_a_reversion_holds_from_low_to_back(seen: Seen) -> None:
    held = fc.strategies.RsiReversion(7, 35.0, 55.0).wish(seen).direction[:, 0]
    state = 0.0
    for i, rsi in enumerate(seen.columns["rsi_7"][:, 0]):
        if np.isnan(rsi):
            assert np.isnan(held[i])
            continue
        state = 0.0 if state and rsi > 55.0 else state
        state = 1.0 if rsi < 35.0 else state
        assert held[i] == state


def test_a_breakout_looks_at_the_bars_before(seen: Seen) -> None:
    wish = fc.strategies.Breakout(20, 10, trail=0.1).wish(seen)
    held, market, state = wish.direction[:, 0], seen.market, 0.0
    for i in range(20, 400):
        close = market.close[i, 0]
        if state and close < market.low[i - 10 : i, 0].min():
            state = 0.0
        if close > market.high[i - 20 : i, 0].max():
            state = 1.0
        assert held[i] == state, i
    assert wish.trail_share is not None
    assert (wish.trail_share == 0.1).all()


def test_rules_hold_together_and_end_apart(seen: Seen) -> None:
    rules = fc.strategies.Rules(
        ("close > sma_20", "rsi_7 < 60"), ("rsi_7 > 70", "close crosses_below sma_5"), stop=0.05
    )
    held = rules.wish(seen).direction[:, 0]
    close, rsi = seen.market.close[:, 0], seen.columns["rsi_7"][:, 0]
    five, twenty, state = seen.columns["sma_5"][:, 0], seen.columns["sma_20"][:, 0], 0.0
    for i in range(20, 400):
        crossed = close[i] < five[i] and close[i - 1] >= five[i - 1]
        if state and (rsi[i] > 70 or crossed):
            state = 0.0
        if close[i] > twenty[i] and rsi[i] < 60:
            state = 1.0
        assert held[i] == state, i


def test_a_model_waits_for_what_pays(seen: Seen) -> None:
    forecast = np.array([np.nan, 0.56, 0.51, 0.49, 0.56, 0.43, 0.44, 0.52])
    part = Seen(seen.market.rows(0, 8), {}, np.full((8, 1), 0.03), forecast.reshape(-1, 1), 365.0, 0.002)
    model = fc.strategies.ModelDriven(0.55, 0.5, short=True, cost_multiple=1.0)
    assert model.wish(part).direction[1:, 0].tolist() == [1, 1, 0, 1, -1, -1, 0]
    dear = Seen(part.market, {}, part.sigma, part.forecast, 365.0, 0.01)
    assert not model.wish(dear).direction[1:].any(), "an edge of 0.3 % does not pay for a trip of 1 %"
    with pytest.raises(DataMissing):
        model.wish(seen)


def _wish(*direction: float, **shares: Any) -> Wish:
    return Wish(np.array(direction, dtype=np.float64).reshape(-1, 1), **shares)


def test_sizes_by_hand(seen: Seen) -> None:
    wish = _wish(np.nan, 0, 1, 1, -1, 0)
    part = Seen(seen.market.rows(0, 6), {}, np.full((6, 1), 0.02), None, 400.0)
    nan = np.nan
    for sizing, wanted in (
        (Fraction(0.5), [nan, nan, 0.5, nan, -0.5, 0]), (Units(3), [nan, nan, 3, nan, -3, 0]),
        (Cash(100), [nan, nan, 100, nan, -100, 0]), (Fraction(0.5, rebalance=True), [nan, 0, 0.5, 0.5, -0.5, 0]),
        (VolatilityTarget(0.2, 1.0), [nan, 0, 0.5, 0.5, -0.5, 0]), (VolatilityTarget(0.8, 1.0), [nan, 0, 1, 1, -1, 0]),
    ):  # fmt: skip
        np.testing.assert_allclose(sizing.size(wish, part).target[:, 0], wanted, rtol=1e-12)
    stopped = _wish(1, 1, stop_share=np.full((2, 1), 0.05))
    assert Risk(0.01, 1.0).size(stopped, part).target[0, 0] == pytest.approx(0.2)
    with pytest.raises(RequestInvalid, match="no stop"):
        Risk().size(wish, part)


def test_kelly_is_mean_over_variance_of_the_wish_itself(seen: Seen) -> None:
    direction = np.ones((400, 1))
    found = Kelly(0.5, 1.0, 50).size(Wish(direction), seen).target[:, 0]
    close = seen.market.close[:, 0]
    returns = close[1:] / close[:-1] - 1.0
    for i in (50, 120, 399):
        last = returns[i - 50 : i]
        wanted = np.clip(0.5 * last.mean() / last.var(ddof=1), 0.0, 1.0)
        assert found[i] == pytest.approx(wanted, rel=1e-9)
    assert np.isnan(found[:50]).all()


def test_a_wish_is_told_when_it_changes() -> None:
    told = on_changes(np.array([[np.nan], [0.0], [1.0], [1.0], [np.nan], [1.0], [0.0]]))[:, 0]
    np.testing.assert_array_equal(told, [np.nan, np.nan, 1.0, np.nan, np.nan, np.nan, 0.0])


@pytest.mark.parametrize("text", ["close", "close >", "close > 3 4", "close > __import__", "1e9e9 > close", "a;b > 1"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(RequestInvalid):
        condition(text)


def test_names_are_met_with_the_nearest() -> None:
    for registry, wrong, right in ((STRATEGIES, "crosover", "crossover"), (SIZINGS, "kely", "kelly")):
        with pytest.raises(NameUnknown, match=right):
            registry.load(wrong)
    with pytest.raises(NameUnknown, match="crosses_above"):
        condition("close crosses_abov sma_5")


@pytest.mark.parametrize("name", ["hold", "crossover", "breakout", "rsi_reversion", "volatility_target", "rules"])
def test_the_scale_of_prices_changes_nothing(seen: Seen, name: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        "crossover": {"fast": 5, "slow": 20}, "rsi_reversion": {"window": 7}, "rules": {"enter": ("close > sma_20",)},
    }  # fmt: skip
    strategy = STRATEGIES.load(name)(**settings.get(name, {}))
    prices = {n: 4.0 * getattr(seen.market, n) for n in ("open", "high", "low", "close")}
    columns = {n: v if n.startswith("rsi") else 4.0 * v for n, v in seen.columns.items()}
    market = Market(seen.market.names, seen.market.open_time, seen.market.close_time, **prices,
                    volume=seen.market.volume, present=seen.market.present, day_end=seen.market.day_end)  # fmt: skip
    other = Seen(market, columns, seen.sigma, None, 365.0)
    assert strategy.wish(seen).direction.tobytes() == strategy.wish(other).direction.tobytes()
