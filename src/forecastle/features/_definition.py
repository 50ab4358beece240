"""What a family of features is: its name, parameters, columns, lookback, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forecastle.features._bars import Bars, FloatArray
from forecastle.nouns import FeatureColumn, FeatureSpec, Instrument, Observations
from forecastle.nouns.feature_frame import Need
from forecastle.sessions import Times

Numbers = tuple[float, ...]
Arrays = tuple[FloatArray, ...]
Lookback = Callable[..., int]
Wanted = tuple[Instrument, str]
"""An instrument and the name of its observations."""


@dataclass(frozen=True)
class Steps:
    """Values that hold from a moment on: ``known_at`` ascending, ``about`` what they are about, arrays of (events,)."""

    known_at: Times
    about: Times
    values: Arrays


@dataclass(frozen=True)
class Family:
    """Features that differ by their numbers only, such as ``sma_20`` and ``sma_50``.

    ``columns`` maps what follows the dot (nothing for a feature of one column) to its unit; ``catalogue`` lists the
    numbers that stand in the catalogue; ``least`` is the smallest value of each number. ``title``, ``formula`` and
    units may name the parameters in braces.
    """

    name: str
    group: str
    title: str
    columns: Mapping[str, str]
    formula: str
    reference: str
    parameters: tuple[str, ...] = ()
    catalogue: tuple[Numbers, ...] = ((),)
    least: Numbers = ()
    whole: bool = True
    """Whether all numbers are whole; else only the last may have a fraction, written ``2p5``."""
    ascending: bool = False
    """Whether the first two numbers have to ascend, as the fast and the slow one of a pair."""
    needs: tuple[Need, ...] = ()
    version: int = 1

    def spec(self, numbers: Numbers) -> FeatureSpec:
        """Return what the feature with these numbers is."""
        name = "_".join([self.name, *map(written, numbers)])
        told = dict(zip(self.parameters, map(written, numbers), strict=True))
        columns = tuple(FeatureColumn(f"{name}.{c}" if c else name, unit) for c, unit in self.columns.items())
        title = self.title.format(**told).replace(" 1 bars", " 1 bar")
        return FeatureSpec(
            name, self.group, title, columns, self.depth(numbers), self.formula.format(**told), self.reference,
            self.needs, self.version,
        )  # fmt: skip

    def depth(self, numbers: Numbers) -> int | None:
        """Return the lookback in bars, None where it is unbounded."""
        raise NotImplementedError


@dataclass(frozen=True)
class Windowed(Family):
    """Row t is a function of the bars t - lookback .. t.

    The first ``lookback`` rows of a run have no value; ``begins`` is fewer where some columns have theirs earlier.
    """

    lookback: Lookback = field(default=lambda *_: 0)
    begins: Lookback | None = None
    window: Callable[..., Arrays] = field(default=lambda *_: ())

    def depth(self, numbers: Numbers) -> int:
        """Return the lookback in bars."""
        return self.lookback(*numbers)

    def run(self, bars: Bars, numbers: Numbers) -> Arrays:
        """Return the columns over some bars that follow each other."""
        begins = (self.begins or self.lookback)(*numbers)
        if len(bars) <= begins:
            return tuple(np.full(len(bars), np.nan) for _ in self.columns)
        out = self.window(bars, *numbers)
        for column in out:
            column[:begins] = np.nan
        return out


@dataclass(frozen=True)
class Recursive(Family):
    """Row t is a function of bar t and of a state that the bars before left, ``size`` numbers, zeros at the start.

    ``warm_up`` counts the bars of a run that have no value; the state is changed in place.
    """

    size: Lookback = field(default=lambda *_: 1)
    warm_up: Lookback = field(default=lambda *_: 0)
    recursion: Callable[..., Arrays] = field(default=lambda *_: ())

    def depth(self, numbers: Numbers) -> None:
        """Return None: the lookback is unbounded."""

    def fresh(self, numbers: Numbers) -> FloatArray:
        """Return the state at the start of a run."""
        return np.zeros(self.size(*numbers))

    def run(self, bars: Bars, state: FloatArray, numbers: Numbers) -> Arrays:
        """Return the columns over the bars that follow those that left ``state``, which is carried on."""
        return self.recursion(bars, state, *numbers)


@dataclass(frozen=True)
class Observed(Family):
    """A function of observations: a value holds from the moment it is known until another does, for nine days.

    ``wants`` says which observations of whom; ``steps`` takes them in that order.
    """

    wants: Callable[[Instrument], tuple[Wanted, ...]] = field(default=lambda _: ())
    steps: Callable[..., Steps] = field(default=lambda *_: Steps(np.array([]), np.array([]), ()))

    def depth(self, numbers: Numbers) -> int:
        """Return 0: no bar before a row matters."""
        return 0

    def run(self, observations: tuple[Observations, ...], numbers: Numbers) -> Steps:
        """Return the values and since when each is known."""
        return self.steps(*observations, *numbers)


@dataclass(frozen=True)
class Feature:
    """One family with its numbers."""

    family: Family
    numbers: Numbers
    spec: FeatureSpec

    @classmethod
    def of(cls, family: Family, numbers: Numbers) -> Feature:
        """Return the feature with these numbers."""
        return cls(family, numbers, family.spec(numbers))


def written(number: float) -> str:
    """Return a number as it stands in a name: ``20``, ``2p5``."""
    return f"{number:g}".replace(".", "p")


def ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Return ``above / below``, NaN where ``below`` is zero: what is not defined is not known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out: FloatArray = above / below
    out[below == 0.0] = np.nan
    return out


def one(**fields: Any) -> dict[str, Any]:
    """Return ``fields`` with the parameter and the least value that most families of one number have."""
    return {"parameters": ("n",), "least": (2,), **fields}
