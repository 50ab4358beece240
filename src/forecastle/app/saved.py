"""Fitted models as files: JSON with a digest, loaded back to the same sigma. A file is data and is never run."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from forecastle.errors import DataCorrupt, DataMissing, ForecastRefused, RequestInvalid, StorageUnwritable
from forecastle.experiments.track import git_revision
from forecastle.lake.atomic import make_folder, unwritable, write_bytes
from forecastle.models._sample import Sample
from forecastle.models.fitted_garch import FittedGarch
from forecastle.models.garch import GarchModel
from forecastle.nouns import Candles, FitStatus, Forecast, History
from forecastle.workspace import Workspace

KIND = "garch"
FILE = "model.json"
SCHEMA = "forecastle/saved-model/1"
_LARGEST = 1_000_000
"""Bytes; a file of ours has two thousand."""
_LIBRARIES = ("forecastle", "numpy", "scipy", "arch", "numba")


def _aware(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("the time has no zone")
    return text


Time = Annotated[str, AfterValidator(_aware)]


class _Part(BaseModel):
    """A part of the file: nothing unknown in it, nothing turned into another type, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class _Model(_Part):
    p: int
    o: int
    q: int
    vol: str
    dist: str
    mean: str
    initial_variance: str


class _Status(_Part):
    converged: Literal[True]
    reason: str
    restarts: int


class _Data(_Part):
    instrument: str
    timeframe: str
    source: str
    adjusted: str
    data_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    observations: int
    trained_from: Time
    trained_until: Time


class _Made(_Part):
    at: Time
    git_revision: str
    versions: dict[str, str]


class Record(_Part):
    """What the file holds beside its digest; parameters and log-likelihood in decimals of log return."""

    schema_: Literal["forecastle/saved-model/1"] = Field(alias="schema")
    name: str
    kind: Literal["garch"]
    label: str
    model: _Model
    parameters: dict[str, float]
    loglikelihood: float
    status: _Status
    data: _Data
    made: _Made


@dataclass(frozen=True)
class SavedModel:
    """A model that was loaded: ``record`` is what it says of itself, ``path`` where it lies."""

    path: Path
    record: Record

    @property
    def name(self) -> str:
        """Return the name of its folder, such as ``20261120``."""
        return self.record.name

    @property
    def trained_until(self) -> datetime:
        """Return the close of the last bar it was fitted to."""
        return datetime.fromisoformat(self.record.data.trained_until)

    def on(self, candles: Candles | History) -> FittedGarch:
        """Return the model with its parameters as saved, filtered over ``candles``; nothing is fitted.

        The candles it was fitted to give the same sigma, bit for bit. Raises ``RequestInvalid`` for candles of another
        series, ``ForecastRefused`` for candles that end before those it was fitted to: it would know their future.
        """
        candles = candles.candles if isinstance(candles, History) else candles
        data = self.record.data
        if (candles.instrument.id, candles.timeframe) != (data.instrument, data.timeframe):
            raise RequestInvalid(
                f"The candles are {candles.instrument} {candles.timeframe}.",
                f"The model {self.name} was fitted to {data.instrument} {data.timeframe}.",
                "Give it candles of that series, or fit one to these.",
            )
        if candles.end < self.trained_until:
            raise ForecastRefused(
                f"The candles end {candles.end:%Y-%m-%d %H:%M} UTC.",
                f"The model {self.name} was fitted to bars up to {self.trained_until:%Y-%m-%d %H:%M}: it knows what "
                "came after.",
                "Give it later candles, or fit one to these.",
            )
        model = GarchModel(**self.record.model.model_dump())
        status = FitStatus(**self.record.status.model_dump())
        return FittedGarch.of_parameters(model, self.record.parameters, Sample.of(candles, 2), status)

    def forecast(self, candles: Candles | History, horizon: int = 1) -> Forecast:
        """Return the forecast from the end of ``candles``; ``trained_until`` says how old its parameters are."""
        return dataclasses.replace(self.on(candles).forecast(horizon), trained_until=self.trained_until)


def save(workspace: Workspace, fitted: FittedGarch) -> SavedModel:
    """Write a model fitted to candles as ``models/garch/YYYYMMDD/model.json``; the date is that of the clock, UTC.

    A second model of the day becomes ``YYYYMMDD-2``: nothing is ever replaced. Raises ``ForecastRefused`` for a fit
    that did not converge, ``RequestInvalid`` for another kind of model or one fitted to a bare array,
    ``StorageUnwritable``.
    """
    candles = _candles_of(fitted)
    now = workspace.clock.now()
    folder = _claim(workspace.settings.models / KIND, f"{now:%Y%m%d}")
    document = {
        "schema": SCHEMA, "name": folder.name, "kind": KIND, "label": fitted.label,
        "model": {f.name: getattr(fitted.model, f.name) for f in dataclasses.fields(GarchModel)},
        "parameters": {name: float(value) for name, value in fitted.params.items()},
        "loglikelihood": float(fitted.loglikelihood), "status": dataclasses.asdict(fitted.status),
        "data": {
            "instrument": candles.instrument.id, "timeframe": candles.timeframe, "source": candles.source,
            "adjusted": candles.adjusted, "data_hash": candles.data_hash,
            "observations": int(fitted.sample.returns.size), "trained_from": candles.start.isoformat(),
            "trained_until": candles.end.isoformat(),
        },
        "made": {
            "at": now.isoformat(), "git_revision": git_revision(),
            "versions": {name: metadata.version(name) for name in _LIBRARIES},
        },
    }  # fmt: skip
    return SavedModel(_written(folder, document), Record.model_validate(document))


