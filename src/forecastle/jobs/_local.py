"""Processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from forecastle.jobs._job import THREADS, Answer, Engine, Job, died, do
from forecastle.ports import Progress


def run(jobs: Sequence[Job], engine: Engine, progress: Progress) -> list[Answer]:
    """Do the jobs in processes, or here where one worker is enough."""
    if engine.count == 1 or len(jobs) == 1:
        answers = []
        for number, job in enumerate(jobs):
            progress(number, len(jobs), job.name)
            answers.append(do(job))
        progress(len(jobs), len(jobs), "done")
        return answers
    return _in_processes(jobs, engine, progress)


def _in_processes(jobs: Sequence[Job], engine: Engine, progress: Progress) -> list[Answer]:
    """Do the jobs in a pool; where a worker dies, what was running is done again one by one, to find out which it was.

    A worker that dies breaks its pool, and nobody can tell which of the running jobs killed it: the one that kills a
    worker when it is alone has failed. The others go on in a new pool.
    """
    found: dict[int, Answer] = {}
    left = list(range(len(jobs)))
    while left:
        done, running, _ = _pool(jobs, left, min(engine.count, len(left)), len(found), progress)
        found |= done
        for number in running:
            alone, _, why = _pool(jobs, [number], 1, len(found), progress)
            found[number] = alone.get(number) or died(jobs[number], why)
        left = [number for number in left if number not in found]
    return [found[number] for number in range(len(jobs))]


def _pool(
    jobs: Sequence[Job], numbers: Sequence[int], width: int, before: int, progress: Progress
) -> tuple[dict[int, Answer], list[int], str]:
    """Return what was done; where a worker died also what was running then, and what the pool says of it."""
    found: dict[int, Answer] = {}
    waiting: dict[Future[Answer], int] = {}
    todo = list(reversed(numbers))
    with _one_thread(), ProcessPoolExecutor(width, multiprocessing.get_context("spawn")) as pool:
        try:
            while todo or waiting:
                while todo and len(waiting) < width:
                    waiting[pool.submit(do, jobs[todo[-1]])] = todo[-1]
                    todo.pop()
                ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in ready:
                    found[waiting[future]] = future.result()
                    progress(before + len(found), len(jobs), jobs[waiting.pop(future)].name)
        except BrokenProcessPool as error:
            return found, [n for n in waiting.values() if n not in found], str(error)
        except KeyboardInterrupt:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
    return found, [], ""


@contextmanager
def _one_thread() -> Iterator[None]:
    """Give children one thread each: they read the variables when they begin."""
    old = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
