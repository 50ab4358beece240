"""Adaptive conformal intervals: against a slow version, their coverage, and what they may know."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.models import conformal
from forecastle.models.conformal import AdaptiveConformal, ConformalPath
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]
DAY = np.timedelta64(1, "D")
NEVER = np.datetime64("NaT")


def days(n: int) -> Times:
    return np.datetime64("2020-01-01", "us") + np.arange(n) * DAY


def walked(y: FloatArray, horizon: int = 1, how: AdaptiveConformal | None = None) -> ConformalPath:
    """Return the path over forecasts of nothing, after a hundred errors of the first days' kind."""
    before = np.abs(np.random.default_rng(77).standard_normal(100))
    moments = days(y.size)
    return (how or AdaptiveConformal()).walk(np.zeros(y.size), y, moments, moments + horizon * DAY, before)


def held(path: ConformalPath, y: FloatArray, part: slice = slice(None)) -> int:
    return int(((path.low <= y) & (y <= path.high))[part].sum())


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.one_of(st.none(), st.integers(1, 6))), min_size=1, max_size=30),
    st.lists(st.floats(0, 3), min_size=1, max_size=12), st.sampled_from([0.5, 0.8, 0.9]), st.sampled_from([0.01, 0.3]),
)  # fmt: skip
def test_agrees_with_a_slow_version(
    rows: list[tuple[float, int | None]], before: list[float], level: float, gamma: float
) -> None:
    """At each row everything known by then is counted anew: level, scores and their quantile by sorting all of them."""
    n = len(rows)
    y = np.array([v if wait is not None else math.nan for v, wait in rows])
    known = np.array([i + wait if wait is not None else 10**6 for i, (_, wait) in enumerate(rows)])
    centre = np.linspace(-1.0, 1.0, n)
    known_at = np.where(known < 10**6, days(1)[0] + np.minimum(known, 999) * DAY, NEVER)
    path = AdaptiveConformal(level, gamma).walk(centre, y, days(n), known_at, np.array(before))
    low, high = np.empty(n), np.empty(n)
    for t in range(n):
        seen = sorted((i for i in range(t) if known[i] <= t), key=lambda i: (known[i], i))
        alpha, scores = 1.0 - level, list(before)
        for i in seen:
            alpha += gamma * ((1.0 - level) - float(not low[i] <= y[i] <= high[i]))
            scores.append(abs(y[i] - centre[i]))
        rank = math.ceil((len(scores) + 1) * (1.0 - alpha) - 1e-9)
        half = 0.0 if rank < 1 else sorted(scores)[min(rank, len(scores)) - 1]
        low[t], high[t] = centre[t] - half, centre[t] + half
    assert path.low == pytest.approx(low, abs=1e-12)
    assert path.high == pytest.approx(high, abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_independent_errors_are_covered_as_asked(level: float) -> None:
    y = np.random.default_rng(5).standard_normal(4000)
    found = held(walked(y, 1, AdaptiveConformal(level)), y)
    assert stats.binom.ppf(0.005, y.size, level) <= found <= stats.binom.ppf(0.995, y.size, level)


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("after", [3.0, 1 / 3])
def test_the_promise_is_kept_after_a_break_of_the_variance(after: float, horizon: int) -> None:
    """Deviations three times as large, or a third, from the middle on; with a level that stands still it is broken."""
    y = np.random.default_rng(6).standard_normal(3000)
    y[1500:] *= after
    part, n = slice(1500, None), 1500
    low, high = stats.binom.ppf(0.005, n, 0.9), stats.binom.ppf(0.995, n, 0.9)
    assert low <= held(walked(y, horizon), y, part) <= high
    still = held(walked(y, horizon, AdaptiveConformal(gamma=1e-12)), y, part)
    assert not low <= still <= high


def test_a_miss_widens_and_a_hit_narrows() -> None:
    """By hand: level 0.9, gamma 0.05. A hit moves alpha from 0.1 to 0.105, a miss to 0.055."""
    scores = np.arange(1.0, 20.0)  # the ceil(20 * 0.9) = 18th smallest is 18
    for outcome, alpha, half in ((0.0, 0.105, 18.0), (30.0, 0.055, 30.0)):
        path = AdaptiveConformal(0.9, 0.05).walk(np.zeros(2), np.array([outcome, 0.0]), days(2), days(2) + DAY, scores)
        assert (path.low[0], path.high[0]) == (-18.0, 18.0)
        assert path.alpha == pytest.approx(alpha)
        assert path.high[1] == half  # the 19th of 0 to 19, and the 20th, where 20 are known
        assert path.scores.tolist() == [*scores, outcome]


def test_nothing_is_known_before_its_time() -> None:
    """Outcomes not known at a row may be anything: every interval up to it is the same, to the bit."""
    y, horizon = np.random.default_rng(8).standard_normal(200), 5
    whole = walked(y, horizon)
    for row in (5, 50, 150):
        changed = y.copy()
        changed[row - horizon + 1 :] = 1e6
        told = walked(changed, horizon)
        assert told.low[: row + 1].tobytes() == whole.low[: row + 1].tobytes()
        assert told.high[row + 1] != whole.high[row + 1]


def test_intervals_stay_finite_and_never_turn_over() -> None:
    """Misses without end drive alpha below zero, hits without end above one."""
    for y in (np.arange(1.0, 400.0) * 100.0, np.zeros(399)):
        path = walked(y, 1, AdaptiveConformal(0.9, 0.5))
        assert np.isfinite([path.low, path.high]).all()
        assert np.all(path.low <= path.high)


def test_only_the_latest_scores_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformal, "KEPT", 30)
    y = np.random.default_rng(9).standard_normal(100)
    path = walked(y)
    assert path.scores.tolist() == np.abs(y[69:99]).tolist()


def test_a_path_goes_on_where_another_ended() -> None:
    """What was known by the second half is handed on: the same intervals, to the bit."""
    y, moments = np.random.default_rng(10).standard_normal(120), days(120)
    known = moments + DAY
    how, start = AdaptiveConformal(0.8, 0.05), np.abs(np.random.default_rng(1).standard_normal(40))
    whole = how.walk(np.zeros(120), y, moments, known, start)
    first = how.walk(np.zeros(61), np.append(y[:60], np.nan), moments[:61], np.append(known[:60], NEVER), start)
    rest = how.walk(np.zeros(60), y[60:], moments[60:], known[60:], first.scores, first.alpha)
    assert rest.low.tobytes() == whole.low[60:].tobytes()
    assert rest.alpha == whole.alpha


def test_what_makes_no_interval_is_refused() -> None:
    y, moments = np.zeros(3), days(3)
    for centre, scores in ((y, np.array([])), (np.array([0.0, math.nan, 0.0]), np.ones(3))):
        with pytest.raises(DataInvalid, match="no errors to begin with"):
            AdaptiveConformal().walk(centre, y, moments, moments + DAY, scores)
    for level, gamma in ((0.0, 0.01), (1.0, 0.01), (0.9, 0.0), (0.9, 0.6), (math.nan, 0.01)):
        with pytest.raises(RequestInvalid):
            AdaptiveConformal(level, gamma)
