"""The numbers behind the charts of a backtest: a few thousand points, however many bars it had."""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns.backtest_result import BacktestResult, Benchmark
from forecastle.nouns.market import frame_of
from forecastle.reports._columns import MOST_ROWS, Cells, rounded, stamp
from forecastle.reports._figure_words import price
from forecastle.reports._trade_tables import FORCED
from forecastle.reports._verdict import ruined_at
from forecastle.sessions import Timeframe, Times

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

MOST_CANDLES = 2_000
"""Up to so many bars are drawn one by one; more are drawn in stretches, and the last of them apart."""
STRETCHES = 1_200
LAST_CANDLES = 500
MOST_FILLS = 1_500
"""So many fills are marked; of more, liquidations and the largest of each stretch of time."""
_FILL_STRETCHES = 250
_BUCKETS = 1_000
SHORTEST_ROLL = 60
"""Bars below which a Sharpe ratio of a window says nothing."""
_BINS = 61
FEWEST = 20


def curve_columns(result: BacktestResult, beside: Sequence[Benchmark]) -> dict[str, Cells]:
    """Return ``t equity drawdown exposure`` and ``b1``, ``b2``, ...: drawdown and exposure in percent."""
    rows = _kept(result)
    told = {"equity": _above_zero(result.equity), "drawdown": 100.0 * result.drawdown,
            "exposure": 100.0 * result.exposure}  # fmt: skip
    told |= {f"b{i}": _above_zero(b.equity) for i, b in enumerate(beside, 1)}
    cells: dict[str, Cells] = {"t": stamps(result, result.market.close_time[rows])}
    return cells | {name: rounded(values[rows]) for name, values in told.items()}


def _above_zero(equity: FloatArray) -> FloatArray:
    """Return equity with NaN where a log scale has no place for it."""
    return np.where(equity > 0.0, equity, np.nan)


def _kept(result: BacktestResult) -> IntArray:
    """Choose rows: all, or of each stretch the extremes of equity, drawdown and exposure."""
    n = len(result.market)
    if n <= MOST_ROWS:
        return np.arange(n)
    chosen = {0, n - 1}
    edges = np.linspace(0, n, _BUCKETS + 1).astype(np.intp).tolist()
    series = (result.equity, -result.equity, result.drawdown, result.exposure, -result.exposure)
    for values in series:
        chosen.update(a + int(values[a:b].argmin()) for a, b in itertools.pairwise(edges))
    return np.array(sorted(chosen), dtype=np.intp)


def stamps(result: BacktestResult, times: Times) -> list[str]:
    """Write moments for a date axis."""
    return stamp(times, cast("Timeframe", result.timeframe))


