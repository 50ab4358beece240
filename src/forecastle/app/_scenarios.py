"""The unkind markets: stretches of history, and histories that are changed where it would hurt the most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns import Candles, History
from forecastle.nouns.candles import PRICES

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Crisis:
    """A stretch of history, its first and last day, and what it was."""

    name: str
    first: str
    last: str
    note: str

    @property
    def span(self) -> tuple[datetime, datetime]:
        """Return the moments from the first day on to before the day after the last."""
        first, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (self.first, self.last))
        return first, last.replace(hour=23, minute=59, second=59)


CRYPTO = (
    Crisis("2018 bear market", "2018-01-07", "2018-12-15", "Bitcoin from 17,000 to 3,200 USD in eleven months"),
    Crisis("March 2020", "2020-02-20", "2020-03-23", "Bitcoin lost half within a day, 12 March"),
    Crisis("May 2021", "2021-05-08", "2021-07-20", "China's ban on mining, and forced sales"),
    Crisis("LUNA", "2022-05-05", "2022-06-18", "Terra's collapse, then Three Arrows and Celsius"),
    Crisis("FTX", "2022-11-05", "2022-11-21", "the exchange fails"),
)
STOCKS = (
    Crisis("October 1987", "1987-10-05", "1987-12-04", "Black Monday, minus 20 % on 19 October"),
    Crisis("2000 to 2002", "2000-03-24", "2002-10-09", "the end of the internet bubble"),
    Crisis("2008", "2008-09-02", "2009-03-09", "Lehman Brothers and after"),
    Crisis("March 2020", "2020-02-20", "2020-03-23", "the pandemic"),
    Crisis("2022", "2022-01-03", "2022-10-12", "inflation and rising rates"),
)
LIKE_1987 = (-0.0295, -0.0234, -0.0516, -0.2047, 0.0533, 0.0910, -0.0392, -0.0001, -0.0828)
"""Daily changes of the S&P 500 from 14 to 26 October 1987, shares: public figures, rounded."""
LIKE_2008 = (-0.0385, -0.0574, -0.0113, -0.0762, -0.0118, 0.1158, -0.0053, -0.0903, 0.0425, -0.0062)
"""The same from 6 to 17 October 2008."""
FLASH, GAP_SIGMAS, OUTAGE = 0.3, 6.0, 3
"""The depth of a flash crash, a share; the size of a gap in sigmas; bars of an outage."""


@dataclass(frozen=True)
class Changed:
    """Histories with something done to them, and what it was; ``absent`` bars from there on cannot be traded."""

    name: str
    note: str
    histories: tuple[History, ...]
    absent: int = 0


def changed(
    histories: tuple[History, ...], moment: np.datetime64, side: float, sigma: float, stock: bool
) -> Iterator[Changed]:
    """Yield the market scenarios, each in the bar that closes at ``moment``, where most was held, and against that."""
    when = f"at {moment.astype('datetime64[m]')}, where it held most"
    depth = FLASH if not stock else FLASH / 3.0
    down = side >= 0.0
    word = "down" if down else "up"
    yield Changed("flash crash" if down else "flash spike", f"{100 * depth:.0f} % {word} and back within a bar, {when}",
                  tuple(_flash(h, _row(h, moment), depth, down) for h in histories))  # fmt: skip
    jump = -GAP_SIGMAS * sigma if down else GAP_SIGMAS * sigma
    yield Changed("gap", f"an open {100 * np.expm1(jump):+.1f} % ({GAP_SIGMAS:g} sigmas), and no way back, {when}",
                  tuple(_stepped(h, _row(h, moment), np.array([jump])) for h in histories))  # fmt: skip
    for name, moves in (("1987-like", LIKE_1987), ("2008-like", LIKE_2008)):
        steps = np.log1p(np.array(moves)) * (1.0 if down else -1.0)
        yield Changed(name, f"the daily changes of that October one after the other, {when}",
                      tuple(_stepped(h, _row(h, moment), steps) for h in histories))  # fmt: skip
    yield Changed("regime shift", "from the middle on every return is doubled and the drift is gone",
                  tuple(_shifted(h) for h in histories))  # fmt: skip
    note = f"no bar and no trade for {OUTAGE} bars {when}; prices go on meanwhile"
    yield Changed("exchange outage", note, histories, OUTAGE)


def _row(history: History, moment: np.datetime64) -> int:
    """Return the row of the bar that closes at a moment, or of the next."""
    return int(np.searchsorted(history.candles.times("close_time"), moment))


def _flash(history: History, row: int, depth: float, down: bool) -> History:
    prices = _prices(history.candles)
    if row >= len(history.candles):
        return history
    if down:
        prices["low"][row] = min(prices["low"][row], prices["open"][row] * (1.0 - depth))
    else:
        prices["high"][row] = max(prices["high"][row], prices["open"][row] * (1.0 + depth))
    return replace(history, candles=_with(history.candles, prices))


def _stepped(history: History, row: int, moves: FloatArray) -> History:
    """Put ``moves`` in front of the returns from ``row`` on: each bar opens that much away, and stays there."""
    n = len(history.candles)
    steps = np.zeros(n)
    last = min(row + moves.size, n)
    steps[row:last] = moves[: last - row]
    factor = np.exp(np.cumsum(steps))
    prices = {name: values * factor for name, values in _prices(history.candles).items()}
    return replace(history, candles=_with(history.candles, prices))


def _shifted(history: History) -> History:
    close = history.candles.frame["close"].to_numpy()
    half = close.size // 2
    moves = np.diff(np.log(close))
    later = moves[half:]
    extra = np.concatenate([np.zeros(half + 1), later - 2.0 * later.mean()])
    factor = np.exp(np.cumsum(extra))
    prices = {name: values * factor for name, values in _prices(history.candles).items()}
    return replace(history, candles=_with(history.candles, prices))


def bootstrapped(histories: tuple[History, ...], block: float, draw: np.random.Generator) -> tuple[History, ...]:
    """Return histories of the same length made of blocks of bars, the same blocks for all instruments that are whole.

    A bar is its returns from the close before to open, high, low and close, and its volume; blocks have geometric
    lengths of mean ``block`` (Politis and Romano 1994). Instruments of different length are drawn each by itself.
    """
    lengths = {len(h.candles) for h in histories}
    rows = _blocks(max(lengths), block, draw) if len(lengths) == 1 else None
    return tuple(_drawn(h, _blocks(len(h.candles), block, draw) if rows is None else rows) for h in histories)


def _blocks(n: int, block: float, draw: np.random.Generator) -> npt.NDArray[np.int64]:
    begins = draw.random(n - 1) < 1.0 / block
    begins[0] = True
    starts = draw.integers(n - 1, size=n - 1)
    place = np.arange(n - 1)
    last = np.maximum.accumulate(np.where(begins, place, 0))
    return np.asarray(1 + (starts[last] + place - last) % (n - 1))


def _drawn(history: History, rows: npt.NDArray[np.int64]) -> History:
    prices = _prices(history.candles)
    before = np.concatenate([[prices["open"][0]], prices["close"][:-1]])
    moves = {name: np.log(prices[name] / before) for name in PRICES}
    close = prices["close"][0] * np.exp(np.concatenate([[0.0], np.cumsum(moves["close"][rows])]))
    made = {name: np.concatenate([[prices[name][0]], close[:-1] * np.exp(moves[name][rows])]) for name in PRICES}
    made["close"] = close
    made["high"] = np.maximum.reduce([made["high"], made["open"], close])
    made["low"] = np.minimum.reduce([made["low"], made["open"], close])
    volume = history.candles.frame["volume"].to_numpy()
    return replace(history, candles=_with(history.candles, made, np.concatenate([volume[:1], volume[rows]])))


def _prices(candles: Candles) -> dict[str, FloatArray]:
    return {name: candles.frame[name].to_numpy().copy() for name in PRICES}


def _with(candles: Candles, prices: dict[str, FloatArray], volume: FloatArray | None = None) -> Candles:
    columns = [pl.Series(name, values) for name, values in prices.items()]
    columns += [] if volume is None else [pl.Series("volume", volume)]
    return replace(candles, frame=candles.frame.with_columns(columns))
