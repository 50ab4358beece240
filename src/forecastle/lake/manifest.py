"""The manifest: which files are current, and which were.

``manifest.jsonl`` is a log: one line a commit, appended and synced before a write returns. Each line has the hash of
the line before and ends with a seal, the hash of its own beginning, so that a line that was changed, or lost from
inside, is found. After many commits the log is closed: its lines move to ``_history``, and a new log begins with a
checkpoint, the state they led to, so that opening the lake costs the same after ten commits and after a million. The
past stays: replaying the commits up to a moment gives the lake as it was then.

``manifest.mirror.jsonl`` is a second copy, written after the first. A log whose last line was cut off by a crash is as
it was before that commit; a log that was damaged is found by its seals, and the other copy serves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecastle.errors import DataCorrupt
from forecastle.lake.layout import DatasetKey, SeriesKey, Table
from forecastle.nouns.candles import Adjusted, Prices
from forecastle.sessions import Timeframe

NAME = "manifest.jsonl"
MIRROR = "manifest.mirror.jsonl"
HISTORY = "_history"
GENESIS = "0" * 64
_NUMBER = re.compile(rb'\{"schema":"forecastle/[a-z]+/\d+","number":(\d+),')
_SEAL = len(',"seal":""}') + 64

Span = tuple[datetime, datetime]
L = TypeVar("L", bound=BaseModel)


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Line):
    """One data file: where it lies, what its bytes hash to, what it holds.

    ``first`` and ``last`` bound its rows in time: first open and last close of candles, first and last ``about`` of
    observations. ``csv_sha256`` is set where the same rows lie beside it as CSV.
    """

    table: Table = "candles"
    source: str
    instrument: str
    name: str
    adjusted: Adjusted = "unknown"
    prices: Prices = "ohlc"
    unit: str = ""
    period: str
    path: str
    sha256: str
    csv_sha256: str | None = None
    size: int = Field(ge=0)
    rows: int = Field(ge=1)
    first: datetime
    last: datetime

    @property
    def series(self) -> SeriesKey:
        """Return the series this file belongs to."""
        return SeriesKey(self.table, self.source, self.instrument, self.name)

    @property
    def key(self) -> DatasetKey:
        """Return the key of the candles this file holds."""
        timeframe: Timeframe = self.name  # type: ignore[assignment]  # checked when the row was written
        return DatasetKey(self.source, self.instrument, timeframe)

    @property
    def csv_path(self) -> str:
        """Return the place of the CSV twin."""
        return self.path.removesuffix("parquet") + "csv"


class Cover(_Line):
    """A stretch of a series that its source was asked for and answered: what is not there, the source has not."""

    source: str
    instrument: str
    name: str
    since: datetime
    until: datetime

    @property
    def series(self) -> SeriesKey:
        """Return the series that was asked for."""
        return SeriesKey("candles", self.source, self.instrument, self.name)


class Commit(_Line):
    """One step of the lake: the files that became current, and those whose place they took."""

    schema_: Literal["forecastle/commit/2"] = Field(alias="schema", default="forecastle/commit/2")
    number: int
    at: datetime
    added: int
    revised: int
    files: tuple[FileEntry, ...]
    replaces: tuple[str, ...] = ()
    covers: tuple[Cover, ...] = ()
    previous: str
    seal: str = ""


class SeriesState(_Line):
    """What is current of one series."""

    table: Table
    source: str
    instrument: str
    name: str
    files: tuple[FileEntry, ...]
    covers: tuple[Span, ...]
    commits: int


class Checkpoint(_Line):
    """The state that the commits up to ``number`` led to; ``previous`` is the hash of the last of them."""

    schema_: Literal["forecastle/checkpoint/1"] = Field(alias="schema", default="forecastle/checkpoint/1")
    number: int
    at: datetime
    series: tuple[SeriesState, ...]
    previous: str
    seal: str = ""


@dataclass(frozen=True)
class Series:
    """The current files of one series by their path, what was asked for, and how many commits touched it.

    It is never changed, only replaced: a thread that reads one is not disturbed by another that takes in a commit.
    """

    files: dict[str, FileEntry] = field(default_factory=dict)
    covers: list[Span] = field(default_factory=list)
    commits: int = 0


@dataclass
class State:
    """What is current after commit ``number``, made at ``at``; ``hash`` is that of its line."""

    number: int = 0
    at: datetime | None = None
    hash: str = GENESIS
    series: dict[SeriesKey, Series] = field(default_factory=dict)

    def apply(self, commit: Commit, line: bytes) -> None:
        """Take one more step."""
        gone = set(commit.replaces)
        for key in {entry.series for entry in commit.files}:
            had = self.series.get(key, Series())
            files = {path: entry for path, entry in had.files.items() if path not in gone}
            files |= {entry.path: entry for entry in commit.files if entry.series == key}
            self.series[key] = Series(files, had.covers, had.commits + 1)
        for cover in commit.covers:
            had = self.series.get(cover.series, Series())
            self.series[cover.series] = replace(had, covers=merged([*had.covers, (cover.since, cover.until)]))
        self.number, self.at, self.hash = commit.number, commit.at, hash_of(line)

    def files_of(self, key: SeriesKey) -> list[FileEntry]:
        """Return the current files of one series, oldest first."""
        found = self.series.get(key)
        return sorted(found.files.values(), key=lambda e: (e.first, e.path)) if found else []

    def current(self) -> list[FileEntry]:
        """Return every current file, by series and time."""
        return [entry for key in sorted(self.series) for entry in self.files_of(key)]

    def checkpoint(self) -> bytes:
        """Return the line that stands for all commits so far."""
        assert self.at is not None  # noqa: S101 - a checkpoint follows a commit
        states = [
            SeriesState(
                table=key.table, source=key.source, instrument=key.instrument, name=key.name,
                files=tuple(self.files_of(key)), covers=tuple(s.covers), commits=s.commits,
            )
            for key, s in sorted(self.series.items())
        ]  # fmt: skip
        return sealed(Checkpoint(number=self.number, at=self.at, series=tuple(states), previous=self.hash))

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> State:
        """Return the state a checkpoint stands for."""
        state = cls(checkpoint.number, checkpoint.at, checkpoint.previous)
        for s in checkpoint.series:
            key = SeriesKey(s.table, s.source, s.instrument, s.name)
            state.series[key] = Series({e.path: e for e in s.files}, list(s.covers), s.commits)
        return state


@dataclass
class Log:
    """One copy of the open log, read: the state it leads to, the commits since its checkpoint, its length in bytes."""

    state: State
    commits: list[Commit]
    lines: list[bytes]
    length: int

    def copy(self) -> Log:
        """Return a log that can be read on while others still look at this one."""
        state = replace(self.state, series=dict(self.state.series))
        return Log(state, list(self.commits), list(self.lines), self.length)

    def read_on(self, content: bytes, path: Path) -> None:
        """Take in the bytes that were appended since. Raises ``DataCorrupt`` where they are no commits of ours."""
        for line in whole_lines(content):
            self._take(line, path)
            self.length += len(line) + 1
            self.lines.append(line)

    def _take(self, line: bytes, path: Path) -> None:
        number = len(self.lines) + 1
        if line[-_SEAL:] != _seal(line[:-_SEAL]):
            raise _corrupt(path, number, "its seal is broken")
        if not self.lines and line.startswith(b'{"schema":"forecastle/checkpoint/'):
            self.state = State.of(_parsed(Checkpoint, line, path, number))
            return
        commit = _parsed(Commit, line, path, number)
        if commit.previous != self.state.hash or commit.number != self.state.number + 1:
            raise _corrupt(path, number, "it does not follow from the line before")
        self.state.apply(commit, line)
        self.commits.append(commit)


def read_log(path: Path) -> Log:
    """Read one copy of the open log; none yet is an empty lake. Raises ``DataCorrupt`` where it was changed."""
    log = Log(State(), [], [], 0)
    log.read_on(read(path), path)
    return log


def read(path: Path) -> bytes:
    """Return the bytes of a log, none where there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise DataCorrupt(
            f"{path} cannot be read.", f"{error.strerror}.", "Restore it, or make it a readable file."
        ) from error


