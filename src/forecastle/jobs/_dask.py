"""Dask: a cluster of processes on this machine, or the one at an address."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from forecastle.errors import ConfigurationError
from forecastle.jobs._job import THREADS, Answer, Engine, Job, died, do
from forecastle.ports import Progress


def run(jobs: Sequence[Job], engine: Engine, progress: Progress) -> list[Answer]:
    """Do the jobs on Dask; a job whose workers die three times has failed."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise _missing("Dask", error) from error
    parts: Any = distributed
    threads = {f"distributed.nanny.pre-spawn-environ.{name}": "1" for name in THREADS}
    with warnings.catch_warnings(), dask.config.set({"distributed.scheduler.allowed-failures": 2, **threads}):
        warnings.simplefilter("ignore")
        if engine.address is None:
            cluster: Any = parts.LocalCluster(
                n_workers=min(engine.count, len(jobs)), threads_per_worker=1, processes=True, dashboard_address=None,
                silence_logs=50,
            )  # fmt: skip
            with cluster, parts.Client(cluster) as client:
                return _gathered(client, parts.as_completed, jobs, progress)
        try:
            client = parts.Client(engine.address, timeout=5)
        except (OSError, ValueError, TimeoutError) as error:
            raise ConfigurationError(
                f"The Dask cluster at {engine.address} does not answer.", f"{error}.",
                "Start it, or mend FORECASTLE__JOBS__ADDRESS.",
            ) from error  # fmt: skip
        with client:
            return _gathered(client, parts.as_completed, jobs, progress)


def _gathered(client: Any, as_completed: Any, jobs: Sequence[Job], progress: Progress) -> list[Answer]:
    futures = [client.submit(do, job, pure=False) for job in jobs]
    place = {future.key: number for number, future in enumerate(futures)}
    found: dict[int, Answer] = {}
    try:
        for future in as_completed(futures):
            number = place[future.key]
            # what the job raised is an answer: an error here is of the worker
            error = future.exception()
            found[number] = future.result() if error is None else died(jobs[number], f"{type(error).__name__}: {error}")
            progress(len(found), len(jobs), jobs[number].name)
    except KeyboardInterrupt:
        client.cancel(futures)
        raise
    return [found[number] for number in range(len(jobs))]


def _missing(name: str, error: ImportError) -> ConfigurationError:
    return ConfigurationError(
        f"Jobs on {name} need {name}.", f"It is not installed here: {error}.",
        "Install the extra: pip install 'forecastle[scale]', or use FORECASTLE__JOBS__ENGINE=local.",
    )  # fmt: skip
