"""The volatility report: one HTML file that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecastle.nouns import VolatilityReport
from forecastle.reports import _details, _tables
from forecastle.reports._headline import (
    about,
    headline,
    lead_of,
    origin,
    simulated,
)
from forecastle.reports._html import Column, Markup, Row, badge, join, table, tag
from forecastle.reports._page import page
from forecastle.reports._past import past
from forecastle.reports._words import believed
from forecastle.units import percent


def volatility_html(reports: Sequence[VolatilityReport], title: str) -> str:
    """Return the report of one or more instruments as one self-contained HTML page.

    The page makes no network request, and the same input gives the same bytes. Times are UTC;
    volatilities, returns, VaR and ES are shown in percent. Raises ``ValueError`` where there is
    nothing to report on.
    """
    if not reports:
        raise ValueError("a report needs at least one instrument")
    drawings: dict[str, Any] = {"columns": {}, "charts": []}
    sections = [_section(report, f"i{i}", drawings) for i, report in enumerate(reports, start=1)]
    several = len(reports) > 1
    head = join([_nav(reports), _overview(reports)]) if several else Markup()
    return page(title, head, join(sections), drawings)


def _name(report: VolatilityReport) -> str:
    return f"{report.candles.instrument} {report.candles.timeframe}"


def _nav(reports: Sequence[VolatilityReport]) -> Markup:
    links = (tag("a", _name(r), href=f"#i{i}") for i, r in enumerate(reports, start=1))
    return tag("nav", join(links), aria_label="Instruments")


def _overview(reports: Sequence[VolatilityReport]) -> Markup:
    columns = [
        Column("Instrument"),
        Column("VaR tests", numeric=False),
        Column("Volatility", "next bar"),
        Column("VaR 1 %"),
        Column("ES 1 %"),
        Column("Verdict", numeric=False),
    ]
    rows = [_overview_row(r, i) for i, r in enumerate(reports, start=1)]
    return table("Every instrument at a glance", columns, rows)


def _overview_row(report: VolatilityReport, number: int) -> Row:
    forecast, score = report.headline_forecast, report.headline_score
    figures = [forecast.sigma, forecast.var(0.01), forecast.es(0.01)] if forecast else [None] * 3
    link = tag("a", _name(report), href=f"#i{number}")
    made_up = badge("simulated", "bad") if simulated(report) else Markup()
    lead, whole = lead_of(report.comparison.verdict)
    said = tag("span", lead or whole, "prose")
    cells = [
        join([link, made_up], " "),
        believed(score.risk if score else None),
        *(percent(f) for f in figures),
        said,
    ]
    return Row(cells)


def _section(report: VolatilityReport, key: str, drawings: dict[str, Any]) -> Markup:
    name = f"{key}-name"
    title = tag("h2", _name(report), id=name)
    parts = [
        tag("header", join([title, origin(report), about(report)])),
        headline(report),
        *past(report, key, drawings),
        _block("Tests of VaR and ES", _tables.tests(report)),
        _block("Models compared", _tables.comparison(report)),
        _block("Fits", _details.fits(report)),
        _block("Forecasts of every model", _details.forecasts(report)),
        _block("Data and its gaps", _details.data(report)),
        _block("Provenance", _details.provenance(report)),
    ]
    return tag("section", join(parts), "instrument", id=key, aria_labelledby=name)


def _block(title: str, content: Markup) -> Markup:
    return tag("section", join([tag("h3", title), content]), "block")
