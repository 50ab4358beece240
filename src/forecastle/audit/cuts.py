"""Where to cut: a random moment misses a leak that only touches the warm-up, a hole, or a bar that is still open."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns import History
from forecastle.sessions import Times

MOMENT = np.timedelta64(1, "us")
SHARES = {"rows": 0.35, "early": 0.2, "edges": 0.25, "between": 0.2}
"""How the cuts are spread: over all rows, over the first tenth, around nulls, holes and revisions, between rows."""


def cut_points(history: History, whole: pl.DataFrame, count: int, seed: int) -> Times:
    """Return up to ``count`` moments to cut at, ascending, each once; all lie after the first bar has closed.

    Fewer are returned only where there are not so many moments. ``whole`` is the output on the whole history.
    """
    draw = np.random.default_rng(seed)
    closes = history.candles.times("close_time")
    rows = whole["known_at"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    pools = {
        "rows": np.unique(np.r_[rows, closes]),
        "early": np.unique(np.r_[rows[: rows.size // 10 + 1], closes[: closes.size // 10 + 1]]),
        "edges": _edges(history, whole, rows),
        "between": _between(history),
    }
    chosen = np.array([], dtype="datetime64[us]")
    for name, share in SHARES.items():
        chosen = np.union1d(chosen, _some(_after(pools[name], closes[0]), round(share * count), draw))
    rest = np.setdiff1d(_after(np.unique(np.concatenate(list(pools.values()))), closes[0]), chosen)
    chosen = np.union1d(chosen, _some(rest, count - chosen.size, draw))
    return chosen[:count] if chosen.size > count else chosen


def _after(pool: Times, first: np.datetime64) -> Times:
    return pool[pool >= first]


def _some(pool: Times, count: int, draw: np.random.Generator) -> Times:
    if pool.size <= count:
        return pool
    return np.sort(draw.choice(pool, max(count, 0), replace=False))


def _edges(history: History, whole: pl.DataFrame, rows: Times) -> Times:
    """Return moments at and beside which something begins, ends, is missing or becomes known."""
    known = _known(whole)
    turns = np.flatnonzero((known[1:] != known[:-1]).any(axis=1)) + 1 if known.size else np.array([], dtype=np.int64)
    moments = [rows[turns], rows[np.maximum(turns - 1, 0)]]
    for candles in (history.candles, *([history.finer] if history.finer is not None else [])):
        opens, closes = candles.times("open_time"), candles.times("close_time")
        holes = np.flatnonzero(opens[1:] > closes[:-1])
        moments += [closes[holes], closes[holes + 1]]
    for observed in history.observations:
        at = observed.frame["known_at"].dt.replace_time_zone(None).to_numpy()
        twice = observed.frame["about"].is_duplicated().to_numpy()
        moments += [at[:: max(at.size // 50, 1)], at[twice], at[twice] - MOMENT]
    return np.unique(np.concatenate(moments).astype("datetime64[us]"))


def _known(whole: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which values are there, shape (rows, columns)."""
    values = whole.drop("known_at")
    return np.isfinite(values.fill_null(float("nan")).to_numpy()) if values.width else np.zeros((0, 0), dtype=np.bool_)


def _between(history: History) -> Times:
    """Return moments at which no bar closes: a bar is open, or has closed a moment ago."""
    opens, closes = history.candles.times("open_time"), history.candles.times("close_time")
    middle = opens + (closes - opens) // 2
    return np.unique(np.concatenate([middle, closes - MOMENT, closes + MOMENT]))
