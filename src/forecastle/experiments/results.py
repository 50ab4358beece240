"""What came out of an experiment as files: ``results.json`` with a digest, ``predictions.parquet`` row by row."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import polars as pl
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from forecastle.errors import DataCorrupt, DataInvalid, DataMissing
from forecastle.experiments.chain import digest
from forecastle.experiments.folder import ExperimentFolder
from forecastle.lake.atomic import write_bytes
from forecastle.nouns.dataset import Task

FILE, PREDICTIONS = "results.json", "predictions.parquet"
SCHEMA = "forecastle/experiment/1"
FIXED = {"fold": pl.Int64, "known_at": pl.Datetime("us", "UTC"), "target_time": pl.Datetime("us", "UTC"),
         "outcome": pl.Float64}  # fmt: skip
KEYS = {"instrument": pl.String, "horizon": pl.Int64}
"""Columns that are there where an experiment has several instruments or horizons."""
_LARGEST = 100_000_000
"""Bytes of results.json; one of ours has some ten thousand."""


def _aware(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("the time has no zone")
    return text


Time = Annotated[str, AfterValidator(_aware)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    """A part of the file: nothing unknown in it, nothing turned into another type, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Target(_Part):
    """What was forecast: ``horizons`` in bars, ``unit`` of the outcome, ``settings`` the rest of its definition."""

    name: str
    task: Task
    horizons: list[int] = Field(min_length=1)
    unit: str
    settings: dict[str, Any] = Field(default_factory=dict)


class Data(_Part):
    """Which candles."""

    instruments: list[str] = Field(min_length=1)
    timeframe: str
    source: str
    start: Time
    end: Time
    data_hash: str


class Score(_Part):
    """One number out of sample and its interval; None where it is not defined, with the reason."""

    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    reason: str = ""


class FoldScores(_Part):
    """One fold: how many rows, and the metrics of each learner in it."""

    number: int
    train_rows: int
    test_rows: int
    metrics: dict[str, dict[str, float | None]]


class Results(_Part):
    """All of ``results.json`` but the digests; ``scores`` and the metrics of folds are by learner, then by name.

    ``trials`` counts the configurations that had been tried on data that overlap, this one included.
    """

    id: str
    config: dict[str, Any]
    config_fingerprint: Hash
    data: Data
    target: Target
    features: list[str]
    feature_fingerprint: Hash
    git_revision: str
    seed: int
    made_at: Time
    learners: list[str] = Field(min_length=1)
    scores: dict[str, dict[str, Score]]
    folds: list[FoldScores]
    trials: int = Field(ge=0)
    notes: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class Experiment:
    """An experiment that was read back and checked; its predictions are read, and checked, on first use."""

    folder: ExperimentFolder
    results: Results
    predictions_hash: str

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """Return one row a forecast: fold, known_at, target_time, outcome, one column a learner (null: none given).

        Raises ``DataMissing`` where the file is gone, ``DataCorrupt`` where it is not the one that was written.
        """
        path = self.folder.path / PREDICTIONS
        content = _content(path)
        if hashlib.sha256(content).hexdigest() != self.predictions_hash:
            raise _broken(path, "its digest is not the one in results.json")
        return pl.read_parquet(io.BytesIO(content))


