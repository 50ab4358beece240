"""What a strategy earned and what it was like: each figure with one definition, or with the reason why it has none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid
from forecastle.nouns.scorecard import Ratio
from forecastle.scoring import _equity as at
from forecastle.scoring import bootstrap
from forecastle.scoring.trading import FEWEST

FloatArray = npt.NDArray[np.float64]
FIGURES = {
    "total_return": "Final equity over the cash at the beginning, less one.",
    "cagr": "exp(sum of log returns / years) - 1.",
    "volatility": "Standard deviation (n - 1) of log returns times the root of periods a year.",
    "sharpe": "Mean over standard deviation (n - 1) of log returns times the root of periods a year.",
    "sortino": "Mean over root mean square of the log returns below zero (over all periods), times the same root.",
    "max_drawdown": "Deepest fall of equity from a high before it, a share of that high.",
    "drawdown_bars": "Most bars from a high of equity to the next, or to the end.",
    "mar": "CAGR over the deepest drawdown, of the whole time.",
    "calmar": "The same of the last three years.",
    "tail_ratio": "95 % quantile of log returns over the absolute 5 % quantile.",
    "exposure": "Share of bars with a position at their close.",
    "gross_exposure": "Mean of the gross notional over equity.",
    "largest_exposure": "Largest gross notional over equity at a close.",
    "trades": "Round trips that were closed.",
    "win_rate": "Share of closed round trips that earned more than their own costs.",
    "profit_factor": "Gains of the winning round trips over the losses of the others, after their costs.",
    "mean_trade": "Mean gain of a closed round trip after its costs, over the notional it was opened with.",
    "turnover": "Notional traded over the mean equity, a year.",
}
"""The figures and what they are."""
YEARS_OF_CALMAR = 3
SAMPLED = 256
ROUNDING = 1e-14
"""What log returns of a constant growth differ by, for equity has 16 digits."""
SHORTEST = 0.5
"""Years below which a yearly growth would blow up what a few weeks did."""


@dataclass(frozen=True, eq=False)
class Performance:
    """Figures by name, and the log returns of equity, (bars,), that they are of: zeros after a ruin."""

    figures: Mapping[str, Ratio]
    returns: FloatArray
    periods_per_year: float


def performance(
    equity: FloatArray,
    start: float,
    position: FloatArray,
    close: FloatArray,
    trades: FloatArray,
    traded: float,
    periods_per_year: float,
) -> Performance:
    """Return the figures of :data:`FIGURES`.

    ``equity`` (bars,) after ``start``; ``position`` and ``close`` (bars, instruments); ``trades`` (round trips, 3):
    gain, costs, notional opened, of those that are closed; ``traded`` the notional of all fills. Returns are log
    returns. Figures of fewer than 20 periods, of equity that never changes, or that fell to zero, are None with the
    reason. Raises ``DataInvalid`` for NaN in equity, or none.
    """
    if not equity.size or not np.isfinite(equity).all() or not start > 0.0:
        raise DataInvalid("The equity is not finite, or there is none.", "Each bar has a value.", "Mend the prices.")
    returns = np.zeros(equity.size)
    moments = at.equity_moments(equity, start, position, close, returns)
    found = {"total_return": _of("total_return", equity[-1] / start - 1.0)}
    found |= _of_returns(moments, returns, equity, start, periods_per_year)
    found |= _of_trades(trades)
    years = equity.size / periods_per_year
    mean = float(equity.mean())
    lacking = _short(equity.size) or ("" if mean > 0.0 else "equity is not above zero on average")
    found["turnover"] = _of("turnover", 0.0 if lacking else traded / mean / years, lacking)
    return Performance({name: found[name] for name in FIGURES}, returns, periods_per_year)


def intervals(
    returns: FloatArray, periods_per_year: float, level: float = 0.95, replications: int = 999, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return percentile intervals of the figures that depend on returns alone, by the stationary bootstrap.

    ``returns`` (bars,) are log returns of equity. Blocks are as long as the returns or their squares ask for
    (:func:`~forecastle.scoring.bootstrap.block_length`). Empty for fewer than 20 returns or ones that do not vary.
    Raises ``DataInvalid`` for NaN.
    """
    r = np.asarray(returns, dtype=np.float64)
    if not np.isfinite(r).all():
        raise DataInvalid("The returns are not finite.", "Each bar has one.", "Mend the equity.")
    if r.size < FEWEST or not _varies(r):
        return {}
    block = max(bootstrap.block_length(r), bootstrap.block_length(np.square(r - r.mean())))
    draw = np.random.default_rng(seed)
    step = max(bootstrap.CHUNK // r.size, 1)
    drawn = [
        _drawn(r[bootstrap.resampled(r.size, block, min(step, replications - first), draw)], periods_per_year)
        for first in range(0, replications, step)
    ]
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    found = {}
    young = r.size / periods_per_year < SHORTEST
    for name in (n for n in drawn[0] if not (young and n in ("cagr", "mar"))):
        values = np.concatenate([part[name] for part in drawn])
        values = values[np.isfinite(values)]
        if values.size:
            low, high = np.quantile(values, tails)
            found[name] = (float(low), float(high))
    return found


def _drawn(r: FloatArray, yearly: float) -> dict[str, FloatArray]:
    """Return the figures of each row of returns, NaN where one is not defined."""
    root, total = math.sqrt(yearly), r.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread, down = r.std(axis=1, ddof=1), np.sqrt(np.square(np.minimum(r, 0.0)).mean(axis=1))
        mean = total / r.shape[1]
        sharpe, sortino = mean / spread * root, mean / down * root
    level = np.cumsum(r, axis=1)
    high = np.maximum.accumulate(np.maximum(level, 0.0), axis=1)
    fall = -np.expm1((level - high).min(axis=1))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        growth = np.expm1(mean * yearly)
        mar = np.where(fall > 0.0, growth / fall, np.nan)
    return {
        "total_return": np.expm1(total), "cagr": growth, "volatility": spread * root, "sharpe": sharpe,
        "sortino": sortino, "max_drawdown": fall, "mar": mar,
    }  # fmt: skip


def _of(name: str, value: float, lacking: str = "") -> Ratio:
    return Ratio(name, None, lacking) if lacking else Ratio(name, float(value))


def _varies(returns: FloatArray) -> bool:
    """Return whether returns differ by more than the last digits of a constant growth."""
    return float(np.ptp(returns)) > ROUNDING


def _short(n: int) -> str:
    return f"{n} periods; {FEWEST} are needed" if n < FEWEST else ""


def _of_returns(
    moments: FloatArray, returns: FloatArray, equity: FloatArray, start: float, yearly: float
) -> dict[str, Ratio]:
    n = equity.size
    lost = "" if moments[at.LOWEST] > 0.0 else "equity fell to zero"
    lacking = lost or _short(n)
    still = lacking or ("" if _varies(returns) else "the returns do not vary")
    young = lacking or ("" if n / yearly >= SHORTEST else f"{n / yearly:.2g} years; {SHORTEST} are needed")
    root, growth = math.sqrt(yearly), 0.0 if young else math.expm1(moments[at.TOTAL] * yearly / n)
    fall = moments[at.DRAWDOWN]
    none_below = still or ("" if moments[at.DOWNSIDE] > 0.0 else "no period fell")
    no_fall = young or ("" if fall > 0.0 else "there was no drawdown")
    spread, down = max(moments[at.SPREAD], 1e-300), max(moments[at.DOWNSIDE], 1e-300)
    return {
        "cagr": _of("cagr", growth, young),
        "volatility": _of("volatility", moments[at.SPREAD] * root, lacking),
        "sharpe": _of("sharpe", moments[at.MEAN] / spread * root, still),
        "sortino": _of("sortino", moments[at.MEAN] / down * root, none_below),
        "max_drawdown": Ratio("max_drawdown", 1.0) if lost else _of("max_drawdown", fall),
        "drawdown_bars": _of("drawdown_bars", moments[at.UNDER_WATER], lost),
        "mar": _of("mar", growth / max(fall, 1e-300), no_fall),
        "calmar": _calmar(equity, start, yearly, lost),
        "tail_ratio": _tails(returns, still),
        "exposure": _of("exposure", moments[at.INVESTED], lost),
        "gross_exposure": _of("gross_exposure", moments[at.GROSS], lost),
        "largest_exposure": _of("largest_exposure", moments[at.LARGEST], lost),
    }


def _calmar(equity: FloatArray, start: float, yearly: float, lost: str) -> Ratio:
    bars = round(YEARS_OF_CALMAR * yearly)
    if lost or equity.size < bars:
        return _of("calmar", 0.0, lost or f"{equity.size / yearly:.2g} years; {YEARS_OF_CALMAR} are needed")
    last = np.concatenate([[start if equity.size == bars else equity[-bars - 1]], equity[-bars:]])
    fall = float((1.0 - last / np.maximum.accumulate(last)).max())
    growth = (last[-1] / last[0]) ** (1.0 / YEARS_OF_CALMAR) - 1.0
    return _of("calmar", growth / fall if fall > 0.0 else 0.0, "" if fall > 0.0 else "there was no drawdown")


def _tails(returns: FloatArray, lacking: str) -> Ratio:
    """Return the ratio of quantiles, interpolated between order statistics as numpy does."""
    if lacking:
        return _of("tail_ratio", 0.0, lacking)
    low, high = lower_quantile(returns, 0.05), -lower_quantile(returns, 0.05, -1.0)
    return _of("tail_ratio", high / abs(low) if low else 0.0, "" if low else "the 5 % quantile is zero")


def lower_quantile(values: FloatArray, share: float, sign: float = 1.0) -> float:
    """Return the quantile of a small ``share`` of ``sign * values``, from those below a bound that a sample suggests.

    As numpy's; a million values are looked at once instead of being ordered. Where the bound was too low all are.
    """
    sample = np.sort(sign * values[::SAMPLED])
    place = share * (values.size - 1)
    bound = sample[min(int(share * sample.size + 4.0 * math.sqrt(sample.size)), sample.size - 1)]
    below = values[values <= bound] if sign > 0.0 else -values[values >= -bound]
    if below.size < place + 2:
        below = sign * values
    rank = int(place)
    both = [rank, min(rank + 1, below.size - 1)]
    low, high = np.partition(below, both)[both]
    return float(low + (high - low) * (place - rank))


def _of_trades(trades: FloatArray) -> dict[str, Ratio]:
    net = trades[:, 0] - trades[:, 1]
    none = "" if net.size else "no round trip was closed"
    lost = float(-net[net <= 0.0].sum())
    gained = float(net[net > 0.0].sum())
    return {
        "trades": Ratio("trades", float(net.size)),
        "win_rate": _of("win_rate", 0.0 if none else float((net > 0.0).mean()), none),
        "profit_factor": _of(
            "profit_factor", gained / max(lost, 1e-300), none or ("" if lost > 0.0 else "no round trip lost")
        ),
        "mean_trade": _of("mean_trade", 0.0 if none else float((net / trades[:, 2]).mean()), none),
    }
