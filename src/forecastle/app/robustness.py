"""How much a score hangs on the times, the columns and the settings, and whether nothing looks like nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.app._datasets import NAIVE_COLUMNS, Series
from forecastle.app._scored import Scored, losses_of
from forecastle.app._works import engine_of, learners_of, served_name, work_of
from forecastle.errors import ForecastleError
from forecastle.experiments.evaluate import Evaluated, Work, evaluate, with_noise
from forecastle.experiments.spec import PlugIn, TrainConfig
from forecastle.jobs import Done, Job, run_all
from forecastle.models.learners import NAIVE
from forecastle.nouns.scorecard import Figure
from forecastle.ports import Progress, silent
from forecastle.scoring import bootstrap
from forecastle.scoring.skill import no_skill
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

CRISES: Mapping[str, Mapping[str, tuple[date, date]]] = {
    "stocks": {
        "Black Monday 1987": (date(1987, 10, 14), date(1987, 12, 4)),
        "dot-com bust": (date(2000, 3, 24), date(2002, 10, 9)),
        "financial crisis 2008": (date(2008, 9, 15), date(2009, 3, 9)),
        "COVID crash": (date(2020, 2, 20), date(2020, 4, 7)),
        "rates 2022": (date(2022, 1, 3), date(2022, 10, 12)),
    },
    "crypto": {
        "winter 2018": (date(2018, 1, 7), date(2018, 12, 15)),
        "COVID crash": (date(2020, 2, 20), date(2020, 4, 7)),
        "May 2021": (date(2021, 5, 12), date(2021, 7, 20)),
        "LUNA 2022": (date(2022, 5, 7), date(2022, 6, 18)),
        "FTX 2022": (date(2022, 11, 6), date(2022, 11, 21)),
    },
}
"""Named stretches of trouble, first to last day; chosen by their news, not by what a model did in them."""
FEWEST = 40
NOISE_COLUMNS = 20


@dataclass(frozen=True)
class Part:
    """The skill of a learner against the baseline over some rows: ``1 - mean loss / mean loss of the baseline``."""

    learner: str
    name: str
    rows: int
    skill: Figure


@dataclass(frozen=True)
class Control:
    """A run in which there is nothing to find; ``p_value`` of the no-skill test has to be unremarkable."""

    name: str
    skill: Figure
    p_value: float | None


@dataclass(frozen=True)
class Changed:
    """The same learner with something else: how its mean loss changed, above zero is worse, with its interval."""

    name: str
    change: Figure


@dataclass(frozen=True)
class Robustness:
    """What was looked at beside the scores of one series."""

    series: str
    learner: str
    regimes: tuple[Part, ...] = ()
    controls: tuple[Control, ...] = ()
    ablation: tuple[Changed, ...] = ()
    sensitivity: tuple[Changed, ...] = ()
    notes: tuple[str, ...] = ()


def robustness_of(workspace: Workspace, config: TrainConfig, result: Scored, progress: Progress = silent) -> Robustness:
    """Return what the configuration asks for of one series; its refits are not counted as trials: none is chosen."""
    unit = result.series.dataset.labels.unit
    learners = {n: p for n, p in learners_of(config, unit).items() if n in result.evaluated}
    name = served_name(config, learners, NAIVE[unit])
    wanted = dict(_runs(workspace, config, result.series, name, learners[name]))
    answers = run_all([Job(w.name, evaluate, (w,)) for w in wanted.values()], engine_of(workspace.settings), progress)
    done = {k: a.result for k, a in zip(wanted, answers, strict=True) if isinstance(a, Done)}
    failed = tuple(f"{' '.join(k)}: {a.what} {a.why}" for k, a in zip(wanted, answers, strict=True)
                   if not isinstance(a, Done))  # fmt: skip
    judge = _Judge(config, result, name)
    return Robustness(
        result.series.name, name,
        tuple(_regimes(config, result)) if config.robustness.regimes else (),
        tuple(judge.control(what, e) for (kind, what), e in done.items() if kind == "control"),
        tuple(judge.changed(what, e) for (kind, what), e in done.items() if kind == "without"),
        tuple(judge.changed(what, e) for (kind, what), e in done.items() if kind == "with"),
        failed,
    )  # fmt: skip


def _runs(
    workspace: Workspace, config: TrainConfig, series: Series, name: str, plug_in: PlugIn
) -> Iterator[tuple[tuple[str, str], Work]]:
    """Yield the work of each control, each group of columns left out and each setting tried."""
    asked = config.robustness
    if asked.controls:
        shuffled = work_of(workspace.settings, config, series, name, plug_in, shuffled=True)
        yield ("control", "shuffled target"), replace(shuffled, name=f"{name}, shuffled target")
        frame = series.dataset.frame
        bare = replace(series.dataset, frame=frame.select([c for c in NAIVE_COLUMNS if c in frame.columns]))
        noise = with_noise(bare, NOISE_COLUMNS, config.seed + 1)
        only = replace(series, dataset=replace(noise, frame=noise.frame.select(
            [c for c in noise.frame.columns if c.startswith("noise_")])))  # fmt: skip
        made = work_of(workspace.settings, config, only, name, plug_in)
        yield ("control", "random features"), replace(made, name=f"{name}, random features")
    if asked.ablation:
        for group in dict.fromkeys(spec.group for spec in series.dataset.frame.specs):
            kept = [c.name for s in series.dataset.frame.specs if s.group != group for c in s.columns]
            if kept:
                less = replace(series, dataset=series.dataset.select(kept))
                made = work_of(workspace.settings, config, less, name, plug_in)
                yield ("without", group), replace(made, name=f"{name}, without {group}")
    for setting, values in asked.sensitivity.items():
        for value in values:
            other = PlugIn(name=plug_in.name, settings={**plug_in.settings, setting: value})
            made = work_of(workspace.settings, config, series, name, other)
            yield ("with", f"{setting} = {value}"), replace(made, name=f"{name}, {setting} = {value}")


@dataclass(frozen=True, eq=False)
class _Judge:
    config: TrainConfig
    result: Scored
    name: str

    def control(self, what: str, evaluated: Evaluated) -> Control:
        """Compare a control with the unconditional forecast: what is left to learn where nothing else is."""
        series = self.result.series
        usual = "historical_mean" if "historical_mean" in self.result.forecasts else self.result.baseline
        base = self.result.forecasts[usual]
        forecast, outcome = self._forecast(evaluated), self.result.outcome
        known = np.isfinite(forecast) & np.isfinite(outcome) & np.isfinite(base)
        test = no_skill(outcome[known], forecast[known], base[known], series.horizon)
        losses = losses_of(series, outcome, forecast)[known]
        return Control(what, _skill(self.config, losses, self.result.losses(usual)[known]), test.p_value)

    def changed(self, what: str, evaluated: Evaluated) -> Changed:
        """Compare a changed run with the learner as it was, row by row."""
        losses = losses_of(self.result.series, self.result.outcome, self._forecast(evaluated))
        change = losses - self.result.losses(self.name)
        change = change[np.isfinite(change)]
        value = float(change.mean())
        try:
            low, high = bootstrap.interval(
                bootstrap.mean, change, replications=self.config.replications, seed=self.config.seed
            )
        except ForecastleError as error:
            return Changed(what, Figure(value, reason=error.what))
        return Changed(what, Figure(value, low, high))

    def _forecast(self, evaluated: Evaluated) -> FloatArray:
        made = evaluated.joined()
        found = np.full(self.result.rows.size, np.nan)
        found[np.searchsorted(self.result.rows, made.rows)] = made.forecast
        return found


def _regimes(config: TrainConfig, result: Scored) -> Iterator[Part]:
    base = result.losses(result.baseline)
    naive = NAIVE[result.series.dataset.labels.unit]
    for what, inside in _parts(result).items():
        for name in result.forecasts:
            losses = result.losses(name)
            rows = inside & np.isfinite(losses) & np.isfinite(base)
            if name not in naive and rows.sum() >= FEWEST:
                yield Part(name, what, int(rows.sum()), _skill(config, losses[rows], base[rows]))


def _parts(result: Scored) -> dict[str, BoolArray]:
    """Return which rows are in which regime; limits are of the rows before the first test, so of no test row."""
    frame = result.series.dataset.frame
    found: dict[str, BoolArray] = {}
    first = int(result.rows[0])
    if "realized_volatility_20" in frame.columns and first >= FEWEST:
        sigma = frame.values(["realized_volatility_20"])[:, 0]
        low, high = np.nanquantile(sigma[:first], [1 / 3, 2 / 3])
        there = sigma[result.rows]
        found |= {"calm": there <= low, "usual": (there > low) & (there <= high), "wild": there > high}
    if "sma_distance_200" in frame.columns:
        trend = frame.values(["sma_distance_200"])[result.rows, 0]
        found |= {"above its mean of 200": trend > 0.0, "below its mean of 200": trend <= 0.0}
    moments = frame.known_at()[result.rows]
    kind = "crypto" if result.series.instrument.always_open else "stocks"
    for name, (begin, end) in CRISES[kind].items():
        found[name] = (moments >= np.datetime64(begin)) & (moments < np.datetime64(end) + np.timedelta64(1, "D"))
    return found


def _skill(config: TrainConfig, losses: FloatArray, base: FloatArray) -> Figure:
    value = float(bootstrap.gain(losses, base))
    low, high = bootstrap.interval(bootstrap.gain, losses, base, replications=config.replications, seed=config.seed)
    return Figure(value, low, high)


def plain(found: Robustness) -> dict[str, Any]:
    """Return it as plain data, for files."""

    def figure(f: Figure) -> dict[str, Any]:
        return {"value": f.value, "low": f.low, "high": f.high, "reason": f.reason}

    return {
        "series": found.series, "learner": found.learner,
        "regimes": [{"learner": p.learner, "name": p.name, "rows": p.rows, "skill": figure(p.skill)}
                    for p in found.regimes],
        "controls": [{"name": c.name, "skill": figure(c.skill), "p_value": c.p_value} for c in found.controls],
        "ablation": [{"name": c.name, "change": figure(c.change)} for c in found.ablation],
        "sensitivity": [{"name": c.name, "change": figure(c.change)} for c in found.sensitivity],
        "notes": list(found.notes),
    }  # fmt: skip
