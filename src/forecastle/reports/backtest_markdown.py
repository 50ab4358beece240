"""A backtest and its stress test as Markdown, below the header of ten fields."""

from __future__ import annotations

from collections.abc import Sequence

from forecastle.nouns.backtest_result import BacktestResult
from forecastle.nouns.stress import StressResult
from forecastle.reports import _result_tables as tables
from forecastle.reports._figure_words import money
from forecastle.reports._listing import Listing, cell
from forecastle.reports._verdict import verdict
from forecastle.reports._words import many

SIMULATED = "**SIMULATED DATA** - made up, not a market"


def backtest_markdown(result: BacktestResult, stress: StressResult | None = None) -> str:
    """Return a backtest as Markdown without its header; the same input gives the same bytes."""
    said = verdict(result)
    head = [SIMULATED] if result.simulated else []
    head += [f"**{cell(said.lead)}**", _list(said.lines), _list(_facts(result))]
    parts = [tables.figures(result), tables.benchmarks(result), tables.readings(result), tables.costs(result)]
    parts += [tables.windows(result)] if result.windows else []
    sections = [part.markdown() for part in parts]
    sections.append(f"## Why it traded as it did\n\n{_list(result.why) or 'Nothing is told of it.'}")
    sections += _stressed(stress) if stress is not None else []
    return "\n\n".join([*head, *sections, *_notes(result.notes, "Notes")]) + "\n"


def stress_markdown(stress: StressResult) -> str:
    """Return a stress test as Markdown without its header; the same input gives the same bytes."""
    return "\n\n".join(_stressed(stress)) + "\n"


def _stressed(stress: StressResult) -> list[str]:
    parts: list[Listing] = [tables.scenarios(stress)]
    parts += [tables.liquidation(stress)] if stress.liquidation else []
    return [*(part.markdown() for part in parts), *_notes(stress.notes, "Notes on the stress test")]


def _facts(result: BacktestResult) -> list[str]:
    return [
        f"Strategy: {result.strategy}",
        f"Instruments: {', '.join(result.instruments)} {result.timeframe} from {result.source}",
        f"Time: {tables.span_of(result.market)}, {many(len(result.market), 'bar')}",
        f"Cash at the beginning: {money(result.cash)}",
        tables.counted(result),
    ]


def _notes(texts: Sequence[str], title: str) -> list[str]:
    told = tables.noted(texts)
    return [f"## {title}\n\n{_list(told)}"] if told else []


def _list(texts: Sequence[str]) -> str:
    return "\n".join(f"- {cell(text)}" for text in texts)
