"""Which columns to keep: chosen on training rows alone, written down with the reason for each that is left out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, NameUnknown, RequestInvalid
from forecastle.features.prepare import moment_of, refuse_other
from forecastle.nouns import FeatureFrame

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

FEWEST_ROWS = 30
"""Complete rows that a choice needs."""
_LOG = logging.getLogger("forecastle.features")  # below the log of Forecastle: telemetry sends it to stderr


@dataclass(frozen=True, eq=False)
class _Target:
    """One value a row, shape (rows,), NaN where it is not known."""

    values: FloatArray

    def __post_init__(self) -> None:
        try:
            values = np.array(self.values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataInvalid("The target is not made of numbers.", f"{error}.", "Give one number a row.") from error
        if values.ndim != 1 or np.isinf(values).any():
            raise DataInvalid(
                f"The target has the shape {values.shape} and {int(np.isinf(values).sum())} infinite values.",
                "It is one number a row, NaN where it is not known.",
                "Give an array of shape (rows,).",
            )
        object.__setattr__(self, "values", values)


class NumberTarget(_Target):
    """A target that is a number, such as a log return: ``values`` of shape (rows,), NaN where it is not known.

    What becomes known only after the training part has to be NaN, too: a split takes these rows out. Raises
    ``DataInvalid`` where the values are no numbers, infinite or not one-dimensional.
    """


class ClassTarget(_Target):
    """A target that is a class, such as -1, 0 and 1 for down, flat and up: whole numbers, NaN where it is not known.

    See :class:`NumberTarget`; raises ``DataInvalid`` for a value that is not whole, too.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        odd = self.values[~np.isnan(self.values) & (self.values != np.round(self.values))]
        if odd.size:
            raise DataInvalid(
                f"The target has the class {odd[0]}.",
                "Classes are whole numbers.",
                "Number the classes, or say NumberTarget.",
            )


Target = NumberTarget | ClassTarget


class Selection(ABC):
    """A way to choose columns. It has no ``transform``: only what its ``fit`` returns has.

    Only rows count that are complete: the target and every column known. Columns without any value in the training rows
    and columns that are constant in the complete ones are left out before. The same rows and seed give the same choice.
    """

    kind: ClassVar[str]

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    def fit(self, train: FeatureFrame, target: Target) -> FittedSelection:
        """Choose by these rows alone, and log the list.

        Raises ``DataInvalid`` where the target has another number of rows, fewer than 30 rows are complete, the target
        does not vary or no column does.
        """
        rows = _Rows.of(train, target)
        scores, reasons = self._judged(rows)
        dropped = rows.dropped | reasons
        kept = tuple(name for name in train.columns if name not in dropped)
        fitted = FittedSelection(
            self, train.fingerprint, train.columns, kept, scores, dropped, train.end, rows.y.size, rows.left_out
        )
        _LOG.info(
            "%s on %s %s until %s kept %d of %d columns by %d rows (%d left out): %s; dropped: %s",
            self.kind, train.instrument, train.timeframe, train.end.isoformat(), len(kept), len(train.columns),
            fitted.rows, fitted.rows_left_out, ", ".join(kept),
            ", ".join(f"{name} ({why})" for name, why in dropped.items()) or "none",
        )  # fmt: skip
        return fitted

    @abstractmethod
    def _judged(self, rows: _Rows) -> tuple[dict[str, float], dict[str, str]]:
        """Return the score of each column, and the reason for each that is left out."""


@dataclass(frozen=True)
class CorrelationThreshold(Selection):
    """Of columns that say the same the first is kept.

    From the first column to the last, one is left out where its Pearson correlation with a column kept before is above
    ``limit`` in absolute value. The score is the highest such correlation, 0 for the first. The target only says which
    rows count. Raises ``RequestInvalid`` unless 0 < limit <= 1.
    """

    limit: float = 0.95
    kind: ClassVar[str] = "correlation_threshold"

    def __post_init__(self) -> None:
        _refuse_outside("limit", self.limit, 0.0 < self.limit <= 1.0, "above 0 and at most 1")

    def _judged(self, rows: _Rows) -> tuple[dict[str, float], dict[str, str]]:
        correlation = np.abs(np.atleast_2d(np.corrcoef(rows.x, rowvar=False)))
        kept: list[int] = []
        scores, reasons = {}, {}
        for place, name in enumerate(rows.columns):
            nearest = kept[int(np.argmax(correlation[place, kept]))] if kept else None
            scores[name] = 0.0 if nearest is None else float(correlation[place, nearest])
            if nearest is None or scores[name] <= self.limit:
                kept.append(place)
            else:
                reasons[name] = f"correlation {scores[name]:.3f} with {rows.columns[nearest]}"
        return scores, reasons


