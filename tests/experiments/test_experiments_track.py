"""The account in MLflow, read back through its own client; and the places it cannot be kept in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import forecastle
from forecastle.clock import pause
from forecastle.errors import ConfigurationError, StorageUnwritable
from forecastle.experiments import track
from forecastle.experiments.track import UNKNOWN, Tracker, git_revision
from forecastle.workspace import Workspace

if TYPE_CHECKING:
    from experiments.conftest import Tracked

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_parent_holds_the_best_of_its_runs(tracked: Tracked) -> None:
    parent = tracked.client.get_run(tracked.result.run_id)
    children = tracked.runs(parent.info.run_id)
    assert len(children) == 18
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    assert tracked.client.get_experiment(parent.info.experiment_id).name == "garch_search"
    best = min(children, key=lambda run: run.data.metrics["aic"])
    assert parent.data.metrics["best_aic"] == best.data.metrics["aic"] == tracked.result.best_aic
    assert parent.data.metrics["best_oos_qlike"] == best.data.metrics["oos_qlike"]
    assert parent.data.metrics["tried"] == 18
    assert parent.data.tags["best_model"] == best.info.run_name == tracked.result.best.model
    assert json.loads(parent.data.tags["best_params"]) == tracked.result.best_params
    assert parent.data.params == {
        "trials": "None", "window": "350", "holdout": "250", "refit_every": "125", "seed": "0"
    }  # fmt: skip


def test_every_run_says_what_was_tried_on_what_by_what(tracked: Tracked) -> None:
    trials = {trial.model: trial for trial in tracked.result.trials}
    for run in tracked.runs(tracked.result.run_id):
        trial = trials.pop(run.info.run_name)
        assert run.data.params == {name: str(value) for name, value in trial.params.items()}
        assert run.data.metrics["aic"] == trial.aic
        assert run.data.metrics["oos_qlike"] == trial.qlike
        tags = run.data.tags
        assert tags["data_hash"] == tracked.candles.data_hash
        assert (tags["instrument"], tags["source"], tags["simulated"]) == ("SPX.INDEX", "bundled", "False")
        assert (tags["seed"], tags["forecastle_version"]) == ("0", forecastle.__version__)
        assert tags["git_revision"] == git_revision()
    assert trials == {}


def test_the_model_saved_is_attached_byte_by_byte(tracked: Tracked, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    copy = tracked.client.download_artifacts(tracked.result.run_id, "model/model.json", str(tmp_path / "there"))
    assert Path(copy).read_bytes() == tracked.result.saved.read_bytes()
    home = tracked.workspace.settings.home
    assert sorted(path.name for path in home.iterdir()) == ["mlflow.db", "models"]
    assert sorted(path.name for path in home.parent.iterdir()) == [home.name], "nothing beside the home (mlruns)"
    kinds = {path.suffix for path in home.rglob("*") if path.is_file()}
    assert kinds == {".db", ".json"}, "nothing that could be unpickled"


def test_mlflow_neither_reports_to_its_makers_nor_talks(tracked: Tracked) -> None:
    import logging

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert logging.getLogger("mlflow.store.db.utils").level == logging.WARNING
    assert tracked.result.tracking == f"sqlite:///{tracked.workspace.settings.home / 'mlflow.db'}"


def test_a_run_ends_as_what_happened_inside(tracked: Tracked) -> None:
    tracker = Tracker(tracked.workspace.settings, tracked.workspace.clock, "ends")
    with tracker.run("told", {}, {}) as told:
        told.fail("no maximum")
    with pytest.raises(ZeroDivisionError), tracker.run("broke", {}, {}) as broke:
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), tracker.run("stopped", {}, {}) as stopped:
        raise KeyboardInterrupt
    ends = [tracked.client.get_run(run.id) for run in (told, broke, stopped)]
    assert [run.info.status for run in ends] == ["FAILED", "FAILED", "KILLED"]
    assert [run.data.tags.get("reason") for run in ends] == ["no maximum", "ZeroDivisionError", None]


def test_a_deleted_experiment_comes_back(tracked: Tracked) -> None:
    first = Tracker(tracked.workspace.settings, tracked.workspace.clock, "deleted")
    (number,) = [e.experiment_id for e in first.client.search_experiments() if e.name == "deleted"]
    first.client.delete_experiment(number)
    with Tracker(tracked.workspace.settings, tracked.workspace.clock, "deleted").run("again", {}, {}) as run:
        pass
    assert first.client.get_run(run.id).info.experiment_id == number


def test_a_copied_home_does_not_write_into_the_old_one(tracked: Tracked, tmp_path: Path) -> None:
    copy = Workspace.open(Path(shutil.copytree(tracked.workspace.settings.home, tmp_path / "copy")))
    old = {path for path in tracked.workspace.settings.home.rglob("*") if path.name != "mlflow.db"}
    with Tracker(copy.settings, copy.clock, "garch_search").run("there", {}, {}) as run:
        run.attach(tracked.result.saved, "model")
        run.log({"x": 1.0})
    assert {path for path in tracked.workspace.settings.home.rglob("*") if path.name != "mlflow.db"} == old
    with pytest.raises(Exception, match="not found"):
        tracked.client.get_run(run.id)


@pytest.mark.parametrize(
    ("content", "words"), [(b"not a database, but long enough", "no SQLite file"), (None, "cannot be written")]
)
def test_a_file_that_cannot_be_used_is_named(home: Path, content: bytes | None, words: str) -> None:
    workspace = Workspace.open(home)
    place = home / "mlflow.db"
    if content is None:
        place.mkdir(parents=True)
    else:
        home.mkdir()
        place.write_bytes(content)
    with pytest.raises(StorageUnwritable if content is None else ConfigurationError, match=words):
        Tracker(workspace.settings, workspace.clock, "x")
    assert content is None or place.read_bytes() == content


class _Maker:
    """Stands for MLflow where its tables are made: slow, and spoilt by what it finds there."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, address: str) -> _Maker:
        self.place = Path(address.removeprefix("sqlite:///"))
        return self

    def search_experiments(self) -> None:
        assert list(self.place.parent.iterdir()) == [], "a clean place, and nobody else at work"
        self.place.write_bytes(b"SQLite format 3\x00")
        pause(0.1)
        self.made.append(self.place.name)


