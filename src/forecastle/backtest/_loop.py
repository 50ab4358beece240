"""The loop over the bars: charges, open, path, close, decisions. docs/backtest_rules.md is what it does."""

from __future__ import annotations

import math

from forecastle.backtest import _book as at
from forecastle.backtest._book import Bars, Book, Path, Rows, Wishes
from forecastle.backtest._fills import close_out, liquidate
from forecastle.backtest._margin import equity_of, is_liquidated, maintenance_of_all
from forecastle.backtest._orders import cancel_all, decide
from forecastle.backtest._path import at_open, expire, move_trailing, walk, watch_for
from forecastle.compiled import borrowed, compiled, folded, inner

BOUNDLESS = 1e300


@compiled
def advance(first: int, last: int, bars: Bars, wishes: Wishes, rows: Rows, book: Book, path: Path) -> int:
    """Trade the bars from ``first`` to before ``last``; return the bar to go on from once the book has more room.

    With ``first == last`` nothing is traded: what was wished of that bar afterwards becomes orders.

    One loop on arrays by themselves: a bar without events is nothing but reads.
    """
    bars, wishes, rows, book, path = _lent(bars, wishes, rows, book, path)
    instruments, margin = book.held.shape[1], book.rules[at.R_ACCOUNT] != at.IN_CASH
    charged = book.rules[at.R_CHARGED] == 1.0
    book.counts[at.LIVES], book.counts[at.TRAILS] = _lives(wishes, rows), _trails(wishes, rows)
    lives = book.counts[at.LIVES] == 1
    most, final = instruments * at.EVENTS, path.equity.size - 1
    order, held_of, money, count = book.order, book.held, book.money, book.counts
    present, low, high, close, target = bars.present, bars.low, bars.high, bars.close, wishes.target
    equities, positions, due = path.equity, path.position, rows.bar
    only_decide = first == last
    for i in range(first, max(last, first + 1)):
        if count[at.ORDERS] + most + due.size - count[at.NEXT_ROW] > order.shape[0]:
            return i
        if count[at.FILLS] + most > book.fill.shape[0]:
            return i
        if not only_decide:
            count[at.HIT_NOW] = 0
            held, busy = False, False
            for j in range(instruments):
                held = held or held_of[at.POSITION, j] != 0.0
                busy = busy or low[i, j] <= held_of[at.BELOW, j] or high[i, j] >= held_of[at.ABOVE, j]
            charge = charged and (held or money[at.CASH] < 0.0)
            if busy or charge or (margin and held):
                _look(bars, book, i)
                if charge:
                    _charge(book)
                _trade(book, i)
                for j in range(instruments):
                    watch_for(book, j)
            equity = money[at.CASH]
            for j in range(instruments):
                if present[i, j]:
                    held_of[at.PRICE, j] = close[i, j]
                position = held_of[at.POSITION, j]
                positions[i, j] = position
                if position != 0.0:
                    equity += position * held_of[at.PRICE, j]
            equities[i] = equity
            if margin or equity <= book.rules[at.R_DUST] or i == final or (lives and bars.day_end[i]):
                _look(bars, book, i)
                _close(book, path, i)
                for j in range(instruments):
                    watch_for(book, j)
        asked = count[at.NEXT_ROW] < due.size and due[count[at.NEXT_ROW]] == i
        for j in range(target.shape[1]):
            asked = asked or target[i, j] == target[i, j]
        if asked:
            _look(bars, book, i)
            decide(wishes, rows, book, i)
            for j in range(instruments):
                watch_for(book, j)
    return last


@folded
def _lent(bars: Bars, wishes: Wishes, rows: Rows, book: Book, path: Path) -> tuple[Bars, Wishes, Rows, Book, Path]:
    """Return the same tables for the time of a call, which holds them."""
    return (
        Bars(
            borrowed(bars.open), borrowed(bars.high), borrowed(bars.low), borrowed(bars.close), borrowed(bars.volume),
            borrowed(bars.present), borrowed(bars.day_end), borrowed(bars.sigma), borrowed(bars.funding),
        ),
        Wishes(
            wishes.measure, borrowed(wishes.target), borrowed(wishes.kind), borrowed(wishes.limit),
            borrowed(wishes.trigger), borrowed(wishes.tif), borrowed(wishes.stop), borrowed(wishes.take),
            borrowed(wishes.stop_share), borrowed(wishes.take_share), borrowed(wishes.trail_share),
        ),
        Rows(borrowed(rows.bar), borrowed(rows.instrument), borrowed(rows.whole), borrowed(rows.numbers)),
        Book(
            borrowed(book.order), borrowed(book.fill), borrowed(book.working), borrowed(book.held), borrowed(book.now),
            borrowed(book.money), borrowed(book.counts), borrowed(book.rules), borrowed(book.tiers),
        ),
        Path(borrowed(path.equity), borrowed(path.position), borrowed(path.margin_ratio)),
    )  # fmt: skip


@folded
def _lives(wishes: Wishes, rows: Rows) -> int:
    """Return 1 where an order may live for a day or an open only."""
    found = 1 if wishes.tif.shape[0] > 0 else 0
    for row in range(rows.bar.size):
        if rows.whole[row, 1] != at.GTC:
            found = 1
    return found


@folded
def _trails(wishes: Wishes, rows: Rows) -> int:
    """Return 1 where an order may move with the price."""
    found = 1 if wishes.trail_share.shape[0] > 0 else 0
    for row in range(rows.bar.size):
        if rows.whole[row, 0] == at.TRAILING or rows.numbers[row, 8] == rows.numbers[row, 8]:
            found = 1
    return found


