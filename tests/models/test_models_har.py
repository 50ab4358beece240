"""HAR and log-HAR, and what every model that walks a path of variances has to keep: no look ahead, any scale, rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from forecastle.errors import ForecastRefused
from forecastle.models._design import Design, design_of
from forecastle.models._path import RollsByPath, decayed, levelled, refit_rows, tails
from forecastle.models._regression import Ridge, Rows, walk
from forecastle.models.boosted import BoostedVariance
from forecastle.models.combination import Combination, QlikeCombination
from forecastle.models.har import Har, LogHar
from forecastle.models.pooled import PooledHar
from forecastle.models.ranges import GarmanKlass, Parkinson, RogersSatchell, YangZhang
from forecastle.nouns import Candles, History, Observations
from forecastle.ports import Plan
from forecastle.scoring.forecast import qlike
from hourly import hourly_market, poisoned_after, vix_beside
from making import make_candles, utc

FloatArray = npt.NDArray[np.float64]
LEVELS = np.array([0.01, 0.5, 0.95])
PLAN = Plan(260, 7, LEVELS)
MODELS: tuple[RollsByPath, ...] = (
    Parkinson(), GarmanKlass(), RogersSatchell(), YangZhang(), Har(), LogHar(), PooledHar(), Combination(),
    QlikeCombination(), BoostedVariance(),
)  # fmt: skip


@pytest.fixture(scope="module")
def market() -> History:
    """Return 420 days with hours, two peers (one of them younger), and an index that coins do not look at."""
    own = hourly_market("BTC-USDT", 420, 1)
    peers = (hourly_market("ETH-USDT", 420, 2), hourly_market("SOL-USDT", 200, 3, start="2022-08-09"))
    return replace(own, peers=peers, observations=(vix_beside(own.candles),))


@pytest.fixture(scope="module")
def stocks() -> History:
    """Return 420 sessions without finer bars, a peer, and the VIX."""
    own, peer = (
        make_candles(420, instrument=name, start="2022-01-03", seed=k) for k, name in enumerate(("AAPL", "KO"))
    )
    vix = vix_beside(own)
    return History(own, None, (vix,), (History(peer, None, (vix,)),))


@pytest.fixture(params=MODELS, ids=lambda m: type(m).__name__)
def model(request: pytest.FixtureRequest) -> RollsByPath:
    chosen: RollsByPath = request.param
    return chosen


@pytest.mark.parametrize("name", ["market", "stocks"])
def test_a_shorter_history_says_the_same_of_its_rows(
    model: RollsByPath, name: str, request: pytest.FixtureRequest
) -> None:
    """Cut everything after a moment, the peers and the index too: rows until then stay as they are."""
    history: History = request.getfixturevalue(name)
    whole = model.roll(history, PLAN).step
    for row in (0, 88):
        moment = history.returns.as_of[PLAN.window + row]
        cut = model.roll(history.until(moment.astype("datetime64[s]").item().replace(tzinfo=utc(2022).tzinfo)), PLAN)
        assert cut.step.sigma.size == row + 1
        np.testing.assert_allclose(cut.step.sigma, whole.sigma[: row + 1], rtol=1e-11)
        np.testing.assert_allclose(cut.step.quantiles, whole.quantiles[: row + 1], rtol=1e-11)
        np.testing.assert_allclose(cut.step.es, whole.es[: row + 1], rtol=1e-11)


@pytest.mark.parametrize("name", ["market", "stocks"])
def test_poison_after_a_row_does_not_reach_it(model: RollsByPath, name: str, request: pytest.FixtureRequest) -> None:
    """Prices, hours, peers and the index change after the close that row 60 is made at: rows 0 to 60 do not."""
    history: History = request.getfixturevalue(name)
    row = 60
    bar = int(np.searchsorted(history.candles.times("close_time"), history.returns.as_of[PLAN.window + row]))
    poisoned = _poisoned(history, bar)
    before, after = model.roll(history, PLAN).step.sigma, model.roll(poisoned, PLAN).step.sigma
    np.testing.assert_allclose(after[: row + 1], before[: row + 1], rtol=1e-11)
    assert np.abs(after[row + 1 :] / before[row + 1 :] - 1.0).max() > 0.01


def _poisoned(history: History, bar: int) -> History:
    moment = history.candles.frame["close_time"][bar]

    def spoiled(candles: Candles) -> Candles:
        return poisoned_after(candles, int((candles.frame["close_time"] <= moment).sum()) - 1)

    def one(market: History) -> History:
        finer = None if market.finer is None else spoiled(market.finer)
        return History(spoiled(market.candles), finer, tuple(_spoiled(o, moment) for o in market.observations))

    return replace(one(history), peers=tuple(one(peer) for peer in history.peers))


def _spoiled(observed: Observations, moment: datetime) -> Observations:
    value = pl.when(pl.col("known_at") > moment).then(pl.col("value") * 50.0).otherwise(pl.col("value"))
    return replace(observed, frame=observed.frame.with_columns(value=value))


def test_rows_are_those_of_the_plan(model: RollsByPath, market: History) -> None:
    """The last row is for the bar after the data, and rows before ``first`` are left out without changing the rest."""
    whole = model.roll(market, PLAN)
    assert whole.step.sigma.size == len(market.returns) - PLAN.window + 1
    assert whole.step.quantiles.shape == whole.step.es.shape == (whole.step.sigma.size, 3)
    assert whole.fresh.all()
    assert (whole.step.quantiles[:, 0] < whole.step.quantiles[:, 2]).all()
    assert (whole.step.es[:, 0] > -whole.step.quantiles[:, 0]).all()
    later = model.roll(market, replace(PLAN, first=21))
    np.testing.assert_array_equal(later.step.sigma, whole.step.sigma[21:])
    assert (whole.refits, later.refits) == (len(range(0, 160, 7)), len(range(21, 160, 7)))


def test_the_single_forecast_is_the_last_row(model: RollsByPath, market: History) -> None:
    """A fit to the whole history is the walk whose last refit is at its end; the trees have a grid of their own."""
    fitted = model.fit(market).forecast(1)
    last = model.roll(market, Plan(len(market.returns), 20, LEVELS)).step
    tolerance = 0.2 if isinstance(model, BoostedVariance) else 1e-9
    assert fitted.sigma == pytest.approx(float(last.sigma[0]), rel=tolerance)
    assert fitted.as_of == market.candles.end


def test_uncertainty_grows_with_the_horizon(model: RollsByPath, market: History) -> None:
    fitted = model.fit(market)
    sigmas = [fitted.forecast(h).sigma for h in (1, 2, 4, 9, 22, 30, 100, 250)]
    assert sigmas == sorted(sigmas)
    assert 0.5 < sigmas[5] / (sigmas[0] * 30**0.5) < 2.0


def test_prices_have_no_unit(model: RollsByPath, market: History) -> None:
    """Prices in another currency change nothing."""

    def priced(candles: Candles) -> Candles:
        frame = candles.frame.with_columns(pl.col("open", "high", "low", "close") * 1234.5)
        return Candles(candles.instrument, candles.timeframe, candles.source, frame, candles.adjusted)

    assert market.finer is not None
    other = replace(market, candles=priced(market.candles), finer=priced(market.finer))
    np.testing.assert_allclose(model.roll(other, PLAN).step.sigma, model.roll(market, PLAN).step.sigma, rtol=1e-7)


@pytest.mark.parametrize("kind", [Parkinson, GarmanKlass, RogersSatchell, YangZhang])
def test_ranges_that_are_not_known_are_refused(kind: type[RollsByPath], market: History) -> None:
    closes = market.candles.frame.with_columns(pl.col("close").alias(c) for c in ("open", "high", "low"))
    only = Candles(market.candles.instrument, "1d", "test", closes, "none", "close")
    for call in (lambda: kind().fit(only), lambda: kind().roll(History(only), PLAN)):
        with pytest.raises(ForecastRefused, match="only closes are known"):
            call()
    with pytest.raises(ForecastRefused, match="bare returns"):
        kind().fit(market.returns.values)


def test_har_is_weighted_least_squares(market: History) -> None:
    """The coefficients against numpy's least squares on rows divided by the month's mean, without forgetting."""
    daily = History(market.candles)
    fitted = Har(forget=1.0).fit(daily)
    design = design_of(daily)
    v = np.r_[np.nan, design.target]
    week, month = (np.array([np.nanmean(v[max(0, i - k + 1) : i + 1]) if i else np.nan for i in range(v.size)])
                   for k in (7, 30))  # fmt: skip
    x = np.column_stack([np.ones(v.size), v, week, month])[1:-1] / month[1:-1, None]
    b = np.linalg.lstsq(x, v[2:] / month[1:-1], rcond=None)[0]
    # the first bar has a range but no return before it: rows here begin one later, of 417
    assert fitted.params["day"] == pytest.approx(b[1], abs=0.01)
    assert fitted.params["week"] == pytest.approx(b[2], abs=0.03)
    assert fitted.params["month"] == pytest.approx(b[3], abs=0.05)


def test_har_finds_the_truth() -> None:
    """Squares of returns from a HAR in levels with known coefficients: day 0.3, week 0.3, month 0.3."""
    draw = np.random.default_rng(8)
    n = 40_000
    v = np.full(n, 1e-4)
    for t in range(30, n):
        level = 1e-5 + 0.3 * v[t - 1] + 0.3 * v[t - 5 : t].mean() + 0.3 * v[t - 22 : t].mean()
        v[t] = level * draw.gamma(4.0, 0.25)
    fitted = Har(forget=1.0).fit(np.sqrt(v) * draw.choice([-1.0, 1.0], n))
    found = [fitted.params[name] for name in ("day", "week", "month")]
    np.testing.assert_allclose(found, [0.3, 0.3, 0.3], atol=0.04)


def test_walk_is_ridge_regression_on_what_was_known() -> None:
    """Against weighted normal equations solved in one go for one refit."""
    draw = np.random.default_rng(4)
    own, peer = (_random_design(draw, n) for n in (200, 150))
    ridge = Ridge(penalty=30.0, forget=0.99, peer_weight=0.5)
    rows = Rows.of(own, [peer], ridge.peer_weight)
    refit = 120
    forecast, b = walk(own, rows, np.array([100, refit]), ridge)
    known_peer = int((peer.known_at <= own.as_of[refit]).sum())
    usable = np.r_[np.arange(1, refit + 1), np.searchsorted(own.as_of, peer.known_at[:known_peer])]
    x = np.r_[own.x[:refit], peer.x[:known_peer]]
    z = np.r_[own.response[:refit], peer.response[:known_peer]]
    w = np.r_[np.ones(refit), np.full(known_peer, 0.5)] * 0.99 ** (refit - usable)
    square = (x * w[:, None]).T @ x
    penalty = 30.0 * square.diagonal() / w.sum()
    penalty[0] = 0.0
    expected = np.linalg.solve(square + np.diag(penalty), (x * w[:, None]).T @ z)
    np.testing.assert_allclose(b, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(forecast[150], own.base[150] + own.x[150] @ b, rtol=1e-9)
    assert np.isnan(forecast[:100]).all()


def _random_design(draw: np.random.Generator, n: int) -> Design:
    times = np.arange(n + 1).astype("datetime64[D]").astype("datetime64[us]")
    x = np.column_stack([np.ones(n + 1), draw.normal(size=(n + 1, 2))])
    target = np.exp(draw.normal(size=n))
    return Design(("const", "a", "b"), x, np.zeros(n + 1), target, np.sqrt(target), times, times[1:])


def test_the_level_is_that_of_the_variance_and_of_the_return() -> None:
    """A log forecast that is off by a constant: the expected variance comes out, and that of the return beside it."""
    draw = np.random.default_rng(2)
    n = 6000
    target = np.exp(0.7 * draw.standard_normal(n)) * 1e-4
    returns = np.sqrt(0.8 * target) * draw.standard_normal(n)
    path = levelled(np.full(n + 1, np.log(3e-4)), target, returns)
    assert path.realised[-1] == pytest.approx(1e-4 * np.exp(0.5 * 0.49), rel=0.1)
    assert path.variance[-1] / path.realised[-1] == pytest.approx(0.8, rel=0.1)


def test_decayed_sums_and_the_grid_of_refits() -> None:
    np.testing.assert_allclose(decayed(np.array([1.0, 2.0, 4.0]), 0.5), [0.0, 1.0, 2.5, 5.25])
    rows = refit_rows(400, 260, 50)
    assert rows[rows >= 260].tolist() == [260, 310, 360]
    assert rows[rows < 260].tolist() == list(range(100, 260, 20))


def test_tails_are_those_of_the_residuals() -> None:
    draw = np.random.default_rng(6)
    sigma = np.full(4001, 0.02)
    heavy = 0.02 * draw.standard_t(4.0, 4000) * np.sqrt(0.5)
    assert tails(heavy, sigma**2)[-1] in (3.5, 4.0, 5.0)
    assert tails(0.02 * draw.standard_normal(4000), sigma**2)[-1] >= 20.0
    assert tails(heavy, sigma**2)[50] == 6.0


def test_log_har_with_hours_beats_the_squares_of_returns(market: History) -> None:
    """What the hours are for: a lower QLIKE than the same model of daily closes, over the same days."""
    closes = market.candles.frame.with_columns(pl.col("close").alias(c) for c in ("open", "high", "low"))
    only = History(Candles(market.candles.instrument, "1d", "test", closes, "none", "close"))
    realised = design_of(market).target[PLAN.window :]
    with_hours, without = (
        LogHar().path(h, 260, 7).variance[260:-1] for h in (History(market.candles, market.finer), only)
    )
    assert qlike(realised, np.sqrt(with_hours)) < 0.8 * qlike(realised, np.sqrt(without))


def test_bare_returns_of_any_scale(market: History) -> None:
    returns = market.returns.values
    for kind in (Har, LogHar):
        plain = kind().fit(returns).forecast(5).sigma
        assert kind().fit(3.0 * returns).forecast(5).sigma == pytest.approx(3.0 * plain, rel=1e-9)


def test_a_fit_to_candles_does_not_guess_at_other_returns(market: History) -> None:
    fitted = LogHar().fit(market)
    returns = market.returns.values
    assert fitted.distribution(returns, 3).sigma == fitted.forecast(3).sigma
    with pytest.raises(ForecastRefused, match="bare returns"):
        fitted.distribution(returns[:-1], 3)
    with pytest.raises(ForecastRefused, match="bare returns"):
        fitted.one_step(returns, 300, LEVELS)


def test_too_short_and_dead_histories_are_refused() -> None:
    young = make_candles(100)
    with pytest.raises(ForecastRefused, match="99 returns"):
        LogHar().fit(young)
    columns = {c: np.full(420, 5.0) for c in ("open", "high", "low", "close", "volume")}
    times = make_candles(420).frame.select("open_time", "close_time")
    dead = Candles(young.instrument, "1d", "test", times.with_columns(**columns), "none")
    for refused in (LogHar(), Har(), Parkinson()):
        with pytest.raises(ForecastRefused):
            refused.roll(History(dead), PLAN)
