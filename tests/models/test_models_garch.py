"""GARCH against arch, against certified numbers, against simulated truth and against slow twins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from arch import arch_model
from arch.univariate import StudentsT

from forecastle.errors import ForecastRefused, RequestInvalid
from forecastle.models import _maximise
from forecastle.models._kernels import backcast, ewma_rolling_variance, garch_variance
from forecastle.models._maximise import Kernel, Optimum
from forecastle.models._sample import Sample
from forecastle.models.garch import FittedGarch, GarchModel, in_units
from forecastle.nouns import Candles, History
from forecastle.ports import Plan

FloatArray = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def returns(bundled_spx: Candles) -> FloatArray:
    return bundled_spx.log_returns().values


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"dist": "t"}, {"dist": "t"}),
        ({"dist": "normal"}, {"dist": "normal"}),
        ({"o": 1}, {"o": 1, "dist": "t"}),
        ({"p": 2, "q": 2, "dist": "normal"}, {"p": 2, "q": 2, "dist": "normal"}),
        ({"mean": "zero", "dist": "normal"}, {"mean": "Zero", "dist": "normal"}),
        ({"dist": "skewt"}, {"dist": "skewt"}),
        ({"vol": "egarch", "o": 1, "dist": "skewt"}, {"vol": "EGARCH", "o": 1, "dist": "skewt"}),
        ({"vol": "egarch", "dist": "normal"}, {"vol": "EGARCH", "dist": "normal"}),
    ],
)
def test_likelihood_forecast_and_errors_agree_with_arch(
    returns: FloatArray, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    """arch on percent, as its own documentation fits it; ours on decimals. The likelihood moves by n ln 100.

    Never worse by more than 1e-4; where arch stops short of the top ours may be better.
    """
    series = returns[-2500:]
    fitted = GarchModel(**ours).fit(series)
    spec = {"vol": "GARCH", **theirs}
    reference = arch_model(100 * series, rescale=False, **spec).fit(disp="off")
    assert fitted.converged
    gained = fitted.loglikelihood - reference.loglikelihood - series.size * np.log(100)
    assert -1e-4 < gained < 0.02
    variance = reference.forecast(horizon=1).variance.to_numpy()[-1, 0] / 1e4
    assert fitted.forecast(1).sigma == pytest.approx(np.sqrt(variance), rel=2e-3)
    table = {p.name: p for p in fitted.summary().parameters}
    for name in set(table) - {"mu", "omega"}:
        assert table[name].value == pytest.approx(reference.params[name], abs=5e-3, rel=5e-3)
        if table[name].standard_error is None:  # at the bound of zero, where an error means nothing
            assert reference.params[name] < 1e-4
        elif fitted.status.reason == "":
            assert table[name].standard_error == pytest.approx(reference.std_err[name], rel=0.03)


@pytest.mark.parametrize("ours", [{"dist": "normal"}, {"o": 1}, {"p": 2, "q": 2}])
def test_expected_variances_agree_with_arch(returns: FloatArray, ours: dict[str, Any]) -> None:
    """Thirty bars ahead at the same parameters: arch's analytic forecast."""
    series = returns[-2500:]
    fitted = GarchModel(**ours).fit(series)
    scaled = in_units("garch", fitted.params, 100.0)
    reference = arch_model(100 * series, vol="GARCH", rescale=False, **{"dist": "t", **ours}).fix(
        np.array(list(scaled.values()))
    )
    variance = reference.forecast(horizon=30).variance.to_numpy()[-1] / 1e4
    np.testing.assert_allclose(fitted.term_structure(30), np.sqrt(np.cumsum(variance)), rtol=1e-6)
    assert fitted.forecast(10).sigma == pytest.approx(fitted.term_structure(10)[-1], rel=1e-12)


@pytest.mark.parametrize("vol", ["garch", "egarch"])
@pytest.mark.parametrize("dist", ["normal", "t", "skewt"])
@pytest.mark.parametrize("mean", ["zero", "constant"])
@pytest.mark.parametrize("start", ["backcast", "sample"])
def test_filter_and_likelihood_are_those_of_the_kernel(
    returns: FloatArray, vol: str, dist: str, mean: str, start: str
) -> None:
    """Two programs, one for optimising and one for everything else, agree on every variance."""
    series = returns[-600:]
    model = GarchModel(o=1, vol=vol, dist=dist, mean=mean, initial_variance=start)  # type: ignore[arg-type]
    fitted = model.fit(series)
    kernel, params = model.kernel(), np.array(list(fitted.params.values()))
    assert kernel.names == model.parameter_names
    ours = fitted.conditional_volatility()
    np.testing.assert_allclose(ours, np.sqrt(_maximise.variances(kernel, params, series)[:-1]), rtol=1e-9)
    assert fitted.loglikelihood == pytest.approx(_maximise.loglikelihood(kernel, params, series), abs=1e-7)


