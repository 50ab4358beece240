"""The one typed door to numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""Threads may run it side by side, and a division by zero is an infinity, as in numpy."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` to machine code on first call, strict floating point, kept on disk where possible."""
    try:
        return cast("Callable[P, R]", numba.njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return cast("Callable[P, R]", numba.njit(**_OPTIONS)(function))


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` for other compiled functions only: no door from Python, which takes longest to build."""
    return cast("Callable[P, R]", numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function))
