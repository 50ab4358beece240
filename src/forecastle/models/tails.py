"""Value at risk and expected shortfall of any model by its past residuals: historical, extreme-value, conformal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from forecastle.errors import ForecastRefused
from forecastle.models._sample import PATHS, location_scale
from forecastle.models._tail_methods import Standard, TailMethod
from forecastle.models._tail_paths import Reaction, reaction, sums
from forecastle.nouns import Candles, Distribution, Empirical, FitStatus, FitSummary, Forecast, History, Returns
from forecastle.nouns.forecast import LEVELS
from forecastle.ports import Extra, FittedModel, Model, OneStep, Plan, Progress, Rolled, silent
from forecastle.registry import Registry

FloatArray = npt.NDArray[np.float64]

TAILS = Registry(
    "tail",
    {
        "own": "forecastle.models._tail_methods:Own",
        "fhs": "forecastle.models._tail_methods:FilteredHistorical",
        "evt": "forecastle.models._tail_methods:ExtremeValue",
        "conformal": "forecastle.models._tail_tracking:Conformal",
    },
)
"""The methods by the names that ``ModelSpec.tail`` takes."""

LOOK_BACK = 1000
"""Bars before the end that :meth:`Tailed.ahead` walks over to see residuals."""
REFIT_EVERY = 20
SHORTEST = 100
"""Returns that a walk looks back on, at least."""
_DECAY, _FLOOR = 0.94, 0.1
_GRID = (np.arange(PATHS) + 0.5) / PATHS
"""Probabilities at which a distribution is kept: it answers for any level down to 1 / PATHS."""


@dataclass(frozen=True)
class Tailed:
    """A model whose quantiles come from a tail method: mean and sigma stay the model's.

    ``method`` is a name of ``TAILS`` or a method. In a roll the residuals are those of the model's own one-step
    forecasts, each from parameters estimated before it; before the first row they are the returns of the burn-in over
    an exponentially weighted volatility.
    """

    model: Model
    method: TailMethod | str = "conformal"

    @property
    def tail(self) -> TailMethod:
        """Return the method; raises ``NameUnknown`` with the nearest name."""
        if isinstance(self.method, str):
            method: TailMethod = TAILS.load(self.method)()
            return method
        return self.method

    @property
    def label(self) -> str:
        """Return the model's name with the method's, such as ``GARCH(1,1)-t + FHS``."""
        return f"{self.model.label} + {self.tail.title}"

    @property
    def naive(self) -> bool:
        """Return whether the model is naive."""
        return self.model.naive

    @property
    def wants(self) -> frozenset[Extra]:
        """Return what the model looks at."""
        return self.model.wants

    @property
    def needs(self) -> frozenset[Extra]:
        """Return what the model needs."""
        return self.model.needs

    def sees(self, history: History, window: int) -> History:
        """Return what the model looks at."""
        return self.model.sees(history, window)

    def roll(self, history: History, plan: Plan, progress: Progress = silent) -> Rolled:
        """Return the model's roll with the method's quantiles and ES.

        The model is walked from row 0 whatever ``plan.first`` is: what a row says depends on all residuals before it.
        """
        levels = np.union1d(np.array(LEVELS), plan.levels)
        rolled = self.model.roll(history, replace(plan, first=0, levels=levels), progress)
        returns = history.returns.values
        z = residuals(rolled.step, np.append(returns[plan.window :], np.nan))
        rows = self.tail.rows(_standardised(rolled.step), z, presample(returns[: plan.window]), levels)
        wanted = np.searchsorted(levels, plan.levels)
        mean, sigma = rolled.step.mean[plan.first :], rolled.step.sigma[plan.first :]
        quantiles, tails = (table[plan.first :, wanted] for table in rows)
        step = OneStep(
            mean, sigma, mean[:, None] + sigma[:, None] * quantiles, -(mean[:, None] + sigma[:, None] * tails)
        )
        fresh = rolled.fresh[plan.first :]
        refitted = fresh[:: plan.refit_every]
        return Rolled(step, fresh, refitted.size, int((~refitted).sum()))

    def ahead(self, history: History, horizon: int, window: int) -> Forecast:
        """Return the model's forecast with the method's distribution, of residuals out of sample.

        The last ``LOOK_BACK`` bars are walked over, refitted every ``REFIT_EVERY``; where there are fewer, or none, the
        burn-in stands in for them. A model that refuses one of these windows is judged by its residuals in sample.
        """
        made = self.model.ahead(history, horizon, window)
        returns = history.returns.values
        window = min(window, returns.size)
        first = max(returns.size - window - LOOK_BACK, 0) // REFIT_EVERY * REFIT_EVERY
        try:
            step = self.model.roll(history, Plan(window, REFIT_EVERY, np.array(LEVELS), first)).step
        except ForecastRefused:
            return self.fit(history.recent(window)).forecast(horizon)
        begin = window + first
        seen = _Seen.of(step, returns[begin:], presample(returns[first:begin]), self.tail)
        return seen.told(made, self.label)

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedTailed:
        """Fit the model; its residuals are one-step forecasts over the second half (at most ``LOOK_BACK``) by this fit.

        They are in sample, hence a little small: :meth:`roll` and :meth:`ahead` judge by residuals out of sample. A
        model that cannot filter bare returns is walked over its history instead.
        """
        fitted = self.model.fit(x)
        returns = _returns_of(x)
        before = max(returns.size - min(LOOK_BACK, returns.size // 2), min(SHORTEST, returns.size))
        try:
            step = fitted.one_step(returns, before, np.array(LEVELS))
        except ForecastRefused:
            step = self.model.roll(_history_of(x), Plan(before, REFIT_EVERY, np.array(LEVELS))).step
        seen = _Seen.of(step, returns[before:], presample(returns[:before]), self.tail)
        return FittedTailed(fitted, self.label, seen)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the past residuals say of one bar, sorted and standardised, shape (PATHS,), and of the sigma after it."""

    shape: FloatArray
    reaction: Reaction
    sigma: float

    @classmethod
    def of(cls, step: OneStep, outcome: FloatArray, past: FloatArray, tail: TailMethod) -> _Seen:
        z = residuals(step, np.append(outcome, np.nan))
        shape = tail.latest(_standardised(step), z, past, np.array(LEVELS), _GRID)
        enough = z[:-1] if outcome.size else past
        sigma = step.sigma if outcome.size else np.full(past.size + 1, step.sigma[-1])
        return cls(np.asarray(shape), reaction(sigma, enough), float(step.sigma[-1]))

    def distribution(self, own: Distribution, horizon: int) -> Distribution:
        """Return the distribution with the mean and sigma of ``own`` over the horizon."""
        shape = self.shape if horizon == 1 else sums(self.reaction, self.shape, self.sigma, horizon)
        return Empirical(own.mean, own.sigma, shape)

    def told(self, made: Forecast, label: str) -> Forecast:
        """Return the forecast of the model with this tail."""
        distribution = self.distribution(made.distribution, made.horizon)
        return replace(made, distribution=distribution, model=label, model_hash=self.hash(label, made.model_hash))

    def hash(self, label: str, inner: str) -> str:
        """Return the SHA-256 of the label, the model's hash and the shape."""
        return hashlib.sha256(f"{label}|{inner}|".encode() + self.shape.astype("<f8").tobytes()).hexdigest()


