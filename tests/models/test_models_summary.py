"""Standard errors and diagnostics of a fit, against published numbers, statsmodels and slow versions."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm  # type: ignore[import-untyped]
from scipy import stats
from statsmodels.stats.diagnostic import acorr_ljungbox, het_arch  # type: ignore[import-untyped]

from forecastle.cli._json import plain
from forecastle.models import _maximise
from forecastle.models._diagnostics import arch_lm, ljung_box, sign_bias
from forecastle.models._inference import differentiate, infer, nyblom_p_value, nyblom_statistics
from forecastle.models.garch import FittedGarch, GarchModel, in_units
from forecastle.nouns import Candles, FitSummary
from forecastle.nouns.fit import half_life

FloatArray = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def returns(bundled_spx: Candles) -> FloatArray:
    return bundled_spx.log_returns().values[-2000:]


@pytest.fixture(scope="module")
def egarch(returns: FloatArray) -> FittedGarch:
    return GarchModel(vol="egarch", o=1, dist="skewt").fit(returns)


def _z(n: int) -> FloatArray:
    return np.random.default_rng(3).standard_t(6, n)


@pytest.mark.shared_data
def test_published_errors_and_tests_of_the_dem2gbp_benchmark(shared_data: Path) -> None:
    """Both kinds of errors: Fiorentini, Calzolari and Panattoni (1996), table of McCullough and Renfro (1999).

    Ljung-Box: the summary of fGarch's garchFit on the same series, 10.12142 and 9.062553 at 10 lags.
    """
    percent = np.loadtxt(shared_data / "reference" / "dem2gbp.csv", skiprows=1)
    summary = GarchModel(dist="normal", initial_variance="sample").fit(percent / 100).summary()
    unit = {"mu": 100.0, "omega": 1e4}
    robust = {"mu": 0.00918935, "omega": 0.00649319, "alpha[1]": 0.0535317, "beta[1]": 0.0724614}
    hessian = {"mu": 0.00846212, "omega": 0.00285271, "alpha[1]": 0.0265228, "beta[1]": 0.0335527}
    for p in summary.parameters:
        assert p.standard_error is not None
        assert p.hessian_error is not None
        assert p.standard_error * unit.get(p.name, 1.0) == pytest.approx(robust[p.name], rel=3e-4)
        assert p.hessian_error * unit.get(p.name, 1.0) == pytest.approx(hessian[p.name], rel=3e-4)
    tests = {t.name: t for t in summary.tests}
    assert tests["Ljung-Box, residuals (10 lags)"].statistic == pytest.approx(10.12142, abs=2e-3)
    assert tests["Ljung-Box, residuals (10 lags)"].p_value == pytest.approx(0.4299065, abs=2e-4)
    assert tests["Ljung-Box, squares (10 lags)"].statistic == pytest.approx(9.062553, abs=2e-3)


@pytest.mark.parametrize("lags", [1, 5, 10, 20])
@pytest.mark.parametrize("fitted", [0, 1])
def test_ljung_box_is_statsmodels(lags: int, fitted: int) -> None:
    z, ours = _z(400), ljung_box("x", _z(400) ** 2, fitted, lags)
    theirs = acorr_ljungbox(z**2, lags=[lags], model_df=fitted).iloc[0]
    assert ours.statistic == pytest.approx(theirs["lb_stat"], rel=1e-10)
    if lags == fitted:
        assert (ours.p_value, ours.reason) == (None, "more lags were fitted than are tested")
    else:
        assert ours.p_value == pytest.approx(theirs["lb_pvalue"], rel=1e-9)


@pytest.mark.parametrize("lags", [1, 5, 10])
def test_arch_lm_is_statsmodels(lags: int) -> None:
    z = _z(500)
    ours, theirs = arch_lm(z, lags), het_arch(z, nlags=lags, result_object=False)
    assert ours.statistic == pytest.approx(theirs[0], rel=1e-9)
    assert ours.p_value == pytest.approx(theirs[1], rel=1e-9)


def test_sign_bias_is_the_regression_of_engle_and_ng(egarch: FittedGarch, returns: FloatArray) -> None:
    """t-values and n R squared by statsmodels; the joint test does not depend on the unit of the residuals."""
    z, e = egarch.standardised_residuals(), returns - egarch.params["mu"]
    fell = (e[:-1] < 0).astype(float)
    design = sm.add_constant(np.column_stack([fell, fell * e[:-1] * 100, (1 - fell) * e[:-1] * 100]))
    found = sm.OLS(z[1:] ** 2, design).fit()
    *single, joint = sign_bias(z, e)
    np.testing.assert_allclose(np.array([t.statistic for t in single], float), found.tvalues[1:], rtol=1e-8)
    np.testing.assert_allclose(np.array([t.p_value for t in single], float), found.pvalues[1:], rtol=1e-8)
    assert joint.statistic == pytest.approx(found.nobs * found.rsquared, rel=1e-8)
    assert joint.p_value == pytest.approx(stats.chi2.sf(joint.statistic, 3), rel=1e-9)


def test_sign_bias_finds_what_a_symmetric_fit_leaves(returns: FloatArray) -> None:
    symmetric = {t.name: t for t in GarchModel(dist="t").fit(returns).summary().tests}
    assert symmetric["Sign bias, joint"].rejects(0.01)


_HANSEN = {  # Hansen (1990), table 1: parameters -> critical values at 10 %, 5 %, 1 %
    1: (0.353, 0.470, 0.748), 2: (0.610, 0.749, 1.07), 3: (0.846, 1.01, 1.35), 4: (1.07, 1.24, 1.60),
    5: (1.28, 1.47, 1.88), 6: (1.49, 1.68, 2.12), 8: (1.89, 2.11, 2.59), 10: (2.29, 2.54, 3.05),
    15: (3.26, 3.54, 4.07), 20: (4.22, 4.52, 5.13),
}  # fmt: skip


@pytest.mark.parametrize("parameters", _HANSEN)
def test_p_values_of_nyblom_are_those_of_hansens_table(parameters: int) -> None:
    """His values are simulated, those at 1 % from few draws."""
    for value, size in zip(_HANSEN[parameters], (0.10, 0.05, 0.01), strict=True):
        assert nyblom_p_value(value, parameters) == pytest.approx(size, rel=0.06 if size > 0.01 else 0.16)


def test_p_values_of_nyblom_are_anderson_and_darlings() -> None:
    """One parameter is the statistic of Cramer and von Mises: Anderson and Darling (1952), table 1."""
    for value, below in ((0.02480, 0.01), (0.11888, 0.50), (0.46136, 0.95), (0.74346, 0.99), (1.16786, 0.999)):
        assert nyblom_p_value(value, 1) == pytest.approx(1 - below, abs=2e-5)


def test_nyblom_is_the_sum_written_out() -> None:
    g = np.random.default_rng(0).standard_normal((60, 3)) @ np.array([[1.0, 0.5, 0], [0, 1, 0.3], [0, 0, 2.0]])
    v, joint, single = g.T @ g, 0.0, np.zeros(3)
    for t in range(60):
        s = g[: t + 1].sum(axis=0)
        joint += float(s @ np.linalg.inv(v) @ s) / 60
        single += s**2 / np.diag(v) / 60
    ours = nyblom_statistics(g)
    np.testing.assert_allclose(ours[0], single, rtol=1e-10)
    assert ours[1] == pytest.approx(joint, rel=1e-10)


def test_nyblom_finds_a_broken_parameter() -> None:
    """A variance that doubles half way; and holds its size on data without a break."""
    rng, rejected = np.random.default_rng(8), 0
    for _ in range(40):
        r = 0.01 * rng.standard_normal(500)
        scores = np.column_stack([r / 1e-4, (r**2 - r.var()) / 1e-8])
        scores -= scores.mean(axis=0)
        rejected += nyblom_p_value(nyblom_statistics(scores)[1], 2) < 0.05
    assert rejected <= 6
    broken = 0.01 * rng.standard_normal(500) * np.where(np.arange(500) < 250, 1.0, 2.0)
    moments = (broken**2 - (broken**2).mean())[:, None]
    assert nyblom_p_value(nyblom_statistics(moments)[1], 1) < 1e-4


@pytest.mark.parametrize("kind", [{}, {"dist": "normal", "p": 2}, {"o": 1, "dist": "skewt"}])
def test_differences_agree_with_the_exact_derivatives(returns: FloatArray, kind: dict[str, Any]) -> None:
    """Models through arch get numeric scores and Hessians: where both are known they are the same."""
    fitted = GarchModel(**kind).fit(returns)
    names = [n for n, v in fitted.params.items() if abs(v) > 1e-6 or n in ("mu", "omega")]
    place = [list(fitted.params).index(n) for n in names]
    kernel, params = fitted.model.kernel(), np.array(list(fitted.params.values()))
    exact = infer(
        _maximise.observation_scores(kernel, params, returns)[:, place],
        _maximise.hessian(kernel, params, returns)[np.ix_(place, place)],
        names,
    )
    numeric = infer(*differentiate(fitted._terms, fitted.params, names, 1e-3 * returns.std()), names)
    assert numeric.robust == pytest.approx(exact.robust, rel=5e-3)
    assert numeric.classic == pytest.approx(exact.classic, rel=5e-3)
    assert numeric.stability == pytest.approx(exact.stability, rel=1e-2, abs=1e-3)


def test_no_errors_where_there_is_no_top(returns: FloatArray) -> None:
    found = infer(np.ones((10, 2)), np.array([[1.0, 0.0], [0.0, -1.0]]), ["a", "b"])
    assert found.parameter("a", 2.0).standard_error is None
    assert (found.nyblom.p_value, found.nyblom.reason) == (None, "the likelihood has no smooth top here")


def test_a_parameter_at_its_bound_has_no_error(returns: FloatArray) -> None:
    summary = GarchModel(o=1, dist="skewt").fit(returns[-1500:]).summary()
    bound = [p for p in summary.parameters if p.name.startswith("alpha") and p.value < 1e-6]
    assert "bound of zero" in summary.status.reason
    assert [p.standard_error for p in bound] == [None]
    assert {t.name: t for t in summary.tests}["Nyblom"].degrees_of_freedom == 6


def test_the_table_shows_all_of_it(egarch: FittedGarch) -> None:
    summary = egarch.summary()
    text = str(summary)
    for word in (
        "EGARCH(1,1,1)-skewt", "Hansen's skewed Student's t", "robust s.e.", "Hessian s.e.", "Nyblom", "AIC", "BIC",
        "HQ", "persistence", "half-life", "Ljung-Box, residuals", "Ljung-Box, squares", "ARCH-LM", "Sign bias, joint",
        "5 % critical value 1.9 (Hansen 1990)",
    ):  # fmt: skip
        assert word in text
    table = text[text.index("parameter") : text.index("\n\ntest")].splitlines()
    assert len({len(line) for line in table}) == 1
    assert all(len(line) <= 120 for line in text.splitlines())


def test_criteria_and_half_life_by_hand(egarch: FittedGarch, returns: FloatArray) -> None:
    summary, n = egarch.summary(), returns.size
    top = -2 * egarch.loglikelihood
    assert summary.aic == pytest.approx(top + 2 * 7)
    assert summary.bic == pytest.approx(top + 7 * math.log(n))
    assert summary.hqic == pytest.approx(top + 2 * 7 * math.log(math.log(n)))
    assert summary.persistence == egarch.params["beta[1]"]
    assert summary.half_life is not None
    assert egarch.params["beta[1]"] ** summary.half_life == pytest.approx(0.5)
    assert [half_life(p) for p in (None, 0.0, 1.0, 1.2)] == [None] * 4


def test_a_summary_is_a_json_document(egarch: FittedGarch) -> None:
    document = json.loads(json.dumps(plain(egarch.summary()), allow_nan=False))
    assert set(document) == {f.name for f in dataclasses.fields(FitSummary)}
    assert [p["name"] for p in document["parameters"]] == list(egarch.params)
    assert {"name", "statistic", "p_value", "degrees_of_freedom", "reason"} == set(document["tests"][0])


def test_units_go_there_and_back() -> None:
    for vol, names in (("garch", {"mu": 0.1, "omega": 0.2}), ("aparch", {"omega": 0.2, "delta": 1.3}),
                       ("egarch", {"omega": -0.1, "beta[1]": 0.9, "beta[2]": 0.05})):  # fmt: skip
        there = in_units(vol, names, 37.0)  # type: ignore[arg-type]
        assert in_units(vol, there, 1 / 37.0) == pytest.approx(names)  # type: ignore[arg-type]
