"""Weighted ridge regression of the log variance to come, fitted again and again as time goes by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecastle.models._design import FLOOR, Design

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

LEAST_WEIGHT = 60.0
"""Rows (of full weight) that a regression needs before it says anything."""


@dataclass(frozen=True)
class Ridge:
    """How rows are weighted.

    ``penalty`` counts in rows: a regressor is shrunk as by so many rows that say zero; the constant is not. ``forget``
    is the weight of a row against that of the bar after it; ``peer_weight`` that of a row of another instrument.
    """

    penalty: float = 60.0
    forget: float = 0.9995
    peer_weight: float = 0.2


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to learn from, in the order in which they become known: row i may be used from forecast ``usable[i]`` on."""

    x: FloatArray
    z: FloatArray
    weight: FloatArray
    usable: IntArray

    @classmethod
    def of(cls, own: Design, peers: Sequence[Design], peer_weight: float, horizon: int = 1) -> Rows:
        """Join the rows of an instrument and of its peers; those of the peers have the columns of ``own`` by name."""
        parts = [_rows(own, own, 1.0, horizon), *(_rows(own, peer, peer_weight, horizon) for peer in peers)]
        x, z, weight, usable = (np.concatenate(column) for column in zip(*parts, strict=True))
        keep = np.isfinite(z) & (usable < own.base.size)
        order = np.flatnonzero(keep)[np.argsort(usable[keep], kind="stable")]
        return cls(x[order], z[order], weight[order], usable[order])


def walk(own: Design, rows: Rows, refits: IntArray, ridge: Ridge) -> tuple[FloatArray, FloatArray]:
    """Return (log variance forecasts, last coefficients), shapes (n + 1,) and (p,).

    Coefficients estimated at forecast row s, from rows known by then, hold from s to the next of ``refits``. NaN where
    there are none yet.
    """
    forecast = np.full(own.base.size, np.nan)
    coefficients = np.full(own.x.shape[1], np.nan)
    stops = [*refits[1:].tolist(), own.base.size]
    for (start, estimated), stop in zip(estimates(rows, refits, ridge), stops, strict=True):
        coefficients = estimated
        part = slice(start, stop)
        forecast[part] = predicted(own, part, coefficients)
    return forecast, coefficients


def estimates(rows: Rows, refits: IntArray, ridge: Ridge) -> Iterator[tuple[int, FloatArray]]:
    """Yield (row, coefficients) for every refit; NaN where too few rows are known."""
    p = rows.x.shape[1]
    square, product, begin, before = np.zeros((p, p)), np.zeros(p), 0, 0
    ends = np.searchsorted(rows.usable, refits, side="right")
    for row, end in zip(refits.tolist(), ends.tolist(), strict=True):
        part = slice(begin, end)
        weighted = rows.x[part] * (rows.weight[part] * ridge.forget ** (row - rows.usable[part]))[:, None]
        fade = ridge.forget ** (row - before)
        square = fade * square + weighted.T @ rows.x[part]
        product = fade * product + weighted.T @ rows.z[part]
        begin, before = end, row
        yield row, _solved(square, product, ridge.penalty)


def predicted(own: Design, part: slice, coefficients: FloatArray) -> FloatArray:
    """Return the log variance forecasts of some rows, never further from the month's than by a factor of 100."""
    relative = np.einsum("ij,j->i", own.x[part], coefficients)  # row by row: the same however many rows there are
    return np.asarray(own.base[part] + np.clip(relative, np.log(FLOOR), -np.log(FLOOR)))


def _solved(square: FloatArray, product: FloatArray, penalty: float) -> FloatArray:
    total = square[0, 0]  # the constant is the first regressor
    if total < LEAST_WEIGHT:
        return np.full(product.size, np.nan)
    ridge = penalty * square.diagonal() / total
    ridge[0] = 0.0
    ridge[ridge == 0.0] = 1e-9 * total  # a regressor that is never known, and next to nothing for the constant
    return np.asarray(np.linalg.solve(square + np.diag(ridge), product))


def _rows(
    own: Design, design: Design, weight: float, horizon: int
) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    """Return (x, z, weight, usable) of one instrument; a target of several bars is known with the last of them."""
    z = design.over(horizon)
    known = np.r_[design.known_at[horizon - 1 :], np.repeat(design.known_at[-1:], min(horizon - 1, z.size))][: z.size]
    usable = np.searchsorted(own.as_of, known)
    return _columns(own, design), z, np.full(z.size, weight), usable


def _columns(own: Design, design: Design) -> FloatArray:
    """Return the regressors of another instrument in the order of ``own``; zero where it has none of that name."""
    if design.names == own.names:
        return design.x[:-1]
    place = {name: column for column, name in enumerate(design.names)}
    x = np.zeros((design.x.shape[0] - 1, len(own.names)))
    for column, name in enumerate(own.names):
        if name in place:
            x[:, column] = design.x[:-1, place[name]]
    return x
