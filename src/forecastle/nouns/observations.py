"""Observations: single values about a moment, each with the moment it became known."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from forecastle.errors import DataInvalid
from forecastle.nouns.candles import TIME
from forecastle.nouns.instrument import Instrument

OBSERVED: dict[str, pl.DataType] = {"about": TIME, "known_at": TIME, "value": pl.Float64()}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, eq=False)
class Observations:
    """Values of one thing about one instrument: funding rates, an index of fear, a dividend.

    ``frame`` has the columns ``about`` (the moment or the first moment of the period that the value describes),
    ``known_at`` (from when on it may be used) and ``value``, in ``unit``; UTC, sorted by ``about`` and ``known_at``.
    A revision is a new row with the same ``about`` and a later ``known_at``: nothing is overwritten. Values are finite.
    Raises ``DataInvalid`` where any of this does not hold.
    """

    instrument: Instrument
    name: str
    unit: str
    source: str
    frame: pl.DataFrame

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DataInvalid(
                f"'{self.name}' cannot be the name of an observation.",
                "It becomes a folder and a column: small letters, digits and _, at most 40, a letter first.",
                "Choose a name such as funding_rate.",
            )
        if list(self.frame.schema.items()) != list(OBSERVED.items()):
            raise DataInvalid(
                f"Observations of {self.name} have the columns {', '.join(self.frame.columns)}.",
                "They have to be about, known_at (UTC, microseconds) and value (float).",
                "Name and cast them so.",
            )
        self._check_rows()

    def _check_rows(self) -> None:
        wrong = self.frame.filter(
            pl.any_horizontal(pl.all().is_null()) | ~pl.col("value").is_finite()
        )  # fmt: skip
        if wrong.height:
            raise DataInvalid(
                f"{wrong.height} values of {self.name} are missing, NaN or infinite, or have no time.",
                f"The first is {wrong.row(0)}.",
                "Leave these rows out: what is not known is not an observation.",
            )
        keys = self.frame.select("about", "known_at")
        if not keys.equals(keys.sort("about", "known_at")) or keys.is_duplicated().any():
            raise DataInvalid(
                f"Observations of {self.name} are not sorted, or one is there twice.",
                "Each (about, known_at) stands once, in the order of time.",
                "Sort them and drop what is there twice.",
            )

    def __len__(self) -> int:
        return self.frame.height

    def __repr__(self) -> str:
        return f"Observations({self.instrument}, {self.name} in {self.unit}, {self.source}, {len(self)} rows)"

    @property
    def data_hash(self) -> str:
        """Return the SHA-256 of what these observations say, whatever file they came from."""
        digest = hashlib.sha256(f"{self.instrument}|{self.name}|{self.unit}|{self.source}".encode())
        for column in ("about", "known_at", "value"):
            array = self.frame[column].to_physical().to_numpy()
            digest.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()

    def known(self, moment: datetime) -> Observations:
        """Return what was known at ``moment``: of each ``about`` the last revision until then."""
        until = self.frame.filter(pl.col("known_at") <= moment)
        return self.part(until.unique("about", keep="last", maintain_order=True))

    def until(self, moment: datetime) -> Observations:
        """Return the rows that were known at ``moment``, revisions beside what they revise."""
        return self.part(self.frame.filter(pl.col("known_at") <= moment))

    def part(self, frame: pl.DataFrame) -> Observations:
        """Return the same observations with fewer rows, or other finite values: what holds for all holds for some."""
        made = object.__new__(type(self))
        for name, value in {**vars(self), "frame": frame}.items():
            object.__setattr__(made, name, value)
        return made
