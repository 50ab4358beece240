"""Several assets at once: GARCH for each, and correlations that stay (CCC) or move (DCC)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, ForecastRefused, RequestInvalid
from forecastle.models._correlations import correlation_path, correlation_terms
from forecastle.models._likelihood import AT_BOUND, NEARLY_ONE, coordinate, maximise, share
from forecastle.models._maximise import Kernel, variances
from forecastle.models._maximise import maximise as maximise_garch
from forecastle.models._sample import PATHS, SEED, Sample
from forecastle.nouns import Candles, Empirical, FitStatus
from forecastle.nouns.portfolio import JointReturns, portfolio_sigma
from forecastle.ports import Progress, silent

FloatArray = npt.NDArray[np.float64]

GARCH = Kernel("garch", 1, 0, 1, "t", "constant")
MOST_ASSETS = 30
MINIMUM_RETURNS = 250
LONGEST = 30
"""Bars."""
_SINGULAR = 1e-8


@dataclass(frozen=True, eq=False)
class Margin:
    """GARCH(1,1)-t of one asset: its parameters in decimals, the n variances of its returns and that of the next."""

    params: Mapping[str, float]
    variances: FloatArray
    status: FitStatus

    @classmethod
    def fit(cls, returns: FloatArray) -> Margin:
        """Fit to log returns in decimals, shape (n,), at least 250; see :meth:`Sample.of` for what is refused."""
        checked = Sample.of(np.ascontiguousarray(returns), MINIMUM_RETURNS).returns
        found = maximise_garch(GARCH, checked)
        status = FitStatus(found.converged, found.reason, found.restarts)
        params = dict(zip(("mu", "omega", "alpha", "beta", "nu"), map(float, found.params), strict=True))
        past = variances(GARCH, found.params, checked) if found.converged else np.full(checked.size + 1, np.nan)
        return cls(params, past, status)

    def expected_variances(self, horizon: int) -> FloatArray:
        """Return E[s2] of the next ``horizon`` bars, shape (horizon,)."""
        out = np.full(horizon, self.variances[-1])
        for h in range(1, horizon):
            out[h] = self.params["omega"] + (self.params["alpha"] + self.params["beta"]) * out[h - 1]
        return out


@dataclass(frozen=True)
class CorrelationModel(ABC):
    """Two steps: a GARCH(1,1)-t for each asset, then the correlation of their standardised residuals."""

    naive = False

    @property
    @abstractmethod
    def label(self) -> str:
        """Return the name a table shows."""

    @abstractmethod
    def _correlate(self, z: FloatArray, target: FloatArray) -> tuple[float, float, float, FitStatus]:
        """Return a, b, the log-likelihood of the correlation, and whether to believe them."""

    def fit(self, x: JointReturns | Sequence[Candles] | FloatArray, progress: Progress = silent) -> FittedCorrelation:
        """Fit to joint returns, to candles (joined on their common bars), or to an (n, k) array of log returns.

        2 to 30 assets with at least 250 returns. ``status`` is of the second step; an asset whose GARCH did not
        converge is refused by its name. Raises ``DataInvalid`` for NaN or another shape, ``ForecastRefused`` for that,
        for too few returns, a series that never changes, and for assets of which one repeats the others.
        """
        names, returns = _checked(x)
        margins = []
        for done, (name, column) in enumerate(zip(names, returns.T, strict=True), 1):
            margins.append(Margin.fit(column))
            progress(done, len(names), f"{name} {self.label}")
        failed = [f"{n}: {m.status.reason}" for n, m in zip(names, margins, strict=True) if not m.status.converged]
        if failed:
            raise ForecastRefused(
                f"{self.label} did not converge.", "; ".join(failed), "Use more data, or leave these assets out."
            )
        sigma = np.sqrt(np.column_stack([m.variances[:-1] for m in margins]))
        z = np.ascontiguousarray((returns - np.array([m.params["mu"] for m in margins])) / sigma)
        target = np.ascontiguousarray(np.corrcoef(z.T))
        _refuse_repeats(target, names)
        a, b, likelihood, status = self._correlate(z, target)
        return FittedCorrelation(self.label, names, returns, tuple(margins), z, target, a, b, likelihood, status)


@dataclass(frozen=True)
class ConstantCorrelation(CorrelationModel):
    """``H_t = D_t R D_t`` with the sample correlation R of the standardised residuals. Bollerslev (1990)."""

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return "CCC-GARCH(1,1)-t"

    def _correlate(self, z: FloatArray, target: FloatArray) -> tuple[float, float, float, FitStatus]:
        return 0.0, 0.0, float(correlation_terms(z, target, 0.0, 0.0).sum()), FitStatus(converged=True)


@dataclass(frozen=True)
class DynamicCorrelation(CorrelationModel):
    """``H_t = D_t R_t D_t``, R_t the correlation of ``Q_t = (1 - a - b) S + a z_(t-1) z_(t-1)' + b Q_(t-1)``.

    Engle (2002), "Dynamic conditional correlation": two-step quasi maximum likelihood, S the sample correlation of the
    standardised residuals (correlation targeting), ``a, b >= 0``, ``a + b < 1``. S is positive definite, so every R_t
    is.
    """

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return "DCC(1,1)-GARCH(1,1)-t"

    def _correlate(self, z: FloatArray, target: FloatArray) -> tuple[float, float, float, FitStatus]:
        starts = [np.array([coordinate(p), coordinate(s)]) for p, s in product((0.8, 0.95, 0.985), (0.02, 0.08))]
        best = maximise(lambda p: correlation_terms(z, target, float(p[0]), float(p[1])), _weights, starts)
        a, b = map(float, best.params)
        reservations = []
        if a < AT_BOUND:
            reservations.append("a at the bound of zero: the correlations do not move")
        if a + b > NEARLY_ONE - 1e-4:
            reservations.append(f"a + b {a + b:.4f}: the correlations do not revert to a mean")
        return a, b, best.loglikelihood, best.status(reservations)


@dataclass(frozen=True, eq=False, repr=False)
class FittedCorrelation:
    """A fit: ``returns`` and standardised residuals ``z`` (n, k), ``target`` (k, k), a and b (both zero for CCC).

    ``correlation_loglikelihood`` is the second step's alone, in excess of independent residuals.
    """

    label: str
    names: tuple[str, ...]
    returns: FloatArray
    margins: tuple[Margin, ...]
    z: FloatArray
    target: FloatArray
    a: float
    b: float
    correlation_loglikelihood: float
    status: FitStatus

    def __repr__(self) -> str:
        state = "converged" if self.status.converged else "NOT converged"
        return f"<{self.label}, fitted to {self.z.shape[0]} returns of {self.z.shape[1]} assets, {state}>"

    @property
    def converged(self) -> bool:
        """Return whether the fit is to be believed."""
        return self.status.converged

    @property
    def params(self) -> Mapping[str, float]:
        """Return a, b and the parameters of the margins as ``asset.name``, in decimals."""
        margins = zip(self.names, self.margins, strict=True)
        return {"a": self.a, "b": self.b} | {f"{n}.{key}": v for n, m in margins for key, v in m.params.items()}

    @cached_property
    def correlations(self) -> FloatArray:
        """Return R_t of each return and of the bar after them, shape (n + 1, k, k)."""
        return correlation_path(self.z, self.target, self.a, self.b)

    @property
    def means(self) -> FloatArray:
        """Return the mean of one return of each asset, shape (k,)."""
        return np.array([m.params["mu"] for m in self.margins])

    def covariances(self, horizon: int) -> FloatArray:
        """Return the covariance of each of the next ``horizon`` bars, shape (horizon, k, k), in decimals.

        Variances as each GARCH expects them; correlations revert as ``R_h = target + (a + b)^(h-1) (R_1 - target)``
        (Engle and Sheppard 2001), which stays positive definite. Raises ``RequestInvalid`` for a horizon outside 1
        to 30, ``ForecastRefused`` where the fit did not converge.
        """
        if not 1 <= horizon <= LONGEST:
            raise RequestInvalid(
                f"The horizon is {horizon} bars.", f"It has to lie between 1 and {LONGEST}.", "Choose another."
            )
        if not self.status.converged:
            raise ForecastRefused(
                f"{self.label} did not converge.", self.status.reason, "Use more data, other assets, or model ccc."
            )
        sigma = np.sqrt(np.column_stack([m.expected_variances(horizon) for m in self.margins]))
        weight = (self.a + self.b) ** np.arange(horizon)[:, None, None]
        correlation = self.target + weight * (self.correlations[-1] - self.target)
        return np.asarray(sigma[:, :, None] * correlation * sigma[:, None, :])

    def portfolio_residuals(self, weights: FloatArray) -> FloatArray:
        """Return ``w'e_t / sqrt(w' H_t w)`` of each return, shape (n,): the portfolio in units of its sigma."""
        sigma = np.sqrt(np.column_stack([m.variances[:-1] for m in self.margins]))
        exposed = weights * sigma
        variance = np.einsum("ti,tij,tj->t", exposed, self.correlations[:-1], exposed)
        return np.asarray((exposed * self.z).sum(axis=1) / np.sqrt(variance))

    def portfolio(self, weights: FloatArray, horizon: int) -> Empirical:
        """Return the distribution of ``sum_i w_i r_i`` over the next ``horizon`` bars: filtered historical simulation.

        One bar: the portfolio's past residuals, standardised, in units of its sigma. More: sums of such residuals
        drawn 20,000 times with a fixed seed, each in units of its bar's sigma; that shocks raise the variance of the
        bars after them is in sigma, not in the shape.
        """
        covariances = self.covariances(horizon)
        sigma = portfolio_sigma(weights, covariances.sum(axis=0))
        shape = self.portfolio_residuals(weights)
        shape = (shape - shape.mean()) / shape.std()
        if horizon > 1:
            steps = np.sqrt(np.einsum("i,hij,j->h", weights, covariances, weights))
            drawn = np.random.default_rng(SEED).choice(shape, size=(PATHS, horizon))
            shape = drawn @ steps / sigma
        return Empirical(float(self.means @ weights) * horizon, sigma, np.sort(shape))


def _weights(x: FloatArray) -> FloatArray:
    """Return (a, b) at the coordinates (persistence, share of a)."""
    persistence = NEARLY_ONE * share(float(x[0]))
    a = persistence * share(float(x[1]))
    return np.array([a, persistence - a])


def _checked(x: JointReturns | Sequence[Candles] | FloatArray) -> tuple[tuple[str, ...], FloatArray]:
    """Return the names of the assets and their returns (n, k), or refuse them."""
    if not isinstance(x, JointReturns | np.ndarray):
        x = JointReturns.of(x)
    names = tuple(str(c.instrument) for c in x.candles) if isinstance(x, JointReturns) else ()
    returns = np.ascontiguousarray(x.values if isinstance(x, JointReturns) else x, dtype=np.float64)
    if returns.ndim != 2 or not 2 <= returns.shape[1] <= MOST_ASSETS:
        raise DataInvalid(
            f"The returns have the shape {returns.shape}.",
            f"Joint returns have a row a bar and a column an asset, 2 to {MOST_ASSETS} of them.",
            "Pass an (n, k) array.",
        )
    if returns.shape[0] < MINIMUM_RETURNS:
        raise ForecastRefused(
            f"There are {returns.shape[0]} returns that all the assets have.",
            f"Fewer than {MINIMUM_RETURNS} do not carry a GARCH for each.",
            "Get more history, or leave out the shortest series.",
        )
    return names or tuple(f"asset {i}" for i in range(1, returns.shape[1] + 1)), returns


def _refuse_repeats(target: FloatArray, names: tuple[str, ...]) -> None:
    """Refuse assets of which one is made of the others: their covariance has no inverse."""
    smallest = float(np.linalg.eigvalsh(target)[0])
    if math.isfinite(smallest) and smallest > _SINGULAR:
        return
    alike = np.unravel_index(np.argmax(np.abs(np.triu(target, 1))), target.shape)
    raise ForecastRefused(
        f"One of {', '.join(names)} repeats the others (smallest eigenvalue {smallest:.1e}).",
        f"The closest two are {names[alike[0]]} and {names[alike[1]]}, correlation {target[alike]:.6f}.",
        "Leave one of them out.",
    )
