"""The worth of a result after many trials: what goes into the formulas comes from the log."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scipy import stats

from experiments.trials_made import FloatArray, add, log_of, span_of
from forecastle.app.overfitting import deflated, overfitting
from forecastle.errors import DataMissing
from forecastle.workspace import Workspace

RNG = np.random.default_rng(2)
SERIES: list[FloatArray] = [RNG.normal(0.0005 * n, 0.01, 160) for n in range(5)]
EULER = 0.5772156649015329


def tried(workspace: Workspace) -> None:
    log = log_of(workspace.settings.home)
    for number, values in enumerate(SERIES):
        add(log, {"n": number}, values=values)
        add(log, {"n": number, "seed": 1}, values=values)


def test_the_sharpe_ratio_is_deflated_by_the_trials_of_the_log(workspace: Workspace) -> None:
    """Bailey and Lopez de Prado (2014) written out with scipy and the standard library; repeats do not count."""
    tried(workspace)
    ratios = [statistics.mean(v) / statistics.stdev(v) for v in (s.tolist() for s in SERIES)]
    spread = statistics.stdev(ratios)
    quantile = stats.norm.ppf
    best = spread * ((1 - EULER) * quantile(1 - 1 / 5) + EULER * quantile(1 - 1 / (5 * math.e)))
    r, sr = SERIES[4], ratios[4]
    error = math.sqrt(1 - stats.skew(r) * sr + (stats.kurtosis(r, fisher=False) - 1) / 4 * sr**2)
    found = deflated(workspace, span_of(source="kraken"), r)
    assert found.trials == 5
    assert found.threshold == pytest.approx(best, rel=1e-9)
    assert found.probability == pytest.approx(stats.norm.cdf((sr - best) * math.sqrt(r.size - 1) / error), rel=1e-9)


def test_each_further_trial_takes_something_away(workspace: Workspace) -> None:
    tried(workspace)
    few = deflated(workspace, span_of(), SERIES[4])
    log = log_of(workspace.settings.home)
    for number in range(50):
        add(log, {"further": number}, values=RNG.random(20), unit="loss", measure="brier")
    many = deflated(workspace, span_of(), SERIES[4])
    assert (few.trials, many.trials) == (5, 55)
    assert many.probability is not None
    assert few.probability is not None
    assert many.probability < few.probability


def test_nothing_logged_is_one_trial(workspace: Workspace) -> None:
    found = deflated(workspace, span_of(), SERIES[4])
    assert (found.trials, found.threshold) == (1, 0.0)


def test_trials_without_returns_deflate_too(workspace: Workspace) -> None:
    """Without a known spread that of noise is taken: the threshold is not zero."""
    log = log_of(workspace.settings.home)
    for number in range(10):
        add(log, {"n": number}, values=RNG.random(20), unit="loss", measure="brier")
    found = deflated(workspace, span_of(), SERIES[4])
    assert found.threshold is not None
    assert found.threshold > 0.1


def test_luck_is_told_from_skill(workspace: Workspace) -> None:
    """One that is better always is chosen rightly in every split, by returns and by losses."""
    tried(workspace)
    noise = overfitting(workspace, span_of(), blocks=8)
    assert (noise.trials, noise.combinations) == (5, math.comb(8, 4))
    add(log_of(workspace.settings.home), {"skill": 1}, values=SERIES[0] + 0.02)
    skill = overfitting(workspace, span_of(), blocks=8)
    assert (skill.trials, skill.probability) == (6, 0.0)


def test_of_losses_the_lowest_is_the_best(workspace: Workspace) -> None:
    log = log_of(workspace.settings.home)
    for number in range(6):
        add(log, {"n": number}, values=RNG.random(160) + (0.0 if number else -0.8), unit="loss", measure="brier")
    assert overfitting(workspace, span_of(), "loss", "brier", blocks=8).probability == 0.0
    with pytest.raises(DataMissing):
        overfitting(workspace, span_of(), blocks=8)
