"""The environment a number came from: versions, seeds, data hashes."""

from __future__ import annotations

import platform
from importlib import metadata

from forecastle.models._sample import PATHS, SEED
from forecastle.nouns import Instrument
from forecastle.sources.bundled import FILES, Bundled

PACKAGES = (
    "forecastle", "arch", "duckdb", "exchange_calendars", "numba", "numpy", "pandas", "plotly", "polars", "pyarrow",
    "pydantic", "rich", "scipy", "statsmodels", "typer",
)  # fmt: skip


def snapshot() -> dict[str, dict[str, str]]:
    """Return what has to be the same for the same numbers: Python, packages, seeds, hashes of the bundled data."""
    data = {name: Bundled().fetch(Instrument.parse(name), "1d", None, None).data_hash for name in FILES}
    return {
        "python": {"version": platform.python_version(), "implementation": platform.python_implementation()},
        "machine": {"system": platform.system(), "architecture": platform.machine()},
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "seeds": {"simulated paths": f"{SEED} ({PATHS} paths)"},
        "bundled data": data,
    }
