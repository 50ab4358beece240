"""Strategies: what one would hold after each close, and how much of it. See ``docs/backtest.md``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from forecastle.registry import Registry

if TYPE_CHECKING:
    from forecastle.strategies.breakout import Breakout
    from forecastle.strategies.crossover import Crossover
    from forecastle.strategies.hold import Hold
    from forecastle.strategies.model import ModelDriven
    from forecastle.strategies.rsi_reversion import RsiReversion
    from forecastle.strategies.rules import Rules
    from forecastle.strategies.sizing import Cash, Fraction, Kelly, Risk, Units, VolatilityTarget

STRATEGIES = Registry(
    "strategy",
    {
        "breakout": "forecastle.strategies.breakout:Breakout",
        "crossover": "forecastle.strategies.crossover:Crossover",
        "hold": "forecastle.strategies.hold:Hold",
        "model": "forecastle.strategies.model:ModelDriven",
        "rsi_reversion": "forecastle.strategies.rsi_reversion:RsiReversion",
        "rules": "forecastle.strategies.rules:Rules",
        "volatility_target": "forecastle.strategies.hold:VolatilityTargeted",
    },
)
SIZINGS = Registry(
    "sizing",
    {
        "cash": "forecastle.strategies.sizing:Cash",
        "fraction": "forecastle.strategies.sizing:Fraction",
        "kelly": "forecastle.strategies.sizing:Kelly",
        "risk": "forecastle.strategies.sizing:Risk",
        "units": "forecastle.strategies.sizing:Units",
        "volatility_target": "forecastle.strategies.sizing:VolatilityTarget",
    },
)
_PLACES = {
    "Breakout": "breakout", "Cash": "sizing", "Crossover": "crossover", "Fraction": "sizing", "Hold": "hold",
    "Kelly": "sizing", "ModelDriven": "model", "Risk": "sizing", "RsiReversion": "rsi_reversion", "Rules": "rules",
    "Units": "sizing", "VolatilityTarget": "sizing",
}  # fmt: skip

__all__ = [
    "SIZINGS",
    "STRATEGIES",
    "Breakout",
    "Cash",
    "Crossover",
    "Fraction",
    "Hold",
    "Kelly",
    "ModelDriven",
    "Risk",
    "RsiReversion",
    "Rules",
    "Units",
    "VolatilityTarget",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(f"forecastle.strategies.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'forecastle.strategies' has no attribute {name!r}")
