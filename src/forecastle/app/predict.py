"""The latest forecast of a served model: milliseconds once it is loaded, and refused where the features are others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.app._feature_inputs import inputs_of
from forecastle.app._kept_models import FOLDER, folder_of, model_names, read_kept
from forecastle.app.build_features import read_table
from forecastle.app.online_features import OnlineFeatures
from forecastle.errors import DataMissing, DefinitionChanged, ForecastRefused, NameUnknown, UpstreamError
from forecastle.experiments.fitted_recipe import FittedRecipe
from forecastle.features import catalogue, compute, features_of
from forecastle.lake.model_files import ModelFolder
from forecastle.models.conformal import AdaptiveConformal
from forecastle.nouns import FeatureFrame, FeatureSpec, FitStatus, Forecast, Instrument
from forecastle.nouns.candles import TIME
from forecastle.nouns.prediction import Call, Prediction
from forecastle.requests import FeaturesRequest, PredictRequest
from forecastle.sessions import Timeframe, calendar
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
Served = Literal["online", "offline", "computed"]


@dataclass(frozen=True, eq=False)
class _Loaded:
    recipe: FittedRecipe
    model: ModelFolder

    def about(self, name: str) -> str:
        return str(self.model.about[name])


@dataclass(frozen=True, eq=False)
class _Rows:
    """The latest row of features, with the rows before it that the learner looks back on."""

    frame: FeatureFrame
    served: Served
    note: str


class Predictor:
    """Predicts from loaded models; keep it open: loading costs up to a second, a prediction a few milliseconds."""

    def __init__(self, workspace: Workspace) -> None:
        """Look at the models of a home; each is loaded, and proven, by the first prediction that needs it."""
        self._workspace = workspace
        self._online = OnlineFeatures(workspace)
        self._models: dict[str, _Loaded] = {}

    def predict(self, request: PredictRequest) -> Prediction:
        """Return the latest prediction of a series.

        Features are read from the online store, from the table where the model looks back on several rows, and are
        computed from the candles where neither is there. Raises ``DataMissing`` where no model was trained,
        ``NameUnknown`` for a model that is not there, ``DataCorrupt`` for one that is damaged, ``DefinitionChanged``
        where the features are not those it was trained on, ``ForecastRefused`` where it knows the future of the row or
        the row cannot be forecast.
        """
        loaded = self._loaded(request)
        rows = self._rows(request, loaded.recipe)
        recipe = loaded.recipe
        if rows.frame.fingerprint != recipe.fingerprint:
            raise DefinitionChanged(
                f"The features of {request.instrument} {request.timeframe} are not those of the model "
                f"{loaded.model.path.name}.",
                _difference(rows.frame, recipe, loaded.about("source")),
                "Train it anew: forecastle train CONFIG; or name another with --model.",
            )
        return _made(loaded, rows)

    def _loaded(self, request: PredictRequest) -> _Loaded:
        horizon = request.horizon or self._only_horizon(request)
        folder = folder_of(self._workspace.settings, request.instrument.id, request.timeframe, horizon)
        names = model_names(folder)
        if not names:
            raise _untrained(request, horizon)
        name = names[-1] if request.model is None else request.model
        if name not in names:
            raise NameUnknown("model", name, names)
        key = str(folder / name)
        if key not in self._models:
            self._models[key] = _Loaded(*read_kept(folder / name))
        return self._models[key]

    def _only_horizon(self, request: PredictRequest) -> int:
        place = self._workspace.settings.models / FOLDER / request.instrument.id / request.timeframe
        found = sorted(int(p.name[1:]) for p in place.glob("h*") if p.name[1:].isdecimal() and model_names(p))
        if not found:
            raise _untrained(request, None)
        return found[0]

    def _rows(self, request: PredictRequest, recipe: FittedRecipe) -> _Rows:
        if set(recipe.input_columns) <= _stored():
            try:
                if recipe.learner_context:
                    return self._from_table(request, recipe)
                return self._from_store(request, recipe.input_columns)
            except (DataMissing, UpstreamError):
                pass  # no table was built: the candles are there
        return self._computed(request, recipe)

    def _from_store(self, request: PredictRequest, columns: Sequence[str]) -> _Rows:
        reading = self._online.read(request.instrument, request.timeframe, columns, request.source)
        row: dict[str, list[object]] = {"known_at": [reading.known_at]}
        row |= {name: [reading.values[name]] for name in columns}
        frame = _framed(request.instrument, request.timeframe, reading.source, columns, row)
        return _Rows(frame, reading.served_from, reading.note)

    def _from_table(self, request: PredictRequest, recipe: FittedRecipe) -> _Rows:
        wanted = FeaturesRequest(instrument=request.instrument, timeframe=request.timeframe, source=request.source)
        table = read_table(self._workspace, wanted).select(recipe.input_columns)
        return _Rows(table.rows(len(table) - recipe.learner_context - 1, len(table)), "offline", "")

    def _computed(self, request: PredictRequest, recipe: FittedRecipe) -> _Rows:
        owner = {column.name: f.spec.name for f in catalogue() for column in f.spec.columns}
        names = list(dict.fromkeys(owner.get(c, c.split(".", maxsplit=1)[0]) for c in recipe.input_columns))
        wanted = FeaturesRequest(instrument=request.instrument, timeframe=request.timeframe, source=request.source)
        whole = set(recipe.input_columns) <= set(owner)
        history = inputs_of(self._workspace, wanted, catalogue() if whole else features_of(names))
        frame = compute(history, None if whole else names).select(recipe.input_columns)
        note = "No feature table was built: computed from the candles. forecastle features build makes it quick."
        return _Rows(frame.rows(len(frame) - recipe.learner_context - 1, len(frame)), "computed", note)


def predict(workspace: Workspace, request: PredictRequest) -> Prediction:
    """Return one prediction; see :class:`Predictor`, which a server keeps open."""
    return Predictor(workspace).predict(request)


def _made(loaded: _Loaded, rows: _Rows) -> Prediction:
    recipe, about = loaded.recipe, loaded.model.about
    prepared = recipe.prepared_values(rows.frame)
    lead = prepared.shape[0] - 1
    value = float(recipe.predict(prepared, lead)[0])
    if not np.isfinite(value):
        unknown = [c for c, v in zip(rows.frame.columns, rows.frame.values()[-1], strict=True) if np.isnan(v)]
        raise ForecastRefused(
            f"{recipe.label} gives no forecast for the row of {rows.frame.end:%Y-%m-%d %H:%M}.",
            f"It needs {recipe.learner_context + 1} known rows; not known: {', '.join(unknown[:5]) or 'rows before'}.",
            "Wait for more bars, or fetch what is missing.",
        )
    share = 0.0 if recipe.novelty is None else float(recipe.novelty.share(prepared[lead:])[0])
    new = recipe.novelty is not None and share > recipe.novelty.limit
    low, high = _bounds(recipe, value, float(about["level"]))
    call, reasons = _call(recipe, value, share, new, float(about["abstain_within"]))
    baseline = 0.0 if recipe.unit == "log return" else recipe.base
    return Prediction(
        _forecast(loaded, rows, value, prepared), recipe.task, recipe.unit, value, baseline, recipe.threshold, low,
        high, float(about["level"]), call, bool(reasons), reasons, new, share, loaded.model.path.name,
        loaded.about("learner"), loaded.about("verdict"), bool(about["edge"]), rows.frame.source, rows.served,
        rows.note,
    )  # fmt: skip


def _call(recipe: FittedRecipe, value: float, share: float, new: bool, within: float) -> tuple[Call, tuple[str, ...]]:
    """Return up, down or nothing, and why nothing."""
    reasons = []
    if new and recipe.novelty is not None:
        reasons.append(
            f"the row is unlike the training rows: {100 * share:.0f} % of its columns lie outside what was seen, "
            f"{100 * recipe.novelty.limit:.0f} % is usual"
        )
    if recipe.task == "direction" and abs(value - recipe.base) < within:
        reasons.append(f"the probability is within {within:g} of the base rate {recipe.base:.3f}")
    if reasons or recipe.unit == "log volatility":
        return "none", tuple(reasons)
    if recipe.task == "direction":
        return ("up" if value >= recipe.threshold else "down"), ()
    return ("up" if value > 0.0 else "down"), ()


def _bounds(recipe: FittedRecipe, value: float, level: float) -> tuple[float | None, float | None]:
    """Return the conformal interval made of the errors on the rows held out."""
    if recipe.task == "direction" or not recipe.scores.size:
        return None, None
    nothing = np.array([np.datetime64("NaT", "us")])
    path = AdaptiveConformal(level).walk(np.array([value]), np.array([np.nan]), nothing, nothing, recipe.scores)
    return float(path.low[0]), float(path.high[0])


def _forecast(loaded: _Loaded, rows: _Rows, value: float, prepared: FloatArray) -> Forecast:
    recipe, frame = loaded.recipe, rows.frame
    as_of = frame.end
    if recipe.trained_until > as_of:
        raise ForecastRefused(
            f"The features end {as_of:%Y-%m-%d %H:%M} UTC.",
            f"The model {loaded.model.path.name} was trained until {recipe.trained_until:%Y-%m-%d %H:%M}: it knows "
            "what came after.",
            "Bring the features up to date: forecastle features build; or name an older model.",
        )
    sessions = calendar(frame.instrument.calendar)
    after = np.datetime64(as_of.replace(tzinfo=None), "us")
    closes = sessions.next_closes(after, frame.timeframe, recipe.horizon)
    target: datetime = closes[-1].astype("datetime64[us]").item()
    seen = hashlib.sha256(prepared.tobytes()).hexdigest()
    return Forecast(
        recipe.distribution(value), recipe.horizon, recipe.label, loaded.model.digest, seen, FitStatus(converged=True),
        frame.instrument, frame.timeframe, frame.source, as_of, target.replace(tzinfo=UTC), recipe.trained_until,
        float(loaded.model.about["periods_per_year"]),
    )  # fmt: skip


@lru_cache(maxsize=1)
def _stored() -> frozenset[str]:
    return frozenset(column.name for feature in catalogue() for column in feature.spec.columns)


@lru_cache(maxsize=64)
def _specs(columns: tuple[str, ...]) -> tuple[FeatureSpec, ...]:
    wanted = set(columns)
    parts = [(f.spec, tuple(c for c in f.spec.columns if c.name in wanted)) for f in catalogue()]
    return tuple(replace(spec, columns=kept) for spec, kept in parts if kept)


def _framed(
    instrument: Instrument, timeframe: Timeframe, source: str, columns: Sequence[str], rows: dict[str, list[object]]
) -> FeatureFrame:
    """Return stored values as a frame with the definitions of today."""
    specs = _specs(tuple(columns))
    names = [c.name for spec in specs for c in spec.columns]
    numbers = np.array([rows[n] for n in names], dtype=np.float64).T  # None is NaN here
    known = pl.Series("known_at", rows["known_at"], dtype=TIME)
    frame = pl.from_numpy(numbers, schema=names).fill_nan(None).insert_column(0, known)
    return FeatureFrame(instrument, timeframe, source, specs, frame, "")


def _difference(frame: FeatureFrame, recipe: FittedRecipe, source: str) -> str:
    if frame.source != source:
        return f"It was trained on {source}, these are of {frame.source}."
    lacking = [c for c in recipe.input_columns if c not in frame.columns]
    if lacking:
        return f"They lack {', '.join(lacking[:5])}."
    return f"It was trained on the fingerprint {recipe.fingerprint[:16]}, these have {frame.fingerprint[:16]}: a " \
        "definition has changed since, or the candles were filled."  # fmt: skip


def _untrained(request: PredictRequest, horizon: int | None) -> DataMissing:
    bars = "" if horizon is None else f" over {horizon} bars"
    return DataMissing(
        f"There is no model of {request.instrument} {request.timeframe}{bars}.", "None was trained in this home.",
        "Train one: forecastle train CONFIG, such as configs/btc-daily.yaml.",
    )  # fmt: skip
