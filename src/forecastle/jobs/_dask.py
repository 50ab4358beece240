"""Dask: a cluster of processes on this machine, or the one at an address."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from forecastle.errors import ConfigurationError
from forecastle.jobs._attempts import Tell, answers
from forecastle.jobs._job import THREADS, Answer, Engine, Job, do, unsent
from forecastle.ports import Progress


def run(jobs: Sequence[Job], engine: Engine, progress: Progress) -> list[Answer]:
    """Do the jobs on Dask."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise missing("Dask", error) from error
    # the second try is ours: with others beside it a job would answer for their deaths
    options = {f"distributed.nanny.pre-spawn-environ.{name}": "1" for name in THREADS}
    with warnings.catch_warnings(), dask.config.set({"distributed.scheduler.allowed-failures": 0, **options}):
        # a dataset is a large argument, and it is meant
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        with _client(distributed, engine, len(jobs)) as client:
            return answers(jobs, lambda numbers, tell: _attempt(distributed, client, jobs, numbers, tell), progress)


@contextmanager
def _client(distributed: Any, engine: Engine, jobs: int) -> Iterator[Any]:
    if engine.address is None:
        with (
            distributed.LocalCluster(
                n_workers=min(engine.count, jobs), threads_per_worker=1, processes=True, dashboard_address=None,
                silence_logs=50,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):  # fmt: skip
            yield client
        return
    try:
        client = distributed.Client(engine.address, timeout=5)
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigurationError(
            f"The Dask cluster at {engine.address} does not answer.", f"{str(error).rstrip('.')}.",
            "Start it, or mend FORECASTLE__JOBS__ADDRESS.",
        ) from error  # fmt: skip
    with client:
        yield client


def _attempt(
    distributed: Any, client: Any, jobs: Sequence[Job], numbers: Sequence[int], tell: Tell
) -> Mapping[int, str]:
    """Send as many jobs as there are workers, and another for each that ends; return those whose worker died."""
    todo = list(reversed(numbers))
    width = max(1, sum(client.nthreads().values()))
    sent: dict[Any, int] = {}
    lost: dict[int, str] = {}
    try:
        while todo or sent:
            while todo and len(sent) < width:
                number = todo.pop()
                try:
                    sent[client.submit(do, jobs[number], pure=False)] = number
                except Exception as error:  # noqa: BLE001 - what cannot be pickled raises anything
                    tell(number, unsent(jobs[number], error))
            for future in distributed.wait(list(sent), return_when="FIRST_COMPLETED").done if sent else ():
                number = sent.pop(future)
                failure = future.exception()
                if isinstance(failure, distributed.KilledWorker):
                    lost[number] = "Its process ended while it worked"
                else:
                    tell(number, future.result() if failure is None else unsent(jobs[number], failure))
    except BaseException:  # Ctrl-C, or a fault of who shows the progress: nothing is left running
        client.cancel(list(sent), force=True)
        raise
    return lost


def missing(name: str, error: ImportError) -> ConfigurationError:
    """Return what to tell where the library of an engine is not there."""
    return ConfigurationError(
        f"Jobs on {name} need {name}.", f"It is not installed here: {error}.",
        "Install the extra: pip install 'forecastle[scale]', or use FORECASTLE__JOBS__ENGINE=local.",
    )  # fmt: skip
