"""Columns are chosen as slow loops, closed forms and scikit-learn say, on training rows alone, and the list is told."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.linear_model import LinearRegression

from forecastle.errors import DataInvalid, NameUnknown, RequestInvalid
from forecastle.features.select import (
    SELECTIONS,
    ClassTarget,
    CorrelationThreshold,
    FittedSelection,
    MutualInformation,
    NumberTarget,
    PermutationImportance,
    Selection,
)
from forecastle.nouns import FeatureColumn, FeatureFrame, FeatureSpec
from making import BTC, moment, utc

FloatArray = npt.NDArray[np.float64]
NAN = float("nan")

ALL: list[Selection] = [
    CorrelationThreshold(0.9), MutualInformation(3), PermutationImportance(3, "ridge"),
    PermutationImportance(3, repeats=2),
]  # fmt: skip


def frame_of(values: FloatArray) -> FeatureFrame:
    """Return a frame of days with the columns x0, x1 ..., null where the values are NaN."""
    columns = [f"x{i}" for i in range(values.shape[1])]
    specs = tuple(FeatureSpec(n, "test", "made up", (FeatureColumn(n, "ratio"),), 0, "x", "none") for n in columns)
    days = moment("2024-01-02") + np.arange(values.shape[0]) * np.timedelta64(1, "D")
    rows = pl.DataFrame({n: values[:, i] for i, n in enumerate(columns)}, nan_to_null=True)
    table = pl.DataFrame({"known_at": days}).select(pl.col("known_at").dt.replace_time_zone("UTC")).hstack(rows)
    return FeatureFrame(BTC, "1d", "test", specs, table, "hash")


def drawn(rows: int, columns: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Return normal columns and a target that is twice the first and once the second, with noise."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((rows, columns))
    return x, 2.0 * x[:, 0] + x[:, 1] + draw.standard_normal(rows)


def _up(y: FloatArray) -> ClassTarget:
    return ClassTarget(np.where(np.isnan(y), NAN, np.sign(y)))


# Numbers from elsewhere ---------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), limit=st.sampled_from([0.3, 0.6, 0.9, 0.95]))
def test_of_correlated_columns_the_first_is_kept_as_pandas_counts(seed: int, limit: float) -> None:
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((60, 3)) @ draw.standard_normal((3, 7)) + 0.3 * draw.standard_normal((60, 7))
    fitted = CorrelationThreshold(limit).fit(frame_of(x), NumberTarget(draw.standard_normal(60)))
    table = pd.DataFrame(x, columns=[f"x{i}" for i in range(7)]).corr().abs()
    kept: list[str] = []
    for name in table.columns:
        highest = max([table[name][other] for other in kept], default=0.0)
        assert fitted.scores[name] == pytest.approx(highest, abs=1e-12)
        if highest <= limit:
            kept.append(name)
    assert fitted.columns == tuple(kept)
    assert set(fitted.dropped) == set(table.columns) - set(kept)


def test_a_copy_is_dropped_and_the_reason_names_the_original() -> None:
    x, y = drawn(50, 3)
    x[:, 2] = -3.0 * x[:, 0] + 1.0
    fitted = CorrelationThreshold().fit(frame_of(x), NumberTarget(y))
    assert fitted.columns == ("x0", "x1")
    assert fitted.dropped == {"x2": "correlation 1.000 with x0"}


def test_mutual_information_of_normal_pairs_is_the_closed_form() -> None:
    """Of two normal variables with correlation r it is -ln(1 - r^2) / 2 nats: Cover and Thomas 2006, example 8.5.1."""
    draw = np.random.default_rng(3)
    y = draw.standard_normal(4000)
    r = np.array([0.0, 0.5, 0.9])
    x = r * y[:, None] + np.sqrt(1.0 - r**2) * draw.standard_normal((4000, 3))
    fitted = MutualInformation(2).fit(frame_of(x), NumberTarget(y))
    np.testing.assert_allclose([fitted.scores[f"x{i}"] for i in range(3)], -0.5 * np.log(1.0 - r**2), atol=0.04)
    assert fitted.columns == ("x1", "x2")
    assert fitted.dropped == {"x0": "rank 3 of 3"}


def test_mutual_information_is_that_of_scikit_learn_for_numbers_and_for_classes() -> None:
    x, y = drawn(200, 4)
    numbers = MutualInformation(2, seed=7).fit(frame_of(x), NumberTarget(y))
    wanted = mutual_info_regression(x, y, random_state=7)
    assert list(numbers.scores.values()) == pytest.approx(wanted.tolist(), rel=1e-12)
    thirds = np.round(3.0 * y)  # so many classes that their distances, which mean nothing, would count as numbers
    classes = MutualInformation(2, seed=7).fit(frame_of(x), ClassTarget(thirds))
    wanted = mutual_info_classif(x, thirds, random_state=7)
    assert list(classes.scores.values()) == pytest.approx(wanted.tolist(), rel=1e-12)
    assert classes.scores != pytest.approx(MutualInformation(2, seed=7).fit(frame_of(x), NumberTarget(thirds)).scores)
    assert "x0" in numbers.columns
    assert "x0" in classes.columns


def test_the_importance_of_a_linear_model_is_the_closed_form() -> None:
    """Shuffled, a column with slope b adds 2 b^2 var(x) to the squared error: 8 and 2 of a variance of 6."""
    x, y = drawn(6000, 4, seed=1)
    fitted = PermutationImportance(2, "ridge", repeats=10).fit(frame_of(x), NumberTarget(y))
    assert [fitted.scores[f"x{i}"] for i in range(4)] == pytest.approx([8 / 6, 2 / 6, 0.0, 0.0], abs=0.06)
    assert fitted.columns == ("x0", "x1")
    assert set(fitted.dropped) == {"x2", "x3"}


def test_importance_is_measured_on_the_later_training_rows() -> None:
    """x0 drives the earlier rows, x1 the later ones: a model of the earlier ones cannot use x1, and x0 misleads it."""
    draw = np.random.default_rng(5)
    x = draw.standard_normal((400, 2))
    y = np.where(np.arange(400) < 280, x[:, 0], -x[:, 0])
    fitted = PermutationImportance(1, "ridge", held_out=0.3).fit(frame_of(x), NumberTarget(y))
    model = LinearRegression().fit(x[:280], y[:280])
    assert fitted.scores["x0"] < -1.0, f"it was judged on rows it was fitted to: {model.coef_}"
    assert fitted.columns == ("x1",)


def test_rows_in_the_gap_are_not_learned_from() -> None:
    x, y = drawn(200, 3)
    poisoned = y.copy()
    poisoned[130:140] = 1e6
    chosen = PermutationImportance(1, "ridge", gap=10)
    assert chosen.fit(frame_of(x), NumberTarget(poisoned)).scores == chosen.fit(frame_of(x), NumberTarget(y)).scores
    chosen = PermutationImportance(1, "ridge", gap=9)
    assert chosen.fit(frame_of(x), NumberTarget(poisoned)).scores != chosen.fit(frame_of(x), NumberTarget(y)).scores


@pytest.mark.parametrize("model", ["forest", "ridge"])
def test_what_matters_is_found_for_numbers_and_for_classes(model: Any) -> None:
    x, y = drawn(500, 6, seed=2)
    for target in (NumberTarget(y), _up(y)):
        fitted = PermutationImportance(2, model, repeats=3).fit(frame_of(x), target)
        assert fitted.columns == ("x0", "x1")
        assert fitted.scores["x0"] > fitted.scores["x1"] > 0.0


# Inside the fold ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("selection", ALL, ids=lambda s: f"{s.kind}-{s.settings.get('model', '')}")
def test_the_same_rows_give_the_same_choice_and_later_rows_none(selection: Selection) -> None:
    x, y = drawn(150, 6)
    before = frame_of(x).rows(0, 120)
    first = selection.fit(before, NumberTarget(y[:120]))
    poisoned = x.copy()
    poisoned[120:] = 1e9
    again = selection.fit(frame_of(poisoned).rows(0, 120), NumberTarget(y[:120]))
    assert again.document() == first.document()
    assert first.trained_until == before.end
    assert before.frame.equals(frame_of(x).rows(0, 120).frame)


def test_a_seed_is_a_choice() -> None:
    """That of mutual information breaks ties: the columns have one decimal."""
    x, y = drawn(120, 5)
    x = np.round(x, 1)
    for kind in (MutualInformation, PermutationImportance):
        scores = [kind(2, seed=seed).fit(frame_of(x), NumberTarget(y)).scores for seed in (0, 0, 1)]
        assert scores[0] == scores[1]
        assert scores[0] != scores[2]


@given(seed=st.integers(0, 10**6), keep=st.integers(1, 9))
@settings(max_examples=20)
def test_the_best_are_kept_in_the_order_of_the_frame(seed: int, keep: int) -> None:
    x, y = drawn(60, 6, seed)
    fitted = MutualInformation(keep).fit(frame_of(x), NumberTarget(y))
    best = sorted(fitted.scores, key=lambda n: (-fitted.scores[n], n))[:keep]
    assert fitted.columns == tuple(sorted(best))
    assert fitted.transform(frame_of(x)).columns == fitted.columns
    assert set(fitted.dropped) == set(fitted.scores) - set(best)


@pytest.mark.parametrize("selection", ALL, ids=lambda s: f"{s.kind}-{s.settings.get('model', '')}")
def test_incomplete_rows_are_left_out_and_counted(selection: Selection) -> None:
    x, y = drawn(100, 5)
    complete = selection.fit(frame_of(x[20:]), NumberTarget(y[20:]))
    holes, late = x.copy(), y.copy()
    holes[:15, 3], holes[10:18, 4], late[18:20] = NAN, NAN, NAN
    fitted = selection.fit(frame_of(holes), NumberTarget(late))
    assert (fitted.rows, fitted.rows_left_out) == (80, 20)
    assert (fitted.scores, fitted.columns) == (complete.scores, complete.columns)


def test_columns_without_values_and_constant_ones_go_first() -> None:
    x, y = drawn(80, 5)
    x[:, 1], x[:, 3] = NAN, 0.25
    x[5, 3] = NAN
    for selection in ALL:
        fitted = selection.fit(frame_of(x), NumberTarget(y))
        assert fitted.dropped["x1"] == "no value in the training rows"
        assert fitted.dropped["x3"] == "constant in the training rows"
        assert set(fitted.scores) == {"x0", "x2", "x4"}
        assert fitted.rows == 79


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of features, whatever was configured before."""
    logger = logging.getLogger("forecastle.features")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, "forecastle.features"):
        yield caplog
    logger.removeHandler(caplog.handler)


