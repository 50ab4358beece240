"""Round trips: from the fill that opens a position to the one that closes it or turns it round."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecastle.compiled import compiled

FloatArray = npt.NDArray[np.float64]
TRADE = (
    "instrument",
    "entry_bar",
    "exit_bar",
    "side",
    "quantity",
    "entry_price",
    "exit_price",
    "gain",
    "costs",
    "cause",
)
"""``exit_bar`` is -1 while a trade is open; ``gain`` is before, ``costs`` what fees, slippage and liquidation took."""
(_INSTRUMENT, _ENTRY, _EXIT, _SIDE, _QUANTITY, _IN, _OUT, _GAIN, _COSTS, _CAUSE) = range(10)


@compiled
def round_trips(fills: FloatArray, instruments: int) -> FloatArray:
    """Return one row a trade with the columns of :data:`TRADE`, in the order in which they were opened.

    ``fills`` has the columns of :data:`~forecastle.backtest.simulated.FILL`. A trade begins where a position leaves
    zero and ends where it is zero again or of the other sign: then that fill ends one and begins the next, its costs
    shared by quantity. ``quantity`` is all that was opened, prices are the means of what was opened and closed, so that
    ``gain = side * quantity * (exit - entry)`` once it is closed. Funding and interest are the account's, not its own.
    """
    made = np.empty((fills.shape[0] + 1, 10))
    open_of = np.full(instruments, -1)
    held, closed, entry = np.zeros(instruments), np.zeros(instruments), np.zeros(instruments)
    count = 0
    for f in range(fills.shape[0]):
        j, quantity, price = int(fills[f, 2]), fills[f, 3], fills[f, 4]
        costs = fills[f, 5] + fills[f, 6] + fills[f, 7]
        before, size = held[j], abs(quantity)
        closing = min(size, abs(before)) if before * quantity < 0.0 else 0.0
        opening = size - closing
        if closing > 0.0:
            row = made[open_of[j]]
            row[_GAIN] += row[_SIDE] * closing * (price - entry[j])
            row[_OUT] = (row[_OUT] * closed[j] + price * closing) / (closed[j] + closing)
            closed[j] += closing
            row[_COSTS] += costs * (closing / size)
            if closing == abs(before):
                row[_EXIT], row[_CAUSE] = fills[f, 1], fills[f, 8]
                open_of[j] = -1
        if opening > 0.0:
            if open_of[j] < 0:
                row = made[count]
                row[:] = 0.0
                row[_INSTRUMENT], row[_ENTRY], row[_EXIT], row[_CAUSE] = j, fills[f, 1], -1.0, -1.0
                row[_SIDE] = 1.0 if quantity > 0.0 else -1.0
                open_of[j], closed[j] = count, 0.0
                count += 1
            row = made[open_of[j]]
            stays = abs(before) - closing
            entry[j] = (entry[j] * stays + price * opening) / (stays + opening)
            row[_IN] = (row[_IN] * row[_QUANTITY] + price * opening) / (row[_QUANTITY] + opening)
            row[_QUANTITY] += opening
            row[_COSTS] += costs * (opening / size)
        held[j] = before + quantity
    return made[:count]