def history(root: Path) -> Iterator[tuple[Commit, bytes]]:
    """Yield every commit of the closed logs with its line, oldest first. Raises ``DataCorrupt`` where one changed."""
    previous, number = GENESIS, 0
    for path in sorted((root / HISTORY).glob("*.jsonl")):
        for count, line in enumerate(whole_lines(read(path)), 1):
            if line[-_SEAL:] != _seal(line[:-_SEAL]):
                raise _corrupt(path, count, "its seal is broken")
            commit = _parsed(Commit, line, path, count)
            if commit.number <= number:
                continue  # a crash between closing and opening a log leaves the same lines twice
            if commit.previous != previous or commit.number != number + 1:
                raise _corrupt(path, count, "it does not follow from the line before")
            previous, number = hash_of(line), commit.number
            yield commit, line


def history_file(root: Path, first: int, last: int) -> Path:
    """Return the place of the closed log with the commits ``first`` to ``last``."""
    return root / HISTORY / f"{first:012d}-{last:012d}.jsonl"


def merged(spans: Sequence[Span]) -> list[Span]:
    """Return the union of stretches of time, sorted, those that touch joined."""
    joined: list[Span] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    return joined


def sealed(line: BaseModel) -> bytes:
    """Return a line of the manifest with its seal."""
    text = line.model_dump_json(by_alias=True, exclude={"seal"}).removesuffix("}").encode()
    return text + _seal(text)


def last_number(content: bytes) -> int:
    """Return the number of the last line of a copy of the log that is whole, 0 where there is none."""
    for line in reversed(whole_lines(content)):
        if line[-_SEAL:] == _seal(line[:-_SEAL]) and (found := _NUMBER.match(line)):
            return int(found[1])
    return 0


def hash_of(line: bytes) -> str:
    """Return what the next line carries of this one."""
    return hashlib.sha256(line).hexdigest()


def whole_lines(content: bytes) -> list[bytes]:
    """Return the lines of a log without what a crash cut off, or a power cut left as zeros, at its end."""
    *lines, _ = content.split(b"\n")
    while lines and b"\0" in lines[-1]:
        lines.pop()
    return lines


def _parsed(kind: type[L], line: bytes, path: Path, number: int) -> L:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise _corrupt(path, number, "it cannot be read") from error


def _corrupt(path: Path, number: int, why: str) -> DataCorrupt:
    return DataCorrupt(
        f"Line {number} of {path} is not what was committed.", f"Of that line: {why}.",
        "Restore the file from a copy; the data files beside it are unharmed.",
    )  # fmt: skip


def _seal(text: bytes) -> bytes:
    return f',"seal":"{hash_of(text)}"}}'.encode()
