"""The manifest: which files are current, and which were.

``manifest.jsonl`` has one line a commit. Each line carries the hash of the line before and ends with a seal, the hash
of its own beginning, so that a line that was changed, or lost from inside, is found; the file is replaced as a whole,
so that a reader sees one commit or the next. The past stays: reading the first k lines gives the lake as it was after
commit k.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecastle.errors import DataCorrupt
from forecastle.lake.atomic import write_bytes
from forecastle.lake.layout import DatasetKey
from forecastle.nouns.candles import Adjusted
from forecastle.sessions import Timeframe

NAME = "manifest.jsonl"
GENESIS = "0" * 64
_SEAL = len(',"seal":""}') + 64


class FileEntry(BaseModel):
    """One data file: where it lies, what its bytes hash to, what it holds, and the file whose place it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    instrument: str
    timeframe: Timeframe
    adjusted: Adjusted
    period: str
    path: str
    sha256: str
    size: int = Field(ge=0)
    rows: int = Field(ge=1)
    first_open: datetime
    last_close: datetime
    replaces: str | None = None

    @property
    def key(self) -> DatasetKey:
        """Return the series this file belongs to."""
        return DatasetKey(self.source, self.instrument, self.timeframe)


class Commit(BaseModel):
    """One step of the lake: the files it made current."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["forecastle/commit/1"] = Field(alias="schema", default="forecastle/commit/1")
    number: int
    at: datetime
    added: int
    revised: int
    files: tuple[FileEntry, ...]
    previous: str
    seal: str = ""

    def line(self) -> bytes:
        """Return the line of the manifest, sealed."""
        text = self.model_dump_json(by_alias=True, exclude={"seal"}).removesuffix("}").encode()
        return text + _seal(text)


class Manifest:
    """The commits of one lake, read from ``root``."""

    def __init__(self, root: Path) -> None:
        """Read the manifest below ``root``; none yet is an empty lake. Raises ``DataCorrupt`` where it was changed."""
        self.path = root / NAME
        self.lines = self._read()
        self.commits = self._parse()

    def _read(self) -> list[bytes]:
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataCorrupt(
                f"{self.path} cannot be read.", f"{error.strerror}.", "Restore it, or make it a readable file."
            ) from error

    def _parse(self) -> list[Commit]:
        commits, previous = [], GENESIS
        for number, line in enumerate(self.lines, 1):
            try:
                commit = Commit.model_validate_json(line)
            except ValidationError as error:
                raise self._corrupt(number, "it cannot be read") from error
            if commit.previous != previous or commit.number != number:
                raise self._corrupt(number, "it does not follow from the line before")
            if line[-_SEAL:] != _seal(line[:-_SEAL]):
                raise self._corrupt(number, "its seal is broken")
            previous = _hash(line)
            commits.append(commit)
        return commits

    def _corrupt(self, number: int, why: str) -> DataCorrupt:
        return DataCorrupt(
            f"Line {number} of {self.path} is not what was committed.",
            f"It is line {number} of {len(self.lines)}: {why}.",
            "Restore the file from a copy; the data files beside it are unharmed.",
        )

    @property
    def current(self) -> dict[tuple[DatasetKey, str], FileEntry]:
        """Return the file of every (series, period)."""
        table: dict[tuple[DatasetKey, str], FileEntry] = {}
        for commit in self.commits:
            table |= {(entry.key, entry.period): entry for entry in commit.files}
        return table

    def files_of(self, key: DatasetKey) -> list[FileEntry]:
        """Return the current files of one series, oldest first."""
        entries = [entry for (k, _), entry in self.current.items() if k == key]
        return sorted(entries, key=lambda e: e.first_open)

    def append(self, at: datetime, added: int, revised: int, files: tuple[FileEntry, ...]) -> None:
        """Commit: after this returns, ``files`` are current."""
        previous = _hash(self.lines[-1]) if self.lines else GENESIS
        commit = Commit(
            number=len(self.lines) + 1, at=at, added=added, revised=revised, files=files, previous=previous
        )  # fmt: skip
        line = commit.line()
        write_bytes(self.path, b"\n".join([*self.lines, line, b""]))
        self.lines.append(line)
        self.commits.append(commit)


def _seal(text: bytes) -> bytes:
    return f',"seal":"{_hash(text)}"}}'.encode()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
