"""What may be learned from: the guard of a fold, weights, inner parts, and what the type checker says."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecastle.errors import DataInvalid, DataMissing
from forecastle.nouns import Fold, Labels
from forecastle.nouns.dataset import Dataset, Training, uniqueness
from learning import dataset, frame_of
from rows_made import dataset_of, days_covered, labels_of, moments_of, spans

SOURCE = Path(__file__).parents[2] / "src"
NEVER = np.datetime64("NaT")


@given(spans, st.data())
def test_a_fold_is_refused_exactly_where_a_pair_overlaps(lengths: list[int | None], data: st.DataObject) -> None:
    """Every training label against every test label, day by day."""
    n = len(lengths)
    known = [row for row in range(n) if lengths[row] is not None]
    if not known:
        return
    train = sorted(data.draw(st.sets(st.sampled_from(known), min_size=1, max_size=8)))
    test = sorted(data.draw(st.sets(st.sampled_from(known), min_size=1, max_size=8)))
    shared = any(days_covered(lengths, a) & days_covered(lengths, b) for a in train for b in test)
    fold = Fold(0, np.array(train), np.array(test))
    if shared:
        with pytest.raises(DataInvalid, match="a test label overlaps"):
            dataset_of(lengths).training(fold)
    else:
        assert len(dataset_of(lengths).training(fold)) == len(train)


def test_rows_that_are_never_known_teach_nothing() -> None:
    data = dataset_of([1, None, 1, 1])
    with pytest.raises(DataInvalid, match="never known"):
        data.training(Fold(3, np.array([0, 1]), np.array([3])))
    with pytest.raises(DataMissing, match="Fold 3 has no training row"):
        data.training(Fold(3, np.array([1]), np.array([3])))


def test_only_a_fold_makes_training_rows() -> None:
    data = dataset_of([1] * 5)
    for token in (None, object(), "made by a fold"):
        with pytest.raises(TypeError, match=r"Dataset\.training"):
            Training(data.frame, data.labels, np.arange(5), token)


HANDED = """
from forecastle.experiments.recipe import Recipe
from forecastle.nouns.dataset import Dataset, Fold

def learned(recipe: Recipe, data: Dataset, fold: Fold) -> None:
    recipe.fit(data.training(fold))
    recipe.fit(data)
    recipe.fit(data.labels)
    recipe.fit(fold)
