"""Tables for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from forecastle.nouns import (
    Comparison,
    EProcess,
    FitSummary,
    Forecast,
    ModelScore,
    QualityReport,
    Refusal,
    RiskBacktest,
    RollingForecast,
    TestResult,
    is_simulated,
)
from forecastle.units import percent

if TYPE_CHECKING:
    from rich.console import RenderableType

COMBINED = "Combination"
"""How the label of a combination begins: it is what to use, so it stands first and apart."""
SCORES = ("model (* naive)", ">QLIKE", ">MCS p", ">DM", ">DM p", ">breaches", ">Kupiec p", ">cond. p", ">FZ0", "zone")
SIMULATED = Text.assemble(("SIMULATED DATA", "bold"), ": made up by a seed, not a market.")


def marked(source: str | None, shown: list[RenderableType]) -> list[RenderableType]:
    """Return what is shown, below a line that says so where the data were made up."""
    return [SIMULATED, *shown] if is_simulated(source) else shown


def fit(item: FitSummary) -> list[RenderableType]:
    """Return the summary as text."""
    return marked(item.source, [str(item)])


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], apart: int = 0) -> Group:
    """Return a table below its title; columns whose name starts with ``>`` are aligned right.

    The first ``apart`` rows are bold, with an empty line after them.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    made = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        # Only the last column, of words, is folded; names and numbers stay whole, wider than the terminal if need be.
        right, name = column.startswith(">"), column.lstrip(">")
        whole = right or place < len(columns) - 1
        width = max(len(name), *(len(row[place]) for row in cells)) if whole and cells else None
        made.add_column(name, justify="right" if right else "left", min_width=width, no_wrap=whole, overflow="fold")
    for place, row in enumerate(cells):
        made.add_row(*row, style="bold" if place < apart else "")
        if place == apart - 1:
            made.add_row()
    return Group(Text(title, "bold"), made) if title else Group(made)


def forecasts(items: Sequence[Forecast], refused: Sequence[Refusal] = (), missing: int = 0) -> list[RenderableType]:
    """Return one line a model: sigma, VaR and ES over the horizon in percent; who refused, what was missing."""
    first = items[0]
    bars = "bar" if first.horizon == 1 else "bars"
    title = f"{first.instrument}: log return over the next {first.horizon} {bars} of {first.timeframe}"
    rows = [
        (f.model, percent(f.sigma, 3), percent(f.annual_sigma, 1), percent(f.var(0.01)), percent(f.es(0.01)),
         percent(f.var(0.05)), percent(f.es(0.05)), _status(f))
        for f in items
    ]  # fmt: skip
    columns = ("model", ">sigma", ">annual", ">VaR 1 %", ">ES 1 %", ">VaR 5 %", ">ES 5 %", "fit")
    span = f"as of {first.as_of:%Y-%m-%d %H:%M} UTC, until {first.target_time:%Y-%m-%d %H:%M} UTC; "
    year = f"annual with {first.periods_per_year:g} periods a year; source {first.source}"
    apart = 1 if len(items) > 1 and first.model.startswith(COMBINED) else 0
    shown: list[RenderableType] = [table(title, columns, rows, apart), span + year]
    if missing:
        shown.append(
            f"Note: {missing} bars are missing in the stretch looked at; returns across them are left out: "
            "see forecastle quality."
        )
    shown += [f"No forecast by {r.model}: {r.reason}" for r in refused]
    return marked(first.source, shown)


def _status(forecast: Forecast) -> str:
    words = "stale" if forecast.stale else "converged" if forecast.converged else "NOT converged"
    return f"{words}; {forecast.status.reason}" if forecast.status.reason else words


def comparison(item: Comparison) -> list[RenderableType]:
    """Return every model: its losses, whether it is among the best, its test against the best naive, and its VaR."""
    naives = [s for s in item.scores if s.naive]
    rival = naives[0].model if naives else ""
    rows = [_score(score, rival) for score in item.scores]
    title = f"{item.instrument}: {item.observations} bars of {item.timeframe}, one step ahead; QLIKE by {item.target}"
    shown: list[RenderableType] = [table(title, SCORES, rows)]
    shown += [f"DM: against {rival}, negative is better than it."] if rival else []
    if item.confidence_set:
        size = item.confidence_set.size
        shown.append(
            f"MCS p: at {size:g} and above the model is in the {100 * (1 - size):g} % set of the best by QLIKE."
        )
    shown += [f"Not compared, {r.model}: {r.reason}" for r in item.refused]
    return marked(item.source, [*shown, f"Verdict: {item.verdict}"])


