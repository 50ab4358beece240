"""Orders by hand: each kind, groups, lives and brackets. What comes out was worked out on paper, step by step.

The account holds 1000 in cash and pays nothing unless a table says otherwise; candles are open, high, low, close.
"""

from __future__ import annotations

from typing import Any

import pytest

from backtest.tables_made import (
    NAN,
    Engine,
    causes_of,
    cross,
    ends_of,
    expect,
    market_of,
    order,
    play,
    still,
    wishes,
)
from forecastle.backtest import Costs, Execution

BEST = Execution(intrabar="best")
FIRST = (100, 101, 99, 100)
"""The bar at whose close the first orders are decided."""
FEES = Costs(maker=0.001, taker=0.01)


# --- market ----------------------------------------------------------------------------------------------------------


def test_a_market_order_is_filled_at_the_next_open(engine: Engine) -> None:
    out = play(engine, [(100, 102, 99, 101), (103, 105, 102, 104), (104, 110, 103, 108)], [order(0, 2)])
    # 2 at 103 are 206: cash 794; 794 + 2 * 104 = 1002; 794 + 2 * 108 = 1010
    expect(out, fills=[(1, 2, 103)], equity=[1000, 1002, 1010], ends=["filled"])
    assert out.position[:, 0].tolist() == [0, 2, 2]
    assert causes_of(out) == ["market"]


def test_an_order_of_the_last_bar_waits_for_ever(engine: Engine) -> None:
    expect(play(engine, [FIRST], [order(0, 2)]), fills=[], equity=[1000], ends=["working"])


# --- limit -----------------------------------------------------------------------------------------------------------


def test_a_limit_is_filled_where_the_path_passes_it(engine: Engine) -> None:
    bars = [FIRST, (100, 101, 99, 100), (99, 100, 97, 99)]
    out = play(engine, bars, [order(0, 2, "limit", limit=98)], costs=FEES)
    # bar 1 comes down to 99 only; bar 2 passes 98 on its way to 97, the order has been there since bar 1: maker
    # fee 0.001 * 196 = 0.196; 1000 - 196 - 0.196 + 2 * 99 = 1001.804
    expect(out, fills=[(2, 2, 98)], equity=[1000, 1000, 1001.804], fees=0.196)
    assert causes_of(out) == ["limit"]


def test_a_limit_to_sell_is_the_mirror(engine: Engine) -> None:
    bars = [FIRST, (100, 102, 99, 100), (101, 104, 100, 101)]
    out = play(engine, bars, [order(0, -2, "limit", limit=103)], cross())
    # 2 sold short at 103: cash 1206; 1206 - 2 * 101 = 1004
    expect(out, fills=[(2, -2, 103)], equity=[1000, 1000, 1004], ends=["filled"])


@pytest.mark.parametrize(
    ("execution", "fills", "last"),
    [(Execution(), [], 1000), (BEST, [(1, 2, 98)], 1000 + 2 * (99 - 98))],
)
def test_a_limit_that_is_only_touched(
    engine: Engine, execution: Execution, fills: list[tuple[float, ...]], last: float
) -> None:
    """The lowest price is the limit: nobody knows whether there was anything left. Worst says no, best says yes."""
    out = play(engine, [FIRST, (100, 100, 98, 99)], [order(0, 2, "limit", limit=98)], execution=execution)
    expect(out, fills=fills, equity=[1000, last])


@pytest.mark.parametrize(("execution", "fills"), [(Execution(), []), (BEST, [(1, -2, 103)])])
def test_a_limit_to_sell_that_is_only_touched(
    engine: Engine, execution: Execution, fills: list[tuple[float, ...]]
) -> None:
    bars = [FIRST, (100, 103, 100, 101)]
    expect(play(engine, bars, [order(0, -2, "limit", limit=103)], cross(), execution=execution), fills=fills)


def test_a_limit_that_an_open_is_better_than_is_filled_at_the_open(engine: Engine) -> None:
    """Looked at for the first time it takes what is there; an order that had waited was there before the taker."""
    first = play(engine, [FIRST, (97, 99, 96, 98)], [order(0, 2, "limit", limit=98)], costs=FEES)
    # taker: 0.01 * 194 = 1.94; 1000 - 194 - 1.94 + 196 = 1000.06
    expect(first, fills=[(1, 2, 97)], equity=[1000, 1000.06], fees=1.94)
    later = play(engine, [FIRST, *still(100), (97, 99, 96, 98)], [order(0, 2, "limit", limit=98)], costs=FEES)
    # maker: 0.001 * 194 = 0.194; 1000 - 194 - 0.194 + 196 = 1001.806
    expect(later, fills=[(2, 2, 97)], equity=[1000, 1000, 1001.806], fees=0.194)