def test_the_tables_are_made_once_by_one_at_a_time_and_whole(tmp_path: Path) -> None:
    maker = _Maker()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: track._ready(tmp_path / "home" / "mlflow.db", maker), range(4)))
    assert maker.made == [".mlflow.db.new"]
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["mlflow.db"]


def test_what_a_killed_search_left_is_swept(home: Path) -> None:
    home.mkdir()
    for name in (".mlflow.db.new", ".mlflow.db.new-journal"):
        (home / name).write_bytes(b"half")
    track._ready(home / "mlflow.db", _Maker())
    assert [path.name for path in home.iterdir()] == ["mlflow.db"]


def test_a_home_with_a_question_mark_is_refused(tmp_path: Path) -> None:
    workspace = Workspace.open(tmp_path / "what?")
    with pytest.raises(ConfigurationError, match="what"):
        Tracker(workspace.settings, workspace.clock, "x")
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_mlflow_does_not_know_is_refused_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORECASTLE__TRACKING__URI", "gopher://me:secret@there/1")
    workspace = Workspace.open(home)
    with pytest.raises(ConfigurationError) as refused:
        Tracker(workspace.settings, workspace.clock, "x")
    assert "gopher://***@there/1" in refused.value.what
    assert "secret" not in str(refused.value)


def test_another_file_may_be_named(tracked: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = shutil.copy(tracked.workspace.settings.home / "mlflow.db", tmp_path / "elsewhere.db")
    monkeypatch.setenv("FORECASTLE__TRACKING__URI", f"sqlite:///{elsewhere}")
    workspace = Workspace.open(tmp_path / "home")
    with Tracker(workspace.settings, workspace.clock, "named").run("there", {}, {}) as run:
        run.attach(tracked.result.saved, "model")
    assert not (tmp_path / "home" / "mlflow.db").exists()
    assert len(list((tmp_path / "home" / "models" / "mlflow-artifacts").rglob("model.json"))) == 1


def test_without_mlflow_the_extra_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    workspace = Workspace.open(home)
    with pytest.raises(ConfigurationError) as refused:
        Tracker(workspace.settings, workspace.clock, "x")
    assert refused.value.hint == "Install it: pip install 'forecastle[track]'"
    assert not (home / "mlflow.db").exists()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout")
def test_the_revision_is_that_of_git() -> None:
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert git_revision() == said.stdout.strip()


def test_the_revision_is_read_in_every_shape_a_checkout_has(tmp_path: Path) -> None:
    git = tmp_path / "repo" / ".git"
    tree = git / "worktrees" / "tree"
    (git / "refs" / "heads").mkdir(parents=True)
    tree.mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert track._revision_in(git) == UNKNOWN, "no commit yet"
    (git / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{'f' * 40} refs/heads/other\n{COMMIT} refs/heads/main\n"
    )
    assert track._revision_in(git) == COMMIT
    (git / "refs" / "heads" / "main").write_text("a" * 40 + "\n")
    assert track._revision_in(git) == "a" * 40, "a loose reference is newer"
    (git / "HEAD").write_text(f"{COMMIT}\n")
    assert track._revision_in(git) == COMMIT, "detached"
    (tree / "HEAD").write_text("ref: refs/heads/main\n")
    (tree / "commondir").write_text("../..\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ".git").write_text(f"gitdir: {tree}\n")
    assert track._revision_in(tmp_path / "tree" / ".git") == "a" * 40, "a work tree of its own"
    assert track._revision_in(tmp_path / "nothing" / ".git") == UNKNOWN
