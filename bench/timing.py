"""Two jobs in turn, several times, and the median of each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

ROUNDS = 5
Job = Callable[[], object]


def side_by_side(ours: Job, theirs: Job, rounds: int = ROUNDS) -> tuple[float, float]:
    """Return the median seconds of both, run in turn after one warm-up each."""
    ours(), theirs()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for job, taken in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            job()
            taken.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])