def test_the_list_is_logged(told: pytest.LogCaptureFixture) -> None:
    x, y = drawn(50, 3)
    x[:, 2], x[0, 0] = x[:, 0], NAN
    CorrelationThreshold().fit(frame_of(x), NumberTarget(y))
    assert next(r.getMessage() for r in told.records) == (
        "correlation_threshold on BTC-USDT 1d until 2024-02-20T00:00:00+00:00 kept 2 of 3 columns by 49 rows "
        "(1 left out): x0, x1; dropped: x2 (correlation 1.000 with x0)"
    )  # fmt: skip


# What is refused, and plain data ------------------------------------------------------------------------------------


def test_other_frames_are_refused() -> None:
    x, y = drawn(60, 4)
    fitted = MutualInformation(2).fit(frame_of(x), NumberTarget(y))
    with pytest.raises(DataInvalid, match="it lacks x3"):
        fitted.transform(frame_of(x[:, :3]))
    with pytest.raises(DataInvalid, match="it has besides x4"):
        fitted.transform(frame_of(drawn(60, 5)[0]))


def test_rows_that_carry_no_choice_are_refused() -> None:
    x, y = drawn(60, 3)
    for target, words in ((NumberTarget(y[:-1]), "59 rows"), (NumberTarget(np.ones(60)), "constant")):
        with pytest.raises(DataInvalid, match=words):
            MutualInformation().fit(frame_of(x), target)
    with pytest.raises(DataInvalid, match="constant"):
        MutualInformation().fit(frame_of(np.ones((60, 2))), NumberTarget(y))
    x[:35, 1] = NAN
    with pytest.raises(DataInvalid, match="leave x1 out: it is null in 35 rows"):
        CorrelationThreshold().fit(frame_of(x), NumberTarget(y))
    with pytest.raises(DataInvalid, match="0 of 60 training rows"):
        CorrelationThreshold().fit(frame_of(np.full((60, 2), NAN)), NumberTarget(y))
    one_class = ClassTarget(np.r_[np.zeros(50), np.ones(10)])
    with pytest.raises(DataInvalid, match="rows of one class"):
        PermutationImportance(model="ridge").fit(frame_of(drawn(60, 3)[0]), one_class)
    with pytest.raises(DataInvalid, match="fitted to 2 rows"):
        PermutationImportance(gap=40).fit(frame_of(drawn(60, 3)[0]), NumberTarget(y))


