"""Several learners together, each with the same say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.errors import RequestInvalid
from forecastle.models.learners._base import FittedTabular, Tabular, shares
from forecastle.models.learners._document import FILE, document_file, document_of, reading
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task
from forecastle.ports import FittedLearner, Learner

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ensemble(Tabular):
    """The plain mean of the forecasts of its ``members``, named as in the registry with their default settings.

    Equal weights: weights that are estimated from as little as one history holds lose more than they gain (Stock and
    Watson 2004, Journal of Forecasting 23, 405-430). A member that cannot learn the task is refused. Members see the
    columns as for linear learners: scale changes no tree.
    """

    members: tuple[str, ...] = ("logistic", "random_forest", "lightgbm")
    label: ClassVar[str] = "Ensemble"

    def __post_init__(self) -> None:
        if not self.members or any(m == "ensemble" for m in self.members):
            raise RequestInvalid(
                f"The members are {self.members}.", "An ensemble has members, and none is one itself.", "Name learners."
            )
        for member in self.members:
            if self._member(member).context or self._member(member).columns is not None:
                raise RequestInvalid(
                    f"{member} cannot be a member.", "Members look at one prepared row.", "Leave it out."
                )

    @staticmethod
    def _member(name: str) -> Learner:
        from forecastle.models.learners import LEARNERS

        made: Learner = LEARNERS.load(name)()
        return made

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedEnsemble:
        """Fit every member to the same rows."""
        learners = [self._member(name) for name in self.members]
        for name, learner in zip(self.members, learners, strict=True):
            if task not in learner.tasks:
                raise RequestInvalid(
                    f"{name} cannot learn a {task}.", f"It learns: {', '.join(sorted(learner.tasks))}.",
                    "Name other members.",
                )  # fmt: skip
        return FittedEnsemble(task, tuple(learner.fit(task, train, validate, seed) for learner in learners))


@dataclass(frozen=True, eq=False)
class FittedEnsemble(FittedTabular):
    """Fitted members."""

    task: Task
    members: tuple[FittedLearner, ...]

    def predict(self, x: FloatArray, lead: int = 0) -> FloatArray:
        """Return the mean of the members' forecasts."""
        return np.asarray(np.mean([member.predict(x, lead) for member in self.members], axis=0))

    def importance(self) -> Mapping[str, float]:
        """Return the mean of the members' shares."""
        told = [member.importance() for member in self.members]
        columns = tuple(dict.fromkeys(name for one in told for name in one))
        return shares(columns, np.array([sum(t.get(c, 0.0) for t in told) for c in columns])) if columns else {}

    def files(self) -> dict[str, bytes]:
        """Return the files of the members, each with its number before the name."""
        files = {f"{i}-{name}": content for i, member in enumerate(self.members)
                 for name, content in member.files().items()}  # fmt: skip
        return {FILE: document_file({"kind": "ensemble", "task": self.task, "members": len(self.members)}), **files}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> FittedEnsemble:
        """Return the learner of its files; raises ``DataCorrupt``."""
        from forecastle.models.learners import learner_from_files

        told = document_of(files)

        def member(number: int) -> FittedLearner:
            start = f"{number}-"
            return learner_from_files({k.removeprefix(start): v for k, v in files.items() if k.startswith(start)})

        def read() -> FittedEnsemble:
            if told["task"] not in ("direction", "number") or not 1 <= told["members"] <= 20:
                raise ValueError("a task nobody knows, or too many members")
            return cls(told["task"], tuple(member(i) for i in range(told["members"])))

        return reading(read)
