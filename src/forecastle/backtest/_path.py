"""What happens inside a bar: at its open, and along its path from extreme to extreme to the close."""

from __future__ import annotations

import math

from forecastle.backtest import _book as at
from forecastle.backtest._book import Book
from forecastle.backtest._fills import execute, fires_at, liquidate
from forecastle.backtest._margin import is_liquidated, liquidation_price
from forecastle.backtest._orders import end
from forecastle.compiled import inner


@inner
def watch_for(book: Book, j: int) -> None:
    """Note from which low and which high on a bar has to be walked for the orders of an instrument.

    Every bar, where one is new, under way, or moves with the price; those under way become active some bar.
    """
    orders, working, state = book.order, book.working, book.held
    below, above = -math.inf, math.inf
    for w in range(working[j, at.WAITING]):
        number = working[j, w]
        kind, buys = orders[number, at.NOW], orders[number, at.SIDE] > 0.0
        if orders[number, at.SEEN] == 0.0 or kind == at.MARKET or kind == at.TRAILING:
            below = math.inf
        elif kind == at.LIMIT or kind == at.TAKE:
            limit = orders[number, at.LIMIT_AT]
            below, above = (max(below, limit), above) if buys else (below, min(above, limit))
        else:
            trigger = orders[number, at.TRIGGER_AT]
            below, above = (below, min(above, trigger)) if buys else (max(below, trigger), above)
    state[at.BELOW, j], state[at.ABOVE, j] = below, above


@inner
def trailing_level(book: Book, number: int) -> float:
    """Return the price at which a trailing order fires now."""
    order = book.order[number]
    return float(order[at.BEST] * (1.0 + order[at.SIDE] * order[at.TRAIL]))


@inner
def move_trailing(book: Book, i: int, j: int, price: float) -> None:
    """Let trailing orders follow a price that is better than any before."""
    working = book.working
    for w in range(working[j, at.WAITING]):
        order = book.order[working[j, w]]
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
    working = book.working
    price, last = book.now[at.OPEN, j], -1
    while True:
        number = -1
        for w in range(working[j, at.WAITING]):
            if working[j, w] > last:
                number = working[j, w]
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
    working = book.working
    w = 0
    while w < working[j, at.WAITING]:
        number = working[j, w]
        order = book.order[number]
        if number < before and order[at.ACTIVE] <= i and order[at.TIF] == tif:
            end(book, number, i, at.EXPIRED, at.TIME)
        else:
            w += 1


@inner
def walk(book: Book, i: int, j: int) -> None:
    """Follow the price of an instrument through its bar."""
    state, bar, rules = book.held, book.now, book.rules
    if book.working[j, at.WAITING] == 0 and rules[at.R_ACCOUNT] == at.IN_CASH:
        return
    if state[at.POSITION, j] != 0.0:
        up_first = state[at.POSITION, j] < 0.0
    else:
        side = _first_side(book, i, j)
        if side == 0.0:
            return
        up_first = side > 0.0
    if rules[at.R_BEST]:
        up_first = not up_first
    spot = bar[at.OPEN, j]
    first, second = (bar[at.HIGH, j], bar[at.LOW, j]) if up_first else (bar[at.LOW, j], bar[at.HIGH, j])
    for leg in range(3):
        to = first if leg == 0 else second if leg == 1 else bar[at.CLOSE, j]
        _piece(book, i, j, spot, to)
        spot = to


@inner
def _first_side(book: Book, i: int, j: int) -> float:
    orders, working = book.order, book.working
    for w in range(working[j, at.WAITING]):
        if orders[working[j, w], at.ACTIVE] <= i:
            return float(orders[working[j, w], at.SIDE])
    return 0.0


@inner
def _piece(book: Book, i: int, j: int, begin: float, to: float) -> None:
    """Let everything happen on a straight piece, nearest first, then move the trailing orders."""
    state = book.held
    spot = begin
    state[at.PRICE, j] = spot
    margin = book.rules[at.R_ACCOUNT] != at.IN_CASH
    while book.working[j, at.WAITING] > 0 or margin:
        number, hit, here = _next(book, i, j, spot, to)
        if number == -2:
            break
        spot = hit
        state[at.PRICE, j] = spot
        if number == -1:
            liquidate(book, i, j, spot)
        else:
            fire(book, number, i, spot, here)
    state[at.PRICE, j] = to
    if book.counts[at.TRAILS] == 1:
        move_trailing(book, i, j, to)


@inner
def _next(book: Book, i: int, j: int, spot: float, to: float) -> tuple[int, float, bool]:
    """Return what happens next from ``spot`` on the way to ``to``: number, price, and whether it is where we stand.

    -1 is liquidation, -2 nothing.
    """
    working, state, rules = book.working, book.held, book.rules
    number, hit, here, rank = -2, to, False, 3
    if rules[at.R_ACCOUNT] != at.IN_CASH and state[at.POSITION, j] != 0.0:
        if is_liquidated(book, j):
            return -1, spot, True
        level = liquidation_price(book, j)
        if _between(level, spot, to, state[at.POSITION, j] < 0.0):
            number, hit, rank = -1, level, 0
    for w in range(working[j, at.WAITING]):
        other = working[j, w]
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
                reached = _passes(level, spot, to, side, rules[at.R_BEST])
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
