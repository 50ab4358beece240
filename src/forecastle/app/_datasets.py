"""From candles of the lake to datasets: features and labels by instrument and horizon, cut before what is locked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from forecastle.app._feature_inputs import hash_of, inputs_of
from forecastle.app._held_out import Looked, before_locks
from forecastle.errors import DataInvalid, DataMissing, RequestInvalid
from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.evaluate import with_noise
from forecastle.experiments.spec import TrainConfig
from forecastle.features import Feature, catalogue, compute, features_of
from forecastle.nouns import FeatureFrame, Fold, History, Instrument
from forecastle.nouns.dataset import Dataset
from forecastle.requests import FeaturesRequest
from forecastle.splits import SPLITS
from forecastle.workspace import Workspace

SCALED = frozenset({"price", "volume", "price volume", "USD", "addresses", "log return per million of quote currency"})
"""Units that depend on where the price or the volume stands: no model learns from them what holds at another level."""
NAIVE_COLUMNS = ("log_return_1", "realized_volatility_20")
"""What the naive forecasts look at: always among the columns."""
FEWEST = 200
"""Rows with a label below which nothing is trained."""
FEWEST_OF_CLASS = 20


@dataclass(frozen=True, eq=False)
class Series:
    """One instrument and horizon, ready for training; ``span`` is what was looked at."""

    instrument: Instrument
    horizon: int
    dataset: Dataset
    folds: tuple[Fold, ...]
    span: DataSpan
    source: str
    history: History

    @property
    def name(self) -> str:
        """Return how it is told apart: ``BTC-USDT h5``."""
        return f"{self.instrument} h{self.horizon}"


def series_of(
    workspace: Workspace,
    config: TrainConfig,
    instrument: Instrument,
    opening: str | None = None,
    changed: Callable[[History], History] | None = None,
) -> tuple[list[Series], Looked]:
    """Return a series for each horizon of the configuration, of one instrument.

    What is held out is cut off, unless ``opening`` says why it is looked at: that is counted. ``changed`` is what an
    audit does to the history before anything is computed of it. Raises ``DataMissing``,
    ``DataInvalid`` where the rows are too few or of one class.
    """
    features = _features(config)
    request = FeaturesRequest(instrument=instrument, timeframe=config.data.timeframe, source=config.data.source)
    history = inputs_of(workspace, request, features)
    history, looked = before_locks(workspace, config.data, config.plain, history, opening)
    if changed is not None:
        history = changed(history)
    frame = _frame(config, history, features)
    frame = _rows(config, frame)
    span = DataSpan((instrument.id,), config.data.timeframe, history.candles.source, frame.start, history.candles.end,
                    hash_of(history))  # fmt: skip
    found = []
    for horizon in config.horizons:
        labels = config.made_target(horizon).labels(history.candles, frame.known_at())
        dataset = with_noise(Dataset(frame, labels), config.features.random, config.seed)
        _refuse_unfit(instrument, dataset)
        folds = config.split.made("split", SPLITS).folds(labels, frame.known_at())
        found.append(Series(instrument, horizon, dataset, folds, span, history.candles.source, history))
    return found, looked


def _features(config: TrainConfig) -> tuple[Feature, ...]:
    if config.features.columns == "scale_free":
        return catalogue()
    owner = {column.name: f.spec.name for f in catalogue() for column in f.spec.columns}
    return features_of(list(dict.fromkeys(owner.get(n, n) for n in (*config.features.columns, *NAIVE_COLUMNS))))


def _frame(config: TrainConfig, history: History, features: tuple[Feature, ...]) -> FeatureFrame:
    """Return the columns that are asked for; those that the lake has no inputs for are left out of ``scale_free``."""
    if config.features.columns == "scale_free":
        frame = compute(history)
        kept = [
            c.name for s in frame.specs for c in s.columns
            if c.unit not in SCALED and frame.frame[c.name].null_count() < len(frame)
        ]  # fmt: skip
    else:
        frame = compute(history, [f.spec.name for f in features])
        named = {*config.features.columns, *NAIVE_COLUMNS}
        kept = [c.name for s in frame.specs for c in s.columns if c.name in named or s.name in named]
    for name in config.features.without:
        if name not in frame.columns and all(name != s.name for s in frame.specs):
            raise RequestInvalid(
                f"features.without names '{name}'.", "There is no such feature or column in the configuration.",
                "See forecastle features list.",
            )  # fmt: skip
    gone = {c.name for s in frame.specs for c in s.columns if s.name in config.features.without}
    gone |= set(config.features.without)
    return frame.select([c for c in kept if c not in gone or c in NAIVE_COLUMNS])


def _rows(config: TrainConfig, frame: FeatureFrame) -> FeatureFrame:
    """Return the rows after the warm-up and within the dates."""
    frame = frame.rows(config.features.warm_up, len(frame)).between(config.data.start)
    if not len(frame):
        raise DataMissing(
            f"No row of {frame.instrument} is left after {config.features.warm_up} of warm-up.",
            "The candles are too few, or begin after data.start.", "Fetch more of them, or shorten features.warm_up.",
        )  # fmt: skip
    return frame


def _refuse_unfit(instrument: Instrument, dataset: Dataset) -> None:
    """Say early what cannot work: too few rows, or one class."""
    labels = dataset.labels
    values = labels.values[labels.known]
    if values.size < FEWEST:
        raise DataInvalid(
            f"{labels.name} of {instrument} has {values.size} rows with a label.", f"Training takes {FEWEST} or more.",
            "Fetch a longer history, shorten the warm-up, or widen the dead band less.",
        )  # fmt: skip
    if labels.task == "direction":
        counts = np.array([(values == 0.0).sum(), (values == 1.0).sum()])
        if counts.min() < FEWEST_OF_CLASS:
            raise DataInvalid(
                f"{labels.name} of {instrument} went down {counts[0]} times and up {counts[1]} times.",
                f"A direction takes {FEWEST_OF_CLASS} or more of each.", "Choose another target or a longer history.",
            )  # fmt: skip
    elif np.ptp(values) == 0.0:
        raise DataInvalid(
            f"{labels.name} of {instrument} is {values[0]:g} in every row.", "There is nothing to learn.",
            "Look at the candles: forecastle quality.",
        )  # fmt: skip


def known_until_end(series: Series) -> Fold:
    """Return the fold of a last fit: every row whose label is known, and nothing to test."""
    rows = np.flatnonzero(~np.isnat(series.dataset.labels.known_at)).astype(np.int64)
    return Fold(len(series.folds), rows, np.array([], dtype=np.int64), "all that is known")


def shortened(series: Series, frame: FeatureFrame) -> Series:
    """Return the series with another feature frame of the same rows."""
    return replace(series, dataset=replace(series.dataset, frame=frame))
