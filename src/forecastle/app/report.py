"""The self-contained HTML report of an instrument."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from importlib import metadata
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from forecastle.app.compare import comparison_of, wanted
from forecastle.app.fit import model_of
from forecastle.app.forecast import forecasts_of
from forecastle.app.rolling import with_burn_in
from forecastle.errors import ForecastRefused, RequestInvalid
from forecastle.lake.atomic import write_bytes
from forecastle.models._sample import PATHS, SEED
from forecastle.nouns import Candles, Forecast, History, NewsImpact, TermPoint, VolatilityReport
from forecastle.ports import FittedModel, Progress, silent
from forecastle.quality import inspect_candles
from forecastle.reports import volatility_html
from forecastle.requests import CompareRequest
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]

HORIZONS = (1, 2, 3, 5, 10, 15, 22, 30)
"""Bars ahead at which the term structure is told: to a month of a market that never closes."""
LARGEST_SHOCK, SHOCKS = 4.0, 81
"""The news-impact curves reach so many standard deviations to either side, in so many points."""


@runtime_checkable
class _KnowsNewsImpact(Protocol):
    """A fit that can say what a shock does to the volatility of the bar after it."""

    def news_impact(self, shocks: FloatArray | None = None) -> tuple[FloatArray, FloatArray]: ...


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
    history = with_burn_in(workspace, request, wanted(request))
    made = report_of(history, request, progress)
    candles = history.candles
    name = f"{candles.instrument}_{candles.timeframe}_{candles.source}.html"
    return write(workspace, (made,), f"{candles.instrument} volatility", out or workspace.settings.reports / name)


def report_of(history: History, request: CompareRequest, progress: Progress = silent) -> VolatilityReport:
    """Return everything a report shows, computed from data in hand."""
    candles = history.candles
    forecasts = forecasts_of(history, request.models, 1, request.window)
    headline = model_of(request.headline).label
    ahead = next((f for f in forecasts.made if f.model == headline), None)
    fits = _fits(history, request)
    return VolatilityReport(
        candles=candles,
        quality=inspect_candles(candles),
        fits=tuple(fitted.summary() for fitted in fits.values()),
        forecasts=forecasts.made,
        refused=forecasts.refused,
        comparison=comparison_of(history, request, progress),
        headline=headline,
        news_impact=_news_impact(fits, history, request.window),
        term=_term(history, request, ahead) if ahead else (),
        provenance=_provenance(candles, request),
    )


def _fits(history: History, request: CompareRequest) -> dict[str, FittedModel]:
    """Return the fits behind the forecasts by label; a model that refuses has none, and is named so."""
    fits = {}
    for model in (model_of(spec) for spec in request.models):
        if not model.naive:
            with contextlib.suppress(ForecastRefused):
                fits[model.label] = model.fit(model.sees(history, request.window))
    return fits


def _news_impact(fits: Mapping[str, FittedModel], history: History, window: int) -> tuple[NewsImpact, ...]:
    """Return the curves of the fits that have one, all over the same shocks so that they can be compared."""
    sigma = float(history.returns.values[-window:].std())
    shocks = np.linspace(-LARGEST_SHOCK, LARGEST_SHOCK, SHOCKS) * sigma
    return tuple(
        NewsImpact(label, *fitted.news_impact(shocks))
        for label, fitted in fits.items()
        if isinstance(fitted, _KnowsNewsImpact) and fitted.status.converged
    )


def _term(history: History, request: CompareRequest, ahead: Forecast) -> tuple[TermPoint, ...]:
    """Return the headline's volatility over ``HORIZONS``; none where it forecasts a single bar only."""
    model = model_of(request.headline)
    try:
        further = [model.ahead(history, horizon, request.window) for horizon in HORIZONS if horizon > 1]
    except ForecastRefused:
        return ()
    return tuple(TermPoint(f.horizon, f.sigma, f.annual_sigma) for f in (ahead, *further))


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
        "Procedure": f"{request.window} returns a window, refitted every {_bars(request.refit_every)}, VaR and ES at "
        f"{100 * request.level:g} %",
        "Seed of simulated paths": f"{SEED} ({PATHS} paths; horizons above one bar only)",
        "Versions": versions,
    }


def _moment(at: datetime) -> str:
    """Write a moment as a command takes it: a date alone where it is midnight."""
    return f"{at:%Y-%m-%d}" if at.time() == time() else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _bars(count: int) -> str:
    return "bar" if count == 1 else f"{count} bars"
