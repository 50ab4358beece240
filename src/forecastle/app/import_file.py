"""A file of anyone's into the lake: looked at first; what cannot be a candle is kept aside, with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import polars as pl

from forecastle.errors import DataInvalid
from forecastle.lake import DatasetKey, WriteResult
from forecastle.nouns import Candles, Finding, QualityReport
from forecastle.quality import Sifted, inspect_actions, inspect_candles, inspect_times, sift
from forecastle.requests import ImportRequest
from forecastle.sources.file import FileMapping, FileReading, read_file
from forecastle.workspace import Workspace

MOST_INVALID = 0.5
"""Of a file with a larger share of invalid rows nothing is stored: the mapping is wrong, not the rows."""


@dataclass(frozen=True)
class Imported:
    """What was understood of a file, what was found, and what was stored (None for a dry run).

    ``quarantined`` has the rows that cannot be candles, with the further column ``reason``; ``refused`` tells that
    they are too many. ``set_aside`` counts those that are new to the lake's quarantine.
    """

    mapping: FileMapping
    quality: QualityReport
    candles: Candles | None
    written: WriteResult | None
    quarantined: pl.DataFrame
    set_aside: int = 0
    refused: bool = False


def import_file(workspace: Workspace, request: ImportRequest) -> Imported:
    """Read, map, check and store a file.

    Rows that break a rule of candles go to the quarantine and the others are stored; ``DataInvalid`` where more than
    half of the rows do, and nothing is stored. With ``dry_run`` nothing is written and all is told, whatever is found.
    """
    reading = read_file(request)
    sifted = sift(reading.rows)
    invalid = pl.concat([reading.aside, sifted.quarantined])
    report = _report(request, reading, sifted)
    if invalid.height > MOST_INVALID * (reading.rows.height + reading.aside.height):
        if request.dry_run:
            return Imported(reading.mapping, report, None, None, invalid, refused=True)
        raise _refused(request, report, invalid)
    candles, unclosed = _candles(workspace, request, reading.mapping, sifted.rows)
    report = replace(report, findings=(*report.findings, *unclosed, *inspect_candles(candles).findings))
    if request.dry_run:
        return Imported(reading.mapping, report, candles, None, invalid)
    written = workspace.lake.write(candles)
    key = DatasetKey(request.source, request.instrument.id, request.timeframe)
    aside = workspace.lake.quarantine(key, invalid, origin=request.path.name) if invalid.height else 0
    return Imported(reading.mapping, report, candles, written, invalid, aside)


def _report(request: ImportRequest, reading: FileReading, sifted: Sifted) -> QualityReport:
    times = reading.rows["open_time"].drop_nulls()
    start, end = (times.min(), times.max()) if len(times) else (None, None)
    findings = (
        *inspect_times(reading.times), *reading.findings,
        *(_in_the_file(finding, reading.places) for finding in sifted.findings),
        *_of_actions(reading),
    )  # fmt: skip
    return QualityReport(
        request.instrument, request.timeframe, request.source, reading.mapping.rows, start, end, findings  # type: ignore[arg-type]
    )  # fmt: skip


def _of_actions(reading: FileReading) -> tuple[Finding, ...]:
    if reading.actions is None:
        return ()
    return inspect_actions(reading.actions, reading.mapping.adjusted or "splits")


def _in_the_file(finding: Finding, places: pl.Series) -> Finding:
    """Return the finding with the number its row has in the file, where rows before it were set aside."""
    found = re.match(r"row (\d+)(.*)", finding.first)
    return replace(finding, first=f"row {places[int(found[1]) - 1] + 1}{found[2]}") if found else finding


def _candles(
    workspace: Workspace, request: ImportRequest, mapping: FileMapping, rows: pl.DataFrame
) -> tuple[Candles, tuple[Finding, ...]]:
    """Return closed candles, and a note about bars that have not closed yet."""
    now = workspace.clock.now()
    late = rows.filter(pl.col("close_time") > now)
    tomorrow = late.filter(pl.col("open_time") > pl.lit(now) + pl.duration(days=1))
    if tomorrow.height:
        raise DataInvalid(
            f"{tomorrow.height} rows are dated after tomorrow, the first {tomorrow['open_time'][0]:%Y-%m-%d %H:%M}.",
            "Candles of the future cannot be known: the unit or the column of the time is wrong.",
            "Name the right column with --columns, or --time-format.",
        )
    adjusted = request.adjusted or mapping.adjusted or ("none" if request.instrument.always_open else "unknown")
    closed = rows.filter(pl.col("close_time") <= now)
    candles = Candles(request.instrument, request.timeframe, request.source, closed, adjusted, mapping.prices)
    if not late.height:
        return candles, ()
    detail = "the bar has not closed yet and would still change; left out"
    return candles, (Finding("unclosed", "note", late.height, str(late["open_time"][0]), detail),)


def _refused(request: ImportRequest, report: QualityReport, invalid: pl.DataFrame) -> DataInvalid:
    kinds = "; ".join(f"{f.kind} {f.count}x, first {f.first}" for f in report.invalid)
    return DataInvalid(
        f"{invalid.height} of {report.rows} rows of {request.path.name} cannot be candles: {kinds}.",
        f"{report.invalid[0].detail[:1].upper()}{report.invalid[0].detail[1:]}; more than half of the rows means that "
        "the columns are not what they are taken for.",
        "--dry-run shows what is understood; name the columns with --columns or --layout. Nothing was stored.",
    )
