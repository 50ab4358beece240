"""Corners by hand: the path within a bar, volume, latency, wishes, lots, absent bars and the end.

The account holds 1000 in cash and pays nothing unless a table says otherwise; candles are open, high, low, close and,
where it matters, volume.
"""

from __future__ import annotations

import numpy as np
import pytest

from backtest.tables_made import (
    CASH,
    NAN,
    Candle,
    Engine,
    causes_of,
    cross,
    ends_of,
    expect,
    fills_of,
    market_of,
    not_made_of,
    order,
    play,
    still,
    wishes,
)
from forecastle.backtest import Account, Costs, Execution
from forecastle.nouns.order import OrderTable

BEST = Execution(intrabar="best")
QUARTER = Execution(participation=0.25)
FIRST = (100, 101, 99, 100)
FLAT = still(100, 4)


def thin(volume: float, price: float = 100) -> Candle:
    """Return a bar in which little trades and nothing moves."""
    return (price, price, price, price, volume)


# --- the path --------------------------------------------------------------------------------------------------------


def test_events_of_a_piece_happen_in_the_order_of_the_price(engine: Engine) -> None:
    """From 100 up to 106: first the stop at 102, then that at 104, whatever their numbers; then the limit at 97."""
    rows = [order(0, 1, "stop", trigger=104), order(0, 2, "stop", trigger=102), order(0, 3, "limit", limit=97)]
    out = play(engine, [FIRST, (100, 106, 96, 100)], rows, cross(2.0))
    expect(out, fills=[(1, 2, 102), (1, 1, 104), (1, 3, 97)])
    assert out.column("order").tolist() == [1, 0, 2]


def test_on_a_tie_stops_come_before_limits_and_then_the_lower_number(engine: Engine) -> None:
    """Held 3; all at 104: the stops (numbers 2 and 3) before the limits 1 and 4."""
    rows = [
        order(0, 3), order(1, -1, "limit", limit=104), order(1, 1, "stop", trigger=104),
        order(1, 2, "stop", trigger=104), order(1, -2, "limit", limit=104),
    ]  # fmt: skip
    out = play(engine, [FIRST, *still(100), (100, 106, 99, 100)], rows, cross(2.0))
    expect(out, fills=[(1, 3, 100), (2, 1, 104), (2, 2, 104), (2, -1, 104), (2, -2, 104)])
    assert out.column("order").tolist() == [0, 2, 3, 1, 4]


@pytest.mark.parametrize(
    ("quantity", "execution", "fills"),
    [
        # worst with a long: low first: bought at 97 again, then sold at 104
        (1, Execution(), [97, 104]),
        # best: high first
        (1, BEST, [104, 97]),
        # worst with a short: high first
        (-1, Execution(), [104, 97]),
        (-1, BEST, [97, 104]),
    ],
)
def test_the_bad_extreme_of_a_position_comes_first(
    engine: Engine, quantity: float, execution: Execution, fills: list[float]
) -> None:
    rows = [order(0, quantity), order(1, 1, "limit", limit=97), order(1, -1, "limit", limit=104)]
    out = play(engine, [FIRST, *still(100), (100, 106, 96, 100)], rows, cross(3.0), execution=execution)
    assert [price for _, _, price in fills_of(out)[1:]] == fills


@pytest.mark.parametrize(
    ("first", "execution", "fills"),
    [
        ("buy", Execution(), [104, 97]),
        ("buy", BEST, [97, 104]),
        ("sell", Execution(), [97, 104]),
        ("sell", BEST, [104, 97]),
    ],
)
def test_without_a_position_the_first_order_says_which_extreme_comes_first(
    engine: Engine, first: str, execution: Execution, fills: list[float]
) -> None:
    """Worst: the one that the fill would like is over before it."""
    rows = [order(0, 1, "limit", limit=97), order(0, -1, "limit", limit=104)]
    bars = [FIRST, (100, 106, 96, 100)]
    out = play(engine, bars, rows if first == "buy" else rows[::-1], cross(3.0), execution=execution)
    assert [price for _, _, price in fills_of(out)] == fills


