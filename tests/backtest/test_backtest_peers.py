"""The engine beside vectorbt, backtesting.py and backtrader, on signals where all of them mean the same.

What was chosen so that they do, for each asks something else of a bar than docs/backtest_rules.md:

- All fill at the open after the decision: signals are moved one bar on and ``price=open`` for vectorbt;
  ``trade_on_close`` is left off in backtesting.py, whose first decision is at the second bar.
- Sizes are units; whole ones for backtesting.py, which holds no parts of one. Money is never short, so that nothing is
  cut or refused, but in the test of everything in one position.
- A signal for what is held already does nothing: ours by the target, theirs without accumulation.
- vectorbt looks at stops from the bar after the fill on, and before it looks at a signal of the same bar; ours at once,
  and a market order fills at the open before the bar moves. So in these markets a bar in which a signal trades opens
  where the last one closed and stays there.
- vectorbt's ``stop_exit_price`` is for stops and takes alike: with slippage only stops are compared.
- backtesting.py looks at a bracket from the fill on, as ours does; its ``spread`` is charged on entries alone, so there
  is no slippage in that comparison. A bracket that fires at the very open at which a signal trades is left to
  docs/backtest_rules.md: no gap there.
- All look at the stop before the take of one bar, ours by the worst path; a bar is narrower than the distance between
  both, for with a take passed by the open and the stop reached later theirs would go back in time.
- backtesting.py counts a touched limit as filled, ours one that was passed: prices are drawn, none is touched exactly.
- Positions are closed before the end: what is left open is closed by backtesting.py at the last open.
- Slippage is money beside the price with ours and part of the price with theirs: compared is ``price * (1 + s)`` for a
  buy, ``price * (1 - s)`` for a sell.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from forecastle.backtest import Account, Costs, Execution, Simulated, simulate
from forecastle.backtest.trades import TRADE, round_trips
from forecastle.nouns.market import Market
from forecastle.nouns.order import FillCause
from forecastle.nouns.signal import Signals

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
CASH, BARS, UNITS = 100_000.0, 700, 20.0
SEEDS = (1, 2, 3)
SHARE = 0.02
"""Distance of stops and takes, and the widest half of a bar."""
LONG_ONLY, BOTH = (UNITS, 0.0), (UNITS, -UNITS, 0.0)
CROSS = Account(CASH, "cross", 10.0)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what the peers warn of: escapes and calls of older days, and numba's functions as arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def vbt() -> Any:
    """Return vectorbt, which on import draws a theme with the map that plotly 7 has no more: it is left out."""
    from plotly import graph_objects as go

    whole = go.layout.Template.__init__

    def without_maps(self: Any, arg: Any = None, **rest: Any) -> None:
        if isinstance(arg, dict):
            arg = {part: {k: v for k, v in held.items() if "mapbox" not in k} for part, held in arg.items()}
        whole(self, arg, **rest)

    with quiet(), mock.patch.object(go.layout.Template, "__init__", without_maps):
        return importlib.import_module("vectorbt")


@pytest.fixture(scope="module")
def backtesting() -> Any:
    with quiet():
        return importlib.import_module("backtesting")


@pytest.fixture(scope="module")
def backtrader() -> Any:
    with quiet():
        return importlib.import_module("backtrader")


def wished(seed: int, levels: tuple[float, ...], share: float = 0.08) -> FloatArray:
    """Return a target for some of the bars, none at the first, out of everything before the end."""
    rng = np.random.default_rng(seed)
    target = np.where(rng.random(BARS) < share, rng.choice(levels, BARS), np.nan)
    target[0], target[-4], target[-3:] = np.nan, 0.0, np.nan
    return target


def bars(seed: int, target: FloatArray, after_wish: str = "gaps") -> Market:
    """Return a market that jumps at one open in four; ``after_wish`` it ``gaps`` too, ``opens`` at the close before,
    or stands ``still``; it ``never`` jumps at all.
    """
    rng = np.random.default_rng((seed, 1))
    traded = np.r_[False, np.isfinite(target[:-1])]
    jump = np.where(rng.random(BARS) < 0.25, rng.normal(0.0, 0.02, BARS), 0.0)
    body = np.clip(rng.normal(0.0, 0.012, BARS), -SHARE, SHARE)
    up, down = np.clip(rng.exponential(0.004, (2, BARS)), 0.0, SHARE / 2)
    if after_wish != "gaps":
        jump[traded] = 0.0
    if after_wish == "never":
        jump[:] = 0.0
    if after_wish == "still":
        body[traded] = up[traded] = down[traded] = 0.0
    opens, closes, at = np.zeros(BARS), np.zeros(BARS), 100.0
    for i in range(BARS):
        opens[i] = at if jump[i] == 0.0 else at * np.exp(jump[i])
        closes[i] = at = opens[i] if body[i] == 0.0 else opens[i] * np.exp(body[i])
    high, low = np.maximum(opens, closes) * (1.0 + up), np.minimum(opens, closes) * (1.0 - down)
    return Market.of_arrays({"open": opens, "high": high, "low": low, "close": closes, "volume": np.ones(BARS)})


def frame_of(market: Market) -> pd.DataFrame:
    names = ("open", "high", "low", "close", "volume")
    columns = {name.capitalize(): getattr(market, name)[:, 0] for name in names}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(market.open_time.astype("datetime64[ns]")))


def column(values: FloatArray | float) -> FloatArray:
    return np.full((BARS, 1), values) if isinstance(values, float) else values.reshape(-1, 1)


def ours(market: Market, signals: Signals, costs: Costs, account: Account = CROSS) -> tuple[Simulated, pd.DataFrame]:
    """Return what came of it, and its round trips with slippage in the prices."""
    done = simulate(market, signals, account, costs, Execution())
    trips = pd.DataFrame(round_trips(done.fills, len(market.names)), columns=list(TRADE))
    assert (trips["exit_bar"] >= 0).all()
    slip = trips["side"] * costs.half_spread
    return done, pd.DataFrame({
        "entry_bar": trips["entry_bar"], "exit_bar": trips["exit_bar"], "size": trips["side"] * trips["quantity"],
        "entry_price": trips["entry_price"] * (1.0 + slip),
        "exit_price": trips["exit_price"] * (1.0 - slip), "pnl": trips["gain"] - trips["costs"],
    })  # fmt: skip


def near(own: npt.ArrayLike, other: npt.ArrayLike) -> None:
    """Assert that numbers agree to a billionth of each."""
    np.testing.assert_allclose(np.asarray(own, np.float64), np.asarray(other, np.float64), rtol=1e-9, atol=0.0)


def same(own: pd.DataFrame, other: pd.DataFrame, fewest: int) -> None:
    """Assert that round trips agree; a gain within a billionth of what was traded."""
    assert len(own) >= fewest
    assert own["entry_bar"].tolist() == other["entry_bar"].tolist()
    assert own["exit_bar"].tolist() == other["exit_bar"].tolist()
    for name in ("size", "entry_price", "exit_price"):
        near(own[name], other[name])
    notional = float((own["size"] * own["entry_price"]).abs().max())
    np.testing.assert_allclose(own["pnl"], other["pnl"], rtol=1e-9, atol=1e-9 * notional)


# --- vectorbt ---------------------------------------------------------------------------------------------------------


def from_signals(vbt: Any, market: Market, target: FloatArray, **settings: Any) -> Any:
    """Return vectorbt's portfolio of the same wishes, decided a bar before they are filled at the open."""
    due = np.r_[np.nan, target[:-1]]
    o, h, low, c = (getattr(market, name)[:, 0] for name in ("open", "high", "low", "close"))
    usual = {"size": UNITS, "fees": 0.0, "slippage": 0.0, "sl_stop": np.nan, "tp_stop": np.nan}
    with quiet():
        return vbt.Portfolio.from_signals(
            c, due > 0.0, due == 0.0, short_entries=due < 0.0, short_exits=due == 0.0, price=o, open=o, high=h, low=low,
            stop_entry_price="price", stop_exit_price="stopmarket", init_cash=CASH, freq="1D", engine="numba",
            **{**usual, **settings},
        )  # fmt: skip


