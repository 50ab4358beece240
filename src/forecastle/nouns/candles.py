"""Candles: closed bars of one instrument, and the log returns between them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from forecastle.errors import DataInvalid
from forecastle.nouns.instrument import Instrument, is_simulated
from forecastle.sessions import TIMEFRAMES, Calendar, Timeframe, Times, calendar, found_in, is_intraday

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
Adjusted = Literal["none", "splits", "splits_dividends", "unknown"]
Prices = Literal["ohlc", "close"]
"""``close``: only the close is known; open, high and low repeat it and say nothing about the range of the bar."""

PRICES = ("open", "high", "low", "close")
TIME = pl.Datetime("us", "UTC")
SCHEMA: dict[str, pl.DataType] = {
    "open_time": TIME, "close_time": TIME,
    "open": pl.Float64(), "high": pl.Float64(), "low": pl.Float64(), "close": pl.Float64(), "volume": pl.Float64(),
}  # fmt: skip


class CandleRow(BaseModel):
    """One row from outside: the rule that every bar keeps.

    Prices are positive and finite in the quote currency, volume is not negative, ``low <= open, close <= high``,
    ``open_time < close_time``. Numbers must be numbers: the text "12" is refused.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    open_time: AwareDatetime
    close_time: AwareDatetime
    open: float = Field(gt=0, lt=math.inf)
    high: float = Field(gt=0, lt=math.inf)
    low: float = Field(gt=0, lt=math.inf)
    close: float = Field(gt=0, lt=math.inf)
    volume: float = Field(ge=0, lt=math.inf)

    @model_validator(mode="after")
    def _inside_its_range(self) -> Self:
        if self.low > min(self.open, self.close) or self.high < max(self.open, self.close):
            raise ValueError("low <= open, close <= high does not hold")
        if self.open_time >= self.close_time:
            raise ValueError("open_time < close_time does not hold")
        return self


def breaches() -> dict[str, pl.Expr]:
    """Return the same rules as :class:`CandleRow`, one vectorised expression a kind of breach.

    A row is bad where an expression is true. ``tests/vocabulary`` proves that the two say the same of any row.
    """
    numbers = [*PRICES, "volume"]
    finite = pl.all_horizontal(pl.col(c).is_not_null() & pl.col(c).is_finite() for c in numbers)
    body_low, body_high = pl.min_horizontal("open", "close"), pl.max_horizontal("open", "close")
    return {
        "not_a_number": ~finite,
        "non_positive": finite & pl.any_horizontal(pl.col(c) <= 0 for c in PRICES),
        "negative_volume": finite & (pl.col("volume") < 0),
        "high_below_low": finite & (pl.col("high") < pl.col("low")),
        "outside_range": finite
        & (pl.col("high") >= pl.col("low"))
        & ((pl.col("low") > body_low) | (pl.col("high") < body_high)),
        "time_order": pl.col("open_time").is_null()
        | pl.col("close_time").is_null()
        | (pl.col("open_time") >= pl.col("close_time")),
    }


@dataclass(frozen=True)
class Returns:
    """One-bar log returns in decimals, each with the moment it was forecast at and the moment it was known.

    ``values[i]`` is ``ln(close[k] / close[k-1])`` of two bars that follow each other in the market's calendar;
    ``as_of`` is the earlier close, ``target_time`` the later one. Returns that span a missing bar are not one-bar
    returns: they are left out and counted in ``spanning_gaps``. All arrays have shape (n,).
    """

    values: FloatArray
    as_of: Times
    target_time: Times
    spanning_gaps: int

    def __len__(self) -> int:
        return int(self.values.size)


