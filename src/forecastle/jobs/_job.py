"""A piece of work, what came of it, and how it is done where it is: with one thread, and whatever it raises caught."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from forecastle.errors import ForecastleError, RequestInvalid

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS",
           "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")  # fmt: skip
"""The variables that say how many threads arithmetic takes; one in every worker, for workers are as many as cores."""
_LONGEST = 300


@dataclass(frozen=True)
class Job:
    """``call(*arguments)``: a function of a module, and arguments that can be sent to another process.

    The arguments are left as they are: where there is one worker it is this process. What was done of a job before it
    was killed is the function's to keep and to read again.
    """

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Done:
    """A job that was done, and its result."""

    name: str
    result: Any


@dataclass(frozen=True)
class Failed:
    """A job that failed: three lines for a person; ``error`` is the error of the house where it was one.

    ``trace`` is where in the code it was raised; empty for an error of the house, and where the worker died.
    """

    name: str
    what: str
    why: str
    hint: str
    error: ForecastleError | None = field(default=None, compare=False)
    trace: str = field(default="", compare=False)


Answer = Done | Failed


@dataclass(frozen=True)
class Engine:
    """Where jobs run: ``workers`` processes (None: one a core), or the cluster at ``address``."""

    name: str = "local"
    address: str | None = None
    workers: int | None = None

    @property
    def count(self) -> int:
        """Return how many workers to start."""
        return self.workers or os.cpu_count() or 1


def do(job: Job) -> Answer:
    """Do a job where we are; an error of it is an answer, also where it asks to end the process."""
    try:
        with _limited():
            return Done(job.name, job.call(*job.arguments))
    except ForecastleError as error:
        return Failed(job.name, error.what, error.why, error.hint, error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a job raises, the others go on
        return Failed(job.name, f"{job.name} failed.", _told(error), "The other jobs went on. Report it if it stays.",
                      trace="".join(traceback.format_exception(error)))  # fmt: skip


def died(job: Job, why: str) -> Failed:
    """Return the answer of a job whose worker died, also when nothing else ran beside it."""
    return Failed(job.name, f"The worker of {job.name} died.", f"{why.rstrip('.')}."[:_LONGEST],
                  "Look for a lack of memory; run again: what was done before is kept.")  # fmt: skip


def unsent(job: Job, error: BaseException) -> Failed:
    """Return the answer of a job whose arguments or result cannot travel between processes."""
    return Failed(job.name, f"{job.name} could not be sent to a worker, or its result back.", _told(error),
                  "Report it: a job takes and gives plain data.")  # fmt: skip


def refuse_untold(job: Job) -> None:
    """Raise ``RequestInvalid`` where the function of a job has no name by which another process could find it."""
    module, name = getattr(job.call, "__module__", None), getattr(job.call, "__qualname__", "")
    if getattr(sys.modules.get(str(module)), name, None) is not job.call:
        raise RequestInvalid(
            f"{job.name} calls {name or type(job.call).__name__}.", "A worker finds a function by its module and name.",
            "Give a function that stands at the top of a module.",
        )  # fmt: skip


@contextmanager
def one_thread(names: Sequence[str] = THREADS) -> Iterator[None]:
    """Give processes that begin meanwhile, and libraries loaded meanwhile, one thread: they read the variables once."""
    old = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _limited() -> Iterator[None]:
    """Limit libraries that are loaded already to one thread: sums come out by the number of threads that made them."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

    with threadpool_limits(1):
        yield


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text or 'it says no more'}."[:_LONGEST]
