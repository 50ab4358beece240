"""The audit: compute on all of a history, on what was known at a moment, and with everything after it poisoned.

A row that says it was known at a moment has to be the same in all three. It is compared with all rows before it, to the
last bit where a subject allows no rounding: a leak may touch only rows of long ago (a backfill of the warm-up).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.audit.cuts import cut_points
from forecastle.audit.poison import poisoned
from forecastle.errors import DataError, DataInvalid, ForecastleError, ForecastRefused
from forecastle.nouns import History
from forecastle.nouns.candles import TIME
from forecastle.nouns.leaks import LeakFinding, LeakKind, LeakReport
from forecastle.ports import Progress, silent
from forecastle.sessions import Times

_FAULTS = (ForecastleError, ArithmeticError, LookupError, ValueError, TypeError, pl.exceptions.PolarsError)
"""What a subject may fail with on part of a history: told as a finding, not raised."""
Compute = Callable[[History], pl.DataFrame]
"""Gives a column ``known_at`` (UTC, ascending: from when on each row may be used) and columns of floats."""


@dataclass(frozen=True)
class Subject:
    """Something computed of a history. ``tolerance`` is relative; zero asks for the same bits."""

    name: str
    compute: Compute
    tolerance: float = 0.0


def audit(
    subjects: Sequence[Subject], history: History, cuts: int = 200, seed: int = 0, progress: Progress = silent
) -> LeakReport:
    """Look for the future in what subjects say of the past, at ``cuts`` moments each.

    The moments are drawn by ``seed``, spread over rows, the beginning, the surroundings of nulls, holes and revisions,
    and moments between rows. A history is demanding where it has holes, observations with revisions, a peer and finer
    bars: a leak through what is not there cannot be found. The report counts the moments of the subject that had the
    fewest. Raises ``DataInvalid`` where a subject's frame has no ascending ``known_at`` in UTC or the history no bar,
    and what a subject raises on the whole history.
    """
    findings: list[LeakFinding] = []
    columns, looked = 0, []
    for number, subject in enumerate(subjects):
        whole = _Rows.of(subject, subject.compute(history))
        columns += len(whole.columns)
        case = _Case(subject, history, whole)
        moments = cut_points(history, whole.frame, cuts, seed)
        looked.append(len(moments))
        for done, moment in enumerate(moments):
            case.look(_utc(moment), seed)
            progress(number * cuts + done, len(subjects) * cuts, f"leaks of {subject.name}")
        findings += case.found.values()
    candles = history.candles
    series = f"{candles.instrument} {candles.timeframe} from {candles.source}"
    names, fewest = tuple(s.name for s in subjects), min(looked, default=0)
    return LeakReport(series, names, columns, len(candles), fewest, seed, tuple(findings))


@dataclass(frozen=True)
class _Rows:
    """What a subject gave: the moments, and the values as a table of floats with NaN for null."""

    frame: pl.DataFrame
    known_at: Times
    columns: tuple[str, ...]
    values: npt.NDArray[np.float64]

    @classmethod
    def of(cls, subject: Subject, frame: pl.DataFrame) -> _Rows:
        if frame.schema.get("known_at") != TIME:
            raise DataInvalid(
                f"The frame of {subject.name} has no known_at in UTC and microseconds.",
                "A row is used from its known_at on; an audit compares rows by it.", "Name and cast it so.",
            )  # fmt: skip
        known = frame["known_at"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
        if known.size > 1 and not bool((known[1:] > known[:-1]).all()):
            raise DataInvalid(
                f"The rows of {subject.name} are not in the order of known_at, or two have the same.",
                "A row is used from its known_at on; an audit compares rows by it.", "Sort them, one a moment.",
            )  # fmt: skip
        names = tuple(c for c in frame.columns if c != "known_at")
        values = frame.select(pl.col(names).cast(pl.Float64).fill_null(float("nan"))).to_numpy() if names else None
        table = np.zeros((known.size, 0)) if values is None else np.where(np.isnan(values), np.nan, values)
        return cls(frame, known, names, np.ascontiguousarray(table))  # to be compared as bits

    def until(self, moment: Times) -> int:
        """Return how many rows say that they are known at ``moment``."""
        return int(np.searchsorted(self.known_at, moment, side="right"))


@dataclass
class _Case:
    """One subject under audit, and what was found so far: one finding a column and kind."""

    subject: Subject
    history: History
    whole: _Rows
    found: dict[tuple[str, LeakKind], LeakFinding] = field(default_factory=dict)

    def look(self, moment: datetime, seed: int) -> None:
        """Compare what was known at one moment."""
        stamp = np.datetime64(moment.replace(tzinfo=None), "us")
        for kind, history in (("cut", self.history.until(moment)), ("poison", poisoned(self.history, moment, seed))):
            other = self._computed(history, moment)
            if other is not None:
                self._compare(other, stamp, "cut" if kind == "cut" else "poison", moment)

    def _computed(self, history: History, moment: datetime) -> _Rows | None:
        """Return the rows of a subject; none where it refuses so short a history."""
        try:
            return _Rows.of(self.subject, self.subject.compute(history))
        except (DataError, ForecastRefused):
            known = self.whole.until(np.datetime64(moment.replace(tzinfo=None), "us"))  # type: ignore[arg-type]
            if np.isfinite(self.whole.values[:known]).any():
                self._note("", "row", moment, None, None, None, "it refuses a history on which it has rows")
            return None
        except _FAULTS as error:
            self._note("", "error", moment, None, None, None, f"{type(error).__name__}: {error}"[:200])
            return None

    def _compare(self, other: _Rows, stamp: np.datetime64, kind: LeakKind, moment: datetime) -> None:
        mine, theirs = self.whole.until(stamp), other.until(stamp)  # type: ignore[arg-type]
        if kind == "cut" and other.known_at.size > theirs:
            self._note("", "future", moment, _utc(other.known_at[theirs]), None, None, "")
        if mine != theirs or not np.array_equal(self.whole.known_at[:mine], other.known_at[:theirs]):
            other_future = "without" if kind == "cut" else "with another"
            both = min(mine, theirs)
            apart = np.flatnonzero(self.whole.known_at[:both] != other.known_at[:both])
            row = int(apart[0]) if apart.size else both
            at = self.whole.known_at[row] if row < mine else other.known_at[row]
            self._note("", "row", moment, _utc(at), None, None, f"{mine} rows with the future, {theirs} {other_future}")
            return
        if other.columns != self.whole.columns:
            self._note("", "row", moment, None, None, None, "its columns depend on what comes after")
            return
        differs = _apart(self.whole.values[:mine], other.values[:theirs], self.subject.tolerance)
        for column in np.flatnonzero(differs.any(axis=0)):
            row = int(np.argmax(differs[:, column]))
            values = (float(self.whole.values[row, column]), float(other.values[row, column]))
            whole, alone = (None if np.isnan(v) else v for v in values)
            self._note(self.whole.columns[column], kind, moment, _utc(self.whole.known_at[row]), whole, alone, "")

    def _note(
        self, column: str, kind: LeakKind, moment: datetime, row: datetime | None, whole: float | None,
        alone: float | None, detail: str,
    ) -> None:  # fmt: skip
        old = self.found.get((column, kind))
        self.found[column, kind] = (
            LeakFinding(self.subject.name, column, kind, 1, moment, row, whole, alone, detail)
            if old is None
            else LeakFinding(
                old.subject, column, kind, old.cuts + 1, old.moment, old.row, old.whole, old.alone, old.detail
            )
        )


def _apart(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], tolerance: float) -> npt.NDArray[np.bool_]:
    """Return which values differ: by any bit, or by more than a share of the larger; NaN equals NaN.

    By bits zero has a sign: a -0.0 that turns into 0.0 was computed in another way. Infinity is near itself alone.
    """
    bits: npt.NDArray[np.bool_] = np.not_equal(one.view(np.int64), other.view(np.int64))
    if tolerance == 0.0 or not bits.any():
        return bits
    with np.errstate(invalid="ignore"):
        close = np.abs(one - other) <= tolerance * np.maximum(np.abs(one), np.abs(other))
    return np.logical_and(bits, ~(close & np.isfinite(one) & np.isfinite(other)))


def _utc(moment: np.datetime64) -> datetime:
    found: datetime = moment.astype("datetime64[us]").item()
    return found.replace(tzinfo=UTC)
