"""How many configurations were tried on the same data: what the best of them is worth depends on it.

The library writes the log itself, once for each configuration that was evaluated out of sample. What does not count:
refits inside one evaluation, and a fit by itself, for neither was scored. Another seed of the same configuration is a
repeat: it is logged with its scores, and the series kept is that of the first run, which no choice could have touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from forecastle.clock import Clock
from forecastle.errors import DataInvalid, DataMissing, NameUnknown
from forecastle.experiments.chain import Chain, ChainReport, digest
from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.series_file import checked, damage, read, write
from forecastle.sessions import Times

FloatArray = npt.NDArray[np.float64]
Kind = Literal["train", "tune", "backtest", "sweep"]
Unit = Literal["return", "loss"]
Tried = tuple[Mapping[str, Any], FloatArray, Mapping[str, float]]
"""A configuration, its per-period numbers and its scores."""
NOT_COUNTED = ("seed", "name", "objective", "owner", "notes")
"""Keys at the top of a configuration that make no other one: its words and its seed are left out."""
_SPREAD = 1e-12
"""A standard deviation below this share of the largest value is rounding: such a series has no Sharpe ratio."""


@dataclass(frozen=True)
class Trial:
    """One line of the log. ``repeats`` is the number of the line that it runs again, None for a trial of its own.

    ``configuration`` is without :data:`NOT_COUNTED`; ``configuration_hash`` is its digest, ``key`` that of it with the
    span, unit and measure. ``series_hash`` is the SHA-256 of the Parquet file with the per-period numbers, ``measure``
    what they measure.
    """

    number: int
    at: datetime
    kind: Kind
    key: str
    configuration_hash: str
    configuration: Mapping[str, Any]
    span: DataSpan
    unit: Unit
    measure: str
    scores: Mapping[str, float]
    rows: int
    series_hash: str
    repeats: int | None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Trial:
        """Return the trial of a line."""
        names = ("number", "kind", "key", "configuration_hash", "configuration", "unit", "measure", "scores", "rows",
                 "series_hash", "repeats")  # fmt: skip
        rest = {name: entry[name] for name in names}
        return cls(at=datetime.fromisoformat(entry["at"]), span=DataSpan.from_document(entry["span"]), **rest)


class TrialLog:
    """The log of one home: ``experiments/trials.jsonl``, and a Parquet file for each trial in ``experiments/trials``.

    Every method raises ``DataCorrupt`` where a line was changed or removed.
    """

    def __init__(self, home: Path, clock: Clock) -> None:
        folder = home / "experiments"
        self._chain = Chain(folder / "trials.jsonl")
        self._folder = folder / "trials"
        self._clock = clock

    def register(
        self,
        kind: Kind,
        configuration: Mapping[str, Any],
        span: DataSpan,
        per_period: FloatArray,
        moments: Times,
        unit: Unit,
        scores: Mapping[str, float],
        measure: str = "",
    ) -> Trial:
        """Log one configuration that was evaluated on a span; a second time on the same data it is a repeat.

        ``per_period`` (periods,) holds log returns in decimals, or losses; ``moments`` (periods,) when each was known,
        ascending, inside the span. ``measure`` names the loss: losses of different measures are never put side by
        side. Scores that are not finite are left out. Raises ``DataInvalid`` for NaN or moments out of order,
        ``RequestInvalid`` for a configuration that is no plain data, ``StorageUnwritable``.
        """
        return self.register_all(kind, [(configuration, per_period, scores)], span, moments, unit, measure)[0]

    def register_all(
        self,
        kind: Kind,
        tried: Sequence[Tried],
        span: DataSpan,
        moments: Times,
        unit: Unit,
        measure: str = "",
    ) -> list[Trial]:
        """Log many configurations of one span at once, each with its per-period numbers and scores.

        All have the same moments. Raises as :meth:`register`.
        """
        for noun, name, known in (("kind of trial", kind, get_args(Kind)), ("unit", unit, get_args(Unit))):
            if name not in known:
                raise NameUnknown(noun, name, known)
        about = {"kind": kind, "span": span.document(), "unit": unit, "measure": measure}
        lines = [self._line(one, about) for one in tried]
        series = [checked(one[1], moments, span) for one in tried]
        with self._chain.writing() as pen:
            first: dict[str, Mapping[str, Any]] = {entry["key"]: entry for entry in reversed(pen.entries)}
            for number, (line, (values, times)) in enumerate(zip(lines, series, strict=True), len(pen.entries) + 1):
                before = first.get(line["key"])
                if before is None:
                    kept = write(self._folder / f"{line['key']}.parquet", times, values)
                    line |= {"series_hash": kept, "repeats": None}
                    first[line["key"]] = {**line, "number": number}
                else:
                    line |= {"series_hash": before["series_hash"], "repeats": before["number"]}
            return [Trial.of(entry) for entry in pen.append_all(lines)]

    def _line(self, tried: Tried, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return the line of one configuration, but for its series."""
        configuration, per_period, scores = tried
        counted = canonical(configuration)
        key = digest({"configuration": counted, **{name: about[name] for name in ("span", "unit", "measure")}})
        return {
            "at": self._clock.now().isoformat(), "kind": about["kind"], "key": key, "configuration": counted,
            "configuration_hash": digest(counted), "span": about["span"], "unit": about["unit"],
            "measure": about["measure"],
            "scores": {name: float(score) for name, score in scores.items() if np.isfinite(score)},
            "rows": int(np.size(per_period)),
        }  # fmt: skip

    def trials(self, span: DataSpan | None = None) -> list[Trial]:
        """Return every line, repeats too, oldest first; with a span those that overlap it."""
        found = [Trial.of(entry) for entry in self._chain.entries()]
        return [trial for trial in found if span is None or trial.span.overlaps(span)]

    def count(self, span: DataSpan) -> int:
        """Return how many distinct configurations were tried on data that overlap the span.

        One that was tried on several overlapping spans, or on data that were revised since, is one. Whatever the
        source: see :meth:`DataSpan.overlaps`.
        """
        return len({trial.configuration_hash for trial in self.trials(span)})

    def series(self, trial: Trial) -> tuple[Times, FloatArray]:
        """Return the moments and the per-period numbers of a trial, of the first run where it is a repeat.

        Raises ``DataCorrupt`` where the file is not the one that was logged.
        """
        return read(self._folder / f"{trial.key}.parquet", trial.series_hash)

    def matrix(self, span: DataSpan, unit: Unit, measure: str | None = None) -> tuple[Times, FloatArray, list[str]]:
        """Return the series of all trials on a span beside each other, over the moments that all of them have.

        Moments (periods,), numbers (periods, trials) and the name of each column, ``trial-7``. A configuration is one
        column: that of its longest series inside the span. Raises ``DataMissing`` where there is no trial or no common
        moment, ``DataInvalid`` where losses of several measures are there and none was named.
        """
        found = self._inside(span, unit, measure)
        if not found:
            raise DataMissing(
                f"No trial with a series of {unit}s is on {span}.", "Each evaluation logs one.", "Train or backtest."
            )
        common = np.array(sorted(set.intersection(*(set(times.tolist()) for _, times, _ in found))), "datetime64[us]")
        if not common.size:
            raise DataMissing(
                f"The {len(found)} trials on {span} have no moment in common.", "They were scored at other times.",
                "Evaluate them over the same time.",
            )  # fmt: skip
        columns = [values[np.searchsorted(times, common)] for _, times, values in found]
        return common, np.column_stack(columns), [f"trial-{trial.number}" for trial, _, _ in found]

    def sharpe_variance(self, span: DataSpan) -> float | None:
        """Return the variance, among the trials on a span, of the Sharpe ratio of one period (not annualised).

        Mean over standard deviation (n - 1) of the returns, each trial over its own moments inside the span; trials
        whose returns never change have no ratio. None where fewer than two are left: they say nothing of a spread. For
        the deflated Sharpe ratio of Bailey and Lopez de Prado (2014), Journal of Portfolio Management 40(5), 94-107.
        """
        ratios = [r for _, _, values in self._inside(span, "return", None) if (r := _sharpe(values)) is not None]
        return float(np.var(ratios, ddof=1)) if len(ratios) > 1 else None

    def verify(self) -> ChainReport:
        """Return what is wrong with the log and with the files of the series; nothing is the good answer."""
        report = self._chain.verify()
        if report.problems:
            return report
        entries = [e for e in self._chain.entries() if e["repeats"] is None]
        damaged = [(e["number"], damage(self._folder / f"{e['key']}.parquet", e["series_hash"])) for e in entries]
        problems = tuple((number, f"its series {what}") for number, what in damaged if what)
        return ChainReport(report.path, report.lines, report.head, problems, report.torn)

    def unlogged(self) -> list[Path]:
        """Return the files of series that no line knows: a crash left one, or the log was removed."""
        known = {entry["key"] for entry in self._chain.entries()}
        return sorted(path for path in self._folder.glob("*.parquet") if path.stem not in known)

    def _inside(self, span: DataSpan, unit: Unit, measure: str | None) -> list[tuple[Trial, Times, FloatArray]]:
        """Return one series for each configuration, cut to the span, in the order of the log."""
        of_unit = [t for t in self.trials(span) if t.unit == unit and t.repeats is None]
        measures = sorted({trial.measure for trial in of_unit})
        if measure is None and len(measures) > 1:
            raise DataInvalid(
                f"The trials on {span} have several measures: {', '.join(m or 'unnamed' for m in measures)}.",
                "Numbers of different measures cannot be put side by side.", "Name one of them.",
            )  # fmt: skip
        best: dict[str, tuple[Trial, Times, FloatArray]] = {}
        start, end = (np.datetime64(moment.replace(tzinfo=None), "us") for moment in (span.start, span.end))
        for trial in of_unit:
            if measure is not None and trial.measure != measure:
                continue
            times, values = self.series(trial)
            inside = (times >= start) & (times <= end)
            held = best.get(trial.configuration_hash)
            if inside.any() and (held is None or inside.sum() > held[1].size):
                best[trial.configuration_hash] = (trial, times[inside], values[inside])
        return list(best.values())


def canonical(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration in the one form that is counted: plain, without seed and words, 1.0 as 1."""
    kept = {name: value for name, value in configuration.items() if name not in NOT_COUNTED}
    return cast("dict[str, Any]", _plain(kept))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _sharpe(values: FloatArray) -> float | None:
    spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return float(values.mean()) / spread if spread > _SPREAD * float(np.abs(values).max()) else None
