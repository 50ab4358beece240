"""What a test, a fit or a zone comes to in one word, with a sign and a colour."""

from __future__ import annotations

from typing import Literal

from forecastle.nouns import FitStatus, RiskBacktest, TestResult, TrafficLight
from forecastle.reports._html import Markup, badge

Zone = Literal["green", "yellow", "red"]
SIZE = 0.05
"""The size of every test in the report."""


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
