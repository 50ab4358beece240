"""The engine beside vectorbt, backtesting.py and backtrader: ``python -m bench.backtests [minutes sweep portfolio]``.

Same signals and fills at the next open for all: for vectorbt they are moved one bar on with ``price=open``; open is the
close before, so that a stop as a share of the fill is a price known at the decision, as backtesting.py and backtrader
ask for. What is left of differences: vectorbt and backtrader look at a stop from the bar after the fill on, and
backtesting.py charges its spread when a trade begins only. One thread each.

vectorbt 1 takes a compiled engine of its own (``vectorbt-rust``) where that is installed, else numba: both are timed
where they are there. ``python -m bench.backtests --chunks 10 25 50`` times chunks of columns for its sweep.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from bench.timing import side_by_side
from forecastle.app._judged import measured_on
from forecastle.backtest import Account, Costs, Execution, Simulated, simulate
from forecastle.nouns.market import Market
from forecastle.nouns.seen import Seen
from forecastle.nouns.signal import Signals
from forecastle.strategies import Crossover
from forecastle.strategies.sizing import Units

FloatArray = npt.NDArray[np.float64]
MINUTES, STRETCH = 1_000_000, 20_000
"""Bars of the large comparison; and those of the peers that go bar by bar in Python."""
SWEPT = 100_000
FAST, SLOW = tuple(range(5, 45)), tuple(range(50, 300, 10))
"""A thousand crossovers."""
INSTRUMENTS, DAYS = 100, 2500
MINUTES_A_YEAR = 525_600.0
CASH, UNITS = 100_000.0, 10.0
FEE, SLIPPAGE, STOP = 0.0005, 0.0002, 0.01
COSTS = Costs(maker=FEE, taker=FEE, half_spread=SLIPPAGE)
CHUNK = 10
"""Columns at a time with which vectorbt's sweep is quickest here."""


@functools.cache
def vectorbt() -> Any:
    """Return vectorbt, which on import draws a theme with the map that plotly 7 has no more: it is left out."""
    from plotly import graph_objects as go

    whole = go.layout.Template.__init__

    def without_maps(self: Any, arg: Any = None, **rest: Any) -> None:
        if isinstance(arg, dict):
            arg = {part: {k: v for k, v in held.items() if "mapbox" not in k} for part, held in arg.items()}
        whole(self, arg, **rest)

    with mock.patch.object(go.layout.Template, "__init__", without_maps):
        return importlib.import_module("vectorbt")


def engines() -> list[str]:
    """Return the engines of vectorbt that are there."""
    return ["numba", "rust"] if importlib.util.find_spec("vectorbt_rust") else ["numba"]


@dataclass(frozen=True, eq=False)
class Made:
    """A made-up market and what is decided at each close: in, out, or nothing."""

    market: Market
    enter: npt.NDArray[np.bool_]
    leave: npt.NDArray[np.bool_]

    @property
    def target(self) -> FloatArray:
        """Return the wishes in units."""
        return np.where(self.enter, UNITS, np.where(self.leave, 0.0, np.nan)).reshape(-1, 1)

    def first(self, bars: int) -> Made:
        """Return the first bars."""
        return Made(self.market.rows(0, bars), self.enter[:bars], self.leave[:bars])


