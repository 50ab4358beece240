"""Money beside the price of a fill: slippage and fees, never negative."""

from __future__ import annotations

import math

from forecastle.backtest import _book as at
from forecastle.backtest._book import Book
from forecastle.compiled import inner

MOST = 0.5
"""Slippage is never more than this share of the notional."""


@inner
def slippage_share(book: Book, j: int, size: float) -> float:
    """Return the share of the notional that taking ``size`` units moves the price by."""
    bar, rules = book.now, book.rules
    share = rules[at.R_HALF_SPREAD]
    if rules[at.R_VOLATILITY] > 0.0 or rules[at.R_SQUARE_ROOT] > 0.0 or rules[at.R_LINEAR] > 0.0:
        sigma = bar[at.SIGMA, j]
        traded = bar[at.VOLUME, j]
        v = min(size / traded, 1.0) if traded > 0.0 else 1.0
        share += (
            rules[at.R_VOLATILITY] * sigma + rules[at.R_LINEAR] * v + rules[at.R_SQUARE_ROOT] * sigma * math.sqrt(v)
        )
    return float(min(share, MOST))


@inner
def fee_of(book: Book, rate: float, quantity: float, price: float, slippage: float) -> float:
    """Return the fee of a fill of signed ``quantity``; ``slippage`` is a share of the notional."""
    rules = book.rules
    size = abs(quantity)
    paid = 1.0 + slippage if quantity > 0.0 else 1.0 - slippage
    fee = rate * size * price * paid + rules[at.R_FEE_PER_UNIT] * size
    return float(max(rules[at.R_SMALLEST_FEE], fee))
