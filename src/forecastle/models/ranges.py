"""Volatility from the range of each bar: open, high, low and close tell more than the close alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.errors import ForecastRefused
from forecastle.models._design import FLOOR
from forecastle.models._path import FittedVariance, RollsByPath, VariancePath, levelled, tails
from forecastle.models._sample import Sample
from forecastle.models.realized import (
    believable,
    garman_klass,
    opening_gap,
    parkinson,
    refuse_close_only,
    rogers_satchell,
    trailing_mean,
)
from forecastle.nouns import Candles, FitStatus, History, Returns
from forecastle.ports import Progress, silent
from forecastle.sessions import found_in

FloatArray = npt.NDArray[np.float64]

DECAY = 0.85
"""Weight of a bar against the one after it: half of the weight lies on the last four bars. A choice between
coins (lowest loss on the years to 2021 at 0.7) and stocks, which hardly tell 0.8 from 0.9 there."""
LOOKBACK = 44
"""Bars that are looked at; those before would weigh less than a thousandth of the last."""
_EFFECTIVE = (1.0 + DECAY) / (1.0 - DECAY)
_YEAR = 252
MINIMUM_RETURNS = 100


def _believable(estimator: Callable[[Candles], FloatArray], candles: Candles) -> FloatArray:
    """Return an estimator bar by bar, one bad print brought down."""
    returns = np.r_[np.nan, np.diff(np.log(candles.frame["close"].to_numpy()))]
    return believable(estimator(candles), returns)


class RangeModel(RollsByPath):
    """Tomorrow as the last bars: the mean of an estimator of variance from ranges, with weights 0.85^age.

    Its level is that of the squared log returns from close to close, from the rows before each (see
    :func:`forecastle.models._path.levelled`): ranges leave out the night and miss what happens between trades.
    Student's t around zero; over more bars the variance grows in proportion. Candles of which only closes are known
    are refused.
    """

    @abstractmethod
    def estimate(self, candles: Candles) -> FloatArray:
        """Return the variance of a bar as the bars up to each say, shape (bars,); NaN where none is known."""

    def path(self, history: History, window: int, refit_every: int, progress: Progress = silent) -> VariancePath:
        """Return the forecasts of all returns; nothing is estimated but the level."""
        return self._levelled(history)[0]

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedVariance:
        """Fit to a history or to candles, at least 100 returns; raises ``ForecastRefused`` for bare returns."""
        sample = Sample.of(x, MINIMUM_RETURNS)
        if sample.candles is None:
            raise ForecastRefused(
                f"{self.label} was given {sample.returns.size} bare returns.",
                "It needs the open, high, low and close of each bar.",
                "Give candles, or ask for a model of returns such as garch.",
            )
        path, estimate = self._levelled(x if isinstance(x, History) else History(sample.candles))
        variance = float(path.variance[-1])
        if not variance > 0:
            raise ForecastRefused(
                f"{self.label} sees no range in the last {LOOKBACK} bars.",
                "The market stood still.",
                "Check the source.",
            )
        return FittedVariance(
            sample, self.label, FitStatus(converged=True),
            {"decay": DECAY, "level": variance / float(estimate[-1])},
            float(tails(sample.returns, path.variance)[-1]), lambda horizon: variance * horizon,
        )  # fmt: skip

    def _levelled(self, history: History) -> tuple[VariancePath, FloatArray]:
        """Return the path and the estimate before the level, at each row."""
        candles, series = history.candles, history.returns
        refuse_close_only(candles, self.label)
        estimate = self.estimate(candles)
        estimate = np.fmax(estimate, FLOOR * trailing_mean(estimate, _YEAR))  # a month that stood still has some risk
        closes = candles.times("close_time")
        rows = estimate[np.searchsorted(closes, np.r_[series.as_of, closes[-1:]])]
        with np.errstate(divide="ignore"):
            return levelled(np.log(rows), series.values**2, series.values), rows


@dataclass(frozen=True)
class Parkinson(RangeModel):
    """High and low: Parkinson (1980), The extreme value method, Journal of Business 53, 61-65."""

    label: ClassVar[str] = "Parkinson"

    def estimate(self, candles: Candles) -> FloatArray:
        """Return the mean of ``ln(H/L)^2 / (4 ln 2)``."""
        return trailing_mean(_believable(parkinson, candles), LOOKBACK, DECAY)


@dataclass(frozen=True)
class GarmanKlass(RangeModel):
    """High, low, open and close: Garman and Klass (1980), Journal of Business 53, 67-78."""

    label: ClassVar[str] = "Garman-Klass"

    def estimate(self, candles: Candles) -> FloatArray:
        """Return the mean of ``ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2``."""
        return trailing_mean(_believable(garman_klass, candles), LOOKBACK, DECAY)


@dataclass(frozen=True)
class RogersSatchell(RangeModel):
    """As Garman and Klass, for any drift: Rogers and Satchell (1991), Annals of Applied Probability 1, 504-512."""

    label: ClassVar[str] = "Rogers-Satchell"

    def estimate(self, candles: Candles) -> FloatArray:
        """Return the mean of ``ln(H/C) ln(H/O) + ln(L/C) ln(L/O)``."""
        return trailing_mean(_believable(rogers_satchell, candles), LOOKBACK, DECAY)


@dataclass(frozen=True)
class YangZhang(RangeModel):
    """The night, the day and the range of the day, for any drift: Yang and Zhang (2000), J. Business 73, 477-491.

    ``s2 = s2_open + k s2_close + (1 - k) s2_rs``: the variances of the opening gap ``ln(O / close before)`` and of
    ``ln(C/O)``, and Rogers and Satchell's mean, all with the same weights; ``k = 0.34 / (1.34 + (n + 1)/(n - 1))`` with
    n = 12.3, the number of bars that such weights are worth.
    """

    label: ClassVar[str] = "Yang-Zhang"

    def estimate(self, candles: Candles) -> FloatArray:
        """Return the estimate; after a hole there is no night before: the gap is not known."""
        follows = found_in(candles.times("close_time"), candles.log_returns().target_time)
        gap = np.where(follows, opening_gap(candles), np.nan)
        day = np.log(candles.frame["close"].to_numpy() / candles.frame["open"].to_numpy())
        k = 0.34 / (1.34 + (_EFFECTIVE + 1) / (_EFFECTIVE - 1))
        within = trailing_mean(_believable(rogers_satchell, candles), LOOKBACK, DECAY)
        return np.asarray(_faded_variance(gap) + k * _faded_variance(day) + (1.0 - k) * within)


def _faded_variance(values: FloatArray) -> FloatArray:
    """Return the weighted variance around the weighted mean, for the number of values that the weights are worth."""
    mean, square = (trailing_mean(v, LOOKBACK, DECAY) for v in (values, values**2))
    return np.asarray(np.maximum(square - mean**2, 0.0) * _EFFECTIVE / (_EFFECTIVE - 1.0))
