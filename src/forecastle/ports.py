"""The shapes a plug-in can have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.clock import Clock
from forecastle.nouns import (
    Candles,
    Distribution,
    FitStatus,
    FitSummary,
    Forecast,
    History,
    Instrument,
    Observations,
    Returns,
)
from forecastle.nouns.candles import Adjusted, Prices
from forecastle.nouns.dataset import Examples, Task
from forecastle.sessions import Timeframe

VolumeUnit = Literal["base", "quote", "shares", "unknown"]
Extra = Literal["finer", "observations", "peers"]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Progress(Protocol):
    """Told how far long work has come; the face decides what to show."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Take note that ``done`` of ``total`` steps of ``what`` are finished."""
        ...


def silent(done: int, total: int, what: str) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Patience:
    """How long a source bears with a venue that fails; times in seconds, sizes in bytes.

    ``wait`` is the longest single wait that is sat out (a longer one is an ``UpstreamError`` that names the moment),
    ``total`` bounds one question with all its attempts, ``request`` one request from its first byte to its last,
    ``answer`` the size of one answer. The jitter of the waits follows ``seed``, None for another one each time.
    """

    attempts: int = 6
    wait: float = 120.0
    total: float = 900.0
    connect: float = 10.0
    request: float = 60.0
    answer: int = 64 * 1024 * 1024
    seed: int | None = None


@dataclass(frozen=True)
class Line:
    """What a source needs of the house to talk to the outside.

    ``gateway`` is an address that requests are sent through (``{gateway}/{host}/{path}``), None for the open internet;
    ``state`` a folder that outlives the process (who asked us to wait, until when), None to remember nothing.
    ``venues`` belongs to the sources: what they keep of each venue, shared by all of them on this line. Have one line
    in a process, or two of them will ask one venue twice as fast.
    """

    clock: Clock
    sleep: Callable[[float], None]
    gateway: str | None = None
    state: Path | None = None
    patience: Patience = Patience()
    venues: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True)
class SourceFacts:
    """What a reader of the rows has to know, and what the table of sources in the docs shows.

    ``volume`` is the unit of the volume, ``history`` how far back one can ask, ``limits`` how fast, ``licence`` the
    terms; ``fall_back`` names the sources to ask where this one does not have what is wanted. ``pair_volume`` is the
    unit of pairs where it is another.
    """

    title: str
    adjusted: Adjusted
    prices: Prices
    volume: VolumeUnit
    history: str
    limits: str
    licence: str
    fall_back: tuple[str, ...] = ()
    pair_volume: VolumeUnit | None = None
    gives: Literal["candles", "observations"] = "candles"

    def adjusted_of(self, instrument: Instrument) -> Adjusted:
        """Return what the prices of an instrument are adjusted for: coins have no corporate actions."""
        return "none" if instrument.always_open else self.adjusted

    def volume_of(self, instrument: Instrument) -> VolumeUnit:
        """Return the unit of the volume of an instrument."""
        return self.pair_volume if self.pair_volume and instrument.kind == "pair" else self.volume


@dataclass(frozen=True)
class Page:
    """One answer of a source: rows with the columns of candles, as given and not yet checked.

    ``rows`` may hold nulls, NaN, repeats and rows out of order, but no bar that has not closed yet. Every bar that
    opens in ``[since, until)`` was asked for and answered: what is not in ``rows`` the source does not have.
    ``observations`` holds what came with the candles, such as dividends and splits.
    """

    rows: pl.DataFrame
    since: datetime
    until: datetime
    observations: tuple[Observations, ...] = ()


