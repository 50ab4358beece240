"""Modules that load when a command first uses them: ``--help`` has 0.3 s and polars alone takes 0.2.

The one place for this, so that the commands read as if the modules were simply imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecastle import app, requests, sessions
    from forecastle.cli import _show as show
else:

    class _Late:
        """Stands for a module and imports it on the first look at one of its names."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    class _LatePackage(_Late):
        """Stands for a package and imports its modules one by one."""

        def __getattr__(self, attribute: str) -> Any:
            return importlib.import_module(f"{self._name}.{attribute}")

    app = _LatePackage("forecastle.app")
    requests = _Late("forecastle.requests")
    sessions = _Late("forecastle.sessions")
    show = _Late("forecastle.cli._show")

__all__ = ["app", "requests", "sessions", "show"]
