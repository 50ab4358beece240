"""The account of experiments: MLflow on the SQLite file of the home folder, or on the server that is named.

Thin on purpose: runs inside runs with parameters, metrics, tags and files. Nothing is sent anywhere but to the address
of the settings, and nothing is pickled: what is attached are files that lie there already.
"""

from __future__ import annotations

import fcntl
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forecastle.clock import Clock
from forecastle.errors import ConfigurationError, ForecastleError, UpstreamError
from forecastle.experiments import extra_track
from forecastle.lake.atomic import make_folder, unwritable
from forecastle.settings import Settings, without_password
from forecastle.telemetry import logger

ClientOf = Callable[[str], Any]
_ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
"""A server that is down is known in seconds, not in ten minutes; whoever sets these keeps what was set."""
_TALKATIVE = ("mlflow", "mlflow.store.db.utils", "alembic", "alembic.runtime.migration")
_SQLITE = b"SQLite format 3\x00"
_LONGEST = 200
"""Characters of what MLflow says; of a server that is down it says the address four times."""
UNKNOWN = "unknown"


class Run:
    """One run of an experiment, open until its block ends."""

    def __init__(self, tracker: Tracker, run_id: str) -> None:
        self._tracker = tracker
        self.id = run_id
        self.failed = False

    def log(self, metrics: Mapping[str, float]) -> None:
        """Add finite numbers by name."""
        from mlflow.entities import Metric

        now = round(1000 * self._tracker.clock.now().timestamp())
        rows = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
        with self._tracker.told():
            self._tracker.client.log_batch(self.id, metrics=rows)

    def tag(self, tags: Mapping[str, object]) -> None:
        """Add words by name."""
        from mlflow.entities import RunTag

        with self._tracker.told():
            self._tracker.client.log_batch(self.id, tags=[RunTag(k, str(v)) for k, v in tags.items()])

    def fail(self, reason: str) -> None:
        """Close the run as failed when its block ends, with the reason."""
        self.failed = True
        self.tag({"reason": reason})

    def attach(self, path: Path, folder: str) -> None:
        """Copy a file to the artifacts of the run; left out, and logged, where the home was moved since."""
        if not self._tracker.artifacts_are_ours(self.id):
            logger.warning("%s was not attached to run %s: the home folder was moved since", path.name, self.id)
            return
        with self._tracker.told():
            self._tracker.client.log_artifact(self.id, str(path), folder)


class Tracker:
    """One experiment of MLflow, made on first use.

    Raises ``ConfigurationError`` where MLflow is not installed or its file cannot be used, ``UpstreamError`` where the
    server that was named does not answer.
    """

    def __init__(self, settings: Settings, clock: Clock, experiment: str) -> None:
        self.address = without_password(settings.tracking_address)
        self.clock = clock
        is_server = settings.tracking_address.startswith("http")  # which has a place of its own for files
        self._artifacts = None if is_server else settings.models / "mlflow-artifacts"
        client_of, self._errors = _import_quietly()
        with self.told():
            if settings.tracking_file:
                _ready(settings.tracking_file, client_of)
            self.client = client_of(settings.tracking_address)
            self._experiment = self._experiment_id(experiment)

    @contextmanager
    def run(
        self, name: str, params: Mapping[str, object], tags: Mapping[str, object], parent: Run | None = None
    ) -> Iterator[Run]:
        """Open a run, inside ``parent`` where one is given; it ends as finished, failed or killed."""
        marks = {"mlflow.runName": name, **{key: str(value) for key, value in tags.items()}}
        marks |= {"mlflow.parentRunId": parent.id} if parent else {}
        from mlflow.entities import Param

        with self.told():
            made = self.client.create_run(self._experiment, tags=marks)
            rows = [Param(key, str(value)) for key, value in params.items()]
            self.client.log_batch(made.info.run_id, params=rows)
        run = Run(self, made.info.run_id)
        status = "KILLED"
        try:
            yield run
            status = "FAILED" if run.failed else "FINISHED"
        except Exception as error:
            status = "FAILED"
            if not isinstance(error, UpstreamError | ConfigurationError):  # those may come from here
                run.tag({"reason": error.what if isinstance(error, ForecastleError) else type(error).__name__})
            raise
        finally:
            with self.told():
                self.client.set_terminated(run.id, status)

    def artifacts_are_ours(self, run_id: str) -> bool:
        """Return whether the files of a run lie in this home (a copied home still names the old one) or on a server."""
        if self._artifacts is None:
            return True
        with self.told():
            where: str = self.client.get_run(run_id).info.artifact_uri
        return where.startswith(f"{self._artifacts.as_uri()}/")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what MLflow raises into an error of the house, and keep its warnings off stderr."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except self._errors as error:
            why = str(error).strip().splitlines()[0][:_LONGEST].rstrip(".")
            kind = ConfigurationError if self._artifacts else UpstreamError
            raise kind(
                f"Experiments cannot be tracked at {self.address}.", f"MLflow says: {without_password(why)}.",
                "Mend that, or name another place with FORECASTLE__TRACKING__URI.",
            ) from error  # fmt: skip

    def _experiment_id(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            place = self._artifacts.as_uri() if self._artifacts else None
            made: str = self.client.create_experiment(name, artifact_location=place)
            return made
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)


