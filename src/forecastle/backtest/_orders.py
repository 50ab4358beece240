"""The life of orders: made, working, ended; brackets and groups; and what becomes of a wish."""

from __future__ import annotations

import math

from forecastle.backtest import _book as at
from forecastle.backtest._book import Book, Rows, Wishes
from forecastle.backtest._margin import equity_of
from forecastle.compiled import folded, inner


@inner
def new_order(book: Book, i: int, j: int, quantity: float, active: int) -> int:
    """Write a GTC market order without anything beside it and return its number; it is not working yet."""
    counts = book.counts
    number = counts[at.ORDERS]
    counts[at.ORDERS] += 1
    order = book.order[number]
    for column in range(at.ORDER_COLUMNS):
        order[column] = math.nan
    order[at.BAR], order[at.INSTRUMENT], order[at.QUANTITY] = i, j, quantity
    order[at.KIND], order[at.NOW], order[at.STATUS], order[at.REASON] = at.MARKET, at.MARKET, at.WORKING, at.NO_REASON
    order[at.FILLED], order[at.ENDED], order[at.PARENT] = 0.0, -1.0, -1.0
    order[at.ACTIVE], order[at.TIF], order[at.REDUCE], order[at.OCO], order[at.SEEN] = active, 0.0, 0.0, 0.0, 0.0
    order[at.BRACKET], order[at.WISH], order[at.MADE], order[at.LEFT] = 0.0, 0.0, 0.0, quantity
    order[at.SKIPPED] = -1.0
    order[at.SIDE] = 1.0 if quantity > 0.0 else -1.0
    return int(number)


@inner
def end(book: Book, number: int, i: int, status: int, reason: int) -> None:
    """End an order and take it from those that work."""
    working = book.working
    order = book.order[number]
    order[at.STATUS], order[at.REASON], order[at.ENDED] = status, reason, i
    j = int(order[at.INSTRUMENT])
    kept = 0
    for w in range(working[j, at.WAITING]):
        if working[j, w] != number:
            working[j, kept] = working[j, w]
            kept += 1
    working[j, at.WAITING] = kept


@inner
def start(book: Book, number: int, i: int) -> None:
    """Let an order work, or reject it where too many do or the account is ruined."""
    working = book.working
    j = int(book.order[number, at.INSTRUMENT])
    if book.counts[at.IS_RUINED] == 1:
        end(book, number, i, at.REJECTED, at.RUINED)
    elif working[j, at.WAITING] == at.WORKING_AT_A_TIME:
        end(book, number, i, at.REJECTED, at.MANY)
    else:
        working[j, working[j, at.WAITING]] = number
        working[j, at.WAITING] += 1


@inner
def cancel_all(book: Book, j: int, i: int, reason: int) -> None:
    """Cancel every order of an instrument, also those that are not active yet."""
    working = book.working
    while working[j, at.WAITING] > 0:
        end(book, working[j, 0], i, at.CANCELLED, reason)


@inner
def cancel_brackets(book: Book, j: int, i: int, reason: int, spared: int) -> None:
    """Cancel the brackets of an instrument but one."""
    working = book.working
    w = 0
    while w < working[j, at.WAITING]:
        number = working[j, w]
        if book.order[number, at.BRACKET] == 1.0 and number != spared:
            end(book, number, i, at.CANCELLED, reason)
        else:
            w += 1


@inner
def cancel_group(book: Book, number: int, i: int) -> None:
    """Cancel the others of the group of an order, of all instruments."""
    orders, working = book.order, book.working
    group = orders[number, at.OCO]
    for j in range(book.held.shape[1]):
        w = 0
        while w < working[j, at.WAITING]:
            other = working[j, w]
            if orders[other, at.OCO] == group and other != number:
                end(book, other, i, at.CANCELLED, at.BY_OCO)
            else:
                w += 1


@inner
def make_brackets(book: Book, number: int, i: int, j: int, fill: float) -> None:
    """Make stop, trailing stop and take of an order from its first fill, active at once."""
    orders, state = book.order, book.held
    parent = orders[number]
    parent[at.MADE] = 1.0
    side = 1.0 if state[at.POSITION, j] > 0.0 else -1.0
    stop, take, trail = parent[at.STOP_AT], parent[at.TAKE_AT], parent[at.TRAIL_SHARE]
    if math.isnan(stop):
        stop = fill * (1.0 - side * parent[at.STOP_SHARE])
    if math.isnan(take):
        take = fill * (1.0 + side * parent[at.TAKE_SHARE])
    if math.isnan(stop) and math.isnan(take) and math.isnan(trail):
        return
    cancel_brackets(book, j, i, at.REPLACED, -1)
    for kind in (at.STOP, at.TRAILING, at.TAKE):
        price = stop if kind == at.STOP else trail if kind == at.TRAILING else take
        if math.isnan(price):
            continue
        made = new_order(book, i, j, -state[at.POSITION, j], i)
        order = orders[made]
        order[at.KIND], order[at.NOW], order[at.PARENT], order[at.BRACKET], order[at.REDUCE] = (
            kind,
            kind,
            number,
            1.0,
            1.0,
        )
        if kind == at.STOP:
            order[at.TRIGGER_AT] = price
        elif kind == at.TAKE:
            order[at.LIMIT_AT] = price
        else:
            order[at.TRAIL], order[at.BEST] = price, fill
        start(book, made, i)


