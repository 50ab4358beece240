"""The loop over the bars: charges, open, path, close, decisions. docs/backtest_rules.md is what it does."""

from __future__ import annotations

import math

from forecastle.backtest import _book as at
from forecastle.backtest._book import Bars, Book, Path, Rows, Wishes
from forecastle.backtest._fills import close_out, liquidate
from forecastle.backtest._margin import equity_of, is_liquidated, maintenance_of_all
from forecastle.backtest._orders import cancel_all, decide
from forecastle.backtest._path import at_open, expire, may_fire, move_trailing, walk
from forecastle.compiled import borrowed, compiled, inner

BOUNDLESS = 1e300


@compiled
def advance(first: int, last: int, bars: Bars, wishes: Wishes, rows: Rows, book: Book, path: Path) -> int:
    """Trade the bars from ``first`` to before ``last``; return the bar to go on from once the book has more room.

    One loop on arrays by themselves: a bar without events is nothing but reads.
    """
    bars, wishes, rows, book, path = _lent(bars, wishes, rows, book, path)
    instruments, margin = book.held.shape[1], book.rules[at.R_ACCOUNT] != at.IN_CASH
    charged, lives = book.rules[at.R_CHARGED] == 1.0, _has_days(wishes, rows)
    most, final = instruments * at.EVENTS, path.equity.size - 1
    order, working, held_of, money, count = book.order, book.working, book.held, book.money, book.counts
    present, low, high, close, target = bars.present, bars.low, bars.high, bars.close, wishes.target
    equities, positions, due = path.equity, path.position, rows.bar
    for i in range(first, last):
        if count[at.ORDERS] + most + due.size - count[at.NEXT_ROW] > order.shape[0]:
            return i
        if count[at.FILLS] + most > book.fill.shape[0]:
            return i
        count[at.HIT_NOW] = 0
        held, busy = False, False
        for j in range(instruments):
            held = held or held_of[at.POSITION, j] != 0.0
            if not busy and present[i, j] and working[j, at.WAITING] > 0:
                busy = may_fire(order, working, i, j, low[i, j], high[i, j])
        charge = charged and (held or money[at.CASH] < 0.0)
        if busy or charge or (margin and held):
            _look(bars, book, i)
            if charge:
                _charge(book)
            _trade(book, i)
        equity, asked = money[at.CASH], count[at.NEXT_ROW] < due.size and due[count[at.NEXT_ROW]] == i
        for j in range(instruments):
            if present[i, j]:
                held_of[at.PRICE, j] = close[i, j]
            position = held_of[at.POSITION, j]
            positions[i, j] = position
            if position != 0.0:
                equity += position * held_of[at.PRICE, j]
        for j in range(target.shape[1]):
            asked = asked or target[i, j] == target[i, j]
        equities[i] = equity
        if margin or equity <= book.rules[at.R_DUST] or i == final or (lives and bars.day_end[i]):
            _look(bars, book, i)
            _close(book, path, i)
        if asked:
            _look(bars, book, i)
            decide(wishes, rows, book, i)
    return last


@compiled
def decide_now(bars: Bars, wishes: Wishes, rows: Rows, book: Book, i: int) -> None:
    """Turn wishes that were written after the close of bar i into orders."""
    _look(bars, book, i)
    decide(wishes, rows, book, i)


@inner
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


@inner
def _has_days(wishes: Wishes, rows: Rows) -> bool:
    """Return whether an order may live for a day only."""
    found = wishes.tif.shape[0] > 0
    for row in range(rows.bar.size):
        found = found or rows.whole[row, 1] == at.DAY
    return bool(found)


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
    someone = False
    for j in range(book.held.shape[1]):
        if book.now[at.PRESENT, j] == 0.0:
            continue
        someone = True
        notional = book.held[at.POSITION, j] * book.now[at.OPEN, j]
        due = notional * book.now[at.RATE_DUE, j]
        book.money[at.CASH] -= due
        book.money[at.FUNDING] += due
        if notional < 0.0:
            due = -notional * book.rules[at.R_BORROW]
            book.money[at.CASH] -= due
            book.money[at.BORROWING] += due
    if someone and book.money[at.CASH] < 0.0:
        due = -book.money[at.CASH] * book.rules[at.R_INTEREST]
        book.money[at.CASH] -= due
        book.money[at.INTEREST] += due


