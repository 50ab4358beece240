"""The one typed door to numba."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""Threads may run it side by side, and a division by zero is an infinity, as in numpy."""
_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **_OPTIONS}
_SPLICED: dict[str, Any] = {"inline": "always", **_OPTIONS}


def _digest_of_sources() -> str:
    """Return a hash of every file of the package that holds compiled code."""
    texts = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.sha256(b"".join(text for text in texts if b"compiled import" in text)).hexdigest()


_SOURCES = _digest_of_sources()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` to machine code on first call, strict floating point, kept on disk where possible.

    What is kept is tied to all files with compiled code: numba looks at the function's own file, but its machine code
    holds what it calls in others, and would go on with their old numbers.
    """
    try:
        dispatcher = numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return cast("Callable[P, R]", numba.njit(**_OPTIONS)(function))
    kept: Any = dispatcher._cache._cache_file
    kept._source_stamp = (kept._source_stamp, _SOURCES)
    return cast("Callable[P, R]", dispatcher)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` for other compiled functions only: no door from Python, which takes long to build."""
    return cast("Callable[P, R]", numba.njit(**_INNER)(function))


def spliced(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` as a piece of those that call it: for pieces around much code, which is then built once."""
    return cast("Callable[P, R]", numba.njit(**_SPLICED)(function))
