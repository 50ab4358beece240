"""What a test, a fit or a zone comes to in one word, with a sign and a colour."""

from __future__ import annotations

import math
from typing import Literal

from forecastle.nouns import (
    Comparison,
    EProcess,
    FitStatus,
    ModelScore,
    RiskBacktest,
    RollingForecast,
    TestResult,
    TrafficLight,
)
from forecastle.reports._html import Markup, badge, join, significant, tag, whole

Zone = Literal["green", "yellow", "red"]
SIZE = 0.05
"""The size of every test in the report."""
MOST_EVIDENCE = 1e6
"""Evidence is written and drawn up to here: more of it convinces nobody further, and would flatten the rest."""


def tested(test: TestResult) -> Markup:
    """Return ``not rejected``, ``rejected`` or ``no p-value`` at 5 %."""
    if test.p_value is None:
        return badge("no p-value", "none")
    return badge("rejected", "bad") if test.rejects(SIZE) else badge("not rejected", "good")


def believed(risk: RiskBacktest | None) -> Markup:
    """Return in a word whether VaR passes the tests of coverage and conditional coverage."""
    if risk is None:
        return badge("not tested", "none")
    if risk.kupiec.p_value is None and risk.christoffersen.conditional_coverage.p_value is None:
        return badge("no p-value", "none")
    return badge("not rejected", "good") if risk.passed else badge("rejected", "bad")


def evidence(process: EProcess) -> Markup:
    """Return whether an e-process ever rejected the forecast."""
    return badge("rejected", "bad") if process.rejects() else badge("not rejected", "good")


def since(path: RollingForecast, process: EProcess) -> str:
    """Write how far the evidence came, and since when it is enough: ``at most 3.2 so far, and 20 rejects``."""
    asked, day = f"{1.0 / process.size:g}", crossed_on(path, process)
    if day:
        return f"{asked} was reached on {day}, which rejects; {reached_by(process)} at most"
    return f"at most {reached_by(process)} so far, and {asked} rejects"


def reached_by(process: EProcess) -> str:
    """Write the most evidence ever: ``3.2``, or ``>1e6`` where more would convince nobody further."""
    return (
        f">{MOST_EVIDENCE:.0e}".replace("e+0", "e")
        if process.maximum > MOST_EVIDENCE
        else significant(process.maximum, 3)
    )


def crossed_on(path: RollingForecast, process: EProcess) -> str:
    """Return the date of the bar at which an e-process first rejected the forecast; empty where it never did."""
    return "" if process.crossed is None else f"{path.frame['target_time'][process.crossed]:%Y-%m-%d}"


def best_naive(comparison: Comparison) -> ModelScore | None:
    """Return the naive model with the smallest QLIKE; None where none was compared."""
    naive = [s for s in comparison.scores if s.naive and math.isfinite(s.qlike)]
    return min(naive, key=lambda s: s.qlike, default=None)


def model_name(score: ModelScore, headline: str) -> Markup:
    """Return a model's name, labelled where it is naive or the headline."""
    labels = [tag("span", "naive", "label")] if score.naive else []
    labels += [tag("span", "headline", "label")] if score.model == headline else []
    return join([whole(score.model), *labels], " ")


def ended(status: FitStatus) -> Markup:
    """Return ``converged`` or ``not converged``."""
    return badge("converged", "good") if status.converged else badge("not converged", "bad")


def basel(light: TrafficLight) -> str:
    """Return ``Basel zone`` where it is that of the regulation (250 bars at 1 %), else ``Basel-style zone``."""
    return "Basel zone" if (light.observations, light.level) == (250, 0.01) else "Basel-style zone"


def zone_of(zone: Zone) -> Markup:
    """Return a Basel zone by its name."""
    return badge(zone, {"green": "good", "yellow": "warn", "red": "bad"}[zone])


def duel(loss: float, naive_loss: float | None, test: TestResult | None, size: float) -> Markup:
    """Return in a word how a loss stands to a naive one, by the two losses and their test at ``size``."""
    if test is None or test.p_value is None:
        return badge("not tested", "none")
    if not test.rejects(size) or naive_loss is None:
        return badge("undecided", "none")
    return badge("better", "good") if loss < naive_loss else badge("worse", "bad")


def many(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 breach``, ``1,204 bars``."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