"""


def test_a_dataset_is_no_training_for_the_type_checker(tmp_path: Path) -> None:
    """Learning takes rows of a fold: all of the data, or its labels, handed there are errors of type."""
    (tmp_path / "handed.py").write_text(HANDED.lstrip())
    looked_at = ("forecastle.nouns", "forecastle.nouns.dataset", "forecastle.experiments.recipe", "handed")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", os.devnull, "--follow-imports=skip", "--cache-dir", tmp_path,
         "--ignore-missing-imports", *(word for name in looked_at for word in ("-m", name))],
        cwd=tmp_path, env=os.environ | {"MYPYPATH": f"{SOURCE}{os.pathsep}{tmp_path}"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    errors = [line.partition("handed.py:")[2] for line in done.stdout.splitlines() if "handed.py" in line]
    assert [e.partition(":")[0] for e in errors] == ["6", "7", "8"], done.stdout + done.stderr
    for error, wrong in zip(errors, ("Dataset", "Labels", "Fold"), strict=True):
        assert f'has incompatible type "{wrong}"; expected "Training"' in error


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=25))
def test_uniqueness_agrees_with_counting_stretch_by_stretch(rows: list[tuple[int, int]]) -> None:
    """López de Prado (2018), 4.4: how many labels run in each stretch, and the mean of one over it."""
    begins, ends = ([a for a, _ in rows], [a + n for a, n in rows])
    edges = sorted({*begins, *ends})
    stretches = list(pairwise(edges))
    running = {s: sum(b <= s[0] and e >= s[1] for b, e in zip(begins, ends, strict=True)) for s in stretches}
    expected = [
        np.mean([1 / running[s] for s in stretches if b <= s[0] and e >= s[1]])
        for b, e in zip(begins, ends, strict=True)
    ]
    start = moments_of(1)[0]
    found = uniqueness(
        start + np.array(begins) * np.timedelta64(1, "D"), start + np.array(ends) * np.timedelta64(1, "D")
    )
    assert found == pytest.approx(expected)
    assert found.min() > 0.0
    assert found.max() <= 1.0 + 1e-12


def test_uniqueness_by_hand() -> None:
    """Days 0 to 2 and 1 to 3 share one of two each; 3 to 4 is alone: 2.5 labels in three."""
    days = moments_of(5)
    assert uniqueness(days[[0, 1, 3]], days[[2, 3, 4]]) == pytest.approx([0.75, 0.75, 1.0])
    for ends in (days[[0, 3]], np.array([days[2], NEVER])):
        with pytest.raises(DataInvalid, match="ends before it begins"):
            uniqueness(days[[0, 1]], ends)


def test_weights_are_of_the_rows_of_the_fold_alone() -> None:
    """Labels of 2 days: a row whose neighbours are not trained on is unique, one without a label weighs nothing."""
    data = dataset_of([2] * 12, left_out=[3])
    told = data.training(Fold(0, np.array([0, 1, 3, 6]), np.array([9, 10])))
    assert told.weights == pytest.approx([0.75, 0.75, 0.0, 1.0])
    assert told.runs.tolist() == [0, 0, 1, 2]
    assert told.trained_until.isoformat() == "2018-01-10T00:00:00+00:00"


@given(spans, st.floats(0.05, 0.9))
def test_an_inner_part_is_purged_too(lengths: list[int | None], share: float) -> None:
    rows = np.array([row for row, length in enumerate(lengths) if length is not None], dtype=np.int64)
    if not rows.size:
        return
    training = dataset_of(lengths).training(Fold(0, rows, np.array([], dtype=np.int64)))
    try:
        early, later = training.inner(share)
    except DataMissing:
        return
    assert len(later) == max(round(share * len(training)), 1)
    assert early.labels.known_at.max() <= later.frame.known_at()[0]
    dropped = len(training) - len(early) - len(later)
    between = training.frame.known_at()[: len(training) - len(later)]
    assert dropped == (training.labels.known_at[: between.size] > later.frame.known_at()[0]).sum()


def test_a_part_too_small_to_hold_out_is_refused() -> None:
    training = dataset_of([9] * 10).training(Fold(0, np.arange(10), np.array([], dtype=np.int64)))
    for share in (0.5, 1.0):
        with pytest.raises(DataMissing, match="cannot be parted"):
            training.inner(share)


def test_shuffled_labels_are_the_same_labels_elsewhere() -> None:
    data = dataset(200, 2, 1)
    training = data.training(Fold(0, np.arange(150), np.arange(160, 199)))
    dealt = training.shuffled(4)
    assert sorted(dealt.labels.returns.tolist()) == sorted(training.labels.returns.tolist())
    assert np.array_equal(dealt.labels.values, (dealt.labels.returns > 0).astype(float))
    assert not np.array_equal(dealt.labels.returns, training.labels.returns)
    assert np.array_equal(dealt.labels.returns, training.shuffled(4).labels.returns)
    assert dealt.frame is training.frame


def test_arrays_that_do_not_fit_are_refused() -> None:
    made = labels_of([1, 1, 1])
    with pytest.raises(DataInvalid, match="have the shapes"):
        Labels("made", "number", 1, "log return", made.values[:2], made.returns, made.known_at)
    with pytest.raises(DataInvalid, match="2 rows of features and 3 labels"):
        Dataset(frame_of({"x": np.zeros(2)}), made)


def test_columns_are_chosen_and_rows_stay() -> None:
    data = dataset(30, 3, 2)
    chosen = data.select(["x1"])
    assert chosen.frame.columns == ("x1",)
    assert len(chosen) == len(data) == 30
    assert chosen.labels is data.labels
