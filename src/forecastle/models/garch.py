"""The GARCH family behind one noun: which members there are, and how each is fitted and walked forward."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

from forecastle.errors import RequestInvalid
from forecastle.models._innovations import SHAPES, Dist
from forecastle.models._means import MEAN_PARAMETERS, MeanName
from forecastle.models._recursions import HARCH_LAGS, MIDAS_LAGS, Vol, parameter_names
from forecastle.models._rolling import RollsByRefitting
from forecastle.models._sample import Sample
from forecastle.models.fitted_garch import FittedGarch, judged
from forecastle.nouns import Candles, FitStatus, History, Returns
from forecastle.ports import Plan, Progress, Rolled, silent

if TYPE_CHECKING:
    from forecastle.models._maximise import Kernel

FloatArray = npt.NDArray[np.float64]
InitialVariance = Literal["backcast", "sample"]

MINIMUM_RETURNS = 250
LAGS: dict[str, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    "garch": ((1, 3), (0, 3), (0, 3)),
    "egarch": ((1, 3), (0, 3), (0, 3)),
    "aparch": ((1, 3), (0, 3), (0, 3)),
    "figarch": ((0, 1), (0, 0), (0, 1)),
    "harch": ((1, 1), (0, 0), (1, 1)),
    "midas": ((1, 1), (0, 1), (1, 1)),
}
"""The smallest and largest p, o and q of each family; HARCH and MIDAS have lags of their own and leave p and q at 1."""
_SAME = 0.01
"""Log-likelihood by which the optimiser's value and that of the filter may differ."""