def test_the_last_piece_ends_at_the_close(engine: Engine) -> None:
    """Worst for a long: 100, 96, 106, 101: the stop at 102 is armed by a fill at 104 and hit on the way down."""
    rows = [order(0, 1), order(1, 1, "stop", trigger=104, stop=102)]
    out = play(engine, [FIRST, *still(100), (100, 106, 96, 101)], rows)
    expect(out, fills=[(1, 1, 100), (2, 1, 104), (2, -2, 102)], equity=[1000, 1000, 1000])


def test_a_bracket_made_at_the_open_is_of_the_path(engine: Engine) -> None:
    """Opens at 100, below the take of 99: not filled in the same round at the open, at the first step of the path."""
    out = play(engine, [FIRST, (100, 104, 98, 103)], [order(0, 2, take=99)], costs=Costs(maker=0.001, taker=0.01))
    # the take is due at once where it is first looked at: a taker: 2 at 100, 2 at 100
    expect(out, fills=[(1, 2, 100), (1, -2, 100)], fees=4, equity=[1000, 996])


# --- volume ----------------------------------------------------------------------------------------------------------


def test_what_the_volume_does_not_give_is_filled_at_the_next_opens(engine: Engine) -> None:
    """A quarter of 8 is 2 a bar: 2 at 100, 2 at 101, and the last 1 at 102."""
    bars = [FIRST, thin(8), thin(8, 101), thin(8, 102)]
    out = play(engine, bars, [order(0, 5)], execution=QUARTER)
    # 200 + 202 + 102 = 504: cash 496, 5 at 102
    expect(out, fills=[(1, 2, 100), (2, 2, 101), (3, 1, 102)], equity=[1000, 1000, 1002, 1006], ends=["filled"])
    assert out.order_column("ended").tolist() == [3]


def test_the_volume_of_a_bar_is_shared(engine: Engine) -> None:
    """3 a bar: the first order takes 2, 1 is left for the second; a bracket of it gets nothing in that bar."""
    bars = [FIRST, (100, 100, 90, 90, 12), (90, 91, 90, 90, 100)]
    out = play(engine, bars, [order(0, 2), order(0, 2, stop=95)], execution=QUARTER)
    # bar 2: what is left of number 1 adds; the stop fired in bar 1 and is a market order at the open: it reduces first
    expect(out, fills=[(1, 2, 100), (1, 1, 100), (2, -3, 90), (2, 1, 90)])


def test_the_last_digits_of_the_volume_are_no_room(engine: Engine) -> None:
    """0.8 - 0.1 - 0.7 is 1.1e-16 in binary: the third order gets nothing of it, and pays no smallest fee for it."""
    bars = [FIRST, thin(0.8), thin(80)]
    rows = [order(0, 0.1), order(0, 0.7), order(0, 1)]
    costs, execution = Costs(smallest_fee=5.0), Execution(participation=1.0)
    out = play(engine, bars, rows, costs=costs, execution=execution)
    expect(out, fills=[(1, 0.1, 100), (1, 0.7, 100), (2, 1, 100)], equity=[1000, 990, 985], fees=15)


def test_a_stop_that_fired_without_volume_goes_on_as_a_market_order(engine: Engine) -> None:
    """Reached in bar 2 where nothing trades; bar 3 opens at 103, above it, and sells all the same."""
    bars = [FIRST, *still(100), (100, 101, 94, 96, 0), (103, 104, 102, 103)]
    out = play(engine, bars, [order(0, 2), order(1, -2, "stop", trigger=95)], execution=QUARTER)
    expect(out, fills=[(1, 2, 100), (3, -2, 103)], equity=[1000, 1000, 992, 1006])
    assert causes_of(out) == ["market", "stop"]


def test_a_trailing_stop_that_fired_in_part_goes_on_as_a_market_order(engine: Engine) -> None:
    bars = [FIRST, *still(100), (100, 101, 85, 86, 4), (95, 99, 94, 96)]
    out = play(engine, bars, [order(0, 2), order(1, -2, "trailing", trail=0.125)], execution=QUARTER)
    expect(out, fills=[(1, 2, 100), (2, -1, 87.5), (3, -1, 95)], ends=["filled", "filled"])


