"""The rest of a section: forecasts of every model, data and its gaps, provenance."""

from __future__ import annotations

from collections.abc import Sequence

from forecastle.nouns import Finding, Forecast, VolatilityReport
from forecastle.reports._headline import origin
from forecastle.reports._html import Column, Markup, Row, badge, facts, join, moment, table, tag, whole
from forecastle.reports._words import ended
from forecastle.units import percent

FORECASTS_READ = (
    "Volatility, quantiles, VaR and ES are of the log return over the horizon; VaR and ES are positive losses, and the "
    "quantiles of 1 % and 5 % are minus VaR."
)
TAILS = (0.01, 0.05)
QUANTILES = (0.25, 0.5, 0.75, 0.95, 0.99)
_SEVERITY = {"invalid": "bad", "suspicious": "warn", "note": "none"}


def forecasts(report: VolatilityReport) -> Markup:
    """Return what every model says of the next bar."""
    if not report.forecasts:
        return tag("p", "No forecasts were made.")
    columns = [
        Column("Model"),
        Column("Volatility"),
        Column("a year"),
        *(Column(f"{name} {level}") for name in ("VaR", "ES") for level in ("1 %", "5 %")),
        *(Column(f"{100 * p:g} %", "quant.") for p in QUANTILES),
        Column("Rise", "prob."),
        Column("Fit", numeric=False),
    ]
    ordered = sorted(report.forecasts, key=lambda f: f.model != report.headline)
    first = ordered[0]
    title = f"Forecasts from {moment(first.as_of)} for {moment(first.target_time)}"
    shown = table(title, columns, [_forecast_row(f, report.headline) for f in ordered], "tight")
    refused = (tag("p", f"No forecast by {r.model}: {r.reason}", "reading") for r in report.refused)
    return join([tag("p", FORECASTS_READ, "reading"), shown, *refused])


def _forecast_row(forecast: Forecast, headline: str) -> Row:
    shown = forecast.distribution
    figures = [
        forecast.sigma,
        forecast.annual_sigma,
        *(shown.var(p) for p in TAILS),
        *(shown.es(p) for p in TAILS),
        *(shown.quantile(p) for p in QUANTILES),
    ]
    status = ended(forecast.status)
    if forecast.stale:
        status = join([status, badge("stale", "warn")], " ")
    cells = [whole(forecast.model), *map(percent, figures), percent(forecast.prob_up, 1), status]
    return Row(cells, "chosen" if forecast.model == headline else "")


def data(report: VolatilityReport) -> Markup:
    """Return what there is of the series and what is wrong with it."""
    quality = report.quality
    said = {
        "Instrument": str(quality.instrument),
        "Timeframe": quality.timeframe,
        "Source": quality.source,
        "Rows": f"{quality.rows:,}",
        "First bar opens": moment(quality.start),
        "Last bar closes": moment(quality.end),
        "Prices adjusted": report.candles.adjusted,
    }
    found = _findings(quality.findings) if quality.findings else _nothing_found()
    return join([origin(report), facts(said), found])


def _nothing_found() -> Markup:
    return tag("p", join([badge("no gaps found", "good"), " and no other defects."]))


def _findings(findings: Sequence[Finding]) -> Markup:
    columns = [
        Column("Finding"),
        Column("Severity", numeric=False),
        Column("Count"),
        Column("First", numeric=False),
        Column("What it means", numeric=False),
    ]
    return table("Gaps and other findings", columns, [_finding_row(f) for f in findings])


def _finding_row(finding: Finding) -> Row:
    severity = badge(finding.severity, _SEVERITY[finding.severity])
    detail = tag("span", finding.detail, "prose")
    return Row([finding.kind, severity, f"{finding.count:,}", finding.first, detail])


def provenance(report: VolatilityReport) -> Markup:
    """Return hashes, seeds, versions and the command that makes the report again."""
    said = {k: str(v) for k, v in report.provenance.items()}
    windows = dict.fromkeys(f.data_hash for f in report.forecasts)  # models that saw the same returns share one
    said |= {f"Data hash of the last window{f' ({i})' if i > 1 else ''}": h for i, h in enumerate(windows, 1)}
    said |= {f"Model hash, {forecast.model}": forecast.model_hash for forecast in report.forecasts}
    return facts(said, "provenance")
