"""Where to cut: a random moment misses a leak that only touches the warm-up, a hole, or a bar that is still open."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import DataInvalid
from forecastle.nouns import Candles, History, Observations
from forecastle.sessions import Times

MOMENT = np.timedelta64(1, "us")
SHARES = {"rows": 0.3, "early": 0.2, "nulls": 0.1, "holes": 0.1, "known": 0.1, "between": 0.2}
"""How the cuts are spread: over all rows, over the first tenth, around nulls of the output, in and around holes of the
input, around what becomes known, between rows. Holes have a share of their own: a few among many nulls are missed."""


def cut_points(history: History, whole: pl.DataFrame, count: int, seed: int) -> Times:
    """Return up to ``count`` moments to cut at, ascending, each once; all lie after the first bar has closed.

    Fewer are returned only where there are not so many moments. ``whole`` is the output on the whole history. Raises
    ``DataInvalid`` where the history has no bar.
    """
    if not len(history.candles):
        raise DataInvalid(
            f"There is no bar of {history.candles.instrument} to audit.",
            "What is cut off comes after a bar.", "Take a longer history.",
        )  # fmt: skip
    draw = np.random.default_rng(seed)
    closes = history.candles.times("close_time")
    rows = whole["known_at"].dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
    pools = {
        "rows": np.unique(np.r_[rows, closes]),
        "early": np.unique(np.r_[rows[: rows.size // 10 + 1], closes[: closes.size // 10 + 1]]),
        "nulls": _nulls(whole, rows),
        "holes": _joined([_holes(candles) for candles in _all_candles(history)]),
        "known": _joined([_become_known(o) for one in (history, *history.peers) for o in one.observations]),
        "between": _joined([_between(one.candles) for one in (history, *history.peers)]),
    }
    chosen = np.array([], dtype="datetime64[us]")
    for name, share in SHARES.items():
        chosen = np.union1d(chosen, _some(_after(pools[name], closes[0]), int(share * count), draw))
    rest = np.setdiff1d(_after(np.unique(np.concatenate(list(pools.values()))), closes[0]), chosen)
    return np.union1d(chosen, _some(rest, count - chosen.size, draw))


def _after(pool: Times, first: np.datetime64) -> Times:
    return pool[pool >= first]


def _some(pool: Times, count: int, draw: np.random.Generator) -> Times:
    if pool.size <= count:
        return pool
    return np.sort(draw.choice(pool, max(count, 0), replace=False))


def _joined(parts: list[Times]) -> Times:
    return np.unique(np.concatenate([np.array([], dtype="datetime64[us]"), *parts]))


def _all_candles(history: History) -> list[Candles]:
    both = [part for one in (history, *history.peers) for part in (one.candles, one.finer)]
    return [candles for candles in both if candles is not None]


def _nulls(whole: pl.DataFrame, rows: Times) -> Times:
    """Return the rows of the output at which a value begins or ends to be there, and those before."""
    known = _known(whole)
    turns = np.flatnonzero((known[1:] != known[:-1]).any(axis=1)) + 1 if known.size else np.array([], dtype=np.int64)
    return _joined([rows[turns], rows[np.maximum(turns - 1, 0)]])


def _holes(candles: Candles) -> Times:
    """Return moments before, in and after each hole; for a stock the nights between sessions are holes as well."""
    opens, closes = candles.times("open_time"), candles.times("close_time")
    at = np.flatnonzero(opens[1:] > closes[:-1])
    begin, end, after = closes[at], opens[at + 1], closes[at + 1]
    return _joined([begin, begin + (end - begin) // 2, end, after - MOMENT, after])


def _become_known(observed: Observations) -> Times:
    """Return some of the moments at which values become known, and those of all revisions."""
    at = observed.frame["known_at"].dt.replace_time_zone(None).to_numpy()
    twice = observed.frame["about"].is_duplicated().to_numpy()
    return _joined([at[:: max(at.size // 50, 1)], at[twice], at[twice] - MOMENT])


def _known(whole: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which values are there, shape (rows, columns)."""
    values = whole.drop("known_at")
    return np.isfinite(values.fill_null(float("nan")).to_numpy()) if values.width else np.zeros((0, 0), dtype=np.bool_)


def _between(candles: Candles) -> Times:
    """Return moments at which no bar closes: a bar is open, or has closed a moment ago."""
    opens, closes = candles.times("open_time"), candles.times("close_time")
    middle = opens + (closes - opens) // 2
    return _joined([middle, closes - MOMENT, closes + MOMENT])
