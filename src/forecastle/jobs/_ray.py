"""Ray: started on this machine for these jobs, or the cluster at an address."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

from forecastle.errors import ConfigurationError
from forecastle.jobs._dask import _missing
from forecastle.jobs._job import THREADS, Answer, Engine, Job, died, do
from forecastle.ports import Progress


def run(jobs: Sequence[Job], engine: Engine, progress: Progress) -> list[Answer]:
    """Do the jobs on Ray; a job whose worker dies twice has failed. Where Ray runs already it is used and left on."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # a driver that runs on a CPU alone asks no GPU of anybody; Ray warns of a change to come, on every start
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import ray
        except ImportError as error:
            raise _missing("Ray", error) from error
        ours = not ray.is_initialized()
        if ours:
            _start(ray, engine, len(jobs))
        try:
            return _gathered(ray, jobs, progress)
        finally:
            if ours:
                ray.shutdown()


def _start(ray: Any, engine: Engine, jobs: int) -> None:
    common = {"include_dashboard": False, "logging_level": "ERROR", "log_to_driver": False}
    environment = {"env_vars": dict.fromkeys(THREADS, "1")}
    try:
        if engine.address is None:
            ray.init(num_cpus=min(engine.count, jobs), runtime_env=environment, **common)
        else:
            ray.init(address=engine.address, runtime_env=environment, **common)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            "Ray could not be started." if engine.address is None else f"Ray at {engine.address} does not answer.",
            f"{str(error).splitlines()[0]}.", "Start it, mend FORECASTLE__JOBS__ADDRESS, or use the engine local.",
        ) from error  # fmt: skip


def _gathered(ray: Any, jobs: Sequence[Job], progress: Progress) -> list[Answer]:
    remote = ray.remote(num_cpus=1, max_retries=1)(do)
    waiting = {remote.remote(job): number for number, job in enumerate(jobs)}
    found: dict[int, Answer] = {}
    try:
        while waiting:
            ready, _ = ray.wait(list(waiting), num_returns=1)
            number = waiting.pop(ready[0])
            try:
                found[number] = ray.get(ready[0])
            except ray.exceptions.RayError as error:
                found[number] = died(jobs[number], str(error).splitlines()[0])
            progress(len(found), len(jobs), jobs[number].name)
    except KeyboardInterrupt:
        for reference in waiting:
            ray.cancel(reference, force=True)
        raise
    return [found[number] for number in range(len(jobs))]
