"""Tables of scores: what the tests say, and every model beside the naive ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from forecastle.nouns import ModelScore, RiskBacktest, TestResult, VolatilityReport
from forecastle.reports._html import (
    NOT_KNOWN,
    Column,
    Markup,
    Row,
    badge,
    fixed,
    join,
    p_is,
    p_value,
    table,
    tag,
)
from forecastle.reports._words import believed, duel, many, tested, zone_of

TESTS_READ = (
    "Kupiec asks whether VaR was breached as often as it should be; Christoffersen whether the "
    "breaches come independently of each other, and (conditional coverage) both at once; Acerbi "
    "and Szekely whether the loss beyond VaR was as large as ES said: 0 is expected, negative "
    "means too little ES."
)
QLIKE_READ = (
    "QLIKE is the mean of r²/σ² - ln(r²/σ²) - 1, the loss of a volatility forecast σ once the "
    "return r is known: lower is better, and too low a volatility costs more than too high a one."
)
DM_READ = (
    "DM is the Diebold-Mariano statistic, the mean difference of two models' losses over its "
    "standard error (which allows for autocorrelated losses, Newey-West): negative is better than the naive "
    "forecast. A difference counts below 5 %, shared among the models tried."
)
FLOOR_READ = "Floored: bars whose squared return was raised to a floor, because QLIKE of a zero return is infinite."


def tests(report: VolatilityReport) -> Markup:
    """Return what the tests of VaR and ES say, the headline model first."""
    scored = [(s, s.risk) for s in report.comparison.scores if s.risk is not None]
    if not scored:
        return tag("p", "There are no past forecasts to test.")
    scored.sort(key=lambda pair: pair[0].model != report.headline)
    reasons: list[str] = []
    columns = [
        Column("Model"),
        Column("Verdict", "at 5 %", numeric=False),
        Column("Breaches", "expected"),
        Column("Kupiec", "p"),
        Column("Independence", "p"),
        Column("Conditional coverage", "p"),
        Column("Basel zone", numeric=False),
        Column("Acerbi-Szekely Z1", "statistic"),
        Column("Z2", "statistic"),
        Column("QLIKE"),
    ]
    rows = [_tests_row(score, risk, report.headline, reasons) for score, risk in scored]
    shown = table("Tests of VaR and ES over the past forecasts, at 5 %", columns, rows)
    return join([tag("p", TESTS_READ, "reading"), shown, _notes(reasons)])


def _tests_row(score: ModelScore, risk: RiskBacktest, headline: str, reasons: list[str]) -> Row:
    pair, shortfall = risk.christoffersen, risk.acerbi_szekely
    of_var = (risk.kupiec, pair.independence, pair.conditional_coverage)
    cells = [
        _model(score, headline),
        believed(risk),
        join([f"{risk.breaches:,}", tag("small", f"of {fixed(risk.expected, 1)}")]),
        *(_p_cell(test, reasons) for test in of_var),
        zone_of(risk.traffic_light.zone),
        *(_statistic_cell(test, reasons) for test in (shortfall.z1, shortfall.z2)),
        fixed(score.qlike),
    ]
    return Row(cells, "chosen" if score.model == headline else "")


def _model(score: ModelScore, headline: str) -> Markup:
    labels = [tag("span", "naive", "label")] if score.naive else []
    labels += [tag("span", "headline", "label")] if score.model == headline else []
    return join([score.model, *labels], " ")


def _p_cell(test: TestResult, reasons: list[str]) -> Markup:
    return join([p_value(test.p_value), _why(test, reasons), tag("small", tested(test))])


def _statistic_cell(test: TestResult, reasons: list[str]) -> Markup:
    if test.p_value is None:
        return join([fixed(test.statistic, 3), _why(test, reasons)])
    words = join([f"{p_is(test.p_value)} ", tested(test)])
    return join([fixed(test.statistic, 3), tag("small", words)])


def _why(test: TestResult, reasons: list[str]) -> Markup:
    """Return the number of the note that says why there is no p-value; equal ones share it."""
    if test.p_value is not None or not test.reason:
        return Markup()
    if test.reason not in reasons:
        reasons.append(test.reason)
    return tag("sup", str(reasons.index(test.reason) + 1))


def _notes(reasons: Sequence[str]) -> Markup:
    if not reasons:
        return Markup()
    items = join(tag("li", reason) for reason in reasons)
    return join([tag("p", "No p-value because:", "reading"), tag("ol", items, "notes")])


def comparison(report: VolatilityReport) -> Markup:
    """Return every model by QLIKE with its test against each naive one."""
    scores = sorted(report.comparison.scores, key=lambda s: _last_if_unknown(s.qlike))
    if not scores:
        return tag("p", "No models were compared.")
    naive = list(dict.fromkeys(name for s in scores for name in s.against_naive))
    floored = any(s.floored for s in scores)
    columns = [Column("Model"), Column("QLIKE"), Column("To the best")]
    columns += [Column("Floored", "bars")] if floored else []
    columns += [Column(f"DM against {name}", "statistic, p") for name in naive]
    rows = [_score_row(s, scores, report.headline, naive, floored=floored, size=report.comparison.size) for s in scores]
    title = f"Models by QLIKE over the same {many(report.comparison.observations, 'bar')}"
    reading = join(tag("p", words, "reading") for words in (QLIKE_READ, DM_READ))
    floor = tag("p", FLOOR_READ, "reading") if floored else Markup()
    return join([reading, table(title, columns, rows), floor])


def _last_if_unknown(loss: float) -> float:
    return loss if math.isfinite(loss) else math.inf


def _score_row(
    score: ModelScore,
    scores: Sequence[ModelScore],
    headline: str,
    naive: Sequence[str],
    *,
    floored: bool,
    size: float,
) -> Row:
    best = score is scores[0]
    losses = {s.model: s.qlike for s in scores}
    behind = score.qlike - scores[0].qlike
    name = _model(score, headline)
    cells = [join([name, badge("best", "good")], " ") if best else name, fixed(score.qlike)]
    cells.append(f"+{behind:.4f}" if math.isfinite(behind) and not best else "")
    cells += [f"{score.floored:,}"] if floored else []
    cells += [_dm_cell(score, other, losses.get(other), size) for other in naive]
    return Row(cells, "best" if best else "")


def _dm_cell(score: ModelScore, other: str, naive_loss: float | None, size: float) -> Markup:
    test = score.against_naive.get(other)
    if test is None:
        return tag("span", "itself" if other == score.model else NOT_KNOWN, "quiet")
    why = f" {test.reason}" if test.p_value is None else ""
    words = [f"{p_is(test.p_value)} ", duel(score.qlike, naive_loss, test, size), why]
    return join([fixed(test.statistic, 2), tag("small", join(words))])
