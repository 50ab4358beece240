"""The per-period numbers of one trial as a Parquet file, whose digest stands in the log."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import DataCorrupt, DataInvalid
from forecastle.experiments.data_span import DataSpan
from forecastle.lake.atomic import write_bytes
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]


def checked(per_period: FloatArray, moments: Times, span: DataSpan) -> tuple[FloatArray, Times]:
    """Return numbers and moments, both (periods,), as they are stored.

    Raises ``DataInvalid`` for NaN, for moments that do not ascend, and for those outside the span.
    """
    values, times = np.asarray(per_period, dtype=np.float64), np.asarray(moments, dtype="datetime64[us]")
    whole = values.ndim == 1 and values.shape == times.shape and values.size > 0
    if not (whole and np.isfinite(values).all() and _ascending(times)):
        raise DataInvalid(
            f"The series of a trial has {values.shape} numbers and {times.shape} moments.",
            "It has one finite number for each moment, and the moments ascend.", "Leave rows without an outcome out.",
        )  # fmt: skip
    first, last = np.datetime64(span.start.replace(tzinfo=None)), np.datetime64(span.end.replace(tzinfo=None))
    if times[0] < first or times[-1] > last:
        raise DataInvalid(
            f"The series of a trial goes from {times[0]} to {times[-1]}.", f"Its span is {span}.",
            "Name the span of all that was looked at.",
        )  # fmt: skip
    return values, times


def write(path: Path, times: Times, values: FloatArray) -> str:
    """Write the file, wholly or not at all, and return its SHA-256; raises ``StorageUnwritable``."""
    frame = pl.DataFrame({"moment": pl.Series(times).dt.replace_time_zone("UTC"), "value": values})
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    write_bytes(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read(path: Path, claimed: str) -> tuple[Times, FloatArray]:
    """Return moments and numbers; raises ``DataCorrupt`` where the file is not the one with that digest."""
    what = damage(path, claimed)
    if what:
        raise DataCorrupt(
            f"{path} {what}.", "The log has the digest of what was written.", "Restore the file from a copy."
        )
    frame = pl.read_parquet(path)
    return frame["moment"].dt.replace_time_zone(None).to_numpy(), frame["value"].to_numpy()


def damage(path: Path, claimed: str) -> str:
    """Return what is wrong with a file in words, nothing where it has the digest claimed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "" if hashlib.sha256(content).hexdigest() == claimed else "is not the file that was logged"


def _ascending(times: Times) -> bool:
    return not np.isnat(times).any() and bool((np.diff(times) > np.timedelta64(0)).all())