def test_a_limit_at_the_open_is_touched_by_it(engine: Engine) -> None:
    """Filled at 98 only once the price is below it, and then it has rested: maker."""
    out = play(engine, [FIRST, (98, 99, 97, 98)], [order(0, 2, "limit", limit=98)], costs=FEES)
    expect(out, fills=[(1, 2, 98)], fees=0.196)


# --- stop ------------------------------------------------------------------------------------------------------------


def test_a_stop_buys_where_it_is_reached(engine: Engine) -> None:
    bars = [FIRST, (100, 104, 99, 102), (102, 105, 101, 103)]
    out = play(engine, bars, [order(0, 2, "stop", trigger=105)], costs=FEES)
    # touched is reached; taker: 0.01 * 210 = 2.1; 1000 - 210 - 2.1 + 206 = 993.9
    expect(out, fills=[(2, 2, 105)], equity=[1000, 1000, 993.9], fees=2.1)
    assert causes_of(out) == ["stop"]


def test_a_gap_through_a_stop_is_paid(engine: Engine) -> None:
    out = play(engine, [FIRST, (107, 108, 106, 106)], [order(0, 2, "stop", trigger=105)])
    # 2 at the open of 107, not at 105: 1000 + 2 * (106 - 107)
    expect(out, fills=[(1, 2, 107)], equity=[1000, 998])


def test_a_stop_sells_what_is_held(engine: Engine) -> None:
    rows = [order(0, 2), order(1, -2, "stop", trigger=95)]
    reached = play(engine, [FIRST, *still(100), (98, 99, 94, 96)], rows)
    expect(reached, fills=[(1, 2, 100), (2, -2, 95)], equity=[1000, 1000, 990], ends=["filled", "filled"])
    jumped = play(engine, [FIRST, *still(100), (93, 94, 92, 94)], rows)
    expect(jumped, fills=[(1, 2, 100), (2, -2, 93)], equity=[1000, 1000, 986])


# --- stop-limit ------------------------------------------------------------------------------------------------------


def test_a_stop_limit_above_its_trigger_is_filled_at_the_trigger(engine: Engine) -> None:
    """At 105 it becomes a limit order that is due there when it is looked at for the first time: a taker."""
    bars = [FIRST, (102, 107, 101, 103)]
    out = play(engine, bars, [order(0, 2, "stop_limit", trigger=105, limit=106)], costs=FEES)
    expect(out, fills=[(1, 2, 105)], fees=2.1, ends=["filled"])
    assert causes_of(out) == ["stop_limit"]


@pytest.mark.parametrize("execution", [Execution(), BEST])
def test_a_stop_limit_below_its_trigger_waits_for_the_way_back(engine: Engine, execution: Execution) -> None:
    """Up through 105, then down: at 104 it is filled as a maker, on the way to the low or to the close."""
    bars = [FIRST, (102, 107, 101, 103)]
    rows = [order(0, 2, "stop_limit", trigger=105, limit=104)]
    expect(play(engine, bars, rows, costs=FEES, execution=execution), fills=[(1, 2, 104)], fees=0.208)


def test_a_stop_limit_that_is_jumped_over_waits_as_a_limit(engine: Engine) -> None:
    """The open of 108 triggers it and is beyond its limit; no stop any more, it is filled at 106 a bar later."""
    bars = [FIRST, (108, 109, 107, 108), (108, 108, 104, 105)]
    out = play(engine, bars, [order(0, 2, "stop_limit", trigger=105, limit=106)], costs=FEES)
    # maker: 0.001 * 212 = 0.212; 1000 - 212 - 0.212 + 210 = 997.788
    expect(out, fills=[(2, 2, 106)], equity=[1000, 1000, 997.788], fees=0.212)


def test_a_stop_limit_jumped_but_not_beyond_its_limit_takes_the_open(engine: Engine) -> None:
    bars = [FIRST, (105.5, 109, 105, 108)]
    out = play(engine, bars, [order(0, 2, "stop_limit", trigger=105, limit=106)], costs=FEES)
    expect(out, fills=[(1, 2, 105.5)], fees=2.11)


