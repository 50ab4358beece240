"""Calibrators against statsmodels, scipy and scikit-learn; what they never do; and their documents."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statsmodels.api as sm  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special

from forecastle.errors import DataCorrupt, DataInvalid
from forecastle.models.calibration import CALIBRATORS, Beta, Isotonic, Platt, calibrator_from_document

FloatArray = npt.NDArray[np.float64]


def made(rows: int = 600, seed: int = 3, loud: float = 2.0) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return probabilities that are said ``loud`` times too loudly, outcomes and uneven weights."""
    draw = np.random.default_rng(seed)
    honest = draw.normal(0.2, 0.7, rows)
    y = (draw.random(rows) < special.expit(honest)).astype(np.float64)
    return special.expit(loud * honest), y, draw.uniform(0.2, 1.0, rows)


def log_odds(made_of: Any, p: FloatArray) -> FloatArray:
    return np.asarray(special.logit(made_of.transform(p)))


def test_platt_agrees_with_statsmodels() -> None:
    """A binomial regression on the log odds with the drawn-in targets of Platt (1999), weights as frequencies."""
    p, y, w = made()
    ups, downs = w[y == 1].sum(), w[y == 0].sum()
    target = np.where(y == 1, (ups + 1) / (ups + 2), 1 / (downs + 2))
    fit = sm.GLM(target, sm.add_constant(special.logit(p)), family=sm.families.Binomial(), freq_weights=w).fit(
        tol=1e-12
    )
    found = Platt().fit(p, y, w)
    assert (found.constant, found.slope) == pytest.approx(fit.params, abs=1e-5)
    assert found.slope == pytest.approx(0.5, abs=0.15)  # said twice too loudly


def test_beta_agrees_with_statsmodels() -> None:
    p, y, w = made(2000)
    x = np.column_stack([np.ones(p.size), np.log(p), -np.log1p(-p)])
    fit = sm.GLM(y, x, family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-12)
    assert min(fit.params[1:]) > 0.0
    found = Beta().fit(p, y, w)
    assert (found.constant, found.rising, found.falling) == pytest.approx(fit.params, abs=2e-3)


def test_steps_agree_with_scipy() -> None:
    """Pool adjacent violators on the distinct probabilities, each with the weight of its rows."""
    p, y, w = made()
    p = np.round(p, 2)
    places, group = np.unique(p, return_inverse=True)
    weight = np.bincount(group, w)
    expected = optimize.isotonic_regression(np.bincount(group, w * y) / weight, weights=weight).x
    assert Isotonic().fit(p, y, w).transform(places) == pytest.approx(expected, abs=1e-9)


def test_what_was_known_before_holds_the_map() -> None:
    """Penalised likelihood by another optimiser, on the definition as it is written."""
    p, y, w = made(200)
    base, sds = 0.55, (0.3, 0.5)
    centre = float(special.logit(base))
    ups, downs = w[y == 1].sum(), w[y == 0].sum()
    target = np.where(y == 1, (ups + 1) / (ups + 2), 1 / (downs + 2))

    def loss(ab: FloatArray) -> float:
        q = special.expit(centre + ab[0] + ab[1] * (special.logit(p) - centre))
        likelihood = w @ (target * np.log(q) + (1 - target) * np.log(1 - q))
        return float(-likelihood + 0.5 * ((ab[0] / sds[0]) ** 2 + (ab[1] / sds[1]) ** 2))

    moved, slope = optimize.minimize(loss, [0.1, 0.1], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9}).x
    found = Platt(*sds).fit(p, y, w, base)
    assert found.slope == pytest.approx(slope, abs=1e-4)
    assert log_odds(found, np.array([base])) == pytest.approx([centre + moved], abs=1e-4)


def test_a_map_held_tight_says_the_base_rate_and_one_held_loosely_what_the_rows_say() -> None:
    p, y, w = made()
    tight = Platt(1e-4, 1e-4).fit(p, y, w, 0.6)
    assert tight.transform(p) == pytest.approx(np.full(p.size, 0.6), abs=1e-3)
    loose, free = Platt(1e4, 1e4).fit(p, y, w, 0.6), Platt().fit(p, y, w)
    assert loose.transform(p) == pytest.approx(free.transform(p), abs=1e-5)


