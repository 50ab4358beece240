"""What holds for any market and any wish, on more than 100,000 generated bars: sums, ranges, and nothing of later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.markets_made import Case, random_case
from forecastle.backtest import Account, Costs, Execution, Simulated, Tier, simulate
from forecastle.nouns.market import Market
from forecastle.nouns.order import FillCause, OrderKind, OrderStatus, OrderTable
from forecastle.nouns.signal import Signals

FloatArray = npt.NDArray[np.float64]
SEEDS = st.integers(0, 2**63)
"""A seed stands for a market with its wishes and rules: 20 to 200 bars of one to four instruments."""
BARS = 100_000
SMALL = 1e-12
"""Noise of sums, as a share of what went through the account."""
IMMEDIATE = (FillCause.LIQUIDATION, FillCause.END)


def _last_closes(market: Market) -> FloatArray:
    """Return the last close of each instrument at each bar; NaN before its first."""
    closes = market.close.copy()
    for i in range(1, len(market)):
        closes[i] = np.where(market.present[i], closes[i], closes[i - 1])
    return closes


def _turned_over(case: Case, out: Simulated) -> float:
    """Return what went through the account: the measure of its noise."""
    traded = float(np.abs(out.column("quantity") * out.column("price")).sum())
    held = float(np.nansum(np.abs(out.position * _last_closes(case[0]))))
    return case[2].cash + traded + held


def _gross(market: Market, out: Simulated) -> float:
    """Return what positions earned by prices alone: what was held from close to close, and fills to their close."""
    closes = _last_closes(market)
    moved = float(np.nansum(out.position[:-1] * np.diff(closes, axis=0)))
    at = closes[out.column("bar").astype(np.int64), out.column("instrument").astype(np.int64)]
    return moved + float((out.column("quantity") * (at - out.column("price"))).sum())


def _sums_up(case: Case, out: Simulated) -> None:
    costs = dict(out.costs)
    insurance = costs.pop("insurance")
    wanted = case[2].cash + _gross(case[0], out) - sum(costs.values()) + insurance
    assert abs(out.equity[-1] - wanted) <= SMALL * _turned_over(case, out)
    assert insurance >= 0.0
    for cost, column in (("fees", "fee"), ("slippage", "slippage"), ("liquidation_fees", "liquidation_fee")):
        assert abs(costs[cost] - out.column(column).sum()) <= SMALL * max(costs[cost], 1.0)
        assert (out.column(column) >= 0.0).all()
    assert costs["borrowing"] >= 0.0
    assert costs["interest"] >= 0.0


def _is_worth_its_cash_and_positions(case: Case, out: Simulated) -> None:
    """Without charges, equity at every close follows from the fills."""
    if out.costs["funding"] or out.costs["borrowing"] or out.costs["interest"] or out.costs["insurance"]:
        return
    paid = out.column("quantity") * out.column("price") + out.fills[:, 5:8].sum(axis=1)
    spent = np.zeros(len(case[0]))
    np.add.at(spent, out.column("bar").astype(np.int64), paid)
    worth = np.nansum(out.position * _last_closes(case[0]), axis=1)
    np.testing.assert_allclose(
        out.equity, case[2].cash - np.cumsum(spent) + worth, rtol=0.0, atol=SMALL * _turned_over(case, out)
    )


def _fills_lie_in_their_bars(case: Case, out: Simulated) -> None:
    market = case[0]
    where = out.column("bar").astype(np.int64), out.column("instrument").astype(np.int64)
    assert market.present[where].all()
    assert (out.column("price") >= market.low[where]).all()
    assert (out.column("price") <= market.high[where]).all()
    assert (np.diff(out.column("bar")) >= 0).all()


def _fills_belong_to_active_orders(case: Case, out: Simulated) -> None:
    ours = out.fills[out.column("order") >= 0]
    number = ours[:, 0].astype(np.int64)
    orders = out.orders[number]
    made = orders[:, 10] >= 0
    first = np.where(made, orders[:, 0], orders[:, 0] + 1 + case[4].latency)
    assert (ours[:, 1] >= first).all(), "a fill before its order"
    assert (ours[:, 1] <= np.where(orders[:, 9] < 0, np.inf, orders[:, 9])).all(), "a fill after its order ended"
    assert (ours[:, 2] == orders[:, 1]).all()
    assert (np.sign(ours[:, 3]) == np.sign(orders[:, 2])).all()
    assert (ours[:, 8] == orders[:, 3]).all(), "the cause of a fill is the kind of its order"
    filled = np.zeros(len(out.orders))
    np.add.at(filled, number, ours[:, 3])
    np.testing.assert_allclose(out.order_column("filled"), filled, rtol=1e-12)
    own = out.order_column("parent") < 0
    assert (np.abs(filled[own]) <= np.abs(out.order_column("quantity")[own]) * (1 + SMALL)).all()
    assert np.isin(out.fills[out.column("order") < 0, 8], IMMEDIATE).all()


def _prices_keep_what_orders_name(case: Case, out: Simulated) -> None:
    """A limit is never paid more than it says; a stop never gets better than its trigger."""
    ours = out.fills[(out.column("order") >= 0)]
    orders = out.orders[ours[:, 0].astype(np.int64)]
    side, price, kind = np.sign(ours[:, 3]), ours[:, 4], orders[:, 3]
    limits = np.isin(kind, (OrderKind.LIMIT, OrderKind.STOP_LIMIT, OrderKind.TAKE))
    assert (side * price <= side * orders[:, 4])[limits].all()
    if case[4].participation == 0.0:  # a stop that the volume cut goes on as a market order, at any price
        stops = kind == OrderKind.STOP
        assert (side * price >= side * orders[:, 5])[stops].all()
    assert (ours[limits, 6] == 0.0).all(), "a limit order pays no slippage"


def _positions_are_what_was_filled(case: Case, out: Simulated) -> None:
    changes = np.zeros_like(out.position)
    where = out.column("bar").astype(np.int64), out.column("instrument").astype(np.int64)
    np.add.at(changes, where, out.column("quantity"))
    sizes = np.zeros_like(out.position)
    np.add.at(sizes, where, np.abs(out.column("quantity")))
    assert (np.abs(np.cumsum(changes, axis=0) - out.position) <= SMALL * (1.0 + np.cumsum(sizes, axis=0))).all()


def _cash_is_never_short(case: Case, out: Simulated) -> None:
    if case[2].kind == "cash":
        assert (out.position >= 0.0).all()
        for j in range(out.position.shape[1]):
            bought = out.column("quantity")[out.column("instrument") == j]
            assert (np.cumsum(bought) >= -SMALL * np.cumsum(np.abs(bought))).all(), "short between two fills"
        assert out.liquidations == out.calls == 0


def _all_is_closed_at_the_end(case: Case, out: Simulated) -> None:
    if case[4].close_at_end:
        here = case[0].present[-1]
        assert (out.position[-1, here] == 0.0).all()
        quantity, instrument = out.column("quantity"), out.column("instrument")
        for j in np.flatnonzero(here):
            mine = quantity[instrument == j]
            assert abs(mine.sum()) <= SMALL * (1.0 + np.abs(mine).sum())
    else:
        assert not (out.column("cause") == FillCause.END).any()


def _volume_is_not_exceeded(case: Case, out: Simulated) -> None:
    if case[4].participation > 0.0:
        used = np.zeros_like(out.position)
        ours = out.fills[out.column("order") >= 0]
        np.add.at(used, (ours[:, 1].astype(np.int64), ours[:, 2].astype(np.int64)), np.abs(ours[:, 3]))
        room = case[4].participation * np.nan_to_num(case[0].volume)
        assert (used <= room * (1.0 + SMALL)).all()


CHECKS: tuple[Callable[[Case, Simulated], None], ...] = (
    _sums_up, _is_worth_its_cash_and_positions, _fills_lie_in_their_bars, _fills_belong_to_active_orders,
    _prices_keep_what_orders_name, _positions_are_what_was_filled, _cash_is_never_short, _all_is_closed_at_the_end,
    _volume_is_not_exceeded,
)  # fmt: skip


def test_what_comes_out_adds_up_on_many_bars() -> None:
    bars = fills = 0

    @settings(max_examples=1000)
    @given(SEEDS)
    def each(seed: int) -> None:
        nonlocal bars, fills
        case = random_case(seed)
        out = simulate(*case)
        bars, fills = bars + len(case[0]), fills + len(out.fills)
        for check in CHECKS:
            check(case, out)

    each()
    assert bars >= BARS
    assert fills >= BARS // 5


# --- the future ------------------------------------------------------------------------------------------------------


def _cut(values: Any, bars: int) -> Any:
    return values[:bars] if isinstance(values, np.ndarray) else values


def _first(case: Case, m: int) -> Case:
    """Return the same case as if nothing after its first m bars had happened yet."""
    market, signals, account, costs, execution, orders, sigma = case
    if signals is not None:
        signals = replace(signals, **{f.name: _cut(getattr(signals, f.name), m) for f in fields(Signals)})
    if orders is not None:
        keep = orders.bar < m
        orders = OrderTable(**{f.name: getattr(orders, f.name)[keep] for f in fields(OrderTable)})
    costs = replace(costs, funding=_cut(costs.funding, m))
    return market.rows(0, m), signals, account, costs, execution, orders, _cut(sigma, m)


def _open_ended(case: Case) -> Case:
    market, signals, account, costs, execution, orders, sigma = case
    return market, signals, account, costs, replace(execution, close_at_end=False), orders, sigma


@settings(max_examples=300)
@given(SEEDS, st.floats(0.0, 1.0))
def test_the_future_changes_nothing_of_the_past(seed: int, share: float) -> None:
    """To the last bit: equity, positions, fills, and what was known of each order."""
    case = _open_ended(random_case(seed))
    m = 1 + int(share * (len(case[0]) - 1))
    whole, part = simulate(*case), simulate(*_first(case, m))
    for name in ("equity", "position", "margin_ratio"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:m])
    np.testing.assert_array_equal(part.fills, whole.fills[whole.column("bar") < m])
    known = whole.orders[whole.order_column("bar") < m]
    np.testing.assert_array_equal(part.orders[:, :6], known[:, :6])
    np.testing.assert_array_equal(part.orders[:, 10], known[:, 10])
    over = (known[:, 9] >= 0) & (known[:, 9] < m)
    np.testing.assert_array_equal(part.orders[over], known[over])
    assert (part.orders[~over, 6] == OrderStatus.WORKING).all()
    assert (part.orders[~over, 9] == -1).all()


# --- the unit of money -----------------------------------------------------------------------------------------------


def _scaled(thing: Any, factor: float, *names: str) -> Any:
    """Return the same with some of its numbers times a factor."""
    values = {name: getattr(thing, name) for name in names}
    return replace(thing, **{name: None if v is None else v * factor for name, v in values.items()})


def _in_other_money(case: Case, factor: float) -> Case:
    """Return the case in another currency: prices, cash and all that is money; quantities and shares as they are."""
    market, signals, account, costs, execution, orders, sigma = case
    market = _scaled(market, factor, "open", "high", "low", "close")
    if signals is not None:
        names = ["limit", "trigger", "stop", "take"] + (["target"] if signals.measure == "cash" else [])
        signals = _scaled(signals, factor, *names)
    if orders is not None:
        orders = _scaled(orders, factor, "limit", "trigger", "stop", "take")
    tiers = tuple(Tier(t.floor * factor, t.rate, t.deduction * factor, t.leverage) for t in account.tiers)
    other: Account = replace(account, cash=account.cash * factor, tiers=tiers)
    dear: Costs = _scaled(costs, factor, "fee_per_unit", "smallest_fee")
    rules: Execution = _scaled(execution, factor, "smallest")
    return market, signals, other, dear, rules, orders, sigma


@settings(max_examples=300)
@given(SEEDS, st.integers(-20, 20))
def test_the_unit_of_money_does_not_matter(seed: int, power: int) -> None:
    """A power of two changes no digit: the same fills, and equity times that power exactly."""
    case, factor = random_case(seed), 2.0**power
    one, other = simulate(*case), simulate(*_in_other_money(case, factor))
    np.testing.assert_array_equal(other.equity, one.equity * factor)
    np.testing.assert_array_equal(other.position, one.position)
    np.testing.assert_array_equal(other.margin_ratio, one.margin_ratio)
    money = np.array([1, 1, 1, 1, factor, factor, factor, factor, 1, 1])
    np.testing.assert_array_equal(other.fills, one.fills * money)
    np.testing.assert_array_equal(other.orders[:, 6:], one.orders[:, 6:])
    assert {name: value / factor for name, value in other.costs.items()} == dict(one.costs)
    assert (other.calls, other.liquidations, other.not_made) == (one.calls, one.liquidations, one.not_made)
