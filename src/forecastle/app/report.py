"""The self-contained HTML report of an instrument."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from importlib import metadata
from pathlib import Path

from forecastle.app.compare import comparison_of
from forecastle.app.fit import model_of
from forecastle.app.forecast import forecasts_of
from forecastle.app.rolling import load_with_burn_in
from forecastle.errors import ForecastRefused, RequestInvalid
from forecastle.lake.atomic import write_bytes
from forecastle.models.garch import PATHS, SEED
from forecastle.nouns import Candles, FitSummary, VolatilityReport
from forecastle.ports import Progress, silent
from forecastle.quality import inspect_candles
from forecastle.reports import volatility_html
from forecastle.requests import CompareRequest
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Written:
    """A report and where it lies."""

    reports: tuple[VolatilityReport, ...]
    path: Path


def report(
    workspace: Workspace, request: CompareRequest, out: Path | None = None, progress: Progress = silent
) -> Written:
    """Compute and write the report of one instrument; ``out`` defaults to ``reports/`` in the home folder."""
    if out is not None:
        check_out(out)
    candles = load_with_burn_in(workspace, request)
    made = report_of(candles, request, progress)
    name = f"{candles.instrument}_{candles.timeframe}_{candles.source}.html"
    return write(workspace, (made,), f"{candles.instrument} volatility", out or workspace.settings.reports / name)


def report_of(candles: Candles, request: CompareRequest, progress: Progress = silent) -> VolatilityReport:
    """Return everything a report shows, computed from candles in hand."""
    forecasts = forecasts_of(candles, request.models, 1, request.window)
    return VolatilityReport(
        candles=candles,
        quality=inspect_candles(candles),
        fits=_fits(candles.recent(request.window), request),
        forecasts=forecasts.made,
        refused=forecasts.refused,
        comparison=comparison_of(candles, request, progress),
        headline=model_of(request.headline).label,
        provenance=_provenance(candles, request),
    )


def _fits(recent: Candles, request: CompareRequest) -> tuple[FitSummary, ...]:
    """Return the fits behind the forecasts; a model that refuses its data has none, and is named as refused."""
    fits = []
    for model in (model_of(spec) for spec in request.models):
        if not model.naive:
            with contextlib.suppress(ForecastRefused):
                fits.append(model.fit(recent).summary())
    return tuple(fits)


def check_out(out: Path) -> None:
    """Refuse a place no report can be written to before any work is done."""
    folder = out.absolute().parent
    if out.is_dir() or not out.name:
        raise RequestInvalid(f"--out is {out}.", "It has to be a file, and that is a folder.", "Add report.html to it.")
    if not folder.is_dir():
        raise RequestInvalid(f"--out is {out}.", f"There is no folder {folder}.", "Make it, or choose another.")


def write(workspace: Workspace, reports: Sequence[VolatilityReport], title: str, out: Path) -> Written:
    """Write the page, wholly or not at all."""
    write_bytes(out.absolute(), volatility_html(reports, title).encode())
    return Written(tuple(reports), out)


def _provenance(candles: Candles, request: CompareRequest) -> dict[str, str]:
    command = f"forecastle report {candles.instrument} --timeframe {candles.timeframe} --source {candles.source}"
    command += f" --window {request.window} --refit {request.refit_every} --level {request.level:g}"
    command += f" --start {_moment(request.start)}" if request.start else ""
    command += f" --end {_moment(request.end)}" if request.end else ""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("forecastle", "arch", "numpy", "scipy"))
    return {
        "Command": command,
        "Data hash (SHA-256)": candles.data_hash,
        "Source": f"{candles.source}, adjusted: {candles.adjusted}",
        "Procedure": f"{request.window} returns a window, refitted every {request.refit_every} bars, VaR and ES at "
        f"{100 * request.level:g} %",
        "Seed of simulated paths": f"{SEED} ({PATHS} paths; horizons above one bar only)",
        "Versions": versions,
    }


def _moment(at: datetime) -> str:
    """Write a moment as a command takes it: a date alone where it is midnight."""
    return f"{at:%Y-%m-%d}" if at.time() == time() else f"{at:%Y-%m-%dT%H:%M:%SZ}"