@pytest.mark.parametrize(
    "wrong", [["a"], [[1.0], [2.0]], [1.0, np.inf]], ids=["text", "two dimensions", "infinite"]
)  # fmt: skip
def test_a_target_has_one_number_a_row(wrong: Any) -> None:
    for kind in (NumberTarget, ClassTarget):
        with pytest.raises(DataInvalid):
            kind(wrong)


def test_a_class_is_a_whole_number() -> None:
    np.testing.assert_array_equal(ClassTarget(np.array([1, 0, -1])).values, [1.0, 0.0, -1.0])
    with pytest.raises(DataInvalid, match=r"the class 0\.5"):
        ClassTarget(np.array([1.0, NAN, 0.5]))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: CorrelationThreshold(0.0), lambda: CorrelationThreshold(1.01), lambda: CorrelationThreshold(NAN),
        lambda: MutualInformation(0), lambda: MutualInformation(neighbours=0), lambda: PermutationImportance(0),
        lambda: PermutationImportance(repeats=0), lambda: PermutationImportance(held_out=1.0),
        lambda: PermutationImportance(gap=-1), lambda: PermutationImportance(model="boosted"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(wrong: Any) -> None:
    with pytest.raises(RequestInvalid):
        wrong()


@pytest.mark.parametrize("selection", ALL, ids=lambda s: f"{s.kind}-{s.settings.get('model', '')}")
def test_a_document_brings_back_the_same_choice(selection: Selection) -> None:
    x, y = drawn(60, 5)
    x[:, 4] = NAN
    fitted = selection.fit(frame_of(x), NumberTarget(y))
    again = FittedSelection.from_document(json.loads(json.dumps(fitted.document(), allow_nan=False)))
    assert again.document() == fitted.document()
    assert again.selection == selection
    assert again.trained_until == utc(2024, 3, 1)
    assert again.transform(frame_of(x)).frame.equals(fitted.transform(frame_of(x)).frame)


def test_a_document_that_is_none_is_refused() -> None:
    x, y = drawn(60, 3)
    fine = MutualInformation(2).fit(frame_of(x), NumberTarget(y)).document()
    for wrong in (
        {},
        fine | {"settings": {"limit": 0.5}},
        fine | {"scores": 3},
        fine | {"trained_until": "2024-01-01"},
    ):
        with pytest.raises(DataInvalid):
            FittedSelection.from_document(wrong)
    with pytest.raises(NameUnknown, match="selection"):
        FittedSelection.from_document(fine | {"selection": "lasso"})


def test_a_selection_that_is_not_fitted_cannot_transform() -> None:
    assert [kind for kind in SELECTIONS.values() if hasattr(kind, "transform")] == []
