"""The members of the family that are fitted through arch, and every recursion against arch and slow versions."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from arch.univariate import APARCH, EGARCH, FIGARCH, GARCH, HARCH, MIDASHyperbolic, SkewStudent, StudentsT
from arch.univariate.distribution import GeneralizedError, Normal
from scipy import integrate

from forecastle.errors import DataInvalid, ForecastRefused, ScaleWarning
from forecastle.models import arch_models
from forecastle.models._innovations import Innovations, quantiles_of_rows
from forecastle.models._kernels import backcast
from forecastle.models._recursions import figarch_weights, midas_weights, recursion_of
from forecastle.models.arch_models import arch_specification
from forecastle.models.garch import FittedGarch, GarchModel, in_units
from forecastle.nouns import Candles, History
from forecastle.ports import Plan

FloatArray = npt.NDArray[np.float64]

KINDS: dict[str, dict[str, Any]] = {
    "aparch": {"vol": "aparch", "o": 1},
    "figarch": {"vol": "figarch", "dist": "normal"},
    "harch": {"vol": "harch", "dist": "skewt"},
    "midas": {"vol": "midas"},
    "midas-asymmetric": {"vol": "midas", "o": 1, "mean": "zero"},
    "ged": {"dist": "ged"},
    "ar": {"mean": "ar"},
    "egarch-ar-ged": {"vol": "egarch", "o": 1, "mean": "ar", "dist": "ged"},
}


@pytest.fixture(scope="module")
def returns(bundled_spx: Candles) -> FloatArray:
    return bundled_spx.log_returns().values[-900:]


@pytest.fixture(scope="module")
def fits(returns: FloatArray) -> dict[str, FittedGarch]:
    return {name: GarchModel(**kind).fit(returns) for name, kind in KINDS.items()}


@pytest.mark.parametrize("name", KINDS)
def test_fit_and_filter_are_those_of_arch(fits: dict[str, FittedGarch], returns: FloatArray, name: str) -> None:
    """arch at our estimates, on percent: the same likelihood and the same volatility of every day and the next."""
    fitted = fits[name]
    assert fitted.converged, fitted.status
    scaled = np.array(list(in_units(fitted.model.vol, fitted.params, 100.0).values()))
    reference = arch_specification(fitted.model, 100 * returns).fix(scaled)
    terms = returns.size - fitted.mean.lags
    assert fitted.loglikelihood == pytest.approx(reference.loglikelihood + terms * math.log(100), abs=1e-4)
    np.testing.assert_allclose(
        100 * fitted.conditional_volatility()[fitted.mean.lags :],
        np.asarray(reference.conditional_volatility)[fitted.mean.lags :],
        rtol=1e-6,
    )
    ahead = reference.forecast(horizon=1, start=0)  # without a start arch 8.0 fails on its asymmetric MIDAS
    assert fitted.forecast(1).sigma * 100 == pytest.approx(math.sqrt(ahead.variance.to_numpy()[-1, 0]), rel=1e-5)
    assert fitted.forecast(1).mean * 100 == pytest.approx(ahead.mean.to_numpy()[-1, 0], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("name", ["figarch", "harch", "midas", "midas-asymmetric", "ged"])
def test_expected_variances_are_those_of_arch(fits: dict[str, FittedGarch], returns: FloatArray, name: str) -> None:
    fitted = fits[name]
    scaled = np.array(list(in_units(fitted.model.vol, fitted.params, 100.0).values()))
    variance = (
        arch_specification(fitted.model, 100 * returns)
        .fix(scaled)
        .forecast(horizon=30, start=0)
        .variance.to_numpy()[-1]
    )
    np.testing.assert_allclose(100 * fitted.term_structure(30), np.sqrt(np.cumsum(variance)), rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_paths_have_the_expected_variances(fits: dict[str, FittedGarch], returns: FloatArray, name: str) -> None:
    """Simulated futures against the formula where there is one; where not, the term structure at least rises."""
    fitted = fits[name]
    residuals, s2 = fitted.mean.residuals(returns), fitted._variances(returns)
    z = np.random.default_rng(1).permuted(
        np.tile(fitted.innovations.draw(np.random.default_rng(0), 20_000), (12, 1)), axis=1
    )
    z = ((z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)).T
    paths = fitted.recursion.paths(residuals, s2, z)
    assert paths[:, 0] == pytest.approx(s2[-1], rel=1e-9)
    expected = fitted.recursion.expected(residuals, s2, 12)
    if expected is not None:
        np.testing.assert_allclose(paths.mean(axis=0), expected, rtol=0.08)
    assert (np.diff(fitted.term_structure(12)) > 0).all()


@pytest.mark.parametrize("name", ["aparch", "egarch-ar-ged"])
def test_simulated_variances_agree_with_arch(fits: dict[str, FittedGarch], returns: FloatArray, name: str) -> None:
    fitted = fits[name]
    scaled = np.array(list(in_units(fitted.model.vol, fitted.params, 100.0).values()))
    specification = arch_specification(fitted.model, 100 * returns)
    # forecast's random_state seeds the bootstrap alone
    specification.distribution._generator = np.random.default_rng(5)
    theirs = (
        specification.fix(scaled)
        .forecast(horizon=10, method="simulation", simulations=20_000)
        .residual_variance.to_numpy()[-1]
    )
    residuals, s2 = fitted.mean.residuals(returns), fitted._variances(returns)
    ours = fitted.recursion.paths(residuals, s2, fitted._draws(10)).mean(axis=0) * 1e4
    np.testing.assert_allclose(ours, theirs, rtol=0.05)


def test_the_sum_of_autocorrelated_returns_has_its_own_variance(fits: dict[str, FittedGarch]) -> None:
    """AR(1): simulate the returns themselves, add them up, and compare mean and standard deviation of the sum."""
    fitted = fits["ar"]
    returns, horizon, p = fitted.sample.returns, 6, fitted.params
    e = returns[1:] - p["const"] - p["ar[1]"] * returns[:-1]
    rng, paths = np.random.default_rng(3), 200_000
    last, square = np.full(paths, returns[-1]), np.full(paths, e[-1] ** 2)
    s2, total = np.full(paths, fitted._variances(returns)[-2]), np.zeros(paths)
    for _ in range(horizon):
        s2 = p["omega"] + p["alpha[1]"] * square + p["beta[1]"] * s2
        shock = np.sqrt(s2) * rng.standard_t(p["nu"], paths) * math.sqrt((p["nu"] - 2) / p["nu"])
        last, square = p["const"] + p["ar[1]"] * last + shock, shock**2
        total += last
    made = fitted.forecast(horizon)
    assert made.mean == pytest.approx(total.mean(), abs=4 * made.sigma / math.sqrt(paths))
    assert made.sigma == pytest.approx(total.std(), rel=0.02)
    uncorrelated = math.sqrt(fitted.recursion.expected(e, fitted._variances(returns), horizon).sum())  # type: ignore[union-attr]
    assert abs(made.sigma / uncorrelated - 1) > 0.01  # the correlation does matter here


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("k", [1e-4, 1e4])
def test_sigma_scales_with_the_returns(fits: dict[str, FittedGarch], returns: FloatArray, name: str, k: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScaleWarning)
        scaled = GarchModel(**KINDS[name]).fit(k * returns)
    assert scaled.forecast(1).sigma == pytest.approx(k * fits[name].forecast(1).sigma, rel=1e-3)
    assert scaled.forecast(5).var(0.01) == pytest.approx(k * fits[name].forecast(5).var(0.01), rel=1e-3)
    assert scaled.news_impact()[1] == pytest.approx(k * fits[name].news_impact()[1], rel=1e-3)


@pytest.mark.parametrize("name", KINDS)
def test_rows_are_the_distributions_of_their_windows(
    fits: dict[str, FittedGarch], returns: FloatArray, name: str
) -> None:
    fitted, levels = fits[name], np.array([0.01, 0.05])
    steps = fitted.one_step(returns, 880, levels)
    for row in (0, 20):
        one = fitted.distribution(returns[row : row + 880], 1)
        assert steps.sigma[row] == pytest.approx(one.sigma, rel=1e-12)
        assert steps.mean[row] == pytest.approx(one.mean, rel=1e-12, abs=1e-18)
        assert -steps.quantiles[row, 0] == pytest.approx(one.var(0.01), rel=1e-12)
        assert steps.es[row, 1] == pytest.approx(one.es(0.05), rel=1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_a_saved_model_is_its_parameters(fits: dict[str, FittedGarch], name: str) -> None:
    fitted = fits[name]
    again = FittedGarch.of_parameters(fitted.model, dict(fitted.params), fitted.sample)
    assert again.forecast(3).sigma == fitted.forecast(3).sigma
    assert again.loglikelihood == fitted.loglikelihood


@pytest.mark.parametrize("name", ["aparch", "harch", "ar", "figarch"])
def test_what_is_no_series_is_refused(returns: FloatArray, name: str) -> None:
    model, holed = GarchModel(**KINDS[name]), returns.copy()
    holed[17] = np.nan
    with pytest.raises(DataInvalid, match="position 17"):
        model.fit(holed)
    with pytest.raises(ForecastRefused, match="100 returns"):
        model.fit(returns[:100])
    with pytest.raises(ForecastRefused, match="never change"):
        model.fit(np.full(500, 0.001))


@pytest.mark.parametrize("name", KINDS)
def test_one_bad_print_ends_in_a_number_or_a_refusal(returns: FloatArray, name: str) -> None:
    printed = returns.copy()
    printed[700] = 3.0
    try:
        made = GarchModel(**KINDS[name]).fit(printed).forecast(5)
    except ForecastRefused:
        return
    assert np.isfinite([made.sigma, made.var(0.01), made.es(0.01)]).all()


def test_a_failed_fit_is_tried_again_and_never_served(returns: FloatArray, monkeypatch: pytest.MonkeyPatch) -> None:
    """An optimiser that gives up after one step: four more starts, a status that says so, and no forecast."""
    monkeypatch.setitem(arch_models._QUIET, "options", {"maxiter": 1})
    fitted = GarchModel(vol="aparch", o=1).fit(returns)
    assert not fitted.converged
    assert fitted.status.restarts == 4
    assert "flag 9" in fitted.status.reason  # SLSQP: iteration limit reached
    with pytest.raises(ForecastRefused, match="did not converge"):
        fitted.forecast(1)


def test_what_arch_fits_is_rolled_by_refitting(bundled_spx: Candles) -> None:
    history, plan = History(bundled_spx.last(341)), Plan(300, 25, np.array([0.05]))
    rolled = GarchModel(vol="harch", dist="normal").roll(history, plan)
    assert rolled.step.sigma.shape == (41,)
    one = GarchModel(vol="harch", dist="normal").fit(history.returns.values[25:325]).forecast(1)
    assert rolled.step.sigma[25] == pytest.approx(one.sigma, rel=1e-12)


@pytest.mark.parametrize(
    ("vol", "theirs", "params"),
    [
        (
            "egarch", EGARCH(2, 1, 2),
            {"omega": -0.3, "alpha[1]": 0.1, "alpha[2]": 0.05, "gamma[1]": -0.1, "beta[1]": 0.6, "beta[2]": 0.36},
        ),
        (
            "aparch", APARCH(2, 1, 1),
            {"omega": 1e-3, "alpha[1]": 0.06, "alpha[2]": 0.02, "gamma[1]": 0.6, "beta[1]": 0.9, "delta": 1.1},
        ),
        ("figarch", FIGARCH(1, 1), {"omega": 2e-6, "phi": 0.2, "d": 0.45, "beta": 0.5}),
        ("figarch", FIGARCH(0, 1), {"omega": 2e-6, "d": 0.45, "beta": 0.3}),
        ("harch", HARCH([1, 5, 22]), {"omega": 1e-5, "alpha[1]": 0.1, "alpha[5]": 0.3, "alpha[22]": 0.4}),
        ("midas", MIDASHyperbolic(22, asym=True), {"omega": 1e-5, "alpha": 0.3, "gamma": 0.5, "theta": 0.6}),
        ("garch", GARCH(1, 1, 1), {"omega": 1e-6, "alpha[1]": 0.05, "gamma[1]": 0.08, "beta[1]": 0.88}),
    ],
)  # fmt: skip
def test_recursions_are_those_of_arch(returns: FloatArray, vol: Any, theirs: Any, params: dict[str, float]) -> None:
    e = returns - returns.mean()
    presample = float(backcast(e[None, :])[0])
    ours = recursion_of(vol, params, Innovations("normal", ())).variances(e, presample)
    s2 = theirs.compute_variance(
        np.array(list(params.values())), e, np.empty_like(e), theirs.backcast(e), theirs.variance_bounds(e)
    )
    np.testing.assert_allclose(ours[:-1], s2, rtol=1e-9)
    assert ours.size == e.size + 1


def test_weights_by_hand() -> None:
    """FIGARCH(0,d,0) is (1 - L)^d by its binomial series; MIDAS weights fall from theta 0.5 as arch's."""
    binomial = [1.0]
    for k in range(1, 6):
        binomial.append(binomial[-1] * (k - 1 - 0.4) / k)
    np.testing.assert_allclose(figarch_weights(0.0, 0.4, 0.0, 5), -np.array(binomial[1:]), rtol=1e-12)
    np.testing.assert_allclose(midas_weights(0.5), MIDASHyperbolic(22)._weights(np.array([0.5])), rtol=1e-12)


