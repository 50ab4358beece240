"""What has to be kept for a position, and the price at which the venue closes it."""

from __future__ import annotations

import math

from forecastle.backtest import _book as at
from forecastle.backtest._book import Book
from forecastle.compiled import inner


@inner
def equity_of(book: Book) -> float:
    """Return cash and what the positions are worth at their current prices."""
    total = book.money[at.CASH]
    for j in range(book.held.shape[1]):
        if book.held[at.POSITION, j] != 0.0:
            total += book.held[at.POSITION, j] * book.held[at.PRICE, j]
    return float(total)


@inner
def maintenance(book: Book, notional: float) -> float:
    """Return ``rate * notional - deduction`` of the tier that the notional falls into."""
    tier = 0
    for t in range(1, book.tiers.shape[1]):
        if notional >= book.tiers[at.FLOOR, t]:
            tier = t
    return float(book.tiers[at.RATE, tier] * notional - book.tiers[at.DEDUCTION, tier])


@inner
def maintenance_of_all(book: Book, without: int) -> float:
    """Return the sum over all positions but one (-1: none is left out)."""
    total = 0.0
    for j in range(book.held.shape[1]):
        if j != without and book.held[at.POSITION, j] != 0.0:
            total += maintenance(book, abs(book.held[at.POSITION, j]) * book.held[at.PRICE, j])
    return float(total)


@inner
def is_liquidated(book: Book, j: int) -> bool:
    """Return whether the position would be closed by the venue at the current prices."""
    q = book.held[at.POSITION, j]
    if q == 0.0:
        return False
    own = maintenance(book, abs(q) * book.held[at.PRICE, j])
    if book.rules[at.R_ACCOUNT] == at.ISOLATED:
        return bool(book.held[at.MARGIN, j] + q * (book.held[at.PRICE, j] - book.held[at.ENTRY, j]) <= own)
    return bool(equity_of(book) <= maintenance_of_all(book, j) + own)


@inner
def liquidation_price(book: Book, j: int) -> float:
    """Return the price of the instrument at which it is, others at their current prices; NaN where none is above zero.

    Solves ``rest + q p = others + rate |q| p - deduction`` tier by tier: the one whose root lies in it.
    """
    q = book.held[at.POSITION, j]
    if book.rules[at.R_ACCOUNT] == at.ISOLATED:
        rest, others = book.held[at.MARGIN, j] - q * book.held[at.ENTRY, j], 0.0
    else:
        rest, others = equity_of(book) - q * book.held[at.PRICE, j], maintenance_of_all(book, j)
    size = abs(q)
    for t in range(book.tiers.shape[1]):
        if q > 0.0:
            p = (others - book.tiers[at.DEDUCTION, t] - rest) / (size * (1.0 - book.tiers[at.RATE, t]))
        else:
            p = (rest - others + book.tiers[at.DEDUCTION, t]) / (size * (1.0 + book.tiers[at.RATE, t]))
        below = t + 1 == book.tiers.shape[1] or size * p < book.tiers[at.FLOOR, t + 1]
        if p > 0.0 and size * p >= book.tiers[at.FLOOR, t] and below:
            return float(p)
    return math.nan


@inner
def affordable(book: Book, j: int, price: float, stays: float, cost: float) -> float:
    """Return the largest quantity that may be opened at ``price``; ``stays`` (signed) is what is held of it meanwhile.

    ``cost`` is the share of the notional that opening costs.
    """
    total = equity_of(book)
    if book.rules[at.R_ACCOUNT] == at.ISOLATED:
        for m in range(book.held.shape[1]):
            q = stays if m == j else book.held[at.POSITION, m]
            if q != 0.0:
                total -= book.held[at.MARGIN, m] + q * (book.held[at.PRICE, m] - book.held[at.ENTRY, m])
        return float(total / (price * (1.0 / book.rules[at.R_LEVERAGE] + cost)))
    gross = abs(stays) * price
    for m in range(book.held.shape[1]):
        if m != j and book.held[at.POSITION, m] != 0.0:
            gross += abs(book.held[at.POSITION, m]) * book.held[at.PRICE, m]
    leverage = book.rules[at.R_LEVERAGE]
    return float((leverage * total - gross) / (price * (1.0 + leverage * cost)))