@dataclass(frozen=True)
class MutualInformation(Selection):
    """The ``keep`` columns that share most information with the target, each by itself, in nats.

    Estimated from the ``neighbours`` nearest neighbours (Kraskov, Stögbauer and Grassberger 2004, Physical Review E 69,
    066138; for classes Ross 2014, PLoS ONE 9, e87357) by scikit-learn. Of equal scores the first column is kept. Raises
    ``RequestInvalid`` where ``keep`` or ``neighbours`` is below one.
    """

    keep: int = 20
    seed: int = 0
    neighbours: int = 3
    kind: ClassVar[str] = "mutual_information"

    def __post_init__(self) -> None:
        for name, value in (("keep", self.keep), ("neighbours", self.neighbours)):
            _refuse_outside(name, value, value >= 1, "one or more")

    def _judged(self, rows: _Rows) -> tuple[dict[str, float], dict[str, str]]:
        from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

        estimate = mutual_info_classif if rows.classes else mutual_info_regression
        shared = estimate(
            rows.x, rows.y, discrete_features=False, n_neighbors=self.neighbours, random_state=self.seed, n_jobs=1
        )
        return _best(rows.columns, shared, self.keep)


@dataclass(frozen=True)
class PermutationImportance(Selection):
    """The ``keep`` columns whose shuffling costs a model most, on training rows that it was not fitted to.

    The model is fitted to the earlier complete rows and judged on the last ``held_out`` of them, never on the test;
    ``gap`` rows between are left out, for a target over h bars give h - 1. The score is the mean fall over ``repeats``
    shuffles of R² for numbers, of accuracy for classes (Breiman 2001, Machine Learning 45, 5-32). ``forest`` is a
    random forest, ``ridge`` a linear model on standardised columns, both of scikit-learn. Columns that say the same
    share their importance: use :class:`CorrelationThreshold` first. Raises ``NameUnknown`` for another model,
    ``RequestInvalid`` for settings out of bounds; ``fit`` raises ``DataInvalid``, too, where the earlier rows are too
    few or of one class.
    """

    keep: int = 20
    model: Literal["forest", "ridge"] = "forest"
    seed: int = 0
    repeats: int = 5
    held_out: float = 0.3
    gap: int = 0
    kind: ClassVar[str] = "permutation_importance"

    def __post_init__(self) -> None:
        for name, value in (("keep", self.keep), ("repeats", self.repeats)):
            _refuse_outside(name, value, value >= 1, "one or more")
        _refuse_outside("held_out", self.held_out, 0.0 < self.held_out < 1.0, "between 0 and 1")
        _refuse_outside("gap", self.gap, self.gap >= 0, "zero or more")
        if self.model not in ("forest", "ridge"):
            raise NameUnknown("model", self.model, ("forest", "ridge"))

    def _judged(self, rows: _Rows) -> tuple[dict[str, float], dict[str, str]]:
        from sklearn.inspection import permutation_importance

        later = rows.y.size - max(int(self.held_out * rows.y.size), 2)
        earlier = later - self.gap
        if earlier < FEWEST_ROWS // 2 or (rows.classes and np.unique(rows.y[:earlier]).size < 2):
            raise DataInvalid(
                f"The model would be fitted to {max(earlier, 0)} rows, or to rows of one class.",
                f"Of {rows.y.size} complete rows the last {rows.y.size - later} are held out, {self.gap} left between.",
                "Train on more rows, or hold fewer out.",
            )
        model = _estimator(self.model, self.seed, classes=rows.classes).fit(rows.x[:earlier], rows.y[:earlier])
        found = permutation_importance(
            model, rows.x[later:], rows.y[later:], n_repeats=self.repeats, random_state=self.seed, n_jobs=1
        )
        return _best(rows.columns, found.importances_mean, self.keep)


SELECTIONS: dict[str, type[Selection]] = {
    CorrelationThreshold.kind: CorrelationThreshold,
    MutualInformation.kind: MutualInformation,
    PermutationImportance.kind: PermutationImportance,
}
"""The selections that a document may name."""


