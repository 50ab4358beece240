"""Outside data. Adding a source is one file here and one line in ``SOURCES``."""

from forecastle.registry import Registry

SOURCES = Registry(
    "source", {"bundled": "forecastle.sources.bundled:Bundled", "simulated": "forecastle.sources.simulated:Simulated"}
)

__all__ = ["SOURCES"]
