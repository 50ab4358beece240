"""Rows from outside, parted: those that can become candles, and those that cannot, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns import Finding
from forecastle.nouns.candles import SCHEMA, breaches

CONFLICT, OVERLAP, STEP = "conflicting_duplicate", "overlap", "wrong_step"
WORDS = {
    "not_a_number": "a price or the volume is missing, NaN or infinite",
    "non_positive": "a price is zero or negative",
    "negative_volume": "the volume is negative",
    "high_below_low": "high is below low",
    "outside_range": "open or close lies outside low to high",
    "time_order": "the time is missing, or the bar closes before it opens",
    CONFLICT: "one time, different values",
    OVERLAP: "the bar opens before the bar before it has closed",
    STEP: "the rows follow each other faster than their bars last: they are bars of another timeframe",
}
"""Every reason a row is kept out for, in the order in which reasons and findings are told."""

_ROW = "row"
_FEWEST_STEPS = 3
_Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Sifted:
    """Rows from outside after the sifting; every row given is in one of the two frames, but for exact repeats.

    ``rows`` has the columns of candles, sorted by ``open_time``, unique, no overlap: fit for ``Candles``.
    ``quarantined`` has the other rows as they were, in the order given, with a further column ``reason``: the kinds
    of their findings, joined by ", ". ``findings`` tells both and what was dropped or sorted without loss.
    """

    rows: pl.DataFrame
    quarantined: pl.DataFrame
    findings: tuple[Finding, ...]


def sift(rows: pl.DataFrame) -> Sifted:
    """Part raw rows with the columns of candles; nothing is changed, nothing but an exact repeat is dropped.

    Rows of one ``open_time`` with different values are all quarantined: nobody knows which is right. Of bars that
    overlap the later one is: what was known first stands, whatever is appended after it. Where most bars overlap the
    next one the step is wrong, and every row is quarantined. Nulls and NaN are breaches, never skipped.
    """
    rows = rows.select(list(SCHEMA))
    broken = rows.select(**breaches())
    if _follow_each_other(rows) and not any(broken.sum().row(0)):
        return Sifted(rows, _quarantine(rows, {}), ())
    numbered = rows.with_row_index(_ROW)
    bad = {kind: np.flatnonzero(broken[kind].to_numpy()) for kind in broken.columns if broken[kind].any()}
    twice = numbered.filter(pl.col("open_time").is_not_null() & pl.col("open_time").is_duplicated())
    bad[CONFLICT] = _conflicts(twice)
    repeats = _repeats(twice.filter(_within(twice, _others(rows.height, *bad.values()))))
    kept = numbered.filter(_others(rows.height, repeats, *bad.values())).sort("open_time")
    bad |= _overlaps(kept)
    if STEP in bad:
        bad[STEP] = np.setdiff1d(np.arange(rows.height), repeats)
    kept = kept.filter(_within(kept, _others(rows.height, *bad.values())))
    found = [*_invalid(numbered, bad), _repeated(numbered, repeats), _order(rows["open_time"])]
    return Sifted(kept.select(list(SCHEMA)), _quarantine(rows, bad), tuple(f for f in found if f))


def inspect_rows(frame: pl.DataFrame) -> tuple[Finding, ...]:
    """Return the findings about raw rows with the columns of candles.

    Rows that :func:`sift` keeps out are ``invalid``; exact repeats and rows out of order are ``note``: dropping and
    sorting loses nothing.
    """
    return sift(frame).findings


def _follow_each_other(rows: pl.DataFrame) -> bool:
    """Return whether each bar opens at or after the close of the bar before it."""
    opens, closes = rows["open_time"], rows["close_time"]
    return rows.height < 2 or bool((opens[1:] >= closes[:-1]).all())


def _conflicts(twice: pl.DataFrame) -> _Rows:
    """Return the rows whose ``open_time`` occurs with other values, of rows whose ``open_time`` occurs twice."""
    distinct = twice.unique(list(SCHEMA)).filter(pl.col("open_time").is_duplicated())["open_time"]
    return _numbers(twice.filter(pl.col("open_time").is_in(distinct.unique().implode())))


def _repeats(twice: pl.DataFrame) -> _Rows:
    """Return the rows that say what a row before them says."""
    return _numbers(twice.filter(~pl.struct(list(SCHEMA)).is_first_distinct()))


def _overlaps(kept: pl.DataFrame) -> dict[str, _Rows]:
    """Return the rows to keep out of sorted, unique rows because they overlap: the later ones, or the step is wrong."""
    opens, closes = (kept[c].dt.timestamp("us").to_numpy() for c in ("open_time", "close_time"))
    late = opens[1:] < closes[:-1]
    if not late.any():
        return {}
    if late.size >= _FEWEST_STEPS and late.mean() > 0.5:
        return {STEP: _numbers(kept)}
    return {OVERLAP: _numbers(kept)[list(_later_ones(opens, closes))]}


def _later_ones(opens: npt.NDArray[np.int64], closes: npt.NDArray[np.int64]) -> Iterator[int]:
    """Yield the places of bars that open before the last bar that stays has closed."""
    doubtful = np.flatnonzero(opens[1:] < np.maximum.accumulate(closes)[:-1]) + 1
    standing = -1  # the close of the last bar that stays within a run of doubtful ones
    before = -1
    for place in map(int, doubtful):
        if place != before + 1:
            standing = int(closes[place - 1])
        before = place
        if opens[place] < standing:
            yield place
        else:
            standing = int(closes[place])


def _numbers(numbered: pl.DataFrame) -> _Rows:
    return numbered[_ROW].to_numpy().astype(np.intp)


def _others(height: int, *rows: _Rows) -> npt.NDArray[np.bool_]:
    """Return the mask of shape (height,) of the rows that are none of these."""
    keep = np.ones(height, dtype=np.bool_)
    for some in rows:
        keep[some] = False
    return keep


def _within(numbered: pl.DataFrame, keep: npt.NDArray[np.bool_]) -> pl.Series:
    """Return which of these rows the mask over all rows keeps."""
    return pl.Series(keep[_numbers(numbered)], dtype=pl.Boolean)


def _quarantine(rows: pl.DataFrame, bad: dict[str, _Rows]) -> pl.DataFrame:
    """Return the bad rows in their order, with all reasons of each."""
    told = [(kind, bad[kind]) for kind in WORDS if kind in bad and bad[kind].size]
    if not told:
        return rows.clear().with_columns(reason=pl.lit("", dtype=pl.String))
    reasons = pl.concat(pl.DataFrame({_ROW: places.astype(np.uint32), "reason": kind}) for kind, places in told)
    joined = reasons.group_by(_ROW, maintain_order=True).agg(pl.col("reason").str.join(", ")).sort(_ROW)
    return rows.with_row_index(_ROW).join(joined, on=_ROW, how="inner", maintain_order="left").drop(_ROW)


def _invalid(numbered: pl.DataFrame, bad: dict[str, _Rows]) -> list[Finding]:
    places = {kind: bad[kind] for kind in WORDS if kind in bad and bad[kind].size}
    return [
        Finding(kind, "invalid", rows.size, _where(numbered, int(rows.min())), WORDS[kind])
        for kind, rows in places.items()
    ]


def _repeated(numbered: pl.DataFrame, repeats: _Rows) -> Finding | None:
    if not repeats.size:
        return None
    first = _where(numbered, int(repeats[0]))
    return Finding("duplicate", "note", repeats.size, first, "the same row stands there again; kept once")


def _order(times: pl.Series) -> Finding | None:
    times = times.drop_nulls()
    back = times.diff().dt.total_microseconds() < 0
    count = int(back.sum())
    if not count:
        return None
    detail = "the file runs from new to old; sorted" if count == len(times) - 1 else "rows go back in time; sorted"
    return Finding("unsorted", "note", count, str(times.filter(back)[0]), detail)


def _where(numbered: pl.DataFrame, row: int) -> str:
    moment = numbered["open_time"][row]
    return f"row {row + 1}" + (f" ({moment})" if moment is not None else "")
