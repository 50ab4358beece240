"""Use cases: one file each, and the only place where parts meet.

Each takes a workspace and a request and returns a noun. The names load on use, so that a face pays for what it asks.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecastle.app.compare import backtest, compare
    from forecastle.app.demo import demo
    from forecastle.app.doctor import doctor
    from forecastle.app.fetch import fetch
    from forecastle.app.fit import fit
    from forecastle.app.forecast import forecast
    from forecastle.app.import_file import import_file
    from forecastle.app.look import datasets, list_series, load, open_workspace, sql, verify
    from forecastle.app.quality import quality
    from forecastle.app.report import report
    from forecastle.app.rolling import rolling, rolling_forecast
    from forecastle.app.snapshot import snapshot

_PLACES = {
    "backtest": "compare", "compare": "compare", "demo": "demo", "doctor": "doctor", "fetch": "fetch", "fit": "fit",
    "forecast": "forecast", "import_file": "import_file",
    "list_series": "look", "datasets": "look", "load": "look", "open_workspace": "look",
    "sql": "look", "verify": "look", "quality": "quality", "report": "report", "rolling": "rolling",
    "rolling_forecast": "rolling", "snapshot": "snapshot",
}  # fmt: skip

__all__ = [
    "backtest",
    "compare",
    "datasets",
    "demo",
    "doctor",
    "fetch",
    "fit",
    "forecast",
    "import_file",
    "list_series",
    "load",
    "open_workspace",
    "quality",
    "report",
    "rolling",
    "rolling_forecast",
    "snapshot",
    "sql",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
