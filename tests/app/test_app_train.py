"""Training end to end on the bundled index: same bytes, killed and gone on with, counted, kept, predicted, tuned."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from forecastle.app import predict, tune
from forecastle.app.fetch import fetch
from forecastle.app.train import train, train_config
from forecastle.clock import FixedClock
from forecastle.errors import (
    DataCorrupt,
    DataInvalid,
    DataMissing,
    DefinitionChanged,
    NameUnknown,
    RequestInvalid,
)
from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.folder import find
from forecastle.experiments.header import read_header
from forecastle.experiments.holdout import ENDLESS, HoldoutLog
from forecastle.experiments.results import read_results
from forecastle.experiments.spec import config_of, load_config
from forecastle.experiments.track import Tracker
from forecastle.experiments.trials import TrialLog
from forecastle.requests import FetchRequest, PredictRequest, TrainRequest, build
from forecastle.workspace import Workspace
from learning import config

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the bundled index and the tables of MLflow, which take seconds to make."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    workspace = Workspace.open(home, FixedClock(NOW))
    fetch(workspace, build(FetchRequest, instruments=("SPX.INDEX",), sources=("bundled",), timeframes=("1d",)))
    Tracker(workspace.settings, workspace.clock, "training")
    return home


@pytest.fixture
def index(workspace: Workspace, prepared: Path) -> Workspace:
    """A home that holds the bundled index."""
    shutil.copytree(prepared, workspace.settings.home)
    return workspace


def _copy(prepared: Path, place: Path) -> Workspace:
    shutil.copytree(prepared, place)
    return Workspace.open(place, FixedClock(NOW))


def _bytes(workspace: Workspace, id_: str) -> bytes:
    frame = read_results(find(workspace.settings.home, id_)).predictions
    return frame.select(pl.col(pl.Float64)).to_numpy().tobytes()


def test_a_run_leaves_everything_behind(index: Workspace) -> None:
    result = train_config(index, config(learners=["logistic", "lightgbm"]))
    assert result.folder is not None
    assert [s.learner for s in result.results[0].table.scores] == ["base_rate", "last_sign", "logistic", "lightgbm"]
    header = read_header(result.folder.path / "README.md")
    assert header.id == result.folder.id == "20261120_small"
    assert "edge over the base rate" in header.metrics
    kept = read_results(result.folder)
    assert kept.results.config_fingerprint == result.config.fingerprint
    assert kept.results.trials == result.trials == 2
    assert set(kept.results.learners) <= set(kept.predictions.columns)
    assert (kept.predictions["target_time"] > kept.predictions["known_at"]).all()
    again = config_of(yaml.safe_load((result.folder.path / "config.yaml").read_text()))
    assert again.fingerprint == result.config.fingerprint
    assert {"MODEL_CARD.md", "calibration.svg", "importance.svg", "robustness.json"} <= {
        p.name for p in result.folder.path.iterdir()
    }
    assert result.run_id
    assert result.models[0].is_dir()


def test_the_same_file_and_data_give_the_same_bytes_and_one_trial(index: Workspace) -> None:
    first = train_config(index, config())
    assert first.folder is not None
    for folder in (index.settings.models / "checkpoints").iterdir():
        for file in folder.iterdir():
            file.unlink()
    second = train_config(index, config())
    assert second.folder is not None
    assert second.resumed == 0
    assert _bytes(index, first.folder.id) == _bytes(index, second.folder.id)
    assert second.trials == 1
    log = TrialLog(index.settings.home, index.clock)
    assert [t.repeats for t in log.trials()] == [None, 1]
    assert train_config(index, config(seed=4)).trials == 1  # another seed is no other configuration
    assert train_config(index, config(held_out=0.3)).trials == 2


def test_what_was_done_before_a_kill_is_not_done_again(index: Workspace, prepared: Path, tmp_path: Path) -> None:
    """A process is killed in the middle of its folds; the next one ends at the numbers of one that was left alone."""
    told = {**config(learners=["logistic", {"name": "random_forest", "trees": 150}]).plain, "name": "killed"}
    file = tmp_path / "killed.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in told.items() if v is not None}))
    environment = {**os.environ, "FORECASTLE_HOME": str(index.settings.home), "FORECASTLE__JOBS__WORKERS": "1"}
    command = [sys.executable, "-m", "forecastle", "train", str(file), "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    done = index.settings.models / "checkpoints"
    for _ in range(1200):
        if len(list(done.glob("*/fold-*.json"))) >= 4 or process.poll() is not None:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (index.settings.home / "experiments").is_dir() or not list(
        (index.settings.home / "experiments").glob("*/results.json")
    )
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
    document = json.loads(finished.stdout)
    assert document["resumed_folds"] >= 4
    other = _copy(prepared, tmp_path / "other")
    alone = train(other, TrainRequest(config=file))
    assert alone.folder is not None
    assert alone.resumed == 0
    assert _bytes(other, alone.folder.id) == _bytes(index, document["experiment"])


def test_a_damaged_checkpoint_is_done_again(index: Workspace) -> None:
    first = train_config(index, config())
    for path in (index.settings.models / "checkpoints").glob("*/fold-1.json"):
        path.write_text(path.read_text()[:-40])
    second = train_config(index, config())
    assert first.folder is not None
    assert second.folder is not None
    assert second.resumed == 6  # three learners, three folds, one of each damaged
    assert _bytes(index, first.folder.id) == _bytes(index, second.folder.id)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"learners": ["logistik"]}, NameUnknown, "Did you mean 'logistic'"),
        ({"learners": [{"name": "logistic", "strenght": 1}]}, RequestInvalid, "has no setting 'strenght'"),
        ({"target": "directoin"}, NameUnknown, "Did you mean 'direction'"),
        ({"learners": ["ridge"]}, RequestInvalid, "can forecast up"),
        ({"split": {"name": "walk_forward", "count": 0}}, RequestInvalid, "folds is 0"),
        ({"horizon": 3}, RequestInvalid, "There is no such field"),
        ({"data": {"instruments": "SPX.INDEX", "start": "2018-09-01"}}, DataInvalid, "Training takes 200 or more"),
        ({"data": {"instruments": "AAPL"}}, DataMissing, "AAPL"),
        ({"features": {"columns": ["rsi_14"], "without": ["nothing"]}}, RequestInvalid, "nothing"),
        ({"target": {"name": "direction", "dead_band": 0.5}}, DataInvalid, "Training takes 200"),
    ],
)
def test_what_cannot_work_is_said_early(
    index: Workspace, changed: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as told:
        train_config(index, config(**changed))
    assert words in str(told.value)
    assert not (index.settings.models / "checkpoints").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\nname: b\n", "twice"),
        ("name: [", "no YAML"),
        ("- a\n", "holds no keys"),
        ("name: !!python/object/apply:os.system [echo]\n", "no YAML"),
        ("name: small\ndata: {instruments: SPX.INDEX}\nbroken: 1\n", "no such field"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(RequestInvalid) as told:
        load_config(path)
    assert words in str(told.value)


TRAINING = [path for path in sorted((ROOT / "configs").glob("*.yaml")) if not path.stem.startswith("backtest")]


@pytest.mark.parametrize("path", TRAINING, ids=lambda p: p.stem)
def test_every_ready_file_is_one(path: Path) -> None:
    assert load_config(path).name == path.stem


def test_one_series_that_fails_leaves_the_others(index: Workspace) -> None:
    result = train_config(index, config(data={"instruments": ["SPX.INDEX", "AAPL"], "start": "2012-01-01"}))
    assert [r.series.instrument.id for r in result.results] == ["SPX.INDEX"]
    assert [name for name, _ in result.left_out] == ["AAPL"]


def test_what_is_held_out_is_not_seen_unless_it_is_opened(index: Workspace) -> None:
    log = HoldoutLog(index.settings.home, index.clock)
    start = index.clock.now().replace(year=2017, month=1, day=1, hour=0)
    lock = log.lock(DataSpan(("SPX.INDEX",), "1d", "", start, ENDLESS))
    closed = train_config(index, config())
    assert closed.looked.cut == (lock,)
    assert closed.results[0].series.history.candles.end <= start
    assert not log.openings(lock)
    opened = train_config(index, config(), opening="the last look")
    assert opened.looked.opened == (lock,)
    assert opened.results[0].series.history.candles.end > start
    assert [o.why for o in log.openings(lock)] == ["the last look"]


def test_numbers_have_intervals_and_controls_show_nothing(index: Workspace) -> None:
    result = train_config(
        index, config(target="return", learners=["ridge"], horizons=[1, 5], robustness={"controls": True})
    )
    assert [r.series.horizon for r in result.results] == [1, 5]
    for one in result.results:
        ridge = next(s for s in one.table.scores if s.learner == "ridge")
        coverage = ridge.figures["coverage"].value
        assert coverage is not None
        assert 0.85 < coverage < 0.96
    for checked in result.robustness:
        assert {c.name for c in checked.controls} == {"shuffled target", "random features"}
        assert all(abs(c.skill.value or 0.0) < 0.2 for c in checked.controls)
        assert {p.name for p in checked.regimes} >= set()


# --- predict


def test_a_prediction_is_that_of_the_last_row(index: Workspace) -> None:
    result = train_config(index, config())
    found = predict.predict(index, build(PredictRequest, instrument="SPX.INDEX"))
    assert found.forecast.prob_up == pytest.approx(found.value, abs=1e-12)
    assert found.forecast.as_of == result.results[0].series.history.candles.end
    assert found.forecast.trained_until is not None
    assert found.forecast.trained_until <= found.forecast.as_of
    assert found.served_from == "computed"
    assert found.verdict == next(s.verdict for s in result.results[0].table.scores if s.learner == "logistic")
    assert found.abstains == (abs(found.value - found.baseline) < 0.02)
    assert (found.call == "none") == found.abstains


def test_a_prediction_from_the_table_is_that_of_the_candles(index: Workspace) -> None:
    from forecastle.app.build_features import build_table
    from forecastle.requests import FeaturesRequest

    train_config(index, config())
    computed = predict.predict(index, build(PredictRequest, instrument="SPX.INDEX"))
    build_table(index, build(FeaturesRequest, instrument="SPX.INDEX"))
    stored = predict.predict(index, build(PredictRequest, instrument="SPX.INDEX"))
    assert stored.served_from == "offline"
    assert stored.value == computed.value


def test_a_row_is_prepared_as_a_frame_is(index: Workspace) -> None:
    chosen = {"name": "mutual_information", "keep": 2}
    train_config(index, config(select=chosen, prepare=["robust_scale", {"name": "impute", "indicator": True}]))
    predictor = predict.Predictor(index)
    request = build(PredictRequest, instrument="SPX.INDEX")
    loaded = predictor._loaded(request)
    frame = predictor._rows(request, loaded.recipe).frame
    one, other = loaded.recipe.prepared_values(frame), loaded.recipe.prepared(frame).values()
    assert one.tobytes() == np.ascontiguousarray(other).tobytes()


def test_a_sequence_model_predicts_with_the_rows_before(index: Workspace) -> None:
    small = {"name": "gru", "epochs": 1, "hidden": 4, "context_length": 5}
    train_config(index, config(learners=[small]))
    found = predict.predict(index, build(PredictRequest, instrument="SPX.INDEX"))
    assert 0.0 < found.value < 1.0


def test_what_must_not_be_served_is_refused(index: Workspace) -> None:
    request = build(PredictRequest, instrument="SPX.INDEX")
    with pytest.raises(DataMissing, match="There is no model"):
        predict.predict(index, request)
    (path,) = train_config(index, config()).models
    with pytest.raises(NameUnknown):
        predict.predict(index, build(PredictRequest, instrument="SPX.INDEX", model="20200101t000000z"))
    other = predict.Predictor(index)
    object.__setattr__(other._loaded(request).recipe, "fingerprint", "0" * 64)
    with pytest.raises(DefinitionChanged, match="are not those of the model"):
        other.predict(request)
    learner = path / "learner.json"
    learner.write_text(learner.read_text().replace("0.", "1.", 1))
    with pytest.raises(DataCorrupt):
        predict.predict(index, request)


def test_a_row_unlike_the_training_rows_is_marked(index: Workspace) -> None:
    train_config(index, config())
    predictor = predict.Predictor(index)
    request = build(PredictRequest, instrument="SPX.INDEX")
    loaded = predictor._loaded(request)
    rows = predictor._rows(request, loaded.recipe)
    columns = [pl.lit(1e6).alias(c) for c in rows.frame.columns]
    wild = replace(rows, frame=replace(rows.frame, frame=rows.frame.frame.with_columns(columns)))
    assert loaded.recipe.novelty is not None
    object.__setattr__(loaded.recipe.novelty, "high", loaded.recipe.novelty.high - 1e9)
    found = predict._made(loaded, wild)
    assert found.is_new
    assert found.abstains
    assert "unlike the training rows" in found.reasons[0]


# --- tune


def _tuned(index: Workspace, path: Path) -> tune.TuneResult:
    return tune.run(index, TrainRequest(config=path))


def test_tuning_goes_on_and_ends_at_the_same_settings(index: Workspace, prepared: Path, tmp_path: Path) -> None:
    told = config().plain
    told["tune"] = {"learner": "logistic", "space": {"strength": {"low": 0.01, "high": 1.0, "log": True}}, "trials": 7,
                    "inner_folds": 2}  # fmt: skip
    whole = tmp_path / "whole.yaml"
    whole.write_text(yaml.safe_dump({k: v for k, v in told.items() if v is not None}))
    straight = _tuned(index, whole)
    assert all(f.resumed == 0 and f.done + f.pruned == 7 for f in straight.folds)
    other = _copy(prepared, tmp_path / "other")
    calls = 0
    judged = tune._Tuning._judged

    def stops(self: object, inner: object, settings: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return judged(self, inner, settings)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune._Tuning, "_judged", stops)
        with pytest.raises(KeyboardInterrupt):
            _tuned(other, whole)
    resumed = _tuned(other, whole)
    assert resumed.folds[0].resumed == 4
    assert [dict(f.settings) for f in resumed.folds] == [dict(f.settings) for f in straight.folds]
    assert [f.loss for f in resumed.folds] == [f.loss for f in straight.folds]
    for fold in straight.folds:
        kept, again = tune.score_of_checkpoint(index, straight.config, fold.fold, fold.checkpoint)
        assert kept == again == fold.loss
    assert straight.trials > 7


def test_tuning_without_a_space_is_refused(index: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in config().plain.items() if v is not None}))
    with pytest.raises(RequestInvalid, match="no part 'tune'"):
        _tuned(index, path)
