"""A log that only grows: one JSON document a line, which carries the SHA-256 of the line before it and its own.

A changed line breaks its own hash, one that was removed, added or moved breaks the chain, and lines cut off the end
are missed by the head: a small file beside the log that says how many lines there are, at most one behind after a
crash. This finds accidents and quiet edits. It is no signature: who can write both files can write them anew, so note
the head down elsewhere where that matters.

One process writes at a time (``flock`` on the log itself). A line counts from its newline on: what a crash left of the
line that was being written is removed by the next writer, and told. Reading makes and mends nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecastle.errors import DataCorrupt, RequestInvalid, StorageUnwritable
from forecastle.lake.atomic import append, make_folder, sync_folder, unwritable, write_bytes
from forecastle.telemetry import logger

Document = dict[str, Any]
NOTHING = "0" * 64
"""Stands for the hash of the line before the first."""


def digest(document: Any) -> str:
    """Return the SHA-256 over JSON in one form: sorted names, no spaces, ASCII.

    Raises ``RequestInvalid`` for what JSON cannot hold, NaN and infinity among it.
    """
    return hashlib.sha256(_text(document)).hexdigest()


@dataclass(frozen=True)
class ChainReport:
    """What :meth:`Chain.verify` found: ``problems`` as (line, what), line 0 for the head; none is the good answer.

    ``torn`` counts bytes of a line that a crash cut short: no problem, it was never written. ``head`` is the hash of
    the last line.
    """

    path: Path
    lines: int
    head: str
    problems: tuple[tuple[int, str], ...]
    torn: int = 0


@dataclass(frozen=True)
class _Seen:
    """What was read so far, so that a thousand lines are not read anew for the next one."""

    inode: int = 0
    offset: int = 0
    torn: int = 0
    entries: tuple[Document, ...] = ()

    @property
    def last(self) -> str:
        return str(self.entries[-1]["sha256"]) if self.entries else NOTHING


class Pen:
    """The right to add a line, held inside :meth:`Chain.writing`."""

    def __init__(self, chain: Chain, handle: int) -> None:
        self._chain, self._handle = chain, handle

    @property
    def entries(self) -> tuple[Document, ...]:
        """Return every line there is, oldest first."""
        return self._chain._seen.entries

    def append(self, document: Mapping[str, Any]) -> Document:
        """Add a document and return it with its ``number``, ``previous`` and ``sha256``; it survives a power cut."""
        return self.append_all([document])[0]

    def append_all(self, documents: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Add documents as :meth:`append` does, with one write for all; a crash can leave only the first of them."""
        chain, made, previous = self._chain, [], self._chain._seen.last
        for number, document in enumerate(documents, len(self.entries) + 1):
            entry = {**document, "number": number, "previous": previous}
            previous = entry["sha256"] = digest(entry)
            made.append(entry)
        append(chain.path, b"".join(_text(entry) + b"\n" for entry in made))
        chain._read_on(self._handle)
        with contextlib.suppress(StorageUnwritable):  # the lines are written: the next writer mends the head
            chain._write_head()
        return made