def test_a_limit_filled_in_part_stays_one(engine: Engine) -> None:
    bars = [FIRST, (100, 100, 97, 99, 8), *still(99), (99, 99, 96, 97)]
    out = play(engine, bars, [order(0, 5, "limit", limit=98)], execution=QUARTER)
    expect(out, fills=[(1, 2, 98), (3, 3, 98)], ends=["filled"])


def test_without_a_limit_of_volume_even_nothing_is_enough(engine: Engine) -> None:
    expect(play(engine, [FIRST, thin(0)], [order(0, 5)]), fills=[(1, 5, 100)])


# --- latency ---------------------------------------------------------------------------------------------------------


def test_latency_delays_the_first_bar(engine: Engine) -> None:
    """Decided at bar 0, two bars late: active from bar 3 on; what the bars before offered is lost."""
    bars = [FIRST, (100, 100, 90, 100), (100, 100, 90, 100), (101, 102, 100, 102), (100, 100, 97, 99)]
    rows = [order(0, 2), order(0, 1, "limit", limit=98)]
    out = play(engine, bars, rows, execution=Execution(latency=2))
    expect(out, fills=[(3, 2, 101), (4, 1, 98)], ends=["filled", "filled"])


def test_a_bracket_is_not_late(engine: Engine) -> None:
    bars = [*still(100, 2), (100, 101, 94, 96)]
    out = play(engine, bars, [order(0, 2, stop=95)], execution=Execution(latency=1))
    expect(out, fills=[(2, 2, 100), (2, -2, 95)])


# --- wishes ----------------------------------------------------------------------------------------------------------


def test_a_wish_of_units(engine: Engine) -> None:
    """5, then 2, then none, then short 3: orders of 5, -3 and -5."""
    out = play(engine, still(100, 5), wishes(5, 2, NAN, -3, NAN), cross())
    expect(out, fills=[(1, 5, 100), (2, -3, 100), (4, -5, 100)])
    assert out.position[:, 0].tolist() == [0, 5, 2, 2, -3]


def test_a_wish_of_a_weight_is_read_at_the_close(engine: Engine) -> None:
    """Half of 1000 at a close of 80 is 6.25, bought at 100; then equity is 1062.5 at 110: half are 4.829545..."""
    bars = [(100, 100, 80, 80), (100, 110, 100, 110), *still(110)]
    out = play(engine, bars, wishes(0.5, 0.5, NAN, measure="weight"))
    expect(out, fills=[(1, 6.25, 100), (2, 0.5 * 1062.5 / 110 - 6.25, 110)], equity=[1000, 1062.5, 1062.5])


def test_a_wish_of_money_is_read_at_the_close(engine: Engine) -> None:
    bars = [(100, 100, 80, 80), *still(100, 2)]
    out = play(engine, bars, wishes(400, 200, NAN, measure="cash"))
    # 400 / 80 = 5; 200 / 100 = 2
    expect(out, fills=[(1, 5, 100), (2, -3, 100)])


def test_a_wish_replaces_the_one_before_and_leaves_rows_alone(engine: Engine) -> None:
    """A limit at 90 of bar 0 is not filled: the wish of bar 1 cancels it, even where it wishes nothing new."""
    asked = wishes(2, 0, NAN, kind=[1, 0, 0], limit=[90, NAN, NAN])
    out = play(engine, [FIRST, *still(100), (100, 100, 80, 90)], asked)
    expect(out, fills=[], ends=["cancelled replaced"])
    assert not_made_of(out) == {"there_already": 1}


def test_no_wish_leaves_the_one_before(engine: Engine) -> None:
    asked = wishes(2, NAN, NAN, kind=[1, 0, 0], limit=[90, NAN, NAN])
    out = play(engine, [FIRST, *still(100), (100, 100, 80, 90)], asked)
    expect(out, fills=[(2, 2, 90)], ends=["filled"])


