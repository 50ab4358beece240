"""Write deploy/feast from the registry of features; ``--check`` only compares."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from forecastle.features.feast import ENTITY, FOREVER, PROJECT, columns, view_of
from forecastle.nouns.feature_frame import MARKS
from forecastle.sessions import TIMEFRAMES

FOLDER = Path(__file__).parents[1] / "deploy" / "feast"
YAML = f"""\
# Written by docs/make_feast.py. FORECASTLE_HOME is the home folder. For Redis: type redis, and
# connection_string host:6379,password=... in place of path.
project: {PROJECT}
provider: local
registry: ${{FORECASTLE_HOME}}/store/registry.db
online_store:
  type: sqlite
  path: ${{FORECASTLE_HOME}}/store/online.db
offline_store:
  type: file
entity_key_serialization_version: 3
"""
HEAD = f'''\
"""The feature store's entity and views. Written by docs/make_feast.py from the registry: do not edit."""

import os
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, String

OFFLINE = Path(os.environ["FORECASTLE_HOME"]) / "store" / "offline"
"""Links to the tables that hold the whole catalogue; `forecastle features materialize` makes them."""

{ENTITY} = Entity(name="{ENTITY}", join_keys=["{ENTITY}"], value_type=ValueType.STRING)

COLUMNS = [
'''
VIEW = """\
]
MARKS = %s  # whose candles, and a hash of what the columns mean
SCHEMA = [*(Field(name=n, dtype=Float64) for n in COLUMNS), *(Field(name=n, dtype=String) for n in MARKS)]


def _source(timeframe):
    return FileSource(
        name=f"features_{timeframe}",
        path=f"{OFFLINE}/{timeframe}/*.parquet",
        timestamp_field="known_at",
        created_timestamp_column="created_at",
    )


def _view(source):
    return FeatureView(
        name=source.name,
        entities=[instrument],
        ttl=timedelta(days=%d),
        schema=SCHEMA,
        source=source,
        online=True,
    )


"""


def files() -> dict[str, str]:
    """Return what stands in each file."""
    names = "".join(f'    "{column}",\n' for column in columns())
    views = ""
    for timeframe in TIMEFRAMES:
        views += f'source_{timeframe} = _source("{timeframe}")\n{view_of(timeframe)} = _view(source_{timeframe})\n'
    return {
        "feature_store.yaml": YAML,
        "features.py": HEAD + names + VIEW % (json.dumps(list(MARKS)), FOREVER.days) + views,
    }


def main() -> None:
    """Write, or check."""
    for name, text in files().items():
        path = FOLDER / name
        if "--check" not in sys.argv:
            FOLDER.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"deploy/feast/{name} is not what the registry says: make docs")


if __name__ == "__main__":
    main()
