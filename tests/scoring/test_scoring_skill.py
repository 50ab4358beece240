"""The test of no skill: against statsmodels, and its false alarms and power by simulation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm  # type: ignore[import-untyped]
from scipy import stats

from forecastle.errors import RequestInvalid
from forecastle.nouns import TestResult
from forecastle.scoring.forecast import diebold_mariano
from forecastle.scoring.number import squared_errors
from forecastle.scoring.skill import no_skill

FloatArray = npt.NDArray[np.float64]
SEEDS, TRAIN = 1000, 120


def walked(
    horizon: int, beta: float, rows: int, up: bool = False, memory: float = 0.0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return outcome, forecast and baseline, each (SEEDS, rows): expanding least squares beside expanding means.

    The label of a row is the sum of the ``horizon`` noises after it, plus ``beta`` times the feature for each; ``up``
    asks for its sign alone. A row is learned from only once its label is known.
    """
    draw, n = np.random.default_rng(20), TRAIN + horizon + rows
    x, shock = np.empty((SEEDS, n)), draw.standard_normal((SEEDS, n))
    x[:, 0] = shock[:, 0]
    for t in range(1, n):
        x[:, t] = memory * x[:, t - 1] + math.sqrt(1 - memory**2) * shock[:, t]
    noise = draw.standard_normal((SEEDS, n + horizon))
    noise[:, 1 : n + 1] += beta * x
    total = np.cumsum(noise, axis=1)
    y = total[:, horizon : horizon + n] - total[:, :n]
    y = (y > 0).astype(np.float64) if up else y
    count = np.arange(1.0, n + 1.0)
    mx, my = np.cumsum(x, axis=1) / count, np.cumsum(y, axis=1) / count
    slope = (np.cumsum(x * y, axis=1) / count - mx * my)[:, 1:] / (np.cumsum(x * x, axis=1) / count - mx**2)[:, 1:]
    known = slice(TRAIN - 1, TRAIN - 1 + rows)  # labels end `horizon` rows before the row that is forecast
    later = slice(TRAIN - 1 + horizon, TRAIN - 1 + horizon + rows)
    base = my[:, known]
    model = base + slope[:, TRAIN - 2 : TRAIN - 2 + rows] * (x[:, later] - mx[:, known])
    return y[:, later], np.clip(model, 0.0, 1.0) if up else model, base


def rejected(outcome: FloatArray, model: FloatArray, base: FloatArray, horizon: int) -> int:
    found = [no_skill(y, m, b, horizon) for y, m, b in zip(outcome, model, base, strict=True)]
    return sum(test.rejects(0.05) for test in found)


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_statistic_agrees_with_statsmodels(horizon: int) -> None:
    """The mean of f over its standard error, of the larger variance of two kernels, by statsmodels 0.15."""
    y, m, b = (column[3] for column in walked(horizon, 0.2, 200))
    f = (y - b) ** 2 - ((y - m) ** 2 - (b - m) ** 2)
    t = []
    for kernel in ("bartlett", "uniform"):
        options = {"maxlags": horizon - 1, "kernel": kernel, "use_correction": False}
        t.append(float(sm.OLS(f, np.ones(f.size)).fit(cov_type="HAC", cov_kwds=options).tvalues[0]))
    n = f.size
    expected = min(t, key=abs) * math.sqrt((n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n)
    found = no_skill(y, m, b, horizon)
    assert found.statistic == pytest.approx(expected, rel=1e-9)
    assert found.p_value == pytest.approx(stats.t.sf(expected, n - 1), rel=1e-6)


@pytest.mark.parametrize(
    ("horizon", "up", "memory"), [(1, False, 0.0), (5, False, 0.0), (5, False, 0.9), (1, True, 0.9), (5, True, 0.9)]
)
def test_estimated_models_of_noise_are_not_found_skilful(horizon: int, up: bool, memory: float) -> None:
    """No more false alarms than the 99 % band of 5 %; fewer are known of it (Clark and West 2007, table 1)."""
    false = rejected(*walked(horizon, 0.0, 220, up, memory), horizon)
    assert stats.binom.ppf(0.005, SEEDS, 0.015) <= false <= stats.binom.ppf(0.995, SEEDS, 0.05)


@pytest.mark.parametrize("horizon", [1, 5])
def test_forecasts_that_are_noise_are_found_as_often_as_said(horizon: int) -> None:
    """Where nothing is estimated the size is 5 % itself, labels that overlap included: the band has both its ends."""
    outcome, _, base = walked(horizon, 0.0, 600)
    model = np.random.default_rng(1).standard_normal(outcome.shape)
    false = rejected(outcome, model, 0.0 * base, horizon)
    assert stats.binom.ppf(0.005, SEEDS, 0.05) <= false <= stats.binom.ppf(0.995, SEEDS, 0.05)


def test_a_planted_signal_is_found_more_often_than_by_the_losses_alone() -> None:
    """A correlation of 0.15; the plain comparison of losses pays for the noise of the estimate."""
    outcome, model, base = walked(1, 0.15, 400)
    found = rejected(outcome, model, base, 1)
    plain = 0
    for y, m, b in zip(outcome, model, base, strict=True):
        test = diebold_mariano(squared_errors(y, m), squared_errors(y, b))
        assert test.statistic is not None
        plain += test.statistic < stats.t.ppf(0.05, y.size - 1)
    assert found > 0.8 * SEEDS
    assert plain < 0.7 * found


def test_the_baseline_itself_has_no_p_value() -> None:
    y = np.random.default_rng(2).normal(size=50)
    base = np.full(50, 0.1)
    expected = TestResult("no skill", None, None, 49, "the forecast is the baseline")
    assert no_skill(y, base, base) == expected
    assert no_skill(y, base * (1 + 1e-15), base) == expected


def test_too_few_rows_for_the_horizon_are_refused() -> None:
    y = np.random.default_rng(2).normal(size=12)
    with pytest.raises(RequestInvalid, match="12 rows for horizon 5"):
        no_skill(y, 0.5 * y, 0.0 * y, 5)
