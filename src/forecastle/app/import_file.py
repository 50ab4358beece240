"""A file of anyone's into the lake: looked at first, stored wholly or not at all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from forecastle.errors import DataInvalid
from forecastle.lake import WriteResult
from forecastle.nouns import Candles, Finding, QualityReport
from forecastle.quality import inspect_candles, report_of_rows
from forecastle.requests import ImportRequest
from forecastle.sources.file import FileMapping, guess_mapping, read_table, to_rows
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Imported:
    """What was understood of a file, what was found, and what was stored (None for a dry run)."""

    mapping: FileMapping
    quality: QualityReport
    candles: Candles | None
    written: WriteResult | None


def import_file(workspace: Workspace, request: ImportRequest) -> Imported:
    """Read, map, check and store a file.

    A file with rows that break a rule of candles is refused as a whole with ``DataInvalid``: nothing is half
    written. With ``dry_run`` nothing is written and the findings are returned, invalid ones too.
    """
    table = read_table(request.path, request.columns)
    columns = guess_mapping(table, request.instrument, request.columns)
    rows, mapping = to_rows(
        table, columns, request.instrument, request.timeframe, request.time_zone, request.time_format
    )  # fmt: skip
    report = report_of_rows(request.instrument, request.timeframe, request.source, rows)
    if report.invalid:
        if request.dry_run:
            return Imported(mapping, report, None, None)
        raise _refused(request, report)
    candles, unclosed = _candles(workspace, request, rows)
    findings = (*report.findings, *unclosed, *inspect_candles(candles).findings)
    report = replace(report, findings=findings)
    written = None if request.dry_run else workspace.lake.write(candles)
    return Imported(mapping, report, candles, written)


def _candles(workspace: Workspace, request: ImportRequest, rows: pl.DataFrame) -> tuple[Candles, tuple[Finding, ...]]:
    """Return sorted, unique, closed candles, and a note about bars that have not closed yet."""
    now = workspace.clock.now()
    closed = rows.filter(pl.col("close_time") <= now)
    late = rows.filter(pl.col("close_time") > now)
    tomorrow = late.filter(pl.col("open_time") > pl.lit(now) + pl.duration(days=1))
    if tomorrow.height:
        raise DataInvalid(
            f"{tomorrow.height} rows are dated after tomorrow, the first {tomorrow['open_time'][0]:%Y-%m-%d %H:%M}.",
            "Candles of the future cannot be known: the unit or the column of the time is wrong.",
            "Name the right column with --columns, or --time-format.",
        )
    adjusted = request.adjusted or ("none" if request.instrument.always_open else "unknown")
    frame = closed.unique("open_time", keep="first", maintain_order=True).sort("open_time")
    candles = Candles(request.instrument, request.timeframe, request.source, frame, adjusted)
    if not late.height:
        return candles, ()
    detail = "the bar has not closed yet and would still change; left out"
    return candles, (Finding("unclosed", "note", late.height, str(late["open_time"][0]), detail),)


def _refused(request: ImportRequest, report: QualityReport) -> DataInvalid:
    kinds = "; ".join(f"{f.kind} {f.count}x, first {f.first}" for f in report.invalid)
    return DataInvalid(
        f"{request.path.name} holds rows that cannot be candles: {kinds}.",
        f"{report.invalid[0].detail[:1].upper()}{report.invalid[0].detail[1:]}; a wrong row is worse than none.",
        "Mend or leave out these rows; --dry-run shows all findings. Nothing was stored.",
    )
