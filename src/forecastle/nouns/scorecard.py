"""Scores of returns and directions: each number with its interval, and what may be said of it in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecastle.nouns.dataset import Task
from forecastle.nouns.score import TestResult


@dataclass(frozen=True)
class Figure:
    """A number and its 95 % interval; None where it is not defined, with the reason."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class CalibrationBin:
    """Forecasts between two probabilities: how many, what they said on average, and how often it went up."""

    low: float
    high: float
    rows: int
    forecast: float
    observed: float
    observed_low: float
    observed_high: float


@dataclass(frozen=True)
class BrierParts:
    """The Brier score is ``reliability - resolution + uncertainty``.

    ``reliability`` is what recalibrating would take away, zero is best; ``resolution`` what the forecast tells from the
    base rate, more is better; ``uncertainty`` the score of the base rate itself.
    """

    reliability: float
    resolution: float
    uncertainty: float


@dataclass(frozen=True)
class LearnerScore:
    """One learner beside the baseline.

    ``against_baseline`` is Diebold-Mariano (below zero: it loses less), ``no_skill`` the one-sided test that it says
    nothing beyond the baseline; both None for the baseline itself. ``edge`` is claimed only where both agree.
    """

    learner: str
    naive: bool
    figures: Mapping[str, Figure]
    against_baseline: TestResult | None
    no_skill: TestResult | None
    edge: bool
    verdict: str


@dataclass(frozen=True)
class ScoreTable:
    """All learners over the rows that each of them forecast; ``left_out`` counts the others."""

    target: str
    task: Task
    baseline: str
    rows: int
    left_out: int
    scores: tuple[LearnerScore, ...]
    verdict: str
    calibration: Mapping[str, tuple[CalibrationBin, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ratio:
    """A figure of performance that may not be defined; then it is None and the reason says why."""

    name: str
    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class DeflatedSharpe:
    """The probability that the true Sharpe ratio is above what the best of ``trials`` without skill would show.

    ``sharpe`` and ``threshold`` are per period; ``probability`` is None where it is not defined, with the reason.
    """

    probability: float | None
    sharpe: float | None
    threshold: float | None
    trials: int
    reason: str = ""


@dataclass(frozen=True)
class Overfitting:
    """How often the best in one half of history was below the median in the other: near 0.5 where nothing has skill.

    ``slope`` is that of performance out of sample on performance in sample; ``loss_share`` how often the chosen one
    lost out of sample. None where it is not defined, with the reason.
    """

    probability: float | None
    trials: int
    combinations: int
    slope: float | None = None
    loss_share: float | None = None
    reason: str = ""
