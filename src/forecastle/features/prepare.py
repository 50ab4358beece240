"""Scalers, limits and imputers that live inside the fold: learned from training rows, applied to any.

A step is not fitted and cannot transform; only what its ``fit`` returns can, and it remembers until when it was trained
and on which columns. There is no scaler over a whole series: :func:`walk` refits as time goes by.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from statistics import NormalDist
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import DataInvalid, NameUnknown, RequestInvalid
from forecastle.nouns import FeatureColumn, FeatureFrame, FeatureSpec

FloatArray = npt.NDArray[np.float64]
Parameters = Mapping[str, FloatArray]
"""What was learned, by name, one value a column; NaN where the training rows had none."""
Specs = tuple[FeatureSpec, ...]

_ROUNDING = 10.0 * float(np.finfo(np.float64).eps)
_MAD = 1.0 / NormalDist().inv_cdf(0.75)
"""Makes the median absolute deviation of a normal law its standard deviation."""


class Fitted(Protocol):
    """What may transform: a step, or a chain of them, with what it learned."""

    @property
    def trained_until(self) -> datetime:
        """Return the last ``known_at`` of the training rows, UTC."""
        ...

    def transform(self, frame: FeatureFrame) -> FeatureFrame:
        """Return the frame transformed; raises ``DataInvalid`` where it is of another kind than the training rows."""
        ...

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data, for JSON."""
        ...


class Step(ABC):
    """Something that has to be fitted before it can transform."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Return what stands in the steps of a frame, with the settings."""

    @property
    def context(self) -> int:
        """Return how many rows before a row its transform looks at; none for most."""
        return 0

    @abstractmethod
    def fit(self, train: FeatureFrame) -> Fitted:
        """Learn from these rows alone; raises ``DataInvalid`` where there are none or a value is infinite."""

    @abstractmethod
    def specs_after(self, specs: Specs) -> Specs:
        """Return the columns that come out of these at most: all of them, whatever the training rows say."""


class ColumnStep(Step):
    """A step that treats each column by itself, each row by itself. Nulls stay null unless it says otherwise."""

    kind: ClassVar[str]
    learns: ClassVar[tuple[str, ...]] = ()
    """The names of its parameters."""
    unit: ClassVar[str | None] = None
    """The unit of what comes out; None where it is that of what went in."""

    @property
    def name(self) -> str:
        """Return the kind with the settings, such as ``winsorise(0.01,0.99)``."""
        settings = ",".join(f"{value:g}" if isinstance(value, float) else str(value) for value in self._settings())
        return f"{self.kind}({settings})" if settings else self.kind

    def _settings(self) -> tuple[object, ...]:
        return tuple(asdict(self).values())  # type: ignore[call-overload]

    def fit(self, train: FeatureFrame) -> FittedStep:
        """Learn from these rows alone; raises ``DataInvalid`` where there are none or a value is infinite."""
        until, values = train.end, train.values()
        _refuse_infinite(train, values)
        known = np.isfinite(values).any(axis=0)
        # one column after the other in memory: the sums do not depend on how the frame was cut
        learned = self.learn(np.ascontiguousarray(values.T[known])) if known.any() else {}
        parameters = {name: np.full(known.size, np.nan) for name in self.learns}
        for name, found in learned.items():
            parameters[name][known] = found
        return FittedStep(self, train.fingerprint, train.columns, until, len(train), parameters)

    def specs_after(self, specs: Specs) -> Specs:
        """Return the same columns, in the unit of the step."""
        if self.unit is None:
            return specs
        unit = self.unit
        return tuple(replace(s, columns=tuple(replace(c, unit=unit) for c in s.columns)) for s in specs)

    @abstractmethod
    def learn(self, values: FloatArray) -> dict[str, FloatArray]:
        """Return the parameters from ``values`` of shape (columns, rows), NaN where null, each with some value."""

    @abstractmethod
    def apply(self, values: FloatArray, parameters: Parameters) -> FloatArray:
        """Return the columns that come out, shape (rows, columns), NaN where null."""

    def transformed(self, frame: FeatureFrame, parameters: Parameters) -> FeatureFrame:
        """Return the frame with what ``apply`` makes of its values."""
        specs = self.specs_after(frame.specs)
        names = [column.name for spec in specs for column in spec.columns]
        values = self.apply(frame.values(), parameters)
        columns = pl.DataFrame({n: values[:, i] for i, n in enumerate(names)}, dict.fromkeys(names, pl.Float64), nan_to_null=True)
        return replace(frame, specs=specs, frame=frame.frame.select("known_at").hstack(columns), steps=(*frame.steps, self.name))


@dataclass(frozen=True)
class Standardise(ColumnStep):
    """``(x - mean) / std`` of the training rows; std with n, not n - 1. A constant column has the scale 1."""

    kind: ClassVar[str] = "standardise"
    learns: ClassVar[tuple[str, ...]] = ("centre", "scale")
    unit: ClassVar[str | None] = "training standard deviations"

    def learn(self, values: FloatArray) -> dict[str, FloatArray]:
        """Return mean and standard deviation."""
        return {"centre": np.nanmean(values, axis=1), "scale": _scale(np.nanstd(values, axis=1), values)}

    def apply(self, values: FloatArray, parameters: Parameters) -> FloatArray:
        """Return the values in units of the scale; null where the column had no training value."""
        return (values - parameters["centre"]) / parameters["scale"]
