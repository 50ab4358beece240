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
}

README = """# Raw candles

`{source}/{instrument}/{timeframe}/{first day of the period}.{version}.parquet`: one file for a month of minutes, a year
of hours, everything for days and longer. The version is the beginning of the SHA-256 of the file.

Files never change once written. `manifest.jsonl` alone says which of them are current: one line a commit, each with the
hash of the line before. Do not edit anything here; `forecastle lake verify` finds what was changed.

Columns (also in `schema.json`):

"""


def write_description(root: Path) -> None:
    """Write both files where they are not there yet, or say something else."""
    rows = "\n".join(f"- `{name}` ({kind}): {meaning}" for name, (kind, meaning) in COLUMNS.items())
    schema = {
        "schema": "forecastle/raw/1",
        "columns": [{"name": n, "type": kind, "meaning": meaning} for n, (kind, meaning) in COLUMNS.items()],
    }
    for name, text in (("_README.md", README + rows + "\n"), ("schema.json", json.dumps(schema, indent=2) + "\n")):
        path = root / name
        if not path.exists() or path.read_bytes() != text.encode():
            write_bytes(path, text.encode())