@folded
def decide(wishes: Wishes, rows: Rows, book: Book, i: int) -> None:
    """Turn what was decided at the close of bar i into orders: rows of the table first, then wishes."""
    counts = book.counts
    while counts[at.NEXT_ROW] < rows.bar.size and rows.bar[counts[at.NEXT_ROW]] == i:
        _from_row(rows, book, i, counts[at.NEXT_ROW])
        counts[at.NEXT_ROW] += 1
    for j in range(wishes.target.shape[1]):
        target = wishes.target[i, j]
        if not math.isnan(target):
            _from_wish(wishes, book, i, j, target)


@inner
def _from_row(rows: Rows, book: Book, i: int, row: int) -> None:
    j = rows.instrument[row]
    number = new_order(book, i, j, rows.numbers[row, 0], i + 1 + book.rules[at.R_LATENCY])
    order = book.order[number]
    order[at.KIND] = order[at.NOW] = rows.whole[row, 0]
    order[at.TIF], order[at.REDUCE], order[at.OCO] = rows.whole[row, 1], rows.whole[row, 2], rows.whole[row, 3]
    order[at.LIMIT_AT], order[at.TRIGGER_AT], order[at.TRAIL] = (
        rows.numbers[row, 1],
        rows.numbers[row, 2],
        rows.numbers[row, 3],
    )
    order[at.STOP_AT], order[at.TAKE_AT], order[at.STOP_SHARE] = (
        rows.numbers[row, 4],
        rows.numbers[row, 5],
        rows.numbers[row, 6],
    )
    order[at.TAKE_SHARE], order[at.TRAIL_SHARE] = rows.numbers[row, 7], rows.numbers[row, 8]
    _sized(book, number, i)


@folded
def _from_wish(wishes: Wishes, book: Book, i: int, j: int, target: float) -> None:
    bar, counts, rules = book.now, book.counts, book.rules
    if bar[at.PRESENT, j] == 0.0:
        counts[at.NOT_MADE + at.ABSENT] += 1
        return
    if counts[at.IS_RUINED] == 1:
        counts[at.NOT_MADE + at.RUINED] += 1
        return
    close = bar[at.CLOSE, j]
    position, under_way = book.held[at.POSITION, j], _replaced(book, i, j)
    held = position + under_way
    wanted = target
    if wishes.measure == at.WEIGHT:
        equity = equity_of(book)
        wanted = target * equity / close
        # what is held less what is under way can be zero but for its last digits, and these have no side
        same_side = target * held > 0.0 and abs(held) > at.GRACE * abs(position)
        if rules[at.R_BAND] > 0.0 and same_side and abs(target - held * close / equity) <= rules[at.R_BAND]:
            counts[at.NOT_MADE + at.IN_BAND] += 1
            return
    elif wishes.measure != at.UNITS:
        wanted = target / close
    quantity = wanted - held
    if abs(quantity) <= at.GRACE * max(abs(wanted), abs(position), abs(under_way)):
        counts[at.NOT_MADE + at.THERE_ALREADY] += 1
        return
    number = new_order(book, i, j, quantity, i + 1 + rules[at.R_LATENCY])
    book.order[number, at.GOAL] = wanted
    _beside(wishes, book, number, i, j)
    _sized(book, number, i)


@inner
def _replaced(book: Book, i: int, j: int) -> float:
    """Cancel the wishes of before that are active and not filled; return what is asked by those under way."""
    working = book.working
    under_way, w = 0.0, 0
    while w < working[j, at.WAITING]:
        number = working[j, w]
        order = book.order[number]
        if order[at.WISH] == 1.0 and order[at.ACTIVE] <= i:
            end(book, number, i, at.CANCELLED, at.REPLACED)
            continue
        if order[at.WISH] == 1.0:
            under_way += order[at.LEFT]
        w += 1
    return under_way


@inner
def _beside(wishes: Wishes, book: Book, number: int, i: int, j: int) -> None:
    """Write what was wished beside the target."""
    order = book.order[number]
    order[at.WISH] = 1.0
    if wishes.kind.shape[0] > 0:
        order[at.KIND] = order[at.NOW] = wishes.kind[i, j]
    if wishes.limit.shape[0] > 0:
        order[at.LIMIT_AT] = wishes.limit[i, j]
    if wishes.trigger.shape[0] > 0:
        order[at.TRIGGER_AT] = wishes.trigger[i, j]
    if wishes.tif.shape[0] > 0:
        order[at.TIF] = wishes.tif[i, j]
    if wishes.stop.shape[0] > 0:
        order[at.STOP_AT] = wishes.stop[i, j]
    if wishes.take.shape[0] > 0:
        order[at.TAKE_AT] = wishes.take[i, j]
    if wishes.stop_share.shape[0] > 0:
        order[at.STOP_SHARE] = wishes.stop_share[i, j]
    if wishes.take_share.shape[0] > 0:
        order[at.TAKE_SHARE] = wishes.take_share[i, j]
    if wishes.trail_share.shape[0] > 0:
        order[at.TRAIL_SHARE] = wishes.trail_share[i, j]


@inner
def _sized(book: Book, number: int, i: int) -> None:
    """Round an order to lots and let it work; one that closes the position is left as it is."""
    state, rules = book.held, book.rules
    order = book.order[number]
    j = int(order[at.INSTRUMENT])
    quantity = order[at.QUANTITY]
    small = False
    if quantity != -state[at.POSITION, j]:
        size = abs(quantity)
        if rules[at.R_LOT] > 0.0:
            size = math.floor(size / rules[at.R_LOT] + at.GRACE) * rules[at.R_LOT]
        order[at.QUANTITY] = order[at.LEFT] = math.copysign(size, quantity)
        small = size == 0.0 or size * state[at.PRICE, j] < rules[at.R_SMALLEST]
    if small and book.counts[at.IS_RUINED] == 0:
        end(book, number, i, at.REJECTED, at.SMALL)
    else:
        start(book, number, i)
