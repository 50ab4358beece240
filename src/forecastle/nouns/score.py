"""Scores: what tests and metrics answer about forecasts that have met their outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecastle.nouns.forecast import Refusal, RollingForecast
from forecastle.nouns.instrument import is_simulated

FloatArray = npt.NDArray[np.float64]
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


@dataclass(frozen=True, eq=False)
class EProcess:
    """Evidence against a forecast, row by row: the wealth of a bet against it that starts at 1 and is fair at best.

    ``process`` has shape (n,), row i knows the outcomes up to row i (numbers above 1e300 are told as 1e300). If the
    forecast is right it reaches ``1 / size`` ever with a probability of ``size`` at most (Ville's inequality): it may
    be read every day, and one may stop when it suits. ``crossed`` is the first row at or above ``1 / size``, None if
    there is none.
    """

    name: str
    process: FloatArray
    size: float
    maximum: float
    crossed: int | None
    verdict: str

    @property
    def last(self) -> float:
        """Return the evidence after the last row."""
        return float(self.process[-1])

    @property
    def p_value(self) -> float:
        """Return ``min(1, 1 / maximum)``, a p-value that holds whenever it is read."""
        return min(1.0, 1.0 / self.maximum)

    def rejects(self) -> bool:
        """Return whether the forecast was ever rejected at ``size``."""
        return self.crossed is not None


@dataclass(frozen=True)
class ModelConfidenceSet:
    """The models that cannot be told from the best: it is among them with a probability of ``1 - size``.

    ``p_values`` holds for every model the smallest size at which it is left out, ``included`` those of ``size`` and
    more (best mean loss first), ``excluded`` the others in the order in which they went, the worst first.
    """

    size: float
    p_values: dict[str, float]
    included: tuple[str, ...]
    excluded: tuple[str, ...]
    statistic: Literal["max", "range"]
    block: int
    replications: int


@dataclass(frozen=True)
class RiskBacktest:
    """One model's VaR and ES against what happened, and what the tests say.

    Only ``kupiec`` and the conditional coverage of ``christoffersen`` decide (see ``passed``); the others are shown.
    ``es_e_process`` is None where some ES is below its VaR: such a pair is no forecast of a tail.
    """

    path: RollingForecast
    breaches: int
    expected: float
    kupiec: TestResult
    christoffersen: Christoffersen
    traffic_light: TrafficLight
    acerbi_szekely: AcerbiSzekely
    verdict: str
    duration: TestResult
    dynamic_quantile: TestResult
    mcneil_frey: TestResult
    e_process: EProcess
    es_e_process: EProcess | None

    @property
    def doubted_since(self) -> datetime | None:
        """Return the close of the first bar at which the e-process of VaR rejected it, None if it never did."""
        row = self.e_process.crossed
        return None if row is None else self.path.frame["target_time"][row]

    @property
    def passed(self) -> bool:
        """Return whether neither coverage nor conditional coverage is rejected at 5 %."""
        return not (self.kupiec.rejects() or self.christoffersen.conditional_coverage.rejects())


@dataclass(frozen=True)
class ModelScore:
    """One line of a comparison: a model, its mean losses and its tests against the naive forecasts.

    ``qlike`` and ``mse`` are of the variance, ``fz0`` of VaR and ES together, ``pinball`` of VaR, ``crps`` of the four
    quantiles q05 .. q95 (for comparing models with each other; it is not the CRPS of a whole distribution). ``mcs``
    is the p-value of membership in the model confidence set by QLIKE, None with too few bars for one.
    """

    model: str
    naive: bool
    qlike: float
    floored: int
    against_naive: dict[str, TestResult] = field(default_factory=dict)
    risk: RiskBacktest | None = None
    mse: float | None = None
    fz0: float | None = None
    pinball: float | None = None
    crps: float | None = None
    mcs: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Every model beside the naive ones over the same bars, sorted by QLIKE, with a verdict in words.

    ``size`` is the p-value below which a win over a naive forecast counts: 5 % shared among the models tried.
    ``target`` says what QLIKE and MSE take for the variance that was, ``confidence_set`` is by QLIKE over all models,
    None with too few bars. ``refused`` names the models that gave no forecast of these data, and why.
    """

    instrument: str
    timeframe: str
    observations: int
    scores: tuple[ModelScore, ...]
    verdict: str
    size: float
    data_hash: str
    source: str | None = None
    target: Literal["squared returns", "realised variance"] = "squared returns"
    confidence_set: ModelConfidenceSet | None = None
    refused: tuple[Refusal, ...] = ()

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return is_simulated(self.source)
