"""The one typed door to numba."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core.cgutils import get_null_value
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
"""Threads may run it side by side, and a division by zero is an infinity, as in numpy."""
_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **_OPTIONS}
_SPLICED: dict[str, Any] = {"inline": "always", **_OPTIONS}


_USE = b"from forecastle.%s import" % b"compiled"


def _digest_of_sources() -> str:
    """Return a hash of this file and of those in folders that hold compiled code: constants may stand beside it."""
    found: dict[Path, list[bytes]] = {}
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        found.setdefault(path.parent, []).append(path.read_bytes())
    held = [b"".join(texts) for texts in found.values() if any(_USE in text for text in texts)]
    return hashlib.sha256(Path(__file__).read_bytes() + b"".join(held)).hexdigest()


_SOURCES = _digest_of_sources()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` to machine code on first call, strict floating point, kept on disk where possible.

    What is kept is tied to all files with compiled code: numba looks at the function's own file, but its machine code
    holds what it calls in others, and would go on with their old numbers.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]  # set from the environment
        return function
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


def folded(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` into the machine code of the one that calls it: handing on many arrays costs more.

    For functions that are called in one place: each further place is another copy.
    """
    return cast("Callable[P, R]", numba.njit(forceinline=True, **_INNER)(function))


def spliced(function: Callable[P, R]) -> Callable[P, R]:
    """Compile ``function`` as a piece of those that call it: for pieces around much code, which is then built once."""
    return cast("Callable[P, R]", numba.njit(**_SPLICED)(function))


def borrowed(array: A) -> A:
    """Return the same array without a claim on it: compiled code that hands it on does not count who holds it.

    Counting is an atomic addition at each access to an array of a tuple and costs more than the access. The caller has
    to hold the array as long as the result is used. Interpreted it is the array itself.
    """
    return array


@overload(borrowed, inline="always")
def _borrowed(array: Any) -> Any:
    def lent(array: Any) -> Any:
        return _without_owner(array)  # type: ignore[call-arg]  # numba gives it the context

    return lent


@intrinsic
def _without_owner(_context: Any, array: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = make_array(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
        for owner in ("meminfo", "parent"):
            setattr(made, owner, get_null_value(getattr(made, owner).type))  # type: ignore[no-untyped-call]
        return made._getvalue()

    return array(array), build
