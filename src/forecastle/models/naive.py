"""The forecasts that every model has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecastle.models._rolling import RollsByRefitting
from forecastle.models._sample import Fitted, Sample, location_scale
from forecastle.nouns import (
    Candles,
    Distribution,
    Empirical,
    FitStatus,
    FitSummary,
    History,
    Normal,
    Parameter,
    Returns,
)
from forecastle.ports import OneStep

FloatArray = npt.NDArray[np.float64]

DAYS_BACK = 22
"""A trading month."""


@dataclass(frozen=True)
class RandomWalk(RollsByRefitting):
    """Tomorrow as the last month: the variance of the last 22 returns (ddof 1), mean zero, normal.

    Where these 22 never change, of all the returns in the window: a market that stood still is not without risk.
    """

    label: str = "Random walk (22)"
    naive: bool = True

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedRandomWalk:
        """Fit to candles or to a 1-d array of log returns in decimals; at least 22 returns."""
        return FittedRandomWalk(Sample.of(x, DAYS_BACK), self.label, FitStatus(converged=True))


@dataclass(frozen=True, eq=False, repr=False)
class FittedRandomWalk(Fitted):
    """Nothing was estimated: the state is the last 22 returns."""

    @property
    def params(self) -> Mapping[str, float]:
        """Return the number of returns looked back on."""
        return {"days_back": float(DAYS_BACK)}

    def summary(self) -> FitSummary:
        """Return the one number there is."""
        sigma = self.distribution(self.sample.returns, 1).sigma
        return FitSummary(
            self.label, "Normal", self.sample.returns.size, self.status, (Parameter("sigma", sigma),),
            unconditional_sigma=sigma, source=self.sample.source, data_hash=self.sample.data_hash,
        )  # fmt: skip

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return a normal with ``sigma * sqrt(horizon)``."""
        sigma = float(self.one_step(returns, returns.size, np.array([0.5])).sigma[0])
        return Normal(0.0, sigma * np.sqrt(horizon))

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i from the last 22 of ``returns[i : i + window]``."""
        windows = np.lib.stride_tricks.sliding_window_view(returns, window)
        month = windows[:, -DAYS_BACK:].std(axis=1, ddof=1)
        still = month <= 1e-12 * np.abs(windows).max(axis=1)  # equal returns leave only rounding
        sigma = np.where(~still, month, windows.std(axis=1, ddof=1))
        return location_scale(np.zeros(sigma.size), sigma, Normal(0.0, 1.0), levels)


@dataclass(frozen=True)
class Historical(RollsByRefitting):
    """Tomorrow as any day of the window: its mean, standard deviation (ddof 1) and empirical quantiles.

    Over several bars the standardised sample is kept and scaled with the square root of time.
    """

    label: str = "Historical"
    naive: bool = True

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedHistorical:
        """Fit to candles or to a 1-d array of log returns in decimals; at least 100 returns."""
        return FittedHistorical(Sample.of(x, 100), self.label, FitStatus(converged=True))


@dataclass(frozen=True, eq=False, repr=False)
class FittedHistorical(Fitted):
    """The sample is the model."""

    @property
    def params(self) -> Mapping[str, float]:
        """Return mean and standard deviation of the sample."""
        returns = self.sample.returns
        return {"mu": float(returns.mean()), "sigma": float(returns.std(ddof=1))}

    def summary(self) -> FitSummary:
        """Return mean and standard deviation."""
        n, params = self.sample.returns.size, self.params
        table = (Parameter("mu", params["mu"], params["sigma"] / n**0.5), Parameter("sigma", params["sigma"]))
        return FitSummary(
            self.label, "Empirical", n, self.status, table, unconditional_sigma=params["sigma"],
            source=self.sample.source, data_hash=self.sample.data_hash,
        )  # fmt: skip

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return the sample of all ``returns``, scaled with the square root of time."""
        one = Empirical.of(returns)
        return Empirical(one.mean * horizon, one.sigma * np.sqrt(horizon), one.sample)

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i from ``returns[i : i + window]``."""
        parts = np.lib.stride_tricks.sliding_window_view(returns, window)
        ordered = np.sort(parts, axis=1)
        rank = np.clip(np.ceil(levels * window - 1e-9).astype(int) - 1, 0, window - 1)
        tail = np.cumsum(ordered, axis=1) / np.arange(1, window + 1)
        return OneStep(parts.mean(axis=1), parts.std(axis=1, ddof=1), ordered[:, rank], -tail[:, rank])
