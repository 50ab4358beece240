"""The top of a section: what tomorrow's volatility and loss are, and whether to believe it."""

from __future__ import annotations

import math

from forecastle.nouns import Forecast, ModelScore, VolatilityReport
from forecastle.reports._html import Markup, badge, bars, fixed, join, moment, p_is, span, tag
from forecastle.reports._words import basel, duel, ended, many, tested, zone_of
from forecastle.units import percent

LONGEST_LEAD = 90
Check = tuple[Markup, str]


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


def headline(report: VolatilityReport) -> Markup:
    """Return the figures of the next bar, and below them whether to believe them."""
    forecast = report.headline_forecast
    if forecast is None:
        figures = tag("p", f"There is no forecast of {report.headline}.")
    else:
        ahead = bars(report.candles.timeframe, forecast.horizon)
        when = f"next {ahead}" if forecast.horizon == 1 else f"next {forecast.horizon} {ahead}"
        figures = tag("div", join([*_figures(forecast, when), _origin_card(forecast)]), "cards")
    return tag("div", join([figures, _belief(report, forecast)]), "headline")


def _figures(forecast: Forecast, when: str) -> list[Markup]:
    var, es = forecast.var(0.01), forecast.es(0.01)
    loss, tail = "log-return loss that 1 in 100 exceeds", "mean log-return loss beyond VaR"
    return [
        _card(f"Volatility, {when}", percent(forecast.sigma), [_annual(forecast)]),
        _card("Value at risk, 1 %", percent(var), [loss, _as_price(var)]),
        _card("Expected shortfall, 1 %", percent(es), [tail, _as_price(es)]),
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


def _belief(report: VolatilityReport, forecast: Forecast | None) -> Markup:
    score = report.headline_score
    checks = [*_fit_checks(forecast), *_risk_checks(score), *_skill_check(report, score)]
    items = (tag("li", join([mark, tag("span", words)])) for mark, words in checks)
    risk = score.risk if score else None
    # The comparison's verdict quotes the best model's own; the headline model may be another one.
    untold = risk and risk.verdict and risk.verdict not in report.comparison.verdict
    further = [tag("p", risk.verdict, "further")] if risk and untold else []
    said = tag("div", join([_verdict(report.comparison.verdict), *further]))
    parts = [tag("h3", "Should I believe it?"), said, tag("ul", join(items), "checks")]
    return tag("div", join(parts), "belief")


def lead_of(verdict: str) -> tuple[str, str]:
    """Split a verdict at its first colon into what it says and why; no lead where that is long."""
    lead, colon, rest = verdict.partition(": ")
    if not colon or len(lead) > LONGEST_LEAD:
        return "", verdict
    return f"{lead}.", rest[:1].upper() + rest[1:]


def _verdict(words: str) -> Markup:
    lead, rest = lead_of(words)
    return tag("p", join([tag("strong", lead) if lead else "", rest]), "verdict")


def _fit_checks(forecast: Forecast | None) -> list[Check]:
    if forecast is None:
        return []
    reason = f": {forecast.status.reason}" if forecast.status.reason else ""
    checks = [(ended(forecast.status), f"fit of {forecast.model}{reason}")]
    if forecast.stale:
        words = "parameters of an earlier fit, because a later one failed"
        checks.append((badge("stale", "warn"), words))
    return checks


def _risk_checks(score: ModelScore | None) -> list[Check]:
    if score is None or score.risk is None:
        return [(badge("not tested", "none"), "no past forecasts to test VaR with")]
    risk, light = score.risk, score.risk.traffic_light
    joint, rate = risk.christoffersen.conditional_coverage, risk.kupiec
    seen = f"{many(risk.breaches, 'breach')} of VaR in {many(len(risk.path), 'bar')}"
    count = f"{seen}, {fixed(risk.expected, 1)} expected (Kupiec {p_is(rate.p_value)})"
    together = "number and independence of the breaches together"
    recent = f"{many(light.breaches, 'breach')} in the last {many(light.observations, 'bar')}"
    return [
        (tested(rate), count),
        (tested(joint), f"{together} (Christoffersen {p_is(joint.p_value)})"),
        (zone_of(light.zone), f"{basel(light)}: {recent}"),
    ]


def _skill_check(report: VolatilityReport, score: ModelScore | None) -> list[Check]:
    naive = [s for s in report.comparison.scores if s.naive and math.isfinite(s.qlike)]
    if score is None or score.naive or not naive:
        return []
    best = min(naive, key=lambda s: s.qlike)
    test = score.against_naive.get(best.model)
    p = f" (Diebold-Mariano {p_is(test.p_value)})" if test else ""
    return [
        (
            duel(score.qlike, best.qlike, test, report.comparison.size),
            f"{score.model} against the best naive, {best.model}{p}",
        )
    ]
