"""How times and numbers are written, and dividends and splits against the prices."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from forecastle.nouns.candles import Adjusted
from forecastle.quality import inspect_actions, inspect_times
from making import utc

DAYS = 40
EX = 20


@pytest.mark.parametrize(
    ("texts", "kinds"),
    [
        (["2024-01-01 09:30:00-05:00", "2024-07-01 09:30:00-04:00"], []),  # summer time in New York
        (["2024-01-01T00:00:00Z", "2024-07-01T00:00:00+01:00"], []),  # London
        (["2024-01-01 09:30:00-05:00", "2024-01-02 14:30:00+00:00"], ["mixed_offsets"]),
        (["2024-01-01 00:00:00+0530", "2024-01-02 00:00:00+0630", "2024-01-03 00:00:00+0730"], ["mixed_offsets"]),
        (["2024-01-01 00:00:00+00:00", "2024-01-02 00:00:00"], ["mixed_forms"]),
        (["2024-01-01", "2024-01-02"], []),
        (["1704067200000", "1704153600000"], []),
        (["2024-01-01 00:00:00-03:30", "2024-07-01 00:00:00-02:30"], []),  # Newfoundland
    ],
)
def test_offsets_of_one_zone_with_summer_time_are_no_finding(texts: list[str], kinds: list[str]) -> None:
    assert [f.kind for f in inspect_times(pl.Series(texts))] == kinds


def test_the_rarer_offset_is_named_with_its_row() -> None:
    texts = ["2024-01-01 09:30:00-04:00"] * 3 + ["2024-01-02 14:30:00+00:00"]
    (found,) = inspect_times(pl.Series(texts))
    assert (found.count, found.first) == (1, "row 4 (2024-01-02 14:30:00+00:00)")
    assert "-04:00 in 3 rows, +00:00 in 1 rows" in found.detail


def _year(
    dividend: float = 1.0, made: float = 1.0, split: float = 0.0, step: float = 1.0, fall: float = 1.0
) -> pl.DataFrame:
    """Days around one event: ``dividend`` told, ``made`` adjusted for, ``step`` in the price, ``fall`` on the day."""
    draw = np.random.default_rng(3)
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.01, DAYS)))
    close[EX:] *= fall
    factor = np.ones(DAYS)
    factor[:EX] = 1.0 - made / close[EX - 1]
    close[: EX - 1] /= step
    events = {"dividend": dividend, "split": split}
    columns = {name: np.where(np.arange(DAYS) == EX, value, 0.0) for name, value in events.items()}
    times = [utc(2024) + timedelta(days=day) for day in range(DAYS)]
    return pl.DataFrame({"open_time": times, "close": close, "adj_close": close * factor, **columns})


@pytest.mark.parametrize(
    ("frame", "kinds"),
    [
        (_year(), []),
        (_year(made=0.0), ["missing_dividend"]),
        (_year(made=2.0), ["doubled_dividend"]),
        (_year(dividend=3.0, made=0.03), ["wrong_dividend"]),
        (_year(dividend=0.0), ["missing_event"]),
        (_year(dividend=20.0, made=20.0), ["wrong_dividend"]),  # a fifth of the price, and it does not fall
        (_year(dividend=20.0, made=20.0, fall=0.8), []),
        (_year(split=5.0, step=0.2), ["wrong_split"]),
        (_year(split=5.0), []),
    ],
)
def test_events_are_held_against_prices(frame: pl.DataFrame, kinds: list[str]) -> None:
    found = inspect_actions(frame)
    assert [f.kind for f in found] == kinds
    assert inspect_actions(frame.reverse()) == found


@pytest.mark.parametrize(("adjusted", "step", "kinds"), [("none", 0.2, []), ("none", 1.0, ["wrong_split"])])
def test_raw_prices_have_to_step_at_a_split(adjusted: Adjusted, step: float, kinds: list[str]) -> None:
    assert [f.kind for f in inspect_actions(_year(split=5.0, step=step), adjusted)] == kinds


def test_the_same_dividend_twice_within_days_is_one_too_many() -> None:
    frame = _year()
    again = pl.when(pl.int_range(pl.len()) == EX + 1).then(1.05).otherwise("dividend")
    close = frame["close"].to_numpy()
    factor = np.where(np.arange(DAYS) <= EX, 1.0 - 1.05 / close[EX], 1.0)
    told = frame.with_columns(dividend=again, adj_close=pl.col("adj_close") * factor)
    (found,) = inspect_actions(told)
    assert (found.kind, found.first[:10]) == ("doubled_dividend", "2024-01-22")


def test_no_rows_and_missing_prices_are_no_trouble() -> None:
    assert inspect_actions(_year().clear()) == ()
    assert inspect_actions(_year().with_columns(adj_close=pl.lit(None, dtype=pl.Float64))) == ()