# --- trailing --------------------------------------------------------------------------------------------------------


def test_a_trailing_stop_follows_and_sells(engine: Engine) -> None:
    """Bar 1: 100, 98, 112, 110: the best price is 112 at the end of that piece, 12.5 % below it are 98."""
    bars = [FIRST, (100, 112, 98, 110), (108, 111, 97, 105), *still(105)]
    out = play(engine, bars, [order(0, 2), order(0, -2, "trailing", trail=0.125)])
    # 98 was passed in bar 1 while the level was 87.5; in bar 2 it is hit on the way to 97: 1000 + 2 * (98 - 100)
    expect(out, fills=[(1, 2, 100), (2, -2, 98)], equity=[1000, 1020, 996, 996], ends=["filled", "filled"])
    assert causes_of(out) == ["market", "trailing"]


def test_a_trailing_stop_below_the_open_is_sold_at_the_open(engine: Engine) -> None:
    bars = [FIRST, (100, 112, 98, 110), (90, 95, 89, 92)]
    out = play(engine, bars, [order(0, 2), order(0, -2, "trailing", trail=0.125)])
    expect(out, fills=[(1, 2, 100), (2, -2, 90)], equity=[1000, 1020, 980])


def test_a_trailing_stop_begins_at_the_first_open_it_sees(engine: Engine) -> None:
    """Decided at bar 0 at a close of 100 it begins at 80: 70 is 12.5 % below, and 72 is not there yet."""
    bars = [FIRST, (80, 80, 72, 80), (80, 80, 69, 72)]
    out = play(engine, bars, [order(0, 2), order(0, -2, "trailing", trail=0.125)])
    expect(out, fills=[(1, 2, 80), (2, -2, 70)], equity=[1000, 1000, 980])


def test_a_trailing_stop_buys_back_a_short(engine: Engine) -> None:
    """Sold at 100, best 80 in bar 1 (a short: high, then low), 12.5 % above are 90."""
    bars = [FIRST, (100, 105, 80, 82), (84, 91, 83, 88)]
    out = play(engine, bars, [order(0, -2), order(0, 2, "trailing", trail=0.125)], cross())
    # cash 1200; 1200 - 2 * 82 = 1036; bought back at 90: 1020
    expect(out, fills=[(1, -2, 100), (2, 2, 90)], equity=[1000, 1036, 1020])


# --- take ------------------------------------------------------------------------------------------------------------


def test_a_take_sells_what_is_held_and_no_more(engine: Engine) -> None:
    rows = [order(0, 2), order(0, -5, "take", limit=110)]
    out = play(engine, [FIRST, *still(100), (105, 111, 104, 107)], rows, costs=FEES)
    # taker 0.01 * 200 = 2, then maker 0.001 * 220 = 0.22: 1000 + 20 - 2.22; 3 of the 5 have nothing to sell
    expect(out, fills=[(1, 2, 100), (2, -2, 110)], equity=[1000, 998, 1017.78], ends=["filled", "cancelled reduced"])
    assert causes_of(out) == ["market", "take"]
    assert out.order_column("filled").tolist() == [2, -2]


@pytest.mark.parametrize(("kind", "beside"), [("take", {"limit": 110}), ("market", {"reduce_only": 1})])
def test_nothing_to_reduce(engine: Engine, kind: str, beside: dict[str, Any]) -> None:
    """Without a position, or with one of the same sign, it is cancelled where it fires."""
    for held, account in ((0, cross()), (-3, cross())):
        rows = [order(0, held)] if held else []
        rows.append(order(1, -2, kind, **beside))
        out = play(engine, [FIRST, *still(100), (105, 111, 104, 107)], rows, account)
        assert ends_of(out)[-1] == "cancelled no_position"
        assert out.position[-1, 0] == held


def test_a_reducing_order_larger_than_the_position(engine: Engine) -> None:
    out = play(engine, [FIRST, *still(100, 2)], [order(0, 2), order(1, -5, reduce_only=1)], cross())
    expect(out, fills=[(1, 2, 100), (2, -2, 100)], ends=["filled", "cancelled reduced"])


# --- groups ----------------------------------------------------------------------------------------------------------