class Source(Protocol):
    """Outside data: gives closed candles of an instrument."""

    @property
    def name(self) -> str:
        """Return the name every row carries as its source."""
        ...

    @property
    def facts(self) -> SourceFacts:
        """Return the units and limits of this source."""
        ...

    def pages(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Iterator[Page]:
        """Yield the bars that open at or after ``start`` and close at or before ``end``, page by page, oldest first.

        Raises ``SourceLimited`` where the source does not have them, ``UpstreamError`` where it fails for now. What
        was yielded before stays true.
        """
        ...


@dataclass(frozen=True)
class ObservedPage:
    """One answer of a source of observations: ``series`` with each moment once, as the source has it now.

    ``notes`` tell a person what was left out of it.
    """

    series: tuple[Observations, ...]
    notes: tuple[str, ...] = ()


@runtime_checkable
class ObservationSource(Protocol):
    """Outside data about a market beside its candles: gives observations."""

    @property
    def name(self) -> str:
        """Return the name every row carries as its source."""
        ...

    @property
    def facts(self) -> SourceFacts:
        """Return the units and limits of this source."""
        ...

    def observations(
        self, instrument: Instrument, start: datetime | None, end: datetime | None
    ) -> Iterator[ObservedPage]:
        """Yield observations about moments from ``start`` to ``end``, page by page, oldest first.

        Raises ``SourceLimited`` where the source does not have them, ``UpstreamError`` where it fails for now. What
        was yielded before stays true.
        """
        ...


@dataclass(frozen=True)
class OneStep:
    """One-step-ahead forecasts for many rows: arrays of shape (rows,), or (rows, levels) for quantiles and ES.

    ``quantiles`` are log returns at the levels asked for, ``es`` positive losses at the same levels.
    """

    mean: FloatArray
    sigma: FloatArray
    quantiles: FloatArray
    es: FloatArray


@dataclass(frozen=True)
class Plan:
    """How a model is walked forward.

    Row 0 forecasts the return after the first ``window`` returns of the series, row i the one after ``i + window``.
    Parameters are estimated at the rows 0, ``refit_every``, 2 ``refit_every`` and so on, and used until the next of
    them. ``levels`` are the probabilities of the quantiles and of ES. Rows before ``first``, a multiple of
    ``refit_every``, are not wanted; what a row says does not depend on it.
    """

    window: int
    refit_every: int
    levels: FloatArray
    first: int = 0


@dataclass(frozen=True)
class Rolled:
    """One-step forecasts walked forward: the rows ``first`` to ``n - window`` of n returns.

    The last row is for the bar after the data. ``fresh`` is False where the parameters are those of an earlier refit
    because a later one failed, shape (rows,); ``refits`` counts the attempts, ``failed`` those that failed.
    """

    step: OneStep
    fresh: BoolArray
    refits: int
    failed: int


class FittedModel(Protocol):
    """A model with its parameters."""

    @property
    def model_hash(self) -> str:
        """Return the SHA-256 of what it is and of its parameters."""
        ...

    @property
    def status(self) -> FitStatus:
        """Return whether the fit is to be believed."""
        ...

    def summary(self) -> FitSummary:
        """Return parameters, errors and criteria."""
        ...

    def forecast(self, horizon: int = 1) -> Forecast:
        """Return the forecast from the end of the data it was fitted to."""
        ...

    def distribution(self, returns: FloatArray, horizon: int) -> Distribution:
        """Return the distribution of the sum of the ``horizon`` returns that follow ``returns``."""
        ...

    def one_step(self, returns: FloatArray, window: int, levels: FloatArray) -> OneStep:
        """Return row i from ``returns[i : i + window]`` alone, for i in 0 .. len(returns) - window."""
        ...


class Model(Protocol):
    """Something that is fitted."""

    @property
    def label(self) -> str:
        """Return the name a table shows, such as ``GARCH(1,1)-t``."""
        ...

    @property
    def naive(self) -> bool:
        """Return whether this is one of the forecasts that others have to beat."""
        ...

    @property
    def wants(self) -> frozenset[Extra]:
        """Return what it looks at beside the candles, where it is there; nothing for most."""
        ...

    @property
    def needs(self) -> frozenset[Extra]:
        """Return what of that it is nothing of its own without; nothing for most."""
        ...

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedModel:
        """Fit to candles, with or without what else is known, or to a 1-d array of log returns in decimals."""
        ...

    def sees(self, history: History, window: int) -> History:
        """Return what of the history a fit for the next bars looks at: the last ``window`` returns, or all of it."""
        ...

    def ahead(self, history: History, horizon: int, window: int) -> Forecast:
        """Return the forecast of the next ``horizon`` bars by a fit to what it ``sees``."""
        ...

    def roll(self, history: History, plan: Plan, progress: Progress = silent) -> Rolled:
        """Return one-step forecasts of the bars after the burn-in, each from what was known before it."""
        ...


class Learner(Protocol):
    """A model of a label from a row of features, not fitted: settings only, a frozen dataclass."""

    @property
    def label(self) -> str:
        """Return the name a table shows, such as ``Random forest``."""
        ...

    @property
    def tasks(self) -> frozenset[Task]:
        """Return what it can learn."""
        ...

    @property
    def naive(self) -> bool:
        """Return whether this is one of the forecasts that others have to beat."""
        ...

    @property
    def scaled(self) -> bool:
        """Return whether it wants columns of like scale; trees do not."""
        ...

    @property
    def context(self) -> int:
        """Return how many rows before a row it looks at; none for most."""
        ...

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Return the only columns it looks at, unprepared; None where it takes what the fold prepares."""
        ...

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedLearner:
        """Learn from ``train``; ``validate`` is a later part of the training rows, for early stopping alone.

        The same examples and seed give the same predictions, to the bit. Raises ``DataInvalid`` where a direction has
        one class only, ``ConfigurationError`` where its library is not installed.
        """
        ...


class FittedLearner(Protocol):
    """A learner with what it learned."""

    @property
    def task(self) -> Task:
        """Return what it learned."""
        ...

    def predict(self, x: FloatArray, lead: int = 0) -> FloatArray:
        """Return the probability of up, or the number, for the rows of ``x`` after the first ``lead``, shape (rows,).

        The first ``lead`` rows are the rows before them and only give context; where there are fewer than the learner
        looks back on, or a row is not known, its prediction is NaN.
        """
        ...

    def quantiles(self, x: FloatArray, levels: FloatArray, lead: int = 0) -> FloatArray | None:
        """Return its own quantiles of the number, shape (rows, levels), never crossing; None where it has none."""
        ...

    def importance(self) -> Mapping[str, float]:
        """Return how much each column counts, not below zero and summing to one; empty where nothing can be said."""
        ...

    def files(self) -> dict[str, bytes]:
        """Return all of it as files by name: JSON, ONNX, XGBoost JSON, LightGBM text or safetensors, never code."""
        ...
