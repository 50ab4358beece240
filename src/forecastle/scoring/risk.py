"""Tests of value at risk and expected shortfall.

Everywhere ``returns`` are realised log returns in decimals, ``var`` and ``es`` positive losses forecast for the same
bars, shape (n,); a breach is ``return < -var``, strictly; ``p`` is the level (0.01 is one percent). NaN is refused with
``DataInvalid``: an unknown forecast can neither be met nor broken.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import AcerbiSzekely, Christoffersen, TestResult, TrafficLight

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

YELLOW, RED = 0.95, 0.9999
SIMULATIONS = 1000


def kupiec_pof(returns: FloatArray, var: FloatArray, p: float) -> TestResult:
    """Test the proportion of failures: is the share of breaches ``p``?

    ``LR = -2 ln[(1-p)^(n-x) p^x / ((1-x/n)^(n-x) (x/n)^x)]``, chi-squared with 1 degree of freedom.
    Source: Kupiec (1995), Journal of Derivatives 3(2), 73-84.
    """
    hits = _hits(returns, var, p)
    n, x = hits.size, int(hits.sum())
    ratio = -2.0 * (_loglik(n - x, x, p) - _loglik(n - x, x, x / n))
    return _chi_squared("Kupiec unconditional coverage", ratio, 1)


def christoffersen(returns: FloatArray, var: FloatArray, p: float) -> Christoffersen:
    """Test whether breaches come one by one: a first-order Markov chain against independence.

    ``LR_ind`` compares ``P(breach | breach)`` and ``P(breach | no breach)`` with one common probability (1 degree of
    freedom); conditional coverage is ``LR_uc + LR_ind`` (2 degrees). Source: Christoffersen (1998), International
    Economic Review 39(4), 841-862.
    """
    hits = _hits(returns, var, p)
    before, after = hits[:-1], hits[1:]
    n00, n01 = int((~before & ~after).sum()), int((~before & after).sum())
    n10, n11 = int((before & ~after).sum()), int((before & after).sum())
    pooled = (n01 + n11) / max(n00 + n01 + n10 + n11, 1)
    chain = _loglik(n00, n01, n01 / max(n00 + n01, 1)) + _loglik(n10, n11, n11 / max(n10 + n11, 1))
    ratio = -2.0 * (_loglik(n00 + n10, n01 + n11, pooled) - chain)
    uncovered = kupiec_pof(returns, var, p).statistic
    joint = (uncovered or 0.0) + max(ratio, 0.0)
    return Christoffersen(
        independence=_chi_squared("Christoffersen independence", ratio, 1),
        conditional_coverage=_chi_squared("Christoffersen conditional coverage", joint, 2),
    )


def traffic_light(breaches: int, n: int, p: float) -> TrafficLight:
    """Return the Basel zone of ``breaches`` in ``n`` observations at level ``p``.

    The cumulative probability is ``P(X <= breaches)`` of a binomial (n, p): green below 95 %, red from 99.99 % on.
    Source: Basel Committee on Banking Supervision (1996), Supervisory framework for the use of "backtesting", table 2.
    """
    _level(p)
    if not 0 <= breaches <= n or n < 1:
        raise RequestInvalid(
            f"{breaches} breaches in {n} observations.", "0 <= breaches <= n and n >= 1 has to hold.", "Count again."
        )
    cumulative = float(special.bdtr(breaches, n, p))
    zone = "red" if cumulative >= RED else "yellow" if cumulative >= YELLOW else "green"
    zone = zone if breaches else "green"  # in a handful of bars even none is more than expected
    return TrafficLight(zone, breaches, n, p, cumulative)  # type: ignore[arg-type]


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
    forecasts, and the p-value is the share of 1,000 draws with a statistic at most as large. Source: Acerbi and Szekely
    (2014), Risk, December, tests 1 and 2.
    """
    returns, var, es = (np.asarray(x, dtype=np.float64) for x in (returns, var, es))
    _hits(returns, var, p)
    _hits(returns, es, p)
    if not (es > 0).all():
        raise DataInvalid("Some ES is zero or negative.", "ES is a positive loss here.", "Change its sign.")
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


def _shortfalls(returns: FloatArray, var: FloatArray, es: FloatArray, p: float) -> tuple[float | None, float]:
    hits = returns < -var
    total = float((returns[hits] / es[hits]).sum())
    count = int(hits.sum())
    return (total / count + 1.0 if count else None), total / (returns.size * p) + 1.0


def _hits(returns: FloatArray, var: FloatArray, p: float) -> BoolArray:
    _level(p)
    returns, var = np.asarray(returns, dtype=np.float64), np.asarray(var, dtype=np.float64)
    if returns.shape != var.shape or returns.ndim != 1 or not returns.size:
        raise DataInvalid(
            f"Returns have shape {returns.shape} and VaR {var.shape}.",
            "A test needs one forecast for every outcome.",
            "Pass two 1-d arrays of the same length.",
        )
    if not (np.isfinite(returns).all() and np.isfinite(var).all()):
        raise DataInvalid(
            "Returns or VaR hold NaN or infinity.", "Such a row can neither hold nor fail.", "Leave it out."
        )
    if (var <= 0).all():
        raise DataInvalid("Every VaR is zero or negative.", "VaR is a positive loss here.", "Change its sign.")
    return np.asarray(returns < -var)


def _level(p: float) -> None:
    if not 0.0 < p < 0.5:
        raise RequestInvalid(
            f"The level is {p}.", "It is the share of breaches, between 0 and 0.5.", "One percent is 0.01."
        )


def _loglik(misses: int, hits: int, p: float) -> float:
    """Return ``misses ln(1-p) + hits ln(p)`` with 0 ln 0 = 0."""
    return float(special.xlog1py(misses, -p) + special.xlogy(hits, p))


def _chi_squared(name: str, ratio: float, degrees: int) -> TestResult:
    ratio = max(ratio, 0.0)  # rounding can leave -1e-15
    value = float(special.chdtrc(degrees, ratio))
    return TestResult(name, ratio, value if math.isfinite(value) else None, degrees)