def test_filter_is_that_of_arch_for_the_same_parameters(returns: FloatArray) -> None:
    """Same parameters, same variances to 1e-6: recursion, backcast and leverage term."""
    series = 100 * returns[:1500]
    fixed = arch_model(series, vol="GARCH", p=2, o=1, q=2, dist="normal", rescale=False).fix(
        np.array([0.05, 0.02, 0.03, 0.04, 0.08, 0.5, 0.35])
    )
    residuals = series - 0.05
    start = float(backcast((residuals - residuals.mean())[None, :])[0])  # arch demeans where there is a mean
    ours = garch_variance(series - 0.05, 0.02, np.array([0.03, 0.04]), np.array([0.08]), np.array([0.5, 0.35]), start)
    np.testing.assert_allclose(np.sqrt(ours[:-1]), fixed.conditional_volatility, rtol=1e-6)
    np.testing.assert_allclose(ours[-1], fixed.forecast(horizon=1).variance.to_numpy()[-1, 0], rtol=1e-6)


def _slow_variance(
    e: FloatArray, omega: float, alpha: FloatArray, gamma: FloatArray, beta: FloatArray, start: float
) -> list[float]:
    """Return the recursion as the paper writes it, with dictionaries for the presample."""
    square = {-k: start for k in range(1, 5)} | dict(enumerate(float(x) ** 2 for x in e))
    negative = {-k: 0.5 * start for k in range(1, 5)} | dict(enumerate(float(x) ** 2 * (x < 0) for x in e))
    s2 = {-k: start for k in range(1, 5)}
    for t in range(e.size + 1):
        s2[t] = (
            omega
            + sum(a * square[t - i] for i, a in enumerate(alpha, 1))
            + sum(g * negative[t - i] for i, g in enumerate(gamma, 1))
            + sum(b * s2[t - j] for j, b in enumerate(beta, 1))
        )
    return [s2[t] for t in range(e.size + 1)]


@pytest.mark.parametrize(("p", "o", "q"), [(1, 0, 1), (1, 1, 1), (3, 2, 3), (1, 0, 0)])
def test_kernel_equals_its_slow_twin(p: int, o: int, q: int) -> None:
    rng = np.random.default_rng(p * 100 + o * 10 + q)
    e = rng.standard_normal(200)
    alpha, gamma, beta = (0.3 * rng.random(n) / max(n, 1) for n in (p, o, q))
    fast = garch_variance(e, 0.1, alpha, gamma, beta, 1.3)
    np.testing.assert_allclose(fast, _slow_variance(e, 0.1, alpha, gamma, beta, 1.3), rtol=1e-12)


def test_ewma_kernel_equals_weights_written_out() -> None:
    rng = np.random.default_rng(2)
    r, window = rng.standard_normal(120), 50
    weights = 0.94 ** np.arange(window - 1, -1, -1)
    slow = [np.average(r[i : i + window] ** 2, weights=weights) for i in range(r.size - window + 1)]
    np.testing.assert_allclose(ewma_rolling_variance(r, window, 0.94), slow, rtol=1e-12)


@pytest.mark.shared_data
def test_certified_benchmark_of_bollerslev_and_ghysels(shared_data: Path) -> None:
    """At the certified DM/GBP estimates (start: mean of squared residuals) the log-likelihood is -1106.60788104129.

    Fiorentini, Calzolari and Panattoni (1996); the series is that of Bollerslev and Ghysels (1996), in percent.
    """
    percent = np.loadtxt(shared_data / "reference" / "dem2gbp.csv", skiprows=1)
    residuals = percent + 0.0061904083799
    alpha, beta = np.array([0.15313406182]), np.array([0.80597367031])
    s2 = garch_variance(residuals, 0.0107613978518, alpha, np.array([]), beta, float((residuals**2).mean()))[:-1]
    loglikelihood = -0.5 * float((np.log(2 * np.pi) + np.log(s2) + residuals**2 / s2).sum())
    assert loglikelihood == pytest.approx(-1106.60788104129, abs=1e-8)


