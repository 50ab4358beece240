"""A column of a file into the lake, as observations."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from forecastle.errors import DataInvalid
from forecastle.lake import WriteResult
from forecastle.requests import ObservationsRequest
from forecastle.sources.observed import ObservedFile, read_observed
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Observed:
    """What was understood of the file, and what was stored (None for a dry run)."""

    file: ObservedFile
    written: WriteResult | None


def import_observations(workspace: Workspace, request: ObservationsRequest) -> Observed:
    """Read, check and store one column; values the lake has already add nothing, others are revisions.

    Raises what :func:`forecastle.sources.observed.read_observed` and the lake raise; ``DataInvalid`` for values about
    days after tomorrow.
    """
    file = read_observed(request)
    tomorrow = workspace.clock.now()
    late = file.observations.frame.filter(pl.col("about") > pl.lit(tomorrow) + pl.duration(days=1))
    if late.height:
        raise DataInvalid(
            f"{late.height} values are about days after tomorrow, the first {late['about'][0]:%Y-%m-%d %H:%M}.",
            "What is to come cannot be observed: the unit or the column of the time is wrong.",
            "Name the right column with --about, or --time-format.",
        )
    return Observed(file, None if request.dry_run else workspace.lake.observe(file.observations))
