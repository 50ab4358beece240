"""rolling_garch: its contract, whatever the threads, the future, the scale and the data."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from forecastle.errors import DataInvalid, ForecastRefused, RequestInvalid, ScaleWarning
from forecastle.models._maximise import Kernel, loglikelihood, maximise, variances
from forecastle.models.rolling_garch import RollingGarch, rolling_garch
from forecastle.nouns import Candles

FloatArray = npt.NDArray[np.float64]

MODELS: list[dict[str, Any]] = [
    {}, {"dist": "normal", "mean": "zero"}, {"o": 1}, {"p": 2, "q": 2, "dist": "skewt"},
    {"vol": "egarch", "o": 1, "dist": "skewt"},
]  # fmt: skip


@pytest.fixture(scope="module")
def returns(bundled_spx: Candles) -> FloatArray:
    return bundled_spx.log_returns().values[1200:1900]


def same(a: RollingGarch, b: RollingGarch, rows: int) -> None:
    for field in dataclasses.fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if isinstance(left, np.ndarray):
            np.testing.assert_array_equal(left[:rows], right[:rows], err_msg=field.name)
        else:
            assert left == right


@pytest.mark.parametrize("model", MODELS)
def test_the_same_bytes_with_one_thread_and_with_four(returns: FloatArray, model: dict[str, Any]) -> None:
    rows = 301 if "vol" not in model and "p" not in model else 150
    data = returns[: 400 + rows - 1]
    one, four = (rolling_garch(data, 400, threads=threads, **model) for threads in (1, 4))
    same(one, four, rows)
    assert one.sigma.shape == one.mean.shape == (rows,)
    assert one.params.shape == (rows, len(one.names))


@pytest.mark.parametrize("model", MODELS)
def test_nothing_of_the_future_is_used(returns: FloatArray, model: dict[str, Any]) -> None:
    data = returns[:560]
    whole, cut = rolling_garch(data, 400, **model), rolling_garch(data[:530], 400, **model)
    assert cut.sigma.size == 131
    same(whole, cut, 131)
    spoilt = data.copy()
    spoilt[540:] *= 50.0
    same(rolling_garch(spoilt, 400, **model), whole, 141)


@pytest.mark.parametrize("model", MODELS)
def test_each_row_is_what_its_parameters_say_and_as_good_as_a_fit_of_its_own(
    returns: FloatArray, model: dict[str, Any]
) -> None:
    data = returns[:460]
    rolling = rolling_garch(data, 400, refit_every=4, **model)
    settings: dict[str, Any] = {"vol": "garch", "p": 1, "o": 0, "q": 1, "dist": "t", "mean": "constant"} | model
    kernel = Kernel(**settings)
    assert rolling.names == kernel.names
    for i in (0, 4, 5, 7, 60):
        part = data[i : i + 400]
        assert rolling.sigma[i] == pytest.approx(np.sqrt(variances(kernel, rolling.params[i], part)[-1]), rel=1e-9)
        assert rolling.loglikelihood[i] == pytest.approx(loglikelihood(kernel, rolling.params[i], part), abs=1e-8)
        assert (rolling.restarts[i] > 0) <= (i % 4 == 0)
        own = maximise(kernel, part)
        if i % 4 == 0 and own.converged:
            assert rolling.loglikelihood[i] > own.loglikelihood - 0.01
        elif i % 4:
            np.testing.assert_array_equal(rolling.params[i], rolling.params[i - i % 4])


@pytest.mark.parametrize("factor", [1e-4, 1e-2, 7.0, 1e4])
def test_any_scale(returns: FloatArray, factor: float) -> None:
    data = returns[:440]
    for model in MODELS:
        base = rolling_garch(data, 400, refit_every=10, **model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScaleWarning)
            scaled = rolling_garch(factor * data, 400, refit_every=10, **model)
        np.testing.assert_allclose(scaled.sigma, factor * base.sigma, rtol=1e-4)
        np.testing.assert_allclose(scaled.mean, factor * base.mean, atol=1e-4 * factor * data.std())
        np.testing.assert_allclose(scaled.loglikelihood, base.loglikelihood - 400 * np.log(factor), atol=1e-4)


def test_percent_is_warned_of(returns: FloatArray) -> None:
    with pytest.warns(ScaleWarning):
        rolling_garch(100.0 * returns[:410], 400)


def test_one_bad_print_gives_a_sane_answer(returns: FloatArray) -> None:
    data = returns[:460].copy()
    clean = rolling_garch(data, 400)
    data[430] = 50.0 * data.std()
    for model in MODELS[:3]:
        rolling = rolling_garch(data, 400, **model)
        assert np.isfinite(rolling.sigma).all()
        assert (rolling.sigma[:31] < 2.0 * clean.sigma[:31].max()).all()
        assert (rolling.sigma < 60.0 * data.std()).all()
        assert rolling.converged.mean() > 0.9


@pytest.mark.parametrize("before", [150, 120])  # with 120 a chunk begins inside the still windows
@pytest.mark.parametrize("model", [{}, {"vol": "egarch", "o": 1}])
def test_a_market_that_stands_still_is_carried_on_and_said_so(
    returns: FloatArray, before: int, model: dict[str, Any]
) -> None:
    data = np.concatenate([returns[:before], np.zeros(150), returns[150:300]])
    rolling = rolling_garch(data, 120, dist="normal", **model)
    still = np.array([np.ptp(data[i : i + 120]) == 0.0 for i in range(rolling.sigma.size)])
    assert still.any()
    assert not rolling.converged[still].any()
    assert np.isfinite(rolling.sigma).all()
    assert (rolling.sigma > 0.0).all()
    last = rolling.params[int(np.flatnonzero(still)[0]) - 1]
    np.testing.assert_allclose(rolling.params[still], np.tile(last, (still.sum(), 1)), rtol=1e-9)


def test_a_first_window_that_never_moves_is_refused(returns: FloatArray) -> None:
    with pytest.raises(ForecastRefused, match="first window"):
        rolling_garch(np.concatenate([np.zeros(200), returns[:200]]), 150)


def test_what_is_no_series_is_refused(returns: FloatArray) -> None:
    spoilt = returns[:420].copy()
    spoilt[7] = np.nan
    with pytest.raises(DataInvalid, match="not finite"):
        rolling_garch(spoilt, 400)
    with pytest.raises(ForecastRefused, match="at least 400"):
        rolling_garch(returns[:399], 400)
    with pytest.raises(ForecastRefused, match="never change"):
        rolling_garch(np.full(500, 0.01), 400)


@pytest.mark.parametrize(
    "wrong", [{"vol": "aparch"}, {"dist": "ged"}, {"mean": "ar"}, {"p": 0}, {"q": 4}, {"o": -1}, {"refit_every": 0}]
)
def test_wrong_settings_are_refused(returns: FloatArray, wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid):
        rolling_garch(returns, 400, **wrong)
    with pytest.raises(RequestInvalid):
        rolling_garch(returns, 50)


def test_progress_ends_at_the_number_of_rows(returns: FloatArray) -> None:
    told: list[tuple[int, int]] = []
    rolling = rolling_garch(returns[:600], 400, threads=2, progress=lambda done, total, _: told.append((done, total)))
    assert told[-1] == (rolling.sigma.size, rolling.sigma.size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
