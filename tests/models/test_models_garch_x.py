"""GARCH-X against simulated truth, against a slow twin, and against looking ahead."""

from __future__ import annotations

import math
import warnings
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from forecastle.errors import DataInvalid, ForecastRefused, NameUnknown, RequestInvalid, ScaleWarning
from forecastle.models._regressors import regressors_of
from forecastle.models.garch_x import GarchX, driven_rolling_variance, driven_variance
from forecastle.nouns import Candles, History, Instrument, Observations
from forecastle.nouns.observations import OBSERVED
from forecastle.ports import Plan

FloatArray = npt.NDArray[np.float64]

TRUTH = {"mu": 3e-4, "omega": 4e-6, "alpha": 0.06, "beta": 0.70, "delta[x]": 0.20}
LEVELS = np.array([0.01, 0.5])


def simulated(n: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return n returns of the model with the parameters of ``TRUTH``, and the regressor before each and after all."""
    rng, t = np.random.default_rng(seed), TRUTH
    level = np.zeros(n + 1)
    for i in range(1, n + 1):
        level[i] = 0.9 * level[i - 1] + 0.4 * rng.standard_normal()
    x = 1e-4 * np.exp(level)
    r, s2 = np.empty(n), 1e-4
    for i in range(n):
        s2 = t["omega"] + t["beta"] * s2 + t["delta[x]"] * x[i] + (t["alpha"] * (r[i - 1] - t["mu"]) ** 2 if i else 0)
        r[i] = t["mu"] + math.sqrt(s2) * rng.standard_normal()
    return r, x[:, None]


@pytest.fixture(scope="module")
def candles(bundled_spx: Candles) -> Candles:
    return bundled_spx.last(801)


def observed(candles: Candles, name: str = "close", instrument: str = "VIX.INDEX", seed: int = 1) -> Observations:
    """Return one value a bar, known an hour after its close."""
    rng = np.random.default_rng(seed)
    about = candles.frame["close_time"]
    columns = {"about": about, "known_at": about + timedelta(hours=1), "value": 10 + 10 * rng.random(len(candles))}
    return Observations(Instrument.parse(instrument), name, "points", "test", pl.DataFrame(columns, schema=OBSERVED))


def test_true_parameters_are_recovered() -> None:
    """The mean of eight fits to 4,000 simulated returns each lies within three of its own standard errors."""
    fits = [GarchX(("x",), "normal").fit_with(*simulated(4000, seed)) for seed in range(8)]
    assert all(f.converged for f in fits)
    for name, value in TRUTH.items():
        found = np.array([f.params[name] for f in fits])
        assert abs(found.mean() - value) < 3 * found.std(ddof=1) / math.sqrt(found.size), name
    error = {p.name: p.standard_error for p in fits[0].summary().parameters}["delta[x]"]
    assert error == pytest.approx(np.std([f.params["delta[x]"] for f in fits], ddof=1), rel=0.7)


def test_a_regressor_that_says_nothing_gets_no_weight() -> None:
    r, _ = simulated(3000, 1)
    noise = np.random.default_rng(9).random((3001, 1))
    plain = np.ones((3001, 1))
    assert GarchX(("x",), "normal").fit_with(r, noise).loglikelihood == pytest.approx(
        GarchX(("x",), "normal").fit_with(r, plain).loglikelihood, abs=4.0
    ), "a ratio test with one degree of freedom"


@pytest.mark.parametrize("dist", ["normal", "t"])
def test_likelihood_is_that_of_the_slow_twin(candles: Candles, dist: str) -> None:
    """The density one number at a time, the presample variance being the backcast of arch."""
    fitted = GarchX(dist=dist).fit(candles)  # type: ignore[arg-type]
    p, returns, x = fitted.params, candles.log_returns().values, fitted.known
    centred = (returns - returns.mean())[:75]
    weights = 0.94 ** np.arange(75)
    start = float(centred**2 @ weights / weights.sum())
    total, square, s2 = 0.0, start, start
    for r, known in zip(returns, x[:-1, 0], strict=True):
        s2 = p["omega"] + p["alpha"] * square + p["beta"] * s2 + p["delta[range]"] * known
        square = (r - p["mu"]) ** 2
        if dist == "normal":
            total -= 0.5 * (math.log(2 * math.pi * s2) + square / s2)
        else:
            nu = p["nu"]
            total += math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log((nu - 2) * math.pi * s2)
            total -= (nu + 1) / 2 * math.log(1 + square / s2 / (nu - 2))
    assert fitted.loglikelihood == pytest.approx(total, abs=1e-7)
    last = p["omega"] + p["alpha"] * square + p["beta"] * s2 + p["delta[range]"] * x[-1, 0]
    assert fitted.forecast(1).sigma == pytest.approx(math.sqrt(last), rel=1e-12)


def test_the_range_is_that_of_the_bar_before(candles: Candles) -> None:
    x = regressors_of(History(candles), ("range",))[:, 0]
    bars = candles.frame
    expected = (bars["high"] / bars["low"]).log().to_numpy() ** 2 / (4 * math.log(2))
    assert x.size == len(candles.log_returns()) + 1
    np.testing.assert_allclose(x, expected)


def test_an_observation_counts_from_when_it_is_known(candles: Candles) -> None:
    """Known an hour after the close: at a close there is only the value of the bar before; a revision comes later."""
    vix = observed(candles)
    history = History(candles, observations=(vix, observed(candles, "funding", seed=2)))
    with pytest.raises(ForecastRefused, match="not known at 1 of 801"):
        GarchX(("VIX",)).fit(history)
    known = regressors_of(history, ("VIX", "funding"))
    assert np.isnan(known[0]).all()
    np.testing.assert_allclose(known[1:, 0], (vix.frame["value"].to_numpy()[:-1] / 100) ** 2 / 252)

    late = candles.frame["close_time"][-1]
    old = vix.frame.row(-5, named=True)
    revision = pl.DataFrame({"about": [old["about"]], "known_at": [late], "value": [99.0]}, schema=OBSERVED)
    revised = Observations(
        vix.instrument, vix.name, vix.unit, vix.source, pl.concat([vix.frame, revision]).sort("about", "known_at")
    )
    again = regressors_of(History(candles, observations=(revised,)), ("VIX",))
    np.testing.assert_array_equal(again[1:, 0], known[1:, 0], "news about an old bar is not the newest value")


def test_a_value_grows_too_old(candles: Candles) -> None:
    vix = observed(candles)
    ended = Observations(vix.instrument, vix.name, vix.unit, vix.source, vix.frame.head(400))
    known = regressors_of(History(candles, observations=(ended,)), ("VIX",))[:, 0]
    assert np.isfinite(known[1:420]).all()
    assert np.isnan(known[-300:]).all()


def test_the_future_does_not_change_a_row(candles: Candles) -> None:
    """The rows of a roll up to a moment are those of the whole roll, with the observations of then."""
    moment = candles.frame["close_time"][700]
    first = candles.frame["open_time"][0] - timedelta(days=1)
    vix = observed(candles)
    before = pl.DataFrame({"about": [first], "known_at": [first], "value": [15.0]}, schema=OBSERVED)
    vix = Observations(vix.instrument, vix.name, vix.unit, vix.source, pl.concat([before, vix.frame]))
    history, model = History(candles, observations=(vix,)), GarchX(("range", "VIX"), "normal")
    whole = model.roll(history, Plan(400, 150, LEVELS))
    cut = model.roll(history.until(moment), Plan(400, 150, LEVELS))
    rows = cut.step.sigma.size
    assert rows == 700 - 400 + 1
    assert whole.step.sigma.size == 800 - 400 + 1
    np.testing.assert_array_equal(cut.step.sigma, whole.step.sigma[:rows])
    np.testing.assert_array_equal(cut.step.quantiles, whole.step.quantiles[:rows])
    later = model.roll(history, Plan(400, 150, LEVELS, first=300))
    np.testing.assert_array_equal(later.step.sigma, whole.step.sigma[300:])
    assert (whole.refits, whole.failed) == (3, 0)
    assert whole.fresh.all()
    single = model.fit(history.until(moment)).forecast(1)
    assert np.isfinite(single.sigma)


def test_the_last_row_of_a_roll_is_the_forecast_of_a_fit(candles: Candles) -> None:
    rolled = GarchX(dist="normal").roll(History(candles), Plan(800, 20, LEVELS))
    made = GarchX(dist="normal").fit(candles).forecast(1)
    assert rolled.step.sigma.size == 1
    assert rolled.step.sigma[0] == pytest.approx(made.sigma, rel=1e-12)
    assert -rolled.step.quantiles[0, 0] == pytest.approx(made.var(0.01), rel=1e-12)


def test_the_rolling_filter_is_the_filter_of_each_window(candles: Candles) -> None:
    r = candles.log_returns().values
    base, start = np.linspace(1e-6, 3e-6, r.size + 1), np.full(r.size - 299, 1e-4)
    rolled = driven_rolling_variance(r, base, 0.05, 0.9, start)
    for row in (0, 250, 500):
        alone = driven_variance(r[row : row + 300], base[row : row + 301], 0.05, 0.9, start[row])
        assert rolled[row] == alone[-1]


def test_several_bars_ahead_hold_the_regressor(candles: Candles) -> None:
    fitted = GarchX(dist="normal").fit(candles)
    p = fitted.params
    base, s2 = p["omega"] + p["delta[range]"] * fitted.known[-1, 0], fitted.forecast(1).sigma ** 2
    expected = [s2]
    for _ in range(9):
        expected.append(base + (p["alpha"] + p["beta"]) * expected[-1])
    ten = fitted.forecast(10)
    assert ten.sigma == pytest.approx(math.sqrt(sum(expected)), rel=1e-12)
    assert ten.es(0.01) > ten.var(0.01) > 0


@pytest.mark.parametrize("k", [1e-4, 1e4])
def test_units_do_not_matter(k: float) -> None:
    r, x = simulated(1500, 4)
    straight = GarchX(("x",), "normal").fit_with(r, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScaleWarning)
        scaled = GarchX(("x",), "normal").fit_with(k * r, 7.0 * x)
    assert scaled.forecast(1).sigma == pytest.approx(k * straight.forecast(1).sigma, rel=1e-4)
    assert scaled.params["delta[x]"] == pytest.approx(straight.params["delta[x]"] * k * k / 7.0, rel=0.01)


def test_only_its_own_returns_have_regressors(candles: Candles) -> None:
    fitted, r = GarchX(dist="normal").fit(candles), candles.log_returns().values
    steps = fitted.one_step(r[100:500], 300, LEVELS)
    assert steps.sigma[7] == pytest.approx(fitted.distribution(r[107:407], 1).sigma, rel=1e-12)
    with pytest.raises(ForecastRefused, match="no stretch of its own"):
        fitted.one_step(r[100:500] + 1e-9, 300, LEVELS)
    with pytest.raises(ForecastRefused, match="returns alone"):
        GarchX().fit(r)


def test_what_is_no_regressor_is_refused(candles: Candles) -> None:
    r, x = simulated(600, 2)
    with pytest.raises(RequestInvalid, match="each once"):
        GarchX(("range", "range"))
    with pytest.raises(NameUnknown, match="moon"):
        GarchX(("moon",)).fit(candles)
    with pytest.raises(DataInvalid, match="shape"):
        GarchX(("x",)).fit_with(r, x[:-1])
    with pytest.raises(DataInvalid, match="below zero"):
        GarchX(("x",)).fit_with(r, x - x.mean())
    with pytest.raises(ForecastRefused, match="always zero"):
        GarchX(("x",)).fit_with(r, 0 * x)
    closes = Candles(candles.instrument, "1d", "test", candles.frame, prices="close")
    with pytest.raises(ForecastRefused, match="only the close"):
        GarchX().fit(closes)
    sign = observed(candles, "flow")
    below = Observations(sign.instrument, "flow", "x", "test", sign.frame.with_columns(pl.col("value") - 15.0))
    with pytest.raises(DataInvalid, match="below zero"):
        regressors_of(History(candles, observations=(below,)), ("flow",))
