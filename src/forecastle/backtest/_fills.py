"""From an order that fires to a fill: how much, what it costs, and what follows for other orders."""

from __future__ import annotations

from forecastle.backtest import _book as at
from forecastle.backtest._book import Book
from forecastle.backtest._costing import fee_of, slippage_share
from forecastle.backtest._margin import affordable
from forecastle.backtest._orders import cancel_all, cancel_brackets, cancel_group, end, make_brackets
from forecastle.compiled import inner


@inner
def write_fill(
    book: Book, number: int, i: int, j: int, quantity: float, price: float, fee: float, slippage: float,
    liquidation_fee: float, cause: int, maker: bool,
) -> None:  # fmt: skip
    """Note a fill and pay for it."""
    money, counts = book.money, book.counts
    fill = book.fill[counts[at.FILLS]]
    counts[at.FILLS] += 1
    fill[0], fill[1], fill[2], fill[3], fill[4] = number, i, j, quantity, price
    fill[5], fill[6], fill[7], fill[8], fill[9] = fee, slippage, liquidation_fee, cause, 1.0 if maker else 0.0
    money[at.CASH] -= quantity * price + fee + slippage + liquidation_fee
    money[at.FEES] += fee
    money[at.SLIPPAGE] += slippage
    money[at.LIQUIDATION_FEES] += liquidation_fee


@inner
def hold(book: Book, j: int, quantity: float, closing: float, price: float) -> None:
    """Change position, average entry and margin by a fill of which ``closing`` units close."""
    state = book.held
    before = state[at.POSITION, j]
    opening = abs(quantity) - closing
    stays = abs(before) - closing
    if closing > 0.0:
        state[at.MARGIN, j] *= stays / abs(before)
    if opening > 0.0:
        state[at.ENTRY, j] = (
            (stays * state[at.ENTRY, j] + opening * price) / (stays + opening) if stays > 0.0 else price
        )
        state[at.MARGIN, j] += opening * price / book.rules[at.R_LEVERAGE]
    after = before + quantity
    if abs(after) <= at.ROUNDING * max(abs(before), abs(quantity)):
        after = 0.0
    state[at.POSITION, j] = after
    if after == 0.0:
        state[at.MARGIN, j] = 0.0


@inner
def execute(book: Book, number: int, i: int, price: float, maker: bool) -> None:
    """Fill an order that fires at ``price``, as far as volume and money allow."""
    state, rules = book.held, book.rules
    order = book.order[number]
    j = int(order[1])
    state[at.PRICE, j] = price
    held, side = state[at.POSITION, j], order[at.SIDE]
    asked = abs(order[at.LEFT])
    if order[at.REDUCE] == 1.0:
        if held * side >= 0.0:
            end(book, number, i, at.CANCELLED, at.NO_POSITION)
            return
        asked = abs(held) if order[at.BRACKET] == 1.0 else min(asked, abs(held))
    beyond = side * (order[at.GOAL] - held)  # NaN but for a wish
    cut = beyond < asked * (1.0 - at.ROUNDING)
    if cut:
        asked = beyond
    if asked <= at.ROUNDING * abs(order[at.LEFT]):
        end(book, number, i, at.CANCELLED, at.THERE_ALREADY)
        return
    kind = int(order[at.NOW])
    if kind == at.STOP or kind == at.TRAILING:
        order[at.NOW] = at.MARKET  # it has fired: what volume leaves of it goes on at the next open
    room = state[at.ROOM, j]
    dust = at.ROUNDING * rules[at.R_PARTICIPATION] * book.now[at.VOLUME, j]  # what sums of volume are wrong by
    size = asked if asked <= room + dust else room if room > dust else 0.0
    if size < asked:
        order[at.SKIPPED] = i
    if size <= 0.0:
        return
    slips = kind != at.LIMIT and kind != at.TAKE
    rate = rules[at.R_MAKER] if maker else rules[at.R_TAKER]
    closing = min(size, abs(held)) if held * side < 0.0 else 0.0
    if closing > 0.0 and abs(size - abs(held)) <= at.ROUNDING * size:
        size = closing = abs(held)
    opening, reason = size - closing, at.NO_REASON
    if opening > 0.0 and rules[at.R_ACCOUNT] == at.IN_CASH and side < 0.0:
        opening, reason = 0.0, at.NO_SHORT
    if opening > 0.0:
        share = slippage_share(book, j, size) if slips else 0.0
        cost = (share * size * price + fee_of(book, rate, side * size, price, share)) / (size * price)
        most = affordable(book, j, price, 0.0 if closing > 0.0 else held, cost)
        if most * (1.0 + at.GRACE) < opening:
            opening, reason = most if most > at.GRACE * opening else 0.0, at.NO_MARGIN
    if reason != at.NO_REASON:
        size = closing + opening
        if size == 0.0:
            end(book, number, i, at.REJECTED, reason)
            return
    share = slippage_share(book, j, size) if slips else 0.0
    fee = fee_of(book, rate, side * size, price, share)
    cause = int(order[at.KIND])
    write_fill(book, number, i, j, side * size, price, fee, share * size * price, 0.0, cause, maker)
    hold(book, j, side * size, closing, price)
    state[at.ROOM, j] -= size
    first = order[at.FILLED] == 0.0
    order[at.FILLED] += side * size
    order[at.LEFT] -= side * size
    if cut and size == asked and reason == at.NO_REASON:
        reason = at.REDUCED
    _after(book, number, i, j, price, held, opening, reason, first)