def made(n: int, sigma: float = 5e-4, seed: int = 7) -> Made:
    """Return ``n`` bars of a walk around 100, entries at 1 % of the closes and exits at 1 %."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, sigma, n)
    level = np.zeros(n)
    now = 0.0
    for i, step in enumerate(steps.tolist()):
        now = 0.9999 * now + step
        level[i] = now
    close = 100.0 * np.exp(level)
    begin = np.r_[close[:1], close[:-1]]
    up, down = 1.0 + rng.exponential(sigma / 3.0, (2, n))
    market = Market.of_arrays({
        "open": begin, "high": np.maximum(begin, close) * up, "low": np.minimum(begin, close) / down, "close": close,
        "volume": rng.exponential(100.0, n),
    })  # fmt: skip
    drawn = rng.random(n)
    return Made(market, drawn < 0.01, (drawn >= 0.01) & (drawn < 0.02))


# --- one strategy -----------------------------------------------------------------------------------------------------


def simulated(it: Made) -> Simulated:
    """Simulate."""
    signals = Signals(it.target, "units", stop_share=np.full(it.market.close.shape, STOP))
    return simulate(it.market, signals, Account(CASH), COSTS, Execution())


def ours(it: Made) -> tuple[Simulated, dict[str, float | None]]:
    """Simulate and return all figures."""
    done = simulated(it)
    found, _ = measured_on(it.market, CASH, MINUTES_A_YEAR, done)
    return done, {name: ratio.value for name, ratio in found.figures.items()}


def simulated_by_vectorbt(it: Made, engine: str) -> Any:
    """Simulate: orders, nothing that follows from them."""
    o, h, low, c = (getattr(it.market, name)[:, 0] for name in ("open", "high", "low", "close"))
    return vectorbt().Portfolio.from_signals(
        c, np.r_[False, it.enter[:-1]], np.r_[False, it.leave[:-1]], price=o, open=o, high=h, low=low, size=UNITS,
        fees=FEE, slippage=SLIPPAGE, sl_stop=STOP, stop_entry_price="price", stop_exit_price="stopmarket",
        init_cash=CASH, freq="1min", engine=engine,
    )  # fmt: skip


def by_vectorbt(it: Made, engine: str) -> tuple[Any, float, float]:
    """Simulate and return two figures."""
    portfolio = simulated_by_vectorbt(it, engine)
    return portfolio, portfolio.total_return(), portfolio.sharpe_ratio()


def table_of(it: Made) -> Any:
    """Return the market as the table that backtesting.py and backtrader read."""
    import pandas as pd

    names = ("open", "high", "low", "close", "volume")
    columns = {name.capitalize(): getattr(it.market, name)[:, 0] for name in names}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(it.market.open_time.astype("datetime64[ns]")))


def by_backtesting(it: Made) -> tuple[float, int]:
    """Run backtesting.py, its statistics included; return final equity and closed trades."""
    library = importlib.import_module("backtesting")
    enter, leave = it.enter.tolist(), it.leave.tolist()

    class Wished(library.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None:
            pass

        def next(self) -> None:
            i = len(self.data) - 1
            if enter[i] and not self.position:
                self.buy(size=UNITS, sl=self.data.Close[-1] * (1.0 - STOP))
            elif leave[i] and self.position:
                self.position.close()

    # its spread is charged when a trade begins, and nothing when it ends
    found = library.Backtest(table_of(it), Wished, cash=CASH, commission=FEE, spread=2.0 * SLIPPAGE).run()
    return float(found["Equity Final [$]"]), len(found["_trades"])


def by_backtrader(it: Made) -> tuple[float, int]:
    """Run backtrader without observers; return final equity and closed trades."""
    library = importlib.import_module("backtrader")
    enter, leave = it.enter.tolist(), it.leave.tolist()
    closed = 0

    class Wished(library.Strategy):  # type: ignore[misc, name-defined]
        resting: Any = None

        def notify_trade(self, trade: Any) -> None:
            nonlocal closed
            closed += trade.isclosed

        def next(self) -> None:
            i = len(self) - 1
            if enter[i] and not self.position:
                bought = self.buy(size=UNITS, transmit=False)
                price = self.data.close[0] * (1.0 - STOP)
                self.resting = self.sell(size=UNITS, exectype=library.Order.Stop, price=price, parent=bought)
            elif leave[i] and self.position:
                self.cancel(self.resting)
                self.close()

    cerebro = library.Cerebro(stdstats=False)
    cerebro.adddata(library.feeds.PandasData(dataname=table_of(it)))
    cerebro.addstrategy(Wished)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=FEE)
    cerebro.broker.set_slippage_perc(SLIPPAGE, slip_open=True, slip_out=True)
    cerebro.run()
    return float(cerebro.broker.getvalue()), closed


def row(what: str, own: float, other: float, against: str, unit: str = "ms") -> None:
    """Print a row: seconds of both, in ``unit``."""
    scale, digits = {"ms": (1e3, 1), "us": (1e6, 3)}[unit]
    times = f"{scale * own:.{digits}f} {unit} | {scale * other:.{digits}f} {unit}"
    print(f"| {what} | {times} | {other / own:.1f}x | {against} |", flush=True)


HEAD = "| what | ours | theirs | theirs / ours | against |\n|---|---|---|---|---|"


def minutes() -> None:
    """Print the table of one strategy."""
    it = made(MINUTES)
    part = it.first(STRETCH)
    print(HEAD)
    for engine in engines():
        times = side_by_side(lambda: ours(it), functools.partial(by_vectorbt, it, engine))
        counts = f"{len(ours(part)[1])} figures, theirs 2"
        row(f"{MINUTES:,} minutes, stop-loss, fees, slippage: {counts}", *times, f"vectorbt, {engine}")
        times = side_by_side(lambda: simulated(it), functools.partial(simulated_by_vectorbt, it, engine))
        row("the same without figures: equity a bar, theirs the orders alone", *times, f"vectorbt, {engine}")
    for name, job in (("backtesting.py", by_backtesting), ("backtrader", by_backtrader)):
        own, other = side_by_side(lambda: ours(part), functools.partial(job, part))
        row(f"a bar, of {STRETCH:,}", own / STRETCH, other / STRETCH, name, "us")
    print()
    for label, bars in ((f"{MINUTES:,}", it), (f"{STRETCH:,}", part)):
        done, figures = ours(bars)
        print(f"Of {label} bars: ours {len(done.fills)} fills, final equity {done.equity[-1]:.2f}, "
              f"Sharpe ratio {figures['sharpe']:.3f} of log returns", end="")  # fmt: skip
        portfolio, total, sharpe = by_vectorbt(bars, "numba")
        print(f"; vectorbt {len(portfolio.orders.records_arr)}, {CASH * (1.0 + total):.2f}, {sharpe:.3f}.")
    for name, job in (("backtesting.py", by_backtesting), ("backtrader", by_backtrader)):
        equity, trades = job(part)
        print(f"Of {STRETCH:,} bars: {name} {trades} closed trades, final equity {equity:.2f}.")


# --- a sweep ----------------------------------------------------------------------------------------------------------


def pairs() -> list[tuple[int, int]]:
    """Return the lengths of the averages of each crossover."""
    return [(fast, slow) for slow in SLOW for fast in FAST]


def sweep_by_ours(it: Made) -> list[dict[str, float | None]]:
    """Trade every crossover and return all figures of each."""
    import talib

    windows = sorted({*FAST, *SLOW})
    columns = {f"sma_{w}": talib.SMA(it.market.close[:, 0], w).reshape(-1, 1) for w in windows}
    seen, found = Seen(it.market, columns, periods_per_year=MINUTES_A_YEAR), []
    for fast, slow in pairs():
        signals = Units(UNITS).size(Crossover(fast, slow).wish(seen), seen)
        done = simulate(it.market, signals, Account(CASH), COSTS, Execution())
        performance, _ = measured_on(it.market, CASH, MINUTES_A_YEAR, done)
        found.append({name: ratio.value for name, ratio in performance.figures.items()})
    return found


def sweep_by_vectorbt(it: Made, engine: str, chunk: int, first: int | None = None) -> list[tuple[float, float]]:
    """Trade the ``first`` crossovers, or all, in chunks of columns; return two figures of each.

    Its cache is switched off: it costs several times the memory, and is no quicker where each figure is asked once.
    """
    import pandas as pd

    library = vectorbt()
    library.settings.caching["enabled"] = False
    o, c = it.market.open[:, 0], it.market.close[:, 0]
    windows = sorted({*FAST, *SLOW})
    average = library.MA.run(c, window=windows).ma.to_numpy()
    place = {w: j for j, w in enumerate(windows)}
    wanted, found = pairs()[:first], []
    for begin in range(0, len(wanted), chunk):
        part = wanted[begin : begin + chunk]
        fast, slow = (average[:, [place[pair[side]] for pair in part]] for side in (0, 1))
        above = fast > slow
        below = (fast <= slow) & np.isfinite(slow)
        enter, leave = np.zeros_like(above), np.zeros_like(above)
        enter[1:], leave[1:] = above[:-1], below[:-1]
        portfolio = library.Portfolio.from_signals(
            pd.Series(c), pd.DataFrame(enter), pd.DataFrame(leave), price=o[:, None], size=UNITS, fees=FEE,
            slippage=SLIPPAGE, init_cash=CASH, freq="1min", engine=engine,
        )  # fmt: skip
        total, sharpe = portfolio.total_return().to_numpy(), portfolio.sharpe_ratio().to_numpy()
        found += list(zip(total.tolist(), sharpe.tolist(), strict=True))
    return found


SWEEPS: dict[str, Callable[[Made], Any]] = {
    "ours": sweep_by_ours,
    "vectorbt, numba": lambda it: sweep_by_vectorbt(it, "numba", CHUNK),
    "vectorbt, rust": lambda it: sweep_by_vectorbt(it, "rust", CHUNK),
}


def peak() -> float:
    """Return the most MiB that this process held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def alone(name: str) -> None:
    """Run one sweep in this process and print its seconds, and MiB before and at most, as JSON."""
    it = made(SWEPT)
    small = it.first(2_000)
    SWEEPS[name](small)  # libraries and compiled code are there
    before = peak()
    start = time.perf_counter()
    found = SWEEPS[name](it)
    taken = time.perf_counter() - start
    totals = np.array([one["total_return"] if isinstance(one, dict) else one[0] for one in found])
    print(json.dumps({"seconds": taken, "before": before, "peak": peak(), "mean": float(totals.mean())}))


