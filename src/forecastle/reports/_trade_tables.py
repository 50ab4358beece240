"""The tables of a backtest in one form: moments without a zone, instruments, sides and causes in words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns.backtest_result import BacktestResult
from forecastle.nouns.market import Market
from forecastle.nouns.order import FillCause

_MOMENT = pl.Datetime("us")
_FILL = {"quantity": pl.Float64, "price": pl.Float64, "cause": pl.String}
_TRADE = {"quantity": pl.Float64, "entry_price": pl.Float64, "exit_price": pl.Float64, "gain": pl.Float64,
          "costs": pl.Float64, "side": pl.String, "cause": pl.String}  # fmt: skip


def fills_of(result: BacktestResult) -> pl.DataFrame:
    """Return ``time instrument quantity price cause row`` of each fill; ``row`` is that of its bar in the market."""
    told = _told(result, result.fills, {"time": "bar"})
    held = {name: _column(told, name, kind) for name, kind in _FILL.items()}
    return pl.DataFrame({
        "time": told["time"], "instrument": told["instrument"], **held,
        "row": pl.Series(_rows(result.market, told)),
    })  # fmt: skip


def trades_of(result: BacktestResult) -> pl.DataFrame:
    """Return each round trip with ``entry_time exit_time`` (null while open) and ``net``, its gain after its costs."""
    told = _told(result, result.trades, {"entry_time": "entry_bar", "exit_time": "exit_bar"})
    held = {name: _column(told, name, kind) for name, kind in _TRADE.items()}
    times = {name: told[name] for name in ("entry_time", "exit_time", "instrument")}
    return pl.DataFrame({**times, **held}).with_columns(
        net=pl.col("gain") - pl.col("costs"),
        share=(pl.col("gain") - pl.col("costs")) / (pl.col("quantity") * pl.col("entry_price")),
    )


def _told(result: BacktestResult, frame: pl.DataFrame, times: dict[str, str]) -> pl.DataFrame:
    """Return a table with words for the numbers of instruments, sides and causes, and moments for those of bars."""
    close = pl.Series(result.market.close_time)
    for time, bar in times.items():
        if time not in frame.columns and bar in frame.columns:
            rows = frame[bar].cast(pl.Int64)
            moments = close.gather(rows.clip(0)) if frame.height else close.head(0)
            frame = frame.with_columns(pl.when(rows >= 0).then(moments).alias(time))
        moment = _column(frame, time, pl.Datetime)
        naive = moment.dt.replace_time_zone(None) if isinstance(moment.dtype, pl.Datetime) else moment
        frame = frame.with_columns(naive.cast(_MOMENT).alias(time))
    causes = {int(cause): cause.name.lower().replace("_", " ") for cause in FillCause}
    words = {
        "instrument": dict(enumerate(result.market.names)), "cause": causes, "side": {1: "long", -1: "short"},
    }  # fmt: skip
    for name, known in words.items():
        column = _column(frame, name, pl.String)
        if column.dtype.is_numeric():
            column = column.cast(pl.Int64).replace_strict(known, default=None, return_dtype=pl.String)
        frame = frame.with_columns(column.cast(pl.String).alias(name))
    return frame


def _column(frame: pl.DataFrame, name: str, kind: type[pl.DataType] | pl.DataType) -> pl.Series:
    """Return a column, null all the way where the table lacks it."""
    return frame[name] if name in frame.columns else pl.Series(name, [None] * frame.height, dtype=kind)


def _rows(market: Market, told: pl.DataFrame) -> npt.NDArray[np.int64]:
    if "bar" in told.columns:
        return told["bar"].cast(pl.Int64).to_numpy()
    times = told["time"].to_numpy().astype("datetime64[us]")
    return np.minimum(np.searchsorted(market.close_time, times, "left"), len(market) - 1).astype(np.int64)
