"""Labels whose spans of time are given in days, and the frames that go with them, for tests of splits and folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from forecastle.nouns import Labels
from forecastle.nouns.dataset import Dataset
from forecastle.sessions import Times
from learning import frame_of

DAY = np.timedelta64(1, "D")
START = np.datetime64("2018-01-02", "us")
spans = st.lists(st.one_of(st.none(), st.integers(1, 9)), min_size=2, max_size=40)
"""How many days each label takes, None where it is never known."""


def moments_of(n: int) -> Times:
    return START + np.arange(n) * DAY


def labels_of(lengths: Sequence[int | None], left_out: Sequence[int] = ()) -> Labels:
    """Return labels of these lengths, from rows a day apart; those of ``left_out`` are known to have no value."""
    known = moments_of(len(lengths)) + np.array([0 if n is None else n for n in lengths]) * DAY
    never = np.array([n is None for n in lengths])
    values = np.where(never, np.nan, np.arange(len(lengths)) % 2)
    values[list(left_out)] = np.nan
    known[never] = np.datetime64("NaT")
    return Labels("made", "direction", 9, "up", values, np.where(never, np.nan, 0.01), known)


def dataset_of(lengths: Sequence[int | None], left_out: Sequence[int] = ()) -> Dataset:
    return Dataset(frame_of({"x": np.arange(float(len(lengths)))}), labels_of(lengths, left_out))


def days_covered(lengths: Sequence[int | None], row: int) -> set[int]:
    """Return the days that the label of a row looks at: those after the row, up to its end."""
    length = lengths[row]
    return set() if length is None else set(range(row + 1, row + length + 1))