def theirs_by_vectorbt(portfolio: Any) -> tuple[FloatArray, pd.DataFrame]:
    with quiet():
        found, value = portfolio.exit_trades.records_arr, np.asarray(portfolio.value())
    side = np.where(found["direction"] == 0, 1.0, -1.0)
    return value, pd.DataFrame({
        "entry_bar": found["entry_idx"], "exit_bar": found["exit_idx"], "size": side * found["size"],
        "entry_price": found["entry_price"], "exit_price": found["exit_price"], "pnl": found["pnl"],
    })  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("levels", [LONG_ONLY, BOTH], ids=["long", "both"])
@pytest.mark.parametrize(("fee", "slippage"), [(0.0, 0.0), (0.001, 0.0), (0.0007, 0.0005)])
def test_market_orders_are_those_of_vectorbt(
    vbt: Any, seed: int, levels: tuple[float, ...], fee: float, slippage: float
) -> None:
    target = wished(seed, levels)
    market = bars(seed, target)
    account = Account(CASH) if levels == LONG_ONLY else CROSS
    done, trips = ours(market, Signals(column(target), "units"), Costs(taker=fee, half_spread=slippage), account)
    equity, other = theirs_by_vectorbt(from_signals(vbt, market, target, fees=fee, slippage=slippage))
    same(trips, other, 10)
    near(done.equity, equity)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("levels", [LONG_ONLY, BOTH], ids=["long", "both"])
