"""What venues charge and ask for: round figures of their published schedules for the smallest customer.

Schedules change and differ by country and volume: a configuration can say its own. Each line names where it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forecastle.backtest.account import NO_TIER, Tier
from forecastle.errors import NameUnknown


@dataclass(frozen=True)
class Venue:
    """Fees in basis points of the notional or in the quote currency a unit, and margin; ``source`` of the figures."""

    maker_bps: float
    taker_bps: float
    source: str
    fee_per_unit: float = 0.0
    smallest_fee: float = 0.0
    tiers: tuple[Tier, ...] = NO_TIER
    liquidation_fee_bps: float = 0.0
    shorts: bool = False


def tiers_of(rows: list[tuple[float, float, float]]) -> tuple[Tier, ...]:
    """Return tiers of (floor, rate, leverage): each deduction makes maintenance one line without a step."""
    made: list[Tier] = []
    for floor, rate, leverage in rows:
        deduction = 0.0 if not made else made[-1].deduction + floor * (rate - made[-1].rate)
        made.append(Tier(floor, rate, deduction, leverage))
    return tuple(made)


BTC_PERPETUAL = tiers_of([
    (0.0, 0.004, 125.0), (50_000.0, 0.005, 100.0), (600_000.0, 0.0065, 75.0), (3_000_000.0, 0.01, 50.0),
    (12_000_000.0, 0.02, 25.0), (70_000_000.0, 0.025, 20.0), (100_000_000.0, 0.05, 10.0),
])  # fmt: skip
REG_T = (Tier(0.0, 0.25, 0.0, 2.0),)
_BINANCE = "binance.com, fee schedule of regular users, and leverage and margin of USD-M futures for BTCUSDT"
VENUES: Mapping[str, Venue] = {
    "none": Venue(0.0, 0.0, "no fees: for comparisons only"),
    "binance": Venue(10.0, 10.0, _BINANCE),
    "binance_futures": Venue(2.0, 5.0, _BINANCE, tiers=BTC_PERPETUAL, liquidation_fee_bps=125.0, shorts=True),
    "kraken": Venue(25.0, 40.0, "kraken.com, spot fee schedule below 10,000 USD in 30 days"),
    "coinbase": Venue(40.0, 60.0, "coinbase.com, Advanced fees below 10,000 USD in 30 days"),
    "bybit": Venue(10.0, 10.0, "bybit.com, spot fees of non-VIP users"),
    "okx": Venue(8.0, 10.0, "okx.com, spot fees of regular users, level 1"),
    "interactive_brokers": Venue(0.0, 0.0, "interactivebrokers.com, US stocks, fixed prices",
                                 fee_per_unit=0.005, smallest_fee=1.0, tiers=REG_T, shorts=True),
    "zero_commission": Venue(0.0, 0.0, "brokers without commission; the spread is what it costs", tiers=REG_T,
                             shorts=True),
}  # fmt: skip


def venue_of(name: str) -> Venue:
    """Return a venue; raises ``NameUnknown`` with the nearest."""
    if name not in VENUES:
        raise NameUnknown("venue", name, VENUES)
    return VENUES[name]
