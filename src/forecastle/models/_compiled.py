"""The one typed door to numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **_OPTIONS}
_SPLICED: dict[str, Any] = {"inline": "always", **_OPTIONS}
"""Threads may run it side by side, and a division by zero is an infinity, as in numpy."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` to machine code on first call, strict floating point, kept on disk where possible."""
    try:
        return cast("Callable[P, R]", numba.njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # neither the package's folder nor the user's cache can be written
        return cast("Callable[P, R]", numba.njit(**_OPTIONS)(function))


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` for other compiled functions only: no door from Python, which takes long to build."""
    return cast("Callable[P, R]", numba.njit(**_INNER)(function))


def spliced(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` as a piece of those that call it: for pieces around much code, which is then built once."""
    return cast("Callable[P, R]", numba.njit(**_SPLICED)(function))
