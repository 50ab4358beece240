"""The experiments of a home: what each forecast, and how its best learner did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from forecastle.app.trials import low_is_good
from forecastle.errors import DataError
from forecastle.experiments.folder import folders
from forecastle.experiments.results import Experiment, Target, read_results
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Listed:
    """One experiment of a home; where its results cannot be read, ``problem`` says why and the rest is empty."""

    id: str
    day: str
    instruments: tuple[str, ...] = ()
    timeframe: str = ""
    target: str = ""
    learners: int = 0
    trials: int = 0
    best: str = ""
    made_at: datetime | None = None
    problem: str = ""


def listed(workspace: Workspace) -> list[Listed]:
    """Return every experiment, oldest day first; one that is not finished or broken is listed with its problem."""
    found = []
    for folder in folders(workspace.settings.home):
        try:
            found.append(_listed(read_results(folder)))
        except DataError as error:
            found.append(Listed(folder.id, folder.day, problem=error.why))
    return found


def _listed(item: Experiment) -> Listed:
    results = item.results
    named = dict.fromkeys(score for scores in results.scores.values() for score in scores)
    first = next(iter(named), "")
    values = {n: s[first].value for n, s in results.scores.items() if first in s and s[first].value is not None}
    choose = min if low_is_good(first) else max
    best = choose(values, key=lambda name: values[name] or 0.0) if values else ""
    return Listed(
        id=item.folder.id, day=item.folder.day, instruments=tuple(results.data.instruments),
        timeframe=results.data.timeframe, target=in_words(results.target), learners=len(results.learners),
        trials=results.trials, best=f"{best}: {first} {values[best]:.4g}" if best else "",
        made_at=datetime.fromisoformat(results.made_at),
    )  # fmt: skip


def in_words(value: Target | list[str] | str) -> str:
    """Return a target, a list or a name as a person reads it."""
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, str):
        return value
    settings = "".join(f", {name} {setting}" for name, setting in value.settings.items())
    return f"{value.name} over {', '.join(map(str, value.horizons))} bars{settings}"