def load(workspace: Workspace, name: str) -> SavedModel:
    """Return the model saved under a name such as ``20261120``; raises as :func:`read` does."""
    folder = workspace.settings.models / KIND
    found = saved_names(workspace)
    if name not in found:
        raise DataMissing(
            f"There is no saved model '{name}' in {folder}.",
            f"Saved there: {', '.join(found) or 'nothing'}.",
            "Choose one of these, or save one with: forecastle volatility search",
        )
    return read(folder / name / FILE)


def load_model(name: str, home: str | Path | None = None) -> SavedModel:
    """Return a saved model: ``fc.load_model("20261120").forecast(candles)``; raises as :func:`read` does."""
    return load(Workspace.open(None if home is None else Path(home)), name)


def saved_names(workspace: Workspace) -> list[str]:
    """Return the names of the saved models, oldest day first."""
    found = [path.parent.name for path in (workspace.settings.models / KIND).glob(f"*/{FILE}")]
    return sorted(found, key=lambda name: (name[:8], len(name), name))


def read(path: Path) -> SavedModel:
    """Return the model of a file, checked before anything of it is used.

    Raises ``DataMissing`` where there is none, ``DataCorrupt`` where the digest, the name of the folder, a field or a
    value is not what was written, or the schema is not the one this version knows. The digest finds damage and edits;
    it is no signature: who can write the file can also write its digest.
    """
    document = _parsed(path)
    claimed = document.pop("sha256", None)
    if document.get("schema") != SCHEMA:
        raise _broken(path, f"its schema is {str(document.get('schema'))[:80]!r}, and {SCHEMA} is known here")
    if claimed != _digest(document):
        raise _broken(path, "its digest is not that of its content")
    try:
        record = Record.model_validate(document)
        model = GarchModel(**record.model.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        raise _broken(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except RequestInvalid as error:
        raise _broken(path, error.what.rstrip(".")) from error
    if record.name != path.parent.name:
        raise _broken(path, f"it was written as {record.name}")
    if set(record.parameters) != set(model.parameter_names) or record.label != model.label:
        raise _broken(path, f"its parameters or its label are not those of {model.label}")
    return SavedModel(path, record)


def _candles_of(fitted: FittedGarch) -> Candles:
    """Return the candles behind a fit that may be saved."""
    if not isinstance(fitted, FittedGarch):
        raise RequestInvalid(
            f"{type(fitted).__name__} was to be saved.", "Only models of the GARCH family are saved as files.",
            "Fit a GarchModel.",
        )  # fmt: skip
    if not fitted.status.converged:
        raise ForecastRefused(
            f"{fitted.label} did not converge.", fitted.status.reason or "The optimiser found no maximum.",
            "A failed fit is not saved: use more data, or another model.",
        )  # fmt: skip
    if fitted.sample.candles is None:
        raise RequestInvalid(
            f"{fitted.label} was fitted to a bare array.", "A saved model names its series and its last bar.",
            "Fit it to candles.",
        )  # fmt: skip
    return fitted.sample.candles


def _claim(folder: Path, day: str) -> Path:
    """Make a folder of this day that nobody else has."""
    number = 1
    while True:
        own = folder / (day if number == 1 else f"{day}-{number}")
        try:
            make_folder(folder)
            own.mkdir()
        except FileExistsError:
            number += 1
            continue
        except OSError as error:
            raise unwritable(own, error) from error
        return own


def _written(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write the file with its digest, wholly or not at all; a folder without one is not left behind."""
    text = json.dumps({**document, "sha256": _digest(document)}, indent=2, allow_nan=False)
    try:
        write_bytes(folder / FILE, f"{text}\n".encode())
    except StorageUnwritable:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    return folder / FILE


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise DataMissing(
            f"{path} cannot be read.", f"{error.strerror or error}.", "Name a model that is there."
        ) from error
    if len(content) > _LARGEST:
        raise _broken(path, f"it has more than {_LARGEST} bytes")
    try:
        document = json.loads(content, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"it is not the JSON that was written ({error})") from error
    if not isinstance(document, dict):
        raise _broken(path, "it is not one JSON object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a name stands there twice")
    return dict(pairs)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _broken(path: Path, why: str) -> DataCorrupt:
    return DataCorrupt(
        f"{path} is not the model that was saved.", f"{why[:1].upper()}{why[1:]}.",
        "Take it from a backup, or fit and save it again.",
    )  # fmt: skip


def _digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the JSON in one form: sorted names, no spaces, ASCII."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