def test_wishes_under_way_are_counted(engine: Engine) -> None:
    """One bar late: the 10 of bar 0 are under way at bar 1: 10 are there already; at bar 2 they are held: 12 are 2."""
    out = play(engine, still(50, 5), wishes(10, 10, 12, 0, NAN), execution=Execution(latency=1))
    # at bar 3: 10 held and 2 under way: -12, of which at bar 5 nothing is seen any more
    expect(out, fills=[(2, 10, 50), (4, 2, 50)], ends=["filled", "filled", "working"])
    assert out.order_column("quantity").tolist() == [10, 2, -12]
    assert not_made_of(out) == {"there_already": 1}


def test_a_wish_under_way_is_out_of_reach(engine: Engine) -> None:
    """A limit at 40 is asked at bar 0, one bar late; the wish of bar 1 cannot cancel it, that of bar 2 can."""
    asked = wishes(10, 0, 0, NAN, kind=[1, 0, 0, 0], limit=[40, NAN, NAN, NAN])
    out = play(engine, [*still(50, 3), (50, 50, 50, 50)], asked, execution=Execution(latency=1))
    # bar 1: 0 - (0 + 10) = -10 asked; bar 2 cancels the first; -10 is under way: 0 - (-10) = 10
    # bar 3: nothing is held, and the -10 was to bring that about
    assert out.order_column("quantity").tolist() == [10, -10, 10]
    assert ends_of(out) == ["cancelled replaced", "cancelled there_already", "working"]


def test_a_wish_goes_no_further_than_it_asked(engine: Engine) -> None:
    """5 held, 2 wished: an order of -3. The stop sells all 5 at the open of 94 before it: nothing is missing."""
    asked = wishes(5, 2, NAN, stop=[95, NAN, NAN])
    out = play(engine, [FIRST, *still(100), (94, 94, 94, 94)], asked, cross())
    expect(out, fills=[(1, 5, 100), (2, -5, 94)], ends=["filled", "filled", "cancelled there_already"])
    # an order of the table sells 2 of them first: 1 is missing
    table = OrderTable.of([order(1, -2)])
    both = engine(market_of([FIRST, *still(100, 2)]), wishes(5, 2, NAN), CASH, Costs(), Execution(), table, None)
    expect(both, fills=[(1, 5, 100), (2, -2, 100), (2, -1, 100)], ends=["filled", "filled", "cancelled reduced"])


def test_a_band_saves_small_changes(engine: Engine) -> None:
    """Half at 100, up to 110: the weight is 550 / 1050 = 0.524, within 0.05 of 0.5 and not of 0.4; zero is zero."""
    bars = [*still(100), (100, 110, 100, 110), *still(110, 3)]
    asked = wishes(0.5, 0.5, 0.4, 0, NAN, measure="weight")
    out = play(engine, bars, asked, execution=Execution(band=0.05))
    # 0.4 * 1050 / 110 = 420 / 110
    expect(out, fills=[(1, 5, 100), (3, 420 / 110 - 5, 110), (4, -420 / 110, 110)])
    assert not_made_of(out) == {"band": 1}


def test_a_band_does_not_hold_back_an_entry_or_a_turn(engine: Engine) -> None:
    """0.04 and -0.01 are within 0.05 of what is held, but nothing, or the other side, is."""
    out = play(
        engine, still(100, 4), wishes(0.04, -0.01, 0, NAN, measure="weight"), cross(), execution=Execution(band=0.05)
    )
    expect(out, fills=[(1, 0.4, 100), (2, -0.5, 100), (3, 0.1, 100)])


def test_what_is_under_way_to_zero_is_no_side_for_a_band(engine: Engine) -> None:
    """Two bars late: 10 / 9 held, 50 / 9 and -60 / 9 under way: zero but for a last digit above it. 0.05 is an entry
    of 5 / 9, not within 0.1 of something that is held."""
    asked = wishes(0.1, NAN, NAN, 0.6, 0, 0.05, NAN, NAN, NAN, measure="weight")
    out = play(engine, still(90, 9), asked, execution=Execution(latency=2, band=0.1))
    expect(out, fills=[(3, 10 / 9, 90), (6, 50 / 9, 90), (7, -60 / 9, 90), (8, 5 / 9, 90)])
    assert not_made_of(out) == {}


# --- lots and rejections ---------------------------------------------------------------------------------------------


