"""What the loop works on: tables of numbers with named columns, and the state that goes from bar to bar."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

WORKING_AT_A_TIME = WAITING = 16
EVENTS = 5 * WORKING_AT_A_TIME
"""Fills, or orders made, of one instrument in one bar, at most: every order fills, and each makes three brackets."""

GRACE = 1e-9
"""A share by which what is asked may miss what is there, for noise of sums shall decide nothing."""
ROUNDING = 1e-12
"""Below this share a rest is none."""

# columns of an order; the first are those of simulated.ORDER
(BAR, INSTRUMENT, QUANTITY, KIND, LIMIT_AT, TRIGGER_AT, STATUS, REASON, FILLED, ENDED, PARENT, NOW, ACTIVE, TIF, REDUCE,
 OCO, TRAIL, BEST, SEEN, BRACKET, STOP_AT, TAKE_AT, STOP_SHARE, TAKE_SHARE, TRAIL_SHARE, WISH, LEFT, SIDE,
 MADE, SKIPPED, GOAL) = range(31)  # fmt: skip
ORDER_COLUMNS = 31
# columns of a fill: simulated.FILL
FILL_COLUMNS = 10
# kinds, lives, states and reasons: nouns.order
MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING, TAKE, LIQUIDATION, AT_END = range(8)
GTC, IOC, DAY = range(3)
WORKING, DONE, CANCELLED, REJECTED, EXPIRED = range(5)
(NO_REASON, REPLACED, BY_OCO, FLAT, LIQUIDATED, REDUCED, NO_MARGIN, NO_SHORT, SMALL, MANY, RUINED, TIME, END,
 NO_POSITION, IN_BAND, THERE_ALREADY, ABSENT) = range(17)  # fmt: skip
REASONS = 17
# money: what the account holds and what it has paid
CASH, FEES, SLIPPAGE, FUNDING, BORROWING, INTEREST, LIQUIDATION_FEES, INSURANCE = range(8)
# counts; behind them the wishes that made no order, by reason
FILLS, ORDERS, CALLS, LIQUIDATIONS, NEXT_ROW, IS_RUINED, HIT_NOW, DAY_OVER, LIVES, TRAILS, NOT_MADE = range(11)
# kinds of account and measures of a wish
IN_CASH, CROSS, ISOLATED = range(3)
WEIGHT, UNITS, MONEY = range(3)
# what is held of an instrument, and the bar that it is in
POSITION, ENTRY, MARGIN, PRICE, ROOM, BELOW, ABOVE = range(7)
OPEN, HIGH, LOW, CLOSE, VOLUME, SIGMA, RATE_DUE, PRESENT = range(8)
# tiers of maintenance
FLOOR, RATE, DEDUCTION = range(3)
# the rules: account, costs, execution
(R_ACCOUNT, R_LEVERAGE, R_LIQUIDATION_FEE, R_CALL_AT, R_MAKER, R_TAKER, R_FEE_PER_UNIT, R_SMALLEST_FEE, R_HALF_SPREAD,
 R_VOLATILITY, R_LINEAR, R_SQUARE_ROOT, R_BORROW, R_INTEREST, R_CHARGED, R_LATENCY, R_PARTICIPATION, R_BAND, R_LOT,
 R_SMALLEST, R_BEST, R_CLOSE_AT_END, R_DUST) = range(23)  # fmt: skip


class Bars(NamedTuple):
    """The market, (bars, instruments)."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    present: BoolArray
    day_end: BoolArray
    sigma: FloatArray
    funding: FloatArray


class Wishes(NamedTuple):
    """Signals; an array without rows is one that nobody wished."""

    measure: int
    target: FloatArray
    kind: IntArray
    limit: FloatArray
    trigger: FloatArray
    tif: IntArray
    stop: FloatArray
    take: FloatArray
    stop_share: FloatArray
    take_share: FloatArray
    trail_share: FloatArray


class Rows(NamedTuple):
    """Orders by themselves, sorted by bar."""

    bar: IntArray
    instrument: IntArray
    whole: IntArray
    """(rows, 4): kind, time in force, reduce-only, group."""
    numbers: FloatArray
    """(rows, 9): quantity, limit, trigger, trail, stop, take, stop share, take share, trail share."""


class Book(NamedTuple):
    """The state. Few arrays, because each that is handed from function to function costs.

    ``order`` and ``fill`` are tables that grow; ``working`` (instruments, 17) the numbers of working orders in
    ascending order, how many in its last column; ``held`` (7, instruments); ``now`` (8, instruments) the bar that is
    traded, filled where something happens in it; ``rules`` and ``tiers`` never change.
    """

    order: FloatArray
    fill: FloatArray
    working: IntArray
    held: FloatArray
    now: FloatArray
    money: FloatArray
    counts: IntArray
    rules: FloatArray
    tiers: FloatArray


class Path(NamedTuple):
    """What is noted at each close."""

    equity: FloatArray
    position: FloatArray
    margin_ratio: FloatArray


def empty_book(cash: float, instruments: int, orders: int, fills: int, rules: FloatArray, tiers: FloatArray) -> Book:
    """Return the state before the first bar."""
    money = np.zeros(8)
    money[CASH] = cash
    held = np.zeros((7, instruments))
    held[PRICE], held[BELOW], held[ABOVE] = np.nan, -np.inf, np.inf
    return Book(
        np.empty((orders, ORDER_COLUMNS)), np.empty((fills, FILL_COLUMNS)),
        np.zeros((instruments, WORKING_AT_A_TIME + 1), dtype=np.int64), held, np.zeros((8, instruments)), money,
        np.zeros(NOT_MADE + REASONS, dtype=np.int64), rules, tiers,
    )  # fmt: skip


def enlarged(book: Book, orders: int, fills: int) -> Book:
    """Return the state with room for so many orders and fills more."""
    order = np.empty((book.order.shape[0] + orders, ORDER_COLUMNS))
    order[: book.counts[ORDERS]] = book.order[: book.counts[ORDERS]]
    fill = np.empty((book.fill.shape[0] + fills, FILL_COLUMNS))
    fill[: book.counts[FILLS]] = book.fill[: book.counts[FILLS]]
    return book._replace(order=order, fill=fill)
