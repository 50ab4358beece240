"""Figures of a backtest against slow formulas, against the ratios of forecasts, and by hand; round trips likewise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.markets_made import random_case
from forecastle.backtest import simulate
from forecastle.backtest.simulated import FILL
from forecastle.backtest.trades import TRADE, round_trips
from forecastle.errors import DataInvalid
from forecastle.scoring import trading
from forecastle.scoring.performance import FIGURES, Performance, intervals, performance

FloatArray = npt.NDArray[np.float64]
START = 1000.0
NO_TRADES = np.empty((0, 3))
OF_EQUITY = ("cagr", "volatility", "sharpe", "sortino", "mar", "calmar", "tail_ratio")


class Curve(NamedTuple):
    """A backtest in numbers."""

    equity: FloatArray
    position: FloatArray
    close: FloatArray

    def judged(self, yearly: float, trades: FloatArray = NO_TRADES, traded: float = 0.0) -> Performance:
        return performance(self.equity, START, self.position, self.close, trades, traded, yearly)


def curve(seed: int, bars: int = 400, drift: float = 0.0005) -> Curve:
    """Return equity that wanders from START on, and positions with and without price."""
    rng = np.random.default_rng(seed)
    equity = START * np.exp(np.cumsum(rng.standard_t(5, bars) * 0.01 + drift))
    position = np.where(rng.random((bars, 2)) < 0.6, rng.normal(0.0, 5.0, (bars, 2)), 0.0)
    close = rng.uniform(50.0, 150.0, (bars, 2))
    close[:10, 1], position[:10, 1] = np.nan, 0.0
    return Curve(equity, position, close)


def idle(equity: npt.ArrayLike) -> Curve:
    """Return a curve of which only equity matters."""
    values = np.asarray(equity, dtype=np.float64)
    return Curve(values, np.zeros((values.size, 1)), np.ones((values.size, 1)))


def value(found: Performance, name: str) -> float:
    ratio = found.figures[name]
    assert ratio.value is not None, ratio.reason
    return ratio.value


def reason(found: Performance, name: str) -> str:
    ratio = found.figures[name]
    assert ratio.value is None
    return ratio.reason


# --- figures of equity -----------------------------------------------------------------------------------------------


def _worst_fall(equity: FloatArray) -> float:
    return max(float(1.0 - equity[j] / equity[i]) for i in range(equity.size) for j in range(i, equity.size))


def _longest_below(equity: FloatArray) -> int:
    """Return the most bars in a row of which each is below some bar before it."""
    longest = run = 0
    for i in range(equity.size):
        run = run + 1 if (equity[:i] > equity[i]).any() else 0
        longest = max(longest, run)
    return longest


def _slow(one: Curve, yearly: float) -> dict[str, float]:
    """Return the figures as their definitions read."""
    path = np.concatenate([[START], one.equity])
    r = np.diff(np.log(path))
    n = r.size
    gross = np.nansum(np.abs(one.position) * one.close, axis=1) / one.equity
    growth = (one.equity[-1] / START) ** (yearly / n) - 1.0
    three = path[-1 - round(3 * yearly) :]
    return {
        "total_return": one.equity[-1] / START - 1.0,
        "cagr": growth,
        "volatility": float(np.std(r, ddof=1)) * yearly**0.5,
        "sharpe": float(np.mean(r) / np.std(r, ddof=1)) * yearly**0.5,
        "sortino": float(np.mean(r) / np.sqrt(np.mean(np.where(r < 0, r, 0) ** 2))) * yearly**0.5,
        "max_drawdown": _worst_fall(path),
        "drawdown_bars": _longest_below(path),
        "mar": growth / _worst_fall(path),
        "calmar": ((three[-1] / three[0]) ** (1 / 3) - 1.0) / _worst_fall(three),
        "tail_ratio": float(np.quantile(r, 0.95) / abs(np.quantile(r, 0.05))),
        "exposure": float(np.mean(gross > 0)),
        "gross_exposure": float(np.mean(gross)),
        "largest_exposure": float(np.max(gross)),
        "turnover": 123_456.0 / float(np.mean(one.equity)) / (n / yearly),
    }


@pytest.mark.parametrize(("seed", "yearly", "drift"), [(0, 52.0, 0.0005), (1, 100.0, -0.002), (2, 130.0, 0.003)])
def test_figures_are_what_their_definitions_say(seed: int, yearly: float, drift: float) -> None:
    one = curve(seed, drift=drift)
    found = one.judged(yearly, traded=123_456.0)
    for name, wanted in _slow(one, yearly).items():
        assert value(found, name) == pytest.approx(wanted, rel=1e-9), name
    assert list(found.figures) == list(FIGURES)
    assert found.periods_per_year == yearly
    np.testing.assert_allclose(found.returns, np.diff(np.log(np.append(START, one.equity))), atol=1e-15)


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(20, 90), st.floats(4.0, 40.0))
def test_ratios_are_those_of_forecasts(seed: int, bars: int, yearly: float) -> None:
    """One definition in the whole house: scoring/trading.py has the same ratios, of returns."""
    found = curve(seed, bars).judged(yearly)
    r = found.returns
    for name, other in (
        ("sharpe", trading.sharpe(r, yearly)), ("sortino", trading.sortino(r, yearly)),
        ("cagr", trading.cagr(r, yearly)), ("max_drawdown", trading.max_drawdown(r)), ("mar", trading.mar(r, yearly)),
    ):  # fmt: skip
        assert found.figures[name].value == pytest.approx(other.value, rel=1e-9), name


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.integers(20, 3000))
def test_the_tail_ratio_is_that_of_numpy(seed: int, bars: int) -> None:
    """Also where many returns are the same, or all losses come first."""
    rng = np.random.default_rng(seed)
    r = np.round(rng.standard_t(3, bars) * 0.01, int(rng.integers(2, 7)))
    r = np.sort(r) if rng.random() < 0.3 else r
    found = idle(START * np.exp(np.cumsum(r))).judged(500.0)
    low, high = np.quantile(found.returns, [0.05, 0.95])
    if np.ptp(found.returns) > 0 and low != 0.0:
        assert value(found, "tail_ratio") == pytest.approx(high / abs(low), rel=1e-9, abs=1e-9)
    else:
        assert reason(found, "tail_ratio")


def test_a_year_by_hand() -> None:
    """1000 to 1100, 990, 1210 and stay there, 24 months: 10 % lost from 1100 for one month, 10 % a year gained."""
    found = idle([1100.0, 990.0, 1210.0, *[1210.0] * 21]).judged(12.0)
    assert value(found, "total_return") == pytest.approx(0.21)
    assert value(found, "cagr") == pytest.approx(0.1)
    assert value(found, "max_drawdown") == pytest.approx(0.1)
    assert value(found, "drawdown_bars") == 1
    assert value(found, "mar") == pytest.approx(1.0)
    # 2 years: too young for three
    assert reason(found, "calmar") == "2 years; 3 are needed"


def test_a_fall_from_the_cash_at_the_beginning_counts() -> None:
    found = idle([900.0, 950.0] * 15).judged(12.0)
    assert value(found, "max_drawdown") == pytest.approx(0.1)
    assert value(found, "drawdown_bars") == 30


def test_calmar_is_of_the_last_three_years() -> None:
    """A crash of half before them does not count: from 500 up by a tenth a year, with a fall of a fifth."""
    last = [500.0 * 1.1**3] * 12
    last[3] *= 0.8
    path = [1000.0, 500.0, *np.geomspace(500.0, 500.0 * 1.1**3, 24), *last]
    found = idle(path).judged(12.0)
    assert value(found, "calmar") == pytest.approx(0.1 / 0.2)
    assert value(found, "max_drawdown") == pytest.approx(0.5)
    whole = idle(path[2:]).judged(12.0)
    # exactly 36 bars: the three years begin with the cash, from which 1000 fell to 500
    assert value(whole, "calmar") == pytest.approx((0.6655 ** (1 / 3) - 1.0) / 0.5)


def test_exposure_by_hand() -> None:
    """20 bars: long 2 at 100 and short 1 at 50 in 5 of them: 250 of 1000; long 2 in 5 more: 200."""
    position = np.zeros((20, 2))
    position[:10, 0], position[5:10, 1] = 2.0, -1.0
    close = np.tile([100.0, 50.0], (20, 1))
    found = Curve(np.full(20, 1000.0), position, close).judged(365.0, traded=500.0)
    assert value(found, "exposure") == 0.5
    assert value(found, "gross_exposure") == pytest.approx((5 * 0.2 + 5 * 0.25) / 20)
    assert value(found, "largest_exposure") == 0.25
    assert value(found, "turnover") == pytest.approx(500 / 1000 * 365 / 20)


# --- figures of round trips ------------------------------------------------------------------------------------------


def test_round_trips_by_hand() -> None:
    """Net 8 of 100, -5 of 50, 0 of 200 (gain 1, costs 1: it earned nothing) and 12 of 400."""
    trades = np.array([[10.0, 2.0, 100.0], [-4.0, 1.0, 50.0], [1.0, 1.0, 200.0], [12.0, 0.0, 400.0]])
    found = idle(np.full(30, 1015.0)).judged(365.0, trades)
    assert value(found, "trades") == 4
    assert value(found, "win_rate") == 0.5
    assert value(found, "profit_factor") == pytest.approx(20 / 5)
    assert value(found, "mean_trade") == pytest.approx((0.08 - 0.1 + 0.0 + 0.03) / 4)


def test_figures_of_trades_that_are_not_there() -> None:
    none = idle(np.full(30, 1000.0)).judged(365.0)
    assert value(none, "trades") == 0
    for name in ("win_rate", "profit_factor", "mean_trade"):
        assert reason(none, name) == "no round trip was closed"
    won = idle(np.full(30, 1000.0)).judged(365.0, np.array([[10.0, 2.0, 100.0]]))
    assert reason(won, "profit_factor") == "no round trip lost"
    assert value(won, "win_rate") == 1.0
    lost = idle(np.full(30, 1000.0)).judged(365.0, np.array([[-10.0, 2.0, 100.0]]))
    assert value(lost, "profit_factor") == 0.0


# --- what is not defined ---------------------------------------------------------------------------------------------


def test_nineteen_days_are_too_few() -> None:
    found = curve(3, 19).judged(365.0)
    for name in ("cagr", "volatility", "sharpe", "sortino", "mar", "tail_ratio", "turnover"):
        assert reason(found, name) == "19 periods; 20 are needed"
    assert reason(found, "calmar").endswith("years; 3 are needed")
    assert value(found, "max_drawdown") > 0.0


def test_twenty_days_are_not_half_a_year() -> None:
    """A ratio can be told, growth a year cannot: a good fortnight would be a thousand per cent."""
    found = curve(3, 20).judged(365.0, traded=1.0)
    for name in ("cagr", "mar"):
        assert reason(found, name) == "0.055 years; 0.5 are needed"
    for name in ("volatility", "sharpe", "sortino", "tail_ratio", "turnover"):
        assert value(found, name) != 0.0


def test_a_good_hour_of_minutes_is_no_growth_a_year() -> None:
    """A fifth in 100 minutes would be e to the 941 a year, which no float holds: nobody asks for it."""
    moves = np.where(np.arange(100) % 10 == 3, -0.001, 0.0021)
    found = idle(START * np.exp(np.cumsum(moves))).judged(525_600.0)
    assert reason(found, "cagr") == reason(found, "mar") == "0.00019 years; 0.5 are needed"
    assert value(found, "sharpe") > 0.0
    assert {"cagr", "mar"}.isdisjoint(intervals(found.returns, 525_600.0, replications=50))


def test_equity_that_never_changes() -> None:
    found = idle(np.full(400, START)).judged(100.0)
    for name in ("sharpe", "sortino", "tail_ratio"):
        assert reason(found, name) == "the returns do not vary"
    for name in ("mar", "calmar"):
        assert reason(found, name) == "there was no drawdown"
    for name in ("total_return", "cagr", "volatility", "max_drawdown", "drawdown_bars", "exposure", "turnover"):
        assert value(found, name) == 0.0


@pytest.mark.parametrize("growth", [1e-7, 0.001, 0.5])
def test_equity_that_grows_by_the_same_share(growth: float) -> None:
    """Returns that differ in their last digits only do not vary; a ratio of 1e14 would be silly."""
    found = idle(START * (1.0 + growth) ** np.arange(1, 401)).judged(100.0)
    assert np.ptp(found.returns) > 0.0
    for name in ("sharpe", "sortino", "tail_ratio"):
        assert reason(found, name) == "the returns do not vary"
    assert intervals(found.returns, 100.0) == {}
    assert value(found, "cagr") == pytest.approx((1.0 + growth) ** 100 - 1.0)


def test_small_returns_vary_all_the_same() -> None:
    """One unit in an account of a billion: what it does is small, and has a ratio."""
    moves = np.random.default_rng(9).normal(1e-12, 1e-10, 400)
    assert value(idle(START * np.exp(np.cumsum(moves))).judged(100.0), "sharpe") != 0.0


def test_equity_that_never_falls() -> None:
    steps = 1.0 + np.random.default_rng(5).uniform(0.0, 0.01, 400)
    found = idle(START * np.cumprod(steps)).judged(100.0)
    assert reason(found, "sortino") == "no period fell"
    assert reason(found, "mar") == reason(found, "calmar") == "there was no drawdown"
    assert value(found, "sharpe") > 0.0


@pytest.mark.parametrize("lowest", [0.0, -50.0])
def test_equity_that_fell_to_zero(lowest: float) -> None:
    """All is lost: there is no logarithm of it, and no figure is made up."""
    equity = np.append(np.linspace(1000.0, 100.0, 399), lowest)
    found = idle(equity).judged(100.0)
    for name in (*OF_EQUITY, "drawdown_bars", "exposure", "gross_exposure", "largest_exposure"):
        assert reason(found, name) == "equity fell to zero"
    assert value(found, "max_drawdown") == 1.0
    assert value(found, "total_return") == pytest.approx(lowest / 1000.0 - 1.0)
    assert (found.returns == 0.0).all()


def test_a_turnover_of_nothing() -> None:
    found = idle(np.full(30, -5.0)).judged(365.0, traded=100.0)
    assert reason(found, "turnover") == "equity is not above zero on average"


@pytest.mark.parametrize("equity", [[1000.0, math.nan], [math.inf, 1000.0]])
def test_equity_that_is_not_finite_is_refused(equity: list[float]) -> None:
    with pytest.raises(DataInvalid) as caught:
        idle(equity).judged(365.0)
    assert caught.value.hint


def test_equity_without_a_bar_is_refused() -> None:
    with pytest.raises(DataInvalid) as caught:
        idle([]).judged(365.0)
    assert caught.value.hint


# --- intervals -------------------------------------------------------------------------------------------------------


def test_intervals_hold_their_figure_and_are_drawn_again_the_same() -> None:
    one = curve(7, 600)
    found = one.judged(100.0)
    drawn = intervals(found.returns, 100.0, replications=400)
    assert drawn == intervals(found.returns, 100.0, replications=400)
    assert drawn != intervals(found.returns, 100.0, replications=400, seed=1)
    for name in ("total_return", "cagr", "volatility", "sharpe", "sortino"):
        low, high = drawn[name]
        assert low < value(found, name) < high, name
    for name, (low, high) in intervals(found.returns, 100.0, level=0.5, replications=400).items():
        assert drawn[name][0] < low < high < drawn[name][1], name


def test_no_interval_of_what_is_not_defined() -> None:
    assert intervals(curve(7, 19).judged(100.0).returns, 100.0) == {}
    assert intervals(np.zeros(100), 100.0) == {}
    young = intervals(curve(7, 40).judged(365.0).returns, 365.0, replications=100)
    assert {"cagr", "mar"}.isdisjoint(young)
    assert "sharpe" in young
    with pytest.raises(DataInvalid):
        intervals(np.full(50, math.nan), 100.0)


# --- round trips -----------------------------------------------------------------------------------------------------


@dataclass
class Trip:
    """A trade as a list of its fills."""

    first: int
    instrument: int
    parts: list[tuple[float, float, float, int, int]] = field(default_factory=list)
    """Signed quantity, price, costs, bar, cause."""

    @property
    def held(self) -> float:
        return sum(part[0] for part in self.parts)

    def row(self) -> list[float]:
        side = math.copysign(1.0, self.parts[0][0])
        opened = [part for part in self.parts if part[0] * side > 0]
        closed = [part for part in self.parts if part[0] * side < 0]
        over = self.held == 0.0
        size, out = sum(abs(part[0]) for part in opened), sum(abs(part[0]) for part in closed)
        bought = sum(abs(part[0]) * part[1] for part in opened) / size
        sold = sum(abs(part[0]) * part[1] for part in closed) / out if out else 0.0
        return [
            self.instrument, self.parts[0][3], self.parts[-1][3] if over else -1, side, size, bought, sold,
            self._gain(side), sum(part[2] for part in self.parts), self.parts[-1][4] if over else -1,
        ]  # fmt: skip

    def _gain(self, side: float) -> float:
        """Return what closing earned over the average of what was held at that time."""
        held = worth = gain = 0.0
        for quantity, price, *_ in self.parts:
            if quantity * side > 0:
                held, worth = held + abs(quantity), worth + abs(quantity) * price
            else:
                share = abs(quantity) / held
                gain += side * (abs(quantity) * price - worth * share)
                held, worth = held - abs(quantity), worth * (1 - share)
        return gain


def _slow_trips(fills: FloatArray) -> list[list[float]]:
    done: list[Trip] = []
    at_work: dict[int, Trip] = {}
    for number, fill in enumerate(fills.tolist()):
        _, bar, j, quantity, price, fee, slippage, own, cause, _ = fill
        costs, left = fee + slippage + own, quantity
        trip = at_work.get(int(j))
        if trip is not None and trip.held * quantity < 0:
            part = math.copysign(min(abs(quantity), abs(trip.held)), quantity)
            trip.parts.append((part, price, costs * part / quantity, int(bar), int(cause)))
            left = quantity - part
            if trip.held == 0.0:
                done.append(at_work.pop(int(j)))
        if left != 0.0:
            trip = at_work.setdefault(int(j), Trip(number, int(j)))
            trip.parts.append((left, price, costs * left / quantity, int(bar), int(cause)))
    return [trip.row() for trip in sorted([*done, *at_work.values()], key=lambda trip: trip.first)]


def _random_fills(seed: int) -> FloatArray:
    """Return fills of three instruments in whole units: entries, parts, exits and flips."""
    rng = np.random.default_rng(seed)
    fills = np.zeros((int(rng.integers(1, 80)), len(FILL)))
    held = np.zeros(3)
    for row, fill in enumerate(fills):
        j = int(rng.integers(3))
        asked = float(rng.choice([-1, 1]) * rng.integers(1, 9))
        quantity = -held[j] if held[j] and rng.random() < 0.3 else asked
        held[j] += quantity
        fill[:] = (row, row // 2, j, quantity, rng.uniform(10, 200), *rng.uniform(0, 3, 3), rng.integers(8), 0)
    return fills


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_round_trips_are_those_of_a_slow_book(seed: int) -> None:
    fills = _random_fills(seed)
    found, wanted = round_trips(fills, 3), np.array(_slow_trips(fills))
    assert found.shape == wanted.shape
    for place, name in enumerate(TRADE):
        np.testing.assert_allclose(found[:, place], wanted[:, place], rtol=1e-9, atol=1e-9, err_msg=name)


def _fills(*rows: tuple[int, float, float, float]) -> FloatArray:
    """Return fills of one instrument: bar, quantity, price, fee; the cause is a stop."""
    made = [[n, bar, 0, quantity, price, fee, 0, 0, 2, 0] for n, (bar, quantity, price, fee) in enumerate(rows)]
    return np.array(made, dtype=np.float64)


def test_a_flip_ends_a_trade_and_begins_the_next_by_hand() -> None:
    """Long 2 at 100, sold 6 at 110: 2 close (20, a third of the fee of 3), 4 open a short that is bought at 105."""
    trips = round_trips(_fills((0, 2, 100, 1), (3, -6, 110, 3), (5, 4, 105, 2)), 1)
    assert trips.tolist() == [[0, 0, 3, 1, 2, 100, 110, 20, 2, 2], [0, 3, 5, -1, 4, 110, 105, 20, 4, 2]]


def test_prices_of_a_trade_are_means_of_all_that_was_opened_and_closed() -> None:
    """2 at 100, 1 sold at 110, 1 more at 120, 2 sold at 130: bought 3 for 320, sold for 370."""
    trips = round_trips(_fills((0, 2, 100, 0), (1, -1, 110, 0), (2, 1, 120, 0), (3, -2, 130, 0)), 1)
    row = dict(zip(TRADE, trips[0].tolist(), strict=True))
    assert row["quantity"] == 3
    assert row["entry_price"] == pytest.approx(320 / 3)
    assert row["exit_price"] == pytest.approx(370 / 3)
    assert row["gain"] == pytest.approx(50)
    assert row["gain"] == pytest.approx(row["quantity"] * (row["exit_price"] - row["entry_price"]))


def test_a_trade_that_is_open_has_no_exit() -> None:
    trips = round_trips(_fills((4, -2, 100, 1)), 1)
    assert trips.tolist() == [[0, 4, -1, -1, 2, 100, 0, 0, 1, -1]]
    assert round_trips(np.empty((0, len(FILL))), 1).shape == (0, len(TRADE))


@settings(max_examples=150)
@given(st.integers(0, 2**63))
def test_round_trips_of_the_engine_sum_up_to_what_it_did(seed: int) -> None:
    """Gains of closed trades are what money and positions say; costs are all there; as many are open as are held."""
    case = random_case(seed)
    out = simulate(*case)
    trips = round_trips(out.fills, len(case[0].names))
    open_now = trips[:, TRADE.index("exit_bar")] < 0
    assert int(open_now.sum()) == int((out.position[-1] != 0.0).sum())
    paid = out.costs["fees"] + out.costs["slippage"] + out.costs["liquidation_fees"]
    assert trips[:, TRADE.index("costs")].sum() == pytest.approx(paid, rel=1e-9, abs=1e-9)
    if not open_now.any():
        flow = -out.column("quantity") * out.column("price")
        gain = trips[:, TRADE.index("gain")].sum()
        assert gain == pytest.approx(flow.sum(), rel=1e-9, abs=1e-9 * (1.0 + np.abs(flow).sum()))