def test_lots_round_towards_zero(engine: Engine) -> None:
    out = play(engine, FLAT, [order(0, 2.9), order(1, -2.9)], cross(), execution=Execution(lot=0.5))
    expect(out, fills=[(1, 2.5, 100), (2, -2.5, 100)])


def test_a_lot_has_a_grace_for_the_last_digits(engine: Engine) -> None:
    """0.3 / 0.1 is 2.9999999999999996 in binary: three lots all the same."""
    expect(play(engine, FLAT, [order(0, 0.3)], execution=Execution(lot=0.1)), fills=[(1, 0.3, 100)])


def test_what_closes_is_not_rounded(engine: Engine) -> None:
    """A third of the volume of 4 was bought, 1.5 lots; the wish of zero sells exactly that."""
    bars = [FIRST, thin(4.5), *still(100, 2)]
    out = play(engine, bars, wishes(3, 0, NAN, NAN), execution=Execution(participation=1 / 3, lot=1, smallest=200))
    expect(out, fills=[(1, 1.5, 100), (2, -1.5, 100)])
    assert out.position[:, 0].tolist() == [0, 1.5, 0, 0]


def test_orders_too_small_are_rejected(engine: Engine) -> None:
    """Less than a lot, and less than 150 at the close of 100: 1 is, 1.5 is not; 2 may go."""
    rows = [order(0, 0.4), order(0, 1), order(0, 1.5), order(0, 2)]
    out = play(engine, FLAT, rows, execution=Execution(lot=0.5, smallest=150))
    expect(out, fills=[(1, 1.5, 100), (1, 2, 100)], ends=["rejected small", "rejected small", "filled", "filled"])
    assert out.order_column("quantity").tolist() == [0, 1, 1.5, 2]


def test_sixteen_orders_of_an_instrument_at_a_time(engine: Engine) -> None:
    """The seventeenth is one too many, that of another instrument is not, and when one is done there is room again."""
    rows = [order(0, 1, "limit", limit=50 + i) for i in range(17)]
    rows += [order(0, 1, "limit", limit=50, instrument=1), order(1, 1, "limit", limit=40)]
    market = market_of([*still(100), (100, 100, 65.5, 80), *still(80)], still(100, 3))
    out = play(engine, market, rows)
    # limits 50 to 65 work, 66 does not; nothing is passed at 65.5 but what was rejected
    expect(out, fills=[], ends=["working"] * 16 + ["rejected many", "working", "rejected many"])
    room = play(engine, market_of([*still(100), (100, 100, 64.5, 80), *still(80)], still(100, 3)), rows)
    expect(room, fills=[(1, 0, 1, 65)])
    assert ends_of(room) == ["working"] * 15 + ["filled", "rejected many", "working", "working"]


def test_a_full_book_has_no_room_for_a_bracket(engine: Engine) -> None:
    """15 wait and one is filled: that leaves one place; the stop takes it, the take is one too many."""
    rows = [order(0, 1, "limit", limit=50) for _ in range(15)]
    rows.append(order(0, 1, stop=90, take=120))
    out = play(engine, FLAT, rows)
    assert ends_of(out)[15:] == ["filled", "working", "rejected many"]


def test_each_rejection(engine: Engine) -> None:
    """Short and margin at the fill, small and many and ruined at the decision: see the other tables; all at once."""
    rows = [order(0, -1), order(0, 30), order(1, 1), order(1, 0.1)]
    out = play(engine, FLAT, rows, execution=Execution(smallest=50))
    expect(out, fills=[(1, 10, 100)])
    assert ends_of(out) == ["rejected short", "cancelled reduced", "rejected margin", "rejected small"]


def test_a_cash_account_is_ruined_by_what_it_is_charged(engine: Engine) -> None:
    """Funding of twice the position: equity -1000. The take dies, the next row and the next wish are refused."""
    funding = np.array([[0.0], [0.0], [2.0], [0.0]])
    rows = [order(0, 10, take=120), order(2, 1)]
    out = play(engine, FLAT, rows, Account(1000.0), Costs(funding=funding))
    expect(out, equity=[1000, 1000, -1000, -1000], fills=[(1, 10, 100)], funding=2000)
    assert ends_of(out) == ["filled", "cancelled ruined", "rejected ruined"]
    asked = play(engine, FLAT, wishes(10, NAN, 0, NAN), Account(1000.0), Costs(funding=funding))
    assert not_made_of(asked) == {"ruined": 1}
    assert asked.position[-1, 0] == 10


