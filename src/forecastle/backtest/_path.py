"""What happens inside a bar: at its open, and along its path from extreme to extreme to the close."""

from __future__ import annotations

import math

from forecastle.backtest import _book as at
from forecastle.backtest._book import Book, FloatArray, IntArray
from forecastle.backtest._fills import execute, fires_at, liquidate
from forecastle.backtest._margin import is_liquidated, liquidation_price
from forecastle.backtest._orders import end
from forecastle.compiled import inner


@inner
def may_fire(order: FloatArray, working: IntArray, i: int, j: int, low: float, high: float) -> bool:
    """Return whether the bar has to be walked: an order is new, moves with the price, or lies in its range."""
    for w in range(working[j, at.WAITING]):
        number = working[j, w]
        if order[number, at.ACTIVE] > i:
            continue
        kind, buys = order[number, at.NOW], order[number, at.SIDE] > 0.0
        if order[number, at.SEEN] == 0.0 or kind == at.MARKET or kind == at.TRAILING:
            return True
        if kind == at.LIMIT or kind == at.TAKE:
            limit = order[number, at.LIMIT_AT]
            if (low <= limit) if buys else (high >= limit):
                return True
        else:
            trigger = order[number, at.TRIGGER_AT]
            if (high >= trigger) if buys else (low <= trigger):
                return True
    return False


@inner
def trailing_level(book: Book, number: int) -> float:
    """Return the price at which a trailing order fires now."""
    order = book.order[number]
    return float(order[at.BEST] * (1.0 + order[at.SIDE] * order[at.TRAIL]))


@inner
def move_trailing(book: Book, i: int, j: int, price: float) -> None:
    """Let trailing orders follow a price that is better than any before."""
    for w in range(book.working[j, at.WAITING]):
        order = book.order[book.working[j, w]]
        if order[at.NOW] == at.TRAILING and order[at.ACTIVE] <= i:
            if math.isnan(order[at.BEST]) or order[at.SIDE] * price < order[at.SIDE] * order[at.BEST]:
                order[at.BEST] = price


@inner
def fires_here(book: Book, number: int, price: float) -> bool:
    """Return whether an order fires at the price where the path stands."""
    order = book.order[number]
    if order[at.NOW] == at.TRAILING:
        level = trailing_level(book, number)  # NaN before its first open: it does not fire
        return bool(order[at.SIDE] * price >= order[at.SIDE] * level)
    return fires_at(
        int(order[at.NOW]), order[at.SIDE], order[at.LIMIT_AT], order[at.TRIGGER_AT], price, book.rules[at.R_BEST]
    )


@inner
def fire(book: Book, number: int, i: int, price: float, here: bool) -> None:
    """Let an order act that fires: at the price where the path stands (``here``), or further on."""
    order = book.order[number]
    if order[at.NOW] == at.STOP_LIMIT:
        order[at.NOW], order[at.SEEN] = at.LIMIT, 0.0
        return
    resting = order[at.NOW] == at.LIMIT or order[at.NOW] == at.TAKE
    maker = resting and not (here and order[at.SEEN] == 0.0)
    order[at.SEEN] = 1.0
    execute(book, number, i, price, maker)


@inner
def at_open(book: Book, i: int, j: int, reducing: bool, before: int) -> None:
    """Fill what fires at the open, in one of the two rounds; orders from number ``before`` on are of the path."""
    price, last = book.now[at.OPEN, j], -1
    while True:
        number = -1
        for w in range(book.working[j, at.WAITING]):
            if book.working[j, w] > last:
                number = book.working[j, w]
                break
        if number < 0 or number >= before:
            return
        last = number
        order = book.order[number]
        if (
            order[at.ACTIVE] > i
            or order[at.SKIPPED] == i
            or (reducing and book.held[at.POSITION, j] * order[at.SIDE] >= 0.0)
        ):
            continue
        if order[at.NOW] == at.STOP_LIMIT and fires_here(book, number, price):
            fire(book, number, i, price, True)
        if fires_here(book, number, price):
            fire(book, number, i, price, True)
        else:
            order[at.SEEN] = 1.0


