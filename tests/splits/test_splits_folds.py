"""Splits: an O(n^2) purge by days, scikit-learn where nothing overlaps, and the guard of the dataset itself."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold, TimeSeriesSplit

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import Fold
from forecastle.splits import SPLITS
from forecastle.splits._purge import purged
from forecastle.splits.purged import CombinatorialPurged, PurgedKFold
from forecastle.splits.walk_forward import WalkForward
from rows_made import dataset_of, days_covered, labels_of, moments_of, spans

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "walk_forward": [{}, {"count": 3, "window": 40}, {"embargo": 7, "start": 0.2}],
    "purged_kfold": [{}, {"count": 4, "embargo": 0.0}],
    "combinatorial": [{}, {"groups": 4, "tested_groups": 1, "embargo": 0.05}],
}
CASES = [(name, settings) for name, several in SETTINGS.items() for settings in several]


def uneven(n: int = 260, seed: int = 2) -> list[int | None]:
    """Return lengths from 1 to 9 days, as a triple barrier has, a few never known."""
    draw = np.random.default_rng(seed)
    return [None if draw.random() < 0.03 else int(draw.integers(1, 10)) for _ in range(n)]


def folds(name: str, settings: dict[str, Any], lengths: list[int | None]) -> tuple[Fold, ...]:
    found: tuple[Fold, ...] = SPLITS.load(name)(**settings).folds(labels_of(lengths), moments_of(len(lengths)))
    return found


def test_every_split_is_tried_here() -> None:
    assert set(SETTINGS) == set(SPLITS)


@given(spans, st.data())
def test_the_purge_agrees_with_one_day_by_day(lengths: list[int | None], data: st.DataObject) -> None:
    """Learned from is what was known when the block began, and what begins ``embargo`` rows after it all ended."""
    n = len(lengths)
    first = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(first, n - 1))
    embargo = data.draw(st.integers(0, 4))
    tested = set().union(*(days_covered(lengths, row) for row in range(first, last + 1)))
    end = max([last, *tested])
    expected = []
    for row in range(n):
        own = days_covered(lengths, row)
        in_time = bool(own) and row < first and max(own) <= first
        behind = bool(own) and row > last and row >= end + embargo
        assert not ((in_time or behind) and own & tested)
        expected.append(in_time or behind)
    found = purged(labels_of(lengths), moments_of(n), np.arange(first, last + 1), embargo)
    assert found.tolist() == expected


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_no_fold_sees_what_it_tests(name: str, settings: dict[str, Any]) -> None:
    lengths = uneven()
    data = dataset_of(lengths)
    for fold in folds(name, settings, lengths):
        seen = set().union(*(days_covered(lengths, int(r)) for r in fold.train))
        asked = set().union(*(days_covered(lengths, int(r)) for r in fold.test))
        assert not seen & asked
        assert not set(fold.train) & set(fold.test)
        assert np.all(np.diff(fold.train) > 0)
        assert np.all(np.diff(fold.test) > 0)
        assert len(data.training(fold)) == fold.train.size


@pytest.mark.parametrize("name", ["walk_forward", "purged_kfold"])
def test_every_row_is_tested_once(name: str) -> None:
    lengths = uneven()
    tested = np.concatenate([fold.test for fold in folds(name, {}, lengths)])
    known = np.flatnonzero(labels_of(lengths).known)
    begin = known[0] if name == "purged_kfold" else known[0] + int(0.4 * (known[-1] + 1 - known[0]))
    assert tested.tolist() == list(range(begin, known[-1] + 1))


@pytest.mark.parametrize("horizon", [1, 4])
def test_walking_forward_agrees_with_scikit_learn(horizon: int) -> None:
    """Labels of h days need a gap of h - 1 rows: the label of the last row trained on ends where the test begins."""
    n, count = 600, 5
    lengths: list[int | None] = [horizon] * n
    expected = TimeSeriesSplit(count, gap=horizon - 1).split(np.zeros(n))
    for fold, (train, test) in zip(folds("walk_forward", {"start": 1 / 6}, lengths), expected, strict=True):
        assert fold.train.tolist() == train.tolist()
        assert fold.test.tolist() == test.tolist()
    expected = TimeSeriesSplit(count, gap=horizon - 1 + 6, max_train_size=80).split(np.zeros(n))
    later = folds("walk_forward", {"start": 1 / 6, "embargo": horizon - 1 + 6, "window": 80}, lengths)
    for fold, (train, _) in list(zip(later, expected, strict=True)):
        assert fold.train.tolist() == train.tolist()


def test_blocks_of_labels_that_do_not_overlap_are_those_of_scikit_learn() -> None:
    lengths: list[int | None] = [1] * 103
    expected = KFold(5).split(np.zeros(103))
    for fold, (train, test) in zip(folds("purged_kfold", {"embargo": 0.0}, lengths), expected, strict=True):
        assert fold.train.tolist() == train.tolist()
        assert fold.test.tolist() == test.tolist()


def test_an_embargo_by_hand() -> None:
    """100 rows of 3 days, tested are 20 to 39: before them 18 and 19 go, after them 40 and 41, and 5 % of embargo."""
    fold = folds("purged_kfold", {"count": 5, "embargo": 0.05}, [3] * 100)[1]
    assert fold.test.tolist() == list(range(20, 40))
    assert fold.train.tolist() == [*range(18), *range(47, 100)]


@pytest.mark.parametrize(("groups", "chosen"), [(6, 2), (5, 3), (4, 1)])
def test_combinations_and_their_paths(groups: int, chosen: int) -> None:
    """``C(6, 2) = 15`` folds make 5 paths (López de Prado 2018, 12.3): each test of a group is used once."""
    split, lengths = CombinatorialPurged(groups, chosen), uneven()
    found, paths = split.folds(labels_of(lengths), moments_of(len(lengths))), split.paths()
    assert (len(found), len(paths)) == (comb(groups, chosen), comb(groups - 1, chosen - 1))
    parts = np.array_split(np.arange(found[0].test[0], found[-1].test[-1] + 1), groups)
    for fold, those in zip(found, combinations(range(groups), chosen), strict=True):
        assert fold.test.tolist() == np.concatenate([parts[g] for g in those]).tolist()
    used = [(fold, group) for path in paths for group, fold in enumerate(path)]
    tests = list(combinations(range(groups), chosen))
    assert sorted(used) == sorted((f, g) for f, those in enumerate(tests) for g in those)


def test_a_row_left_out_by_rule_stays_as_context() -> None:
    labels = labels_of([1] * 100, left_out=[10, 11])
    fold = WalkForward(2).folds(labels, moments_of(100))[0]
    assert {10, 11} <= set(fold.train.tolist())


def test_a_test_that_begins_too_early_says_so() -> None:
    with pytest.raises(DataInvalid, match="Fold 0 has no row to learn from"):
        folds("walk_forward", {"start": 0.0}, [5] * 100)


@pytest.mark.parametrize(("name", "fewest"), [("walk_forward", 60), ("purged_kfold", 50), ("combinatorial", 60)])
def test_too_few_rows_are_refused(name: str, fewest: int) -> None:
    folds(name, {}, [1] * fewest)
    with pytest.raises(DataInvalid, match=f"{fewest - 1} rows with a label"):
        folds(name, {}, [1] * (fewest - 1) + [None])


@pytest.mark.parametrize(
    ("split", "settings"),
    [
        (WalkForward, {"count": 0}), (WalkForward, {"start": 1.0}), (WalkForward, {"start": -0.1}),
        (WalkForward, {"start": float("nan")}), (WalkForward, {"embargo": -1}), (WalkForward, {"window": 9}),
        (PurgedKFold, {"count": 1}), (PurgedKFold, {"embargo": 0.5}), (CombinatorialPurged, {"groups": 2}),
        (CombinatorialPurged, {"tested_groups": 0}), (CombinatorialPurged, {"groups": 4, "tested_groups": 4}),
        (CombinatorialPurged, {"embargo": -0.01}),
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(split: type, settings: dict[str, float]) -> None:
    with pytest.raises(RequestInvalid):
        split(**settings)
