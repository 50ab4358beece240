"""The backtest engine: signals become orders, fills, positions and equity, with everything that trading costs."""

from forecastle.backtest.account import Account, Tier
from forecastle.backtest.costs import Costs
from forecastle.backtest.engine import Run, simulate
from forecastle.backtest.execution import Execution
from forecastle.backtest.simulated import Simulated

__all__ = ["Account", "Costs", "Execution", "Run", "Simulated", "Tier", "simulate"]
