"""Performance of a series of per-period log returns, and what it is worth after many were tried.

Each figure has one definition; ``periods_per_year`` is always said. Where a figure is not defined it is None, with the
reason, never a silly number.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns.scorecard import DeflatedSharpe, Ratio
from forecastle.scoring._overfitting import probability_of_backtest_overfitting

__all__ = [
    "cagr",
    "deflated",
    "deflated_sharpe",
    "expected_best_sharpe",
    "mar",
    "max_drawdown",
    "probabilistic_sharpe",
    "probability_of_backtest_overfitting",
    "sharpe",
    "sortino",
]

FloatArray = npt.NDArray[np.float64]
EULER = 0.5772156649015329
FEWEST = 20
"""Periods below which an annual figure would be a guess."""
_ROUNDING = 1e-12


def _series(returns: FloatArray) -> FloatArray:
    r = np.asarray(returns, dtype=np.float64)
    if r.ndim != 1 or not np.isfinite(r).all():
        raise DataInvalid("The returns are not one finite series.", "One log return a period.", "Leave NaN out.")
    return r


def _undefined(name: str, r: FloatArray, spread: float = 1.0) -> Ratio | None:
    if r.size < FEWEST:
        return Ratio(name, None, f"{r.size} periods; {FEWEST} are needed")
    if spread <= _ROUNDING * max(float(np.abs(r).max()), 1e-300):
        return Ratio(name, None, "the returns do not vary")
    return None


def sharpe(returns: FloatArray, periods_per_year: float, free: float = 0.0) -> Ratio:
    """Return ``mean(r - free) / std(r) sqrt(periods_per_year)``, std with n - 1; ``free`` is per period."""
    r = _series(returns)
    spread = float(r.std(ddof=1)) if r.size > 1 else 0.0
    return _undefined("sharpe", r, spread) or Ratio(
        "sharpe", (float(r.mean()) - free) / spread * math.sqrt(periods_per_year)
    )


def sortino(returns: FloatArray, periods_per_year: float, target: float = 0.0) -> Ratio:
    """Return ``mean(r - target) / sqrt(mean(min(r - target, 0)^2)) sqrt(periods_per_year)``; target is per period."""
    r = _series(returns)
    below = math.sqrt(float(np.square(np.minimum(r - target, 0.0)).mean())) if r.size else 0.0
    if r.size >= FEWEST and below == 0.0:
        return Ratio("sortino", None, "no period fell below the target")
    return _undefined("sortino", r) or Ratio(
        "sortino", float((r - target).mean()) / below * math.sqrt(periods_per_year)
    )


def cagr(returns: FloatArray, periods_per_year: float) -> Ratio:
    """Return ``exp(sum r / years) - 1``, a share a year."""
    r = _series(returns)
    return _undefined("cagr", r) or Ratio("cagr", math.expm1(float(r.sum()) * periods_per_year / r.size))


def max_drawdown(returns: FloatArray) -> Ratio:
    """Return the deepest fall from a high before it, a positive share of that high: ``1 - min(equity / high)``."""
    r = _series(returns)
    if not r.size:
        return Ratio("max_drawdown", None, "there are no periods")
    equity = np.concatenate([[0.0], np.cumsum(r)])
    return Ratio("max_drawdown", -math.expm1(float((equity - np.maximum.accumulate(equity)).min())))


def mar(returns: FloatArray, periods_per_year: float) -> Ratio:
    """Return the yearly growth over the deepest drawdown."""
    growth, fall = cagr(returns, periods_per_year), max_drawdown(returns)
    if growth.value is None or fall.value is None:
        return Ratio("mar", None, growth.reason or fall.reason)
    return Ratio("mar", growth.value / fall.value) if fall.value > 0 else Ratio("mar", None, "there was no drawdown")


def expected_best_sharpe(trials: int, variance: float) -> float:
    """Return the Sharpe ratio per period that the best of ``trials`` without skill is expected to show.

    ``sqrt(V) ((1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e)))`` with Euler's g (Bailey and López de Prado 2014); 0 for
    one trial.
    """
    if trials < 1 or variance < 0.0:
        raise RequestInvalid(f"{trials} trials of variance {variance}.", "One trial or more.", "Count them.")
    if trials == 1:
        return 0.0
    best = (1 - EULER) * special.ndtri(1 - 1 / trials) + EULER * special.ndtri(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * float(best)


def probabilistic_sharpe(returns: FloatArray, threshold: float = 0.0) -> DeflatedSharpe:
    """Return the probability that the true Sharpe ratio per period is above ``threshold``, of one trial alone.

    ``Phi((SR - threshold) sqrt(n - 1) / sqrt(1 - g3 SR + (g4 - 1)/4 SR^2))`` with SR per period, skewness g3 and
    kurtosis g4 of the returns. Source: Bailey and López de Prado (2012), Journal of Risk 15(2), 3-44.
    """
    return _judged(returns, threshold, 1)


def deflated_sharpe(returns: FloatArray, trials: int, sharpe_variance: float | None = None) -> DeflatedSharpe:
    """Return the probability that the Sharpe ratio is more than luck among ``trials``.

    :func:`probabilistic_sharpe` above the expected best of the trials, whose ratios per period have
    ``sharpe_variance``; where that is not known, ``1 / (n - 1)``, that of ratios estimated from noise. Source: Bailey
    and López de Prado (2014), Journal of Portfolio Management 40(5), 94-107. Raises as :func:`expected_best_sharpe`.
    """
    spread = 1.0 / max(np.size(returns) - 1, 1) if sharpe_variance is None else sharpe_variance
    return _judged(returns, expected_best_sharpe(trials, spread), trials)


def deflated(
    ratio: float, periods: int, skewness: float, kurtosis: float, threshold: float, trials: int = 1
) -> DeflatedSharpe:
    """Return the same from moments: ``ratio`` per period, the kurtosis of a normal law being 3."""
    variance = 1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    if variance <= 0.0:
        return DeflatedSharpe(None, ratio, threshold, trials, "skewness and kurtosis leave no variance")
    probability = float(special.ndtr((ratio - threshold) * math.sqrt(periods - 1) / math.sqrt(variance)))
    return DeflatedSharpe(probability, ratio, threshold, trials)


def _judged(returns: FloatArray, threshold: float, trials: int) -> DeflatedSharpe:
    r = _series(returns)
    spread = float(r.std(ddof=1)) if r.size > 1 else 0.0
    lacking = _undefined("deflated_sharpe", r, spread)
    if lacking is not None:
        return DeflatedSharpe(None, None, None, trials, lacking.reason)
    z = (r - r.mean()) / r.std()
    moments = float((z**3).mean()), float((z**4).mean())
    return deflated(float(r.mean()) / spread, r.size, *moments, threshold, trials)
