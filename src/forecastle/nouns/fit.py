"""The account of one fit: parameters, their errors, and whether to believe them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecastle.nouns.instrument import is_simulated

if TYPE_CHECKING:
    from forecastle.nouns.score import TestResult


@dataclass(frozen=True)
class FitStatus:
    """Whether an optimiser ended where it should: on every fit, always.

    ``reason`` says in words why not (or why with a reservation); ``restarts`` counts the starting points tried
    after the first.
    """

    converged: bool
    reason: str = ""
    restarts: int = 0


@dataclass(frozen=True)
class Parameter:
    """One estimate; None where there is no error, as at a bound.

    ``standard_error`` is robust (Bollerslev and Wooldridge 1992), and so are t and p; ``hessian_error`` is right only
    where the innovations are as assumed. ``stability`` is the statistic of Nyblom (1989): above 0.470 the parameter
    is not constant at 5 %.
    """

    name: str
    value: float
    standard_error: float | None = None
    t_value: float | None = None
    p_value: float | None = None
    hessian_error: float | None = None
    stability: float | None = None


@dataclass(frozen=True)
class FitSummary:
    """A fit as a table. All numbers are in decimals of log return, whatever the optimiser scaled inside.

    ``loglikelihood`` and the criteria ``aic``, ``bic``, ``hqic`` (Akaike, Schwarz, Hannan and Quinn; in total, not a
    return) are None for models that have no likelihood; ``tests`` are of what the fit left in its residuals;
    ``source`` is where the candles came from, None for a bare array.
    """

    model: str
    distribution: str
    observations: int
    status: FitStatus
    parameters: tuple[Parameter, ...]
    loglikelihood: float | None = None
    aic: float | None = None
    bic: float | None = None
    persistence: float | None = None
    unconditional_sigma: float | None = None
    source: str | None = None
    data_hash: str | None = None
    hqic: float | None = None
    half_life: float | None = None
    """Bars until half of a shock to the variance is gone."""
    tests: tuple[TestResult, ...] = ()

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return is_simulated(self.source)

    def __str__(self) -> str:
        head = [
            f"{self.model}  (innovations: {self.distribution}, {self.observations} returns)",
            f"converged: {'yes' if self.status.converged else 'NO'}{_because(self.status.reason)}",
            *self._levels(),
        ]
        return "\n".join([*head, "", *self._table(), *self._tests()])

    def _levels(self) -> list[str]:
        """Return the lines of the criteria and of what the variance reverts to."""
        lines = []
        if self.loglikelihood is not None:
            criteria = (("AIC", self.aic), ("BIC", self.bic), ("HQ", self.hqic))
            said = "   ".join(f"{name} {value:.2f}" for name, value in criteria if value is not None)
            lines.append(f"log-likelihood {self.loglikelihood:.3f}   {said}")
        facts = []
        if self.persistence is not None:
            facts.append(f"persistence {self.persistence:.4f}")
        if self.half_life is not None:
            facts.append(f"half-life {self.half_life:.1f} bars")
        if self.unconditional_sigma is not None:
            facts.append(f"unconditional sigma {100 * self.unconditional_sigma:.3f} %")
        return [*lines, "   ".join(facts)] if facts else lines

    def _table(self) -> list[str]:
        """Return the parameters; the columns that only a likelihood has where there are any."""
        full = any(p.hessian_error is not None for p in self.parameters)
        width = max([9, *(len(p.name) for p in self.parameters)])
        rows = [f"{'parameter':<{width}} {'value':>13} {'robust s.e.':>13} {'t':>8} {'p':>8}"]
        rows += [f"{p.name:<{width}} {p.value:>13.6g} {_n(p.standard_error, '13.3g')} {_n(p.t_value, '8.2f')} "
                 f"{_p(p.p_value)}" for p in self.parameters]  # fmt: skip
        if not full:
            return rows
        more = [f" {'Hessian s.e.':>13} {'Nyblom':>8}"]
        more += [f" {_n(p.hessian_error, '13.3g')} {_n(p.stability, '8.3f')}" for p in self.parameters]
        return [row + extra for row, extra in zip(rows, more, strict=True)]

    def _tests(self) -> list[str]:
        if not self.tests:
            return []
        width = max(len(t.name) for t in self.tests)
        rows = ["", f"{'test':<{width}} {'statistic':>10} {'df':>6} {'p':>8}"]
        rows += [f"{t.name:<{width}} {_n(t.statistic, '10.3f')} {_n(t.degrees_of_freedom, '6d')} {_p(t.p_value)}"
                 f"{_because(t.reason)}" for t in self.tests]  # fmt: skip
        return rows


def half_life(persistence: float | None) -> float | None:
    """Return the bars until half of a shock is gone, ``ln(1/2) / ln(persistence)``; None where none ever is."""
    if persistence is None or not 0.0 < persistence < 1.0:
        return None
    return math.log(0.5) / math.log(persistence)


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _n(value: float | None, form: str) -> str:
    width = form.split(".")[0].rstrip("d")
    return f"{'-':>{width}}" if value is None else f"{value:>{form}}"


def _p(value: float | None) -> str:
    return f"{'<0.0001':>8}" if value is not None and value < 1e-4 else _n(value, "8.4f")
