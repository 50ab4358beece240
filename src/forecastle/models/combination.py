"""The geometric mean of what several models say: the forecast that is given where none is asked for by name."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.errors import ForecastRefused, ScaleWarning
from forecastle.models._path import NU_BEFORE, FittedVariance, RollsByPath, VariancePath, decayed, tails
from forecastle.models._sample import Sample
from forecastle.models.boosted import BoostedVariance
from forecastle.models.ewma import Ewma
from forecastle.models.garch import GarchModel
from forecastle.models.har import MINIMUM_RETURNS, REFIT_EVERY, LogHar, history_in
from forecastle.models.pooled import PooledHar
from forecastle.nouns import Candles, FitStatus, History, Returns
from forecastle.ports import Extra, FittedModel, Model, Plan, Progress, silent

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEAST_RETURNS = 50
OF_RETURNS: tuple[Model, ...] = (GarchModel(), GarchModel(o=1), Ewma())
"""The members where nothing but returns is known: GARCH(1,1)-t, GJR-GARCH(1,1,1)-t, EWMA."""
_KEEP = 0.99


class Combined(RollsByPath):
    """A weighted geometric mean of the variances of members; what the combinations share.

    Which members there are follows from what is known: models of ranges and finer bars where there are any, GARCH and
    EWMA where only closes are, or too little for the others. (GARCH beside the log-HARs made forecasts worse: QLIKE to
    GARCH(1,1)-t on the years to 2021 went from 0.77 to 0.78 for coins, from 0.92 to 0.93 for stocks.) A member of
    returns that refuses is left out, and named in ``status``.
    """

    wants: ClassVar[frozenset[Extra]] = frozenset({"finer", "observations", "peers"})

    @abstractmethod
    def weights(self, variances: FloatArray, outcome: FloatArray) -> FloatArray:
        """Return the weight of each member at each row, summing to one over those that have a forecast there.

        ``variances`` and the result have shape (members, n + 1), NaN where a member has none yet; ``outcome`` are the
        squared returns (n,).
        """

    def members(self, history: History) -> tuple[RollsByPath, ...]:
        """Return the members for a market with known ranges: the log-HAR, and the pooled one where there are peers."""
        return (LogHar(), PooledHar()) if history.peers else (LogHar(),)

    def path(self, history: History, window: int, refit_every: int, progress: Progress = silent) -> VariancePath:
        """Return the forecasts of all returns of the candles."""
        if _only_returns(history, window):
            return self._combined(_paths_of_returns(self.label, history, window, refit_every, progress), history)
        members = self.members(history)
        return self._combined([m.path(history, window, refit_every, progress) for m in members], history)

    def sees(self, history: History, window: int) -> History:
        """Return what the log-HARs see; members of returns alone look at the last ``window``."""
        return history.recent(window) if _only_returns(history, window) else super().sees(history, window)

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedVariance:
        """Fit every member to a history, to candles or to a 1-d array of log returns in decimals; at least 50 returns.

        Raises ``ForecastRefused`` where no member is left.
        """
        sample = Sample.of(x, LEAST_RETURNS)
        history = history_in(x, sample)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScaleWarning)  # said above, once
            if history is None or _only_returns(history, sample.returns.size):
                return _fitted_to_returns(sample, self.label)
            return self._fitted_to_history(sample, history)

    def _fitted_to_history(self, sample: Sample, history: History) -> FittedVariance:
        members = self.members(history)
        paths = [m.path(history, sample.returns.size, REFIT_EVERY) for m in members]
        shares = self.weights(_stacked(paths), sample.returns**2)[:, -1]
        curves = [m.fit(history).curve for m in members]
        nu = float(tails(sample.returns, self._combined(paths, history).variance)[-1])

        def curve(horizon: int) -> float:
            return float(np.exp(shares @ np.log([c(horizon) for c in curves])))

        estimates = _shares([m.label for m in members], shares)
        return FittedVariance(sample, self.label, FitStatus(converged=True), estimates, nu, curve)

    def _combined(self, paths: Sequence[VariancePath], history: History) -> VariancePath:
        """Return the weighted geometric mean of the paths; a row is fresh where all of its members are."""
        variances = _stacked(paths)
        weights = self.weights(variances, history.returns.values**2)
        known = np.isfinite(variances).any(axis=0)
        made = [
            np.where(known, np.exp(np.nansum(weights * np.log(stack), axis=0)), np.nan)
            for stack in (np.array([p.realised for p in paths]), variances)
        ]
        return VariancePath(made[0], made[1], np.all([p.fresh_rows for p in paths], axis=0))


@dataclass(frozen=True)
class Combination(Combined):
    """Equal weights: the geometric mean of the members' variances."""

    label: ClassVar[str] = "Combination"

    def weights(self, variances: FloatArray, outcome: FloatArray) -> FloatArray:
        """Return equal weights of the members that have a forecast."""
        return _normalised(np.isfinite(variances).astype(np.float64))