@pytest.mark.parametrize(
    ("dist", "shapes", "theirs"),
    [
        ("normal", (), Normal()),
        ("t", (5.5,), StudentsT()),
        ("skewt", (5.5, -0.3), SkewStudent()),
        ("skewt", (20.0, 0.4), SkewStudent()),
        ("ged", (1.3,), GeneralizedError()),
    ],
)
def test_innovations_are_those_of_arch(dist: Any, shapes: tuple[float, ...], theirs: Any) -> None:
    ours, z = Innovations(dist, shapes), np.linspace(-6, 6, 41)
    reference = theirs.loglikelihood(np.array(shapes), z, np.ones(z.size), individual=True)
    np.testing.assert_allclose(ours.log_density(z), reference, rtol=1e-9)
    draws = ours.draw(np.random.default_rng(4), 200_000)
    for p in (0.01, 0.3, 0.9, 0.99):
        assert (draws < theirs.ppf(np.array([p]), np.array(shapes))[0]).mean() == pytest.approx(p, abs=0.004)
    below = integrate.quad(lambda x: x**2 * math.exp(ours.log_density(np.array([x]))[0]), -np.inf, 0.0, limit=400)[0]
    size = integrate.quad(lambda x: abs(x) * math.exp(ours.log_density(np.array([x]))[0]), -np.inf, np.inf, limit=400)[
        0
    ]
    assert ours.lower_variance == pytest.approx(below, rel=1e-6)
    assert ours.mean_size == pytest.approx(size, rel=1e-6)
    assert ours.expectation(np.abs) == pytest.approx(size, rel=1e-5)
    assert ours.expectation(lambda x: np.ones_like(x)) == pytest.approx(1.0, rel=1e-6)