def test_one_cancels_the_other(engine: Engine) -> None:
    """Up or down, whichever comes first. Worst, the first order a buy: high, then low."""
    rows = [order(0, 2, "stop", trigger=105, oco=1), order(0, -2, "stop", trigger=95, oco=1)]
    out = play(engine, [FIRST, (100, 106, 94, 97)], rows, cross())
    expect(out, fills=[(1, 2, 105)], equity=[1000, 984], ends=["filled", "cancelled oco"])
    other = play(engine, [FIRST, (100, 104, 94, 97)], rows, cross())
    expect(other, fills=[(1, -2, 95)], equity=[1000, 996], ends=["cancelled oco", "filled"])


def test_a_group_reaches_over_instruments_and_orders_not_active_yet(engine: Engine) -> None:
    market = market_of(still(100, 4), still(50, 4))
    rows = [
        order(0, 1, oco=7), order(0, 1, "limit", limit=40, instrument=1, oco=7),
        order(0, 1, "limit", limit=40, instrument=1, oco=8), order(0, 1, "limit", limit=40, instrument=1),
        order(1, 1, "limit", limit=40, oco=7),
    ]  # fmt: skip
    out = play(engine, market, rows, execution=Execution(latency=1))
    expect(out, fills=[(2, 0, 1, 100)], ends=["filled", "cancelled oco", "working", "working", "cancelled oco"])


def test_a_part_of_an_order_cancels_its_group_at_once(engine: Engine) -> None:
    """4 of 6 in bar 1, the limit of volume; the other is gone, the rest goes on alone."""
    rows = [order(0, 6, oco=1), order(0, 1, "limit", limit=90, oco=1)]
    bars = [FIRST, (100, 100, 100, 100, 16), (100, 100, 89, 95, 16)]
    out = play(engine, bars, rows, execution=Execution(participation=0.25))
    expect(out, fills=[(1, 4, 100), (2, 2, 100)], ends=["filled", "cancelled oco"])


# --- lives -----------------------------------------------------------------------------------------------------------


def test_an_order_lives_until_it_is_filled(engine: Engine) -> None:
    bars = [FIRST, *still(100, 5), (99, 99, 89, 95)]
    out = play(engine, market_of(bars, day_end=[1, 3]), [order(0, 2, "limit", limit=90)])
    expect(out, fills=[(6, 2, 90)], ends=["filled"])


def test_immediate_or_cancelled_is_for_the_first_open_only(engine: Engine) -> None:
    """At the open of 99 the limit of 95 is not due; the bar passes it later, and the order is gone."""
    bars = [FIRST, (99, 99, 90, 95), (94, 95, 93, 94)]
    out = play(engine, bars, [order(0, 2, "limit", "ioc", limit=95)])
    expect(out, fills=[], equity=[1000, 1000, 1000], ends=["expired time"])
    assert out.order_column("ended").tolist() == [1]
    expect(play(engine, bars[::2], [order(0, 2, "limit", "ioc", limit=95)]), fills=[(1, 2, 94)], ends=["filled"])


def test_the_rest_of_an_immediate_order_expires(engine: Engine) -> None:
    bars = [FIRST, (100, 101, 99, 100, 12), (100, 101, 99, 100, 12)]
    out = play(engine, bars, [order(0, 5, tif="ioc")], execution=Execution(participation=0.25))
    expect(out, fills=[(1, 3, 100)], ends=["expired time"])
    assert out.order_column("filled").tolist() == [3]


def test_an_order_of_the_day_ends_with_it(engine: Engine) -> None:
    """Active in bars 1 and 2, the day ends with 2; one decided at that close belongs to the next day."""
    bars = [*still(100, 3), (89, 90, 88, 89), *still(89)]
    rows = [order(0, 2, "limit", "day", limit=90), order(2, 1, "limit", "day", limit=89.5)]
    out = play(engine, market_of(bars, day_end=[0, 2, 4]), rows)
    expect(out, fills=[(3, 1, 89)], ends=["expired time", "filled"])
    assert out.order_column("ended").tolist() == [2, 3]


def test_an_order_of_the_day_that_is_not_active_yet_does_not_end_with_it(engine: Engine) -> None:
    bars = [*still(100, 3), (89, 90, 88, 89)]
    rows = [order(0, 2, "limit", "day", limit=90)]
    out = play(engine, market_of(bars, day_end=[1, 2]), rows, execution=Execution(latency=1))
    expect(out, fills=[], ends=["expired time"])
    assert out.order_column("ended").tolist() == [2]