class Chain:
    """The log in one file; the file is made with its first line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head = path.with_suffix(".head")
        self._seen = _Seen()

    def entries(self) -> tuple[Document, ...]:
        """Return every line, oldest first. Raises ``DataCorrupt`` where one was changed or removed."""
        with _locked(self.path, os.O_RDONLY, fcntl.LOCK_SH) as handle:
            if handle is None:
                self._seen = _Seen()
            else:
                self._read_on(handle)
            self._check_head()
            return self._seen.entries

    @contextmanager
    def writing(self) -> Iterator[Pen]:
        """Hold the only pen, after any other process; raises ``DataCorrupt`` as reading does, ``StorageUnwritable``."""
        with _locked(self.path, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as handle:
            assert handle is not None  # noqa: S101 - it was made
            self._read_on(handle)
            self._check_head()
            self._mend(handle)
            yield Pen(self, handle)

    def verify(self) -> ChainReport:
        """Look at every line anew and return all that is wrong, instead of the first."""
        with _locked(self.path, os.O_RDONLY, fcntl.LOCK_SH) as handle:
            content = b"" if handle is None else _content(handle, 0)
            *lines, torn = content.split(b"\n")
            problems, previous = [], NOTHING
            for number, line in enumerate(lines, 1):
                entry, what = _checked(line, number, previous)
                problems += [(number, what)] if what else []
                previous = str(entry.get("sha256"))
            what = _head_problem(self.head, [_hash_in(line) for line in lines])
            problems += [(0, what)] if what else []
        return ChainReport(self.path, len(lines), previous, tuple(problems), len(torn))

    def _read_on(self, handle: int) -> None:
        """Read what was added since the last look; all of it where the file is another or was cut."""
        seen, status = self._seen, os.fstat(handle)
        if status.st_ino != seen.inode or status.st_size < seen.offset:
            seen = _Seen()
        *lines, torn = _content(handle, seen.offset).split(b"\n")
        entries, previous = [*seen.entries], seen.last
        for line in lines:
            entry, what = _checked(line, len(entries) + 1, previous)
            if what:
                raise self._corrupt(f"Line {len(entries) + 1} of {self.path}: {what}.")
            entries.append(entry)
            previous = entry["sha256"]
        offset = seen.offset + sum(len(line) + 1 for line in lines)
        self._seen = _Seen(status.st_ino, offset, len(torn), tuple(entries))

    def _mend(self, handle: int) -> None:
        if self._seen.torn:
            logger.warning("%s: %d bytes of a line that a crash cut short were removed", self.path, self._seen.torn)
            try:
                os.ftruncate(handle, self._seen.offset)
                os.fsync(handle)
            except OSError as error:
                raise unwritable(self.path, error) from error
        if _head(self.head)[0] < len(self._seen.entries):
            self._write_head()

    def _write_head(self) -> None:
        write_bytes(self.head, _text({"lines": len(self._seen.entries), "sha256": self._seen.last}) + b"\n")

    def _check_head(self) -> None:
        what = _head_problem(self.head, [entry["sha256"] for entry in self._seen.entries])
        if what:
            raise self._corrupt(f"{self.path}: {what}.")

    def _corrupt(self, what: str) -> DataCorrupt:
        return DataCorrupt(
            what, "Each line carries the hash of the one before it, so that none can change or go unseen.",
            "Restore the file and its head from a copy; forecastle trials verify lists all that is wrong.",
        )  # fmt: skip


def _text(document: Any) -> bytes:
    try:
        return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestInvalid(
            "What was to be logged is no plain data.", f"{error}.", "Use text, finite numbers, lists and names only."
        ) from error


def _checked(line: bytes, number: int, previous: str) -> tuple[Document, str]:
    """Return the document of a line and what is wrong with it, nothing where it is as it was written."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}, "it is not the JSON that was written"
    if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
        return {}, "it carries no hash"
    rest = {name: value for name, value in entry.items() if name != "sha256"}
    if _sealed(rest) != line:
        return entry, "it is not what was written: its hash is another"
    if (entry.get("number"), entry.get("previous")) != (number, previous):
        return entry, "it does not follow the line before it: one was removed, added or moved"
    return entry, ""


def _sealed(rest: Document) -> bytes:
    """Return the line of a document; empty for what we would never have written, such as NaN."""
    try:
        return _text({**rest, "sha256": digest(rest)})
    except RequestInvalid:
        return b""


def _hash_in(line: bytes) -> str:
    try:
        return str(json.loads(line)["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _head(path: Path) -> tuple[int, str]:
    """Return how many lines the head knows and the hash of the last; (0, zeros) where there is none, -1 if broken."""
    try:
        document = json.loads(path.read_bytes())
        return int(document["lines"]), str(document["sha256"])
    except FileNotFoundError:
        return 0, NOTHING
    except (OSError, ValueError, KeyError, TypeError):
        return -1, NOTHING


def _head_problem(path: Path, hashes: list[str]) -> str:
    lines, last = _head(path)
    if lines < 0:
        return f"its head {path.name} cannot be read"
    if lines > len(hashes):
        return f"it ends at line {len(hashes)}, and there were {lines}"
    if lines < len(hashes) - 1:  # each writer mends it before it adds a line
        return f"its head knows {lines} of {len(hashes)} lines"
    return "" if last == ([NOTHING, *hashes][lines]) else f"line {lines} is not the one that its head knows"


def _content(handle: int, offset: int) -> bytes:
    parts = []
    while part := os.pread(handle, 1 << 24, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


@contextmanager
def _locked(path: Path, flags: int, lock: int) -> Iterator[int | None]:
    """Open and lock a file, None where there is none to read; the lock dies with its holder."""
    try:
        if flags & os.O_CREAT:
            make_folder(path.parent)
        new = not path.exists()
        handle = os.open(path, flags, 0o644)
        if new:
            sync_folder(path.parent)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        fcntl.flock(handle, lock)
        yield handle
    finally:
        os.close(handle)
