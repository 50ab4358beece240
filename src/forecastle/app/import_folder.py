"""A folder of files into the lake as a map says: each file a commit of its own, a bad one does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from forecastle.app._folder_map import COLUMN, Entry, Files, FolderMap, read_map
from forecastle.app.import_file import import_file
from forecastle.app.import_observations import import_observations
from forecastle.errors import DataError, DataMissing, ForecastleError, RequestInvalid
from forecastle.lake import WriteResult
from forecastle.ports import Progress, silent
from forecastle.requests import ImportFolderRequest, ImportRequest, ObservationsRequest, build
from forecastle.sources.file import names_of_columns
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Outcome:
    """What became of one file, of one instrument or column in it.

    ``skipped`` files are left out as the map says, with the reason in ``why``; ``refused`` ones could not be stored,
    with the three lines in ``error``. Rows are counted as the lake counts them; ``quarantined`` are the rows of the
    file that cannot be candles, ``layout`` the way it is written (``observations`` for those).
    """

    path: str
    state: Literal["stored", "understood", "skipped", "refused"]
    series: str = ""
    layout: str = ""
    rows: int = 0
    added: int = 0
    revised: int = 0
    unchanged: int = 0
    quarantined: int = 0
    why: str = ""
    error: dict[str, str | int] | None = None


@dataclass(frozen=True)
class FolderImported:
    """Every file of a folder accounted for: what became of it, or that no entry of the map tells of it.

    ``unmatched`` are the patterns of the map that no file fits.
    """

    outcomes: tuple[Outcome, ...]
    unmapped: tuple[str, ...]
    unmatched: tuple[str, ...]

    def in_state(self, state: str) -> tuple[Outcome, ...]:
        """Return the outcomes of one state."""
        return tuple(o for o in self.outcomes if o.state == state)


@dataclass(frozen=True)
class _Job:
    """One entry about one file."""

    path: str
    entry: Entry
    fields: dict[str, str]


def import_folder(workspace: Workspace, request: ImportFolderRequest, progress: Progress = silent) -> FolderImported:
    """Bring in every file below a folder that the map tells of, in the order of their paths.

    A file that is refused is listed with its reason and the next one comes; what the lake holds already adds nothing.
    Raises ``DataMissing`` where there is no such folder, ``RequestInvalid`` for a map that cannot be, and what stops
    all files: a lake that is locked or cannot be written.
    """
    plan = read_map(request.map)
    paths = _files_below(request.path, request.map)
    jobs = [_Job(path, entry, fields) for path in paths for entry, fields in plan.of(path)]
    outcomes: list[Outcome] = []
    for number, job in enumerate(jobs):
        progress(number, len(jobs), job.path)
        outcomes += _done(workspace, request, job)
    progress(len(jobs), len(jobs), "import")
    told = {job.path for job in jobs}
    return FolderImported(tuple(outcomes), tuple(p for p in paths if p not in told), _unmatched(plan, paths))


def _files_below(folder: Path, besides: Path) -> list[str]:
    if not folder.is_dir():
        raise DataMissing(f"There is no folder {folder}.", "The path leads to none.", "Check the spelling.")
    files = [p for p in folder.rglob("*") if p.is_file() and p.resolve() != besides.resolve()]
    return sorted(p.relative_to(folder).as_posix() for p in files)


def _unmatched(plan: FolderMap, paths: list[str]) -> tuple[str, ...]:
    entries = (*plan.files, *plan.observations)
    return tuple(e.pattern for e in entries if all(e.match(path) is None for path in paths))


def _done(workspace: Workspace, request: ImportFolderRequest, job: _Job) -> Iterator[Outcome]:
    """Do one job; a wide table gives an outcome for each of its columns."""
    if job.entry.skip is not None:
        yield Outcome(job.path, "skipped", why=job.entry.skip)
        return
    try:
        for fields in _instruments(request, job):
            yield _tried(workspace, request, _Job(job.path, job.entry, fields))
    except (DataError, RequestInvalid) as error:
        yield _refused(job.path, error)


def _tried(workspace: Workspace, request: ImportFolderRequest, job: _Job) -> Outcome:
    try:
        store = _store_candles if isinstance(job.entry, Files) else _store_observations
        return store(workspace, request, job)
    except (DataError, RequestInvalid) as error:
        return _refused(job.path, error)


def _refused(path: str, error: ForecastleError) -> Outcome:
    return Outcome(path, "refused", why=error.what, error=error.document())


def _instruments(request: ImportFolderRequest, job: _Job) -> list[dict[str, str]]:
    """Return the fields of each instrument in a file: one, or one a column of a wide table."""
    if not (isinstance(job.entry, Files) and job.entry.instruments):
        return [job.fields]
    names = names_of_columns(request.path / job.path)
    return [job.fields | {COLUMN: name} for name in names]


def _store_candles(workspace: Workspace, folder: ImportFolderRequest, job: _Job) -> Outcome:
    told = job.entry.filled(job.fields)
    told["time_zone"] = told.pop("timezone", None)  # type: ignore[arg-type]
    if COLUMN in job.fields:
        told |= {"columns": f"close={job.fields[COLUMN]}", "prices": "close"}
    request = build(ImportRequest, path=folder.path / job.path, dry_run=folder.dry_run, **told)
    done = import_file(workspace, request)
    series = f"{request.instrument} {request.timeframe} from {request.source}"
    invalid = done.quarantined.height
    if done.refused:
        kinds = ", ".join(f.kind for f in done.quality.invalid)
        return Outcome(
            job.path, "refused", series, done.mapping.layout, done.mapping.rows, quarantined=invalid,
            why=f"{invalid} of {done.mapping.rows} rows cannot be candles: {kinds}.",
        )  # fmt: skip
    return _stored(job.path, series, done.mapping.layout, done.mapping.rows, done.written, invalid)


def _store_observations(workspace: Workspace, folder: ImportFolderRequest, job: _Job) -> Outcome:
    told = job.entry.filled(job.fields)
    told["time_zone"] = told.pop("timezone", None)  # type: ignore[arg-type]
    request = build(ObservationsRequest, path=folder.path / job.path, dry_run=folder.dry_run, **told)
    done = import_observations(workspace, request)
    series = f"{request.name} of {request.instrument} from {request.source}"
    return _stored(job.path, series, "observations", done.file.rows, done.written, 0)


def _stored(path: str, series: str, layout: str, rows: int, written: WriteResult | None, invalid: int) -> Outcome:
    if written is None:
        return Outcome(path, "understood", series, layout, rows, quarantined=invalid)
    return Outcome(
        path, "stored", series, layout, rows, written.added, written.revised, written.unchanged, invalid
    )  # fmt: skip
