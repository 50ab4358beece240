"""The quality report of one series: a page for the browser, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from forecastle.nouns import Finding
from forecastle.nouns.candles import PRICES
from forecastle.nouns.findings import QualityDetail
from forecastle.reports._html import Column, Markup, Row, badge, join, moment, significant, table, tag
from forecastle.reports._listing import cell
from forecastle.reports._page import page
from forecastle.reports._quality_charts import charts

MOST_ROWS = 50
"""So many bars pointed out, and so many rows of the quarantine, are listed; the rest is counted."""
FOOT = (
    "All times are UTC; a bar is named by its open. Invalid rows are kept apart and never become candles; suspicious "
    "bars are pointed out and nothing about them is changed."
)
_SEVERITY = {"invalid": "bad", "suspicious": "warn", "note": "none"}
_FINDINGS = ("Finding", "Severity", "Count", "First", "What it means")
_FLAGS = ("Bar opens", "Finding", "What is seen")
_ROWS = ("Bar opens", "Reason", *(p.title() for p in PRICES), "Volume", "From")


def quality_html(detail: QualityDetail) -> str:
    """Return the quality of one series as one self-contained HTML page.

    The page makes no network request, and the same input gives the same bytes. A series without bars has a page
    without figures.
    """
    drawings: dict[str, Any] = {"columns": {}, "charts": []}
    parts = [
        tag("header", join([tag("h2", _name(detail), id="series"), _origin(detail), _about(detail)])),
        tag("p", verdict(detail), "verdict"),
        _block("Findings", _findings(detail)),
        tag("section", _figures(detail, drawings), "block"),
        _block("Bars pointed out", _listed(_FLAGS, _flag_rows(detail), detail.flags.height, "bar")),
        _block("Quarantine", _listed(_ROWS, _quarantine_rows(detail), detail.quarantined.height, "row")),
        _block("The data", _facts(detail)),
    ]
    section = tag("section", join(parts), "instrument", aria_labelledby="series")
    return page(f"{_name(detail)} quality", Markup(), section, drawings, "data quality", FOOT)


def quality_markdown(detail: QualityDetail) -> str:
    """Return the quality of one series as Markdown; the same input gives the same bytes."""
    report = detail.report
    facts = "\n".join(f"- {name}: {cell(value)}" for name, value in _facts_of(detail).items())
    head = [f"# {_name(detail)}: quality", verdict(detail), facts]
    findings = [_finding_cells(f) for f in report.findings]
    sections: list[tuple[str, Sequence[str], Sequence[Sequence[str]], int]] = [
        ("Findings", _FINDINGS, findings, len(findings)),
        ("Bars pointed out", _FLAGS, _flag_rows(detail), detail.flags.height),
        ("Quarantine", _ROWS, _quarantine_rows(detail), detail.quarantined.height),
    ]
    if detail.candles.simulated:
        head.insert(1, "**SIMULATED DATA** - made up, not a market")
    body = [f"## {title}\n\n{_markdown(columns, rows, total)}" for title, columns, rows, total in sections]
    return "\n\n".join([*head, *body, FOOT]) + "\n"


def _figures(detail: QualityDetail, drawings: dict[str, Any]) -> Markup:
    if not len(detail.candles):
        return tag("p", "There are no bars to draw.")
    return charts(detail, drawings)


def verdict(detail: QualityDetail) -> str:
    """Return in a sentence what was found."""
    report, aside = detail.report, detail.quarantined.height
    if not report.rows:
        said = "There are no bars"
    elif not report.suspicious:
        said = f"Nothing suspicious in {report.rows:,} bars"
    else:
        counts = ", ".join(f"{f.kind} {f.count:,}" for f in report.suspicious)
        said = f"Pointed out in {report.rows:,} bars: {counts}"
    rows = "row is" if aside == 1 else "rows are"
    return f"{said}; {f'{aside:,} {rows}' if aside else 'no row is'} in quarantine."


def _name(detail: QualityDetail) -> str:
    return f"{detail.report.instrument} {detail.report.timeframe}"


def _origin(detail: QualityDetail) -> Markup:
    if detail.candles.simulated:
        words = [tag("strong", "SIMULATED DATA"), " - made up, not a market"]
        return tag("p", join(words), "simulated")
    return tag("p", f"real data: {detail.report.source}", "origin")


def _about(detail: QualityDetail) -> Markup:
    return tag("p", " · ".join(_line(detail)), "about")


def _line(detail: QualityDetail) -> list[str]:
    report = detail.report
    return [f"{report.rows:,} bars", f"{moment(report.start)} to {moment(report.end)}"] if report.rows else ["no bars"]


def _facts_of(detail: QualityDetail) -> dict[str, str]:
    report, candles = detail.report, detail.candles
    return {
        "Source": report.source,
        "Bars": f"{report.rows:,}",
        "First bar opens": moment(report.start),
        "Last bar closes": moment(report.end),
        "Prices": candles.prices,
        "Prices adjusted": candles.adjusted,
        "Data hash (SHA-256)": candles.data_hash,
    }


def _facts(detail: QualityDetail) -> Markup:
    pairs = (tag("div", join([tag("dt", k), tag("dd", v)])) for k, v in _facts_of(detail).items())
    return tag("dl", join(pairs), "provenance")


def _block(title: str, content: Markup) -> Markup:
    return tag("section", join([tag("h3", title), content]), "block")


def _findings(detail: QualityDetail) -> Markup:
    findings = detail.report.findings
    if not detail.report.rows and not findings:
        return tag("p", "There are no bars to look at.")
    if not findings:
        return tag(
            "p",
            join([badge("nothing suspicious", "good"), " in the stored bars: no gaps, no odd prices, no idle bars."]),
        )
    columns = [Column(c, numeric=c == "Count") for c in _FINDINGS]
    rows = []
    for finding in findings:
        kind, severity, count, first, words = _finding_cells(finding)
        rows.append(Row([kind, badge(severity, _SEVERITY[severity]), count, first, tag("span", words, "prose")]))
    return table("What is wrong, or odd, by kind", columns, rows)


def _finding_cells(finding: Finding) -> tuple[str, str, str, str, str]:
    return finding.kind, finding.severity, f"{finding.count:,}", finding.first, finding.detail


def _listed(columns: Sequence[str], rows: Sequence[Sequence[str]], total: int, what: str) -> Markup:
    if not total:
        return tag("p", f"No {what}.")
    heads = [Column(c, numeric=c in ("Open", "High", "Low", "Close", "Volume")) for c in columns]
    shown = [
        Row([tag("span", cell, "prose") if heads[i].title in _WORDY else cell for i, cell in enumerate(r)])
        for r in rows
    ]
    return table(_of(len(rows), total, what), heads, shown)


_WORDY = ("What is seen", "Reason")


def _of(shown: int, total: int, what: str) -> str:
    many = f"{total:,} {what}{'' if total == 1 else 's'}"
    return many if shown == total else f"The first {shown:,} of {many}"


def _flag_rows(detail: QualityDetail) -> list[tuple[str, str, str]]:
    """Return the bars to list: where there are too many, those that are not merely idle come first."""
    ordered = detail.flags.sort(pl.col("kind") == "stale", maintain_order=True).head(MOST_ROWS)
    return [(moment(r["open_time"]), r["kind"], r["detail"]) for r in ordered.iter_rows(named=True)]


def _quarantine_rows(detail: QualityDetail) -> list[tuple[str, ...]]:
    kept = detail.quarantined.head(MOST_ROWS)
    origin = "origin" if "origin" in kept.columns else None
    return [
        (
            moment(r["open_time"]), r["reason"], *(significant(r[c], 8) for c in (*PRICES, "volume")),
            str(r[origin]) if origin else detail.report.source,
        )
        for r in kept.iter_rows(named=True)
    ]  # fmt: skip


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], total: int) -> str:
    if not rows:
        return "None."
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(cell(c) for c in row)} |" for row in rows]
    more = [f"\n{total - len(rows):,} more."] if total > len(rows) else []
    return "\n".join([*lines, *more])