@pytest.mark.parametrize(
    ("slippage", "stop", "take"),
    [(0.0, SHARE, None), (0.0005, SHARE, None), (0.0, None, SHARE), (0.0, SHARE, SHARE), (0.0, 1.5 * SHARE, SHARE)],
)
def test_stops_and_takes_are_those_of_vectorbt(
    vbt: Any, seed: int, levels: tuple[float, ...], slippage: float, stop: float | None, take: float | None
) -> None:
    target = wished(seed, levels)
    market = bars(seed, target, "still")
    shares = [None if share is None else column(share) for share in (stop, take)]
    signals = Signals(column(target), "units", stop_share=shares[0], take_share=shares[1])
    done, trips = ours(market, signals, Costs(maker=0.001, taker=0.001, half_spread=slippage))
    settings = {"sl_stop": stop or np.nan, "tp_stop": take or np.nan}
    equity, other = theirs_by_vectorbt(from_signals(vbt, market, target, fees=0.001, slippage=slippage, **settings))
    same(trips, other, 10)
    near(done.equity, equity)
    causes = set(done.column("cause").tolist())
    assert (FillCause.STOP in causes, FillCause.TAKE in causes) == (stop is not None, take is not None)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("fee", "slippage"), [(0.0, 0.0), (0.0007, 0.0005)])
def test_all_of_the_cash_buys_as_much_as_with_vectorbt(vbt: Any, seed: int, fee: float, slippage: float) -> None:
    """Where no open differs from the close before, a weight of 1 is what can be paid at the open, costs included."""
    target = wished(seed, (1.0, 0.0))
    market = bars(seed, target, "never")
    done, trips = ours(market, Signals(column(target)), Costs(taker=fee, half_spread=slippage), Account(CASH))
    portfolio = from_signals(vbt, market, target, size=np.inf, fees=fee, slippage=slippage)
    equity, other = theirs_by_vectorbt(portfolio)
    same(trips, other, 10)
    near(done.equity, equity)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("short", [False, True])
