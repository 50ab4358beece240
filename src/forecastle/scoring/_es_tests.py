"""Tests of expected shortfall: is the loss beyond VaR as large as was said?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from forecastle.nouns import AcerbiSzekely, TestResult
from forecastle.scoring._checks import aligned, breaches, positive

FloatArray = npt.NDArray[np.float64]

SIMULATIONS = 1000
FEWEST_BREACHES = 5
"""Fewer breaches have fewer than 126 different resamples: no 5 % can be read from them."""


def acerbi_szekely(
    returns: FloatArray,
    var: FloatArray,
    es: FloatArray,
    p: float,
    simulate: Callable[[np.random.Generator], FloatArray] | None = None,
    seed: int = 0,
) -> AcerbiSzekely:
    """Test expected shortfall: Z1 given the breaches, Z2 jointly with their number; 0 is expected, less is too little.

    ``Z1 = sum(r I / es) / sum(I) + 1``, ``Z2 = sum(r I / es) / (n p) + 1`` with I the breaches. There is no null
    distribution without the forecast's own: give ``simulate``, which draws one series of returns, shape (n,), from the
    forecasts (:func:`simulator` makes one), and the p-value is the share of 1,000 draws with a statistic at most as
    large. Source: Acerbi and Szekely (2014), Risk, December, tests 1 and 2.
    """
    returns, var, es = aligned(returns=returns, VaR=var, ES=es)
    breaches(returns, var, p)
    positive("ES", es)
    z1, z2 = _shortfalls(returns, var, es, p)
    if simulate is None:
        reason = "no null distribution without a simulator of the forecast"
        return AcerbiSzekely(
            TestResult("Acerbi-Szekely Z1", z1, None, reason=reason if z1 is not None else "no breaches"),
            TestResult("Acerbi-Szekely Z2", z2, None, reason=reason),
        )
    rng = np.random.default_rng(seed)
    draws = [_shortfalls(simulate(rng), var, es, p) for _ in range(SIMULATIONS)]
    first = [a for a, _ in draws if a is not None]
    p1 = None if z1 is None else sum(a <= z1 for a in first) / max(len(first), 1)
    p2 = sum(b <= z2 for _, b in draws) / SIMULATIONS
    return AcerbiSzekely(
        TestResult("Acerbi-Szekely Z1", z1, p1, reason="" if z1 is not None else "no breaches"),
        TestResult("Acerbi-Szekely Z2", z2, p2),
    )


def simulator(
    mean: FloatArray, sigma: FloatArray, quantile: Callable[[FloatArray], FloatArray]
) -> Callable[[np.random.Generator], FloatArray]:
    """Return what draws one series of returns ``mean + sigma z`` from forecasts, for :func:`acerbi_szekely`.

    ``mean`` and ``sigma`` have shape (n,), z is standardised and drawn row by row by its ``quantile`` function, such as
    ``StudentT(0.0, 1.0, nu).standard_quantile``, or ``Empirical.of(z).standard_quantile`` of past innovations. Raises
    ``DataInvalid`` for NaN, different shapes and sigma that is not positive.
    """
    centre, spread = aligned(mean=mean, sigma=sigma)
    positive("sigma", spread)

    def draw(rng: np.random.Generator) -> FloatArray:
        u = np.clip(rng.random(centre.size), 1e-16, None)  # 0 itself has no quantile
        return centre + spread * quantile(u)

    return draw


def _shortfalls(returns: FloatArray, var: FloatArray, es: FloatArray, p: float) -> tuple[float | None, float]:
    hits = returns < -var
    total = float((returns[hits] / es[hits]).sum())
    count = int(hits.sum())
    return (total / count + 1.0 if count else None), total / (returns.size * p) + 1.0


def mcneil_frey(
    returns: FloatArray,
    var: FloatArray,
    es: FloatArray,
    p: float,
    sigma: FloatArray | None = None,
    *,
    replications: int = SIMULATIONS,
    seed: int = 0,
) -> TestResult:
    """Test whether losses beyond VaR exceed ES on average; the alternative is that ES is too low.

    The residuals of the breaches, ``-r - es`` (over ``sigma``, the forecast standard deviation, where given), have mean
    0 if ES is right. The statistic is their t-value, its null distribution that of centred resamples, drawn with
    ``seed``; the p-value is ``(1 + #{t* >= t}) / (1 + replications)`` (Davison and Hinkley 1997, eq. 4.11). With fewer
    than five breaches, or residuals all the same, there is none. Sources: McNeil and Frey (2000), Journal of Empirical
    Finance 7, 271-300; Efron and Tibshirani (1993), section 16.4. Raises ``DataInvalid`` for NaN, different shapes and
    ES or sigma that is not positive.
    """
    name = "McNeil-Frey exceedance residuals"
    scale = np.ones(np.shape(returns)) if sigma is None else sigma
    returns, var, es, scale = aligned(returns=returns, VaR=var, ES=es, sigma=scale)
    positive("ES", es)
    positive("sigma", scale)
    hits = breaches(returns, var, p)
    residuals = (-returns[hits] - es[hits]) / scale[hits]
    if residuals.size < FEWEST_BREACHES:
        return TestResult(name, None, None, reason=f"fewer than {FEWEST_BREACHES} breaches")
    if float(np.ptp(residuals)) <= 1e-12 * float(np.abs(residuals).max()):
        return TestResult(name, None, None, reason="the residuals are all the same")
    rng = np.random.default_rng(seed)
    centred = residuals - residuals.mean()
    resampled = _t_values(centred[rng.integers(residuals.size, size=(replications, residuals.size))])
    statistic = float(_t_values(residuals[None, :])[0])
    return TestResult(name, statistic, (1 + int((resampled >= statistic).sum())) / (1 + replications))


def _t_values(rows: FloatArray) -> FloatArray:
    """Return the t-value of the mean of every row; that of a row of one value is infinite with the sign of its mean."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = rows.mean(axis=1) / rows.std(axis=1, ddof=1) * math.sqrt(rows.shape[1])
    return np.asarray(np.nan_to_num(t, nan=0.0, posinf=np.inf, neginf=-np.inf))
