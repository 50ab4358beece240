"""Orders and fills: what may be asked of a market, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class OrderKind(IntEnum):
    """What makes an order a trade."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING = 4
    TAKE = 5


class TimeInForce(IntEnum):
    """How long an order lives: until cancelled, for the first open only, or until the end of the day."""

    GTC = 0
    IOC = 1
    DAY = 2


class OrderStatus(IntEnum):
    """Where an order stands; one that was filled in part and then ended is not ``FILLED``."""

    WORKING = 0
    FILLED = 1
    CANCELLED = 2
    REJECTED = 3
    EXPIRED = 4


class OrderReason(IntEnum):
    """Why an order ended before it was filled, or why a wish made none: docs/backtest_rules.md."""

    NONE = 0
    REPLACED = 1
    OCO = 2
    FLAT = 3
    LIQUIDATED = 4
    REDUCED = 5
    MARGIN = 6
    SHORT = 7
    SMALL = 8
    MANY = 9
    RUINED = 10
    TIME = 11
    END = 12
    NO_POSITION = 13
    BAND = 14
    THERE_ALREADY = 15
    ABSENT = 16


class FillCause(IntEnum):
    """What made a fill: the kind of the order, or a liquidation, or the end of the backtest."""

    MARKET = 0
    LIMIT = 1
    STOP = 2
    STOP_LIMIT = 3
    TRAILING = 4
    TAKE = 5
    LIQUIDATION = 6
    END = 7


def _empty() -> FloatArray:
    return np.empty(0)


@dataclass(frozen=True, eq=False)
class OrderTable:
    """Orders by themselves, sorted by ``bar``, the bar at whose close they are decided; each column has shape (m,).

    ``quantity`` is signed, a buy above zero; prices are in the quote currency, NaN where an order has none;
    ``trail`` and the shares are decimals of a price. ``oco`` is a group above 0, 0 for none.
    """

    bar: IntArray
    instrument: IntArray
    quantity: FloatArray
    kind: IntArray
    limit: FloatArray
    trigger: FloatArray
    trail: FloatArray
    tif: IntArray
    reduce_only: IntArray
    oco: IntArray
    stop: FloatArray
    take: FloatArray
    stop_share: FloatArray
    take_share: FloatArray
    trail_share: FloatArray

    def __len__(self) -> int:
        return int(self.bar.size)

    @classmethod
    def none(cls) -> OrderTable:
        """Return a table without an order."""
        return cls.of([])

    @classmethod
    def of(cls, rows: list[dict[str, float]]) -> OrderTable:
        """Return a table of rows; what a row does not say is: instrument 0, a GTC market order without bracket."""
        whole = ("bar", "instrument", "kind", "tif", "reduce_only", "oco")
        usual = {"instrument": 0, "kind": OrderKind.MARKET, "tif": TimeInForce.GTC, "reduce_only": 0, "oco": 0}
        ordered = sorted(rows, key=lambda row: row["bar"])
        made: dict[str, Any] = {
            name: np.array([row.get(name, usual.get(name, np.nan)) for row in ordered],
                           dtype=np.int64 if name in whole else np.float64)
            for name in cls.__dataclass_fields__
        }  # fmt: skip
        return cls(**made)


@dataclass(frozen=True)
class Fill:
    """A trade of an order: later than the order and inside its bar.

    ``price`` is executed inside the bar, ``slippage``, ``fee`` and ``liquidation_fee`` are money beside it; ``order``
    is the number of the order, -1 for a liquidation or the end.
    """

    order: int
    bar: int
    instrument: int
    quantity: float
    price: float
    fee: float
    slippage: float
    liquidation_fee: float
    cause: FillCause
    maker: bool
