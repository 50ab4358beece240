"""What would have become of a strategy where the market, the venue or the costs had been unkind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from forecastle.nouns.scorecard import Figure

ScenarioKind = Literal["history", "market", "costs", "parameters", "bootstrap"]


@dataclass(frozen=True)
class Scenario:
    """One of the things that went wrong, and what the strategy did in it.

    ``figures`` are those of a backtest (``total_return``, ``sharpe``, ``max_drawdown``, ...), of the bars of the
    scenario where it is a stretch of ``history``. ``calls`` are bars with a margin call, ``largest_use`` the largest
    gross notional over equity. ``hold`` is the return of buy and hold over the same. A scenario that the data do not
    reach has no figures, and ``note`` says so.
    """

    name: str
    kind: ScenarioKind
    note: str
    figures: Mapping[str, Figure]
    hold: float | None = None
    calls: int = 0
    liquidations: int = 0
    largest_use: float | None = None


@dataclass(frozen=True)
class LiquidationChance:
    """The probability that a position is liquidated within ``horizon`` bars, by side and leverage.

    Of paths drawn from the forecast density; ``low`` and ``high`` are the 95 % interval of the Monte Carlo error alone.
    """

    side: Literal["long", "short"]
    leverage: float
    horizon: int
    probability: float
    low: float
    high: float


@dataclass(frozen=True)
class StressResult:
    """All scenarios beside the backtest as it was, and the chance of liquidation from the latest forecast."""

    name: str
    strategy: str
    source: str
    base: Mapping[str, Figure]
    scenarios: tuple[Scenario, ...]
    liquidation: tuple[LiquidationChance, ...] = ()
    notes: tuple[str, ...] = ()
