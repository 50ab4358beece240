"""What may be learned from, given what is tested: labels that share no time, and an embargo behind the test."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import Labels
from forecastle.sessions import Times

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def purged(labels: Labels, moments: Times, block: IntArray, embargo: int) -> BoolArray:
    """Return which rows may be trained on where ``block``, contiguous and ascending, is tested; shape (rows,).

    Left out are rows whose label is never known, rows of the block, rows whose label covers time that a label of the
    block covers, and the ``embargo`` rows after the last of these. A label covers ``(moment, known_at]``.
    """
    begin = moments[block[0]]
    ends = labels.known_at[block]
    ends = ends[~np.isnat(ends)]
    end = max(ends.max(), moments[block[-1]]) if ends.size else moments[block[-1]]
    known = ~np.isnat(labels.known_at)
    before = known & (moments < begin) & (labels.known_at <= begin)
    first_after = int(np.searchsorted(moments, end, side="left")) + embargo
    after = known.copy()
    after[: max(first_after, int(block[-1]) + 1)] = False
    return np.asarray(before | after)


def tested(labels: Labels, least: int) -> tuple[int, int]:
    """Return the first and the one after the last row with a label; raises ``DataInvalid`` where they are too few."""
    rows = np.flatnonzero(labels.known)
    if rows.size < least:
        raise DataInvalid(
            f"{labels.name} has {rows.size} rows with a label.", f"This split needs {least} or more.",
            "Take a longer history, fewer folds or a shorter horizon.",
        )  # fmt: skip
    return int(rows[0]), int(rows[-1]) + 1


def blocks(first: int, after: int, count: int) -> list[IntArray]:
    """Return ``count`` contiguous stretches of rows, as even as can be, the longer ones first."""
    return list(np.array_split(np.arange(first, after), count))


def refuse_count(name: str, value: int, least: int) -> None:
    """Raise ``RequestInvalid`` where a count is too small."""
    if value < least:
        raise RequestInvalid(f"{name} is {value}.", f"It has to be {least} or more.", "Choose another.")


def refuse_share(name: str, value: float, *, below: float = 1.0) -> None:
    """Raise ``RequestInvalid`` where a share is not from 0 to below a limit."""
    if not 0.0 <= value < below:
        raise RequestInvalid(f"{name} is {value}.", f"It is a share, from 0 to below {below:g}.", "Choose another.")