def write_results(folder: ExperimentFolder, results: Results, predictions: pl.DataFrame) -> Path:
    """Write both files, the predictions first, each wholly or not at all; return the path of ``results.json``.

    ``predictions`` has the columns of ``FIXED``, those of ``KEYS`` where needed, and a Float64 column for each learner:
    a probability of 1 for the task direction, else a number in the unit of the outcome. Raises ``DataInvalid`` where
    they are not so, ``StorageUnwritable``.
    """
    if results.id != folder.id:
        raise DataInvalid(
            f"The results are of {results.id}.", f"The folder is that of {folder.id}.", "Write each into its own."
        )
    buffer = io.BytesIO()
    _checked(predictions, results.learners).write_parquet(buffer)
    write_bytes(folder.path / PREDICTIONS, buffer.getvalue())
    document = {
        "schema": SCHEMA, **results.model_dump(mode="json"),
        "predictions": {"rows": predictions.height, "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()},
    }  # fmt: skip
    text = json.dumps({**document, "sha256": digest(document)}, indent=2, allow_nan=False)
    write_bytes(folder.path / FILE, f"{text}\n".encode())
    return folder.path / FILE


def read_results(folder: ExperimentFolder) -> Experiment:
    """Return what was written, checked before anything of it is used.

    Raises ``DataMissing`` where there is none, ``DataCorrupt`` where the digest, the id, the schema or a field is not
    what was written. The digest finds damage and edits; it is no signature.
    """
    path = folder.path / FILE
    document = _parsed(path)
    claimed = document.pop("sha256", None)
    if document.get("schema") != SCHEMA:
        raise _broken(path, f"its schema is {str(document.get('schema'))[:80]!r}, and {SCHEMA} is known here")
    if claimed != digest(document):
        raise _broken(path, "its digest is not that of its content")
    rest = {name: value for name, value in document.items() if name not in ("schema", "predictions")}
    try:
        results, seal = Results.model_validate(rest), str(document["predictions"]["sha256"])
    except ValidationError as error:
        first = error.errors()[0]
        raise _broken(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (KeyError, TypeError) as error:
        raise _broken(path, "it does not say which predictions are its own") from error
    if results.id != folder.id:
        raise _broken(path, f"it was written as {results.id}")
    return Experiment(folder, results, seal)


def _checked(frame: pl.DataFrame, learners: list[str]) -> pl.DataFrame:
    keys = [name for name in KEYS if name in frame.columns]
    wanted = {**FIXED, **{name: KEYS[name] for name in keys}, **dict.fromkeys(learners, pl.Float64)}
    wrong = sorted(set(wanted.items()) ^ set(frame.schema.items()), key=str)
    if wrong or len(wanted) != len(FIXED) + len(keys) + len(learners):
        raise DataInvalid(
            f"The predictions differ in the columns {', '.join(f'{n} ({t})' for n, t in wrong)}.",
            f"They have {', '.join(wanted)}.", "Make one Float64 column for each learner.",
        )  # fmt: skip
    row = ["fold", "known_at", *keys]
    bad = {
        "have no row": frame.is_empty(),
        "have NaN": any(frame[name].is_nan().any() for name in ["outcome", *learners]),
        "have a row without outcome, fold or time": any(frame[name].null_count() for name in [*FIXED, *keys]),
        "have an outcome no later than what it is forecast from": not (frame["known_at"] < frame["target_time"]).all(),
        "have a row twice": frame.select(row).is_duplicated().any(),
    }
    for what, is_so in bad.items():
        if is_so:
            raise DataInvalid(
                f"The predictions {what}.", "Each row is one forecast that met its outcome.", "Leave others out."
            )
    return frame.select(list(wanted)).sort([*keys, "fold", "known_at"])


def _parsed(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_content(path), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"it is not the JSON that was written ({error})") from error
    if not isinstance(document, dict):
        raise _broken(path, "it is not one JSON object")
    return document


def _content(path: Path) -> bytes:
    try:
        if path.name == FILE and path.stat().st_size > _LARGEST:
            raise _broken(path, f"it has more than {_LARGEST} bytes")
        return path.read_bytes()
    except OSError as error:
        raise DataMissing(
            f"{path} cannot be read.", f"{error.strerror or error}: the experiment is not finished, or lost it.",
            "Run it again.",
        ) from error  # fmt: skip


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands there twice")
    return dict(pairs)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _broken(path: Path, why: str) -> DataCorrupt:
    return DataCorrupt(
        f"{path} is not what was written.", f"{why[:1].upper()}{why[1:]}.", "Take it from a copy, or run it again."
    )
