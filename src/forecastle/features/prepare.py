"""Scalers, limits and imputers that live inside the fold: learned from training rows, applied to any.

A step is not fitted and cannot transform; only what its ``fit`` returns can, and it remembers until when it was trained
and on which columns. There is no scaler over a whole series: :func:`walk` refits as time goes by.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
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


class Unfitted(ABC):
    """Something that has to be fitted before it can transform: a step, or a chain of them."""

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


class ColumnStep(Unfitted):
    """A step that treats each column by itself, and each row. Nulls stay null unless it says otherwise."""

    kind: ClassVar[str]
    learns: ClassVar[tuple[str, ...]] = ()
    """The names of its parameters."""
    unit: ClassVar[str | None] = None
    """The unit of what comes out; None where it is that of what went in."""

    @property
    def name(self) -> str:
        """Return the kind with its settings, such as ``winsorise(0.01,0.99)``."""
        settings = ",".join(f"{v:.15g}" if isinstance(v, float) else str(v) for v in self.settings.values())
        return f"{self.kind}({settings})" if settings else self.kind

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    def fit(self, train: FeatureFrame) -> FittedStep:
        """Learn from these rows alone; raises ``DataInvalid`` where there are none or a value is infinite."""
        until, values = train.end, train.values()
        _refuse_infinite(train, values)
        known = np.isfinite(values).any(axis=0)
        parameters = {name: np.full(known.size, np.nan) for name in self.learns}
        if known.any():
            # one column after the other in memory: the sums do not depend on how the frame was cut
            for name, found in self._learn(np.ascontiguousarray(values.T[known])).items():
                parameters[name][known] = found
        return FittedStep(self, train.fingerprint, train.columns, until, len(train), parameters)

    def specs_after(self, specs: Specs) -> Specs:
        """Return the same columns, in the unit of the step."""
        if self.unit is None:
            return specs
        unit = self.unit
        return tuple(replace(s, columns=tuple(replace(c, unit=unit) for c in s.columns)) for s in specs)

    def _learn(self, values: FloatArray) -> dict[str, FloatArray]:
        """Return the parameters from ``values`` of shape (columns, rows), NaN where null, some value in each column."""
        return {}

    def _apply(self, values: FloatArray, parameters: Parameters) -> FloatArray:
        """Return what comes out of ``values`` of shape (rows, columns), NaN where null."""
        return values

    def _transformed(self, frame: FeatureFrame, parameters: Parameters) -> FeatureFrame:
        """Return the frame with what ``_apply`` makes of its values."""
        specs = self.specs_after(frame.specs)
        values = self._apply(frame.values(), parameters)
        made = {c.name: values[:, i] for i, c in enumerate(c for s in specs for c in s.columns)}
        columns = pl.DataFrame(made, nan_to_null=True)
        return _after(self, replace(frame, specs=specs, frame=frame.frame.select("known_at").hstack(columns)))


@dataclass(frozen=True)
class _Scaled(ColumnStep):
    """Values from a centre in units of a scale; null where the column had no training value."""

    learns: ClassVar[tuple[str, ...]] = ("centre", "scale")

    def _apply(self, values: FloatArray, parameters: Parameters) -> FloatArray:
        return np.asarray((values - parameters["centre"]) / parameters["scale"])


@dataclass(frozen=True)
class Standardise(_Scaled):
    """``(x - mean) / std`` of the training rows, std with n below; the scale of a constant column is 1."""

    kind: ClassVar[str] = "standardise"
    unit: ClassVar[str | None] = "training standard deviations"

    def _learn(self, values: FloatArray) -> dict[str, FloatArray]:
        return {"centre": np.nanmean(values, axis=1), "scale": _scale(np.nanstd(values, axis=1), values)}


@dataclass(frozen=True)
class RobustScale(_Scaled):
    """``(x - median) / (q75 - q25)`` of the training rows, quantiles linear; a scale of zero is 1."""

    kind: ClassVar[str] = "robust_scale"
    unit: ClassVar[str | None] = "training interquartile ranges"

    def _learn(self, values: FloatArray) -> dict[str, FloatArray]:
        low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75], axis=1)
        return {"centre": middle, "scale": _scale(high - low, values)}


@dataclass(frozen=True)
class MinMaxScale(_Scaled):
    """``(x - min) / (max - min)`` of the training rows; others may lie outside 0..1, a constant column has scale 1."""

    kind: ClassVar[str] = "minmax_scale"
    unit: ClassVar[str | None] = "share of the training range"

    def _learn(self, values: FloatArray) -> dict[str, FloatArray]:
        low = np.nanmin(values, axis=1)
        return {"centre": low, "scale": _scale(np.nanmax(values, axis=1) - low, values)}


@dataclass(frozen=True)
class _Bounded(ColumnStep):
    """Values beyond limits are put on them; where there is no limit they stay."""

    learns: ClassVar[tuple[str, ...]] = ("low", "high")

    def _apply(self, values: FloatArray, parameters: Parameters) -> FloatArray:
        bounded = np.fmin(np.fmax(values, parameters["low"]), parameters["high"])  # these pass over NaN: no limit
        return np.asarray(np.where(np.isnan(values), np.nan, bounded))


@dataclass(frozen=True)
class Winsorise(_Bounded):
    """Values beyond two training quantiles are put on them.

    The limits are values that occurred: of n training values ``floor(lower n)`` lie below the lower one and
    ``floor((1 - upper) n)`` above the upper one, ties apart. A column constant in training is constant after it. Raises
    ``RequestInvalid`` unless 0 <= lower < upper <= 1.
    """

    lower: float = 0.01
    upper: float = 0.99
    kind: ClassVar[str] = "winsorise"

    def __post_init__(self) -> None:
        _refuse_unordered(self.kind, self.lower, self.upper, within=(0.0, 1.0))

    def _learn(self, values: FloatArray) -> dict[str, FloatArray]:
        ordered, count = np.sort(values, axis=1), np.isfinite(values).sum(axis=1)  # NaN is sorted to the end
        below, above = (np.floor(share * count + 1e-9).astype(np.intp) for share in (self.lower, 1.0 - self.upper))
        rows = np.arange(count.size)
        return {"low": ordered[rows, below], "high": ordered[rows, np.maximum(count - 1 - above, below)]}


@dataclass(frozen=True)
class Clip(_Bounded):
    """Values further than so many spreads from the centre of the training rows are put there.

    ``std``: mean and standard deviation (n below). ``mad``: median and 1.4826 times the median absolute deviation, the
    standard deviation of a normal law. Where the spread is zero there is no limit. Raises ``RequestInvalid`` unless
    low < high, and for another spread.
    """

    low: float = -5.0
    high: float = 5.0
    of: Literal["std", "mad"] = "std"
    kind: ClassVar[str] = "clip"

    def __post_init__(self) -> None:
        _refuse_unordered(self.kind, self.low, self.high, within=(-np.inf, np.inf))
        _refuse_unknown("spread", self.of, ("std", "mad"))

    def _learn(self, values: FloatArray) -> dict[str, FloatArray]:
        if self.of == "std":
            centre, spread = np.nanmean(values, axis=1), np.nanstd(values, axis=1)
        else:
            centre = np.nanmedian(values, axis=1)
            spread = _MAD * np.nanmedian(np.abs(values - centre[:, None]), axis=1)
        spread[_is_rounding(spread, values)] = np.nan
        return {"low": centre + self.low * spread, "high": centre + self.high * spread}


@dataclass(frozen=True)
class Impute(ColumnStep):
    """Nulls become the median or the mean of the training rows, or zero.

    With ``indicator`` each column is followed by ``<name>.missing``: 1 where it was null, else 0. A column without any
    training value has no median or mean and stays null. Raises ``RequestInvalid`` for another strategy.
    """

    strategy: Literal["median", "mean", "zero"] = "median"
    indicator: bool = False
    kind: ClassVar[str] = "impute"
    learns: ClassVar[tuple[str, ...]] = ("fill",)

    def __post_init__(self) -> None:
        _refuse_unknown("strategy", self.strategy, ("median", "mean", "zero"))

    @property
    def name(self) -> str:
        """Return the kind with its settings, such as ``impute(median,indicator)``."""
        return f"{self.kind}({self.strategy}{',indicator' if self.indicator else ''})"

    def _learn(self, values: FloatArray) -> dict[str, FloatArray]:
        if self.strategy == "zero":
            return {"fill": np.zeros(values.shape[0])}
        return {"fill": (np.nanmedian if self.strategy == "median" else np.nanmean)(values, axis=1)}

    def specs_after(self, specs: Specs) -> Specs:
        """Return the same columns, each with its indicator where these are wanted."""
        if not self.indicator:
            return specs
        return tuple(replace(s, columns=tuple(both for c in s.columns for both in (c, _missing(c)))) for s in specs)

    def _apply(self, values: FloatArray, parameters: Parameters) -> FloatArray:
        absent = np.isnan(values)
        filled = np.where(absent, 0.0 if self.strategy == "zero" else parameters["fill"], values)
        if not self.indicator:
            return np.asarray(filled)
        return np.stack([filled, absent.astype(np.float64)], axis=2).reshape(values.shape[0], -1)


@dataclass(frozen=True)
class ForwardFill(ColumnStep):
    """Nulls become the last value before them, ``limit`` rows in a row at most; after that they stay null.

    It counts rows of the frame, also where bars are missing between them, and learns nothing. It looks at ``limit``
    rows before a row: give it that many rows before those you want and cut them off, as :func:`walk` does. Raises
    ``RequestInvalid`` for a limit below one.
    """

    limit: int
    kind: ClassVar[str] = "forward_fill_rows"

    def __post_init__(self) -> None:
        _refuse_below_one("limit", self.limit)

    @property
    def context(self) -> int:
        """Return the limit."""
        return self.limit

    def _transformed(self, frame: FeatureFrame, parameters: Parameters) -> FeatureFrame:
        filled = pl.col(frame.columns).fill_nan(None).forward_fill(self.limit)
        return _after(self, replace(frame, frame=frame.frame.with_columns(filled)))


@dataclass(frozen=True)
class DropConstant(ColumnStep):
    """Columns that do not vary in the training rows, or have no value there, are left out.

    ``fit`` raises ``DataInvalid`` where no column is left.
    """

    kind: ClassVar[str] = "drop_constant"
    learns: ClassVar[tuple[str, ...]] = ("low", "high")

    def fit(self, train: FeatureFrame) -> FittedStep:
        """Learn the range of each column."""
        fitted = super().fit(train)
        if not self._varies(fitted.parameters).any():
            raise DataInvalid(
                f"None of the {len(train.columns)} columns varies in the {len(train)} training rows.",
                "drop_constant would leave nothing.",
                "Train on more rows, or on other features.",
            )
        return fitted

    def _learn(self, values: FloatArray) -> dict[str, FloatArray]:
        return {"low": np.nanmin(values, axis=1), "high": np.nanmax(values, axis=1)}

    def _transformed(self, frame: FeatureFrame, parameters: Parameters) -> FeatureFrame:
        kept = [n for n, varies in zip(frame.columns, self._varies(parameters), strict=True) if varies]
        return _after(self, frame.select(kept))

    @staticmethod
    def _varies(parameters: Parameters) -> npt.NDArray[np.bool_]:
        ends = np.stack([parameters["low"], parameters["high"]], axis=1)
        known = ~np.isnan(ends[:, 0])
        known[known] = ~_is_rounding(ends[known, 1] - ends[known, 0], ends[known])
        return known


_ALL = (Standardise, RobustScale, MinMaxScale, Winsorise, Clip, Impute, ForwardFill, DropConstant)
STEPS: dict[str, type[ColumnStep]] = {step.kind: step for step in _ALL}
"""The steps that a document may name."""


@dataclass(frozen=True)
class Chain(Unfitted):
    """Steps one after the other: each is fitted to what the one before makes of the training rows."""

    steps: tuple[Unfitted, ...]

    def __post_init__(self) -> None:
        if not self.steps:
            raise RequestInvalid("A chain has no steps.", "It has to do something.", "Name one step or more.")

    @property
    def name(self) -> str:
        """Return the names of the steps in their order."""
        return " > ".join(step.name for step in self.steps)

    @property
    def context(self) -> int:
        """Return how many rows before a row the steps look at together."""
        return sum(step.context for step in self.steps)

    def fit(self, train: FeatureFrame) -> FittedChain:
        """Fit the steps one after the other; raises as they do."""
        parts: list[Fitted] = []
        for step in self.steps:
            parts.append(step.fit(train))
            train = parts[-1].transform(train)
        return FittedChain(tuple(parts))

    def specs_after(self, specs: Specs) -> Specs:
        """Return the columns that come out of these at most."""
        for step in self.steps:
            specs = step.specs_after(specs)
        return specs


@dataclass(frozen=True, eq=False)
class FittedStep:
    """A step with what it learned: ``parameters`` by name, arrays of shape (columns,), NaN where nothing was known.

    ``fingerprint`` and ``columns`` are those of the training frame, ``rows`` how many it had. Raises ``DataInvalid``
    where the parameters are not those of the step and the columns.
    """

    step: ColumnStep
    fingerprint: str
    columns: tuple[str, ...]
    trained_until: datetime
    rows: int
    parameters: Parameters

    def __post_init__(self) -> None:
        shapes = {name: np.shape(found) for name, found in self.parameters.items()}
        if shapes != dict.fromkeys(self.step.learns, (len(self.columns),)):
            raise DataInvalid(
                f"{self.step.name} has the parameters {shapes}.",
                f"It learns {', '.join(self.step.learns) or 'none'}: a value for each of {len(self.columns)} columns.",
                "Fit it again.",
            )

    def transform(self, frame: FeatureFrame) -> FeatureFrame:
        """Return the frame transformed; raises ``DataInvalid`` where it is of another kind than the training rows."""
        refuse_other(frame, self.fingerprint, self.columns, self.step.name)
        return self.step._transformed(frame, self.parameters)

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data, for JSON; a value that is not known is None."""
        found = {n: [None if np.isnan(v) else float(v) for v in values] for n, values in self.parameters.items()}
        return {
            "step": self.step.kind, "settings": self.step.settings, "fingerprint": self.fingerprint,
            "columns": list(self.columns), "trained_until": self.trained_until.isoformat(), "rows": self.rows,
            "parameters": found,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class FittedChain:
    """Fitted steps, applied one after the other."""

    parts: tuple[Fitted, ...]

    @property
    def trained_until(self) -> datetime:
        """Return the last ``known_at`` of the training rows, UTC."""
        return self.parts[0].trained_until

    def transform(self, frame: FeatureFrame) -> FeatureFrame:
        """Return the frame transformed; raises ``DataInvalid`` where it is of another kind than the training rows."""
        for part in self.parts:
            frame = part.transform(frame)
        return frame

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data, for JSON."""
        return {"step": "chain", "parts": [part.document() for part in self.parts]}


def from_document(document: Mapping[str, Any]) -> Fitted:
    """Return the fitted step or chain that a ``document()`` tells of.

    Raises ``NameUnknown`` for a step nobody knows, ``RequestInvalid`` for settings out of bounds, ``DataInvalid`` where
    something is missing or of another form.
    """
    try:
        return _read(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataInvalid(
            "This is not the document of a fitted step.",
            f"{type(error).__name__}: {error}.",
            "Fit the step again and keep what document() returns.",
        ) from error


def _read(document: Mapping[str, Any]) -> Fitted:
    kind = document["step"]
    if kind == "chain":
        first, *others = document["parts"]
        return FittedChain((_read(first), *map(_read, others)))
    if kind not in STEPS:
        raise NameUnknown("step", str(kind), [*STEPS, "chain"])
    parameters = {name: np.array(found, dtype=np.float64) for name, found in document["parameters"].items()}
    return FittedStep(
        STEPS[kind](**document["settings"]), str(document["fingerprint"]), tuple(map(str, document["columns"])),
        moment_of(document["trained_until"]), int(document["rows"]), parameters,
    )  # fmt: skip


def moment_of(text: str) -> datetime:
    """Return a moment as ``document()`` writes it, in UTC; raises ``ValueError`` where it has no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the moment {text} has no zone")
    return moment.astimezone(UTC)


def walk(step: Unfitted, frame: FeatureFrame, first: int, every: int) -> FeatureFrame:
    """Return the rows from ``first`` on, each transformed by a fit to rows before it.

    At ``first`` and every ``every`` rows after it the step is fitted to all rows before, and transforms the block of
    rows until the next of these. A row depends on its training rows and itself, with a forward fill on some rows before
    it too; cutting off or changing what comes later changes nothing. A column that a fit leaves out is null in its
    block. Raises ``RequestInvalid`` where ``first`` or ``every`` is below one, and what the step raises.
    """
    _refuse_below_one("first", first)
    _refuse_below_one("every", every)
    specs = step.specs_after(frame.specs)
    wanted = [column.name for spec in specs for column in spec.columns]
    blocks = [
        _block(step, frame, start, min(start + every, len(frame))).frame for start in range(first, len(frame), every)
    ]
    empty = pl.DataFrame(schema={"known_at": frame.frame.schema["known_at"], **dict.fromkeys(wanted, pl.Float64())})
    rows = pl.concat([empty, *blocks], how="diagonal")
    return replace(frame, specs=specs, frame=rows, steps=(*frame.steps, f"walk({step.name},{first},{every})"))


def _block(step: Unfitted, frame: FeatureFrame, start: int, after: int) -> FeatureFrame:
    """Return the rows ``start`` to ``after`` - 1, transformed by a fit to the rows before."""
    begin = max(start - step.context, 0)
    return step.fit(frame.rows(0, start)).transform(frame.rows(begin, after)).rows(start - begin, after - begin)


def refuse_other(frame: FeatureFrame, fingerprint: str, columns: tuple[str, ...], what: str) -> None:
    """Raise ``DataInvalid`` where a frame is not of the kind that ``what`` was fitted on, saying how it differs."""
    if frame.fingerprint == fingerprint and frame.columns == columns:
        return
    lacking, extra = [c for c in columns if c not in frame.columns], [c for c in frame.columns if c not in columns]
    parts = [f"{word} {', '.join(names[:5])}{' ...' * (len(names) > 5)}" for word, names in
             (("it lacks", lacking), ("it has besides", extra)) if names]  # fmt: skip
    raise DataInvalid(
        f"{what} was not fitted on frames such as this one of {frame.instrument}, {frame.timeframe}.",
        "; ".join(parts) + "." if parts else "Its series, its definitions or the steps done before are others.",
        "Give the columns it was fitted on, computed and prepared in the same way, or fit it anew.",
    )


def _after(step: Unfitted, frame: FeatureFrame) -> FeatureFrame:
    """Return the frame with the step named among what was done: its fingerprint is another now."""
    return replace(frame, steps=(*frame.steps, step.name))


def _missing(column: FeatureColumn) -> FeatureColumn:
    return FeatureColumn(f"{column.name}.missing", "indicator")


def _is_rounding(spread: FloatArray, values: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which spreads are nothing but rounding beside the values, shape (columns,)."""
    return np.asarray(spread <= _ROUNDING * np.nanmax(np.abs(values), axis=1))


def _scale(spread: FloatArray, values: FloatArray) -> FloatArray:
    """Return what to divide by: 1 where the spread is zero."""
    return np.where(_is_rounding(spread, values), 1.0, spread)


def _refuse_infinite(train: FeatureFrame, values: FloatArray) -> None:
    wrong = np.isinf(values).any(axis=0)
    if wrong.any():
        raise DataInvalid(
            f"The column {train.columns[int(np.argmax(wrong))]} of {train.instrument} has infinite values.",
            "Nothing can be learned from them; what is not known is null.",
            "Mend the feature, or leave the column out.",
        )


def _refuse_unordered(kind: str, low: float, high: float, within: tuple[float, float]) -> None:
    if not (within[0] <= low < high <= within[1]):  # NaN fails this, too
        raise RequestInvalid(
            f"{kind} has the limits {low} and {high}.",
            f"The lower one has to lie below the upper one, both within {within[0]:g} and {within[1]:g}.",
            "Give other limits.",
        )


def _refuse_unknown(noun: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise NameUnknown(noun, name, known)


def _refuse_below_one(name: str, value: int) -> None:
    if value < 1:
        raise RequestInvalid(f"{name} is {value}.", "It counts rows, one or more.", "Give a number above zero.")
