"""Long work behind one call: in this process, in processes of this machine, on Dask or on Ray, with the same results.

A job is a function of a module with its arguments. The answers come in the order of the jobs whatever finishes first;
one that fails is told as failed and the others are done all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from forecastle.errors import NameUnknown
from forecastle.jobs._job import Answer, Done, Engine, Failed, Job
from forecastle.ports import Progress, silent

__all__ = ["Answer", "Done", "Engine", "Failed", "Job", "run_all"]
ENGINES = ("dask", "local", "ray")


def run_all(jobs: Sequence[Job], engine: Engine, progress: Progress = silent) -> list[Answer]:
    """Do all the jobs and return an answer for each, in their order.

    Same answers to the bit on every engine: every worker has one thread for its arithmetic. A worker that dies fails
    the job it had. Ctrl-C ends the workers and is raised. Raises ``ConfigurationError`` where the engine is not
    installed or does not answer, ``NameUnknown`` for another engine.
    """
    if engine.name not in ENGINES:
        raise NameUnknown("engine", engine.name, ENGINES)
    if not jobs:
        return []
    if engine.name == "dask":
        from forecastle.jobs import _dask

        return _dask.run(jobs, engine, progress)
    if engine.name == "ray":
        from forecastle.jobs import _ray

        return _ray.run(jobs, engine, progress)
    from forecastle.jobs import _local

    return _local.run(jobs, engine, progress)
