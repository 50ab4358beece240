"""The first look: real candles on this machine become a forecast, its tests, and one report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from forecastle.app.compare import wanted
from forecastle.app.fetch import fetch
from forecastle.app.report import Written, check_out, report_of, write
from forecastle.app.rolling import with_burn_in
from forecastle.nouns import Instrument
from forecastle.ports import Progress, silent
from forecastle.requests import DEFAULT_MODELS, CompareRequest, FetchRequest
from forecastle.sources.bundled import FILES
from forecastle.workspace import Workspace

START = datetime(2010, 12, 1, tzinfo=UTC)
"""The last eight years of the bundled data: 2,034 days a model, within 20 seconds."""
REFIT = 5
"""A week of trading days."""
MODELS = tuple(spec for spec in DEFAULT_MODELS if spec.vol != "egarch")
"""Without EGARCH, whose many optima are searched anew at every refit: it alone takes longer than all the others."""


def demo(workspace: Workspace, out: Path, progress: Progress = silent) -> Written:
    """Run the main job on the bundled S&P 500 and NASDAQ; writes ``out``."""
    check_out(out)
    instruments = [Instrument.parse(name) for name in FILES]
    fetch(workspace, FetchRequest(instruments=tuple(instruments), sources=("bundled",))).settled()
    reports = []
    for number, instrument in enumerate(instruments):

        def step(done: int, total: int, what: str, number: int = number) -> None:
            progress(number * total + done, len(FILES) * total, what)

        request = CompareRequest(
            instrument=instrument, source="bundled", start=START, refit_every=REFIT, models=MODELS
        )  # fmt: skip
        reports.append(report_of(with_burn_in(workspace, request, wanted(request)), request, step))
    return write(workspace, reports, "S&P 500 and NASDAQ volatility", out)
