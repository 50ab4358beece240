"""Scores and tests of forecasts that have met their outcome."""

from forecastle.scoring import forecast, risk
from forecastle.scoring.comparison import compare, risk_backtest

__all__ = ["compare", "forecast", "risk", "risk_backtest"]
