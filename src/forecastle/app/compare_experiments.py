"""Two experiments side by side: what changed in the scores, and what was changed to get there."""

from __future__ import annotations

from dataclasses import dataclass

from forecastle.app.experiment_list import in_words
from forecastle.errors import DataMissing, RequestInvalid
from forecastle.experiments.differences import Difference, differences
from forecastle.experiments.folder import find
from forecastle.experiments.pairing import Pair, paired
from forecastle.experiments.results import Experiment, read_results
from forecastle.nouns import TestResult
from forecastle.scoring.bootstrap import block_length, interval, mean
from forecastle.scoring.forecast import diebold_mariano
from forecastle.workspace import Workspace

FEWEST = 30
"""Moments in common below which neither an interval nor a test says anything."""


@dataclass(frozen=True)
class Change:
    """One loss of one learner over the common rows, lower is better.

    ``change`` is b minus a with its 95 % interval by a stationary bootstrap of the differences, in blocks that are on
    average no shorter than the horizon; ``duel`` the Diebold-Mariano test of b against a, negative where b loses less.
    """

    learner: str
    horizon: int
    score: str
    a: float
    b: float
    change: float
    low: float
    high: float
    duel: TestResult
    rows: int
    moments: int

    @property
    def verdict(self) -> str:
        """Return ``better``, ``worse`` or ``not told apart``, of b."""
        return "better" if self.high < 0.0 else "worse" if self.low > 0.0 else "not told apart"


@dataclass(frozen=True)
class Stored:
    """A score as each run stored it, over its own rows: without an interval of the change, for the rows differ."""

    learner: str
    score: str
    a: float | None
    b: float | None


@dataclass(frozen=True)
class ExperimentComparison:
    """What :func:`compare` found. ``revised`` counts rows left out because their outcome is another in b.

    ``config`` lists what differs in the configurations, ``only_a`` and ``only_b`` the learners that one of both has.
    """

    a: str
    b: str
    changes: tuple[Change, ...]
    stored: tuple[Stored, ...]
    config: tuple[Difference, ...]
    features_added: tuple[str, ...]
    features_removed: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    revised: int
    same_data: bool


def compare(workspace: Workspace, a: str, b: str, seed: int = 0) -> ExperimentComparison:
    """Compare experiment ``b`` with ``a`` over the rows that both forecast; ``seed`` is that of the bootstrap.

    Raises ``NameUnknown`` for an id that is not there, ``RequestInvalid`` where they forecast different things or have
    no learner in common, ``DataMissing`` where fewer than 30 moments are in both, ``DataCorrupt``.
    """
    one, other = (read_results(find(workspace.settings.home, name)) for name in (a, b))
    _refuse_others(one, other)
    shared = [name for name in one.results.learners if name in other.results.learners]
    if not shared:
        raise RequestInvalid(
            f"{a} and {b} have no learner in common.",
            f"{', '.join(one.results.learners)}; and {', '.join(other.results.learners)}.",
            "Train one of them in both.",
        )
    pairs = {(name, h): paired(one, other, name, h) for h in one.results.target.horizons for name in shared}
    fewest = min(pair.moments for pair in pairs.values())
    if fewest < FEWEST:
        raise DataMissing(
            f"{a} and {b} have {fewest or 'no'} moments in common.", f"A comparison needs {FEWEST} at least.",
            "Score both over the same time: same data, same split.",
        )  # fmt: skip
    mine, theirs = set(one.results.features), set(other.results.features)
    return ExperimentComparison(
        a=a, b=b,
        changes=tuple(change for key, pair in pairs.items() for change in _changes(*key, pair, seed)),
        stored=_stored(one, other, shared, {name for pair in pairs.values() for name in pair.losses}),
        config=differences(one.results.config, other.results.config),
        features_added=tuple(name for name in other.results.features if name not in mine),
        features_removed=tuple(name for name in one.results.features if name not in theirs),
        only_a=tuple(name for name in one.results.learners if name not in shared),
        only_b=tuple(name for name in other.results.learners if name not in shared),
        revised=max(pair.revised for pair in pairs.values()),
        same_data=one.results.data == other.results.data,
    )  # fmt: skip


def _refuse_others(a: Experiment, b: Experiment) -> None:
    """Raise ``RequestInvalid`` where both did not forecast the same of the same markets."""
    if a.folder.id == b.folder.id:
        raise RequestInvalid(
            f"{a.folder.id} was to be compared with itself.", "There is nothing to learn from it.", "Name two."
        )
    for what, mine, theirs in (
        ("target", a.results.target, b.results.target),
        ("instruments", sorted(a.results.data.instruments), sorted(b.results.data.instruments)),
        ("timeframe", a.results.data.timeframe, b.results.data.timeframe),
    ):
        if mine != theirs:
            raise RequestInvalid(
                f"{a.folder.id} and {b.folder.id} cannot be compared: the {what} is another.",
                f"{in_words(mine)}; and {in_words(theirs)}. Losses of different questions do not compare.",
                "Compare two that forecast the same.",
            )


def _changes(learner: str, horizon: int, pair: Pair, seed: int) -> list[Change]:
    lags = max(horizon - 1, int(4 * (pair.moments / 100) ** (2 / 9)))  # Newey and West (1994)
    found = []
    for score, (a, b) in pair.losses.items():
        change = b - a  # both losses of a moment are drawn together
        low, high = interval(mean, change, seed=seed, block=max(block_length(change), float(horizon)))
        duel = diebold_mariano(b, a, lags=lags)
        mine, theirs = float(a.mean()), float(b.mean())
        found.append(Change(learner, horizon, score, mine, theirs, theirs - mine, low, high, duel, pair.rows,
                            pair.moments))  # fmt: skip
    return found


def _stored(a: Experiment, b: Experiment, learners: list[str], paired_names: set[str]) -> tuple[Stored, ...]:
    found = []
    for name in learners:
        mine, theirs = a.results.scores.get(name, {}), b.results.scores.get(name, {})
        shared = [score for score in mine if score in theirs and score not in paired_names]
        found += [Stored(name, score, mine[score].value, theirs[score].value) for score in shared]
    return tuple(found)
