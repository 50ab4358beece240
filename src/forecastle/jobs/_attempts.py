"""What every engine does alike: progress, answers in order, and a second try for jobs whose worker died."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from forecastle.jobs._job import Answer, Job, died
from forecastle.ports import Progress

Tell = Callable[[int, Answer], None]
Attempt = Callable[[Sequence[int], Tell], Mapping[int, str]]
"""Does jobs, tells each answer, and returns those whose worker died with what is known of it. It may leave some out,
but never all."""


def answers(jobs: Sequence[Job], attempt: Attempt, progress: Progress) -> list[Answer]:
    """Return the answer of each job, in their order.

    Where a worker dies nobody can tell which of several jobs killed it, or whether they lacked memory together. Each
    of them is done once more with nothing beside it; one whose worker dies then, too, has failed.
    """
    found: dict[int, Answer] = {}

    def tell(number: int, answer: Answer) -> None:
        found[number] = answer
        progress(len(found), len(jobs), jobs[number].name)

    progress(0, len(jobs), jobs[0].name)
    while left := [number for number in range(len(jobs)) if number not in found]:
        for number in attempt(left, tell):
            for why in attempt([number], tell).values():
                tell(number, died(jobs[number], why))
    return [found[number] for number in range(len(jobs))]