@dataclass(frozen=True, eq=False)
class Candles:
    """Closed bars of one instrument and timeframe.

    ``frame`` has the columns ``open_time close_time open high low close volume``; ``[open_time, close_time)`` is
    the bar (for a stock's day its session) and it may be used from ``close_time`` on. Rows are sorted by
    ``open_time``, unique and do not overlap; ``low <= open, close <= high``; prices positive; times UTC. With
    ``prices="close"`` only the close was known: open, high and low repeat it.
    Raises ``DataInvalid`` where any of this does not hold.
    """

    instrument: Instrument
    timeframe: Timeframe
    source: str
    frame: pl.DataFrame
    adjusted: Adjusted = "unknown"
    prices: Prices = "ohlc"

    def __post_init__(self) -> None:
        if self.timeframe not in TIMEFRAMES:
            raise DataInvalid(f"'{self.timeframe}' is no timeframe.", f"Known: {', '.join(TIMEFRAMES)}.", "Choose one.")
        if list(self.frame.schema.items()) != list(SCHEMA.items()):
            raise DataInvalid(
                f"Candles of {self.instrument} have the columns {_described(self.frame.schema)}.",
                f"They have to be {_described(pl.Schema(SCHEMA))}.",
                "Build them with Candles.from_columns or import the file.",
            )
        self._check_rows()

    def _check_rows(self) -> None:
        bad = self.frame.select(**breaches()).sum()
        for kind, count in bad.row(0, named=True).items():
            if count:
                row = self.frame.filter(breaches()[kind]).row(0, named=True)
                raise DataInvalid(
                    f"{count} candles of {self.instrument} break the rule '{kind}'.",
                    f"The first is {_row_text(row)}: {_rule_of(row)}.",
                    "Mend or leave out these rows at their source; nothing was stored.",
                )
        opens, closes = self.frame["open_time"], self.frame["close_time"]
        if self.frame.height > 1 and not bool((opens[1:] >= closes[:-1]).all()):
            raise DataInvalid(
                f"Candles of {self.instrument} are not sorted, not unique or overlap.",
                "Each bar has to open at or after the close of the bar before.",
                "Sort them by open_time and drop what is there twice.",
            )

    @classmethod
    def from_columns(
        cls,
        instrument: Instrument,
        timeframe: Timeframe,
        source: str,
        columns: dict[str, Any],
        adjusted: Adjusted = "unknown",
        prices: Prices = "ohlc",
    ) -> Self:
        """Build candles from arrays or lists by column name (times as ``datetime64`` in UTC, or aware datetimes)."""
        frame = pl.DataFrame(columns)
        for name in ("open_time", "close_time"):
            kind = frame.schema[name]
            zoned = isinstance(kind, pl.Datetime) and kind.time_zone is not None
            column = pl.col(name).cast(pl.Datetime("us", kind.time_zone if zoned else None))  # type: ignore[attr-defined]
            column = column.dt.convert_time_zone("UTC") if zoned else column.dt.replace_time_zone("UTC")
            frame = frame.with_columns(column)
        numbers = [pl.col(c).cast(pl.Float64) for c in (*PRICES, "volume")]
        return cls(instrument, timeframe, source, frame.with_columns(numbers).select(list(SCHEMA)), adjusted, prices)

    @classmethod
    def proven(
        cls,
        instrument: Instrument,
        timeframe: Timeframe,
        source: str,
        frame: pl.DataFrame,
        adjusted: Adjusted,
        prices: Prices,
    ) -> Self:
        """Build candles from rows that passed the checks before and are proven to be the same by their hash."""
        made = object.__new__(cls)
        values = (instrument, timeframe, source, frame, adjusted, prices)
        for name, value in zip((f.name for f in fields(cls)), values, strict=True):
            object.__setattr__(made, name, value)
        return made

    def _part(self, frame: pl.DataFrame) -> Self:
        """Return the same candles with fewer rows: what holds for all holds for some."""
        return self.proven(self.instrument, self.timeframe, self.source, frame, self.adjusted, self.prices)

    def __len__(self) -> int:
        return self.frame.height

    def __repr__(self) -> str:
        span = f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}" if len(self) else "empty"
        return f"Candles({self.instrument}, {self.timeframe}, {self.source}, {len(self)} bars, {span})"

    @property
    def simulated(self) -> bool:
        """Return whether these candles were made up: shown wherever they show."""
        return is_simulated(self.source)

    @property
    def calendar(self) -> Calendar:
        """Return the sessions of the instrument."""
        return calendar(self.instrument.calendar)

    @property
    def start(self) -> datetime:
        """Return the open of the first bar."""
        return self._moment("open_time", 0)

    @property
    def end(self) -> datetime:
        """Return the close of the last bar."""
        return self._moment("close_time", -1)

    def _moment(self, column: str, row: int) -> datetime:
        if not len(self):
            raise DataInvalid(
                f"There are no candles of {self.instrument} here.", "The selection is empty.", "Widen it."
            )
        moment: datetime = self.frame[column][row]
        return moment.astimezone(UTC)

    @cached_property
    def data_hash(self) -> str:
        """Return the SHA-256 of what these candles say: key, columns and rows, whatever file they came from."""
        key = f"{self.instrument}|{self.timeframe}|{self.source}|{self.adjusted}"
        digest = hashlib.sha256((key if self.prices == "ohlc" else f"{key}|{self.prices}").encode())
        for name in SCHEMA:
            column = self.frame[name]
            array = column.to_physical().to_numpy() if name.endswith("_time") else column.to_numpy()
            digest.update(name.encode() + np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
        return digest.hexdigest()

    def times(self, column: Literal["open_time", "close_time"]) -> Times:
        """Return a time column as ``datetime64[us]`` in UTC, shape (n,)."""
        return self.frame[column].dt.replace_time_zone(None).to_numpy()

    def between(self, start: datetime | None = None, end: datetime | None = None) -> Candles:
        """Return the bars that open at or after ``start`` and close at or before ``end``."""
        # rows are sorted and do not overlap, so that both times ascend: two searches, no look at every row
        opens, closes = self.times("open_time"), self.times("close_time")
        first = 0 if start is None else int(np.searchsorted(opens, _utc64(start)))
        after = len(self) if end is None else int(np.searchsorted(closes, _utc64(end), side="right"))
        return self._part(self.frame.slice(first, max(after - first, 0)))

    def last(self, count: int) -> Candles:
        """Return the last ``count`` bars, or all where there are fewer."""
        return self._part(self.frame.tail(count))

    def recent(self, returns: int) -> Candles:
        """Return the shortest tail that has ``returns`` one-bar returns, or all where there are fewer."""
        ends = self.log_returns().as_of
        if ends.size <= returns:
            return self
        first = int(np.searchsorted(self.times("close_time"), ends[-returns]))
        return self._part(self.frame.slice(first))

    def missing(self) -> Times:
        """Return the opens of the bars that the calendar has between first and last and the frame has not.

        Inside a session venues cut bars differently (on the hour, on the half), so for intraday bars of an
        exchange only whole missing sessions count, by their open.
        """
        if len(self) < 2:
            return np.array([], dtype="datetime64[us]")
        opens = self.times("open_time")
        if is_intraday(self.timeframe) and not self.instrument.always_open:
            day = np.timedelta64(1, "D")  # a session may begin on the evening before, in UTC
            expected, _ = self.calendar.bars(opens[0] - 2 * day, opens[-1], "1d")
            session = np.searchsorted(expected, opens, side="right") - 1
            return np.delete(expected, np.unique(np.r_[np.arange(session[0]), session[session >= 0]]))
        expected, _ = self.calendar.bars(opens[0], opens[-1], self.timeframe)
        return expected[~found_in(expected, opens)]

    def log_returns(self) -> Returns:
        """Return the one-bar log returns in decimals; those that span a missing bar are left out and counted."""
        close = self.frame["close"].to_numpy()
        opens, closes = self.times("open_time"), self.times("close_time")
        values = np.diff(np.log(close))
        missing = self.missing()
        before, after = np.searchsorted(missing, opens[:-1]), np.searchsorted(missing, opens[1:])
        whole = before == after
        return Returns(values[whole], closes[:-1][whole], closes[1:][whole], int((~whole).sum()))

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas DataFrame indexed by ``close_time``, when each may be used."""
        import pandas as pd  # only for those who ask for it

        columns = {c: self.frame[c].to_numpy() for c in (*PRICES, "volume")}
        index = pd.DatetimeIndex(self.times("close_time"), name="close_time").tz_localize("UTC")
        table = pd.DataFrame(columns, index=index)
        table.insert(0, "open_time", pd.DatetimeIndex(self.times("open_time")).tz_localize("UTC"))
        return table


def _utc64(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def _rule_of(row: dict[str, Any]) -> str:
    """Return in the words of :class:`CandleRow` what is wrong with a row."""
    try:
        CandleRow.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        return " ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
    return "it breaks a rule"


def _described(schema: pl.Schema) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in schema.items())


def _row_text(row: dict[str, Any]) -> str:
    prices = " ".join(f"{c} {row[c]}" for c in (*PRICES, "volume"))
    return f"{row['open_time']}: {prices}"
