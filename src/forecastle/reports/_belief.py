"""Whether to believe the headline: the verdict in whole, and each check with its reason."""

from __future__ import annotations

from forecastle.nouns import Forecast, ModelScore, RiskBacktest, VolatilityReport
from forecastle.reports._headline import lead_of
from forecastle.reports._html import Markup, badge, fixed, join, p_is, tag
from forecastle.reports._words import basel, best_naive, duel, ended, evidence, many, since, tested, zone_of

Check = tuple[Markup, str]


def belief(report: VolatilityReport, key: str) -> Markup:
    """Return the verdict and the checks behind it; ``key`` names the section."""
    score = report.headline_score
    risk = score.risk if score else None
    checks = [*_fit_checks(report.headline_forecast), *_risk_checks(risk), *_skill_checks(report, score)]
    items = (tag("li", join([mark, tag("span", words)])) for mark, words in checks)
    # The comparison's verdict quotes the best model's own; the headline model may be another one.
    untold = risk and risk.verdict and risk.verdict not in report.comparison.verdict
    further = [tag("p", risk.verdict, "further")] if risk and untold else []
    said = tag("div", join([_verdict(report.comparison.verdict), *further]))
    parts = [tag("h3", "Should I believe it?"), said, tag("ul", join(items), "checks")]
    return tag("div", join(parts), "belief", id=f"{key}-belief")


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


def _risk_checks(risk: RiskBacktest | None) -> list[Check]:
    if risk is None:
        return [(badge("not tested", "none"), "no past forecasts to test VaR with")]
    light, joint, rate = risk.traffic_light, risk.christoffersen.conditional_coverage, risk.kupiec
    seen = f"{many(risk.breaches, 'breach')} of VaR in {many(len(risk.path), 'bar')}"
    count = f"{seen}, {fixed(risk.expected, 1)} expected (Kupiec {p_is(rate.p_value)})"
    together = "number and independence of the breaches together"
    recent = f"{many(light.breaches, 'breach')} in the last {many(light.observations, 'bar')}"
    return [
        (tested(rate), count),
        (tested(joint), f"{together} (Christoffersen {p_is(joint.p_value)})"),
        (zone_of(light.zone), f"{basel(light)}: {recent}"),
        (evidence(risk.e_process), f"evidence that VaR is too low, read every bar: {since(risk.path, risk.e_process)}"),
    ]


def _skill_checks(report: VolatilityReport, score: ModelScore | None) -> list[Check]:
    comparison = report.comparison
    rival = best_naive(comparison)
    if score is None or score.naive or rival is None:
        return []
    test = score.against_naive.get(rival.model)
    p = f" (Diebold-Mariano {p_is(test.p_value)})" if test else ""
    words = f"{score.model} against the best naive, {rival.model}{p}"
    return [(duel(score.qlike, rival.qlike, test, comparison.size), words)]
