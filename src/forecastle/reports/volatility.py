"""The volatility report: one HTML file that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecastle.nouns import VolatilityReport
from forecastle.reports import _curves, _details
from forecastle.reports._belief import belief
from forecastle.reports._charts import Chart
from forecastle.reports._columns import Cells
from forecastle.reports._comparison import comparison
from forecastle.reports._fits import fits
from forecastle.reports._headline import about, headline, lead_of, origin, simulated
from forecastle.reports._html import Column, Markup, Row, badge, join, table, tag
from forecastle.reports._page import page
from forecastle.reports._past import past
from forecastle.reports._tests import tests
from forecastle.reports._words import believed, best_naive
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
    if several:
        sections.append(_overview(reports))
    return page(title, _nav(reports) if several else Markup(), join(sections), drawings)


def _name(report: VolatilityReport) -> str:
    return f"{report.candles.instrument} {report.candles.timeframe}"


def _nav(reports: Sequence[VolatilityReport]) -> Markup:
    links = [tag("a", _name(r), href=f"#i{i}") for i, r in enumerate(reports, start=1)]
    return tag("nav", join([*links, tag("a", "All at a glance", href="#overview")]), aria_label="Instruments")


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
    shown = table("The next bar of each, and what its past forecasts come to", columns, rows)
    title = tag("h2", "All at a glance", id="overview-name")
    return tag("section", join([title, shown]), "instrument", id="overview", aria_labelledby="overview-name")


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
    drawn = past(report, key, drawings)
    parts = [
        tag("header", join([title, origin(report), about(report)])),
        # The first screen: what is said of the next bar, beside what was said before and what happened.
        tag("div", join([headline(report, key), drawn.fan]), "first"),
        drawn.recent,
        belief(report, key),
        _block("Models compared", comparison(report)),
        _block("Tests of VaR and ES", join([drawn.breaches, tests(report), drawn.evidence])),
        _block("Forecasts of every model", _details.forecasts(report)),
        _block("Volatility further ahead", _further_ahead(report, key, drawings)) if report.term else Markup(),
        drawn.price,
        _block("Fits", join([_news(report, key, drawings), fits(report)])),
        _block("Data and its gaps", _details.data(report)),
        _block("Provenance", _details.provenance(report)),
    ]
    return tag("section", join(parts), "instrument", id=key, aria_labelledby=name)


def _further_ahead(report: VolatilityReport, key: str, drawings: dict[str, Any]) -> Markup:
    """Return the term structure of the headline model, the best naive forecast beside it."""
    forecast, rival = report.headline_forecast, best_naive(report.comparison)
    naive = next((f for f in report.forecasts if rival and f.model == rival.model), None)
    periods = forecast.periods_per_year if forecast else None
    chart, cells = _curves.term_structure(f"{key}-term", report, naive, periods)
    _draw(drawings, chart, cells)
    return join([chart.html(), _curves.term_table(report.term, report.candles.timeframe, naive)])


def _news(report: VolatilityReport, key: str, drawings: dict[str, Any]) -> Markup:
    """Return the news-impact curves; nothing where no model offers one."""
    if not report.news_impact:
        return Markup()
    chart, cells = _curves.news_impact(f"{key}-news", report.news_impact, _name(report))
    _draw(drawings, chart, cells)
    return chart.html()


def _draw(drawings: dict[str, Any], chart: Chart, cells: dict[str, Cells]) -> None:
    """Add a chart with columns of its own."""
    drawings["columns"][chart.id] = cells
    drawings["charts"].append(chart.document(chart.id))


def _block(title: str, content: Markup) -> Markup:
    return tag("section", join([tag("h3", title), content]), "block")
