"""One list of jobs on every engine, each for real: the same answers in the same order, whatever goes wrong."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from forecastle.errors import ConfigurationError, NameUnknown, RequestInvalid
from forecastle.jobs import Answer, Done, Engine, Failed, Job, run_all
from job_work import die, die_once, fail, lambda_of, leave, numbers, refuse, square, threads, weigh

pytestmark = pytest.mark.enable_socket
TESTS = Path(__file__).parents[1]
ONE, TWO, DASK, RAY = Engine(workers=1), Engine(workers=2), Engine("dask", workers=2), Engine("ray", workers=2)
PROCESSES = [pytest.param(TWO, id="local"), pytest.param(DASK, id="dask"), pytest.param(RAY, id="ray")]
TROUBLE = 11


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Ray, started once: that takes ten seconds. A job on it must leave it on."""
    import ray

    from forecastle.jobs import _ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        _ray._start(ray, RAY, TROUBLE)
        yield ray
        assert ray.is_initialized()
        ray.shutdown()


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return the engine that is asked for; Ray only where it is."""
    if request.param.name == "ray":
        request.getfixturevalue("running_ray")
    return request.param  # type: ignore[no-any-return]


def _jobs(folder: Path) -> list[Job]:
    return [
        Job("first", square, (3,)),
        Job("killer", die, (folder,)),
        Job("odd", fail),
        Job("house", refuse),
        Job("leaver", leave),
        Job("one thread", threads),
        Job("numbers 1", numbers, (1,)),
        Job("numbers 2", numbers, (2,)),
        Job("unlucky", die_once, (folder,)),
        Job("large", weigh, (bytes(12_000_000),)),
        Job("last", square, (5,)),
    ]


@pytest.fixture(scope="module")
def outside() -> list[list[str]]:
    """What numpy alone makes in a process that has one thread: no part of ours in it."""
    lines = "import job_work; print(job_work.numbers(1)); print(job_work.numbers(2))"
    variables = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, "-c", lines], env=variables, capture_output=True, text=True, check=True)
    return [ast.literal_eval(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("engine", PROCESSES, indirect=True)
def test_what_goes_wrong_is_told_and_the_rest_is_done(engine: Engine, tmp_path: Path, outside: list[list[str]]) -> None:
    """A job that kills its process is done twice and has failed; none that ran beside it has."""
    ticks: list[tuple[int, int, str]] = []
    jobs = _jobs(tmp_path)
    found = run_all(jobs, engine, lambda *tick: ticks.append(tick))
    assert [answer.name for answer in found] == [job.name for job in jobs]
    first, killer, odd, house, leaver, *done = found
    assert first == Done("first", 9)
    assert isinstance(killer, Failed)
    assert killer.what == "The worker of killer died."
    assert len(list(tmp_path.glob("died-*"))) == 2
    assert odd == Failed("odd", "odd failed.", "OddError: one thing and another.", _hint(odd))
    assert "in fail\n" in odd.trace
    assert house == Failed("house", "There is no engine named 'sail'.", "Known here: oar, steam.", _hint(house))
    assert type(house.error) is NameUnknown
    assert str(house.error).splitlines() == [house.what, house.why, house.hint]
    assert leaver == Failed("leaver", "leaver failed.", "SystemExit: 3.", _hint(leaver))
    results = [answer.result for answer in done if isinstance(answer, Done)]
    assert results == [["1", "1", "1"], *outside, "done", 12_000_000, 25]
    assert [(n, total) for n, total, _ in ticks] == [(n, TROUBLE) for n in range(TROUBLE + 1)]
    assert sorted(what for _, _, what in ticks[1:]) == sorted(job.name for job in jobs)


def test_one_worker_is_this_process_and_says_the_same(outside: list[list[str]]) -> None:
    """Its arithmetic has many threads before and after; the last bits of a sum would tell."""
    jobs = [Job("odd", fail), Job("house", refuse), Job("leaver", leave), *(Job(f"{n}", numbers, (n,)) for n in (1, 2))]
    here, there = run_all(jobs, ONE), run_all(jobs, TWO)
    assert here == there
    assert [answer.result for answer in here if isinstance(answer, Done)] == outside


def test_in_this_process_each_job_is_told_as_it_is_done() -> None:
    ticks: list[tuple[int, int, str]] = []
    run_all([Job("a", square, (1,)), Job("b", square, (2,))], ONE, lambda *tick: ticks.append(tick))
    assert ticks == [(0, 2, "a"), (1, 2, "a"), (2, 2, "b")]


@pytest.mark.parametrize("engine", [ONE, TWO, DASK, RAY], ids=lambda e: f"{e.name}-{e.workers}")
def test_no_jobs_start_nothing(engine: Engine) -> None:
    assert run_all([], engine) == []


def test_what_cannot_travel_has_failed_and_the_rest_is_done() -> None:
    jobs = [Job("back", lambda_of), Job("there", weigh, (threading.Lock(),)), Job("fine", square, (2,))]
    back, there, fine = run_all(jobs, TWO)
    assert fine == Done("fine", 4)
    for answer in (back, there):
        assert isinstance(answer, Failed)
        assert answer.what == f"{answer.name} could not be sent to a worker, or its result back."


@pytest.mark.parametrize("call", [lambda: 1, "text".upper, partial(square, 2)], ids=["lambda", "method", "partial"])
def test_a_function_that_no_worker_could_find_is_refused_before_anything_begins(call: Any) -> None:
    with pytest.raises(RequestInvalid, match="calls"):
        run_all([Job("first", square, (1,)), Job("bad", call)], ONE)


def test_an_engine_that_is_none_is_refused() -> None:
    with pytest.raises(NameUnknown, match="no engine named 'spark'"):
        run_all([Job("a", square, (1,))], Engine("spark"))


@pytest.mark.parametrize(("name", "library"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_library_names_the_extra(name: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigurationError) as caught:
        run_all([Job("a", square, (1,))], Engine(name))
    assert "pip install 'forecastle[scale]'" in caught.value.hint


def _hint(answer: Answer) -> str:
    assert isinstance(answer, Failed)
    assert answer.hint.endswith(".")
    return answer.hint