def git_revision() -> str:
    """Return the commit of the checkout this code runs from, read without git; ``unknown`` for an installed copy.

    Changes that are not committed are not seen.
    """
    for folder in Path(__file__).parents:
        project = folder / "pyproject.toml"
        if project.is_file() and 'name = "forecastle"' in project.read_text(encoding="utf-8", errors="replace"):
            return _revision_in(folder / ".git")
    return UNKNOWN


def _revision_in(git: Path) -> str:
    """Return what HEAD points to; ``git`` is a file that names the folder in a work tree of its own."""
    try:
        if git.is_file():
            git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        common = git / "commondir"
        shared = git / common.read_text(encoding="utf-8").strip() if common.is_file() else git
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head
        name = head.removeprefix("ref:").strip()
        if (shared / name).is_file():
            return (shared / name).read_text(encoding="utf-8").strip()
        packed = (shared / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), UNKNOWN)
    except OSError:
        return UNKNOWN


def _ready(file: Path, client_of: ClientOf) -> None:
    """Make the SQLite file where there is none; refuse one that cannot be used, before MLflow tries it ten times.

    MLflow makes its tables in a hundred steps, and two at once, or one that was stopped, spoil the file. So one process
    at a time makes them, in a file of another name.
    """
    if "?" in str(file):
        raise ConfigurationError(
            f"Experiments cannot be tracked in {file}.", "The address of a SQLite file cannot hold a question mark.",
            "Choose another home, or name a place with FORECASTLE__TRACKING__URI.",
        )  # fmt: skip
    try:
        make_folder(file.parent)
        with _alone_in(file.parent):
            if not file.exists():
                _make(file, client_of)
        with file.open("rb") as opened:
            head = opened.read(len(_SQLITE))
    except OSError as error:
        raise unwritable(file, error) from error
    if head != _SQLITE:
        raise ConfigurationError(
            f"{file} is no SQLite file.", "MLflow keeps its runs there.", "Move it away; a new one is made."
        )


def _make(file: Path, client_of: ClientOf) -> None:
    new = file.with_name(f".{file.name}.new")
    for left in (new, new.with_name(f"{new.name}-journal")):
        left.unlink(missing_ok=True)
    client_of(f"sqlite:///{new}").search_experiments()
    new.replace(file)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process is in this block for the same folder; the lock dies with its holder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _import_quietly() -> tuple[ClientOf, tuple[type[Exception], ...]]:
    """Import MLflow without its telemetry, its log of migrations and its warnings.

    Return what makes a client of an address, and what a client raises.
    """
    os.environ.update(_ENVIRONMENT)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    with extra_track(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
        import mlflow.exceptions
        from sqlalchemy.exc import SQLAlchemyError
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    return (lambda address: mlflow.MlflowClient(tracking_uri=address)), (
        mlflow.exceptions.MlflowException,
        SQLAlchemyError,
    )
