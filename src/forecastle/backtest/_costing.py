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
    share = book.rules[at.R_HALF_SPREAD]
    if book.rules[at.R_VOLATILITY] > 0.0 or book.rules[at.R_SQUARE_ROOT] > 0.0 or book.rules[at.R_LINEAR] > 0.0:
        sigma = book.now[at.SIGMA, j]
        traded = book.now[at.VOLUME, j]
        v = min(size / traded, 1.0) if traded > 0.0 else 1.0
        share += (
            book.rules[at.R_VOLATILITY] * sigma
            + book.rules[at.R_LINEAR] * v
            + book.rules[at.R_SQUARE_ROOT] * sigma * math.sqrt(v)
        )
    return float(min(share, MOST))


@inner
def fee_of(book: Book, rate: float, quantity: float, price: float, slippage: float) -> float:
    """Return the fee of a fill of signed ``quantity``; ``slippage`` is a share of the notional."""
    size = abs(quantity)
    paid = 1.0 + slippage if quantity > 0.0 else 1.0 - slippage
    fee = rate * size * price * paid + book.rules[at.R_FEE_PER_UNIT] * size
    return float(max(book.rules[at.R_SMALLEST_FEE], fee))
