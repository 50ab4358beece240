"""From candles to features: run by run, so that no value spans a missing bar, and on from a state, to the bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl

from forecastle.errors import DataInvalid, DataMissing
from forecastle.features._bars import Bars, FloatArray, aligned, bars_of, runs
from forecastle.features._definition import Arrays, Feature, Observed, Recursive, Steps, Wanted, Windowed
from forecastle.features._families import features_of
from forecastle.features.cross import benchmarks
from forecastle.features.onchain import STALE
from forecastle.nouns import Candles, FeatureFrame, History, Instrument, Observations
from forecastle.sessions import Times

CHUNK = 32_768
"""Bars worked through at once: their arrays fit into the cache of a processor. Counted from the start of each run, so
that a row does not depend on what comes after it."""


class Step(Protocol):
    """Something done to candles before features are computed, by a name that the fingerprint holds."""

    @property
    def name(self) -> str:
        """Return the name, with its numbers: ``forward_fill(5)``."""
        ...

    def apply(self, candles: Candles) -> Candles:
        """Return the candles after it."""
        ...


def compute(
    candles: Candles | History, names: Sequence[str] | None = None, *, steps: Sequence[Step] = ()
) -> FeatureFrame:
    """Return features of a series, a row for each bar, known at its close.

    Parameters
    ----------
    candles:
        Closed bars; a ``History`` has the benchmark (among its peers) and observations beside them.
    names:
        Such as ``["rsi_14", "macd_12_26_9", "onchain"]``; the whole catalogue where None. A feature named by itself
        needs its inputs; of the catalogue those without inputs are empty, with the reason in ``.absent``.
    steps:
        Done to the candles before, such as ``Fill(5)``.

    A value is null where its lookback reaches before the first bar or across a missing one, and where it is not defined
    (0 / 0). Raises ``NameUnknown``, ``RequestInvalid``, ``DataMissing`` where there are no candles or a named feature
    lacks its inputs.
    """
    history = candles if isinstance(candles, History) else History(candles)
    features = features_of(names)
    absent = lacking(history, features)
    named = [feature.spec.name for feature in features if names and feature.spec.name in names]
    for name in named:
        if name in absent:
            raise DataMissing(f"{name} of {history.candles.instrument} cannot be computed.", absent[name], _NEEDED)
    return started(history, features, steps, absent)[0]


_NEEDED = "Fetch or import what is missing, or leave the feature out; fc.load_history brings it along."


def started(
    history: History, features: Sequence[Feature], steps: Sequence[Step], absent: Mapping[str, str]
) -> tuple[FeatureFrame, Live]:
    """Return the features of all bars, and what goes on from their end."""
    candles = history.candles
    if not len(candles):
        raise DataMissing(
            f"There are no candles of {candles.instrument} to compute features of.", "The selection is empty.",
            "Widen it.",
        )  # fmt: skip
    for step in steps:
        candles = step.apply(candles)
    present = tuple(f for f in features if f.spec.name not in absent)
    live = Live(present, tuple(features), tuple(step.name for step in steps), dict(absent))
    columns = live.advance(candles, _benchmark(history))
    return _framed(live, replace(history, candles=candles), columns, candles.data_hash), live


class _Chosen(NamedTuple):
    """Features to be computed, each with its family."""

    windowed: list[tuple[Feature, Windowed]]
    recursive: list[tuple[Feature, Recursive]]


class Live:
    """Features of one series kept up to the last bar: what :meth:`append` costs does not grow with the history.

    Windowed features keep the last bars of the run, recursive ones their state. A hole starts them anew.
    """

    def __init__(
        self,
        present: tuple[Feature, ...],
        features: tuple[Feature, ...],
        steps: tuple[str, ...],
        absent: dict[str, str],
    ) -> None:
        """Start before the first bar; ``present`` are those of ``features`` that are not ``absent``."""
        self.features, self.steps, self.absent = features, steps, absent
        self._all = _Chosen(
            [(f, f.family) for f in present if isinstance(f.family, Windowed)],
            [(f, f.family) for f in present if isinstance(f.family, Recursive)],
        )
        self._short: dict[int, _Chosen] = {}
        self.observed = [(f, f.family) for f in present if isinstance(f.family, Observed)]
        self._depth = max([family.depth(f.numbers) for f, family in self._all.windowed], default=0)
        self._tail: Bars | None = None
        self._last: Candles | None = None
        self._states: dict[str, FloatArray] = {}
        self._steps: dict[str, tuple[tuple[pl.DataFrame, ...], Steps]] = {}

    @property
    def as_of(self) -> datetime | None:
        """Return the close of the last bar, None before the first."""
        return None if self._last is None else self._last.end

    def append(self, history: Candles | History) -> FeatureFrame:
        """Return the rows of the bars that come after those it has; what it has is passed over.

        Raises ``DataInvalid`` where the bars are of another series, ``DataMissing`` where none is new. Made of filled
        candles it has to be given filled ones.
        """
        given = history if isinstance(history, History) else History(history)
        new = given.candles if self.as_of is None else _after(given.candles, self.as_of)
        if not len(new):
            raise DataMissing("There is no bar to append.", f"The last one known closes at {self.as_of}.", "Get more.")
        last = self._last
        if last is not None and (new.instrument, new.timeframe) != (last.instrument, last.timeframe):
            raise DataInvalid(
                f"The bars are {new.timeframe} of {new.instrument}.",
                f"These features are of {last.timeframe} of {last.instrument}.", "Append its own bars.",
            )  # fmt: skip
        benchmark = _benchmark(given)
        if benchmark is not None:
            benchmark = benchmark.between(start=new.start - (new.end - new.start) - _BACK)
        columns = self.advance(new, benchmark)
        return _framed(self, replace(given, candles=new), columns, new.data_hash)

    def _cuts(self, new: Candles) -> list[tuple[int, int]]:
        """Return the runs of the new bars; where a bar is missing before the first, it begins another run."""
        if self._last is None:
            return runs(new)
        both = replace(new, frame=pl.concat([self._last.frame, new.frame]))
        (_, first), *rest = [(begin - 1, after - 1) for begin, after in runs(both)]
        if first == 0:
            self._restart()
            return rest
        return [(0, first), *rest]

    def _restart(self) -> None:
        """Forget the bars of the run: the next bar begins another."""
        self._tail, self._states = None, {}

    def advance(self, new: Candles, benchmark: Candles | None) -> dict[str, Arrays]:
        """Return the columns of each feature over bars that come after those seen before."""
        bars, cuts = bars_of(new, aligned(benchmark, new)), self._cuts(new)
        self._last = new.last(1)
        if len(cuts) == 1 and len(bars) <= CHUNK:
            return self._run(bars, self._all)
        blank = np.empty if len(cuts) == 1 else _unknown  # one run leaves no row out
        columns = {
            f.spec.name: tuple(blank(len(bars)) for _ in f.spec.columns)
            for f, _ in [*self._all.windowed, *self._all.recursive]
        }
        for number, (first, after) in enumerate(cuts):
            if number:
                self._restart()
            # a run that others follow leaves no state: of a short one only what has a value in it is computed
            wanted = self._all if number == len(cuts) - 1 or not number else self._beginning_within(after - first)
            for begin in range(first, after, CHUNK):
                end = min(begin + CHUNK, after)
                for name, arrays in self._run(bars.part(begin, end), wanted).items():
                    for whole, part in zip(columns[name], arrays, strict=True):
                        whole[begin:end] = part
        return columns

    def _beginning_within(self, count: int) -> _Chosen:
        """Return the features that have a value within the first ``count`` bars of a run."""
        if count not in self._short:
            windowed = [(f, w) for f, w in self._all.windowed if (w.begins or w.lookback)(*f.numbers) < count]
            recursive = [(f, r) for f, r in self._all.recursive if r.warm_up(*f.numbers) < count]
            whole = len(windowed) + len(recursive) == len(self._all.windowed) + len(self._all.recursive)
            if whole:
                return self._all
            self._short[count] = _Chosen(windowed, recursive)
        return self._short[count]

    def _run(self, bars: Bars, wanted: _Chosen) -> dict[str, Arrays]:
        """Return the wanted columns over bars of one run that follow what was seen before."""
        out: dict[str, Arrays] = {}
        whole = bars if self._tail is None else self._tail.then(bars)
        before = len(whole) - len(bars)
        views: dict[int, Bars] = {}
        for feature, windowed in wanted.windowed:
            first = max(before - windowed.depth(feature.numbers), 0)
            view = views.setdefault(first, whole if first == 0 else whole.part(first))
            arrays = windowed.run(view, feature.numbers)
            out[feature.spec.name] = tuple(array[before - first :] for array in arrays) if before > first else arrays
        for feature, recursive in wanted.recursive:
            name = feature.spec.name
            state = self._states.setdefault(name, recursive.fresh(feature.numbers))
            out[name] = recursive.run(bars, state, feature.numbers)
        self._tail = whole.part(max(len(whole) - self._depth - 1, 0)) if len(whole) else self._tail
        return out

    def held(self, feature: Feature, family: Observed, observations: tuple[Observations, ...]) -> Steps:
        """Return the values of an observed feature, computed anew only where the observations changed."""
        frames = tuple(one.frame for one in observations)
        kept = self._steps.get(feature.spec.name)
        if kept is None or any(old is not new for old, new in zip(kept[0], frames, strict=True)):
            kept = (frames, family.run(observations, feature.numbers))
            self._steps[feature.spec.name] = kept
        return kept[1]

    def document(self) -> dict[str, Any]:
        """Return the states of the recursive features as plain data: NaN is None."""
        states = {name: [None if np.isnan(v) else float(v) for v in state] for name, state in self._states.items()}
        return {"as_of": None if self.as_of is None else self.as_of.isoformat(), "states": states}

    def resume(self, document: Mapping[str, Any], tail: Candles, benchmark: Candles | None) -> None:
        """Go on from a document and the last bars of the run it was made of; :attr:`depth` bars and one are enough."""
        bars = bars_of(tail, aligned(benchmark, tail))
        first, _ = runs(tail)[-1]
        self._last = tail.last(1)
        self._tail = bars.part(max(first, len(bars) - self._depth - 1))
        self._states = {
            name: np.array([np.nan if v is None else v for v in values]) for name, values in document["states"].items()
        }

    @property
    def depth(self) -> int:
        """Return the longest lookback of the windowed features, in bars."""
        return self._depth


def _unknown(count: int) -> FloatArray:
    return np.full(count, np.nan)


def _after(candles: Candles, moment: datetime) -> Candles:
    """Return the bars that close after ``moment``."""
    place = int(np.searchsorted(candles.times("close_time"), np.datetime64(moment.replace(tzinfo=None), "us"), "right"))
    return candles.last(len(candles) - place)


_BACK = np.timedelta64(40, "D").astype("timedelta64[us]").item()


def _benchmark(history: History) -> Candles | None:
    """Return the candles of the first peer that is a benchmark of the instrument."""
    peers = {peer.candles.instrument: peer.candles for peer in history.peers}
    return next((peers[i] for i in benchmarks(history.candles.instrument) if i in peers), None)


def lacking(history: History, features: Sequence[Feature]) -> dict[str, str]:
    """Return the features that cannot be computed of a history, each with what it lacks."""
    candles, found = history.candles, {}
    for feature in features:
        needs, name = feature.spec.needs, feature.spec.name
        if "range" in needs and candles.prices == "close":
            found[name] = "Only the close of these bars is known, and it needs their range."
        elif "benchmark" in needs and _benchmark(history) is None:
            ids = " or ".join(i.id for i in benchmarks(candles.instrument))
            found[name] = f"There are no candles of {ids} beside it." if ids else "It is the benchmark itself."
        elif isinstance(feature.family, Observed):
            wants = feature.family.wants(candles.instrument)
            have = {(o.instrument, o.name) for o in history.observations if len(o)}
            missing = [f"{what} of {who}" for who, what in wants if (who, what) not in have]
            if missing or not wants:
                lacks = f"There is no {' and no '.join(missing)}."
                found[name] = lacks if wants else f"It is of coins, and {candles.instrument} is none."
    return found


def wanted_observations(instrument: Instrument, features: Sequence[Feature]) -> tuple[Wanted, ...]:
    """Return which observations of whom the features look at, each once."""
    found = [w for f in features if isinstance(f.family, Observed) for w in f.family.wants(instrument)]
    return tuple(dict.fromkeys(found))


def _picked(history: History, wants: Sequence[Wanted]) -> tuple[Observations, ...]:
    by_key = {(o.instrument, o.name): o for o in reversed(history.observations) if len(o)}
    return tuple(by_key[want] for want in wants)


def _held_at(steps: Steps, closes: Times) -> Arrays:
    """Return the values known at each close; NaN before the first and where the newest is about nine days ago."""
    place = np.searchsorted(steps.known_at, closes, side="right") - 1
    at = np.maximum(place, 0)
    fresh = (place >= 0) & ~np.isnat(steps.about[at]) & (closes - steps.about[at] <= STALE)
    return tuple(np.where(fresh, values[at], np.nan) for values in steps.values)


def _framed(live: Live, history: History, columns: dict[str, Arrays], data_hash: str) -> FeatureFrame:
    """Return the frame of all features, empty columns for those that are absent."""
    candles = history.candles
    closes = candles.times("close_time")
    for feature, family in live.observed:
        steps = live.held(feature, family, _picked(history, family.wants(candles.instrument)))
        columns[feature.spec.name] = _held_at(steps, closes)
    series = [candles.frame["close_time"].alias("known_at")]
    for feature in live.features:
        arrays = columns.pop(feature.spec.name, None)
        for number, column in enumerate(feature.spec.columns):
            series.append(_series(column.name, None if arrays is None else arrays[number], len(candles)))
    return FeatureFrame(
        candles.instrument, candles.timeframe, candles.source, tuple(f.spec for f in live.features),
        pl.DataFrame(series), data_hash, live.steps, live.absent,
    )  # fmt: skip


def _series(name: str, values: FloatArray | None, count: int) -> pl.Series:
    """Return a column with null for what is not known: NaN and infinities are no values."""
    if values is None:
        return pl.Series(name, [None], dtype=pl.Float64).new_from_index(0, count)
    if np.isinf(values).any():
        values = np.where(np.isinf(values), np.nan, values)
    return pl.Series(name, values, nan_to_null=True)
