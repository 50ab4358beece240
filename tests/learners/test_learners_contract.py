"""What every learner of the registry keeps to, found by the registry alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from examples_made import cases, examples, learned, made
from forecastle.errors import DataCorrupt, DataInvalid
from forecastle.lake.model_files import read_model, write_model
from forecastle.models.learners import KINDS, LEARNERS, NAIVE, learner_from_files
from forecastle.models.learners._document import FILE
from forecastle.nouns.dataset import Task

every = pytest.mark.parametrize(("name", "task"), cases())
LEVELS = np.array([0.05, 0.1, 0.5, 0.75, 0.95])


@every
def test_input_is_left_as_it_was_and_the_same_seed_gives_the_same_bytes(name: str, task: Task) -> None:
    learner, train, fitted = learned(name, task)
    again, later = examples(learner, task), examples(learner, task, 60, 2)
    before = [a.tobytes() for a in (again.x, again.y, again.weights, again.runs)]
    other = learner.fit(task, again, None, 5)
    assert [a.tobytes() for a in (again.x, again.y, again.weights, again.runs)] == before
    assert other.files() == fitted.files()
    x = later.x.copy()
    assert other.predict(x).tobytes() == fitted.predict(later.x).tobytes()
    assert x.tobytes() == later.x.tobytes()
    assert train.x.tobytes() == before[0]


@every
def test_files_come_back_bit_by_bit_through_the_lake(name: str, task: Task, tmp_path: Path) -> None:
    learner, _, fitted = learned(name, task)
    write_model(tmp_path / "model", fitted.files(), {"learner": name})
    back = learner_from_files(read_model(tmp_path / "model").files)
    x = examples(learner, task, 80, 3).x
    x[7, 0] = np.nan
    assert type(back) is type(fitted)
    assert back.task == task
    assert back.predict(x).tobytes() == fitted.predict(x).tobytes()
    assert back.importance() == fitted.importance()
    assert back.files() == fitted.files()
    quantiles, told = back.quantiles(x, LEVELS), fitted.quantiles(x, LEVELS)
    assert (quantiles is None) == (told is None)
    if quantiles is not None and told is not None:
        assert quantiles.tobytes() == told.tobytes()


@every
def test_forecasts_are_of_their_rows(name: str, task: Task) -> None:
    """A probability lies within 0 to 1; an unknown row has none, nor where too few rows are before it."""
    learner, _, fitted = learned(name, task)
    x, back = examples(learner, task, 60, 4).x, learner.context
    whole = fitted.predict(x)
    assert whole.shape == (60,)
    assert np.isnan(whole).tolist() == [True] * back + [False] * (60 - back)
    if task == "direction":
        assert 0.0 <= np.nanmin(whole) <= np.nanmax(whole) <= 1.0
    for lead in (0, 1, 20):
        assert fitted.predict(x, lead).tobytes() == whole[lead:].tobytes()
    alone = np.array([fitted.predict(x[i - back : i + 1], back)[0] for i in range(back, 60)])
    assert alone == pytest.approx(whole[back:], rel=1e-6, abs=1e-9)
    assert fitted.predict(x[:back], back).shape == (0,)
    assert fitted.predict(x[:0]).shape == (0,)
    if not (fitted.importance() or learner.columns):
        return  # it looks at no column
    x[30] = np.nan
    assert np.flatnonzero(np.isnan(fitted.predict(x, back)) != np.isnan(whole[back:])).tolist() == list(
        range(30 - back, 31)
    )


@every
def test_importance_sums_to_one_and_finds_the_column_that_counts(name: str, task: Task) -> None:
    learner, train, fitted = learned(name, task)
    told = fitted.importance()
    assert bool(told) == (not learner.naive)
    if told:
        assert list(told) == list(train.columns)
        assert sum(told.values()) == pytest.approx(1.0)
        assert min(told.values()) >= 0.0
        assert max(told, key=lambda column: told[column]) == "x0"


@every
def test_a_planted_signal_is_learned(name: str, task: Task) -> None:
    """On rows it did not see; the naive ones but two say the same of every row."""
    learner, _, fitted = learned(name, task)
    later = examples(learner, task, 400, 6)
    told = fitted.predict(later.x)[learner.context :]
    if learner.naive and not learner.columns:
        assert np.ptp(told) == 0.0
        return
    assert stats.spearmanr(told, later.y[learner.context :]).statistic > 0.5


@every
def test_quantiles_never_cross_and_hold_their_share(name: str, task: Task) -> None:
    learner, train, fitted = learned(name, task)
    found = fitted.quantiles(train.x, LEVELS, learner.context)
    has = task == "number" and (learner.context > 0 or name == "lightgbm_quantile")
    assert (found is not None) == has
    if found is not None:
        assert found.shape == (len(train) - learner.context, LEVELS.size)
        assert np.all(np.diff(found, axis=1) >= 0.0)
        inside = (train.y[learner.context :] <= found[:, 2]).mean()
        assert 0.3 < inside < 0.7


@every
def test_what_cannot_be_learned_from_is_refused(name: str, task: Task) -> None:
    learner, train, _ = learned(name, task)
    wrong = [replace(train, x=np.where(np.arange(len(train))[:, None] == 9, np.nan, train.x)),
             replace(train, y=np.full(len(train), np.nan))]  # fmt: skip
    if task == "direction":
        wrong += [replace(train, y=np.ones(len(train))), replace(train, y=np.zeros(len(train)))]
    for rows in wrong:
        with pytest.raises(DataInvalid) as refused:
            learner.fit(task, rows, None, 1)
        assert all((refused.value.what, refused.value.why, refused.value.hint))


@every
def test_files_that_do_not_fit_together_are_refused(name: str, task: Task) -> None:
    """Each file left out, each field of the document left out or of another kind."""
    files = learned(name, task)[2].files()
    broken = [{n: c for n, c in files.items() if n != left_out} for left_out in files]
    told = json.loads(files[FILE])
    for field in told:
        for changed in ({k: v for k, v in told.items() if k != field}, {**told, field: {"odd": [None]}}):
            broken.append({**files, FILE: json.dumps(changed).encode()})
    broken += [
        {**files, FILE: content} for content in (b"[]", b"{", b'{"kind": "naive", "kind": "linear"}', b"\x80\x04.")
    ]
    for wrong in broken:
        with pytest.raises(DataCorrupt):
            learner_from_files(wrong)


@pytest.mark.parametrize("name", ["random_forest", "extra_trees", "xgboost", "lightgbm", "gru"])
def test_another_seed_is_another_learner(name: str) -> None:
    learner, train, fitted = learned(name, "direction")
    assert learner.fit("direction", train, None, 6).files() != fitted.files()


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "gru"])
def test_rows_held_out_stop_the_training(name: str) -> None:
    """Where what is held out is noise to the model, it stops early: another model than without."""
    learner, train, fitted = learned(name, "direction")
    turned = examples(learner, "direction", 100, 8)
    stopped = replace(learner, patience=1).fit("direction", train, replace(turned, y=1.0 - turned.y), 5)  # type: ignore[type-var]
    spread = [np.nanstd(one.predict(turned.x)) for one in (stopped, fitted)]
    assert spread[0] < spread[1]


def test_the_registries_tell_the_same() -> None:
    assert {name for names in NAIVE.values() for name in names} == {
        name for name in LEARNERS if made(name, "direction").naive or made(name, "number").naive
    }
    kinds = {json.loads(learned(*case)[2].files()[FILE])["kind"] for case in cases()}
    assert kinds == set(KINDS)