@inner
def expire(book: Book, i: int, j: int, tif: int, before: int) -> None:
    """Let what is left of active orders of one kind of life expire."""
    w = 0
    while w < book.working[j, at.WAITING]:
        number = book.working[j, w]
        order = book.order[number]
        if number < before and order[at.ACTIVE] <= i and order[at.TIF] == tif:
            end(book, number, i, at.EXPIRED, at.TIME)
        else:
            w += 1


@inner
def walk(book: Book, i: int, j: int) -> None:
    """Follow the price of an instrument through its bar."""
    if book.working[j, at.WAITING] == 0 and book.rules[at.R_ACCOUNT] == at.IN_CASH:
        return
    if book.held[at.POSITION, j] != 0.0:
        up_first = book.held[at.POSITION, j] < 0.0
    else:
        side = _first_side(book, i, j)
        if side == 0.0:
            return
        up_first = side > 0.0
    if book.rules[at.R_BEST]:
        up_first = not up_first
    spot = book.now[at.OPEN, j]
    first, second = (
        (book.now[at.HIGH, j], book.now[at.LOW, j]) if up_first else (book.now[at.LOW, j], book.now[at.HIGH, j])
    )
    _piece(book, i, j, spot, first)
    _piece(book, i, j, first, second)
    _piece(book, i, j, second, book.now[at.CLOSE, j])


@inner
def _first_side(book: Book, i: int, j: int) -> float:
    for w in range(book.working[j, at.WAITING]):
        if book.order[book.working[j, w], at.ACTIVE] <= i:
            return float(book.order[book.working[j, w], at.SIDE])
    return 0.0


@inner
def _piece(book: Book, i: int, j: int, begin: float, to: float) -> None:
    """Let everything happen on a straight piece, nearest first, then move the trailing orders."""
    spot = begin
    book.held[at.PRICE, j] = spot
    while True:
        number, hit, here = _next(book, i, j, spot, to)
        if number == -2:
            break
        spot = hit
        book.held[at.PRICE, j] = spot
        if number == -1:
            liquidate(book, i, j, spot)
        else:
            fire(book, number, i, spot, here)
    book.held[at.PRICE, j] = to
    move_trailing(book, i, j, to)


@inner
def _next(book: Book, i: int, j: int, spot: float, to: float) -> tuple[int, float, bool]:
    """Return what happens next from ``spot`` on the way to ``to``: number, price, and whether it is where we stand.

    -1 is liquidation, -2 nothing.
    """
    number, hit, here, rank = -2, to, False, 3
    if book.rules[at.R_ACCOUNT] != at.IN_CASH and book.held[at.POSITION, j] != 0.0:
        if is_liquidated(book, j):
            return -1, spot, True
        level = liquidation_price(book, j)
        if _between(level, spot, to, book.held[at.POSITION, j] < 0.0):
            number, hit, rank = -1, level, 0
    for w in range(book.working[j, at.WAITING]):
        other = book.working[j, w]
        order = book.order[other]
        if order[at.ACTIVE] > i or order[at.SKIPPED] == i:
            continue
        kind, side = int(order[at.NOW]), order[at.SIDE]
        own = 1 if kind == at.STOP or kind == at.STOP_LIMIT or kind == at.TRAILING else 2
        if fires_here(book, other, spot):
            price, now = spot, True
        else:
            order[at.SEEN] = 1.0
            level = order[at.LIMIT_AT] if own == 2 else order[at.TRIGGER_AT]
            if kind == at.TRAILING:
                level = trailing_level(book, other)
            if own == 2:
                reached = _passes(level, spot, to, side, book.rules[at.R_BEST])
            else:
                reached = _between(level, spot, to, side > 0.0)
            if not reached:
                continue
            price, now = level, False
        nearer = abs(price - spot) < abs(hit - spot)
        if number == -2 or nearer or (price == hit and own < rank):
            number, hit, here, rank = other, price, now, own
    return number, hit, here


@inner
def _between(level: float, spot: float, to: float, rising: bool) -> bool:
    """Return whether a rising (falling) piece reaches a level beyond where it begins."""
    return spot < level <= to if rising else to <= level < spot


@inner
def _passes(limit: float, spot: float, to: float, side: float, best: bool) -> bool:
    """Return whether a piece goes through a limit: below that of a buy, above that of a sell."""
    if side > 0.0:
        return spot >= limit and (to <= limit if best else to < limit)
    return spot <= limit and (to >= limit if best else to > limit)