# --- brackets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("execution", "price", "ends"),
    [
        (Execution(), 95, ["filled", "filled", "cancelled oco"]),
        (BEST, 110, ["filled", "cancelled flat", "filled"]),
    ],
)
def test_stop_and_target_in_one_bar(engine: Engine, execution: Execution, price: float, ends: list[str]) -> None:
    """A long: worst goes low first and is stopped, best goes high first and takes its gain."""
    bars = [FIRST, *still(100), (100, 112, 94, 105)]
    out = play(engine, bars, [order(0, 2, stop=95, take=110)], execution=execution)
    expect(out, fills=[(1, 2, 100), (2, -2, price)], equity=[1000, 1000, 1000 + 2 * (price - 100)], ends=ends)
    assert out.order_column("parent").tolist() == [-1, 0, 0]


@pytest.mark.parametrize(("execution", "price"), [(Execution(), 105), (BEST, 90)])
def test_stop_and_target_of_a_short_in_one_bar(engine: Engine, execution: Execution, price: float) -> None:
    bars = [FIRST, *still(100), (100, 106, 88, 95)]
    out = play(engine, bars, [order(0, -2, stop=105, take=90)], cross(), execution=execution)
    expect(out, fills=[(1, -2, 100), (2, 2, price)], equity=[1000, 1000, 1000 - 2 * (price - 100)])


def test_shares_of_a_bracket_are_measured_from_the_fill(engine: Engine) -> None:
    """Decided at 100, filled at 80: the stop of 5 % is at 76, the take of 10 % at 88."""
    for bar, price in (((80, 80, 75, 77), 76), ((80, 90, 80, 85), 88)):
        rows = [order(0, 2, stop_share=0.05, take_share=0.1)]
        expect(play(engine, [FIRST, *still(80), bar], rows), fills=[(1, 2, 80), (2, -2, price)])
    for bar, price in (((80, 85, 80, 82), 84), ((80, 80, 70, 75), 72)):
        rows = [order(0, -2, stop_share=0.05, take_share=0.1)]
        expect(play(engine, [FIRST, *still(80), bar], rows, cross()), fills=[(1, -2, 80), (2, 2, price)])


def test_a_price_of_a_bracket_goes_before_a_share(engine: Engine) -> None:
    rows = [order(0, 2, stop=90, stop_share=0.05, take=104, take_share=0.1)]
    out = play(engine, [FIRST, *still(100), (100, 103, 91, 95), (95, 96, 89, 90)], rows)
    expect(out, fills=[(1, 2, 100), (3, -2, 90)])
    assert out.order_column("trigger")[1] == 90
    assert out.order_column("limit")[2] == 104


def test_a_bracket_acts_in_the_bar_of_the_fill(engine: Engine) -> None:
    """Bought at the open of 100, stopped at 95 on the way to 94: a loss within one bar."""
    out = play(engine, [FIRST, (100, 112, 94, 105)], [order(0, 2, stop=95, take=110)])
    expect(out, fills=[(1, 2, 100), (1, -2, 95)], equity=[1000, 990], ends=["filled", "filled", "cancelled oco"])


def test_a_bracket_of_a_fill_on_the_path_waits_for_the_rest_of_it(engine: Engine) -> None:
    """A limit at 98, worst without a position: high first, so 105 is not a gain; filled at 98, stopped at 95."""
    bars = [FIRST, (100, 105, 94, 99)]
    worst = play(engine, bars, [order(0, 2, "limit", limit=98, stop=95, take=104)])
    expect(worst, fills=[(1, 2, 98), (1, -2, 95)], equity=[1000, 994])
    # best: down to 94 (filled at 98, and at 95 stopped), which is on the way to any gain
    best = play(engine, bars, [order(0, 2, "limit", limit=98, stop=93, take=104)], execution=BEST)
    expect(best, fills=[(1, 2, 98), (1, -2, 104)], equity=[1000, 1012])


