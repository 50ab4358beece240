"""Processes of this machine."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from forecastle.jobs._attempts import Tell, answers
from forecastle.jobs._job import THREADS, Answer, Engine, Job, do, one_thread, unsent
from forecastle.ports import Progress

SPAWN = multiprocessing.get_context("spawn")
"""A new interpreter for each worker: a copy of this one would hold its threads half-way and its locks for ever."""

LOOK = 0.5
"""Seconds between looks for Ctrl-C: a signal that another thread takes does not wake the one that waits."""


def run(jobs: Sequence[Job], engine: Engine, progress: Progress) -> list[Answer]:
    """Do the jobs in processes, or here where there is one worker: then a job that kills its process kills this one."""
    if engine.count == 1:
        # numba reads its variable again and again, and refuses another value once its threads run
        with one_thread([name for name in THREADS if not name.startswith("NUMBA")]):
            return answers(jobs, lambda numbers, tell: _here(jobs, numbers, tell), progress)
    with one_thread():
        return answers(jobs, lambda numbers, tell: _pool(jobs, engine.count, numbers, tell), progress)


def _here(jobs: Sequence[Job], numbers: Sequence[int], tell: Tell) -> Mapping[int, str]:
    for number in numbers:
        tell(number, do(jobs[number]))
    return {}


def _pool(jobs: Sequence[Job], width: int, numbers: Sequence[int], tell: Tell) -> Mapping[int, str]:
    """Do jobs until all are done or a worker dies: that breaks its pool, and all that ran in it are returned."""
    waiting: dict[Future[Answer], int] = {}
    todo = list(reversed(numbers))
    with ProcessPoolExecutor(min(width, len(todo)), SPAWN, _begin) as pool:
        try:
            while todo or waiting:
                while todo and len(waiting) < width:  # no more than can run: what waits in a pool dies with it
                    waiting[pool.submit(do, jobs[todo[-1]])] = todo[-1]
                    todo.pop()
                for future in wait(waiting, LOOK, FIRST_COMPLETED).done:
                    answer = _answer(jobs[waiting[future]], future)
                    tell(waiting.pop(future), answer)
        except BrokenProcessPool as error:
            return dict.fromkeys(waiting.values(), str(error))
        except BaseException:  # Ctrl-C, or a fault of who shows the progress: nothing is left running
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
    return {}


def _answer(job: Job, future: Future[Answer]) -> Answer:
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, BrokenProcessPool | KeyboardInterrupt):
        raise error
    return unsent(job, error)


def _begin() -> None:
    """Leave Ctrl-C to the parent, which ends its workers; and end with it where it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(parent: int) -> None:
    multiprocessing.connection.wait([parent])
    os._exit(1)
