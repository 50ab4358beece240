"""Exponentially weighted moving average of squared returns (RiskMetrics)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecastle.models._kernels import ewma_rolling_variance
from forecastle.models._rolling import RollsByRefitting
from forecastle.models._sample import Fitted, Sample, location_scale
from forecastle.nouns import Candles, Distribution, FitStatus, FitSummary, History, Normal, Parameter, Returns
from forecastle.ports import OneStep

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ewma(RollsByRefitting):
    """``s2 = sum_k w^k r[t-k]^2 / sum_k w^k`` with decay w = 0.94, mean zero, normal.

    Source: J.P. Morgan/Reuters, RiskMetrics Technical Document, 4th ed. 1996, section 5.2. Nothing is estimated,
    so it counts as naive.
    """

    decay: float = 0.94
    naive: bool = True

    @property
    def label(self) -> str:
        """Return the name with its decay."""
        return f"EWMA ({self.decay:g})"

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedEwma:
        """Fit to candles or to a 1-d array of log returns in decimals; at least 50 returns."""
        return FittedEwma(Sample.of(x, 50), self.label, FitStatus(converged=True), self.decay)


@dataclass(frozen=True, eq=False, repr=False)
class FittedEwma(Fitted):
    """The state is the weighted mean of squares."""

    decay: float

    @property
    def params(self) -> Mapping[str, float]:
        """Return the decay."""
        return {"decay": self.decay}

    def summary(self) -> FitSummary:
        """Return decay and the volatility now."""
        sigma = self.distribution(self.sample.returns, 1).sigma
        table = (Parameter("decay", self.decay), Parameter("sigma", sigma))
        return FitSummary(
            self.label, "Normal", self.sample.returns.size, self.status, table, persistence=1.0,
            source=self.sample.source, data_hash=self.sample.data_hash,
        )  # fmt: skip

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return a normal with ``sigma * sqrt(horizon)``: an integrated variance does not revert."""
        variance = ewma_rolling_variance(returns, returns.size, self.decay)[0]
        return Normal(0.0, float(np.sqrt(variance * horizon)))

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i from ``returns[i : i + window]``."""
        sigma = np.sqrt(ewma_rolling_variance(returns, window, self.decay))
        return location_scale(np.zeros(sigma.size), sigma, Normal(0.0, 1.0), levels)
