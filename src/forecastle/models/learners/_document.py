"""The one JSON file that every saved learner has: read strictly, refused where it is not as it was written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataCorrupt, ForecastleError

FloatArray = npt.NDArray[np.float64]
FILE = "learner.json"
T = TypeVar("T")


def document_file(document: Mapping[str, Any]) -> bytes:
    """Return the file of a document; numbers read back as themselves."""
    return json.dumps(document, allow_nan=False, sort_keys=True).encode()


def document_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the document of the files; raises ``DataCorrupt``."""
    try:
        told = json.loads(files[FILE], object_pairs_hook=_once, parse_constant=_refuse)
    except (KeyError, ValueError, RecursionError) as error:
        raise corrupt(f"{FILE}: {error}") from error
    if not isinstance(told, dict):
        raise corrupt(f"{FILE} is not one JSON object")
    return told


def reading(read: Callable[[], T]) -> T:
    """Return what ``read`` makes of files; whatever is wrong with them is ``DataCorrupt``."""
    try:
        return read()
    except ForecastleError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise corrupt(f"{type(error).__name__}: {error}") from error


def vector(values: Any, size: int | None = None) -> FloatArray:
    """Return finite numbers as an array of shape (size,); raises ``ValueError`` where they are not so."""
    found = np.array(values, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all() or (size is not None and found.size != size):
        raise ValueError(f"numbers of the shape {found.shape}, where {size} are wanted, finite")
    return found


def corrupt(why: str) -> DataCorrupt:
    """Return the error of files that do not fit together."""
    return DataCorrupt(
        "The files of a learner are not as they were written.", f"{why[:200].rstrip('.')}.",
        "Take them from a backup, or train it anew.",
    )  # fmt: skip


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands there twice")
    return dict(pairs)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")
