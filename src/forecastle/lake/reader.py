"""The reading half of the lake: files, each compared with its hash before a row of it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow as pa

from forecastle.errors import DataCorrupt
from forecastle.lake.manifest import FileEntry
from forecastle.lake.rows import from_parquet, to_frame

THREADS = 4
"""Hashing and decoding let go of the interpreter, so that the files of a long series are read side by side."""


class Reader:
    """Reads files below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def frame(
        self, entries: Sequence[FileEntry], start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        """Return the rows of files of one table, in the order given; raises ``DataCorrupt`` where one was changed.

        With ``start`` or ``end`` rows outside may be left out already: whole row groups that cannot be meant.
        """
        if len(entries) < 3:
            tables = [self._load(e, start, end) for e in entries]
        else:
            with ThreadPoolExecutor(THREADS) as pool:
                tables = list(pool.map(lambda e: self._load(e, start, end), entries))
        return to_frame(tables, entries[0].table if entries else "candles")

    def _load(self, entry: FileEntry, start: datetime | None, end: datetime | None) -> pa.Table:
        return from_parquet(self.checked(entry), entry.table, start, end)

    def checked(self, entry: FileEntry) -> bytes:
        """Return the bytes of a file. Raises ``DataCorrupt`` where they are not those that were committed."""
        return self._bytes(entry.path, entry.sha256)

    def checked_csv(self, entry: FileEntry) -> bytes:
        """Return the bytes of the CSV twin. Raises ``DataCorrupt`` where they are not those that were committed."""
        return self._bytes(entry.csv_path, entry.csv_sha256 or "")

    def _bytes(self, name: str, sha256: str) -> bytes:
        path = self.root / name
        hint = "Restore it from a copy, or import all of its rows again; forecastle lake verify lists such files."
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataCorrupt(f"{path} cannot be read.", f"{error.strerror}.", hint) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataCorrupt(
                f"{path} is not the file that was committed.", "Its SHA-256 differs from the manifest's.", hint
            )
        return content
