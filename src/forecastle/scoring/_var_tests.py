"""Tests of value at risk: the number of breaches, and whether they come one by one."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import RequestInvalid
from forecastle.nouns import Christoffersen, TestResult, TrafficLight
from forecastle.scoring._checks import BoolArray, breaches, probability

FloatArray = npt.NDArray[np.float64]

YELLOW, RED = 0.95, 0.9999
SHAPES = (0.001, 10.0)
"""The Weibull shapes tried: two durations alone could be called regular without end."""
NEWTON_STEPS = 12


def kupiec_pof(returns: FloatArray, var: FloatArray, p: float) -> TestResult:
    """Test the proportion of failures: is the share of breaches ``p``?

    ``LR = -2 ln[(1-p)^(n-x) p^x / ((1-x/n)^(n-x) (x/n)^x)]``, chi-squared with 1 degree of freedom.
    Source: Kupiec (1995), Journal of Derivatives 3(2), 73-84.
    """
    hits = breaches(returns, var, p)
    n, x = hits.size, int(hits.sum())
    ratio = -2.0 * (_loglik(n - x, x, p) - _loglik(n - x, x, x / n))
    return _chi_squared("Kupiec unconditional coverage", ratio, 1)


def christoffersen(returns: FloatArray, var: FloatArray, p: float) -> Christoffersen:
    """Test whether breaches come one by one: a first-order Markov chain against independence.

    ``LR_ind`` compares ``P(breach | breach)`` and ``P(breach | no breach)`` with one common probability (1 degree of
    freedom); conditional coverage is ``LR_uc + LR_ind`` (2 degrees). Where no row follows a breach, or every row does,
    there is nothing to compare: ``LR_ind`` is 0 without a p-value, and conditional coverage is left to ``LR_uc``, still
    with 2 degrees, which rejects too rarely rather than too often. Source: Christoffersen (1998), International
    Economic Review 39(4), 841-862.
    """
    hits = breaches(returns, var, p)
    before, after = hits[:-1], hits[1:]
    n00, n01 = int((~before & ~after).sum()), int((~before & after).sum())
    n10, n11 = int((before & ~after).sum()), int((before & after).sum())
    pooled = (n01 + n11) / max(n00 + n01 + n10 + n11, 1)
    chain = _loglik(n00, n01, n01 / max(n00 + n01, 1)) + _loglik(n10, n11, n11 / max(n10 + n11, 1))
    ratio = max(-2.0 * (_loglik(n00 + n10, n01 + n11, pooled) - chain), 0.0)
    uncovered = kupiec_pof(returns, var, p).statistic
    name = "Christoffersen independence"
    silent = "no row follows a breach" if not n10 + n11 else "every row follows a breach"
    comparable = bool(n10 + n11) and bool(n00 + n01)
    return Christoffersen(
        independence=_chi_squared(name, ratio, 1) if comparable else TestResult(name, ratio, None, 1, silent),
        conditional_coverage=_chi_squared("Christoffersen conditional coverage", (uncovered or 0.0) + ratio, 2),
    )


def dynamic_quantile(returns: FloatArray, var: FloatArray, p: float, lags: int = 4) -> TestResult:
    """Test whether anything known before foretells a breach: a regression of the hits on their past and on VaR.

    ``DQ = H'X (X'X)^-1 X'H / (p (1 - p))`` with ``H = 1{breach} - p`` and X a constant, ``lags`` lagged H and the VaR
    of the row, chi-squared with ``lags + 2`` degrees of freedom. A VaR that never changes says what the constant says:
    then one degree less. Where breaches are so few that lagged hits are no more regressors of their own (none at all,
    say), the statistic stands without a p-value; with too few rows for the regressors there is neither. At 1 % and
    1,000 rows the true size of a 5 % test is nearer to 10 %: ten breaches are no large sample. Source: Engle and
    Manganelli (2004), JBES 22, 367-381 (the test out of sample). Raises ``RequestInvalid`` for less than one lag.
    """
    hits = breaches(returns, var, p)
    n, name = hits.size, "Engle-Manganelli dynamic quantile"
    if lags < 1:
        raise RequestInvalid(f"{lags} lags.", "The test asks whether past breaches foretell the next.", "Use 4.")
    if n - lags <= lags + 2:
        return TestResult(name, None, None, None, "too few rows")
    demeaned = hits - p
    past = [demeaned[lags - k : n - k] for k in range(1, lags + 1)]
    known = _standardised(np.asarray(var, dtype=np.float64)[lags:])
    regressors = np.column_stack([np.ones(n - lags), *past, *known])
    target = demeaned[lags:]
    coefficients, _, rank, _ = np.linalg.lstsq(regressors, target, rcond=1e-9)
    statistic = float(target @ (regressors @ coefficients)) / (p * (1.0 - p))
    if rank < regressors.shape[1]:
        return TestResult(name, statistic, None, None, "too few breaches: lagged hits foretell each other")
    return _chi_squared(name, statistic, regressors.shape[1])


def _standardised(var: FloatArray) -> list[FloatArray]:
    """Return VaR centred and scaled as one regressor, or none where it is a constant."""
    spread = float(var.std())
    return [(var - var.mean()) / spread] if spread > 1e-9 * float(np.abs(var).max()) else []


def duration(returns: FloatArray, var: FloatArray, p: float, *, replications: int = 999, seed: int = 0) -> TestResult:
    """Test whether breaches have no memory: the bars between them are exponential, not Weibull of another shape b.

    ``LR = 2 (l(b) - l(1))``, l the log-likelihood of the durations at the scale that is best for b; the bars before the
    first and after the last breach count as durations cut short, b lies within 0.001 to 10: the statistic of rugarch's
    VaRDurTest. b below 1 means clusters. The p-value is not that of chi-squared but the share of ``replications``
    orders of the same rows, shuffled with ``seed``, with a statistic as large (Dufour 2006, as the paper proposes):
    durations are whole numbers, not exponential, so chi-squared (1) rejects 20 % of right forecasts of a 5 % VaR over
    4,000 rows. ``p`` does not enter. Fewer than two breaches enclose no duration: then there is neither number.
    Sources: Christoffersen and Pelletier (2004), Journal of Financial Econometrics 2, 84-108; Dufour (2006), Journal of
    Econometrics 133, 443-477.
    """
    hits = breaches(returns, var, p)
    rows, n = np.flatnonzero(hits), hits.size
    name = "Christoffersen-Pelletier duration"
    if rows.size < 2:
        return TestResult(name, None, None, None, "fewer than two breaches enclose no duration")
    statistic = float(_duration_ratios(rows[None, :], n)[0])
    rng = np.random.default_rng(seed)
    shuffled = np.sort([rng.choice(n, rows.size, replace=False, shuffle=False) for _ in range(replications)], axis=1)
    as_large = int((_duration_ratios(shuffled, n) >= statistic - 1e-9).sum())
    return TestResult(name, statistic, (1 + as_large) / (1 + replications))


def _duration_ratios(rows: npt.NDArray[np.int64], n: int) -> FloatArray:
    """Return the likelihood ratio of every line of ``rows``, rising places of breaches, shape (series, breaches)."""
    whole = np.diff(rows, axis=1).astype(np.float64)
    every = np.column_stack([rows[:, 0] + (rows[:, 0] > 0), whole, n - 1.0 - rows[:, -1]])
    mean_log = np.log(whole).mean(axis=1)
    logs, counted = np.log(np.maximum(every, 1.0)), every > 0  # no duration before a breach in the first row
    one = np.ones(rows.shape[0])
    best = _weibull_shapes(logs, counted, mean_log)
    gains = _weibull_loglik(best, logs, counted, mean_log) - _weibull_loglik(one, logs, counted, mean_log)
    return np.asarray(np.maximum(2.0 * whole.shape[1] * gains, 0.0))


def _weibull_loglik(shape: FloatArray, logs: FloatArray, counted: BoolArray, mean_log: FloatArray) -> FloatArray:
    """Return the log-likelihood per whole duration at the best scale, but for constants; all shapes (series,)."""
    return np.asarray(np.log(shape) + (shape - 1.0) * mean_log - np.log(_powers(shape, logs, counted).sum(axis=1)))


def _weibull_shapes(logs: FloatArray, counted: BoolArray, mean_log: FloatArray) -> FloatArray:
    """Return the best shapes by Newton's method: the slope ``1/b + mean ln - weighted mean ln`` falls in b throughout.

    A step is at most fourfold, so none leaves for where the slope is flat.
    """
    shape = np.ones(mean_log.size)
    for _ in range(NEWTON_STEPS):
        weights = _powers(shape, logs, counted)
        weights /= weights.sum(axis=1, keepdims=True)
        centre = (weights * logs).sum(axis=1)
        spread = (weights * logs**2).sum(axis=1) - centre**2
        step = (1.0 / shape + mean_log - centre) / (1.0 / shape**2 + np.maximum(spread, 0.0))
        shape = np.clip(np.clip(shape + step, shape / 4.0, shape * 4.0), *SHAPES)
    return shape


def _powers(shape: FloatArray, logs: FloatArray, counted: BoolArray) -> FloatArray:
    return np.asarray(np.exp(shape[:, None] * logs) * counted)


def traffic_light(breaches: int, n: int, p: float) -> TrafficLight:
    """Return the Basel zone of ``breaches`` in ``n`` observations at level ``p``.

    The cumulative probability is ``P(X <= breaches)`` of a binomial (n, p): green below 95 %, red from 99.99 % on.
    Source: Basel Committee on Banking Supervision (1996), Supervisory framework for the use of "backtesting", table 2.
    """
    probability(p)
    if not 0 <= breaches <= n or n < 1:
        raise RequestInvalid(
            f"{breaches} breaches in {n} observations.", "0 <= breaches <= n and n >= 1 has to hold.", "Count again."
        )
    cumulative = float(special.bdtr(breaches, n, p))
    zone = "red" if cumulative >= RED else "yellow" if cumulative >= YELLOW else "green"
    zone = zone if breaches else "green"  # in a handful of bars even none is more than expected
    return TrafficLight(zone, breaches, n, p, cumulative)  # type: ignore[arg-type]


def _loglik(misses: int, hits: int, p: float) -> float:
    """Return ``misses ln(1-p) + hits ln(p)`` with 0 ln 0 = 0."""
    return float(special.xlog1py(misses, -p) + special.xlogy(hits, p))


def _chi_squared(name: str, ratio: float, degrees: int) -> TestResult:
    ratio = max(ratio, 0.0)  # rounding can leave -1e-15
    value = float(special.chdtrc(degrees, ratio))
    return TestResult(name, ratio, value if math.isfinite(value) else None, degrees)
