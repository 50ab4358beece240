"""What a source of observations was asked for, so that a day it did not have then is not taken for one it had."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from forecastle.errors import DataCorrupt
from forecastle.lake.atomic import place
from forecastle.nouns import Instrument
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Asked:
    """One question for a metric, answered to its end: the days from ``since`` to before ``until``, at a moment."""

    since: datetime | None
    until: datetime
    at: datetime

    @property
    def missed(self) -> pl.Expr:
        """Return which rows of ``about`` and ``known_at`` were asked for when they were said to be published already.

        Had they been, the lake would hold them.
        """
        inside = pl.col("about") < self.until
        if self.since is not None:
            inside &= pl.col("about") >= self.since
        return inside & (pl.col("known_at") <= self.at)


def read_asked(workspace: Workspace, source: str, instrument: Instrument) -> dict[str, Asked]:
    """Return the question that reached furthest, of each metric; raises ``DataCorrupt``."""
    path = _path(workspace, source, instrument)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Asked(since and datetime.fromisoformat(since), *(datetime.fromisoformat(at) for at in rest))
            for name, (since, *rest) in said.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataCorrupt(
            f"{path} cannot be read.", f"It should hold what was asked of {source} ({type(error).__name__}).",
            "Delete it: what comes late after that counts as known from its usual time.",
        ) from error  # fmt: skip


def write_asked(workspace: Workspace, source: str, instrument: Instrument, new: Mapping[str, Asked]) -> None:
    """Keep questions, but where one before reached further."""
    asked = read_asked(workspace, source, instrument)
    asked |= {name: one for name, one in new.items() if name not in asked or one.until >= asked[name].until}
    said = {
        name: [one.since and one.since.isoformat(), one.until.isoformat(), one.at.isoformat()]
        for name, one in asked.items()
    }
    place(_path(workspace, source, instrument), json.dumps(said, indent=1).encode())


def _path(workspace: Workspace, source: str, instrument: Instrument) -> Path:
    return workspace.settings.venues / "asked" / f"{source}.{instrument.id}.json"
