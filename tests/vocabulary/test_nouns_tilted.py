"""The law of a direction: against weighted quantiles of numpy, a discrete law of scipy, and shortfalls by sums."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecastle.nouns.tilted import Tilted

FloatArray = npt.NDArray[np.float64]
sizes = st.lists(st.integers(1, 400), min_size=2, max_size=15, unique=True)


def law(up: float, ups: list[int], downs: list[int]) -> tuple[Tilted, FloatArray, FloatArray]:
    """Return the law, its values ascending, and the weight of each."""
    above, below = np.array(ups) / 1000.0, -np.array(downs) / 1000.0
    values = np.concatenate([np.sort(below), np.sort(above)])
    weights = np.concatenate([np.full(below.size, (1 - up) / below.size), np.full(above.size, up / above.size)])
    return Tilted.of(up, above, below), values, weights


@given(st.floats(0.02, 0.98), sizes, sizes, st.integers(1, 99))
def test_agrees_with_numpy_and_scipy(up: float, ups: list[int], downs: list[int], percent: int) -> None:
    made, values, weights = law(up, ups, downs)
    p = percent / 100.0 + 1e-5
    discrete = stats.rv_discrete(values=(np.arange(values.size), weights / weights.sum()))
    assert made.mean == pytest.approx(np.average(values, weights=weights), abs=1e-12)
    assert made.sigma == pytest.approx(np.sqrt(np.average((values - made.mean) ** 2, weights=weights)), rel=1e-7)
    expected = np.quantile(values, p, weights=weights, method="inverted_cdf")
    assert made.quantile(p) == pytest.approx(expected, abs=1e-12)
    for place in (0, values.size // 2, values.size - 1):
        assert made.cdf(float(values[place])) == pytest.approx(discrete.cdf(place), abs=1e-9)
    assert made.cdf(0.0) == pytest.approx(1.0 - up)
    assert made.prob_up == pytest.approx(up)


@given(st.floats(0.02, 0.98), sizes, sizes, st.floats(0.01, 0.99))
def test_the_shortfall_is_that_of_acerbi_and_tasche(up: float, ups: list[int], downs: list[int], p: float) -> None:
    """``(E[r 1(r <= q)] + q (p - P(r <= q))) / p`` (2002, Journal of Banking and Finance 26, 1487-1503, def. 2.6)."""
    made, values, weights = law(up, ups, downs)
    q = made.quantile(p)
    inside = values <= q + 1e-12
    expected = (values[inside] @ weights[inside] + q * (p - weights[inside].sum())) / p
    assert made.es(p) == pytest.approx(-expected, abs=1e-9)


@given(st.floats(0.0, 1.0), sizes, sizes)
def test_quantiles_never_fall(up: float, ups: list[int], downs: list[int]) -> None:
    made, values, _ = law(up, ups, downs)
    found = made.standard_quantile(np.linspace(0.001, 0.999, 200)) * made.sigma + made.mean
    assert np.all(np.diff(found) >= 0.0)
    assert found.min() >= values[0] - 1e-12
    assert found.max() <= values[-1] + 1e-12


def test_by_hand() -> None:
    """Up 2 % or 4 % with 60 %, down 1 % or 3 % with 40 %: mean 1 %, of squares 0.0008."""
    made = Tilted.of(0.6, np.array([0.04, 0.02]), np.array([-0.01, -0.03]))
    assert (made.mean, made.sigma) == pytest.approx((0.01, np.sqrt(0.0008 - 0.0001)))
    assert [made.quantile(p) for p in (0.2, 0.21, 0.4, 0.41, 0.7, 0.71)] == pytest.approx(
        [-0.03, -0.01, -0.01, 0.02, 0.02, 0.04]
    )
    assert made.es(0.3) == pytest.approx((0.2 * 0.03 + 0.1 * 0.01) / 0.3)
    assert made.var(0.05) == pytest.approx(0.03)


@pytest.mark.parametrize("up", [0.0, 1.0])
def test_a_certain_side_has_only_its_own_sizes(up: float) -> None:
    made = Tilted.of(up, np.array([0.01, 0.03]), np.array([-0.02, -0.05]))
    assert sorted({round(made.quantile(p), 12) for p in (0.1, 0.4, 0.6, 0.9)}) == (
        [0.01, 0.03] if up else [-0.05, -0.02]
    )


@pytest.mark.parametrize(
    ("up", "ups", "downs"),
    [(-0.1, [0.1], [-0.1]), (1.1, [0.1], [-0.1]), (float("nan"), [0.1], [-0.1]), (0.5, [], [-0.1]), (0.5, [0.1], []),
     (0.5, [0.0, 0.1], [-0.1]), (0.5, [0.1], [-0.1, 0.0])],
)  # fmt: skip
def test_what_is_no_law_is_refused(up: float, ups: list[float], downs: list[float]) -> None:
    with pytest.raises(ValueError, match="up is"):
        Tilted.of(up, np.array(ups), np.array(downs))
