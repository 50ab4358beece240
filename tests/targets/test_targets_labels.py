"""Directions, returns and volatilities of the bars after a row: by hand, by slow loops, and with the future cut off."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bars_made import DAY, flat, holed
from forecastle.errors import DataInvalid, NameUnknown, RequestInvalid
from forecastle.nouns import Candles, Labels
from forecastle.targets import TARGETS
from forecastle.targets.barriers import TripleBarrier
from forecastle.targets.direction import Direction
from forecastle.targets.numbers import FLOOR, FutureReturn, FutureVolatility
from making import make_candles, without

FloatArray = npt.NDArray[np.float64]
NAN = math.nan
SETTINGS: dict[str, dict[str, Any]] = {
    "direction": {"horizon": 3, "dead_band": 0.002, "dead_band_sigmas": 0.2, "window": 5},
    "return": {"horizon": 4},
    "triple_barrier": {"horizon": 6, "up": 1.0, "down": 0.7, "window": 5},
    "volatility": {"horizon": 4},
}


def labels_of(target: Any, candles: Candles) -> Labels:
    found: Labels = target.labels(candles, candles.times("close_time"))
    return found


def returns_of(candles: Candles) -> tuple[list[int], list[float]]:
    """Return the number of the day of each bar, and its log close."""
    opened = candles.times("open_time")
    days = ((opened - opened[0]) // DAY).astype(int).tolist()
    return days, [math.log(c) for c in candles.frame["close"]]


def test_directions_by_hand() -> None:
    """Over two bars: from 100 to 110 up, from 105 to 99 down, from 110 to 110 neither; the last two have no end."""
    candles = flat(100.0, 105.0, 110.0, 99.0, 110.0)
    told = labels_of(Direction(2), candles)
    assert told.values == pytest.approx([1.0, 0.0, NAN, NAN, NAN], nan_ok=True)
    assert told.returns[:3] == pytest.approx([math.log(1.1), math.log(99 / 105), 0.0])
    closed = candles.times("close_time")
    assert told.known_at[:3].tolist() == closed[2:].tolist()
    assert np.isnat(told.known_at[3:]).all()
    assert (told.name, told.task, told.horizon, told.unit) == ("direction_2", "direction", 2, "up")


def test_a_band_is_no_label_and_its_edge_is_inside() -> None:
    """Returns of exactly the band, and of one bit more: 1 - 2^-53 and 1 apart do not matter, the sign does."""
    candles = flat(1.0, math.e, 1.0, math.exp(1.5), math.exp(0.3))
    edge = float(labels_of(FutureReturn(1), candles).values[0])
    assert labels_of(Direction(1, dead_band=edge), candles).values[0] != labels_of(Direction(1), candles).values[0]
    assert labels_of(Direction(1, dead_band=edge), candles).values == pytest.approx([NAN, NAN, 1, 0, NAN], nan_ok=True)
    below = np.nextafter(edge, 0.0)
    assert labels_of(Direction(1, dead_band=below), candles).values == pytest.approx([1, 0, 1, 0, NAN], nan_ok=True)


def test_a_band_of_sigmas_is_of_what_was_known_at_the_row() -> None:
    """Returns of 1 % up and down: their deviation is 0.01 sqrt 2; over four bars the band is twice that."""
    logs = [0.0, 0.01, 0.0, 0.01, 0.0, 0.0, 0.0, 0.0277, 0.0, 0.0, 0.0285]
    candles = flat(*(100.0 * math.exp(x) for x in logs))
    told = labels_of(Direction(4, dead_band_sigmas=1.0, window=2), candles)
    known = np.flatnonzero(~np.isnan(told.returns))
    for row in known:
        sigma = np.std(np.diff(logs[row - 2 : row + 1]), ddof=1) if row >= 2 else NAN
        move, band = logs[row + 4] - logs[row], 2.0 * sigma
        expected = NAN if not abs(move) > band else float(move > 0)
        assert told.values[row] == pytest.approx(expected, nan_ok=True), row
    assert told.values[3] == pytest.approx(NAN, nan_ok=True)  # 0.0177 is within 0.0283
    assert told.values[6] == pytest.approx(1.0)  # 0.0285 after two bars that hardly moved


def test_a_missing_bar_is_no_return() -> None:
    """Day 3 is missing: no label reaches over it, the volatility neither, and a weekend of an index is no hole."""
    candles = flat(100.0, 101.0, 102.0, None, 104.0, 105.0, 106.0)
    assert np.isnan(labels_of(FutureReturn(1), candles).values).tolist() == [False, False, True, False, False, True]
    assert np.isnan(labels_of(FutureReturn(2), candles).values).tolist() == [False, True, True, False, True, True]
    assert np.isnan(labels_of(FutureVolatility(2), candles).values).tolist() == [False, True, True, False, True, True]
    index = make_candles(30, instrument="SPX.INDEX")
    assert np.isnan(labels_of(FutureReturn(1), index).values).sum() == 1


def test_volatility_by_hand() -> None:
    """3 % and 4 % make 5 %; nothing at all makes one basis point."""
    logs = [0.0, 0.03, -0.01, -0.01, -0.01]
    told = labels_of(FutureVolatility(2), flat(*(math.exp(x) for x in logs)))
    assert told.values[0] == pytest.approx(math.log(0.05))
    assert told.values[2] == pytest.approx(math.log(FLOOR))
    assert told.returns[0] == pytest.approx(-0.01)


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(0, 9))
def test_numbers_agree_with_slow_loops(seed: int, horizon: int, holes: int) -> None:
    candles = holed(40, seed, holes)
    days, logs = returns_of(candles)
    returns, volatility = labels_of(FutureReturn(horizon), candles), labels_of(FutureVolatility(horizon), candles)
    closed = candles.times("close_time")
    for row in range(len(days)):
        end = row + horizon
        if end < len(days) and days[end] - days[row] == horizon:
            assert returns.values[row] == pytest.approx(logs[end] - logs[row], abs=1e-13)
            squares = math.fsum((logs[i] - logs[i - 1]) ** 2 for i in range(row + 1, end + 1))
            assert volatility.values[row] == pytest.approx(math.log(max(math.sqrt(squares), FLOOR)), abs=1e-9)
            assert returns.known_at[row] == volatility.known_at[row] == closed[end]
        else:
            assert np.isnan([returns.values[row], returns.returns[row], volatility.values[row]]).all()
            assert np.isnat([returns.known_at[row], volatility.known_at[row]]).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_what_was_known_does_not_change_when_the_future_is_cut_off(name: str) -> None:
    """Labels known by a moment are the same without the bars after it, to the bit; the others are not there yet."""
    target, candles = TARGETS.load(name)(**SETTINGS[name]), holed(90, 3)
    whole, closed = labels_of(target, candles), candles.times("close_time")
    for cut in range(12, len(candles)):
        told = labels_of(target, without(candles, *range(cut, len(candles))))
        known = whole.known_at[:cut] <= closed[cut - 1]
        np.testing.assert_array_equal(told.values, np.where(known, whole.values[:cut], NAN))
        np.testing.assert_array_equal(told.returns, np.where(known, whole.returns[:cut], NAN))
        np.testing.assert_array_equal(told.known_at[known], whole.known_at[:cut][known])
        assert np.isnat(told.known_at[~known]).all()


@pytest.mark.parametrize("name", SETTINGS)
def test_labels_end_after_their_row_and_not_after_the_horizon(name: str) -> None:
    target, candles = TARGETS.load(name)(**SETTINGS[name]), holed(90, 4)
    before = candles.frame.clone()
    told, closed = labels_of(target, candles), candles.times("close_time")
    known = ~np.isnat(told.known_at)
    assert known.sum() > 30
    ahead = (told.known_at - closed)[known] / DAY
    assert ahead.min() >= 1
    assert ahead.max() <= told.horizon == SETTINGS[name]["horizon"]
    assert not np.isnan(told.returns[known]).any()
    assert np.isnan(told.values[~known]).all()
    assert told.name == f"{name}_{told.horizon}"
    assert candles.frame.equals(before)


@pytest.mark.parametrize("name", SETTINGS)
def test_rows_may_be_some_of_the_closes(name: str) -> None:
    target, candles = TARGETS.load(name)(**SETTINGS[name]), holed(60, 5)
    whole, some = labels_of(target, candles), np.array([7, 9, 30, 44])
    told = target.labels(candles, candles.times("close_time")[some])
    np.testing.assert_array_equal(told.values, whole.values[some])
    np.testing.assert_array_equal(told.known_at, whole.known_at[some])


@pytest.mark.parametrize("name", SETTINGS)
def test_rows_at_no_close_are_refused(name: str) -> None:
    candles = make_candles(20)
    for late in (np.timedelta64(1, "h"), np.timedelta64(400, "D")):
        with pytest.raises(DataInvalid, match="no bar closes"):
            TARGETS.load(name)().labels(candles, candles.times("close_time") + late)


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        (Direction, {"horizon": 0}), (Direction, {"dead_band": -0.1}), (Direction, {"dead_band": NAN}),
        (Direction, {"dead_band_sigmas": -1.0}), (Direction, {"window": 1}), (FutureReturn, {"horizon": 0}),
        (FutureVolatility, {"horizon": -1}), (TripleBarrier, {"horizon": 0}), (TripleBarrier, {"up": 0.0}),
        (TripleBarrier, {"down": -1.0}), (TripleBarrier, {"window": 1}),
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(target: type, settings: dict[str, float]) -> None:
    with pytest.raises(RequestInvalid):
        target(**settings)


def test_an_end_that_nobody_knows_is_refused() -> None:
    with pytest.raises(NameUnknown, match="sing"):
        TripleBarrier(at_end="sing")  # type: ignore[arg-type]


def test_every_target_is_tried_here() -> None:
    assert set(SETTINGS) == set(TARGETS)
