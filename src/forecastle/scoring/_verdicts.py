"""What may be said of a learner beside the baseline, in words."""

from __future__ import annotations

import numpy as np

from forecastle.nouns import Figure, LearnerScore, TestResult

SIZE = 0.05
"""Shared among the learners that are no baseline (Bonferroni): the best of several is lucky more often than one."""


def p_of_win(test: TestResult) -> float:
    """Return the one-sided p-value that the learner loses less than the baseline: 1 where it is not defined."""
    if test.p_value is None or test.statistic is None:
        return 1.0
    return test.p_value / 2.0 if test.statistic < 0 else 1.0 - test.p_value / 2.0


def words_of(
    baseline: str, gain: Figure, skill: str, against: TestResult, test: TestResult, edge: bool, asked: float
) -> str:
    """Return whether one learner has an edge, none, or does harm; its p-value is the larger of both tests.

    ``gain`` is the figure of skill by that name, ``asked`` the size that each test has to fall below.
    """
    name = baseline.replace("_", " ")
    if gain.value is None or test.p_value is None or against.p_value is None:
        return f"no edge over the {name}: {test.reason or against.reason or gain.reason}"
    p = max(p_of_win(against), test.p_value)
    size = f"{_title(skill)} {100 * gain.value:.2f} %"
    if gain.low is not None and gain.high is not None:
        size += f" ({100 * gain.low:.2f} to {100 * gain.high:.2f})"
    if edge:
        return f"edge over the {name}: {size}, p = {p:.2g}"
    if against.statistic is not None and against.statistic > 0 and against.rejects(SIZE):
        return f"worse than the {name}: {size}, p = {against.p_value:.2g}"
    hint = f", where less than {asked:.2g} is asked" if p < SIZE else ""
    return f"no edge over the {name}, p = {p:.2g}{hint}"


def verdict_of(baseline: str, models: list[LearnerScore], skill: str) -> str:
    """Return one sentence or two about the best of the learners that are no baseline."""
    name = baseline.replace("_", " ")
    if not models:
        return f"Only baselines were scored against the {name}."
    ranked = sorted(models, key=lambda s: _value(s.figures[skill]), reverse=True)
    best, winners = ranked[0], [s for s in ranked if s.edge]
    if winners:
        others = f" Others with an edge: {', '.join(s.learner for s in winners[1:])}." if len(winners) > 1 else ""
        return f"{winners[0].learner}: {winners[0].verdict}.{others}"
    worse = sum(s.verdict.startswith("worse") for s in models)
    tail = f" {worse} of {len(models)} are worse than doing nothing." if worse else ""
    return f"No edge over the {name}: of {len(models)} learners {best.learner} comes nearest, {best.verdict}.{tail}"


def _value(figure: Figure) -> float:
    return -np.inf if figure.value is None else figure.value


def _title(skill: str) -> str:
    return {"brier_skill": "Brier skill", "r2_oos": "R² out of sample"}[skill]