@inner
def _after(
    book: Book, number: int, i: int, j: int, price: float, held: float, opening: float, reason: int, first: bool
) -> None:
    """Let a fill act on its order, on brackets and on groups."""
    order = book.order[number]
    position = book.held[at.POSITION, j]
    bracket = order[at.BRACKET] == 1.0
    done = position == 0.0 if bracket else abs(order[at.LEFT]) <= at.ROUNDING * abs(order[at.QUANTITY])
    if done:
        end(book, number, i, at.DONE, at.NO_REASON)
    elif reason != at.NO_REASON or (order[at.REDUCE] == 1.0 and position == 0.0):
        end(book, number, i, at.CANCELLED, at.REDUCED)
    if bracket and order[at.KIND] != at.TAKE:
        cancel_brackets(book, j, i, at.BY_OCO, number)
    if held != 0.0 and position * held <= 0.0:
        cancel_brackets(book, j, i, at.FLAT, -1)
    if first and order[at.OCO] > 0.0:
        cancel_group(book, number, i)
    if opening > 0.0 and order[at.MADE] == 0.0:
        make_brackets(book, number, i, j, price)


@inner
def liquidate(book: Book, i: int, j: int, price: float) -> None:
    """Close a position as the venue does: all of it, whatever the volume, with its fee; every order of it dies."""
    state, money, counts, rules = book.held, book.money, book.counts, book.rules
    state[at.PRICE, j] = price
    quantity = -state[at.POSITION, j]
    size = abs(quantity)
    share = slippage_share(book, j, size)
    fee = fee_of(book, rules[at.R_TAKER], quantity, price, share)
    slippage, own = share * size * price, rules[at.R_LIQUIDATION_FEE] * size * price
    if rules[at.R_ACCOUNT] == at.ISOLATED:
        rest = state[at.MARGIN, j] + state[at.POSITION, j] * (price - state[at.ENTRY, j]) - fee - slippage - own
        if rest < 0.0:
            money[at.INSURANCE] -= rest
            money[at.CASH] -= rest
    write_fill(book, -1, i, j, quantity, price, fee, slippage, own, at.LIQUIDATION, False)
    hold(book, j, quantity, size, price)
    counts[at.LIQUIDATIONS] += 1
    counts[at.HIT_NOW] = 1
    cancel_all(book, j, i, at.LIQUIDATED)


@inner
def close_out(book: Book, i: int, j: int) -> None:
    """Close a position at its last price as by a market order."""
    state = book.held
    quantity, price = -state[at.POSITION, j], state[at.PRICE, j]
    share = slippage_share(book, j, abs(quantity))
    fee = fee_of(book, book.rules[at.R_TAKER], quantity, price, share)
    write_fill(book, -1, i, j, quantity, price, fee, share * abs(quantity) * price, 0.0, at.AT_END, False)
    hold(book, j, quantity, abs(quantity), price)


@inner
def fires_at(order_kind: int, side: float, limit: float, trigger: float, price: float, best: bool) -> bool:
    """Return whether a market, limit, take, stop or stop-limit order fires at a price where the path stands."""
    if order_kind == at.MARKET:
        return True
    if order_kind == at.LIMIT or order_kind == at.TAKE:
        return side * price <= side * limit if best else side * price < side * limit
    if order_kind == at.STOP or order_kind == at.STOP_LIMIT:
        return side * price >= side * trigger
    return False
