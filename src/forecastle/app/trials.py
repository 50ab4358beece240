"""How often each market was tried, and whether the account of it is whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from forecastle.errors import DataMissing
from forecastle.experiments.chain import ChainReport
from forecastle.experiments.holdout import HoldoutLog
from forecastle.experiments.trials import Trial, TrialLog
from forecastle.nouns import Instrument
from forecastle.workspace import Workspace

LOW_IS_GOOD = ("brier", "loss", "error", "mse", "rmse", "mae", "qlike", "crps", "pinball", "drawdown", "ece")
"""A score with one of these in its name is better the lower; any other the higher."""


@dataclass(frozen=True)
class Best:
    """The best of a score so far, and the line of the log it stands in."""

    score: str
    value: float
    trial: int


@dataclass(frozen=True)
class Tried:
    """One market over one stretch of time: spans that overlap are one stretch.

    ``configurations`` counts the different ones, ``runs`` all lines of the log, ``best`` the best value of each score
    among them. The best of many is partly luck: the count says of how many.
    """

    instrument: str
    timeframe: str
    start: datetime
    end: datetime
    configurations: int
    runs: int
    best: tuple[Best, ...]


@dataclass(frozen=True)
class Account:
    """Whether both logs are whole; ``unlogged`` are files of series that no line of the log knows."""

    trials: ChainReport
    holdouts: ChainReport
    unlogged: tuple[Path, ...]

    @property
    def whole(self) -> bool:
        """Return whether neither log has a problem."""
        return not (self.trials.problems or self.holdouts.problems)


def tried(workspace: Workspace, name: str | None = None) -> list[Tried]:
    """Return what was tried, by market and stretch of time; a trial of several markets stands below each of them.

    Raises ``RequestInvalid`` for a name that is no instrument, ``DataMissing`` for one that nothing was tried on.
    """
    instrument = None if name is None else Instrument.parse(name)
    trials = TrialLog(workspace.settings.home, workspace.clock).trials()
    markets = sorted({(market, trial.span.timeframe) for trial in trials for market in trial.span.instruments})
    if instrument is not None:
        markets = [market for market in markets if market[0] == instrument.id]
        if not markets:
            raise DataMissing(
                f"Nothing was tried on {instrument}.", "The log of trials does not name it.",
                "See what was: forecastle trials",
            )  # fmt: skip
    found = []
    for market, timeframe in markets:
        mine = [t for t in trials if market in t.span.instruments and t.span.timeframe == timeframe]
        found += [_tried(market, stretch) for stretch in _stretches(mine)]
    return found


def verify(workspace: Workspace) -> Account:
    """Read both logs anew and return all that is wrong with them."""
    home, clock = workspace.settings.home, workspace.clock
    log = TrialLog(home, clock)
    report = log.verify()
    unlogged = () if report.problems else tuple(log.unlogged())
    return Account(report, HoldoutLog(home, clock).verify(), unlogged)


def low_is_good(score: str) -> bool:
    """Return whether a score is better the lower, by its name."""
    return any(word in score.lower() for word in LOW_IS_GOOD)


def _stretches(trials: list[Trial]) -> list[list[Trial]]:
    """Return the trials parted so that spans of different parts do not meet."""
    parts: list[list[Trial]] = []
    until: datetime | None = None
    for trial in sorted(trials, key=lambda t: t.span.start):
        if until is None or trial.span.start >= until:
            parts.append([])
            until = trial.span.end
        parts[-1].append(trial)
        until = max(until, trial.span.end)
    return parts


def _tried(name: str, trials: list[Trial]) -> Tried:
    start, end = min(t.span.start for t in trials), max(t.span.end for t in trials)
    scores = dict.fromkeys(score for trial in trials for score in trial.scores)
    return Tried(
        instrument=name, timeframe=trials[0].span.timeframe, start=start, end=end,
        configurations=len({t.configuration_hash for t in trials}), runs=len(trials),
        best=tuple(_best(score, trials) for score in scores),
    )  # fmt: skip


def _best(score: str, trials: list[Trial]) -> Best:
    sign = 1.0 if low_is_good(score) else -1.0
    held = [t for t in trials if score in t.scores]
    best = min(held, key=lambda t: (sign * t.scores[score], t.number))
    return Best(score, best.scores[score], best.number)
