"""The two copies of the manifest as one: read with care, appended to, closed now and then, mended by each writer."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from forecastle.errors import DataCorrupt, DataMissing, StorageUnwritable
from forecastle.lake.atomic import append, write_bytes
from forecastle.lake.manifest import (
    HISTORY,
    MIRROR,
    NAME,
    Commit,
    Cover,
    FileEntry,
    Log,
    State,
    hash_of,
    history,
    history_file,
    last_number,
    read,
    read_log,
    sealed,
)

FEWEST_LINES = 100
"""A log is closed after this many commits, or after as many as there are current files where those are more."""


class Journal:
    """The manifest of one lake. Reading never writes; only the holder of the pen may append."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: tuple[Log, _Looks] | None = None  # one value, so that threads never mix two
        self._equal: _Looks | None = None  # how both copies looked when they were whole and equal

    @property
    def state(self) -> State:
        """Return what is current, read again only where the files changed. Raises ``DataCorrupt``."""
        return self._read().state

    def _read(self) -> Log:
        seen = self._looks()
        known = self._known
        if known is not None and known[1] == seen:
            return known[0]
        log = self._grown(*known, seen) if known else None
        log = log or _best(self.root)
        self._known = (log, seen)
        return log

    def _looks(self) -> _Looks:
        return _look(self.root / NAME), _look(self.root / MIRROR)

    def _grown(self, log: Log, before: _Looks, now: _Looks) -> Log | None:
        """Return the log read on from where it ended, where both copies only grew; None where it is to be read anew."""
        (had, _), (first, second) = before, now
        if not (had and first and second):
            return None
        if had.inode != first.inode or first.size != second.size or first.size < log.length:
            return None
        path, log = self.root / NAME, log.copy()
        try:
            with path.open("rb") as file:
                file.seek(log.length)
                log.read_on(file.read(), path)
        except (OSError, DataCorrupt):
            return None
        return log

    def at(self, moment: datetime) -> State:
        """Return the lake as it was at ``moment``. Raises ``DataMissing`` before its first commit."""
        state = State()
        for commit, line in self.commits():
            if commit.at > moment:
                break
            state.apply(commit, line)
        if not state.number:
            raise DataMissing(
                f"The lake was empty at {moment:%Y-%m-%d %H:%M:%S} UTC.",
                "Its first commit is later." if self.state.number else "It has no commit yet.",
                "Ask for a later moment.",
            )
        return state

    def commits(self) -> list[tuple[Commit, bytes]]:
        """Return every commit with its line, oldest first. Raises ``DataCorrupt`` where one is missing or changed."""
        log = self._read()
        past = list(history(self.root))  # after the log: another process may close it in between
        first = log.state.number - len(log.commits)
        past = past[:first]
        lines = log.lines[len(log.lines) - len(log.commits) :]
        if len(past) < first or (log.commits and past and log.commits[0].previous != hash_of(past[-1][1])):
            raise DataCorrupt(
                f"The history of the lake ends at commit {len(past)} of {first}.",
                f"Files of {history_file(self.root, 1, 1).parent} are missing or changed.",
                "Restore them from a copy; what is current is unharmed.",
            )
        return [*past, *zip(log.commits, lines, strict=True)]

    def append(
        self,
        now: datetime,
        counts: tuple[int, int],
        files: tuple[FileEntry, ...],
        replaces: tuple[str, ...] = (),
        covers: tuple[Cover, ...] = (),
    ) -> int:
        """Commit: after this returns, ``files`` are current. Returns the number of the commit.

        ``counts`` are rows added and revised. The time of a commit is never before that of the one before, even where
        the clock of the machine was set back.
        """
        state = self.state
        at = max(now, state.at) if state.at else now
        commit = Commit(
            number=state.number + 1, at=at, added=counts[0], revised=counts[1], files=files, replaces=replaces,
            covers=covers, previous=state.hash,
        )  # fmt: skip
        line = sealed(commit) + b"\n"
        _add(self.root / NAME, line)  # this is the commit: what follows is mended by the next writer where it fails
        with contextlib.suppress(StorageUnwritable):
            _add(self.root / MIRROR, line)
            if self._due():
                self._close()
            self._equal = self._looks()
        return commit.number

    def _due(self) -> bool:
        log = self._read()
        return len(log.commits) >= max(FEWEST_LINES, sum(len(s.files) for s in log.state.series.values()))

    def _close(self) -> None:
        """Move the commits of the open log to the history and begin a new one with their sum."""
        log = self._read()
        lines = log.lines[len(log.lines) - len(log.commits) :]
        closed = history_file(self.root, log.commits[0].number, log.commits[-1].number)
        write_bytes(closed, b"\n".join([*lines, b""]))
        checkpoint = log.state.checkpoint() + b"\n"
        write_bytes(self.root / NAME, checkpoint)
        write_bytes(self.root / MIRROR, checkpoint)

    def mend(self) -> None:
        """Make both copies whole and equal again; each writer calls this before it writes."""
        if self._equal == self._looks():
            return
        right = b"".join(line + b"\n" for line in self._read().lines)
        for name in (NAME, MIRROR):
            if read(self.root / name) != right:
                write_bytes(self.root / name, right)
        self._equal = self._looks()

    def damaged(self) -> list[tuple[str, str]]:
        """Return what is wrong with the copies and the history: (path, what)."""
        found = []
        for name in (NAME, MIRROR):
            try:
                number = read_log(self.root / name).state.number
                if name == NAME and number < self.state.number:  # the second copy may be behind after a crash
                    found.append((name, f"It ends at commit {number} of {self.state.number}."))
            except DataCorrupt as error:
                found.append((name, f"{error.what} {error.why}"))
        try:
            replayed = State()
            for commit, line in self.commits():
                replayed.apply(commit, line)
            if replayed.current() != self.state.current():
                found.append((NAME, "Its checkpoint is not what its history leads to."))
        except DataCorrupt as error:
            found.append((HISTORY, f"{error.what} {error.why}"))
        return found


def _add(path: Path, line: bytes) -> None:
    if path.exists():
        append(path, line)
    else:
        write_bytes(path, line)


def _best(root: Path) -> Log:
    """Return the better of the two copies: the first, unless it is damaged or lost commits that the second has."""
    try:
        first = read_log(root / NAME)
    except DataCorrupt:
        second = read_log(root / MIRROR)
        if second.lines and second.state.number >= _last_number(root / NAME):  # else commits were lost in silence
            return second
        raise
    number = _last_number(root / MIRROR)
    if number > first.state.number:
        first = read_log(root / NAME)  # a writer may have added to both while we read
    return read_log(root / MIRROR) if number > first.state.number else first


def _last_number(path: Path) -> int:
    try:
        return last_number(read(path))
    except DataCorrupt:  # it cannot be read at all
        return 0


class _Look(NamedTuple):
    """What tells whether a file changed."""

    inode: int
    changed: int
    size: int


_Looks = tuple[_Look | None, _Look | None]


def _look(path: Path) -> _Look | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return _Look(seen.st_ino, seen.st_mtime_ns, seen.st_size)