def test_a_portfolio_at_weights_is_that_of_vectorbt(vbt: Any, seed: int, short: bool) -> None:
    """Without gaps the equity at the close of the decision is that at the open; nine tenths at most leave room."""
    rng = np.random.default_rng(seed)
    pieces = [bars(seed + 10 * j, np.full(BARS, np.nan), "never") for j in range(5)]
    made: dict[str, Any] = {
        name: np.hstack([getattr(piece, name) for piece in pieces])
        for name in ("open", "high", "low", "close", "volume", "present")
    }
    times = (pieces[0].open_time, pieces[0].close_time)
    market = Market(tuple("ABCDE"), *times, **made, day_end=pieces[0].day_end)
    weight = 0.9 * rng.dirichlet(np.ones(5), BARS) * (rng.choice([-1.0, 1.0], (BARS, 5)) if short else 1.0)
    weight[rng.random(BARS) < 0.5] = np.nan
    costs = Costs(taker=0.001, half_spread=0.0005)
    account = Account(CASH, "cross", 10.0) if short else Account(CASH)
    done = simulate(market, Signals(weight), account, costs, Execution())
    due = np.vstack([np.full((1, 5), np.nan), weight[:-1]])
    with quiet():
        portfolio = vbt.Portfolio.from_orders(
            market.close, due, size_type="targetpercent", price=market.open, fees=0.001, slippage=0.0005,
            init_cash=CASH, cash_sharing=True, group_by=True, call_seq="auto", freq="1D", engine="numba",
        )  # fmt: skip
        equity, found = np.asarray(portfolio.value()).ravel(), portfolio.orders.records_arr
    near(done.equity, equity)
    order = np.lexsort((done.column("instrument"), done.column("bar")))
    rows, other = done.fills[order], found[np.lexsort((found["col"], found["idx"]))]
    assert len(rows) == len(other) > 1000
    np.testing.assert_array_equal(rows[:, 1:3], np.column_stack([other["idx"], other["col"]]))
    size = np.where(other["side"] == 0, 1.0, -1.0) * other["size"]
    held = np.abs(weight[np.isfinite(weight)]).max() * CASH / market.close.min()
    np.testing.assert_allclose(rows[:, 3], size, rtol=1e-9, atol=1e-9 * held)


# --- backtesting.py ---------------------------------------------------------------------------------------------------