def _score(score: ModelScore, rival: str) -> tuple[str, ...]:
    duel, risk = score.against_naive.get(rival), score.risk
    losses = (f"{score.qlike:.4f}", "-" if score.mcs is None else f"{score.mcs:.3f}", _statistic(duel), _p(duel))
    name = score.model + (" *" if score.naive else "")
    if risk is None:
        return (name, *losses, "-", "-", "-", "-", "-")
    seen = f"{risk.breaches} / {risk.expected:.1f}"
    tests = (_p(risk.kupiec), _p(risk.christoffersen.conditional_coverage))
    return (name, *losses, seen, *tests, "-" if score.fz0 is None else f"{score.fz0:.4f}", risk.traffic_light.zone)


def risk(item: RiskBacktest) -> list[RenderableType]:
    """Return every test of one VaR backtest."""
    path, light = item.path, item.traffic_light
    tests = [
        item.kupiec, item.christoffersen.independence, item.christoffersen.conditional_coverage, item.duration,
        item.dynamic_quantile, item.acerbi_szekely.z1, item.acerbi_szekely.z2, item.mcneil_frey,
    ]  # fmt: skip
    rows: list[tuple[str, ...]] = [
        (t.name, _statistic(t), str(t.degrees_of_freedom or "-"), _p(t), _says(t)) for t in tests
    ]
    rows += [_evidence(path, process) for process in (item.e_process, item.es_e_process) if process]
    rows.append((
        "Basel traffic light", str(light.breaches), "-", "-",
        f"{light.zone}: {light.breaches} in {light.observations} bars, "
        f"cumulative {100 * light.cumulative_probability:.2f} %",
    ))  # fmt: skip
    first, last = path.frame["target_time"][0], path.frame["target_time"][-1]
    title = (
        f"{path.instrument}: VaR and ES at {100 * path.level:g} % of {path.model}, {len(path)} bars, "
        f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"
    )
    shown: list[RenderableType] = [
        table(title, ("test", ">statistic", ">df", ">p", "says"), rows),
        f"Breaches: {item.breaches}, expected {item.expected:.1f}. Refits: {path.refits}, failed {path.failed_refits}.",
        f"Verdict: {item.verdict}",
    ]
    return marked(path.source, shown)


def _evidence(path: RollingForecast, process: EProcess) -> tuple[str, ...]:
    """Return the row of an e-process: its highest evidence, and since when it rejects, if it ever did."""
    said = "never rejected"
    if process.crossed is not None:
        said = f"rejected since {path.frame['target_time'][process.crossed]:%Y-%m-%d}"
    p = "<0.0001" if process.p_value < 1e-4 else f"{process.p_value:.4f}"
    return process.name, f"{process.maximum:.3g}", "-", p, f"{said} ({1.0 / process.size:g} rejects; may be read daily)"


def quality(item: QualityReport) -> list[RenderableType]:
    """Return the findings, or that there are none."""
    span = f"{item.start:%Y-%m-%d} to {item.end:%Y-%m-%d}" if item.start and item.end else "no readable time"
    head = f"{item.instrument} {item.timeframe} from {item.source}: {item.rows} rows, {span}"
    if not item.findings:
        return [head, "No findings."]
    rows = [(f.severity, f.kind, f.count, f.first, f.detail) for f in item.findings]
    return [table(head, ("severity", "kind", ">count", "first", "what"), rows)]


def burn_in(path: RollingForecast, start: datetime | None) -> list[RenderableType]:
    """Return a note where the first bar forecast is later than asked for: the window reaches up to there."""
    first = path.frame["target_time"][0]
    if start is None or first - start < timedelta(days=7):
        return []
    return [
        f"Note: the first bar forecast is {first:%Y-%m-%d}; before it there are no {path.window} returns to fit on."
    ]


def _says(test: TestResult) -> str:
    if test.p_value is None:
        return test.reason
    return "rejected at 5 %" if test.rejects() else "not rejected at 5 %"


def _p(test: TestResult | None) -> str:
    return "-" if test is None or test.p_value is None else f"{test.p_value:.4f}" if test.p_value >= 1e-4 else "<0.0001"


def _statistic(test: TestResult | None) -> str:
    return "-" if test is None or test.statistic is None else f"{round(test.statistic, 3) + 0.0:.3f}"
