"""What came of a backtest: equity, positions, fills and costs, what it is worth, and beside what it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns.instrument import is_simulated
from forecastle.nouns.market import Market
from forecastle.nouns.scorecard import DeflatedSharpe, Figure, Overfitting

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Something to stand beside: equity (bars,) from the same cash, and its figures.

    ``p_value`` is the share of random draws that did as well, for a benchmark made of draws; ``note`` says how it was
    made.
    """

    name: str
    equity: FloatArray
    figures: Mapping[str, Figure]
    note: str = ""
    p_value: float | None = None


@dataclass(frozen=True)
class Reading:
    """The same signals under another belief about a bar, or about costs: what changes and by how much."""

    name: str
    figures: Mapping[str, Figure]
    note: str = ""


@dataclass(frozen=True)
class TradedWindow:
    """A window of a walk-forward run: rows ``[first, last)`` of the market, what was chosen before it, what it earned.

    ``inside`` is the objective on the bars that it was chosen on, ``trades`` the round trips begun in the window.
    """

    number: int
    first: int
    last: int
    chosen: Mapping[str, float | int | str | bool]
    trained_until: str
    inside: float | None
    log_return: float
    trades: int


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """One account over one stretch of time.

    ``equity`` (bars,) in the quote currency at each close of ``market``, from ``cash``; ``position`` (bars,
    instruments) in units. ``fills``, ``trades`` and ``orders`` are tables with times, one row each. ``costs`` are money
    over the whole time by kind; ``equity[-1] = cash + gross - costs``. ``figures`` have one definition each
    (:data:`forecastle.scoring.performance.FIGURES`), 95 % intervals where there are any, and a reason where one is not
    defined; returns are log returns, ``periods_per_year`` is what made them annual. ``readings`` are the same signals
    with another order within the bar or other costs; ``why`` says in words what became of wishes and orders. ``trials``
    is how many configurations had been tried on these data, this one too.
    """

    name: str
    strategy: str
    instruments: tuple[str, ...]
    timeframe: str
    source: str
    market: Market
    cash: float
    periods_per_year: float
    equity: FloatArray
    position: FloatArray
    margin_ratio: FloatArray
    returns: FloatArray
    fills: pl.DataFrame
    trades: pl.DataFrame
    orders: pl.DataFrame
    costs: Mapping[str, float]
    figures: Mapping[str, Figure]
    signals: int
    calls: int
    liquidations: int
    why: tuple[str, ...] = ()
    benchmarks: tuple[Benchmark, ...] = ()
    readings: tuple[Reading, ...] = ()
    deflated: DeflatedSharpe | None = None
    overfitting: Overfitting | None = None
    trials: int = 0
    windows: tuple[TradedWindow, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def scores(self) -> Mapping[str, Figure]:
        """Return the figures by name."""
        return self.figures

    @property
    def gross(self) -> float:
        """Return what was earned before costs, in the quote currency."""
        paid = sum(v for name, v in self.costs.items() if name != "insurance")
        return float(self.equity[-1] - self.cash + paid - self.costs["insurance"])

    @property
    def drawdown(self) -> FloatArray:
        """Return how far equity is below its high so far, (bars,), 0 or below."""
        high = np.maximum.accumulate(np.concatenate([[self.cash], self.equity]))[1:]
        return np.asarray(self.equity / high - 1.0)

    @property
    def exposure(self) -> FloatArray:
        """Return the net notional over equity at each close, (bars,)."""
        held = np.nansum(np.where(self.position != 0.0, self.position * self.market.close, 0.0), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(self.equity > 0.0, held / self.equity, 0.0))

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return any(is_simulated(one) for one in self.source.split(","))
