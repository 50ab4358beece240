"""Other markets: what the benchmark did until the close of the bar, and how this market goes with it.

The benchmark of a coin is Bitcoin in the same currency, of a stock the S&P 500 (SPY or the index). Its return is that
of the bar that had closed by then; where it has none the value is not known.
"""

from __future__ import annotations

import numpy as np

from forecastle.features._bars import Bars, FloatArray
from forecastle.features._definition import Arrays, Windowed, one, ratio
from forecastle.features._windows import central, covariance, means, sums
from forecastle.nouns import Instrument

SHARPE = "Sharpe, Journal of Finance 19, 1964"
NEEDS = {"needs": ("benchmark",)}


def benchmarks(instrument: Instrument) -> tuple[Instrument, ...]:
    """Return what may be the benchmark of an instrument, the best first; nothing for Bitcoin and the index itself."""
    if instrument.kind in ("pair", "perpetual"):
        quotes = dict.fromkeys((instrument.quote, "USDT", "USD"))
        ids = [] if instrument.base == "BTC" else [f"BTC-{quote}" for quote in quotes]
    else:
        ids = [] if instrument.id == "SPX.INDEX" else [i for i in ("SPY", "SPX.INDEX") if i != instrument.id]
    return tuple(Instrument.parse(name) for name in ids)


BENCHMARK_RETURN = Windowed(
    "benchmark_return", "cross", "Log return of the benchmark over {n} of this market's bars", {"": "log return"},
    "sum(r_b, {n})", SHARPE, **one(catalogue=((1,), (5,)), least=(1,), **NEEDS), lookback=lambda n: n - 1,
    window=lambda b, n: (sums(b.benchmark, n),),
)  # fmt: skip
BENCHMARK_VOLATILITY = Windowed(
    "benchmark_volatility", "cross", "Realised volatility of the benchmark over {n} bars", {"": "log return per bar"},
    "sqrt(mean(r_b^2, {n}))", SHARPE, **one(catalogue=((20,),), least=(1,), **NEEDS), lookback=lambda n: n - 1,
    window=lambda b, n: (np.sqrt(means(np.square(b.benchmark), n)),),
)  # fmt: skip


def _beta(b: Bars, n: int) -> Arrays:
    return (ratio(covariance(b.log_return, b.benchmark, n), _not_still(central(b.benchmark, n, 2))),)


def _correlation(b: Bars, n: int) -> Arrays:
    own, others = _not_still(central(b.log_return, n, 2)), _not_still(central(b.benchmark, n, 2))
    return (ratio(covariance(b.log_return, b.benchmark, n), np.sqrt(own * others)),)


def _not_still(variance: FloatArray) -> FloatArray:
    """Return zero for what is only rounding: the variance of returns that are all the same."""
    return np.where(variance < 1e-28, 0.0, variance)


BETA = Windowed(
    "beta", "cross", "Beta to the benchmark over {n} bars", {"": "ratio"}, "cov(r, r_b) / var(r_b) over {n}", SHARPE,
    **one(catalogue=((60,),), least=(3,), **NEEDS), lookback=lambda n: n, window=_beta,
)  # fmt: skip
CORRELATION = Windowed(
    "correlation", "cross", "Correlation with the benchmark over {n} bars", {"": "ratio"}, "corr(r, r_b) over {n}",
    SHARPE, **one(catalogue=((60,),), least=(3,), **NEEDS), lookback=lambda n: n, window=_correlation,
)  # fmt: skip
RELATIVE_STRENGTH = Windowed(
    "relative_strength", "cross", "Log return over {n} bars beyond the benchmark's", {"": "log return"},
    "sum(r - r_b, {n})", "Levy, Journal of Finance 22, 1967", **one(catalogue=((20,),), least=(1,), **NEEDS),
    lookback=lambda n: n, window=lambda b, n: (sums(b.log_return - b.benchmark, n),),
)  # fmt: skip
