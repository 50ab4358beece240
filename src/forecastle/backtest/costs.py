"""What trading costs: fees of a venue, slippage, funding, borrowing."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from forecastle.errors import RequestInvalid

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Costs:
    """Shares are decimals of the notional (0.001 is 10 bps); what each one is: docs/backtest_rules.md.

    ``funding`` has shape (bars, instruments): the rate due at the open of a bar, 0 where none is; None for none.
    ``borrow`` and ``interest`` are rates a bar. Raises ``RequestInvalid`` where one is negative or not finite: a
    rebate would let a backtest earn by trading nothing.
    """

    maker: float = 0.0
    taker: float = 0.0
    fee_per_unit: float = 0.0
    smallest_fee: float = 0.0
    half_spread: float = 0.0
    volatility_multiple: float = 0.0
    linear_impact: float = 0.0
    square_root_impact: float = 0.0
    borrow: float = 0.0
    interest: float = 0.0
    funding: FloatArray | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "funding" and not (math.isfinite(value) and value >= 0.0):
                raise RequestInvalid(f"The cost {field.name} is {value:g}.", "A cost is finite and not negative.",
                                     "Give zero for none.")  # fmt: skip
        if self.maker >= 1.0 or self.taker >= 1.0 or self.half_spread >= 0.5:
            raise RequestInvalid(
                f"maker {self.maker:g}, taker {self.taker:g}, half_spread {self.half_spread:g}: that is all of it.",
                "They are decimals of the notional.", "Ten basis points are 0.001.",
            )  # fmt: skip
