"""Ray: started on this machine for these jobs, or the cluster at an address."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from forecastle.errors import ConfigurationError
from forecastle.jobs._attempts import Tell, answers
from forecastle.jobs._dask import missing
from forecastle.jobs._job import THREADS, Answer, Engine, Job, do, unsent
from forecastle.ports import Progress


def run(jobs: Sequence[Job], engine: Engine, progress: Progress) -> list[Answer]:
    """Do the jobs on Ray. Where Ray runs in this process already it is used and left on."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # a driver that runs on a CPU alone asks no GPU of anybody; Ray warns of a change to come, on every start
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise missing("Ray", error) from error
    ours = not ray.is_initialized()
    if ours:
        _start(ray, engine, len(jobs))
    try:
        return answers(jobs, lambda numbers, tell: _attempt(ray, jobs, numbers, tell), progress)
    finally:
        if ours:
            ray.shutdown()


def _start(ray: Any, engine: Engine, jobs: int) -> None:
    """Start Ray here for so many jobs, or reach the one at the address; every worker has one thread."""
    common = {"include_dashboard": False, "logging_level": "ERROR", "log_to_driver": False}
    variables = dict.fromkeys(THREADS, "1")
    try:
        if engine.address is None:
            # modules are found where they are found here, as with processes; a cluster has places of its own
            variables["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
            ray.init(num_cpus=min(engine.count, jobs), runtime_env={"env_vars": variables}, **common)
        else:
            ray.init(address=engine.address, runtime_env={"env_vars": variables}, **common)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            "Ray could not be started." if engine.address is None else f"Ray at {engine.address} does not answer.",
            f"{str(error).splitlines()[0]}.", "Start it, mend FORECASTLE__JOBS__ADDRESS, or use the engine local.",
        ) from error  # fmt: skip


def _attempt(ray: Any, jobs: Sequence[Job], numbers: Sequence[int], tell: Tell) -> Mapping[int, str]:
    """Send the jobs, and return those whose worker died: the second try is ours, with nothing beside it."""
    remote = ray.remote(num_cpus=1, max_retries=0)(do)
    sent: dict[Any, int] = {}
    lost: dict[int, str] = {}
    try:
        for number in numbers:
            try:
                sent[remote.remote(jobs[number])] = number
            except Exception as error:  # noqa: BLE001 - what cannot be pickled raises anything
                tell(number, unsent(jobs[number], error))
        while sent:
            reference = ray.wait(list(sent), num_returns=1)[0][0]
            number = sent.pop(reference)
            try:
                tell(number, ray.get(reference))
            except ray.exceptions.RayTaskError as error:
                tell(number, unsent(jobs[number], error.cause))
            except ray.exceptions.RayError as error:
                lost[number] = str(error).splitlines()[0]
    except BaseException:  # Ctrl-C, or a fault of who shows the progress: nothing is left running
        for reference in sent:
            ray.cancel(reference, force=True)
        raise
    return lost
