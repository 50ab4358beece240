"""The proof that nothing changed: files against their hashes, rows against their rules, logs against their chain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from forecastle.errors import DataCorrupt, DataInvalid
from forecastle.lake.journal import Journal
from forecastle.lake.manifest import FileEntry
from forecastle.lake.reader import Reader
from forecastle.nouns import Candles, Instrument, Observations


@dataclass(frozen=True)
class Problem:
    """Something that ``verify`` found wrong with a file."""

    path: str
    what: str


def verify(journal: Journal, reader: Reader) -> list[Problem]:
    """Return what is wrong with the files of a lake. Raises ``DataCorrupt`` where no copy of the manifest is whole."""
    state = journal.state
    current = {entry.path for entry in state.current()}
    problems = [Problem(path, what) for path, what in journal.damaged()]
    try:
        entries = {e.path: e for commit, _ in journal.commits() for e in commit.files}
    except DataCorrupt:  # told above; what is current can still be proven
        entries = {}
    entries |= {e.path: e for e in state.current()}
    for entry in entries.values():
        problems += _of_file(entry, reader, rules=entry.path in current)
    for key in sorted(state.series):
        for before, after in itertools.pairwise(state.files_of(key)):
            if after.first < before.last:
                problems.append(Problem(after.path, f"It begins before {before.path} ends."))
    return problems


def _of_file(entry: FileEntry, reader: Reader, *, rules: bool) -> Iterator[Problem]:
    try:
        reader.checked(entry)
        if rules:
            _keeps_rules(entry, reader)
    except (DataCorrupt, DataInvalid) as error:
        yield Problem(entry.path, f"{error.what} {error.why}")
    if entry.csv_sha256 is not None:
        try:
            reader.checked_csv(entry)
        except DataCorrupt as error:
            yield Problem(entry.csv_path, f"{error.what} {error.why}")


def _keeps_rules(entry: FileEntry, reader: Reader) -> None:
    """Raise ``DataInvalid`` where the rows are not what their table promises."""
    frame = reader.frame([entry])
    instrument = Instrument.parse(entry.instrument)
    if entry.table == "candles":
        Candles(instrument, entry.key.timeframe, entry.source, frame, entry.adjusted, entry.prices)
    if entry.table == "observations":
        Observations(instrument, entry.name, entry.unit, entry.source, frame)
