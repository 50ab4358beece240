"""Costs and margin by hand: each cost alone and where two meet, each rule of the account.

The account holds 1000 in cash; candles are open, high, low, close and, where it matters, volume.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backtest.tables_made import (
    CASH,
    NAN,
    Engine,
    causes_of,
    cross,
    ends_of,
    expect,
    isolated,
    market_of,
    order,
    play,
    still,
    wishes,
)
from forecastle.backtest import Account, Costs, Execution, Tier, simulate

FLAT = still(100, 3)
FIFTH = (Tier(0.0, 0.2, 0.0, 10.0),)
"""A fifth of the notional has to be kept."""
TWO = (Tier(0.0, 0.1, 0.0, 10.0), Tier(1000.0, 0.2, 100.0, 5.0))
"""A tenth below 1000, from there a fifth less 100: at 1000 both are 100."""
INFINITE = float("inf")


# --- costs of a fill -------------------------------------------------------------------------------------------------


def test_a_taker_and_a_maker_pay_their_share(engine: Engine) -> None:
    rows = [order(0, 2), order(0, -2, "limit", limit=110)]
    out = play(engine, [*FLAT, (105, 111, 104, 108)], rows, costs=Costs(maker=0.0005, taker=0.001))
    # 0.001 * 200 = 0.2 and 0.0005 * 220 = 0.11; the gain is 20
    expect(out, equity=[1000, 999.8, 999.8, 1019.69], fees=0.31)
    assert out.column("maker").tolist() == [0, 1]
    np.testing.assert_allclose(out.column("fee"), [0.2, 0.11], rtol=1e-12)


def test_a_fee_a_unit_and_a_smallest_fee(engine: Engine) -> None:
    both = Costs(taker=0.001, fee_per_unit=0.5)
    expect(play(engine, FLAT, [order(0, 2)], costs=both), equity=[1000, 998.8, 998.8], fees=1.2)
    small = Costs(taker=0.001, fee_per_unit=0.5, smallest_fee=3.0)
    # 1.2 is less than 3; of 8 units 0.8 + 4 = 4.8 are more
    expect(play(engine, FLAT, [order(0, 2)], costs=small), equity=[1000, 997, 997], fees=3)
    expect(play(engine, FLAT, [order(0, 8)], costs=small), equity=[1000, 995.2, 995.2], fees=4.8)


def test_the_smallest_fee_is_due_at_each_fill(engine: Engine) -> None:
    bars = [(100, 100, 100, 100, 16)] * 4
    out = play(engine, bars, [order(0, 6)], costs=Costs(smallest_fee=3.0), execution=Execution(participation=0.125))
    expect(out, fills=[(1, 2, 100), (2, 2, 100), (3, 2, 100)], equity=[1000, 997, 994, 991], fees=9)


def test_the_spread_is_paid_by_who_takes(engine: Engine) -> None:
    """Half of it is 1 %: a buyer pays 2 beside the price, and the fee on 202; a seller gets 2 less, the fee on 198."""
    costs = Costs(taker=0.001, half_spread=0.01)
    out = play(engine, FLAT, [order(0, 2), order(1, -2)], costs=costs)
    expect(out, fills=[(1, 2, 100), (2, -2, 100)], equity=[1000, 997.798, 995.6], fees=0.4, slippage=4)
    np.testing.assert_allclose(out.column("fee"), [0.202, 0.198], rtol=1e-12)


def test_who_waits_pays_no_spread(engine: Engine) -> None:
    """Nor does a limit order that takes the open: it names its price."""
    rows = [order(0, 2, "limit", limit=99), order(0, 2, "limit", limit=101)]
    out = play(engine, [*still(100), (100, 100, 98, 99)], rows, costs=Costs(maker=0.001, taker=0.01, half_spread=0.1))
    # number 1 takes the open of 100, taker; number 0 waits until 99: fees 2 and 0.198
    expect(out, fills=[(1, 2, 100), (1, 2, 99)], fees=2.198)


@pytest.mark.parametrize("kind", ["stop", "stop_limit", "trailing"])
def test_what_a_stop_pays(engine: Engine, kind: str) -> None:
    """A stop and a trailing stop sell at any price and pay the spread; a stop-limit names one."""
    beside: dict[str, dict[str, Any]] = {
        "stop": {"trigger": 98},
        "stop_limit": {"trigger": 98, "limit": 90},
        "trailing": {"trail": 0.02},
    }
    rows = [order(0, 2), order(1, -2, kind, **beside[kind])]
    out = play(engine, [*still(100, 2), (100, 100, 97, 97)], rows, costs=Costs(half_spread=0.01))
    # 2 * 100 * 1 % = 2 at the entry, 2 * 98 * 1 % = 1.96 at the stop
    expect(out, fills=[(1, 2, 100), (2, -2, 98)], slippage=2 if kind == "stop_limit" else 3.96)


def test_volatility_is_that_known_at_the_close_before(engine: Engine) -> None:
    """Half of 2 %, known at the close of bar 0, and not the 90 % of the bar of the fill."""
    out = play(engine, FLAT, [order(0, 2)], costs=Costs(volatility_multiple=0.5), sigma=[0.02, 0.9, 0.9])
    expect(out, equity=[1000, 998, 998], slippage=2)


def test_an_unknown_volatility_costs_nothing() -> None:
    """The page of the engine says that NaN counts as zero; the twin is never given one."""
    out = play(simulate, FLAT, [order(0, 2)], costs=Costs(volatility_multiple=0.5), sigma=[NAN, 0.9, 0.9])
    expect(out, equity=[1000, 1000, 1000], slippage=0)


@pytest.mark.parametrize(
    ("volume", "slippage"),
    [(20, 2), (1, 20), (0, 20)],
)
def test_impact_grows_with_the_share_of_the_volume(engine: Engine, volume: float, slippage: float) -> None:
    """2 of 20 are a tenth: a tenth of 0.1 is 1 %. Beyond all of it, or of none, it is 0.1."""
    bars = [*still(100), (100, 100, 100, 100, volume)]
    out = play(engine, bars, [order(0, 2)], costs=Costs(linear_impact=0.1))
    expect(out, equity=[1000, 1000 - slippage], slippage=slippage)


def test_impact_by_the_square_root(engine: Engine) -> None:
    """2 of 50 are 0.04, the root 0.2: 2.5 * 0.02 * 0.2 = 1 %."""
    bars = [*still(100), (100, 100, 100, 100, 50)]
    out = play(engine, bars, [order(0, 2)], costs=Costs(square_root_impact=2.5), sigma=[0.02, NAN])
    expect(out, equity=[1000, 998], slippage=2)


def test_parts_of_slippage_add_up_to_a_half_at_most(engine: Engine) -> None:
    """1 % + 0.5 * 2 % + 0.1 * 0.04 + 2.5 * 0.02 * 0.2 = 3.4 % of 200."""
    bars = [*still(100), (100, 100, 100, 100, 50)]
    costs = Costs(half_spread=0.01, volatility_multiple=0.5, linear_impact=0.1, square_root_impact=2.5)
    expect(play(engine, bars, [order(0, 2)], costs=costs, sigma=[0.02, NAN]), slippage=6.8, fees=0)
    huge = Costs(linear_impact=100.0)
    expect(play(engine, bars, [order(0, 2)], costs=huge), equity=[1000, 900], slippage=100)


def test_costs_of_a_part_are_those_of_the_part(engine: Engine) -> None:
    """4 asked, 2 a bar of 16: v is 2 / 16, and 8 % of that 1 %."""
    bars = [(100, 100, 100, 100, 16)] * 3
    costs, execution = Costs(linear_impact=0.08), Execution(participation=0.125)
    out = play(engine, bars, [order(0, 4)], costs=costs, execution=execution)
    expect(out, fills=[(1, 2, 100), (2, 2, 100)], equity=[1000, 998, 996], slippage=4)


# --- costs of holding ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "account"), [(1, CASH), (-1, cross())])
def test_funding_is_due_at_the_open_on_what_was_carried_in(engine: Engine, side: int, account: Account) -> None:
    """Opened at the open of bar 1: its 50 % are not due. Bar 2 opens at 110: 1 % of 220. Closed at the open of bar 3:
    carried in, 2 % of 240 are due. A short receives what a long pays."""
    bars = [*still(100, 2), (110, 110, 105, 105), (120, 120, 120, 120), *still(120)]
    funding = np.array([[0.5], [0.5], [0.01], [0.02], [0.5]])
    out = play(engine, bars, [order(0, 2 * side), order(2, -2 * side)], account, Costs(funding=funding))
    # 1000 + 2 * 5 - 2.2, then 1000 + 2 * 20 - 2.2 - 4.8
    wanted = [0, 0, 10 - 2.2, 40 - 7, 40 - 7]
    expect(out, equity=[1000 + side * gain for gain in wanted], funding=side * 7.0)


def test_borrowing_is_paid_by_a_short_for_each_bar_carried_in(engine: Engine) -> None:
    bars = [*still(100, 2), (110, 110, 105, 105), (120, 120, 120, 120)]
    out = play(engine, bars, [order(0, -2)], cross(), Costs(borrow=0.01))
    # cash 1200; bar 2: 1 % of 220, bar 3: 1 % of 240
    expect(out, equity=[1000, 1000, 987.8, 955.4], borrowing=4.6)
    expect(play(engine, bars, [order(0, 2)], cross(), Costs(borrow=0.01)), borrowing=0)


def test_interest_is_paid_on_what_is_owed(engine: Engine) -> None:
    """15 at 100 on 1000: 500 are owed; 1 % of them are 5, then 1 % of 505."""
    out = play(engine, still(100, 4), [order(0, 15)], cross(2.0), Costs(interest=0.01))
    expect(out, equity=[1000, 1000, 995, 989.95], interest=10.05)


def test_interest_comes_after_the_other_charges(engine: Engine) -> None:
    """Short 5 of one, long 15 of the other at 100: cash 0. Funding of 10 on the long, 5 borrowing: 1 % of 15."""
    market = market_of(still(100, 3), still(100, 3))
    funding = np.array([[0, 0], [0, 0], [0, 0.01]])
    rows = [order(0, -5), order(0, 15, instrument=1)]
    out = play(engine, market, rows, cross(3.0), Costs(borrow=0.01, interest=0.01, funding=funding))
    # cash 1000 + 500 - 1500 = 0; at bar 2: -15 - 5 = -20; interest 0.2
    expect(out, equity=[1000, 1000, 979.8], funding=15, borrowing=5, interest=0.2)


def test_nothing_is_charged_while_nothing_trades(engine: Engine) -> None:
    """Bar 2 is missing: no borrowing, no interest; in a market of two, interest is due once the other is there."""
    bars = [*still(100, 2), None, *still(100)]
    costs = Costs(borrow=0.01, interest=0.01)
    expect(play(engine, bars, [order(0, 15)], cross(2.0), costs), equity=[1000, 1000, 1000, 995], interest=5)
    expect(play(engine, bars, [order(0, -2)], cross(2.0), costs), equity=[1000, 1000, 1000, 998], borrowing=2)
    two = market_of(bars, still(50, 4))
    expect(play(engine, two, [order(0, 15)], cross(2.0), costs), equity=[1000, 1000, 995, 989.95], interest=10.05)


# --- what can be paid ------------------------------------------------------------------------------------------------


def test_a_cash_account_buys_what_it_can_pay(engine: Engine) -> None:
    out = play(engine, FLAT, [order(0, 20), order(1, 1)])
    expect(out, fills=[(1, 10, 100)], equity=[1000] * 3, ends=["cancelled reduced", "rejected margin"])


def test_costs_have_to_be_paid_too(engine: Engine) -> None:
    """x * 100 * 1.01 = 1000: x = 1000 / 101, and the fee is 1000 - 100 x."""
    out = play(engine, FLAT, [order(0, 20)], costs=Costs(taker=0.01))
    expect(out, fills=[(1, 1000 / 101, 100)], fees=1000 - 100000 / 101, ends=["cancelled reduced"])
    assert abs(out.equity[1] - 100000 / 101) < 1e-9


def test_leverage_buys_more_than_there_is(engine: Engine) -> None:
    """3 * 1000 at 100 are 30; with 1 % of costs 3000 / (100 * 1.03)."""
    expect(play(engine, FLAT, [order(0, 99)], cross(3.0)), fills=[(1, 30, 100)], ends=["cancelled reduced"])
    out = play(engine, FLAT, [order(0, -99)], cross(3.0), Costs(taker=0.01))
    expect(out, fills=[(1, -3000 / 103, 100)], ends=["cancelled reduced"])


def test_half_a_leverage_keeps_half(engine: Engine) -> None:
    expect(play(engine, FLAT, [order(0, 99)], cross(0.5)), fills=[(1, 5, 100)])


def test_what_is_held_of_others_counts(engine: Engine) -> None:
    """3 * 1000 less the 2000 of the short: 10 more at 100; prices of bar 2 count, where the short is 2400."""
    market = market_of(still(100, 3), [*still(50, 2), (60, 60, 60, 60)])
    rows = [order(0, -40, instrument=1), order(1, 99)]
    out = play(engine, market, rows, cross(3.0))
    # equity at the open of bar 2: 1000 - 40 * 10 = 600: 1800 is less than the 2400 that are held: nothing
    expect(out, fills=[(1, 1, -40, 50)], ends=["filled", "rejected margin"])
    flat = play(engine, market_of(still(100, 3), still(50, 3)), rows, cross(3.0))
    expect(flat, fills=[(1, 1, -40, 50), (2, 0, 10, 100)], ends=["filled", "cancelled reduced"])


def test_an_isolated_account_pays_margins(engine: Engine) -> None:
    """A quarter of 1000 is bound by 10 at 100; at 110 its gain of 100 is bound too: 750 are left, 750 * 4 / 50 = 60."""
    market = market_of([*still(100, 2), (110, 110, 110, 110)], still(50, 3))
    out = play(engine, market, [order(0, 10), order(1, 99, instrument=1)], isolated(4.0))
    expect(out, fills=[(1, 0, 10, 100), (2, 1, 60, 50)], ends=["filled", "cancelled reduced"])
    cost = play(engine, market, [order(0, 10), order(1, 99, instrument=1)], isolated(4.0), Costs(taker=0.01))
    # the first fee of 10 leaves 740; 740 / (50 * (1 / 4 + 0.01)) = 740 / 13
    expect(cost, fills=[(1, 0, 10, 100), (2, 1, 740 / 13, 50)])


def test_what_reduces_at_an_open_is_done_first(engine: Engine) -> None:
    """All of it in the second; the wish to change comes to the first by number, and is paid for by the sale."""
    market = market_of(still(100, 3), still(50, 3))
    out = play(engine, market, wishes([NAN, 20], [10, 0], [NAN, NAN]))
    expect(out, fills=[(1, 1, 20, 50), (2, 1, -20, 50), (2, 0, 10, 100)], ends=["filled"] * 3)


def test_a_cash_account_never_goes_short(engine: Engine) -> None:
    rows = [order(0, -1), order(1, 3), order(2, -5)]
    out = play(engine, still(100, 4), rows)
    expect(out, fills=[(2, 3, 100), (3, -3, 100)], ends=["rejected short", "filled", "cancelled reduced"])


def test_a_flip_through_zero_is_one_fill(engine: Engine) -> None:
    """Long 5, sell 8 at 110: the fee is on all of it, the average entry of the short is 110."""
    bars = [*still(100, 2), (110, 110, 110, 110), (112, 112, 112, 112)]
    out = play(engine, bars, [order(0, 5, stop=90), order(1, -8, stop=130)], cross(2.0), Costs(taker=0.01))
    # fees 5 and 8.8; 1000 + 50 - 13.8; short 3 lose 6
    expect(out, fills=[(1, 5, 100), (2, -8, 110)], equity=[1000, 995, 1036.2, 1030.2], fees=13.8)
    assert out.position[:, 0].tolist() == [0, 5, -3, -3]
    # bracket of the long: flat; that of the short: for 3
    assert ends_of(out) == ["filled", "cancelled flat", "filled", "working"]
    assert out.order_column("quantity").tolist() == [5, -5, -8, 3]


def test_a_flip_that_cannot_be_paid_closes_at_least(engine: Engine) -> None:
    """Long 5 and then short up to 1000 / 100 = 10: 15 of the 99 asked."""
    out = play(engine, FLAT, [order(0, 5), order(1, -99)], cross())
    expect(out, fills=[(1, 5, 100), (2, -15, 100)], ends=["filled", "cancelled reduced"])
    # bought for 2000 at 100, and 55 at bar 2 leave 1000 - 900 = 100: 20 to close, 100 * 2 / 55 opened
    deep = play(engine, [*still(100, 2), (55, 55, 55, 55)], [order(0, 20), order(1, -99)], cross(2.0))
    expect(deep, fills=[(1, 20, 100), (2, -20 - 200 / 55, 55)])


# --- liquidation -----------------------------------------------------------------------------------------------------


def test_a_cross_account_is_liquidated_where_equity_meets_maintenance(engine: Engine) -> None:
    """25 at 100 on 1000: cash -1500. 25 p - 1500 = 0.2 * 25 p gives p = 75; 375 are left."""
    out = play(engine, [*still(100, 2), (90, 95, 70, 72)], [order(0, 25)], cross(4.0, tiers=FIFTH))
    expect(out, fills=[(1, 25, 100), (2, -25, 75)], equity=[1000, 1000, 375])
    assert causes_of(out) == ["market", "liquidation"]
    assert (out.liquidations, out.calls) == (1, 1)
    assert out.column("order").tolist() == [0, -1]


def test_a_short_is_liquidated_above(engine: Engine) -> None:
    """25 at 100, a quarter kept: 3500 - 25 p = 6.25 p gives p = 112; 700 are left."""
    tiers = (Tier(0.0, 0.25, 0.0, 10.0),)
    out = play(engine, [*still(100, 2), (105, 115, 100, 101)], [order(0, -25)], cross(3.0, tiers=tiers))
    expect(out, fills=[(1, -25, 100), (2, 25, 112)], equity=[1000, 1000, 700])


def test_a_gap_beyond_the_liquidation_is_liquidated_at_the_open(engine: Engine) -> None:
    out = play(engine, [*still(100, 2), (70, 95, 65, 90)], [order(0, 25)], cross(4.0, tiers=FIFTH))
    expect(out, fills=[(1, 25, 100), (2, -25, 70)], equity=[1000, 1000, 250])


def test_what_a_liquidation_costs(engine: Engine) -> None:
    """Of 1875: 2 % to the venue, 1 % of slippage, and 0.1 % fee on what is left of it; the entry cost 25 and 2.525."""
    costs = Costs(taker=0.001, half_spread=0.01)
    account = Account(1027.525, "cross", 4.0, FIFTH, 0.02)
    out = play(engine, [*still(100, 2), (90, 95, 70, 72)], [order(0, 25)], account, costs)
    expect(
        out, fills=[(1, 25, 100), (2, -25, 75)], equity=[1027.525, 1000, 375 - 37.5 - 18.75 - 1.85625],
        fees=2.525 + 1.85625, slippage=25 + 18.75, liquidation_fees=37.5,
    )  # fmt: skip


@pytest.mark.parametrize(("stop", "price"), [(70, 75), (75, 75), (80, 80)])
def test_a_liquidation_before_the_stop(engine: Engine, stop: float, price: float) -> None:
    """At the same price the venue is first, and all orders die; a stop above is what it is for."""
    rows = [order(0, 25, stop=stop), order(1, 1, "limit", limit=50)]
    out = play(engine, [*still(100, 2), (90, 95, 60, 72)], rows, cross(4.0, tiers=FIFTH))
    expect(out, fills=[(1, 25, 100), (2, -25, price)])
    dead = ["cancelled liquidated", "cancelled liquidated"]
    assert ends_of(out) == ["filled", *(["filled", "working"] if stop == 80 else dead)]
    assert out.liquidations == (stop != 80)


def test_a_liquidation_cancels_what_is_not_active_yet(engine: Engine) -> None:
    """Decided at bar 1 with a latency of 2: dead in bar 2, as all of the instrument are, and no other."""
    rows = [order(0, 25), order(3, 1), order(3, 1, "limit", limit=5, instrument=1)]
    market = market_of([*still(100, 4), (90, 95, 70, 72), *still(72, 3)], still(10, 8))
    out = play(engine, market, rows, cross(4.0, tiers=FIFTH), execution=Execution(latency=2))
    expect(out, ends=["filled", "cancelled liquidated", "working"])


def test_a_liquidation_is_not_cut_by_the_volume(engine: Engine) -> None:
    bars = [*still(100, 2), (90, 95, 70, 72, 4)]
    out = play(engine, bars, [order(0, 25)], cross(4.0, tiers=FIFTH), execution=Execution(participation=0.25))
    expect(out, fills=[(1, 25, 100), (2, -25, 75)])


def test_an_isolated_position_has_its_own_margin(engine: Engine) -> None:
    """10 at 100, margin 250: 250 + 10 (p - 100) = 2 p gives p = 93.75; all the other cash does not help."""
    out = play(engine, [*still(100, 2), (98, 99, 90, 99)], [order(0, 10)], isolated(4.0, tiers=FIFTH))
    expect(out, fills=[(1, 10, 100), (2, -10, 93.75)], equity=[1000, 1000, 937.5], ends=["filled"])


def test_an_isolated_short(engine: Engine) -> None:
    """250 + 10 (100 - p) = 2 p gives p = 1250 / 12."""
    out = play(engine, [*still(100, 2), (101, 110, 100, 101)], [order(0, -10)], isolated(4.0, tiers=FIFTH))
    expect(out, fills=[(1, -10, 100), (2, 10, 1250 / 12)], equity=[1000, 1000, 1000 - 250 / 6])


def test_margin_grows_with_what_is_added(engine: Engine) -> None:
    """10 at 100 and 10 at 96: margin 490, entry 98: 490 + 20 (p - 98) = 4 p gives p = 91.875."""
    bars = [*still(100, 2), *still(96), (96, 97, 91, 95)]
    out = play(engine, bars, [order(0, 10), order(1, 10)], isolated(4.0, tiers=FIFTH))
    expect(out, fills=[(1, 10, 100), (2, 10, 96), (3, -20, 91.875)], equity=[1000, 1000, 960, 877.5])


def test_margin_shrinks_with_what_is_sold(engine: Engine) -> None:
    """Half of it sold at 120: 125 + 5 (p - 100) = p again gives 93.75; had all 250 stayed it would be 62.5."""
    bars = [*still(100, 2), *still(120), (96, 97, 91, 95)]
    out = play(engine, bars, [order(0, 10), order(1, -5)], isolated(4.0, tiers=FIFTH))
    expect(out, fills=[(1, 10, 100), (2, -5, 120), (3, -5, 93.75)], equity=[1000, 1000, 1200, 1068.75])


def test_a_flip_begins_with_a_new_margin(engine: Engine) -> None:
    """5 at 100, then -10 at 110: short 5, margin 137.5: 137.5 + 5 (110 - p) = p gives p = 687.5 / 6."""
    bars = [*still(100, 2), *still(110), (110, 120, 109, 112)]
    out = play(engine, bars, [order(0, 5), order(1, -10)], isolated(4.0, tiers=FIFTH))
    expect(out, fills=[(1, 5, 100), (2, -10, 110), (3, 5, 687.5 / 6)])


def test_an_insurance_bears_what_an_isolated_margin_does_not(engine: Engine) -> None:
    """Opens at 60: 400 lost, 6 to the venue, 3 of slippage and 5.97 of fee; 250 of margin were there (and 25 paid to
    enter): 164.97 are borne."""
    costs = Costs(taker=0.01, half_spread=0.005)
    account = Account(1000, "isolated", 4.0, FIFTH, 0.01)
    out = play(engine, [*still(100, 2), (60, 65, 55, 60)], [order(0, 10)], account, costs)
    # the entry: slippage 5, fee 0.01 * 1005 = 10.05; what is left after it less the margin of 250
    expect(
        out, fills=[(1, 10, 100), (2, -10, 60)], equity=[1000, 984.95, 734.95],
        fees=10.05 + 5.97, slippage=5 + 3, liquidation_fees=6, insurance=400 + 6 + 3 + 5.97 - 250,
    )  # fmt: skip


def test_a_cross_account_can_owe(engine: Engine) -> None:
    """25 at 100, opens at 50: 250 below zero, nobody bears it; the account is ruined."""
    out = play(engine, [*still(100, 2), *still(50, 2)], [order(0, 25)], cross(4.0, tiers=FIFTH))
    expect(out, equity=[1000, 1000, -250, -250], insurance=0)


def test_maintenance_of_the_higher_tier(engine: Engine) -> None:
    """25 p - 1500 = 0.2 * 25 p - 100 gives 70: a notional of 1750, above 1000. 250 are left."""
    out = play(engine, [*still(100, 2), (90, 95, 65, 72)], [order(0, 25)], cross(4.0, tiers=TWO))
    expect(out, fills=[(1, 25, 100), (2, -25, 70)], equity=[1000, 1000, 250])
    assert out.margin_ratio[1] == pytest.approx((0.2 * 2500 - 100) / 1000)


def test_maintenance_of_the_lower_tier(engine: Engine) -> None:
    """10 at 90, margin 180: 180 + 10 (p - 90) = p gives p = 80: a notional of 800, below 1000."""
    out = play(engine, [*still(90, 2), (90, 91, 75, 85)], [order(0, 10)], isolated(5.0, tiers=TWO))
    expect(out, fills=[(1, 10, 90), (2, -10, 80)], equity=[1000, 1000, 900])


def test_a_price_falls_from_one_tier_into_the_other(engine: Engine) -> None:
    """12 at 100 (1200), margin 240: in the higher tier 240 + 12 (p - 100) = 2.4 p - 100 gives 860 / 9.6 = 89.58, above
    83.33 where 1000 begin."""
    out = play(engine, [*still(100, 2), (100, 101, 80, 85)], [order(0, 12)], isolated(5.0, tiers=TWO))
    expect(out, fills=[(1, 12, 100), (2, -12, 860 / 9.6)])
    # margin 300: 240 - 60 more: 800 / 9.6 = 83.33 is the floor; margin 400: 800 / 10.8 in the lower tier
    low = play(engine, [*still(100, 2), (100, 101, 70, 85)], [order(0, 12)], isolated(3.0, tiers=TWO))
    expect(low, fills=[(1, 12, 100), (2, -12, 800 / 10.8)])


def test_a_margin_call_is_not_a_liquidation(engine: Engine) -> None:
    """At 78: equity 450, kept 390, 0.8667 is above the 0.8 of the call; at 80: 500 and 400, just 0.8, one too."""
    bars = [*still(100, 2), (90, 95, 78, 78), *still(80), *still(81)]
    out = play(engine, bars, [order(0, 25)], cross(4.0, tiers=FIFTH))
    np.testing.assert_allclose(out.margin_ratio, [0, 0.5, 390 / 450, 0.8, 405 / 525], rtol=1e-12)
    assert (out.calls, out.liquidations) == (2, 0)


def test_no_maintenance_still_ends_at_zero(engine: Engine) -> None:
    """Without tiers a cross account is closed where nothing is left: 25 p = 1500 at 60."""
    out = play(engine, [*still(100, 2), (90, 95, 55, 72)], [order(0, 25)], cross(4.0))
    expect(out, fills=[(1, 25, 100), (2, -25, 60)], equity=[1000, 1000, 0])


def test_costs_of_one_liquidate_the_other_at_the_close(engine: Engine) -> None:
    """10 and 10 at 100: cash -1000. The second falls: 10 p = 0.2 * (1000 + 10 p) gives 25; 250 are left, the fee of
    24 % takes 60, and 190 are less than the 200 of the first: closed at the close of 100, 240 more."""
    market = market_of(still(100, 3), [*still(100, 2), (100, 100, 20, 90)])
    account = cross(4.0, tiers=FIFTH, liquidation_fee=0.24)
    out = play(engine, market, [order(0, 10), order(0, 10, instrument=1)], account)
    expect(out, fills=[(1, 0, 10, 100), (1, 1, 10, 100), (2, 1, -10, 25), (2, 0, -10, 100)])
    expect(out, equity=[1000, 1000, -50], liquidation_fees=300)
    assert (out.liquidations, out.calls) == (2, 1)


def test_others_are_valued_at_their_price_of_the_moment(engine: Engine) -> None:
    """While the first falls the second still stands at its open, then the first at its close. Long 10 and 10 at 100,
    cash -1000: the first alone at 10 p + 1000 - 1000 = 0.2 * (10 p + 1000) gives 25: it comes to 30 and back to 60.
    Then the second: 600 + 10 p - 1000 = 0.2 * (600 + 10 p) gives 65."""
    market = market_of([*still(100, 2), (100, 100, 30, 60)], [*still(100, 2), (100, 100, 50, 90)])
    out = play(engine, market, [order(0, 10), order(0, 10, instrument=1)], cross(4.0, tiers=FIFTH))
    expect(out, fills=[(1, 0, 10, 100), (1, 1, 10, 100), (2, 1, -10, 65)])
    # what is left at the close: cash -350, 10 at 60
    expect(out, equity=[1000, 1000, 250])


def test_an_account_of_cash_is_never_liquidated(engine: Engine) -> None:
    out = play(engine, [*still(100, 2), (100, 100, 1, 1)], [order(0, 10)], Account(1000.0, tiers=FIFTH))
    expect(out, fills=[(1, 10, 100)], equity=[1000, 1000, 10])
    assert out.margin_ratio.tolist() == [0, 0, 0]


# --- ruin ------------------------------------------------------------------------------------------------------------


def test_a_ruined_account_trades_no_more(engine: Engine) -> None:
    """Liquidated at 50 with 250 owed: the order of the other instrument dies, a row is rejected, a wish is none."""
    market = market_of([*still(100, 2), *still(50, 3)], still(10, 5))
    rows = [order(0, 25), order(0, 1, "limit", limit=5, instrument=1), order(3, 1, instrument=1)]
    out = play(engine, market, rows, cross(4.0, tiers=FIFTH))
    expect(out, equity=[1000, 1000, -250, -250, -250])
    assert ends_of(out) == ["filled", "cancelled ruined", "rejected ruined"]
    asked = play(engine, [*still(100, 2), *still(50, 3)], wishes(25, NAN, 1, NAN, 1), cross(4.0, tiers=FIFTH))
    expect(asked, fills=[(1, 25, 100), (2, -25, 50)])
    assert dict(asked.not_made) == {10: 2}


def test_ruin_with_a_position_is_an_infinite_ratio(engine: Engine) -> None:
    """Isolated: the other position keeps its margin while charges take all cash: the ratio is infinite, a call."""
    funding = np.array([[0.0], [0.0], [1.5], [0.0]])
    out = play(engine, still(100, 4), [order(0, 10)], isolated(4.0, tiers=FIFTH), Costs(funding=funding))
    # 1.5 * 1000 are due: cash -1500, equity -500; margin and price are as they were, so it is not liquidated
    expect(out, fills=[(1, 10, 100)], equity=[1000, 1000, -500, -500], funding=1500)
    assert out.margin_ratio.tolist() == [0, 0.2, INFINITE, INFINITE]
    assert (out.calls, out.liquidations) == (2, 0)