def by_backtesting(
    backtesting: Any, market: Market, target: FloatArray, fee: float, stop: float | None = None,
    take: float | None = None,
) -> tuple[FloatArray, pd.DataFrame]:  # fmt: skip
    """Return equity and round trips of backtesting.py for the same wishes."""

    class Wished(backtesting.Strategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            i = len(self.data) - 1
            want, held, close = target[i], float(self.position.size), float(self.data.Close[-1])
            if not np.isfinite(want) or want == held:
                return
            if held:
                self.position.close()
            side = np.sign(want)
            low = None if stop is None else close * (1.0 - side * stop)
            high = None if take is None else close * (1.0 + side * take)
            if want:
                (self.buy if want > 0.0 else self.sell)(size=abs(want), sl=low, tp=high)

    with quiet():
        test = backtesting.Backtest(
            frame_of(market), Wished, cash=CASH, commission=fee, margin=0.1, trade_on_close=False,
            exclusive_orders=False, hedging=False, finalize_trades=False,
        )  # fmt: skip
        found = test.run()
    trades, equity = found["_trades"], found["_equity_curve"]["Equity"].to_numpy()
    names = {
        "EntryBar": "entry_bar", "ExitBar": "exit_bar", "Size": "size", "EntryPrice": "entry_price",
        "ExitPrice": "exit_price", "PnL": "pnl",
    }  # fmt: skip
    return equity, trades[list(names)].rename(columns=names)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("levels", [LONG_ONLY, BOTH], ids=["long", "both"])
@pytest.mark.parametrize("fee", [0.0, 0.001])
def test_market_orders_are_those_of_backtesting_py(
    backtesting: Any, seed: int, levels: tuple[float, ...], fee: float
) -> None:
    target = wished(seed, levels)
    market = bars(seed, target)
    done, trips = ours(market, Signals(column(target), "units"), Costs(taker=fee))
    equity, other = by_backtesting(backtesting, market, target, fee)
    same(trips, other, 10)
    near(done.equity, equity)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("levels", [LONG_ONLY, BOTH], ids=["long", "both"])
@pytest.mark.parametrize(("stop", "take"), [(0.015, None), (None, 0.015), (SHARE, SHARE), (1.5 * SHARE, SHARE)])
def test_stops_and_takes_are_those_of_backtesting_py(
    backtesting: Any, seed: int, levels: tuple[float, ...], stop: float | None, take: float | None
) -> None:
    """Prices of the bracket are known at the decision, and it may fire in the bar of the fill."""
    target = wished(seed, levels)
    market = bars(seed, target, "opens")
    side = np.sign(np.nan_to_num(target))
    close = market.close[:, 0]
    prices: dict[str, Any] = {}
    if stop is not None:
        prices["stop"] = column(np.where(side != 0.0, close * (1.0 - side * stop), np.nan))
    if take is not None:
        prices["take"] = column(np.where(side != 0.0, close * (1.0 + side * take), np.nan))
    done, trips = ours(market, Signals(column(target), "units", **prices), Costs(maker=0.001, taker=0.001))
    equity, other = by_backtesting(backtesting, market, target, 0.001, stop, take)
    same(trips, other, 10)
    near(done.equity, equity)
    causes = set(done.column("cause").tolist())
    assert (FillCause.STOP in causes, FillCause.TAKE in causes) == (stop is not None, take is not None)
    assert (trips["entry_bar"] == trips["exit_bar"]).any()


# --- backtrader -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("levels", [LONG_ONLY, BOTH], ids=["long", "both"])
@pytest.mark.parametrize(("fee", "slippage"), [(0.0, 0.0), (0.001, 0.0005)])
def test_market_orders_are_those_of_backtrader(
    backtrader: Any, seed: int, levels: tuple[float, ...], fee: float, slippage: float
) -> None:
    """Slippage at the open is asked for, and let out of the bar, as the money beside ours is."""
    target = wished(seed, levels)
    market = bars(seed, target)
    value, fills = np.full(BARS, np.nan), []

    class Wished(backtrader.Strategy):  # type: ignore[misc]
        def notify_order(self, order: Any) -> None:
            if order.status == order.Completed:
                fills.append((len(self) - 1, order.executed.size, order.executed.price, order.executed.comm))

        def next(self) -> None:
            i = len(self) - 1
            value[i] = self.broker.getvalue()
            difference = target[i] - self.position.size
            if difference > 0.0:
                self.buy(size=difference)
            elif difference < 0.0:
                self.sell(size=-difference)

    with quiet():
        cerebro = backtrader.Cerebro(stdstats=False)
        cerebro.adddata(backtrader.feeds.PandasData(dataname=frame_of(market)))
        cerebro.addstrategy(Wished)
        cerebro.broker.setcash(CASH)
        cerebro.broker.setcommission(commission=fee)
        cerebro.broker.set_slippage_perc(slippage, slip_open=True, slip_out=True)
        cerebro.run()
    costs = Costs(taker=fee, half_spread=slippage)
    done, _ = ours(market, Signals(column(target), "units"), costs)
    side = np.sign(done.column("quantity"))
    own = np.column_stack([
        done.column("bar"), done.column("quantity"), done.column("price") * (1.0 + side * slippage), done.column("fee")
    ])  # fmt: skip
    assert len(own) >= 20
    near(own, np.array(fills))
    near(done.equity, value)
