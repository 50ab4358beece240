"""The triple barrier: tables that a person can check, and a slow version that walks bar by bar."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bars_made import DAY, Bar, bars, holed
from forecastle.nouns import Candles
from forecastle.targets.barriers import TripleBarrier

NAN = math.nan
STEP = math.exp(0.01)
BEFORE: list[Bar | None] = [
    (100, 100, 100, 100),
    (100, 100 * STEP, 100, 100 * STEP),
    (100 * STEP, 100 * STEP, 100, 100),
]
"""Returns of 1 % up and down: sigma 0.01 sqrt 2, over two bars 0.02. Barriers lie at 102.02 and 98.02."""
QUIET: Bar = (100, 101, 99, 100)


@pytest.mark.parametrize(
    ("after", "value", "move", "known"),
    [
        pytest.param([(100, 103, 99, 101), QUIET], 1, 0.02, 1, id="above in the first bar"),
        pytest.param([(100, 101, 97, 100), QUIET], 0, -0.02, 1, id="below in the first bar"),
        pytest.param([QUIET, (100, 103, 99, 101)], 1, 0.02, 2, id="above in the last bar"),
        pytest.param([QUIET, (100, 101, 97, 101)], 0, -0.02, 2, id="below in the last bar, and closes above"),
        pytest.param([(100, 103, 97, 102), QUIET], 0, -0.02, 1, id="both in one bar counts as down"),
        pytest.param([(100, 103, 99, 100), (100, 101, 97, 98)], 1, 0.02, 1, id="the first barrier decides"),
        pytest.param([(100, 101, 97, 100), (100, 103, 99, 102)], 0, -0.02, 1, id="also where it is the lower"),
        pytest.param([(105, 106, 104, 105), QUIET], 1, math.log(1.05), 1, id="opens above: at the open"),
        pytest.param([(95, 96, 94, 95), QUIET], 0, math.log(0.95), 1, id="opens below: at the open"),
        pytest.param([QUIET, (95, 103, 94, 102)], 0, math.log(0.95), 2, id="opens below and rises above"),
        pytest.param([(105, 106, 97, 98), QUIET], 0, -0.02, 1, id="opens above and falls below: down"),
        pytest.param([QUIET, (100, 102, 99, 101)], 1, math.log(1.01), 2, id="time ends above"),
        pytest.param([QUIET, (100, 101, 98.5, 99)], 0, math.log(0.99), 2, id="time ends below"),
        pytest.param([QUIET, QUIET], NAN, 0.0, 2, id="time ends where it began"),
        pytest.param([QUIET, (100, 101, 99, 100), (100, 200, 50, 60)], NAN, 0.0, 2, id="what comes later is not seen"),
        pytest.param([(100, 103, 99, 101), None], 1, 0.02, 1, id="above before a hole"),
        pytest.param([QUIET, None, (100, 103, 99, 101)], NAN, NAN, None, id="a hole before a barrier"),
        pytest.param([None, (100, 103, 99, 101)], NAN, NAN, None, id="a hole at once"),
        pytest.param([QUIET], NAN, NAN, None, id="the series ends before time does"),
        pytest.param([(100, 103, 99, 101)], 1, 0.02, 1, id="above before the series ends"),
    ],
)
def test_by_hand(after: list[Bar | None], value: float, move: float, known: int | None) -> None:
    candles = bars(BEFORE + after)
    told = TripleBarrier(horizon=2, window=2).labels(candles, candles.times("close_time"))
    assert told.values[2] == pytest.approx(value, nan_ok=True)
    assert told.returns[2] == pytest.approx(move, nan_ok=True, abs=1e-12)
    if known is None:
        assert np.isnat(told.known_at[2])
    else:
        assert told.known_at[2] == candles.times("close_time")[2] + known * DAY
    assert np.isnan(told.values[:2]).all()  # no sigma is known there


def test_without_a_say_at_the_end_only_barriers_are_labels() -> None:
    """The row keeps its return and its moment: it is left out by rule, and known to be."""
    candles = bars([*BEFORE, QUIET, (100, 102, 99, 101)])
    told = TripleBarrier(horizon=2, window=2, at_end="drop").labels(candles, candles.times("close_time"))
    assert np.isnan(told.values[2])
    assert told.returns[2] == pytest.approx(math.log(1.01))
    assert told.known_at[2] == candles.times("close_time")[4]


def test_prices_that_never_moved_have_no_barriers() -> None:
    candles = bars([(100, 100, 100, 100)] * 5 + [(100, 103, 97, 100)])
    told = TripleBarrier(horizon=1, window=3).labels(candles, candles.times("close_time"))
    assert np.isnan(told.values[:5]).all()
    assert np.isnat(told.known_at[:5]).all()


def slowly(candles: Candles, horizon: int, up: float, down: float, window: int) -> list[tuple[float, float, int]]:
    """Return for each row the label, the return and the number of bars until it is known; 0 where it never is."""
    opened = candles.times("open_time")
    day = [int(d) for d in (opened - opened[0]) // DAY]
    o, high, low, close = (candles.frame[name].to_list() for name in ("open", "high", "low", "close"))
    found = []
    for t in range(len(day)):
        answer = (NAN, NAN, 0)
        if t >= window and day[t] - day[t - window] == window:
            moves = [math.log(close[i] / close[i - 1]) for i in range(t - window + 1, t + 1)]
            mean = math.fsum(moves) / window
            sigma = math.sqrt(math.fsum((m - mean) ** 2 for m in moves) / (window - 1) * horizon)
            top, floor = close[t] * math.exp(up * sigma), close[t] * math.exp(-down * sigma)
            for k in range(1, horizon + 1):
                if t + k >= len(day) or day[t + k] - day[t] != k:
                    break
                if low[t + k] <= floor:
                    answer = (0.0, math.log(min(floor, o[t + k]) / close[t]), k)
                elif high[t + k] >= top:
                    answer = (1.0, math.log(max(top, o[t + k]) / close[t]), k)
                elif k == horizon:
                    answer = (float(close[t + k] > close[t]), math.log(close[t + k] / close[t]), k)
                else:
                    continue
                break
        found.append(answer)
    return found


@given(
    st.integers(0, 10_000), st.integers(0, 6), st.integers(1, 8), st.floats(0.2, 2.0), st.floats(0.2, 2.0),
    st.integers(2, 8),
)  # fmt: skip
def test_agrees_with_a_walk_bar_by_bar(
    seed: int, holes: int, horizon: int, up: float, down: float, window: int
) -> None:
    candles = holed(50, seed, holes)
    closed = candles.times("close_time")
    told = TripleBarrier(horizon, up, down, window).labels(candles, closed)
    for row, (value, move, known) in enumerate(slowly(candles, horizon, up, down, window)):
        assert told.values[row] == pytest.approx(value, nan_ok=True)
        assert told.returns[row] == pytest.approx(move, nan_ok=True, abs=1e-12)
        assert np.isnat(told.known_at[row]) if not known else told.known_at[row] == closed[row] + known * DAY
