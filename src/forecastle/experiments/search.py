"""Which parameters to try next: all of a small space, or as many as asked for of a large one, by Optuna."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from forecastle.experiments import extra_track

Choice = int | str
Params = dict[str, Choice]
Space = Mapping[str, Sequence[Choice]]
"""The values each parameter may take, by name."""


@dataclass(frozen=True)
class Proposal:
    """One point of the space to be tried."""

    params: Params
    _study: Any
    _trial: Any

    def tell(self, value: float) -> None:
        """Say what the objective was there; smaller is better."""
        self._study.tell(self._trial, value)

    def fail(self) -> None:
        """Say that there is no value there: the point is never chosen, and nothing is learned from it."""
        from optuna.trial import TrialState

        self._study.tell(self._trial, state=TrialState.FAIL)


class Sweep:
    """Proposals one after the other; each has to be told its value before the next is asked for.

    Without ``trials`` every point of ``space`` once, in its order. With it, that many points of the tree-structured
    Parzen estimator (Bergstra and others 2011, NIPS 24), which may come back to a point. The same ``seed`` and the same
    values give the same points. Raises ``ConfigurationError`` where Optuna is not installed.
    """

    def __init__(self, space: Space, trials: int | None, seed: int) -> None:
        with extra_track():
            import optuna
        self.size = trials or math.prod(len(values) for values in space.values())
        self._distributions: dict[str, Any] = {
            name: optuna.distributions.CategoricalDistribution(values) for name, values in space.items()
        }
        with _quietly():
            self._study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
            for point in itertools.product(*space.values()) if trials is None else ():
                self._study.enqueue_trial(dict(zip(space, point, strict=True)))

    def __iter__(self) -> Iterator[Proposal]:
        for _ in range(self.size):
            trial = self._study.ask(self._distributions)
            yield Proposal(dict(trial.params), self._study, trial)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep Optuna from announcing a study on stderr, and give its verbosity back."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
