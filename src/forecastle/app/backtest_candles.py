"""The Python face of backtests: candles and a strategy in, a result that can plot itself and write its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.app._beside import benchmarks_of, readings_of
from forecastle.app._judged import result_of
from forecastle.app._trading import of_histories, trade, with_forecast
from forecastle.backtest.account import AccountKind
from forecastle.backtest.execution import Intrabar
from forecastle.experiments.strategy_spec import BacktestConfig, backtest_of
from forecastle.lake.atomic import write_bytes
from forecastle.nouns import Candles, History
from forecastle.nouns.backtest_result import BacktestResult
from forecastle.reports.backtest import backtest_html
from forecastle.reports.backtest_figure import equity_figure
from forecastle.strategies.sizing import Fraction

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BacktestRun(BacktestResult):
    """A :class:`~forecastle.nouns.backtest_result.BacktestResult` that can show itself."""

    def plot(self) -> Any:
        """Return equity beside its benchmarks and the drawdown as a Plotly figure."""
        return equity_figure(self)

    def report(self, path: Path | str) -> Path:
        """Write the whole report as one HTML page that needs no network, and return where it is."""
        place = Path(path)
        write_bytes(place, backtest_html(self).encode())
        return place


def backtest(
    candles: Candles | Sequence[Candles],
    strategy: Any,
    sizing: Any = None,
    *,
    cash: float = 100_000.0,
    account: AccountKind = "cash",
    leverage: float = 1.0,
    venue: str | None = None,
    half_spread_bps: float = 1.0,
    latency: int = 0,
    participation: float = 0.0,
    band: float = 0.0,
    intrabar: Intrabar = "worst",
    forecast: FloatArray | None = None,
    name: str = "backtest",
    replications: int = 999,
    seed: int = 0,
) -> BacktestRun:
    """Trade a strategy on candles and return what came of it; nothing is written, and no trial is counted.

    ``strategy`` is one of :mod:`forecastle.strategies`, or an object with ``decide(view) -> Signal``; ``sizing``
    :class:`~forecastle.strategies.Fraction` of all equity where left out. Costs are those of ``venue``, by default of
    the kind of instrument. ``forecast`` (bars,) or (bars, instruments) are out-of-sample forecasts known at each close,
    for a model-driven strategy. Returns are log returns; equity is in the quote currency. Raises ``RequestInvalid``,
    ``NameUnknown`` or ``DataInvalid`` for what cannot be traded.
    """
    many = [candles] if isinstance(candles, Candles) else list(candles)
    config, needs = config_of_candles(
        many, strategy, cash=cash, account=account, leverage=leverage, venue=venue, half_spread_bps=half_spread_bps,
        latency=latency, participation=participation, band=band, intrabar=intrabar, name=name,
        replications=replications, seed=seed,
    )  # fmt: skip
    setup = of_histories(None, config, tuple(History(c) for c in many), needs=needs)
    setup = replace(setup, strategy=strategy, sizing=sizing or Fraction())
    if forecast is not None:
        values = np.asarray(forecast, dtype=np.float64)
        setup = with_forecast(setup, values.reshape(-1, 1) if values.ndim == 1 else values)
    done, signals = trade(setup)
    result = result_of(setup, done, signals, getattr(strategy, "label", type(strategy).__name__))
    benchmarks, notes = benchmarks_of(None, setup, done, signals, result.figures["volatility"].value)
    result = replace(
        result, benchmarks=benchmarks, readings=readings_of(None, setup, signals), notes=(*result.notes, *notes)
    )
    return BacktestRun(**{field.name: getattr(result, field.name) for field in fields(BacktestResult)})


def config_of_candles(
    many: Sequence[Candles],
    strategy: Any,
    *,
    cash: float = 100_000.0,
    account: AccountKind = "cash",
    leverage: float = 1.0,
    venue: str | None = None,
    half_spread_bps: float = 1.0,
    name: str = "backtest",
    replications: int = 999,
    seed: int = 0,
    **execution: Any,
) -> tuple[BacktestConfig, list[str]]:
    """Return the configuration of a backtest in Python, and the features that its strategy looks at."""
    needs = list(dict.fromkeys(str(n).split(".")[0] for n in getattr(strategy, "needs", ())))
    config = backtest_of({
        "name": name, "data": {"instruments": [c.instrument.id for c in many], "timeframe": many[0].timeframe},
        "strategy": "hold", "account": {"cash": cash, "kind": account, "leverage": leverage},
        "costs": {"venue": venue, "half_spread_bps": half_spread_bps}, "execution": execution,
        "replications": replications, "seed": seed,
    })  # fmt: skip
    return config, needs
