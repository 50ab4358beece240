"""The conditional mean of a return: zero, constant or an autoregression of order one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
MeanName = Literal["constant", "zero", "ar"]

MEAN_PARAMETERS: dict[str, tuple[str, ...]] = {"zero": (), "constant": ("mu",), "ar": ("const", "ar[1]")}


@dataclass(frozen=True)
class Mean:
    """``r[t] = constant + slope r[t-1] + e[t]``; ``lags`` is 1 for the autoregression, else 0."""

    constant: float
    slope: float
    lags: int

    @classmethod
    def of(cls, name: MeanName, estimates: Mapping[str, float]) -> Mean:
        """Return the mean of a fit."""
        if name == "ar":
            return cls(estimates["const"], estimates["ar[1]"], 1)
        return cls(estimates.get("mu", 0.0), 0.0, 0)

    def residuals(self, returns: FloatArray) -> FloatArray:
        """Return e, shape (n - lags,)."""
        if not self.lags:
            return returns - self.constant
        return np.asarray(returns[1:] - self.constant - self.slope * returns[:-1])

    def after(self, last: FloatArray) -> FloatArray:
        """Return the mean of the return that follows each of ``last``."""
        return np.asarray(self.constant + self.slope * last)

    def total(self, last: float, horizon: int) -> float:
        """Return the mean of the sum of the ``horizon`` returns that follow the return ``last``."""
        total = 0.0
        for _ in range(horizon):
            last = self.constant + self.slope * last
            total += last
        return total

    def weights(self, horizon: int) -> FloatArray:
        """Return by how much each future residual moves the sum: ``1 + slope + ... + slope^(horizon - j)``, shape (h,).

        All one where returns are uncorrelated.
        """
        return np.cumsum(self.slope ** np.arange(horizon))[::-1].copy()


def least_squares(name: MeanName, returns: FloatArray) -> Mean:
    """Return the mean that least squares fits to ``returns``."""
    if name == "zero":
        return Mean(0.0, 0.0, 0)
    if name == "constant":
        return Mean(float(returns.mean()), 0.0, 0)
    before, after = returns[:-1] - returns[:-1].mean(), returns[1:] - returns[1:].mean()
    slope = float(before @ after / (before @ before))
    return Mean(float(returns[1:].mean() - slope * returns[:-1].mean()), slope, 1)
