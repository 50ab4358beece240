"""Nothing is left running: after Ctrl-C, after a fault of who shows the progress, after the program was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from forecastle.jobs import Engine, Job, run_all
from job_work import linger, square

pytestmark = pytest.mark.enable_socket
TESTS = Path(__file__).parents[1]


def _until(true: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen within a minute")


def _alive(number: int) -> bool:
    """Tell whether a process runs; one that has ended and was not yet collected does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _working(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("*.pid")]


def _none_left(folder: Path) -> None:
    workers = _working(folder)
    _until(lambda: not any(_alive(number) for number in workers), f"the end of the workers {workers}")


def _begun(engine: str, folder: Path) -> subprocess.Popen[str]:
    program = [sys.executable, str(TESTS / "job_interrupted.py"), engine, str(folder)]
    begun = subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    _until(lambda: len(_working(folder)) == 2 or begun.poll() is not None, "two jobs at work")
    assert begun.poll() is None, begun.communicate()[0]
    return begun


@pytest.mark.parametrize("engine", ["local", "dask", "ray"])
def test_ctrl_c_ends_the_workers_and_the_program(engine: str, tmp_path: Path) -> None:
    """The signal goes to the whole group, as from a terminal. No worker prints a traceback of its own over it."""
    begun = _begun(engine, tmp_path)
    os.killpg(begun.pid, signal.SIGINT)
    said, _ = begun.communicate(timeout=60)
    assert begun.returncode == -signal.SIGINT, said
    assert said.rstrip().endswith("KeyboardInterrupt")
    _none_left(tmp_path)
    assert len(_working(tmp_path)) == 2, "another job was begun after Ctrl-C"


def test_workers_end_with_a_program_that_is_killed(tmp_path: Path) -> None:
    begun = _begun("local", tmp_path)
    begun.kill()
    begun.communicate(timeout=60)
    _none_left(tmp_path)


def test_a_fault_of_who_shows_the_progress_ends_the_workers(tmp_path: Path) -> None:
    """Else it would wait ten minutes for the jobs that run."""

    def show(done: int, total: int, what: str) -> None:
        if done:
            _until(lambda: bool(_working(tmp_path)), "a job at work")
            raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError):
        run_all([Job("long", linger, (tmp_path,)), Job("short", square, (2,))], Engine(workers=2), show)
    _none_left(tmp_path)