@pytest.mark.parametrize("dist", ["normal", "t"])
def test_true_parameters_are_recovered(dist: str) -> None:
    """20,000 simulated returns of a known GARCH(1,1): each estimate within four of its own standard errors."""
    rng, n = np.random.default_rng(7), 20_000
    truth = {"mu": 5e-4, "omega": 2e-6, "alpha[1]": 0.08, "beta[1]": 0.90} | ({"nu": 6.0} if dist == "t" else {})
    z = rng.standard_normal(n) if dist == "normal" else rng.standard_t(6, n) * np.sqrt(4 / 6)
    r, s2 = np.empty(n), 1e-4
    for t in range(n):
        e = np.sqrt(s2) * z[t]
        r[t] = truth["mu"] + e
        s2 = truth["omega"] + truth["alpha[1]"] * e**2 + truth["beta[1]"] * s2
    fitted = GarchModel(dist=dist).fit(r)  # type: ignore[arg-type]
    table = {p.name: p for p in fitted.summary().parameters}
    assert set(table) == set(truth)
    for name, value in truth.items():
        error = table[name].standard_error
        assert error is not None
        assert abs(table[name].value - value) < 4 * error, name


def test_simulated_horizon_is_calibrated(returns: FloatArray) -> None:
    """The 10-bar quantiles agree with an independent simulation by arch within Monte Carlo error."""
    series = returns[-2500:]
    ours = GarchModel(dist="t").fit(series).forecast(10)
    model = arch_model(100 * series, vol="GARCH", dist="t", rescale=False)
    model.distribution = StudentsT(seed=np.random.default_rng(1))  # forecast's random_state seeds the bootstrap alone
    reference = model.fit(disp="off")
    paths = reference.forecast(horizon=10, method="simulation", simulations=100_000).simulations.values
    assert paths is not None
    total = paths[-1].sum(axis=1) / 100
    for p in (0.01, 0.05, 0.5, 0.95):
        assert ours.quantiles[p] == pytest.approx(np.quantile(total, p), abs=0.08 * ours.sigma)


def test_summary_names_the_distribution_and_the_criteria(returns: FloatArray) -> None:
    fitted = GarchModel(dist="t").fit(returns[-1000:])
    summary = fitted.summary()
    text = str(summary)
    assert "Student's t" in text
    assert "converged: yes" in text
    assert summary.aic == pytest.approx(2 * 5 - 2 * fitted.loglikelihood)
    assert summary.bic == pytest.approx(5 * np.log(1000) - 2 * fitted.loglikelihood)


