"""What a backtest comes to in plain words: against buying and holding, against luck, and against what was tried."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecastle.nouns.backtest_result import BacktestResult, Benchmark
from forecastle.reports._figure_words import interval, number, value
from forecastle.reports._html import p_is
from forecastle.reports._words import many
from forecastle.units import percent

SURE = 0.95
"""A deflated Sharpe ratio from which luck is no longer the better explanation."""
SIZE = 0.05
FEWEST = 30
"""Fills below which nothing is claimed: a few long trades are a few events, whatever the number of bars."""


@dataclass(frozen=True)
class Verdict:
    """``lead`` in a sentence, ``lines`` what stands behind it, ``edge`` whether one is claimed at all."""

    lead: str
    lines: tuple[str, ...]
    edge: bool


def verdict(result: BacktestResult) -> Verdict:
    """Return the verdict; an edge is claimed only where nothing of what the result holds speaks against it."""
    against = _against(result)
    if against:
        lines = [f"No edge: {'; '.join(against)}."]
    else:
        lines = [
            "An edge in these data: nothing that was tested speaks against it. It is the past of one stretch of time."
        ]
    return Verdict(_lead(result), (*lines, _sharpe(result), _luck(result), *_overfitting(result)), not against)


def hold_of(result: BacktestResult) -> Benchmark | None:
    """Return the benchmark of buying and holding, by its name."""
    for one in result.benchmarks:
        plain = one.name.casefold().replace("-", " ").replace("_", " ").replace("&", "and")
        if plain.startswith("buy and hold"):
            return one
    return None


def ruined_at(result: BacktestResult) -> int | None:
    """Return the row at which equity fell to zero; None where it never did."""
    rows = np.flatnonzero(result.equity <= 0.0)
    return int(rows[0]) if rows.size else None


def _lead(result: BacktestResult) -> str:
    row = ruined_at(result)
    if row is not None:
        return f"It lost everything: equity fell to zero on {str(result.market.close_time[row])[:10]}."
    if not result.fills.height:
        return "It never traded, so there is nothing to judge."
    mine, hold = result.figures.get("total_return"), hold_of(result)
    own = number("total_return", mine.value if mine else None)
    if hold is None:
        return f"After costs it returned {own}; no buy-and-hold stands beside it."
    if not _beat(result, hold):
        return f"After costs it did not beat buy-and-hold: {own} against {value(hold.figures, 'total_return')}."
    return f"After costs it beat buy-and-hold: {own} against {value(hold.figures, 'total_return')}."


def _beat(result: BacktestResult, hold: Benchmark) -> bool:
    mine, theirs = (f["total_return"].value if "total_return" in f else None for f in (result.figures, hold.figures))
    return mine is not None and theirs is not None and mine > theirs


def _against(result: BacktestResult) -> list[str]:
    """Return everything that speaks against an edge."""
    if not result.fills.height:
        return ["nothing was traded"]
    found = [] if ruined_at(result) is None else ["the account was ruined"]
    hold, sharpe = hold_of(result), result.figures.get("sharpe")
    if hold is None or not _beat(result, hold):
        found.append("buy-and-hold was not beaten" if hold else "it was not compared with buy-and-hold")
    if sharpe is None or sharpe.value is None or sharpe.low is None:
        found.append("the Sharpe ratio has no interval")
    elif sharpe.low <= 0.0:
        found.append("the interval of the Sharpe ratio holds zero" if (sharpe.high or 0.0) >= 0.0
                     else "the Sharpe ratio lies below zero")  # fmt: skip
    if result.fills.height < FEWEST:
        found.append(f"{many(result.fills.height, 'fill')} are too few to tell skill from a lucky stretch")
    luck = result.deflated.probability if result.deflated else None
    if luck is None or luck < SURE:
        told = "is not known" if luck is None else f"is {percent(luck, 1)}, and {percent(SURE, 0)} are asked"
        found.append(f"the deflated Sharpe ratio {told}")
    found += [
        f"what was drawn at random did as well ({one.name}: {p_is(one.p_value)})"
        for one in result.benchmarks if one.p_value is not None and one.p_value > SIZE
    ]  # fmt: skip
    chance = result.overfitting.probability if result.overfitting else None
    if chance is not None and chance >= 0.5:
        found.append(f"the best of the settings was below the median out of sample in {percent(chance, 0)} of splits")
    return [*found, "the prices are made up"] if result.simulated else found


def _sharpe(result: BacktestResult) -> str:
    figure = result.figures.get("sharpe")
    if figure is None or figure.value is None:
        return f"Sharpe ratio: n/a{f' ({figure.reason})' if figure and figure.reason else ''}."
    told = interval("sharpe", figure)
    beside = f"95 % interval {told}" if told else "no interval"
    return f"Sharpe ratio: {number('sharpe', figure.value)} a year, {beside}."


def _luck(result: BacktestResult) -> str:
    tried = "how many configurations were tried is not known"
    if result.trials:
        tried = f"{many(result.trials, 'configuration')} tried on these data"
    found = result.deflated
    if found is None or found.probability is None:
        reason = f" ({found.reason})" if found and found.reason else ""
        return f"Deflated Sharpe ratio: n/a{reason}; {tried}."
    best = "one trial" if found.trials == 1 else f"the best of {found.trials:,} trials"
    return (
        f"Deflated Sharpe ratio: {percent(found.probability, 1)}, the probability that the true Sharpe ratio is above "
        f"what {best} without skill would show; {tried}."
    )


def _overfitting(result: BacktestResult) -> list[str]:
    found = result.overfitting
    if found is None:
        return []
    if found.probability is None:
        return [f"Probability of backtest overfitting: n/a ({found.reason})."]
    return [
        f"Probability of backtest overfitting: {percent(found.probability, 1)} of {found.combinations:,} splits of "
        f"{many(found.trials, 'trial')}."
    ]
