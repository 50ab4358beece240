"""``_README.md`` and ``schema.json`` beside the data: what the columns mean, for whoever finds the folder."""

from __future__ import annotations

import json
from pathlib import Path

from forecastle.lake.atomic import write_bytes

COLUMNS = {
    "open_time": ("timestamp[us, UTC]", "first moment of the bar"),
    "close_time": ("timestamp[us, UTC]", "end of the bar, exclusive; the row may be used from this moment on"),
    "open": ("float64", "first price, in the quote currency"),
    "high": ("float64", "highest price"),
    "low": ("float64", "lowest price"),
    "close": ("float64", "last price"),
    "volume": ("float64", "traded amount, in the unit of the source (base currency or shares)"),
    "instrument": ("string", "id, such as BTC-USDT, AAPL, SPX.INDEX"),
    "timeframe": ("string", "1m 5m 15m 30m 1h 4h 1d 1w 1mo"),
    "source": ("string", "where the row came from; 'simulated' is made up"),
    "adjusted": ("string", "corporate actions already in the prices: none, splits, splits_dividends, unknown"),
    "prices": ("string", "ohlc; or close: only the close was known, open, high and low repeat it"),
}
OBSERVATIONS = {
    "about": ("timestamp[us, UTC]", "the moment, or first moment of the period, that the value describes"),
    "known_at": ("timestamp[us, UTC]", "from when on it may be used; a revision is a new row with a later one"),
    "value": ("float64", "in the unit of the column unit"),
    "instrument": ("string", "id"),
    "source": ("string", "where the value came from"),
    "name": ("string", "what is observed, such as funding_rate"),
    "unit": ("string", "unit of the value"),
}

README = """# Raw candles and observations

`{source}/{instrument}/{timeframe}/{first day of the period}.{version}.parquet`: a period is a month of minutes, a year
of hours, everything for days and longer, and may lie in several files that never overlap. The version is the beginning
of the SHA-256 of the file. Observations (funding rates, indices, dividends) lie beside the candles in a folder of their
name; rows that broke a rule lie, with the reason, in `{timeframe}.quarantine`. A `.csv` holds the rows of the Parquet
file of the same name.

Files never change once written. `manifest.jsonl` alone says which of them are current: one line a commit, each with the
hash of the line before; `manifest.mirror.jsonl` is its second copy, `_history` holds the commits before its first line,
a checkpoint. Do not edit anything here; `forecastle lake verify` finds what was changed.

Columns (also in `schema.json`):

"""


def write_description(root: Path) -> None:
    """Write both files where they are not there yet, or say something else."""
    schema = {
        "schema": "forecastle/raw/2",
        "columns": _columns(COLUMNS),
        "observations": _columns(OBSERVATIONS),
    }
    text = README + f"Candles:\n\n{_listed(COLUMNS)}\n\nObservations:\n\n{_listed(OBSERVATIONS)}\n"
    for name, content in (("_README.md", text), ("schema.json", json.dumps(schema, indent=2) + "\n")):
        path = root / name
        if not path.exists() or path.read_bytes() != content.encode():
            write_bytes(path, content.encode())


def _columns(columns: dict[str, tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": n, "type": kind, "meaning": meaning} for n, (kind, meaning) in columns.items()]


def _listed(columns: dict[str, tuple[str, str]]) -> str:
    return "\n".join(f"- `{name}` ({kind}): {meaning}" for name, (kind, meaning) in columns.items())
