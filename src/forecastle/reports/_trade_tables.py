"""Fills and round trips of a backtest as the page shows them; a bar is named by its open."""

from __future__ import annotations

import polars as pl

from forecastle.nouns.backtest_result import BacktestResult

FORCED = "liquidation"
"""The cause of a fill that nobody wished."""
_WORDS = pl.col("instrument", "cause").cast(pl.String)
"""A table without a row does not know that these are words."""


def fills_of(result: BacktestResult) -> pl.DataFrame:
    """Return ``bar open_time instrument quantity price cause`` of each fill, ``bar`` its row in the market."""
    return result.fills.select("bar", _plain("open_time"), _WORDS, "quantity", "price")


def trades_of(result: BacktestResult) -> pl.DataFrame:
    """Return the round trips with ``open`` while they are, and ``share``: net of costs over the notional opened."""
    return result.trades.with_columns(
        _plain("entry_time"), _plain("exit_time"), _WORDS, open=pl.col("exit_bar").is_null(),
        share=pl.col("net") / (pl.col("quantity") * pl.col("entry_price")),
    )  # fmt: skip


def _plain(name: str) -> pl.Expr:
    return pl.col(name).dt.replace_time_zone(None)