@pytest.mark.parametrize("name", ["platt", "beta"])
def test_a_model_that_is_wrong_about_the_side_is_flattened_not_turned_over(name: str) -> None:
    p, y, w = made()
    found = CALIBRATORS[name]().fit(1.0 - p, y, w).transform(np.linspace(0.01, 0.99, 50))
    assert np.ptp(found) < 1e-6
    assert found == pytest.approx(np.full(50, (w @ y) / w.sum()), abs=0.01)


@pytest.mark.parametrize("name", CALIBRATORS)
def test_loud_forecasts_become_honest(name: str) -> None:
    """On rows that were not learned from: shares of ups within tenths of the forecast, and a lower log loss."""
    p, y, w = made(4000)
    later, came, _ = made(4000, 9)
    told = CALIBRATORS[name]().fit(p, y, w).transform(later)
    assert np.clip(told, 0, 1) == pytest.approx(told)
    for part in np.array_split(np.argsort(told, kind="stable"), 5):
        error = 4 * np.sqrt(0.25 / part.size)
        assert told[part].mean() == pytest.approx(came[part].mean(), abs=error)
    assert np.mean((told - came) ** 2) < np.mean((later - came) ** 2)


rows = st.lists(
    st.tuples(st.floats(0, 1), st.booleans(), st.floats(0.01, 5.0)), min_size=1, max_size=30
)  # fmt: skip


@pytest.mark.parametrize("name", CALIBRATORS)
@given(table=rows)
def test_maps_never_fall_and_come_back_from_their_documents(name: str, table: list[tuple[float, bool, float]]) -> None:
    p, y, w = (np.array(c, dtype=np.float64) for c in zip(*table, strict=True))
    found = CALIBRATORS[name]().fit(p, y, w)
    grid = np.array([np.nan, 0.0, 1e-12, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0 - 1e-12, 1.0])
    told = found.transform(grid)
    assert np.isnan(told[0])
    assert np.all(np.diff(told[1:]) >= -1e-12)
    assert 0.0 <= told[1:].min() <= told[1:].max() <= 1.0
    back = calibrator_from_document(json.loads(json.dumps(found.document(), allow_nan=False)))
    assert type(back) is type(found)
    assert back.transform(grid).tobytes() == told.tobytes()


@pytest.mark.parametrize(
    ("p", "y", "w"),
    [
        ([], [], []), ([0.5], [1.0], [0.0]), ([0.5], [0.5], [1.0]), ([np.nan], [1.0], [1.0]), ([0.5], [1.0], [-1.0]),
        ([0.5, 0.5], [1.0], [1.0]), ([0.5], [1.0], [np.inf]), ([[0.5]], [[1.0]], [[1.0]]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", CALIBRATORS)
def test_rows_that_say_nothing_are_refused(name: str, p: Any, y: Any, w: Any) -> None:
    with pytest.raises(DataInvalid, match="A calibrator was given"):
        CALIBRATORS[name]().fit(np.array(p), np.array(y), np.array(w))


@pytest.mark.parametrize(
    "document",
    [
        {}, {"calibrator": "spline"}, {"calibrator": "platt", "constant": 0.0},
        {"calibrator": "platt", "constant": 0.0, "slope": -1.0}, {"calibrator": "platt", "constant": "x", "slope": 1.0},
        {"calibrator": "platt", "constant": float("nan"), "slope": 1.0},
        {"calibrator": "beta", "constant": 0.0, "rising": 1.0, "falling": -1.0},
        {"calibrator": "isotonic", "places": [], "values": []},
        {"calibrator": "isotonic", "places": [0.1], "values": []},
        {"calibrator": "isotonic", "places": [0.3, 0.1], "values": [0.1, 0.2]},
        {"calibrator": "isotonic", "places": [0.1, 0.3], "values": [0.2, 0.1]},
        {"calibrator": "isotonic", "places": 3, "values": [0.2, 0.1]}, {"calibrator": ["platt"]},
        {"calibrator": "isotonic", "places": [0.1, 0.3], "values": [0.2, 7.0]},
        {"calibrator": "isotonic", "places": [0.1, float("nan")], "values": [0.2, 0.3]},
    ],
)  # fmt: skip
def test_a_document_that_is_none_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(DataCorrupt, match="not the document of a calibrator"):
        calibrator_from_document(document)
