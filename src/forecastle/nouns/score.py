"""Scores: what tests and metrics answer about forecasts that have met their outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from forecastle.nouns.forecast import RollingForecast
from forecastle.nouns.instrument import is_simulated

Zone = Literal["green", "yellow", "red"]


@dataclass(frozen=True)
class TestResult:
    """One hypothesis test. A p-value without a null distribution is None, with the ``reason``."""

    __test__ = False  # pytest collects by name; this is no test of ours

    name: str
    statistic: float | None
    p_value: float | None
    degrees_of_freedom: int | None = None
    reason: str = ""

    def rejects(self, size: float = 0.05) -> bool:
        """Return whether the null hypothesis is rejected at ``size``; an undefined p-value rejects nothing."""
        return self.p_value is not None and self.p_value < size


@dataclass(frozen=True)
class Christoffersen:
    """Independence and conditional coverage of VaR breaches."""

    independence: TestResult
    conditional_coverage: TestResult


@dataclass(frozen=True)
class AcerbiSzekely:
    """The two statistics of Acerbi and Szekely (2014): 0 is expected, negative is too little ES."""

    z1: TestResult
    z2: TestResult


@dataclass(frozen=True)
class TrafficLight:
    """The Basel zone of a number of breaches: green, yellow or red by the cumulative probability."""

    zone: Zone
    breaches: int
    observations: int
    level: float
    cumulative_probability: float


@dataclass(frozen=True)
class RiskBacktest:
    """One model's VaR and ES against what happened, and what the tests say."""

    path: RollingForecast
    breaches: int
    expected: float
    kupiec: TestResult
    christoffersen: Christoffersen
    traffic_light: TrafficLight
    acerbi_szekely: AcerbiSzekely
    verdict: str

    @property
    def passed(self) -> bool:
        """Return whether neither coverage nor conditional coverage is rejected at 5 %."""
        return not (self.kupiec.rejects() or self.christoffersen.conditional_coverage.rejects())


@dataclass(frozen=True)
class ModelScore:
    """One line of a comparison: a model, its loss and its test against the best naive forecast."""

    model: str
    naive: bool
    qlike: float
    floored: int
    against_naive: dict[str, TestResult] = field(default_factory=dict)
    risk: RiskBacktest | None = None


@dataclass(frozen=True)
class Comparison:
    """Every model beside the naive ones over the same bars, sorted by QLIKE, with a verdict in words.

    ``size`` is the p-value below which a win over a naive forecast counts: 5 % shared among the models tried.
    """

    instrument: str
    timeframe: str
    observations: int
    scores: tuple[ModelScore, ...]
    verdict: str
    size: float
    data_hash: str
    source: str | None = None

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return is_simulated(self.source)
