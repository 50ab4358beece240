"""Probabilities made honest: a map from what a model says to how often it went up, learned on rows it did not see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from forecastle.errors import DataCorrupt, DataInvalid

FloatArray = npt.NDArray[np.float64]
EDGE = 1e-6
"""Probabilities are held this far from 0 and 1 before a logarithm is taken."""


class FittedCalibrator(ABC):
    """A map of probabilities, never falling."""

    @abstractmethod
    def transform(self, probability: FloatArray) -> FloatArray:
        """Return the calibrated probabilities, of the same shape; NaN stays NaN."""

    @abstractmethod
    def document(self) -> dict[str, Any]:
        """Return it as plain data."""


@dataclass(frozen=True)
class Platt:
    """``1 / (1 + exp(-(a + b logit p)))`` with targets drawn in from 0 and 1 (Platt 1999).

    Ups are ``(n+ + 1) / (n+ + 2)`` and downs ``1 / (n- + 2)``. The slope is not below zero: a model that is wrong about
    the side is flattened, not turned over, for it was not to be learned from these rows which side is up.

    With finite ``constant_sd`` and ``slope_sd`` the map is held to what was known before these rows: normal priors on
    how far it may move from ``base`` in log odds, and on the slope around 0, that the model says nothing. A few hundred
    rows whose labels overlap are a few dozen, and their own base rate is then mostly luck. Weights have to sum to the
    number of rows that count.
    """

    constant_sd: float = np.inf
    slope_sd: float = np.inf

    def fit(
        self, probability: FloatArray, outcome: FloatArray, weights: FloatArray, base: float | None = None
    ) -> FittedPlatt:
        """Learn both numbers by (penalised) maximum likelihood; arrays (rows,), outcomes 1 or 0.

        ``base`` is the base rate of the training rows, the weighted mean of these where None.
        """
        p, y, w = _checked(probability, outcome, weights)
        share = float(np.clip((w @ y) / w.sum() if base is None else base, EDGE, 1.0 - EDGE))
        centre = float(special.logit(share))
        z = special.logit(np.clip(p, EDGE, 1.0 - EDGE)) - centre
        ups, downs = float((w * y).sum()), float((w * (1.0 - y)).sum())
        target = np.where(y == 1.0, (ups + 1.0) / (ups + 2.0), 1.0 / (downs + 2.0))
        held = np.array([self.constant_sd**-2.0, self.slope_sd**-2.0])

        def loss(ab: FloatArray) -> tuple[float, FloatArray]:
            score = centre + ab[0] + ab[1] * z
            error = w * (special.expit(score) - target)
            value = float(w @ (np.logaddexp(0.0, score) - target * score)) + 0.5 * float(held @ ab**2)
            return value / w.sum(), (np.array([error.sum(), error @ z]) + held * ab) / w.sum()

        found = optimize.minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(None, None), (0.0, None)],
                                  options={"ftol": 1e-14, "gtol": 1e-9})  # fmt: skip
        moved, slope = (float(v) for v in found.x)
        return FittedPlatt(centre + moved - slope * centre, slope)


@dataclass(frozen=True)
class FittedPlatt(FittedCalibrator):
    """A line in log odds."""

    constant: float
    slope: float
    kind: ClassVar[str] = "platt"

    def transform(self, probability: FloatArray) -> FloatArray:
        """Return ``expit(constant + slope logit p)``."""
        z = special.logit(np.clip(probability, EDGE, 1.0 - EDGE))
        return np.asarray(special.expit(self.constant + self.slope * z))

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"calibrator": self.kind, "constant": self.constant, "slope": self.slope}


@dataclass(frozen=True)
class Beta:
    """``1 / (1 + exp(-(c + a ln p - b ln(1 - p))))``, a and b not below zero (Kull, Silva Filho and Flach 2017)."""

    def fit(self, probability: FloatArray, outcome: FloatArray, weights: FloatArray) -> FittedBeta:
        """Learn the three numbers by maximum likelihood; arrays (rows,), outcomes 1 or 0."""
        p, y, w = _checked(probability, outcome, weights)
        p = np.clip(p, EDGE, 1.0 - EDGE)
        x = np.column_stack([np.ones(p.size), np.log(p), -np.log1p(-p)])

        def loss(b: FloatArray) -> tuple[float, FloatArray]:
            score = x @ b
            return (
                float(w @ (np.logaddexp(0.0, score) - y * score)) / w.sum(),
                x.T @ (w * (special.expit(score) - y)) / w.sum(),
            )

        share = float(np.clip((w @ y) / w.sum(), EDGE, 1.0 - EDGE))
        found = optimize.minimize(loss, np.array([special.logit(share), 0.0, 0.0]), jac=True, method="L-BFGS-B",
                                  bounds=[(-30.0, 30.0), (0.0, 30.0), (0.0, 30.0)])  # fmt: skip
        return FittedBeta(*(float(v) for v in found.x))


@dataclass(frozen=True)
class FittedBeta(FittedCalibrator):
    """A line in ``ln p`` and ``ln (1 - p)``."""

    constant: float
    rising: float
    falling: float
    kind: ClassVar[str] = "beta"

    def transform(self, probability: FloatArray) -> FloatArray:
        """Return the calibrated probabilities."""
        p = np.clip(probability, EDGE, 1.0 - EDGE)
        return np.asarray(special.expit(self.constant + self.rising * np.log(p) - self.falling * np.log1p(-p)))

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"calibrator": self.kind, "constant": self.constant, "rising": self.rising, "falling": self.falling}


@dataclass(frozen=True)
class Isotonic:
    """The best map that never falls, linear between its steps (pool adjacent violators; Zadrozny and Elkan 2002)."""

    def fit(self, probability: FloatArray, outcome: FloatArray, weights: FloatArray) -> FittedIsotonic:
        """Learn the steps; arrays (rows,), outcomes 1 or 0."""
        from sklearn.isotonic import IsotonicRegression

        p, y, w = _checked(probability, outcome, weights)
        made = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p, y, w)
        return FittedIsotonic(tuple(map(float, made.X_thresholds_)), tuple(map(float, made.y_thresholds_)))


@dataclass(frozen=True)
class FittedIsotonic(FittedCalibrator):
    """Steps: ``values`` at ``places``, linear between them and level beyond."""

    places: tuple[float, ...]
    values: tuple[float, ...]
    kind: ClassVar[str] = "isotonic"

    def transform(self, probability: FloatArray) -> FloatArray:
        """Return the calibrated probabilities."""
        return np.asarray(np.where(np.isnan(probability), np.nan, np.interp(probability, self.places, self.values)))

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"calibrator": self.kind, "places": list(self.places), "values": list(self.values)}


CALIBRATORS: dict[str, type[Platt | Isotonic | Beta]] = {"platt": Platt, "isotonic": Isotonic, "beta": Beta}
"""The calibrators that a configuration may name."""


def calibrator_from_document(document: Mapping[str, Any]) -> FittedCalibrator:
    """Return the calibrator of a ``document()``; raises ``DataCorrupt``."""
    try:
        return _steps(document) if document["calibrator"] == "isotonic" else _curve(document)
    except (KeyError, TypeError, ValueError) as error:
        raise DataCorrupt(
            "This is not the document of a calibrator.", f"{type(error).__name__}: {error}.", "Train the model anew."
        ) from error


def _steps(document: Mapping[str, Any]) -> FittedIsotonic:
    places, values = tuple(map(float, document["places"])), tuple(map(float, document["values"]))
    if not 1 <= len(places) == len(values) or list(places) != sorted(places) or list(values) != sorted(values):
        raise ValueError("the steps fall, or are none")
    if not np.isfinite(places).all() or not np.isfinite(values).all() or values[0] < 0.0 or values[-1] > 1.0:
        raise ValueError("a place is no number, or a value no probability")
    return FittedIsotonic(places, values)


def _curve(document: Mapping[str, Any]) -> FittedCalibrator:
    known = {"platt": (FittedPlatt, ("constant", "slope")), "beta": (FittedBeta, ("constant", "rising", "falling"))}
    made, names = known[document["calibrator"]]
    numbers = [float(document[name]) for name in names]
    if not np.isfinite(numbers).all() or min(numbers[1:]) < 0.0:
        raise ValueError("its numbers are not finite, or turn the forecast over")
    found: FittedCalibrator = made(*numbers)
    return found


def _checked(
    probability: FloatArray, outcome: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    p, y, w = (np.asarray(a, dtype=np.float64) for a in (probability, outcome, weights))
    whole = p.shape == y.shape == w.shape and p.ndim == 1 and p.size > 0
    if not whole or not np.isfinite([p, y, w]).all() or not np.isin(y, (0.0, 1.0)).all() or w.min() < 0 or not w.any():
        raise DataInvalid(
            f"A calibrator was given {p.shape} probabilities, {y.shape} outcomes and {w.shape} weights.",
            "They are as many, finite, outcomes 1 or 0, weights not below zero.", "Leave out rows that are not known.",
        )  # fmt: skip
    return p, y, w