@dataclass(frozen=True, eq=False)
class FittedSelection:
    """A choice made: ``columns`` are kept, in the order of the frame; ``dropped`` says why each other one is not.

    ``scores`` holds the score of each column that was judged; ``fingerprint`` and ``seen`` are the kind and the columns
    of the training frame, ``rows`` the complete rows, ``rows_left_out`` those that were not.
    """

    selection: Selection
    fingerprint: str
    seen: tuple[str, ...]
    columns: tuple[str, ...]
    scores: Mapping[str, float]
    dropped: Mapping[str, str]
    trained_until: datetime
    rows: int
    rows_left_out: int

    def transform(self, frame: FeatureFrame) -> FeatureFrame:
        """Return the columns kept; raises ``DataInvalid`` where the frame is of another kind than the training rows."""
        refuse_other(frame, self.fingerprint, self.seen, self.selection.kind)
        return frame.select(self.columns)

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data, for JSON."""
        return {
            "selection": self.selection.kind, "settings": self.selection.settings, "fingerprint": self.fingerprint,
            "seen": list(self.seen), "columns": list(self.columns), "scores": dict(self.scores),
            "dropped": dict(self.dropped), "trained_until": self.trained_until.isoformat(), "rows": self.rows,
            "rows_left_out": self.rows_left_out,
        }  # fmt: skip

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> FittedSelection:
        """Return the choice that a ``document()`` tells of.

        Raises ``NameUnknown`` for a selection nobody knows, ``RequestInvalid`` for settings out of bounds,
        ``DataInvalid`` where something is missing or of another form.
        """
        try:
            if document["selection"] not in SELECTIONS:
                raise NameUnknown("selection", str(document["selection"]), SELECTIONS)
            return cls(
                SELECTIONS[document["selection"]](**document["settings"]), str(document["fingerprint"]),
                tuple(map(str, document["seen"])), tuple(map(str, document["columns"])),
                {str(name): float(score) for name, score in document["scores"].items()},
                {str(name): str(why) for name, why in document["dropped"].items()},
                moment_of(document["trained_until"]), int(document["rows"]), int(document["rows_left_out"]),
            )  # fmt: skip
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataInvalid(
                "This is not the document of a selection.",
                f"{type(error).__name__}: {error}.",
                "Fit the selection again and keep what document() returns.",
            ) from error


@dataclass(frozen=True, eq=False)
class _Rows:
    """Complete training rows in the order of time: ``x`` of shape (rows, columns), ``y`` of shape (rows,)."""

    x: FloatArray
    y: FloatArray
    classes: bool
    columns: tuple[str, ...]
    dropped: dict[str, str]
    left_out: int

    @classmethod
    def of(cls, train: FeatureFrame, target: Target) -> _Rows:
        values, y = train.values(), target.values
        if y.size != len(train):
            raise DataInvalid(
                f"The target has {y.size} rows, the frame has {len(train)}.",
                "There is one value of the target for each row.",
                "Cut both in the same way.",
            )
        known = np.isfinite(values)
        seen: BoolArray = np.any(known, axis=0)
        complete = known[:, seen].all(axis=1) & ~np.isnan(y) & seen.any()
        _refuse_few(train, known[:, seen], int(complete.sum()), seen)
        used = values[complete]
        varies = seen & (np.ptp(np.where(known[complete], used, 0.0), axis=0) > 0.0)
        if np.ptp(y[complete]) == 0.0 or not varies.any():
            raise DataInvalid(
                f"The target or every column is constant in {len(used)} complete rows of {train.instrument}.",
                "There is nothing to choose by.",
                "Train on more rows.",
            )
        why = {name: "constant in the training rows" if there else "no value in the training rows"
               for name, there, moves in zip(train.columns, seen, varies, strict=True) if not moves}  # fmt: skip
        columns = tuple(name for name in train.columns if name not in why)
        x = np.ascontiguousarray(used[:, varies])
        return cls(x, y[complete], isinstance(target, ClassTarget), columns, why, len(train) - len(used))


def _refuse_few(train: FeatureFrame, known: BoolArray, complete: int, seen: BoolArray) -> None:
    if complete >= FEWEST_ROWS:
        return
    hint = "Train on more rows."
    if known.size:
        emptiest = int(np.argmin(known.sum(axis=0)))
        name = [n for n, there in zip(train.columns, seen, strict=True) if there][emptiest]
        hint = f"Impute first, or leave {name} out: it is null in {int((~known[:, emptiest]).sum())} rows."
    raise DataInvalid(
        f"{complete} of {len(train)} training rows of {train.instrument} are complete.",
        f"A choice needs {FEWEST_ROWS} rows with the target and every column known.",
        hint,
    )


def _best(columns: tuple[str, ...], found: FloatArray, keep: int) -> tuple[dict[str, float], dict[str, str]]:
    """Return the scores, and which columns are not among the best; of equals the first is better."""
    ranks = np.argsort(np.argsort(-found, kind="stable"), kind="stable") + 1
    reasons = {name: f"rank {rank} of {len(columns)}" for name, rank in zip(columns, ranks, strict=True) if rank > keep}
    return dict(zip(columns, map(float, found), strict=True)), reasons


def _estimator(model: str, seed: int, *, classes: bool) -> Any:
    """Return an estimator of scikit-learn that is not fitted."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.linear_model import Ridge, RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if model == "ridge":
        return make_pipeline(StandardScaler(), RidgeClassifier() if classes else Ridge())
    forest = RandomForestClassifier if classes else RandomForestRegressor
    return forest(n_estimators=100, min_samples_leaf=5, max_features=1 / 3, random_state=seed, n_jobs=1)


def _refuse_outside(name: str, value: float, fine: bool, bounds: str) -> None:
    if not fine:
        raise RequestInvalid(f"{name} is {value}.", f"It has to be {bounds}.", "Give another value.")
