"""A piece of work and what came of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from forecastle.errors import ForecastleError

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS",
           "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS")  # fmt: skip
"""The variables that say how many threads arithmetic takes; one in every worker, for workers are as many as cores."""


@dataclass(frozen=True)
class Job:
    """``call(*arguments)``: a function of a module and arguments that can be sent to another process."""

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
    """A job that failed: three lines for a person; ``error`` is the error of the house where it was one."""

    name: str
    what: str
    why: str
    hint: str
    error: ForecastleError | None = None


Answer = Done | Failed


@dataclass(frozen=True)
class Engine:
    """Where jobs run: ``workers`` processes (None: one a core), or the cluster at ``address``."""

    name: str = "local"
    address: str | None = None
    workers: int | None = None
    settings: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def count(self) -> int:
        """Return how many workers to start."""
        return self.workers or os.cpu_count() or 1


def do(job: Job) -> Answer:
    """Do a job where we are; an error of it is an answer."""
    try:
        return Done(job.name, job.call(*job.arguments))
    except ForecastleError as error:
        return Failed(job.name, error.what, error.why, error.hint, error)
    except (MemoryError, ArithmeticError, LookupError, ValueError, TypeError, RuntimeError, OSError, AttributeError,
            ImportError, AssertionError) as error:  # fmt: skip
        return Failed(job.name, f"{job.name} failed.", f"{type(error).__name__}: {error}."[:300],
                      "The other jobs went on. Run again with -vv, and report it if it stays.")  # fmt: skip


def died(job: Job, why: str) -> Failed:
    """Return the answer of a job whose worker died."""
    return Failed(job.name, f"The worker of {job.name} died.", f"{why.rstrip('.')}."[:300],
                  "Look for a lack of memory; run again: what was done before is kept.")  # fmt: skip
