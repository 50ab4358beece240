"""First look, report, doctor, settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forecastle.cli import _options as option
from forecastle.cli._face import Answer, Face, command
from forecastle.cli._late import app, requests, show

if TYPE_CHECKING:
    from forecastle.app.report import Written

Out = Annotated[Path | None, typer.Option("--out", help="Where to write the HTML file.")]


def add_to(root: typer.Typer) -> None:
    """Register the commands of this file."""
    config = typer.Typer(no_args_is_help=True, help="Settings and where they come from.")
    command(root, "demo")(demo)
    command(root, "report")(report)
    command(root, "doctor")(doctor)
    command(config, "show")(config_show)
    root.add_typer(config, name="config")


def demo(face: Face, out: Out = None) -> Answer:
    """First look: bundled S&P 500 and NASDAQ candles become a forecast, its tests, and report.html."""
    with face.progress() as progress:
        done = app.demo.demo(face.workspace, out or Path("report.html"), progress)
    shown = []
    for made in done.reports:
        shown += [*show.forecasts(made.forecasts, made.refused), "", *show.comparison(made.comparison), ""]
    shown.append(f"Report: {done.path.absolute()}")
    return Answer("demo", _report_document(done), shown)


def report(
    face: Face,
    id_: option.Id,
    out: Out = None,
    window: option.Window = 1000,
    refit: option.Refit = 1,
    level: option.LevelOption = 0.01,
    timeframe: option.Timeframe = "1d",
    source: option.SourceOf = None,
    start: option.Start = None,
    end: option.End = None,
    as_of: option.AsOf = None,
) -> Answer:
    """Write the self-contained HTML report of an instrument: data, fits, forecasts, verdicts."""
    request = requests.build(
        requests.CompareRequest, instrument=id_, timeframe=timeframe, source=source, start=start, end=end, as_of=as_of,
        window=window, refit_every=refit, level=level,
    )  # fmt: skip
    with face.progress() as progress:
        done = app.report.report(face.workspace, request, out, progress)
    lines = [f"Verdict: {done.reports[0].comparison.verdict}", f"Report: {done.path.absolute()}"]
    return Answer("report", _report_document(done), lines)


def _report_document(done: Written) -> dict[str, object]:
    return {
        "path": str(done.path.absolute()),
        "reports": [
            {"instrument": r.candles.instrument, "simulated": r.candles.simulated, "forecasts": r.forecasts,
             "refused": r.refused, "verdict": r.comparison.verdict, "provenance": r.provenance}
            for r in done.reports
        ],
    }  # fmt: skip


def doctor(face: Face) -> Answer:
    """Say what is wrong here and how to mend it; exit code 3 where something is."""
    checks = app.doctor.doctor(face.workspace)
    rows = [(c.state, c.name, c.seen, c.mend) for c in checks]
    wrong = any(c.state == "wrong" for c in checks)
    shown = [
        show.table("", ("", "what", "seen", "to mend it"), rows),
        "Something has to be mended." if wrong else "All is well.",
    ]
    return Answer("doctor", {"checks": checks, "ok": not wrong}, shown, 3 if wrong else 0)


def config_show(
    face: Face, origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False
) -> Answer:
    """Show every setting; --origin says where each comes from."""
    values = face.workspace.origins
    columns = ("setting", "value", "from") if origin else ("setting", "value")
    rows = [(v.key, v.value or "-", v.origin)[: len(columns)] for v in values]
    document = [vars(v) if origin else {"key": v.key, "value": v.value} for v in values]
    return Answer("config-show", {"settings": document}, [show.table("", columns, rows)])