def test_a_trailing_bracket_begins_at_the_fill(engine: Engine) -> None:
    """From the stop at 104 on: 12.5 % below are 91; the high of 112 is seen after the low of bar 2: 98."""
    bars = [FIRST, (100, 104, 99, 103), (103, 112, 92, 110), (110, 110, 97, 100)]
    out = play(engine, bars, [order(0, 2, "stop", trigger=104, trail_share=0.125)])
    expect(out, fills=[(1, 2, 104), (3, -2, 98)], equity=[1000, 998, 1012, 988], ends=["filled", "filled"])
    assert causes_of(out) == ["stop", "trailing"]


def test_stop_trailing_and_take_are_made_in_this_order(engine: Engine) -> None:
    out = play(engine, [FIRST, *still(100)], [order(0, 2, stop=90, trail_share=0.25, take=120)])
    assert out.order_column("kind").tolist() == [0, 2, 4, 5]
    assert out.order_column("quantity").tolist() == [2, -2, -2, -2]
    assert out.order_column("bar").tolist() == [0, 1, 1, 1]
    assert ends_of(out) == ["filled", "working", "working", "working"]


def test_a_new_bracket_replaces_the_one_before(engine: Engine) -> None:
    """1 more at 100 with a stop at 80: it is for all 3, and that at 90 is gone."""
    rows = [order(0, 2, stop=90), order(1, 1, stop=80)]
    out = play(engine, [FIRST, *still(100, 2), (100, 100, 79, 85)], rows)
    expect(
        out, fills=[(1, 2, 100), (2, 1, 100), (3, -3, 80)], ends=["filled", "cancelled replaced", "filled", "filled"]
    )


def test_a_bracket_is_as_large_as_the_position(engine: Engine) -> None:
    """Made for 4, then 3 are sold: the stop sells 1."""
    rows = [order(0, 4, stop=90), order(1, -3)]
    out = play(engine, [FIRST, *still(100, 2), (100, 100, 89, 95)], rows)
    expect(out, fills=[(1, 4, 100), (2, -3, 100), (3, -1, 90)], ends=["filled", "filled", "filled"])


def test_a_position_closed_by_hand_leaves_no_bracket(engine: Engine) -> None:
    rows = [order(0, 2, stop=90, take=120), order(1, -2)]
    out = play(engine, [FIRST, *still(100, 2), (100, 130, 80, 95)], rows)
    expect(out, fills=[(1, 2, 100), (2, -2, 100)], ends=["filled", "cancelled flat", "cancelled flat", "filled"])


def test_a_take_filled_in_part_leaves_the_stop(engine: Engine) -> None:
    """8 held, 2 a bar: the take gets 2 at 110 in bar 2, in bar 3 the stop gets 2 at 95, the take is gone."""
    bars = [FIRST, (100, 100, 100, 100, 32), (105, 111, 104, 106, 8), (100, 101, 94, 96, 8), (96, 97, 95, 96, 80)]
    rows = [order(0, 8, stop=95, take=110)]
    out = play(engine, bars, rows, execution=Execution(participation=0.25))
    expect(out, fills=[(1, 8, 100), (2, -2, 110), (3, -2, 95), (4, -4, 96)])
    assert ends_of(out) == ["filled", "filled", "cancelled oco"]
    # 8 * 100 out, then 220, 190 and 384 in: 1000 - 800 + 794
    assert out.equity[-1] == pytest.approx(994)


def test_a_bracket_of_a_wish(engine: Engine) -> None:
    nothing = [NAN, NAN, NAN]
    asked = wishes(4, NAN, NAN, stop_share=[0.05, *nothing[1:]], take=[120, *nothing[1:]])
    out = play(engine, [FIRST, *still(100), (100, 101, 94, 95)], asked)
    expect(out, fills=[(1, 4, 100), (2, -4, 95)], ends=["filled", "filled", "cancelled oco"])


def test_kinds_of_wishes(engine: Engine) -> None:
    """A limit at 98 in bar 1, then a stop at 95 that closes, then a stop-limit that buys at 103."""
    asked = wishes(
        2, 0, 3, NAN, kind=[1, 2, 3, 0], limit=[98, NAN, 104, NAN], trigger=[NAN, 95, 103, NAN], tif=[0, 0, 1, 0]
    )
    out = play(engine, [FIRST, (100, 101, 97, 99), (99, 100, 94, 96), (104.5, 105, 100, 101)], asked)
    # the stop-limit is triggered by the open of 104.5, above its limit of 104, and expires there
    expect(out, fills=[(1, 2, 98), (2, -2, 95)], ends=["filled", "filled", "expired time"])