def candle_columns(result: BacktestResult, column: int, fills: pl.DataFrame, last: int = 0) -> dict[str, Cells]:
    """Return ``t open high low close`` of an instrument, and marks of its fills: time, price and what was done.

    ``last`` bars alone, one by one; else all, in stretches where there are too many.
    """
    market = result.market
    frame = frame_of(market, column)
    frame = frame.tail(last) if last else frame
    stretch = (pl.int_range(pl.len()) // per_candle(frame.height)).alias("stretch")
    shown = frame.group_by(stretch, maintain_order=True).agg(
        pl.col("close_time").last(), pl.col("open").first(), pl.col("high").max(), pl.col("low").min(),
        pl.col("close").last(),
    )  # fmt: skip
    ends = shown["close_time"].to_numpy().astype("datetime64[us]")
    cells: dict[str, Cells] = {"t": stamps(result, ends)}
    cells |= {name: rounded(shown[name].to_numpy()) for name in ("open", "high", "low", "close")}
    mine = fills.filter(pl.col("instrument") == market.names[column])
    if last and frame.height:
        first = np.searchsorted(market.close_time, frame["close_time"].to_numpy()[0])
        mine = mine.filter(pl.col("bar") >= int(first))
    return cells | _marks(result, _largest(mine), ends)


def per_candle(bars: int) -> int:
    """Return how many bars a candle stands for."""
    return 1 if bars <= MOST_CANDLES else math.ceil(bars / STRETCHES)


def _largest(fills: pl.DataFrame) -> pl.DataFrame:
    """Return fills to mark: all, or liquidations and the largest of each stretch of time, so that none looks idle."""
    if fills.height <= MOST_FILLS:
        return fills
    per = (int(fills["bar"].to_numpy().max()) + 1) / _FILL_STRETCHES
    ranked = fills.with_row_index("place").with_columns(
        forced=pl.col("cause") == FORCED, size=(pl.col("quantity") * pl.col("price")).abs(),
        rank=(pl.col("quantity") * pl.col("price")).abs().rank("ordinal", descending=True).over(pl.col("bar") // per),
    )  # fmt: skip
    first = ranked.sort("forced", -pl.col("rank").cast(pl.Int64), "size", descending=True, maintain_order=True)
    return first.head(MOST_FILLS).sort("place").select(fills.columns)


def _marks(result: BacktestResult, fills: pl.DataFrame, ends: Times) -> dict[str, Cells]:
    """Return ``buy sell liquidation`` with ``_t``, ``_y`` and ``_text``; a mark stands at the candle its bar is in."""
    forced, buys = (fills["cause"] == FORCED).to_numpy(), (fills["quantity"] > 0).to_numpy()
    closes = result.market.close_time[fills["bar"].to_numpy()]
    places = np.minimum(np.searchsorted(ends, closes, "left"), max(ends.size - 1, 0))
    cells: dict[str, Cells] = {}
    for name, rows in (("buy", buys & ~forced), ("sell", ~buys & ~forced), ("liquidation", forced)):
        part = fills.filter(pl.Series(rows))
        cells[f"{name}_t"] = stamps(result, ends[places[rows]] if ends.size else closes[:0])
        cells[f"{name}_y"] = rounded(part["price"].to_numpy())
        cells[f"{name}_text"] = [_told(row) for row in part.iter_rows(named=True)]
    return cells


def _told(fill: dict[str, Any]) -> str:
    side, when = "buy" if fill["quantity"] > 0 else "sell", f"{fill['open_time']:%Y-%m-%d %H:%M}"
    told = f"{side} {price(abs(fill['quantity']))} at {price(fill['price'])}, {fill['cause'].replace('_', ' ')}, {when}"
    return html.escape(told)


def normalised_columns(result: BacktestResult, most: int) -> dict[str, Cells]:
    """Return ``t`` and ``p1``, ``p2``, ...: closes of the first instruments, 100 at the first of each."""
    rows = _kept(result)
    cells: dict[str, Cells] = {"t": stamps(result, result.market.close_time[rows])}
    for j in range(min(most, len(result.market.names))):
        close = result.market.close[:, j]
        here = np.flatnonzero(np.isfinite(close))
        first = close[here[0]] if here.size else np.nan
        cells[f"p{j + 1}"] = rounded(100.0 * close[rows] / first)
    return cells


def roll_window(result: BacktestResult) -> int:
    """Return the bars of a window of the rolling Sharpe ratio: a year or a third of all; 0 where too short."""
    window = min(round(result.periods_per_year), len(result.market) // 3)
    moved = ruined_at(result) is None and bool(np.ptp(result.returns) > 0.0)
    return window if window >= SHORTEST_ROLL and moved else 0


def why_not(result: BacktestResult) -> str:
    """Return in words why something of the returns is not drawn."""
    if ruined_at(result) is not None:
        return "equity fell to zero"
    return "there are too few bars" if np.ptp(result.returns) > 0.0 else "equity did not move"


def roll_columns(result: BacktestResult, window: int) -> dict[str, Cells]:
    """Return ``t`` and ``sharpe`` of the last ``window`` bars, from the first whole window on."""
    r = pl.Series(result.returns)
    mean, spread = r.rolling_mean(window).to_numpy(), r.rolling_std(window, ddof=1).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(spread > 1e-12, mean / spread * math.sqrt(result.periods_per_year), np.nan)
    rows = _kept(result)
    rows = rows[rows >= window - 1]
    return {"t": stamps(result, result.market.close_time[rows]), "sharpe": rounded(found[rows])}


def spread_columns(result: BacktestResult) -> dict[str, Cells]:
    """Return ``x count normal``: how many log returns (percent) fell where, beside a normal law as wide.

    Of the bars at which equity moved; the outermost bins take what lies beyond them. Empty where fewer than 20 moved,
    or equity fell to zero.
    """
    r = 100.0 * result.returns[result.returns != 0.0]
    if ruined_at(result) is not None or r.size < FEWEST or not float(np.ptp(r)) > 0.0:
        return {}
    far = float(np.quantile(np.abs(r - r.mean()), 0.995))
    edges = np.linspace(r.mean() - far, r.mean() + far, (_BINS if r.size > 500 else 25) + 1)
    counts, _ = np.histogram(np.clip(r, edges[0], edges[-1]), edges)
    mids, width, spread = (edges[:-1] + edges[1:]) / 2, edges[1] - edges[0], r.std(ddof=1)
    normal = r.size * width * np.exp(-0.5 * np.square((mids - r.mean()) / spread)) / (spread * math.sqrt(2 * math.pi))
    return {"x": rounded(mids), "count": rounded(counts.astype(np.float64)), "normal": rounded(normal)}


def months_of(result: BacktestResult) -> dict[int, list[float | None]]:
    """Return by year what equity did in each of its months and, as the thirteenth, in all of it; None where unknown."""
    moments = result.market.close_time - np.timedelta64(1, "us")
    months = moments.astype("datetime64[M]").astype(np.int64)
    found: dict[int, list[float | None]] = {}
    for ends, width in ((np.flatnonzero(np.append(np.diff(months) != 0, True)), 1),
                        (np.flatnonzero(np.append(np.diff(months // 12) != 0, True)), 12)):  # fmt: skip
        before = np.concatenate([[result.cash], result.equity[ends[:-1]]])
        for end, began in zip(ends.tolist(), before.tolist(), strict=True):
            row = found.setdefault(1970 + int(months[end]) // 12, [None] * 13)
            place = int(months[end]) % 12 if width == 1 else 12
            row[place] = float(result.equity[end]) / began - 1.0 if began > 0.0 else None
    return found