@dataclass(frozen=True, eq=False, repr=False)
class FittedTailed:
    """A fitted model and the tail that its residuals had; between refits the tail stays as the parameters do."""

    fitted: FittedModel
    label: str
    seen: _Seen

    def __repr__(self) -> str:
        return f"<{self.label}: {self.fitted!r}>"

    @property
    def model_hash(self) -> str:
        """Return the SHA-256 of the model and of the tail."""
        return self.seen.hash(self.label, self.fitted.model_hash)

    @property
    def status(self) -> FitStatus:
        """Return whether the model's fit is to be believed."""
        return self.fitted.status

    def summary(self) -> FitSummary:
        """Return the model's summary under this name."""
        return replace(self.fitted.summary(), model=self.label)

    def forecast(self, horizon: int = 1) -> Forecast:
        """Return the model's forecast with the method's distribution; raises what the model's raises."""
        return self.seen.told(self.fitted.forecast(horizon), self.label)

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return mean and sigma of the model after ``returns`` with the shape of the tail."""
        return self.seen.distribution(self.fitted.distribution(returns, horizon), horizon)

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i from ``returns[i : i + window]``: the model's mean and sigma, the shape of the tail."""
        step = self.fitted.one_step(returns, window, levels)
        return location_scale(step.mean, step.sigma, Empirical(0.0, 1.0, self.seen.shape), levels)


def residuals(step: OneStep, outcome: FloatArray) -> FloatArray:
    """Return ``(outcome - mean) / sigma``, shape (rows,); NaN where the outcome is not known."""
    return np.asarray((outcome - step.mean) / step.sigma)


def presample(returns: FloatArray) -> FloatArray:
    """Return stand-ins for residuals from before the first forecast: returns over their EWMA volatility, shape (n,).

    Decay 0.94, begun at the variance of them all and never below a tenth of it; scaled to unit variance.
    """
    centred = returns - returns.mean()
    whole = float(centred.var())
    variance, out = whole, np.empty_like(centred)
    for i, value in enumerate(centred):
        out[i] = value / np.sqrt(max(variance, _FLOOR * whole))
        variance = _DECAY * variance + (1.0 - _DECAY) * value * value
    return np.asarray(out / out.std())


def _standardised(step: OneStep) -> Standard:
    mean, sigma = step.mean[:, None], step.sigma[:, None]
    return Standard((step.quantiles - mean) / sigma, -(step.es + mean) / sigma)


def _history_of(x: History | Candles | Returns | FloatArray) -> History:
    if isinstance(x, History):
        return x
    if isinstance(x, Candles):
        return History(x)
    raise ForecastRefused(
        "The residuals of bare returns are not known.", "This model looks at more than returns.", "Fit it to candles."
    )


def _returns_of(x: History | Candles | Returns | FloatArray) -> FloatArray:
    x = x.candles if isinstance(x, History) else x
    x = x.log_returns() if isinstance(x, Candles) else x
    return x.values if isinstance(x, Returns) else np.ascontiguousarray(x, dtype=np.float64)
