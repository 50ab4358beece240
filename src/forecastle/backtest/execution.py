"""How orders meet the market: when, how much of it, and in which order a bar is believed to have moved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from forecastle.errors import NameUnknown, RequestInvalid

Intrabar = Literal["worst", "best"]
MOST_LATE = 10_000


@dataclass(frozen=True)
class Execution:
    """``latency`` in bars beyond the next one; ``participation`` the largest share of a bar's volume (0: no limit).

    ``band`` in shares of equity; ``lot`` in units (0: any quantity); ``smallest`` notional of an order. Raises
    ``RequestInvalid``, ``NameUnknown``.
    """

    latency: int = 0
    participation: float = 0.0
    band: float = 0.0
    lot: float = 0.0
    smallest: float = 0.0
    intrabar: Intrabar = "worst"
    close_at_end: bool = False

    def __post_init__(self) -> None:
        if self.intrabar not in get_args(Intrabar):
            raise NameUnknown("order within the bar", self.intrabar, get_args(Intrabar))
        if not 0 <= self.latency <= MOST_LATE:
            raise RequestInvalid(f"The latency is {self.latency} bars.", f"It lies within 0 to {MOST_LATE}.",
                                 "0 fills from the next bar on.")  # fmt: skip
        for name in ("participation", "band", "lot", "smallest"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise RequestInvalid(
                    f"{name} is {value:g}.", "It is finite and not negative.", "Give zero to leave it out."
                )
        if self.participation > 1.0:
            raise RequestInvalid(f"participation is {self.participation:g}.", "It is a share of the volume of a bar.",
                                 "Ten per cent are 0.1; 0 is no limit.")  # fmt: skip
