"""From moments of entry and exit to what is held in between."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled
from forecastle.errors import RequestInvalid

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@compiled
def held_between(enter: BoolArray, leave: BoolArray, enter_short: BoolArray, leave_short: BoolArray) -> FloatArray:
    """Return 1, -1 or 0 for each close, (bars, instruments): what entries and exits up to it leave open.

    An exit goes before an entry of the same close; an entry of the other side turns the position round.
    """
    n, k = enter.shape
    held = np.zeros((n, k))
    for j in range(k):
        state = 0.0
        for i in range(n):
            if (state > 0.0 and leave[i, j]) or (state < 0.0 and leave_short[i, j]):
                state = 0.0
            if enter[i, j] and state <= 0.0:
                state = 1.0
            elif enter_short[i, j] and state >= 0.0:
                state = -1.0
            held[i, j] = state
    return held


def unknown_until(held: FloatArray, known: BoolArray) -> FloatArray:
    """Return ``held`` with NaN where what it rests on is not known."""
    return np.where(known, held, np.nan)


def refuse_outside(name: str, value: float, low: float, high: float, hint: str) -> None:
    """Raise ``RequestInvalid`` for a setting out of its bounds."""
    if not low <= value <= high:
        raise RequestInvalid(f"{name} is {value:g}.", f"It lies within {low:g} to {high:g}.", hint)
