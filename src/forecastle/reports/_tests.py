"""Tests of VaR and ES: each with its question for the headline model, and at a glance for every model."""

from __future__ import annotations

from collections.abc import Sequence

from forecastle.nouns import EProcess, ModelScore, RiskBacktest, TestResult, VolatilityReport
from forecastle.reports._html import Column, Markup, Row, badge, fixed, join, p_value, table, tag
from forecastle.reports._words import believed, crossed_on, evidence, model_name, reached_by, tested, zone_of

TESTS_READ = (
    "The verdict rests on coverage and conditional coverage alone, at 5 %; each further test that could reject would "
    "reject a right forecast a little more often. They show where a wrong one is wrong."
)
OTHERS_READ = (
    "P-values, and the most evidence ever reached (20 rejects, and may be read every day). A cross marks what is "
    "rejected at 5 %; grey is a statistic that has no p-value."
)
_QUESTIONS = (
    ("Kupiec (1995), coverage", "Are there as many breaches as there should be?"),
    ("Christoffersen (1998), independence", "Does a breach come as often after a breach as after none?"),
    ("Conditional coverage", "Both at once: the number of breaches and their independence."),
    ("Duration (Christoffersen and Pelletier 2004)", "Is the time to the next breach independent of the time waited?"),
    ("Dynamic quantile (Engle and Manganelli 2004)", "Do past breaches and VaR itself say nothing of the next breach?"),
    ("Acerbi and Szekely (2014), Z1", "Given a breach, is the loss as large as ES says? Negative: ES is too small."),
    ("Acerbi and Szekely (2014), Z2", "The same, with the number of breaches in it. Negative: ES is too small."),
    ("McNeil and Frey (2000)", "Beyond VaR, is the loss less ES zero in the mean, or above?"),
)


def tests(report: VolatilityReport) -> Markup:
    """Return what the tests of VaR and ES say: the headline's one by one, those of every model in a table."""
    scored = [(s, s.risk) for s in report.comparison.scores if s.risk is not None]
    if not scored:
        return tag("p", "There are no past forecasts to test.")
    scored.sort(key=lambda pair: pair[0].model != report.headline)
    parts = [tag("p", TESTS_READ, "reading")]
    parts += [_one_by_one(risk) for score, risk in scored if score.model == report.headline]
    return join([*parts, tag("p", OTHERS_READ, "reading"), _at_a_glance(report, scored)])


def _one_by_one(risk: RiskBacktest) -> Markup:
    pair, shortfall = risk.christoffersen, risk.acerbi_szekely
    found = (
        risk.kupiec, pair.independence, pair.conditional_coverage, risk.duration, risk.dynamic_quantile, shortfall.z1,
        shortfall.z2, risk.mcneil_frey,
    )  # fmt: skip
    rows = [_test_row(name, asks, test) for (name, asks), test in zip(_QUESTIONS, found, strict=True)]
    rows.append(_evidence_row("e-process of VaR (Wang, Wang and Ziegel 2022)", "Is VaR too low?", risk, risk.e_process))
    if risk.es_e_process is not None:
        rows.append(_evidence_row("e-process of ES", "Is ES too low, or VaR wrong?", risk, risk.es_e_process))
    columns = [Column("Test"), Column("At 5 %", numeric=False), Column("p"), Column("Statistic")]
    columns.append(Column("It asks", numeric=False))
    return table(f"Every test of {risk.path.model}", columns, rows, "tests")


def _test_row(name: str, asks: str, test: TestResult) -> Row:
    why = [tag("small", test.reason, "prose")] if test.p_value is None and test.reason else []
    said = join([tested(test), *why])
    return Row([name, said, p_value(test.p_value), fixed(test.statistic, 3), tag("span", asks, "prose")])


def _evidence_row(name: str, asks: str, risk: RiskBacktest, process: EProcess) -> Row:
    day = crossed_on(risk.path, process)
    when = tag("small", f"since {day}" if day else "never so far")
    words = f"{asks} The most evidence so far; {1.0 / process.size:g} rejects, whenever it is read."
    said = join([evidence(process), when])
    return Row([name, said, p_value(process.p_value), reached_by(process), tag("span", words, "prose")])


def _at_a_glance(report: VolatilityReport, scored: Sequence[tuple[ModelScore, RiskBacktest]]) -> Markup:
    columns = [
        Column("Model"),
        Column("Verdict", "at 5 %", numeric=False),
        Column("Breaches", "expected"),
        Column("Coverage", "Kupiec"),
        Column("Conditional", "coverage"),
        Column("Duration"),
        Column("Dynamic", "quantile"),
        Column("ES", "Z2"),
        Column("ES", "McNeil-Frey"),
        Column("Evidence", "VaR"),
        Column("Evidence", "ES"),
        Column("Basel zone", numeric=False),
    ]
    rows = [_glance_row(score, risk, report.headline) for score, risk in scored]
    return table("Tests of every model over the past forecasts", columns, rows, "tight")


def _glance_row(score: ModelScore, risk: RiskBacktest, headline: str) -> Row:
    asked = (
        risk.kupiec, risk.christoffersen.conditional_coverage, risk.duration, risk.dynamic_quantile,
        risk.acerbi_szekely.z2, risk.mcneil_frey,
    )  # fmt: skip
    cells = [
        model_name(score, ""),  # the headline stands first and is shaded
        believed(risk),
        join([f"{risk.breaches:,} ", tag("span", f"of {fixed(risk.expected, 1)}", "quiet")]),
        *(_p_cell(test) for test in asked),
        *(_evidence_cell(risk, process) for process in (risk.e_process, risk.es_e_process)),
        zone_of(risk.traffic_light.zone),
    ]
    return Row(cells, "chosen" if score.model == headline else "")


def _p_cell(test: TestResult) -> Markup:
    """Return the p-value, marked where it rejects; without one the statistic, and why on the pointer."""
    if test.p_value is None:
        return tag("span", fixed(test.statistic, 2), "quiet", title=test.reason)
    return badge(p_value(test.p_value), "bad") if test.rejects() else join([p_value(test.p_value)])


def _evidence_cell(risk: RiskBacktest, process: EProcess | None) -> Markup:
    if process is None:
        return tag("span", "n/a", "quiet", title="some ES is below its VaR")
    reached = reached_by(process)
    if not process.rejects():
        return join([reached])
    return join([badge(reached, "bad"), tag("small", crossed_on(risk.path, process))])
