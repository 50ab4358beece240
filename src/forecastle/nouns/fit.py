"""The account of one fit: parameters, their errors, and whether to believe them."""

from __future__ import annotations

from dataclasses import dataclass

from forecastle.nouns.instrument import is_simulated


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
    """One estimate; ``standard_error`` is robust (Bollerslev and Wooldridge 1992). None where there is none."""

    name: str
    value: float
    standard_error: float | None = None
    t_value: float | None = None
    p_value: float | None = None


@dataclass(frozen=True)
class FitSummary:
    """A fit as a table. All numbers are in decimals of log return, whatever the optimiser scaled inside.

    ``loglikelihood``, ``aic`` and ``bic`` are None for models that have no likelihood; ``source`` is where the candles
    came from, None for a bare array.
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

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return is_simulated(self.source)

    def __str__(self) -> str:
        head = [
            f"{self.model}  (innovations: {self.distribution}, {self.observations} returns)",
            f"converged: {'yes' if self.status.converged else 'NO'}{_because(self.status.reason)}",
        ]
        if self.loglikelihood is not None:
            head.append(f"log-likelihood {self.loglikelihood:.3f}   AIC {self.aic:.2f}   BIC {self.bic:.2f}")
        if self.persistence is not None:
            head.append(f"persistence {self.persistence:.4f}")
        width = max([9, *(len(p.name) for p in self.parameters)])
        rows = [f"{'parameter':<{width}} {'value':>13} {'robust s.e.':>13} {'t':>8} {'p':>8}"]
        rows += [f"{p.name:<{width}} {p.value:>13.6g} {_n(p.standard_error, '13.3g')} {_n(p.t_value, '8.2f')} "
                 f"{_p(p.p_value)}" for p in self.parameters]  # fmt: skip
        return "\n".join([*head, "", *rows])


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _n(value: float | None, form: str) -> str:
    width = form.split(".")[0]
    return f"{'-':>{width}}" if value is None else f"{value:>{form}}"


def _p(value: float | None) -> str:
    return f"{'<0.0001':>8}" if value is not None and value < 1e-4 else _n(value, "8.4f")
