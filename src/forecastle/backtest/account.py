"""The account: how much may be held, what has to be kept, and when the venue closes the position."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from forecastle.errors import NameUnknown, RequestInvalid

AccountKind = Literal["cash", "cross", "isolated"]


@dataclass(frozen=True)
class Tier:
    """What a venue asks of a position whose notional is at or above ``floor``, in the quote currency.

    Maintenance is ``rate * notional - deduction``; the deductions make it one line without a step. ``leverage`` is the
    largest that may be used in the tier.
    """

    floor: float
    rate: float
    deduction: float
    leverage: float


NO_TIER = (Tier(0.0, 0.0, 0.0, math.inf),)


@dataclass(frozen=True)
class Account:
    """Cash to begin with, in the quote currency, and the rules of margin.

    ``cash`` holds no more than it can pay for and never goes short; ``cross`` backs all positions with all equity,
    ``isolated`` each with its own margin. ``liquidation_fee`` is a share of the notional liquidated, ``call_at`` the
    ratio of maintenance to equity from which a bar counts as a margin call. Raises ``RequestInvalid``, ``NameUnknown``.
    """

    cash: float = 100_000.0
    kind: AccountKind = "cash"
    leverage: float = 1.0
    tiers: tuple[Tier, ...] = NO_TIER
    liquidation_fee: float = 0.0
    call_at: float = 0.8

    def __post_init__(self) -> None:
        if self.kind not in get_args(AccountKind):
            raise NameUnknown("kind of account", self.kind, get_args(AccountKind))
        if not (math.isfinite(self.cash) and self.cash > 0.0):
            raise RequestInvalid(f"The account begins with {self.cash:g}.", "Nothing can be traded with it.",
                                 "Give cash above zero.")  # fmt: skip
        most = max(tier.leverage for tier in self.tiers)
        if self.kind == "cash" and self.leverage != 1.0:
            raise RequestInvalid(f"A cash account has a leverage of {self.leverage:g}.", "It lends nothing.",
                                 "Leave leverage at 1, or choose kind: cross or isolated.")  # fmt: skip
        if not (math.isfinite(self.leverage) and self.leverage > 0.0) or self.leverage > most:
            raise RequestInvalid(
                f"The leverage is {self.leverage:g}.", f"The venue allows up to {most:g}.", "Choose less."
            )
        floors = [tier.floor for tier in self.tiers]
        if floors[0] != 0.0 or floors != sorted(set(floors)):
            raise RequestInvalid("The tiers of maintenance do not rise from 0.", f"Their floors are {floors}.",
                                 "Sort them by floor, the first at 0.")  # fmt: skip
        if not 0.0 <= self.liquidation_fee < 1.0 or not 0.0 < self.call_at <= 1.0:
            raise RequestInvalid(
                f"liquidation_fee is {self.liquidation_fee:g}, call_at {self.call_at:g}.",
                "The fee is a share from 0 to below 1, the call lies above 0 and not above 1.", "Mend them.",
            )  # fmt: skip
