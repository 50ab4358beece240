"""Forecastle: candles in, a believable volatility forecast out.

>>> import forecastle as fc
>>> candles = fc.load("SPX.INDEX")  # doctest: +SKIP
>>> fc.GarchModel(dist="t").fit(candles).forecast(1)  # doctest: +SKIP

Every name loads on use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecastle import errors, features, scoring, strategies
    from forecastle.app.backtest_candles import BacktestRun, backtest
    from forecastle.app.build_features import load_features
    from forecastle.app.history import load_history
    from forecastle.app.look import load_candles as load
    from forecastle.app.rolling import rolling_forecast
    from forecastle.app.saved import load_model
    from forecastle.app.search import search_garch
    from forecastle.app.strategy_leaks import check_leaks
    from forecastle.models.ewma import Ewma
    from forecastle.models.garch import GarchModel
    from forecastle.models.naive import Historical, RandomWalk
    from forecastle.models.rolling_garch import rolling_garch
    from forecastle.nouns import Candles, FeatureFrame, Forecast, History, Instrument, RollingForecast
    from forecastle.nouns.signal import Signal

_PLACES = {
    "BacktestRun": "forecastle.app.backtest_candles:BacktestRun",
    "Candles": "forecastle.nouns:Candles",
    "Ewma": "forecastle.models.ewma:Ewma",
    "FeatureFrame": "forecastle.nouns:FeatureFrame",
    "Forecast": "forecastle.nouns:Forecast",
    "GarchModel": "forecastle.models.garch:GarchModel",
    "Historical": "forecastle.models.naive:Historical",
    "History": "forecastle.nouns:History",
    "Instrument": "forecastle.nouns:Instrument",
    "RandomWalk": "forecastle.models.naive:RandomWalk",
    "RollingForecast": "forecastle.nouns:RollingForecast",
    "Signal": "forecastle.nouns.signal:Signal",
    "check_leaks": "forecastle.app.strategy_leaks:check_leaks",
    "backtest": "forecastle.app.backtest_candles:backtest",
    "load": "forecastle.app.look:load_candles",
    "load_features": "forecastle.app.build_features:load_features",
    "load_history": "forecastle.app.history:load_history",
    "load_model": "forecastle.app.saved:load_model",
    "rolling_forecast": "forecastle.app.rolling:rolling_forecast",
    "rolling_garch": "forecastle.models.rolling_garch:rolling_garch",
    "search_garch": "forecastle.app.search:search_garch",
}
_MODULES = ("errors", "features", "scoring", "strategies")

__version__ = "0.1.0"
__all__ = [
    "BacktestRun",
    "Candles",
    "Ewma",
    "FeatureFrame",
    "Forecast",
    "GarchModel",
    "Historical",
    "History",
    "Instrument",
    "RandomWalk",
    "RollingForecast",
    "Signal",
    "backtest",
    "check_leaks",
    "errors",
    "features",
    "load",
    "load_features",
    "load_history",
    "load_model",
    "rolling_forecast",
    "rolling_garch",
    "scoring",
    "search_garch",
    "strategies",
]


class _Backtest(ModuleType):
    """The part ``forecastle.backtest``, which can also be called: ``fc.backtest(candles, strategy)``.

    Importing a part sets it as an attribute here, over the function of the same name.
    """

    def __call__(self, *words: Any, **named: Any) -> Any:
        """Trade a strategy on candles: :func:`forecastle.app.backtest_candles.backtest`."""
        return importlib.import_module("forecastle.app.backtest_candles").backtest(*words, **named)


class _Face(ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name == "backtest" and isinstance(value, ModuleType):
            value.__class__ = _Backtest
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"forecastle.{name}")
    if name in _PLACES:
        module, _, attribute = _PLACES[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module 'forecastle' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