def test_a_failed_fit_is_never_served(returns: FloatArray, monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(kernel: Kernel, series: FloatArray) -> Optimum:
        params = np.array([0.0, 1e-6, 0.1, 0.8, 6.0])
        return Optimum(params, _maximise.loglikelihood(kernel, params, series), False, "it stopped early", 3)

    monkeypatch.setattr(_maximise, "maximise", gives_up)
    fitted = GarchModel(dist="t").fit(returns[-1000:])
    assert not fitted.converged
    assert (fitted.status.reason, fitted.status.restarts) == ("it stopped early", 3)
    assert "converged: NO (it stopped early)" in str(fitted.summary())
    for refused in (fitted.forecast, fitted.bootstrapped_forecast, fitted.term_structure):
        with pytest.raises(ForecastRefused, match="did not converge"):
            refused(1)


def test_a_likelihood_that_the_filter_does_not_have_is_not_believed(
    returns: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = np.array([0.0, 1e-6, 0.1, 0.8, 6.0])
    monkeypatch.setattr(_maximise, "maximise", lambda kernel, series: Optimum(params, 9999.0, True, "", 0))
    fitted = GarchModel(dist="t").fit(returns[-1000:])
    assert not fitted.converged
    assert "diverged" in fitted.status.reason


def test_no_finite_parameters_are_a_failed_fit(returns: FloatArray, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Optimum(np.full(5, np.nan), np.nan, False, "no starting point has a finite likelihood", 3)
    monkeypatch.setattr(_maximise, "maximise", lambda kernel, series: nothing)
    with pytest.raises(ForecastRefused, match="no starting point"):
        GarchModel(dist="t").fit(returns[-1000:]).forecast()


def test_a_unit_root_is_said() -> None:
    """An integrated GARCH: persistence one, no unconditional sigma, no half-life, and a reservation in words."""
    rng, n = np.random.default_rng(11), 6000
    r, s2 = np.empty(n), 1e-4
    for t in range(n):
        r[t] = np.sqrt(s2) * rng.standard_normal()
        s2 = 1e-7 + 0.12 * r[t] ** 2 + 0.88 * s2
    estimates = {"omega": 1e-7, "alpha[1]": 0.12, "beta[1]": 0.88}
    model = GarchModel(dist="normal", mean="zero")
    summary = FittedGarch.of_parameters(model, estimates, Sample.of(r, 250)).summary()
    assert (summary.unconditional_sigma, summary.half_life) == (None, None)
    assert summary.persistence == pytest.approx(1.0)
    fitted = model.fit(r)
    assert fitted.persistence == pytest.approx(1.0, abs=5e-3)
    assert ("does not revert" in fitted.status.reason) == (fitted.persistence >= 0.9999)  # type: ignore[operator]


@pytest.mark.parametrize("kind", [{}, {"vol": "egarch", "o": 1, "dist": "skewt"}, {"o": 1, "dist": "normal"}])
def test_parameters_alone_give_the_same_numbers(returns: FloatArray, kind: dict[str, Any]) -> None:
    """What a saved model is: names and numbers, through JSON; sigma bit for bit."""
    model = GarchModel(**kind)
    fitted = model.fit(returns[-800:])
    again = FittedGarch.of_parameters(model, dict(reversed(list(fitted.params.items()))), fitted.sample, fitted.status)
    assert again.model_hash == fitted.model_hash
    for horizon in (1, 7):
        assert again.forecast(horizon).sigma == fitted.forecast(horizon).sigma
        assert again.forecast(horizon).quantiles == fitted.forecast(horizon).quantiles
    with pytest.raises(RequestInvalid, match="all finite"):
        FittedGarch.of_parameters(model, {**fitted.params, "omega": np.nan}, fitted.sample)
    with pytest.raises(RequestInvalid, match="beta"):
        FittedGarch.of_parameters(model, {"omega": 1e-6}, fitted.sample)


def test_fitting_through_the_kernel_never_imports_arch() -> None:
    """arch costs 1.4 s of start; so do pandas and statsmodels, which it brings."""
    code = (
        "import sys, numpy as np, forecastle as fc\n"
        "r = 0.01 * np.random.default_rng(0).standard_normal(300)\n"
        "f = fc.GarchModel(dist='t').fit(r); f.forecast(5); f.summary(); f.news_impact()\n"
        "print(sorted({'arch', 'pandas', 'statsmodels', 'scipy.stats', 'scipy.optimize'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_news_impact_is_the_curve_of_engle_and_ng(returns: FloatArray) -> None:
    """GJR: omega + beta s2 + (alpha + gamma [e < 0]) e^2 with s2 unconditional; a fall weighs more than a rise."""
    fitted = GarchModel(o=1, dist="t").fit(returns[-2500:])
    p, level = fitted.params, fitted.summary().unconditional_sigma
    assert level is not None
    shocks, sigma = fitted.news_impact()
    squared = (p["alpha[1]"] + p["gamma[1]"] * (shocks < 0)) * shocks**2
    np.testing.assert_allclose(sigma**2, p["omega"] + p["beta[1]"] * level**2 + squared, rtol=1e-9)
    assert sigma[0] > sigma[-1] >= sigma[shocks.size // 2], "of a rise nothing may be left: alpha at its bound"
    np.testing.assert_array_equal(fitted.news_impact(shocks[[3]])[1], sigma[[3]])


def test_bootstrapped_paths_have_the_shape_of_the_residuals(returns: FloatArray) -> None:
    """One bar: quantiles are those of the standardised residuals; ten: the same sigma as simulated ones."""
    fitted = GarchModel(dist="normal").fit(returns[-2500:])
    z = fitted.standardised_residuals()
    one, ten = fitted.bootstrapped_forecast(1), fitted.bootstrapped_forecast(10)
    mean, sigma = fitted.params["mu"], fitted.forecast(1).sigma
    for p in (0.01, 0.05, 0.95):
        assert one.quantiles[p] == pytest.approx(
            mean + sigma * np.quantile((z - z.mean()) / z.std(), p), abs=0.1 * sigma
        )
    assert ten.sigma == fitted.forecast(10).sigma
    assert ten.var(0.01) > fitted.forecast(10).var(0.01)  # the residuals have heavier tails than a normal


def test_rows_rolled_are_fits_of_their_windows(bundled_spx: Candles) -> None:
    """Through the kernel, warm: sigma of each row as a cold fit of its own window gives it."""
    history, model = History(bundled_spx.last(1300)), GarchModel(o=1, dist="skewt")
    rolled = model.roll(history, Plan(1000, 50, np.array([0.01, 0.5]), first=50))
    assert rolled.refits == 5
    assert rolled.failed == 0
    assert rolled.fresh.all()
    for row in (50, 150, 250):
        one = model.fit(history.returns.values[row : row + 1000]).forecast(1)
        assert rolled.step.sigma[row - 50] == pytest.approx(one.sigma, rel=1e-3)
        assert -rolled.step.quantiles[row - 50, 0] == pytest.approx(one.var(0.01), rel=2e-3)
        assert rolled.step.es[row - 50, 0] == pytest.approx(one.es(0.01), rel=2e-3)


def test_rows_do_not_depend_on_where_the_range_begins(bundled_spx: Candles) -> None:
    """Chunks of 128 refits start cold: a range that begins inside the second has the rows of the whole."""
    history, model, levels = History(bundled_spx.last(701)), GarchModel(dist="normal"), np.array([0.05])
    whole = model.roll(history, Plan(400, 1, levels))
    part = model.roll(history, Plan(400, 1, levels, first=200))
    np.testing.assert_array_equal(part.step.sigma, whole.step.sigma[200:])
    np.testing.assert_array_equal(part.step.es, whole.step.es[200:])
    assert whole.step.sigma.size == 301


def test_the_presample_variance_follows_the_mean() -> None:
    """initial_variance="sample": the first variance of the filter is made of the mean of the squared residuals."""
    rng = np.random.default_rng(4)
    r = 0.01 * rng.standard_normal(600) + 0.001
    fitted = GarchModel(dist="normal", initial_variance="sample").fit(r)
    p = fitted.params
    start = float(((r - p["mu"]) ** 2).mean())
    first = p["omega"] + (p["alpha[1]"] + p["beta[1]"]) * start
    assert fitted.conditional_volatility()[0] ** 2 == pytest.approx(first, rel=1e-12)


@pytest.mark.shared_data
def test_fit_reaches_the_certified_benchmark(shared_data: Path) -> None:
    """DM/GBP with initial_variance="sample": nine digits in each parameter, and the log-likelihood."""
    percent = np.loadtxt(shared_data / "reference" / "dem2gbp.csv", skiprows=1)
    fitted = GarchModel(dist="normal", initial_variance="sample").fit(percent / 100)
    assert fitted.loglikelihood - percent.size * np.log(100) == pytest.approx(-1106.60788104129, abs=1e-9)
    found = in_units("garch", fitted.params, 100.0)
    certified = {"mu": -0.0061904083799, "omega": 0.0107613978518, "alpha[1]": 0.15313406182, "beta[1]": 0.80597367031}
    assert found == pytest.approx(certified, rel=1e-9)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"p": 0}, "p is 0"),
        ({"p": 4}, "p is 4"),
        ({"p": True}, "p is True"),
        ({"q": -1}, "q is -1"),
        ({"o": 1.5}, "o is 1.5"),
        ({"dist": "cauchy"}, "dist is 'cauchy'"),
        ({"mean": "lagged"}, "mean is 'lagged'"),
        ({"vol": "tarch"}, "vol is 'tarch'"),
        ({"initial_variance": "zero"}, "initial_variance is 'zero'"),
        ({"vol": "figarch", "p": 2}, "p is 2"),
        ({"vol": "figarch", "o": 1}, "o is 1"),
        ({"vol": "harch", "q": 2}, "q is 2"),
        ({"vol": "midas", "o": 2}, "o is 2"),
        ({"vol": "aparch", "p": 1, "o": 2}, "o is 2 and p 1"),
        ({"dist": "ged", "initial_variance": "sample"}, "initial_variance is 'sample'"),
    ],
)
def test_what_does_not_exist_is_refused_in_words(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestInvalid, match=said):
        GarchModel(**wrong)


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ({}, "GARCH(1,1)-t"),
        ({"o": 1, "dist": "skewt"}, "GJR-GARCH(1,1,1)-skewt"),
        ({"vol": "egarch", "o": 1, "dist": "skewt"}, "EGARCH(1,1,1)-skewt"),
        ({"vol": "aparch", "o": 1, "mean": "zero"}, "APARCH(1,1,1)-t, zero mean"),
        ({"vol": "figarch"}, "FIGARCH(1,d,1)-t"),
        ({"vol": "figarch", "p": 0}, "FIGARCH(0,d,1)-t"),
        ({"vol": "harch", "dist": "ged"}, "HARCH(1,5,22)-ged"),
        ({"vol": "midas", "mean": "ar"}, "MIDAS(22)-t, AR(1) mean"),
        ({"vol": "midas", "o": 1}, "MIDAS(22, asymmetric)-t"),
        ({"initial_variance": "sample", "dist": "normal"}, "GARCH(1,1)-normal, sample start"),
    ],
)
def test_labels_tell_models_apart(kind: dict[str, Any], label: str) -> None:
    assert GarchModel(**kind).label == label
