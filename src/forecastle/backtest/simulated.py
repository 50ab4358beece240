"""What came out of the engine, before anyone judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecastle.nouns.order import Fill, FillCause

FloatArray = npt.NDArray[np.float64]
COSTS = ("fees", "slippage", "funding", "borrowing", "interest", "liquidation_fees", "insurance")
"""Money over the whole run; ``insurance`` is what the venue bore, and the only one that is a gain."""
FILL = ("order", "bar", "instrument", "quantity", "price", "fee", "slippage", "liquidation_fee", "cause", "maker")
ORDER = ("bar", "instrument", "quantity", "kind", "limit", "trigger", "status", "reason", "filled", "ended", "parent")


@dataclass(frozen=True, eq=False)
class Simulated:
    """Equity (bars,) at each close, positions (bars, instruments) in units, the margin ratio (bars,).

    ``fills`` has one row a fill, in the order in which they happened, and the columns of :data:`FILL`; ``orders`` one
    row an order, by number, with the columns of :data:`ORDER` (``parent``: the order whose bracket it is, -1 for none;
    ``kind`` as it was asked). ``costs`` are those of :data:`COSTS`, ``not_made`` the wishes that made no order by
    reason, ``calls`` and ``liquidations`` how often.
    """

    equity: FloatArray
    position: FloatArray
    margin_ratio: FloatArray
    fills: FloatArray
    orders: FloatArray
    costs: Mapping[str, float]
    not_made: Mapping[int, int]
    calls: int
    liquidations: int

    def fill_list(self) -> list[Fill]:
        """Return the fills as objects."""
        return [
            Fill(int(r[0]), int(r[1]), int(r[2]), r[3], r[4], r[5], r[6], r[7], FillCause(int(r[8])), bool(r[9]))
            for r in self.fills.tolist()
        ]

    def column(self, name: str) -> FloatArray:
        """Return one column of the fills."""
        return self.fills[:, FILL.index(name)]

    def order_column(self, name: str) -> FloatArray:
        """Return one column of the orders."""
        return self.orders[:, ORDER.index(name)]
