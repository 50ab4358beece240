"""The first screen beside the fan: what is said of the next bar, and in a line whether to believe it."""

from __future__ import annotations

import math

from forecastle.nouns import Forecast, VolatilityReport
from forecastle.reports._html import Markup, badge, bars, join, moment, span, tag
from forecastle.reports._words import basel, believed, many, zone_of
from forecastle.units import percent

LONGEST_LEAD = 110


def simulated(report: VolatilityReport) -> bool:
    """Say whether any part of the report rests on made-up data."""
    return report.candles.simulated or report.comparison.simulated


def origin(report: VolatilityReport) -> Markup:
    """Return where the data come from: a banner where they are made up, else a small label."""
    if simulated(report):
        words = [tag("strong", "SIMULATED DATA"), " - made up, not a market"]
        return tag("p", join(words), "simulated")
    return tag("p", f"real data: {report.candles.source}", "origin")


def about(report: VolatilityReport) -> Markup:
    """Return one line: span, bars, adjustment of prices."""
    candles = report.candles
    parts = [span(candles), many(len(candles), "bar"), f"prices adjusted: {candles.adjusted}"]
    return tag("p", " · ".join(parts), "about")


def headline(report: VolatilityReport, key: str) -> Markup:
    """Return the short verdict and the figures of the next bar; ``key`` names the section."""
    forecast = report.headline_forecast
    figures = _refused(report) if forecast is None else tag("div", join(_cards(report, forecast)), "cards")
    lead, whole = lead_of(report.comparison.verdict)
    said = tag("p", tag("strong", lead or whole), "verdict")
    return tag("div", join([said, _marks(report, key), figures]), "now")


def lead_of(verdict: str) -> tuple[str, str]:
    """Split a verdict at its first colon into what it says and why; no lead where that is long."""
    lead, colon, rest = verdict.partition(": ")
    if not colon or len(lead) > LONGEST_LEAD:
        return "", verdict
    return f"{lead}.", rest[:1].upper() + rest[1:]


def why_refused(report: VolatilityReport, model: str) -> str:
    """Return in a sentence why there is nothing of a model, as far as it is known."""
    for refusal in (*report.refused, *report.comparison.refused):
        if refusal.model == model:
            return f" {refusal.reason}"
    return ""


def _marks(report: VolatilityReport, key: str) -> Markup:
    """Return what the tests say of VaR in a word each, and where to read on."""
    score, forecast = report.headline_score, report.headline_forecast
    risk = score.risk if score else None
    marks = [join(["VaR so far ", believed(risk)])]
    if risk is not None:
        marks.append(join([f"{basel(risk.traffic_light)} ", zone_of(risk.traffic_light.zone)]))
    if forecast is not None and forecast.stale:
        marks.append(join(["parameters ", badge("stale", "warn")]))
    marks.append(tag("a", "Should I believe it?", href=f"#{key}-belief"))
    return tag("ul", join(tag("li", mark) for mark in marks), "marks")


def _refused(report: VolatilityReport) -> Markup:
    words = f"There is no forecast of {report.headline}.{why_refused(report, report.headline)}"
    return tag("p", words, "missing")


def _cards(report: VolatilityReport, forecast: Forecast) -> list[Markup]:
    ahead = bars(report.candles.timeframe, forecast.horizon)
    when = f"next {ahead}" if forecast.horizon == 1 else f"next {forecast.horizon} {ahead}"
    var, es = forecast.var(0.01), forecast.es(0.01)
    loss, tail = "log-return loss that 1 in 100 exceeds", "mean log-return loss beyond VaR"
    return [
        _card(f"Volatility, {when}", percent(forecast.sigma), [_annual(forecast)]),
        _card("Value at risk, 1 %", percent(var), [loss, _as_price(var)]),
        _card("Expected shortfall, 1 %", percent(es), [tail, _as_price(es)]),
        _origin_card(forecast),
    ]


def _annual(forecast: Forecast) -> str:
    if forecast.periods_per_year is None:
        return "periods per year not known"
    return f"{percent(forecast.annual_sigma)} a year ({forecast.periods_per_year:,.6g} periods)"


def _card(title: str, figure: str, notes: list[str]) -> Markup:
    lines = [tag("p", note, "note") for note in notes]
    return tag("div", join([tag("h3", title), tag("p", figure, "figure"), *lines]), "card")


def _as_price(loss: float) -> str:
    return f"price {percent(math.expm1(-loss))}"


def _origin_card(forecast: Forecast) -> Markup:
    made = tag("p", f"as of {moment(forecast.as_of)}", "note")
    aimed = tag("p", f"→ for {moment(forecast.target_time)}", "note")
    parts = [tag("h3", "Forecast by"), tag("p", forecast.model, "model"), made, aimed]
    return tag("div", join(parts), "card")
