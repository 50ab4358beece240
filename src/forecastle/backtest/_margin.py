"""What has to be kept for a position, and the price at which the venue closes it."""

from __future__ import annotations

import math

from forecastle.backtest import _book as at
from forecastle.backtest._book import Book
from forecastle.compiled import inner


@inner
def equity_of(book: Book) -> float:
    """Return cash and what the positions are worth at their current prices."""
    state = book.held
    total = book.money[at.CASH]
    for j in range(state.shape[1]):
        if state[at.POSITION, j] != 0.0:
            total += state[at.POSITION, j] * state[at.PRICE, j]
    return float(total)


@inner
def maintenance(book: Book, notional: float) -> float:
    """Return ``rate * notional - deduction`` of the tier that the notional falls into."""
    tiers = book.tiers
    tier = 0
    for t in range(1, tiers.shape[1]):
        if notional >= tiers[at.FLOOR, t]:
            tier = t
    return float(tiers[at.RATE, tier] * notional - tiers[at.DEDUCTION, tier])


@inner
def maintenance_of_all(book: Book, without: int) -> float:
    """Return the sum over all positions but one (-1: none is left out)."""
    state = book.held
    total = 0.0
    for j in range(state.shape[1]):
        if j != without and state[at.POSITION, j] != 0.0:
            total += maintenance(book, abs(state[at.POSITION, j]) * state[at.PRICE, j])
    return float(total)


@inner
def is_liquidated(book: Book, j: int) -> bool:
    """Return whether the position would be closed by the venue at the current prices."""
    state = book.held
    q = state[at.POSITION, j]
    if q == 0.0:
        return False
    own = maintenance(book, abs(q) * state[at.PRICE, j])
    if book.rules[at.R_ACCOUNT] == at.ISOLATED:
        return bool(state[at.MARGIN, j] + q * (state[at.PRICE, j] - state[at.ENTRY, j]) <= own)
    return bool(equity_of(book) <= maintenance_of_all(book, j) + own)


@inner
def liquidation_price(book: Book, j: int) -> float:
    """Return the price of the instrument at which it is, others at their current prices; NaN where none is above zero.

    Solves ``rest + q p = others + rate |q| p - deduction`` tier by tier: the one whose root lies in it.
    """
    state, tiers = book.held, book.tiers
    q = state[at.POSITION, j]
    if book.rules[at.R_ACCOUNT] == at.ISOLATED:
        rest, others = state[at.MARGIN, j] - q * state[at.ENTRY, j], 0.0
    else:
        rest, others = equity_of(book) - q * state[at.PRICE, j], maintenance_of_all(book, j)
    size = abs(q)
    for t in range(tiers.shape[1]):
        if q > 0.0:
            p = (others - tiers[at.DEDUCTION, t] - rest) / (size * (1.0 - tiers[at.RATE, t]))
        else:
            p = (rest - others + tiers[at.DEDUCTION, t]) / (size * (1.0 + tiers[at.RATE, t]))
        below = t + 1 == tiers.shape[1] or size * p < tiers[at.FLOOR, t + 1]
        if p > 0.0 and size * p >= tiers[at.FLOOR, t] and below:
            return float(p)
    return math.nan


@inner
def affordable(book: Book, j: int, price: float, stays: float, cost: float) -> float:
    """Return the largest quantity that may be opened at ``price``; ``stays`` (signed) is what is held of it meanwhile.

    ``cost`` is the share of the notional that opening costs.
    """
    state, rules = book.held, book.rules
    total = equity_of(book)
    if rules[at.R_ACCOUNT] == at.ISOLATED:
        for m in range(state.shape[1]):
            q = stays if m == j else state[at.POSITION, m]
            if q != 0.0:
                total -= state[at.MARGIN, m] + q * (state[at.PRICE, m] - state[at.ENTRY, m])
        return float(total / (price * (1.0 / rules[at.R_LEVERAGE] + cost)))
    gross = abs(stays) * price
    for m in range(state.shape[1]):
        if m != j and state[at.POSITION, m] != 0.0:
            gross += abs(state[at.POSITION, m]) * state[at.PRICE, m]
    leverage = rules[at.R_LEVERAGE]
    return float((leverage * total - gross) / (price * (1.0 + leverage * cost)))
