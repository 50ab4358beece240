"""Every registered model meets every check; a new one is found by itself."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from forecastle.errors import DataInvalid, ForecastRefused, RequestInvalid, ScaleWarning
from forecastle.models import MODELS
from forecastle.models.garch import GarchModel
from forecastle.models.tails import Tailed
from forecastle.nouns import Candles, Forecast, History
from forecastle.ports import Model, Plan

FloatArray = npt.NDArray[np.float64]

VARIANTS: dict[str, dict[str, Any]] = {
    "garch-normal": {"dist": "normal"},
    "gjr-t": {"o": 1},
    "garch-zero-mean": {"mean": "zero"},
    "egarch-skewt": {"vol": "egarch", "o": 1, "dist": "skewt"},
    "garch-sample-start": {"dist": "normal", "initial_variance": "sample"},
}
"""Of the noun with many members; those that go through arch are in ``test_models_arch_family``."""
BARS = ("garch_x", "parkinson", "garman_klass", "rogers_satchell", "yang_zhang", "boosted")
"""Look at more of a bar than its return, and say so to an array."""
ALL = [*MODELS, *VARIANTS]


def _model(name: str) -> Model:
    model: Model = GarchModel(**VARIANTS[name]) if name in VARIANTS else MODELS.load(name)()
    return model


@pytest.fixture(params=ALL)
def model(request: pytest.FixtureRequest) -> Model:
    return _model(request.param)


@pytest.fixture(params=[name for name in ALL if name not in BARS])
def of_returns(request: pytest.FixtureRequest) -> Model:
    return _model(request.param)


@pytest.fixture(scope="module")
def returns(bundled_spx: Candles) -> FloatArray:
    return bundled_spx.log_returns().values[-1200:]


def test_input_is_not_changed(of_returns: Model, returns: FloatArray) -> None:
    given = returns.copy()
    fitted = of_returns.fit(given)
    fitted.one_step(given, 300, np.array([0.01]))
    fitted.forecast(3)
    np.testing.assert_array_equal(given, returns)


def test_same_input_same_answer(of_returns: Model, returns: FloatArray) -> None:
    first, second = of_returns.fit(returns).forecast(5), of_returns.fit(returns).forecast(5)
    assert first.quantiles == second.quantiles
    assert first.model_hash == second.model_hash


@pytest.mark.parametrize("k", [1e-4, 1e-2, 1e2, 1e4])
def test_sigma_scales_with_the_returns(of_returns: Model, returns: FloatArray, k: float) -> None:
    """sigma(k r) = k sigma(r) within 0.1 %, whatever the unit; the odd unit is pointed out."""
    straight = of_returns.fit(returns).forecast(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScaleWarning)
        scaled = of_returns.fit(k * returns).forecast(1)
    assert scaled.sigma == pytest.approx(k * straight.sigma, rel=1e-3)
    assert scaled.var(0.01) == pytest.approx(k * straight.var(0.01), rel=1e-3)


def test_rows_rolled_do_not_know_the_future(model: Model, bundled_spx: Candles) -> None:
    """Rolled on what was known at some moment, the rows are those of the roll on the whole history."""
    history, plan = History(bundled_spx.last(621)), Plan(500, 40, np.array([0.01, 0.5]))
    whole = model.roll(history, plan)
    moment: datetime = bundled_spx.last(51).frame["close_time"][0]
    cut = model.roll(history.until(moment), plan)
    assert whole.step.sigma.shape == whole.fresh.shape == (121,)
    assert whole.step.quantiles.shape == whole.step.es.shape == (121, 2)
    assert cut.step.sigma.size == 71
    for name in ("mean", "sigma", "quantiles", "es"):
        np.testing.assert_array_equal(getattr(cut.step, name), getattr(whole.step, name)[:71])
    assert (whole.step.sigma > 0).all()
    assert np.isfinite(whole.step.es).all()


def test_rows_rolled_do_not_depend_on_the_first_wanted(model: Model, bundled_spx: Candles) -> None:
    history, levels = History(bundled_spx.last(621)), np.array([0.05])
    whole = model.roll(history, Plan(500, 40, levels))
    part = model.roll(history, Plan(500, 40, levels, first=80))
    np.testing.assert_array_equal(part.step.sigma, whole.step.sigma[80:])
    np.testing.assert_array_equal(part.step.quantiles, whole.step.quantiles[80:])
    assert (part.refits, part.failed) == (2, 0)


def test_an_odd_scale_is_pointed_out(of_returns: Model, returns: FloatArray) -> None:
    with pytest.warns(ScaleWarning, match="percent"):
        of_returns.fit(100 * returns)
    with pytest.warns(ScaleWarning):
        of_returns.fit(returns / 1e4)


def test_the_future_does_not_change_a_forecast(of_returns: Model, returns: FloatArray) -> None:
    """Row i of one_step uses returns[i : i + window] and nothing else: poison everything after it, nothing changes."""
    fitted, window = of_returns.fit(returns[:600]), 300
    levels = np.array([0.01, 0.5])
    whole = fitted.one_step(returns, window, levels)
    for row in (0, 137, 500):
        poisoned = returns.copy()
        poisoned[row + window :] = 9.9
        poisoned[:row] = -9.9
        cut = fitted.one_step(poisoned, window, levels)
        assert cut.sigma[row] == whole.sigma[row]
        np.testing.assert_array_equal(cut.quantiles[row], whole.quantiles[row])
        np.testing.assert_array_equal(cut.es[row], whole.es[row])


def test_one_step_is_the_distribution_of_each_window(of_returns: Model, returns: FloatArray) -> None:
    """The fast path over many rows and the single forecast are one model."""
    fitted, window, levels = of_returns.fit(returns), 400, np.array([0.01, 0.05])
    steps = fitted.one_step(returns, window, levels)
    assert steps.sigma.shape == (returns.size - window + 1,)
    for row in (0, 333, steps.sigma.size - 1):
        one = fitted.distribution(returns[row : row + window], 1)
        assert steps.mean[row] == pytest.approx(one.mean, rel=1e-12, abs=1e-18)
        assert steps.sigma[row] == pytest.approx(one.sigma, rel=1e-12)
        assert -steps.quantiles[row, 0] == pytest.approx(one.var(0.01), rel=1e-12)
        assert steps.es[row, 1] == pytest.approx(one.es(0.05), rel=1e-12)


def test_a_forecast_is_whole(model: Model, bundled_spx: Candles) -> None:
    made = model.fit(bundled_spx.last(1001)).forecast(5)
    assert isinstance(made, Forecast)
    assert made.as_of == made.trained_until == bundled_spx.end
    assert made.target_time is not None
    assert made.as_of is not None
    # five sessions after 2018-12-31: New Year is a holiday and a weekend lies between
    assert made.target_time - made.as_of == timedelta(days=8)
    quantiles = list(made.quantiles.values())
    assert quantiles == sorted(quantiles)
    assert 0 < made.prob_up < 1
    assert made.es(0.01) > made.var(0.01) > made.var(0.05) > 0
    assert made.annual_sigma == pytest.approx(made.sigma * (252 / 5) ** 0.5)


def test_longer_horizons_are_more_uncertain(of_returns: Model, returns: FloatArray) -> None:
    fitted = of_returns.fit(returns)
    sigmas = [fitted.forecast(h).sigma for h in (1, 2, 5, 22)]
    assert sigmas == sorted(sigmas)


@pytest.mark.parametrize("horizon", [0, -1, 251])
def test_an_impossible_horizon_is_refused(of_returns: Model, returns: FloatArray, horizon: int) -> None:
    with pytest.raises(RequestInvalid, match="between 1 and 250"):
        of_returns.fit(returns).forecast(horizon)


def test_what_is_no_series_is_refused(of_returns: Model, returns: FloatArray) -> None:
    holed = returns.copy()
    holed[17] = np.nan
    with pytest.raises(DataInvalid, match="position 17"):
        of_returns.fit(holed)
    with pytest.raises(DataInvalid, match="2 dimensions"):
        of_returns.fit(returns.reshape(2, -1))
    with pytest.raises(ForecastRefused, match="10 returns"):
        of_returns.fit(returns[:10])
    with pytest.raises(ForecastRefused, match="never change"):
        of_returns.fit(np.full(500, 0.001))


@pytest.mark.parametrize("name", BARS)
def test_what_needs_bars_says_so_to_an_array(returns: FloatArray, name: str) -> None:
    with pytest.raises(ForecastRefused, match="returns") as caught:
        _model(name).fit(returns)
    assert "andles" in caught.value.hint


def test_one_bad_print_does_not_crash(of_returns: Model, returns: FloatArray) -> None:
    """A return of 300 % in one bar ends in a status, a forecast or a refusal: never in a NaN."""
    printed = returns.copy()
    printed[700] = 3.0
    try:
        made = of_returns.fit(printed).forecast(1)
    except ForecastRefused:
        return
    assert np.isfinite([made.sigma, made.var(0.01), made.es(0.01)]).all()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_looks_ahead_of_a_history(bundled_spx: Candles, name: str) -> None:
    """Also those that need bars, with a tail of their own and with one put on."""
    history = History(bundled_spx.last(801))
    model: Model = MODELS.load(name)()
    for one in (model, Tailed(model, "conformal")):
        assert one.sees(history, 600).candles.end == bundled_spx.end
        made = one.ahead(history, 2, 600)
        assert made.model == one.label
        assert made.as_of == bundled_spx.end
        assert made.es(0.01) > made.var(0.01) > 0