@dataclass(frozen=True)
class QlikeCombination(Combined):
    """Weights by past QLIKE: ``w_i`` proportional to ``exp(-sum_age 0.99^age QLIKE_i / 2)`` of the rows before.

    Half of QLIKE is the negative Gaussian log-likelihood but for what all members share, so this is dynamic model
    averaging (Raftery, Karny and Ettler 2010, Technometrics 52, 52-66) of variances.
    """

    label: ClassVar[str] = "Combination, by QLIKE"

    def weights(self, variances: FloatArray, outcome: FloatArray) -> FloatArray:
        """Return weights by the losses on squared returns before each row."""
        with np.errstate(divide="ignore", invalid="ignore"):
            losses = outcome / variances[:, :-1] + np.log(variances[:, :-1])
        shared = np.isfinite(losses).all(axis=0)  # only rows that all members forecast compare them
        scores = np.array([decayed(np.where(shared, row, 0.0), _KEEP) for row in losses])
        weights = np.exp(-0.5 * (scores - scores.min(axis=0)))
        return _normalised(np.where(np.isfinite(variances), weights, 0.0))


@dataclass(frozen=True)
class BoostedCombination(Combination):
    """Equal weights of the log-HARs and of boosted trees; needs the ``boost`` extra, and minutes instead of seconds."""

    label: ClassVar[str] = "Combination with trees"

    def members(self, history: History) -> tuple[RollsByPath, ...]:
        """Return the members of the default, and the trees."""
        return (*super().members(history), BoostedVariance())


def _only_returns(history: History, window: int) -> bool:
    """Return whether returns are all that there is to go by."""
    return window < MINIMUM_RETURNS or (history.candles.prices == "close" and history.finer is None)


def _paths_of_returns(
    label: str, history: History, window: int, refit_every: int, progress: Progress
) -> list[VariancePath]:
    """Return the paths of the members that know returns alone; raises ``ForecastRefused`` where all refuse."""
    paths, refused = [], []
    before = np.full(window, np.nan)
    for member in OF_RETURNS:
        try:
            rolled = member.roll(history, Plan(window, refit_every, np.array([0.5])), progress)
        except ForecastRefused as error:
            refused.append(error)
            continue
        variance = np.r_[before, rolled.step.sigma**2]
        paths.append(VariancePath(variance, variance, np.r_[np.ones(window, np.bool_), rolled.fresh]))
    if not paths:
        raise _none_left(label, len(history.returns), refused[0])
    return paths


def _fitted_to_returns(sample: Sample, label: str) -> FittedVariance:
    """Return the geometric mean of the members that know returns alone, with the tails of the GARCH-t."""
    fitted: dict[str, FittedModel] = {}
    left_out, refused = [], []
    for member in OF_RETURNS:
        try:
            made = member.fit(sample.returns)
        except ForecastRefused as error:
            left_out.append(f"{member.label} left out: {error.what}")
            refused.append(error)
            continue
        if made.status.converged:
            fitted[member.label] = made
        else:
            left_out.append(f"{member.label} left out: {made.status.reason}")
    if not fitted:
        raise _none_left(label, sample.returns.size, refused[0])
    shares = np.full(len(fitted), 1.0 / len(fitted))
    models = tuple(fitted.values())

    def curve(horizon: int) -> float:
        return _mean_variance([m.distribution(sample.returns, horizon).sigma for m in models])

    def rows(returns: FloatArray, window: int) -> FloatArray:
        sigmas = [m.one_step(returns, window, np.array([0.5])).sigma for m in models]
        return np.asarray(np.exp(2.0 * np.mean(np.log(sigmas), axis=0)))

    return FittedVariance(
        sample, label, FitStatus(converged=True, reason="; ".join(left_out)), _shares(list(fitted), shares),
        _nu(models), curve, rows,
    )  # fmt: skip


def _mean_variance(sigmas: Sequence[float]) -> float:
    return float(np.exp(2.0 * np.mean(np.log(sigmas))))


def _nu(models: Sequence[FittedModel]) -> float:
    """Return the mean degrees of freedom of the members that have some."""
    found = [p.value for m in models for p in m.summary().parameters if p.name == "nu"]
    return float(np.mean(found)) if found else NU_BEFORE


def _none_left(label: str, count: int, first: ForecastRefused) -> ForecastRefused:
    return ForecastRefused(
        f"No member of the {label} forecasts from {count} returns.", f"{first.what} {first.why}", first.hint
    )


def _shares(labels: Sequence[str], shares: FloatArray) -> Mapping[str, float]:
    return {f"weight of {label}": float(share) for label, share in zip(labels, shares, strict=True)}


def _stacked(paths: Sequence[VariancePath]) -> FloatArray:
    return np.array([p.variance for p in paths])


def _normalised(weights: FloatArray) -> FloatArray:
    total = weights.sum(axis=0)
    return np.asarray(weights / np.where(total > 0, total, 1.0))