# --- absent bars -----------------------------------------------------------------------------------------------------


def test_an_absent_instrument_neither_trades_nor_moves(engine: Engine) -> None:
    """Decided at bar 0, absent at bar 1: filled at bar 2. Valued at 103 while bar 3 is missing."""
    bars = [FIRST, None, (102, 104, 101, 103), None, (90, 91, 89, 90)]
    out = play(engine, market_of(bars, still(10, 5)), [order(0, 2)])
    # cash 796; 796 + 206 = 1002 twice, 796 + 180 = 976
    expect(out, fills=[(2, 0, 2, 102)], equity=[1000, 1000, 1002, 1002, 976])


def test_an_absent_instrument_wishes_nothing(engine: Engine) -> None:
    out = play(engine, [FIRST, None, *still(100, 2)], wishes(NAN, 5, NAN, NAN))
    expect(out, fills=[], ends=[])
    assert not_made_of(out) == {"absent": 1}


def test_an_immediate_order_waits_for_the_first_open_there_is(engine: Engine) -> None:
    bars = [FIRST, None, (101, 101, 101, 101)]
    expect(play(engine, bars, [order(0, 2, tif="ioc")]), fills=[(2, 2, 101)], ends=["filled"])


def test_an_order_of_the_day_expires_where_its_instrument_is_absent(engine: Engine) -> None:
    market = market_of([FIRST, None, (89, 89, 89, 89)], still(10, 3), day_end=[1])
    expect(play(engine, market, [order(0, 2, "limit", "day", limit=90)]), fills=[], ends=["expired time"])


def test_an_instrument_that_is_absent_is_liquidated_when_it_trades_again(engine: Engine) -> None:
    """25 at 100 are due at 60 (no maintenance): the bar at 50 is missing for it; the next opens at 55."""
    bars = [*still(100, 2), None, (55, 56, 54, 55)]
    out = play(engine, market_of(bars, still(10, 4)), [order(0, 25)], cross(4.0))
    expect(out, fills=[(1, 0, 25, 100), (3, 0, -25, 55)], equity=[1000, 1000, 1000, -125])


# --- the end ---------------------------------------------------------------------------------------------------------


def test_all_is_closed_at_the_end_where_that_is_asked(engine: Engine) -> None:
    """At the last close, with costs of a market order and without the limit of volume; what works is cancelled."""
    bars = [FIRST, *still(100), (100, 106, 100, 105, 1)]
    execution = Execution(close_at_end=True, participation=0.25)
    rows = [order(0, 2), order(1, 1, "limit", limit=50), order(2, 1)]
    out = play(engine, bars, rows, costs=Costs(taker=0.01, half_spread=0.02), execution=execution)
    # entry: slippage 4, fee 0.01 * 204 = 2.04; end: slippage 0.02 * 210 = 4.2, fee 0.01 * 205.8 = 2.058
    expect(
        out, fills=[(1, 2, 100), (2, -2, 105)], equity=[1000, 993.96, 997.702], fees=4.098, slippage=8.2,
        ends=["filled", "cancelled end", "working"],
    )  # fmt: skip
    assert causes_of(out) == ["market", "end"]
    assert out.position[:, 0].tolist() == [0, 2, 0]


def test_what_is_absent_at_the_end_stays(engine: Engine) -> None:
    market = market_of([*still(100, 2), None], still(50, 3))
    rows = [order(0, 2), order(0, 4, instrument=1)]
    out = play(engine, market, rows, execution=Execution(close_at_end=True))
    expect(out, fills=[(1, 0, 2, 100), (1, 1, 4, 50), (2, 1, -4, 50)])
    assert out.position[-1].tolist() == [2, 0]


def test_a_position_stays_where_no_end_is_asked(engine: Engine) -> None:
    out = play(engine, FLAT, [order(0, 2)])
    expect(out, fills=[(1, 2, 100)])
    assert out.position[-1, 0] == 2