@inner
def _look(bars: Bars, book: Book, i: int) -> None:
    """Lay the bar where all functions find it: prices, what is known of the volatility, and what is due."""
    for j in range(book.held.shape[1]):
        now = book.now
        now[at.PRESENT, j] = 1.0 if bars.present[i, j] else 0.0
        now[at.OPEN, j], now[at.HIGH, j], now[at.LOW, j] = bars.open[i, j], bars.high[i, j], bars.low[i, j]
        now[at.CLOSE, j], now[at.VOLUME, j] = bars.close[i, j], bars.volume[i, j]
        sigma = bars.sigma[i - 1, j] if i > 0 and bars.sigma.shape[0] > 0 else 0.0
        now[at.SIGMA, j] = sigma if sigma >= 0.0 else 0.0
        now[at.RATE_DUE, j] = bars.funding[i, j] if bars.funding.shape[0] > 0 else 0.0
    book.counts[at.DAY_OVER] = 1 if bars.day_end[i] else 0


@inner
def _charge(book: Book) -> None:
    """Pay funding, borrowing and interest on what was carried in."""
    state, bar, money, rules = book.held, book.now, book.money, book.rules
    someone = False
    for j in range(state.shape[1]):
        if bar[at.PRESENT, j] == 0.0:
            continue
        someone = True
        notional = state[at.POSITION, j] * bar[at.OPEN, j]
        due = notional * bar[at.RATE_DUE, j]
        money[at.CASH] -= due
        money[at.FUNDING] += due
        if notional < 0.0:
            due = -notional * rules[at.R_BORROW]
            money[at.CASH] -= due
            money[at.BORROWING] += due
    if someone and money[at.CASH] < 0.0:
        due = -money[at.CASH] * rules[at.R_INTEREST]
        money[at.CASH] -= due
        money[at.INTEREST] += due


@folded
def _trade(book: Book, i: int) -> None:
    """Do what happens at the open and along the path."""
    state, counts, rules = book.held, book.counts, book.rules
    instruments, now = state.shape[1], book.now
    share = rules[at.R_PARTICIPATION]
    for j in range(instruments):
        if now[at.PRESENT, j] == 1.0:
            state[at.PRICE, j] = now[at.OPEN, j]
            state[at.ROOM, j] = share * now[at.VOLUME, j] if share > 0.0 else BOUNDLESS
    if rules[at.R_ACCOUNT] != at.IN_CASH:
        _liquidate_all(book, i)
    before = counts[at.ORDERS]
    for reducing in (True, False):
        for j in range(instruments):
            idle = book.working[j, at.WAITING] == 0 or (reducing and state[at.POSITION, j] == 0.0)
            if now[at.PRESENT, j] == 1.0 and not idle:
                at_open(book, i, j, reducing, before)
    for j in range(instruments):
        if now[at.PRESENT, j] == 1.0:
            if counts[at.LIVES] == 1:
                expire(book, i, j, at.IOC, before)
            if counts[at.TRAILS] == 1:
                move_trailing(book, i, j, now[at.OPEN, j])
    for j in range(instruments):
        if now[at.PRESENT, j] == 1.0:
            walk(book, i, j)
            state[at.PRICE, j] = now[at.CLOSE, j]


@inner
def _liquidate_all(book: Book, i: int) -> None:
    """Close what the venue closes at the current prices, one after the other, of those that trade."""
    state = book.held
    for j in range(state.shape[1]):
        if book.now[at.PRESENT, j] == 1.0 and is_liquidated(book, j):
            liquidate(book, i, j, state[at.PRICE, j])


@inner
def _close(book: Book, path: Path, i: int) -> None:
    """See at the close which orders expire and whether the account still stands, and note it again."""
    state, counts, rules = book.held, book.counts, book.rules
    instruments, held = state.shape[1], False
    for j in range(instruments):
        if counts[at.DAY_OVER] == 1 and book.working[j, at.WAITING] > 0:
            expire(book, i, j, at.DAY, counts[at.ORDERS])
        held = held or state[at.POSITION, j] != 0.0
    if held and rules[at.R_ACCOUNT] != at.IN_CASH:
        _liquidate_all(book, i)
    _note(book, path, i)
    if rules[at.R_ACCOUNT] != at.IN_CASH:
        _watch(book, path, i)
    if path.equity[i] <= rules[at.R_DUST] and counts[at.IS_RUINED] == 0:
        counts[at.IS_RUINED] = 1
        for j in range(instruments):
            cancel_all(book, j, i, at.RUINED)
    if i == path.equity.size - 1 and rules[at.R_CLOSE_AT_END] == 1.0:
        for j in range(instruments):
            cancel_all(book, j, i, at.END)
            if book.now[at.PRESENT, j] == 1.0 and state[at.POSITION, j] != 0.0:
                close_out(book, i, j)
        _note(book, path, i)


@inner
def _note(book: Book, path: Path, i: int) -> None:
    state = book.held
    path.equity[i] = equity_of(book)
    for j in range(state.shape[1]):
        path.position[i, j] = state[at.POSITION, j]


@inner
def _watch(book: Book, path: Path, i: int) -> None:
    """Note the margin ratio, and whether the venue would have called."""
    state, counts, rules = book.held, book.counts, book.rules
    held, equity = False, path.equity[i]
    for j in range(state.shape[1]):
        held = held or state[at.POSITION, j] != 0.0
    ratio = 0.0
    if held:
        ratio = maintenance_of_all(book, -1) / equity if equity > rules[at.R_DUST] else math.inf
    path.margin_ratio[i] = ratio
    if ratio >= rules[at.R_CALL_AT] or counts[at.HIT_NOW] == 1:
        counts[at.CALLS] += 1