@inner
def _trade(book: Book, i: int) -> None:
    """Do what happens at the open and along the path."""
    instruments, now = book.held.shape[1], book.now
    share = book.rules[at.R_PARTICIPATION]
    for j in range(instruments):
        if now[at.PRESENT, j] == 1.0:
            book.held[at.PRICE, j] = now[at.OPEN, j]
            book.held[at.ROOM, j] = share * now[at.VOLUME, j] if share > 0.0 else BOUNDLESS
    if book.rules[at.R_ACCOUNT] != at.IN_CASH:
        _liquidate_all(book, i)
    before = book.counts[at.ORDERS]
    for reducing in (True, False):
        for j in range(instruments):
            if now[at.PRESENT, j] == 1.0 and book.working[j, at.WAITING] > 0:
                at_open(book, i, j, reducing, before)
    for j in range(instruments):
        if now[at.PRESENT, j] == 1.0:
            expire(book, i, j, at.IOC, before)
            move_trailing(book, i, j, now[at.OPEN, j])
    for j in range(instruments):
        if now[at.PRESENT, j] == 1.0:
            walk(book, i, j)
            book.held[at.PRICE, j] = now[at.CLOSE, j]


@inner
def _liquidate_all(book: Book, i: int) -> None:
    """Close what the venue closes at the current prices, one after the other, of those that trade."""
    for j in range(book.held.shape[1]):
        if book.now[at.PRESENT, j] == 1.0 and is_liquidated(book, j):
            liquidate(book, i, j, book.held[at.PRICE, j])


@inner
def _close(book: Book, path: Path, i: int) -> None:
    """See at the close which orders expire and whether the account still stands, and note it again."""
    instruments, held = book.held.shape[1], False
    for j in range(instruments):
        if book.counts[at.DAY_OVER] == 1 and book.working[j, at.WAITING] > 0:
            expire(book, i, j, at.DAY, book.counts[at.ORDERS])
        held = held or book.held[at.POSITION, j] != 0.0
    if held and book.rules[at.R_ACCOUNT] != at.IN_CASH:
        _liquidate_all(book, i)
    _note(book, path, i)
    if book.rules[at.R_ACCOUNT] != at.IN_CASH:
        _watch(book, path, i)
    if path.equity[i] <= book.rules[at.R_DUST] and book.counts[at.IS_RUINED] == 0:
        book.counts[at.IS_RUINED] = 1
        for j in range(instruments):
            cancel_all(book, j, i, at.RUINED)
    if i == path.equity.size - 1 and book.rules[at.R_CLOSE_AT_END] == 1.0:
        for j in range(instruments):
            cancel_all(book, j, i, at.END)
            if book.now[at.PRESENT, j] == 1.0 and book.held[at.POSITION, j] != 0.0:
                close_out(book, i, j)
        _note(book, path, i)


@inner
def _note(book: Book, path: Path, i: int) -> None:
    path.equity[i] = equity_of(book)
    for j in range(book.held.shape[1]):
        path.position[i, j] = book.held[at.POSITION, j]


@inner
def _watch(book: Book, path: Path, i: int) -> None:
    """Note the margin ratio, and whether the venue would have called."""
    held, equity = False, path.equity[i]
    for j in range(book.held.shape[1]):
        held = held or book.held[at.POSITION, j] != 0.0
    ratio = 0.0
    if held:
        ratio = maintenance_of_all(book, -1) / equity if equity > book.rules[at.R_DUST] else math.inf
    path.margin_ratio[i] = ratio
    if ratio >= book.rules[at.R_CALL_AT] or book.counts[at.HIT_NOW] == 1:
        book.counts[at.CALLS] += 1