def in_turn(names: list[str], rounds: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Run the sweeps in turn, each in a process of its own, and yield medians."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            ran = subprocess.run([sys.executable, "-m", "bench.backtests", "alone", "--name", name],
                                 check=True, stdout=subprocess.PIPE, text=True)  # fmt: skip
            found[name].append(json.loads(ran.stdout.splitlines()[-1]))
    for name, runs in found.items():
        yield name, {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def sweep(rounds: int) -> None:
    """Print the table of the sweep."""
    names = ["ours", *(f"vectorbt, {engine}" for engine in engines())]
    print(f"{len(pairs()):,} crossovers of {SWEPT:,} bars; vectorbt in chunks of {CHUNK}; medians of {rounds}.\n")
    print("| sweep | seconds | peak memory, MiB | before it began, MiB | mean total return |\n|---|---|---|---|---|")
    for name, of in in_turn(names, rounds):
        memory = f"{of['peak']:.0f} | {of['before']:.0f}"
        print(f"| {name} | {of['seconds']:.2f} | {memory} | {of['mean']:.6f} |", flush=True)


def chunks(sizes: list[int]) -> None:
    """Print how long vectorbt takes for 200 crossovers in chunks of each size."""
    it = made(SWEPT)
    print("| engine | columns at a time | seconds of 200 crossovers |\n|---|---|---|")
    for engine in engines():
        sweep_by_vectorbt(it.first(2_000), engine, 10, 20)
        for size in sizes:
            taken = []
            for _ in range(3):
                start = time.perf_counter()
                sweep_by_vectorbt(it, engine, size, 200)
                taken.append(time.perf_counter() - start)
            print(f"| {engine} | {size} | {statistics.median(taken):.2f} |", flush=True)


# --- a portfolio ------------------------------------------------------------------------------------------------------


def portfolio() -> None:
    """Print the table of many instruments, brought to weights at every close."""
    rng = np.random.default_rng(11)
    pieces = [made(DAYS, 0.01, seed).market for seed in range(INSTRUMENTS)]
    columns: dict[str, Any] = {
        name: np.hstack([getattr(piece, name) for piece in pieces])
        for name in ("open", "high", "low", "close", "volume", "present")
    }
    one = pieces[0]
    names = tuple(f"A{j:03d}" for j in range(INSTRUMENTS))
    market = Market(names, one.open_time, one.close_time, **columns, day_end=one.day_end)
    weight = 0.9 * rng.dirichlet(np.full(INSTRUMENTS, 20.0), DAYS)

    def own() -> Simulated:
        done = simulate(market, Signals(weight), Account(CASH), COSTS, Execution())
        measured_on(market, CASH, 365.0, done)
        return done

    due = np.vstack([np.full((1, INSTRUMENTS), np.nan), weight[:-1]])

    def theirs(engine: str) -> float:
        found = vectorbt().Portfolio.from_orders(
            market.close, due, size_type="targetpercent", price=market.open, fees=FEE, slippage=SLIPPAGE,
            init_cash=CASH, cash_sharing=True, group_by=True, call_seq="auto", freq="1D", engine=engine,
        )  # fmt: skip
        found.sharpe_ratio()
        return CASH * (1.0 + float(found.total_return()))

    print(HEAD)
    for engine in engines():
        times = side_by_side(own, functools.partial(theirs, engine))
        row(f"{INSTRUMENTS} instruments, {DAYS:,} days, weights at every close", *times, f"vectorbt, {engine}")
    done = own()
    print(f"\nOurs: {len(done.fills):,} fills, final equity {done.equity[-1]:.2f}; vectorbt {theirs('numba'):.2f}.")


def main() -> None:
    """Run what was asked for, all where nothing was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="minutes, sweep, portfolio, or alone for a sweep in this process")
    parser.add_argument("--name", default="ours", help="whose sweep to run alone")
    parser.add_argument("--chunks", nargs="+", type=int, help="sizes of chunks to time vectorbt's sweep with")
    parser.add_argument("--rounds", type=int, default=3, help="of the sweep")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # the peers' own: escapes and calls of older days, open trades at the end
    os.environ["TQDM_DISABLE"] = "1"
    if given.chunks:
        chunks(given.chunks)
        return
    jobs: dict[str, Callable[[], None]] = {
        "minutes": minutes,
        "sweep": lambda: sweep(given.rounds),
        "portfolio": portfolio,
        "alone": lambda: alone(given.name),
    }
    for k, name in enumerate(given.parts or ["minutes", "sweep", "portfolio"]):
        if k:
            print()
        jobs[name]()


if __name__ == "__main__":
    main()