@dataclass(frozen=True)
class GarchModel(RollsByRefitting):
    """``r[t] = mean + e[t]``, ``e[t] = s[t] z[t]``, with ``s2[t]`` made of what was before t.

    Parameters
    ----------
    p, o, q:
        Lags of shocks, of their asymmetric part, and of the variance; ``LAGS`` has the range of each family.
    vol:
        ``"garch"`` (Bollerslev 1986; with o > 0 GJR-GARCH, Glosten, Jagannathan and Runkle 1993), ``"egarch"``
        (Nelson 1991), ``"aparch"`` (Ding, Granger and Engle 1993), ``"figarch"`` (Baillie, Bollerslev and Mikkelsen
        1996, 1,000 lags), ``"harch"`` (Mueller and others 1997, lags 1, 5, 22), ``"midas"`` (hyperbolic weights of
        22 squares; o is 0 or 1).
    dist:
        Innovations of unit variance: ``"normal"``, ``"t"`` (Bollerslev 1987), ``"skewt"`` (Hansen 1994), ``"ged"``
        (Nelson 1991).
    mean:
        ``"constant"``, ``"zero"`` or ``"ar"``, an autoregression with one lag.
    initial_variance:
        ``"backcast"``: weighted squares of the first 75 residuals, as ``arch`` has it; ``"sample"``: the mean of the
        squared residuals, following mu (only for what the kernel fits).

    Raises ``RequestInvalid`` for anything else.
    """

    p: int = 1
    o: int = 0
    q: int = 1
    vol: Vol = "garch"
    dist: Dist = "t"
    mean: MeanName = "constant"
    initial_variance: InitialVariance = "backcast"

    naive = False

    def __post_init__(self) -> None:
        _choice("vol", self.vol, get_args(Vol))
        _choice("dist", self.dist, get_args(Dist))
        _choice("mean", self.mean, get_args(MeanName))
        _choice("initial_variance", self.initial_variance, get_args(InitialVariance))
        for name, (low, high) in zip(("p", "o", "q"), LAGS[self.vol], strict=True):
            _lag(self.vol, name, getattr(self, name), low, high)
        if self.vol == "aparch" and self.o > self.p:
            raise RequestInvalid(f"o is {self.o} and p {self.p}.", "APARCH skews its p lags.", "Choose o up to p.")
        if self.initial_variance == "sample" and not self.in_kernel:
            raise RequestInvalid(
                f"initial_variance is 'sample' for {self.label}.",
                "It exists for GARCH, GJR and EGARCH with normal, t or skewt innovations and a zero or constant mean.",
                "Choose initial_variance='backcast'.",
            )

    @property
    def in_kernel(self) -> bool:
        """Return whether Forecastle's own optimiser fits it; the others go through ``arch``."""
        return self.vol in ("garch", "egarch") and self.dist != "ged" and self.mean != "ar"

    @property
    def label(self) -> str:
        """Return the name a table shows, such as ``GARCH(1,1)-t`` or ``FIGARCH(1,d,1)-normal, zero mean``."""
        name = f"{_family(self.vol, self.p, self.o, self.q)}-{self.dist}"
        name += {"constant": "", "zero": ", zero mean", "ar": ", AR(1) mean"}[self.mean]
        return name if self.initial_variance == "backcast" else f"{name}, sample start"

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Return the names of the parameters: mean, variance, innovations."""
        variance = parameter_names(self.vol, self.p, self.o, self.q)
        return (*MEAN_PARAMETERS[self.mean], *variance, *SHAPES[self.dist])

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedGarch:
        """Fit by maximum likelihood to candles or to a 1-d array of log returns in decimals.

        At least 250 returns, all finite (see :meth:`Sample.of` for what is refused). Returns are scaled to unit
        variance inside; every result is in decimals. A fit that does not converge is tried again from other
        starting points; what is left is said in ``status``.
        """
        sample = Sample.of(x, MINIMUM_RETURNS)
        found = self._through_kernel(sample.returns) if self.in_kernel else self._through_arch(sample.returns)
        status = FitStatus(found.converged, found.reason, found.restarts)
        if not all(map(math.isfinite, found.estimates.values())):
            return FittedGarch(sample, self.label, replace(status, converged=False), self, found.estimates)
        fitted = FittedGarch.of_parameters(self, found.estimates, sample, status)
        if not found.converged:
            return fitted
        if not abs(fitted.loglikelihood - found.loglikelihood) < _SAME:
            reason = f"the variance diverged: log-likelihood {fitted.loglikelihood:.2f} for {found.loglikelihood:.2f}"
            return replace(fitted, status=FitStatus(False, reason, found.restarts))
        return replace(fitted, status=judged(fitted, status))

    def roll(self, history: History, plan: Plan, progress: Progress = silent) -> Rolled:
        """Return one-step forecasts of the bars after the burn-in, refitted on the grid of ``plan``.

        Through :func:`rolling_garch` (warm starts, all cores) for what the kernel fits, else fit by fit. VaR and ES of
        a row come from its own shape parameters. Raises ``ForecastRefused`` as :meth:`RollsByRefitting.roll` does.
        """
        if not self.in_kernel or self.initial_variance != "backcast":
            return super().roll(history, plan, progress)
        from forecastle.models._garch_roll import roll_through_kernel

        return roll_through_kernel(self, history, plan, progress)

    def kernel(self) -> Kernel:
        """Return the likelihood of our own optimiser; only where ``in_kernel``."""
        from forecastle.models._maximise import Kernel

        return Kernel(self.vol, self.p, self.o, self.q, self.dist, self.mean, self.initial_variance)

    def _through_kernel(self, returns: FloatArray) -> Found:
        from forecastle.models._maximise import maximise

        best = maximise(self.kernel(), returns)
        estimates = dict(zip(self.parameter_names, map(float, best.params), strict=True))
        return Found(estimates, best.loglikelihood, best.converged, best.reason, best.restarts)

    def _through_arch(self, returns: FloatArray) -> Found:
        from forecastle.models.arch_models import maximise_by_arch

        scale = float(returns.std())
        best = maximise_by_arch(self, returns / scale)
        scaled = dict(zip(self.parameter_names, map(float, best.params), strict=True))
        terms = returns.size - (self.mean == "ar")
        likelihood = best.loglikelihood - terms * math.log(scale)
        return Found(in_units(self.vol, scaled, scale), likelihood, best.converged, best.reason, best.restarts)


@dataclass(frozen=True, eq=False)
class Found:
    """What an optimiser came back with: estimates by name and the log-likelihood, in the units of the returns."""

    estimates: Mapping[str, float]
    loglikelihood: float
    converged: bool
    reason: str
    restarts: int


def in_units(vol: Vol, scaled: Mapping[str, float], scale: float) -> dict[str, float]:
    """Return the parameters of returns that are ``scale`` times as large as those that were fitted.

    The mean scales with the returns, omega with what it is part of: a variance, a power of sigma, or (EGARCH) a
    logarithm of the variance, which moves by a constant of which beta keeps its share.
    """
    out = dict(scaled)
    for name in ("mu", "const"):
        if name in out:
            out[name] *= scale
    if vol == "egarch":
        beta = sum(value for name, value in scaled.items() if name.startswith("beta["))
        out["omega"] += (1.0 - beta) * 2.0 * math.log(scale)
    else:
        out["omega"] *= scale ** scaled.get("delta", 2.0)
    return out


def _family(vol: Vol, p: int, o: int, q: int) -> str:
    lags = f"{p},{o},{q}" if o else f"{p},{q}"
    return {
        "garch": f"{'GJR-' if o else ''}GARCH({lags})",
        "egarch": f"EGARCH({lags})",
        "aparch": f"APARCH({lags})",
        "figarch": f"FIGARCH({p},d,{q})",
        "harch": f"HARCH({','.join(map(str, HARCH_LAGS))})",
        "midas": f"MIDAS({MIDAS_LAGS}{', asymmetric' if o else ''})",
    }[vol]


def _lag(vol: str, name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return
    rule = f"a whole number from {low} to {high}" if low < high else f"{low}: it has no such lags to choose"
    raise RequestInvalid(f"{name} is {value!r}.", f"For {vol.upper()} it has to be {rule}.", f"Choose {name}={low}.")


def _choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RequestInvalid(f"{name} is {value!r}.", f"Known: {', '.join(known)}.", f"Choose {name}='{known[0]}'.")


__all__ = ["FittedGarch", "GarchModel"]
