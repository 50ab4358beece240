"""Every registered model meets every check; a new one is found by itself."""

from __future__ import annotations

import warnings
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pytest

from forecastle.errors import DataInvalid, ForecastRefused, RequestInvalid, ScaleWarning
from forecastle.models import MODELS
from forecastle.models.garch import GarchModel
from forecastle.nouns import Candles, Forecast
from forecastle.ports import Model

FloatArray = npt.NDArray[np.float64]

ALL = [*MODELS, "garch-normal", "gjr-t", "garch-zero-mean"]
VARIANTS = {"garch-normal": {"dist": "normal"}, "gjr-t": {"o": 1}, "garch-zero-mean": {"mean": "zero"}}


def _model(name: str) -> Model:
    model: Model = GarchModel(**VARIANTS[name]) if name in VARIANTS else MODELS.load(name)()  # type: ignore[arg-type]
    return model


@pytest.fixture(params=ALL)
def model(request: pytest.FixtureRequest) -> Model:
    return _model(request.param)


@pytest.fixture(scope="module")
def returns(bundled_spx: Candles) -> FloatArray:
    return bundled_spx.log_returns().values[-1200:]


def test_input_is_not_changed(model: Model, returns: FloatArray) -> None:
    given = returns.copy()
    fitted = model.fit(given)
    fitted.one_step(given, 300, np.array([0.01]))
    fitted.forecast(3)
    np.testing.assert_array_equal(given, returns)


def test_same_input_same_answer(model: Model, returns: FloatArray) -> None:
    first, second = model.fit(returns).forecast(5), model.fit(returns).forecast(5)
    assert first.quantiles == second.quantiles
    assert first.model_hash == second.model_hash


@pytest.mark.parametrize("k", [1e-4, 1e-2, 1e2, 1e4])
def test_sigma_scales_with_the_returns(model: Model, returns: FloatArray, k: float) -> None:
    """sigma(k r) = k sigma(r) within 0.1 %, whatever the unit; the odd unit is pointed out."""
    straight = model.fit(returns).forecast(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScaleWarning)
        scaled = model.fit(k * returns).forecast(1)
    assert scaled.sigma == pytest.approx(k * straight.sigma, rel=1e-3)
    assert scaled.var(0.01) == pytest.approx(k * straight.var(0.01), rel=1e-3)


def test_an_odd_scale_is_pointed_out(model: Model, returns: FloatArray) -> None:
    with pytest.warns(ScaleWarning, match="percent"):
        model.fit(100 * returns)
    with pytest.warns(ScaleWarning):
        model.fit(returns / 1e4)


def test_the_future_does_not_change_a_forecast(model: Model, returns: FloatArray) -> None:
    """Row i of one_step uses returns[i : i + window] and nothing else: poison everything after it, nothing changes."""
    fitted, window = model.fit(returns[:600]), 300
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


def test_one_step_is_the_distribution_of_each_window(model: Model, returns: FloatArray) -> None:
    """The fast path over many rows and the single forecast are one model."""
    fitted, window, levels = model.fit(returns), 400, np.array([0.01, 0.05])
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


def test_longer_horizons_are_more_uncertain(model: Model, returns: FloatArray) -> None:
    fitted = model.fit(returns)
    sigmas = [fitted.forecast(h).sigma for h in (1, 2, 5, 22)]
    assert sigmas == sorted(sigmas)


@pytest.mark.parametrize("horizon", [0, -1, 251])
def test_an_impossible_horizon_is_refused(model: Model, returns: FloatArray, horizon: int) -> None:
    with pytest.raises(RequestInvalid, match="between 1 and 250"):
        model.fit(returns).forecast(horizon)


def test_what_is_no_series_is_refused(model: Model, returns: FloatArray) -> None:
    holed = returns.copy()
    holed[17] = np.nan
    with pytest.raises(DataInvalid, match="position 17"):
        model.fit(holed)
    with pytest.raises(DataInvalid, match="2 dimensions"):
        model.fit(returns.reshape(2, -1))
    with pytest.raises(ForecastRefused, match="10 returns"):
        model.fit(returns[:10])
    with pytest.raises(ForecastRefused, match="never change"):
        model.fit(np.full(500, 0.001))


def test_one_bad_print_does_not_crash(model: Model, returns: FloatArray) -> None:
    """A return of 300 % in one bar ends in a status, a forecast or a refusal: never in a NaN."""
    printed = returns.copy()
    printed[700] = 3.0
    try:
        made = model.fit(printed).forecast(1)
    except ForecastRefused:
        return
    assert np.isfinite([made.sigma, made.var(0.01), made.es(0.01)]).all()
