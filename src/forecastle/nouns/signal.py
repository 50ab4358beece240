"""Signals: what a strategy wishes at the close of a bar. A wish is not a trade."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Measure = Literal["weight", "units", "cash"]
BRACKET = ("stop", "take", "stop_share", "take_share", "trail_share")


@dataclass(frozen=True)
class Signal:
    """The wish for one instrument at one close.

    ``weight`` is the share of equity wished (-1 to 1 times leverage); ``kind`` market, limit, stop or stop_limit with
    its prices; ``stop`` and ``take`` are prices of the bracket, the shares are distances from the fill in decimals.
    """

    weight: float
    kind: str = "market"
    limit: float | None = None
    trigger: float | None = None
    tif: str = "gtc"
    stop: float | None = None
    take: float | None = None
    stop_share: float | None = None
    take_share: float | None = None
    trail_share: float | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Signals:
    """The wishes of a strategy, each array of shape (bars, instruments); NaN in ``target`` is no wish.

    ``target`` is what the position shall be after the close of the row: a share of equity (``weight``), ``units``, or
    money (``cash``). The other arrays are None where nothing of them is wished; ``kind`` and ``tif`` are the numbers
    of :class:`~forecastle.nouns.order.OrderKind` and :class:`~forecastle.nouns.order.TimeInForce`. ``reasons`` says in
    words why, by row, for those that have any.
    """

    target: FloatArray
    measure: Measure = "weight"
    kind: IntArray | None = None
    limit: FloatArray | None = None
    trigger: FloatArray | None = None
    tif: IntArray | None = None
    stop: FloatArray | None = None
    take: FloatArray | None = None
    stop_share: FloatArray | None = None
    take_share: FloatArray | None = None
    trail_share: FloatArray | None = None
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Return how many wishes there are."""
        return int(np.isfinite(self.target).sum())
