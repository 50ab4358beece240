"""The fits behind the forecasts: parameters with their errors, criteria, and what is left in the residuals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from forecastle.nouns import FitSummary, Parameter, TestResult, VolatilityReport
from forecastle.reports._html import (
    NOT_KNOWN,
    Column,
    Markup,
    Row,
    badge,
    facts,
    fixed,
    join,
    p_value,
    significant,
    table,
    tag,
)
from forecastle.reports._words import ended, tested
from forecastle.units import percent

READ = (
    "Everything in decimals of log return. Robust standard errors after Bollerslev and Wooldridge (1992), and t and p "
    "with them; those of the Hessian are right only where the innovations are as assumed. A Nyblom statistic above "
    "0.470 says at 5 % that a parameter is not constant."
)
NYBLOM = 0.470
Cell = Callable[[Parameter], str]


def fits(report: VolatilityReport) -> Markup:
    """Return one fold a fit, the headline model's open."""
    found = sorted(report.fits, key=lambda f: f.model != report.headline)
    if not found:
        return tag("p", "None of these models has fitted parameters.")
    shown = (_fit(fit, opened=fit.model == report.headline) for fit in found)
    return join([tag("p", READ, "reading"), *shown])


def _fit(fit: FitSummary, *, opened: bool) -> Markup:
    summary = tag("summary", join([tag("strong", fit.model), ended(fit.status)], " "))
    body = [summary, _criteria(fit), _parameters(fit), _tests(fit.tests)]
    return tag("details", join(body), "fit", **({"open": "open"} if opened else {}))


def _parameters(fit: FitSummary) -> Markup:
    if not fit.parameters:
        return tag("p", "No parameters.")
    known = [(column, cell) for column, cell, has in _columns() if any(has(p) is not None for p in fit.parameters)]
    rows = [Row([p.name, *(cell(p) for _, cell in known)]) for p in fit.parameters]
    return table(f"Parameters of {fit.model}", [Column("Parameter"), *(c for c, _ in known)], rows)


def _columns() -> list[tuple[Column, Cell, Callable[[Parameter], float | None]]]:
    """Return each column with its cell and the figure it needs: a column without any figure is left out."""
    return [
        (Column("Value"), lambda p: significant(p.value), lambda p: p.value),
        (Column("Robust", "s.e."), lambda p: significant(p.standard_error, 3), lambda p: p.standard_error),
        (Column("t"), lambda p: fixed(p.t_value, 2), lambda p: p.t_value),
        (Column("p"), lambda p: p_value(p.p_value), lambda p: p.p_value),
        (Column("Hessian", "s.e."), lambda p: significant(p.hessian_error, 3), lambda p: p.hessian_error),
        (Column("Nyblom"), _stability, lambda p: p.stability),
    ]


def _stability(parameter: Parameter) -> str:
    said = fixed(parameter.stability, 3)
    return badge(said, "warn") if (parameter.stability or 0.0) > NYBLOM else said


def _tests(tests: Sequence[TestResult]) -> Markup:
    if not tests:
        return Markup()
    columns = [Column("Test"), Column("Statistic"), Column("p"), Column("At 5 %", numeric=False)]
    return table("What the fit left in its residuals", columns, [_test_row(t) for t in tests])


def _test_row(test: TestResult) -> Row:
    why = [tag("small", test.reason, "prose")] if test.reason else []
    freedom = [tag("small", f"df {test.degrees_of_freedom}")] if test.degrees_of_freedom is not None else []
    statistic = join([fixed(test.statistic, 3), *freedom])
    return Row([test.name, statistic, p_value(test.p_value), join([tested(test), *why])])


def _criteria(fit: FitSummary) -> Markup:
    restarts = f"{fit.status.restarts} restarts" if fit.status.restarts else ""
    status = ", ".join(s for s in (fit.status.reason, restarts) if s)
    said = {
        "Innovations": fit.distribution,
        "Returns": f"{fit.observations:,}",
        "Log-likelihood": fixed(fit.loglikelihood, 2),
        "AIC": fixed(fit.aic, 2),
        "BIC": fixed(fit.bic, 2),
        "Hannan-Quinn": fixed(fit.hqic, 2),
        "Persistence": fixed(fit.persistence, 4),
        "Half-life of a shock": _half_life(fit),
        "Unconditional volatility": percent(fit.unconditional_sigma),
        "Status": status,
    }
    return facts({k: v for k, v in said.items() if v and v != NOT_KNOWN})


def _half_life(fit: FitSummary) -> str:
    """Write how long a shock lasts; near a unit root the number itself says nothing."""
    if fit.half_life is None:
        return NOT_KNOWN
    return f"{fit.half_life:,.1f} bars" if fit.half_life < fit.observations else "longer than the sample"