def test_quantiles_of_rows_are_those_of_each_row() -> None:
    levels, rng = np.array([0.005, 0.01, 0.05, 0.5, 0.99]), np.random.default_rng(0)
    eta, skew = rng.uniform(2.1, 40, 7), rng.uniform(-0.6, 0.6, 7)
    for dist, shapes in (
        ("normal", np.empty((7, 0))),
        ("t", eta[:, None]),
        ("ged", 0.5 * eta[:, None]),
        ("skewt", np.column_stack([eta, skew])),
    ):
        quantiles, tails = quantiles_of_rows(dist, shapes, levels)  # type: ignore[arg-type]
        for row in range(7):
            law = Innovations(dist, tuple(shapes[row])).law(0.0, 1.0)  # type: ignore[arg-type]
            np.testing.assert_allclose(quantiles[row], law.standard_quantile(levels), rtol=1e-12)
            np.testing.assert_allclose(tails[row], law.standard_tail(levels), rtol=1e-12)


def test_shapes_that_cannot_be_have_no_density() -> None:
    z = np.array([0.0, 1.0])
    for dist, shapes in (("t", (2.0,)), ("skewt", (5.0, 1.0)), ("ged", (0.0,))):
        assert np.isnan(Innovations(dist, shapes).log_density(z)).all()  # type: ignore[arg-type]
