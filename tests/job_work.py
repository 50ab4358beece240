"""Jobs for tests: what a worker is asked to do, in a module that another process can import."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from forecastle.errors import NameUnknown


class OddError(Exception):
    """An error that cannot be made again from its words alone, as many libraries have."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


def square(number: int) -> int:
    return number * number


def numbers(seed: int) -> list[str]:
    """Return sums that come out otherwise, in the last bits, where two threads share them."""
    random = np.random.default_rng(seed)
    matrix, line = random.normal(size=(500, 500)), random.normal(size=500)
    made = [(matrix @ matrix).sum(), line @ line, np.linalg.solve(matrix, line).sum(), np.linalg.eigvalsh(matrix)[0]]
    return [float(value).hex() for value in made]


def threads() -> list[str | None]:
    return [os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")]


def fail() -> None:
    raise OddError("one thing", "another")


def refuse() -> None:
    raise NameUnknown("engine", "sail", ["oar", "steam"])


def leave() -> None:
    sys.exit(3)


def die(folder: Path) -> None:
    """End as a process does that the kernel kills; each time leaves a mark."""
    (folder / f"died-{os.getpid()}-{time.monotonic_ns()}").touch()
    os._exit(7)


def die_once(folder: Path) -> str:
    """End the first worker, and do the work in the second: a lack of memory that passes."""
    mark = folder / "once"
    if mark.exists():
        return "done"
    mark.touch()
    os._exit(7)


def lambda_of() -> object:
    return lambda: 1


def weigh(content: bytes) -> int:
    return len(content)


def linger(folder: Path) -> None:
    """Say who works, and go on for longer than any test."""
    (folder / f"{os.getpid()}.pid").touch()
    time.sleep(600)
