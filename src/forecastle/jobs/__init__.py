"""Long work behind one call: in this process, in processes of this machine, on Dask or on Ray, with the same results.

A job is a function of a module with its arguments. The answers come in the order of the jobs whatever finishes first;
one that fails is told as failed and the others are done all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from forecastle.errors import NameUnknown
from forecastle.jobs._job import Answer, Done, Engine, Failed, Job, refuse_untold
from forecastle.ports import Progress, silent

__all__ = ["Answer", "Done", "Engine", "Failed", "Job", "run_all"]
ENGINES = ("dask", "local", "ray")
_LOG = logging.getLogger("forecastle.jobs")


def run_all(jobs: Sequence[Job], engine: Engine, progress: Progress = silent) -> list[Answer]:
    """Do all the jobs and return an answer for each, in their order.

    Same answers to the bit on every engine: every worker has one thread for its arithmetic. A job whose worker dies is
    done once more alone, and has failed where that dies too. ``progress`` is told how many have an answer, from 0 to
    all, and the name of the last. Ctrl-C ends the workers and is raised. Raises ``ConfigurationError`` where the engine
    is not installed or does not answer, ``NameUnknown`` for another engine, ``RequestInvalid`` for a function that a
    worker could not find.
    """
    if engine.name not in ENGINES:
        raise NameUnknown("engine", engine.name, ENGINES)
    for job in jobs:
        refuse_untold(job)
    found = _run(jobs, engine, progress) if jobs else []
    for answer in found:
        if isinstance(answer, Failed) and answer.trace:
            _LOG.debug("%s failed:\n%s", answer.name, answer.trace)
    return found


def _run(jobs: Sequence[Job], engine: Engine, progress: Progress) -> list[Answer]:
    if engine.name == "dask":
        from forecastle.jobs import _dask

        return _dask.run(jobs, engine, progress)
    if engine.name == "ray":
        from forecastle.jobs import _ray

        return _ray.run(jobs, engine, progress)
    from forecastle.jobs import _local

    return _local.run(jobs, engine, progress)
