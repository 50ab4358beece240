"""Gradient-boosted trees on the regressors of the pooled log-HAR; needs the ``boost`` extra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.errors import ConfigurationError, ForecastRefused
from forecastle.models._design import FLOOR, Design
from forecastle.models._path import FittedVariance, RollsByPath, VariancePath, levelled, tails
from forecastle.models._regression import Ridge, Rows
from forecastle.models._sample import Sample
from forecastle.models.har import MINIMUM_RETURNS, Curve, history_in, scale_of
from forecastle.models.pooled import pooled_designs
from forecastle.nouns import Candles, FitStatus, History, Returns
from forecastle.ports import Extra, Progress, silent

FloatArray = npt.NDArray[np.float64]

LEAST_ROWS = 300
_FORGET = 0.9995
_ROUNDS = 200
_SETTINGS: dict[str, Any] = {
    "learning_rate": 0.03, "num_leaves": 8, "lambda_l2": 10.0, "feature_fraction": 0.4, "bagging_fraction": 0.6,
    "bagging_freq": 1, "max_bin": 63, "seed": 20261120, "num_threads": 1, "deterministic": True,
    "force_row_wise": True, "verbose": -1,
}  # fmt: skip
"""One thread and fixed seeds: the same data give the same trees."""


@dataclass(frozen=True)
class BoostedVariance(RollsByPath):
    """The geometric mean of two boosted forecasts: of ``ln v`` by least squares, and of ``v`` by gamma loss.

    LightGBM (Ke et al. 2017, NeurIPS 30) on the rows of the pooled log-HAR, those of peers in full. Trees are grown
    anew every ``refit_every`` returns, whatever the plan says: they take seconds and change little. Over several bars
    the variance grows as the pooled log-HAR's does. Raises ``ConfigurationError`` where LightGBM is not installed.
    """

    refit_every: int = 120
    label: ClassVar[str] = "Boosted trees"
    wants: ClassVar[frozenset[Extra]] = frozenset({"finer", "observations", "peers"})

    def path(self, history: History, window: int, refit_every: int, progress: Progress = silent) -> VariancePath:
        """Return the forecasts of all returns of the candles."""
        own, peers = pooled_designs(history)
        n = own.returns.size
        first = window % self.refit_every
        what = f"{history.candles.instrument} {self.label}"
        return levelled(
            _walk(own, peers, range(first, n + 1, self.refit_every), progress, what), own.target, own.returns
        )

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedVariance:
        """Fit to a history or to candles; at least 150 returns, and 300 rows with those of peers.

        Raises ``ForecastRefused`` for bare returns: they have nothing for trees to look at.
        """
        sample = Sample.of(x, MINIMUM_RETURNS)
        history = history_in(x, sample)
        if history is None:
            raise ForecastRefused(
                f"{self.label} were given {sample.returns.size} bare returns.",
                "They split on ranges, finer bars, turnover and weekdays.",
                "Give candles, or ask for a model of returns such as garch.",
            )
        own, peers = pooled_designs(history)
        n = own.returns.size
        grid = range(n % (4 * self.refit_every), n + 1, 4 * self.refit_every)  # ends at n: the last trees see all
        forecast = _walk(own, peers, grid, silent, self.label)
        path = levelled(forecast, own.target, own.returns)
        scale_of(self.label, path, forecast)
        return FittedVariance(
            sample, self.label, FitStatus(converged=True), {"rounds": float(_ROUNDS)},
            float(tails(own.returns, path.variance)[-1]), Curve(Ridge(), own, peers, path),
        )  # fmt: skip


def installed() -> bool:
    """Return whether LightGBM is there, without loading it."""
    return find_spec("lightgbm") is not None


def _walk(own: Design, peers: Sequence[Design], grid: range, progress: Progress, what: str) -> FloatArray:
    """Return log variance forecasts, shape (n + 1,), with trees grown at each row of ``grid``; NaN before the first."""
    rows = Rows.of(own, peers, 1.0)
    forecast = np.full(own.base.size, np.nan)
    for done, start in enumerate(grid, 1):
        known = int(np.searchsorted(rows.usable, start, side="right"))
        if known >= LEAST_ROWS:
            part = slice(start, min(start + grid.step, own.base.size))
            weight = rows.weight[:known] * _FORGET ** (start - rows.usable[:known])
            relative = _boosted(rows.x[:known], rows.z[:known], weight, own.x[part])
            forecast[part] = own.base[part] + np.clip(relative, np.log(FLOOR), -np.log(FLOOR))
        progress(done, len(grid), what)
    return forecast


def _boosted(x: FloatArray, z: FloatArray, weight: FloatArray, wanted: FloatArray) -> FloatArray:
    """Return the mean of both forecasts of the log variance for the rows ``wanted``, shape (rows,)."""
    lightgbm = _lightgbm()
    x, z, wanted = np.round(x, 9), np.round(z, 9), np.round(wanted, 9)  # trees split on rounding errors, too
    leaf = {"min_data_in_leaf": int(np.clip(z.size // 20, 20, 200))}
    logs = lightgbm.train(
        {**_SETTINGS, **leaf, "objective": "regression"}, lightgbm.Dataset(x, z, weight=weight), _ROUNDS
    )
    gamma = lightgbm.train(
        {**_SETTINGS, **leaf, "objective": "gamma"}, lightgbm.Dataset(x, np.exp(z), weight=weight), _ROUNDS
    )
    both = logs.predict(wanted, num_threads=1) + np.log(gamma.predict(wanted, num_threads=1))
    return np.asarray(0.5 * both, dtype=np.float64)


def _lightgbm() -> Any:
    """Import on first use: it takes more than a second."""
    try:
        import lightgbm
    except ImportError as error:
        raise ConfigurationError(
            "The model boosted needs LightGBM.", "It is not installed here.", "Install the extra: forecastle[boost]."
        ) from error
    return lightgbm
