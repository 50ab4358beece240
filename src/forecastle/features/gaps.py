"""Holes in candles: the one step that puts bars into them, by name and with a limit. See decision 0003."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import polars as pl

from forecastle.errors import RequestInvalid
from forecastle.nouns import Candles
from forecastle.nouns.candles import PRICES, SCHEMA
from forecastle.sessions import Times, found_in, is_intraday

_LOG = logging.getLogger("forecastle.features")  # below the log of Forecastle: telemetry sends it to stderr
_DAYS = np.timedelta64(2, "D")


@dataclass(frozen=True)
class Fill:
    """The step ``forward_fill(limit)``: part of the configuration and of the fingerprint of what is made after it.

    ``limit`` counts bars in a row. Raises ``RequestInvalid`` where it is below one.
    """

    limit: int

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise RequestInvalid(
                f"forward_fill has the limit {self.limit}.",
                "It is the number of bars that may be made up in a row, one or more.",
                "Give a limit, or leave the step out: holes stay holes.",
            )

    @property
    def name(self) -> str:
        """Return what stands in the steps of a feature frame, such as ``forward_fill(5)``."""
        return f"forward_fill({self.limit})"

    def apply(self, candles: Candles) -> Candles:
        """Return the candles with flat bars in their holes. See :func:`forward_fill`; how many is logged."""
        frame = candles.frame
        made = _flat_bars(candles, *_room(candles, *_absent(candles, self.limit)))
        _LOG.info("%s put %d bars into %d of %s %s", self.name, made.height, frame.height, candles.instrument,
                  candles.timeframe)  # fmt: skip
        joined = pl.concat([frame, made]).sort("open_time") if made.height else frame
        return Candles(
            candles.instrument, candles.timeframe, candles.source, joined, candles.adjusted, candles.prices
        )  # fmt: skip


def forward_fill(candles: Candles, limit: int) -> Candles:
    """Return the candles with flat bars where the calendar has a bar and they have none, ``limit`` in a row at most.

    A flat bar has the last close before it as open, high, low and close (quote currency) and no volume; it says what
    was known then, nothing later. Only holes between the first and the last bar are seen. One that is longer than
    ``limit`` gets its first ``limit`` bars, and the rest stays a hole. Where a bar would overlap one that is there,
    none is made. A bar that was made up counts as one that is there: filled again, a hole is filled further.

    Of intraday bars of an exchange only whole missing sessions are known to be missing (:meth:`Candles.missing`). They
    are filled whole, with the bars of the calendar, as long as they fit into the limit: half a session would pass for
    a whole one. Raises ``RequestInvalid`` for a limit below one.

    There is no backward fill: a value from the future is never put into an earlier row.
    """
    return Fill(limit).apply(candles)


def _absent(candles: Candles, limit: int) -> tuple[Times, Times]:
    """Return the opens and closes of the bars to make up."""
    missing = candles.missing()
    if not missing.size:
        return missing, missing
    opens, closes = candles.calendar.bars(missing[0], missing[-1] + _DAYS, candles.timeframe)
    unit = opens
    if is_intraday(candles.timeframe) and not candles.instrument.always_open:
        sessions, _ = candles.calendar.bars(missing[0], missing[-1] + _DAYS, "1d")
        unit = sessions[np.searchsorted(sessions, opens, side="right") - 1]
    wanted = found_in(unit, missing)
    opens, closes, unit = opens[wanted], closes[wanted], unit[wanted]
    # bars after the same bar that is there are in a row; a session is there as soon as its last bar is
    before = np.searchsorted(candles.times("open_time"), opens)
    last = np.searchsorted(unit, unit, side="right") - 1
    near = last - np.searchsorted(before, before) < limit
    return opens[near], closes[near]


def _room(candles: Candles, opens: Times, closes: Times) -> tuple[Times, Times]:
    """Return those bars that overlap none that is there."""
    following = np.searchsorted(candles.times("open_time"), opens)
    free = candles.times("close_time")[following - 1] <= opens
    free &= closes <= candles.times("open_time")[following]  # the last bar is after every hole
    return opens[free], closes[free]


def _flat_bars(candles: Candles, opens: Times, closes: Times) -> pl.DataFrame:
    last = candles.frame["close"].to_numpy()[np.searchsorted(candles.times("open_time"), opens) - 1]
    columns = {"open_time": opens, "close_time": closes, **dict.fromkeys(PRICES, last), "volume": np.zeros(opens.size)}
    times = pl.col("open_time", "close_time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.DataFrame(columns).with_columns(times).select(list(SCHEMA))
