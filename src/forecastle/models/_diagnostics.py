"""Whether a fit left anything in its residuals: tests of the standardised residuals ``z = e / sigma``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.nouns import TestResult

FloatArray = npt.NDArray[np.float64]

LAGS = 10


def residual_tests(z: FloatArray, residuals: FloatArray, mean_lags: int, variance_lags: int) -> tuple[TestResult, ...]:
    """Return all tests of this file; the lags are those fitted, which cost degrees of freedom."""
    return (
        ljung_box("Ljung-Box, residuals", z, mean_lags),
        ljung_box("Ljung-Box, squares", z**2, variance_lags),
        arch_lm(z),
        *sign_bias(z, residuals),
    )


def ljung_box(name: str, x: FloatArray, fitted: int, lags: int = LAGS) -> TestResult:
    """Test that ``x`` is not autocorrelated up to ``lags``: ``n (n + 2) sum_k r_k^2 / (n - k)``.

    Ljung and Box (1978); chi squared with ``lags - fitted`` degrees of freedom. For squares of standardised residuals
    ``fitted`` is p + q, which is what people use and only near the truth (Li and Mak 1994).
    """
    n, centred = x.size, x - x.mean()
    rho = np.array([centred[k:] @ centred[:-k] for k in range(1, lags + 1)]) / (centred @ centred)
    statistic = float(n * (n + 2) * (rho**2 / (n - np.arange(1, lags + 1))).sum())
    return _chi_squared(f"{name} ({lags} lags)", statistic, lags - fitted)


def arch_lm(z: FloatArray, lags: int = LAGS) -> TestResult:
    """Test that ``z^2`` does not depend on its ``lags`` last values: n times R squared of the regression.

    Engle (1982).
    """
    square = z**2
    past = np.column_stack([square[lags - k : square.size - k] for k in range(1, lags + 1)])
    outcome = square[lags:]
    statistic = outcome.size * _r_squared(outcome, past)
    return _chi_squared(f"ARCH-LM ({lags} lags)", statistic, lags)


def sign_bias(z: FloatArray, residuals: FloatArray) -> tuple[TestResult, ...]:
    """Test that sign and size of the last residual say nothing of the next ``z^2``.

    Engle and Ng (1993): the regression ``z[t]^2 = a + b1 S + b2 S e[t-1] + b3 (1 - S) e[t-1]``, S one where
    ``e[t-1] < 0``; a t-test for each of b1 (sign), b2 (size of falls), b3 (size of rises), and n R squared for all
    three, chi squared with 3 degrees of freedom.
    """
    last = residuals[:-1] / residuals.std()
    fell = (last < 0).astype(np.float64)
    past, outcome = np.column_stack([fell, fell * last, (1 - fell) * last]), z[1:] ** 2
    design = np.column_stack([np.ones(last.size), past])
    inverse = np.linalg.inv(design.T @ design)
    slopes = inverse @ design.T @ outcome
    left = outcome - design @ slopes
    freedom = outcome.size - design.shape[1]
    t = slopes / np.sqrt(np.diag(inverse) * (left @ left) / freedom)
    single = [
        TestResult(name, float(value), float(2.0 * special.stdtr(freedom, -abs(value))), freedom)
        for name, value in zip(("Sign bias", "Size bias, falls", "Size bias, rises"), t[1:], strict=True)
    ]
    return (*single, _chi_squared("Sign bias, joint", outcome.size * _r_squared(outcome, past), 3))


def _r_squared(outcome: FloatArray, past: FloatArray) -> float:
    """Return the share of the variance of ``outcome`` that a regression on ``past`` and a constant explains."""
    design = np.column_stack([np.ones(outcome.size), past])
    slopes = np.linalg.lstsq(design, outcome, rcond=None)[0]
    left, centred = outcome - design @ slopes, outcome - outcome.mean()
    return float(1.0 - left @ left / (centred @ centred))


def _chi_squared(name: str, statistic: float, freedom: int) -> TestResult:
    if freedom < 1:
        return TestResult(name, statistic, None, reason="more lags were fitted than are tested")
    return TestResult(name, statistic, float(special.chdtrc(freedom, statistic)), freedom)
