"""Value at risk of the default method over real daily series: ``python -m bench.risk --data DIR``.

Every instrument once, by its longest source, with 1,000 forecasts or more. A cell is an instrument and a level; it
passes where neither Kupiec's test nor Christoffersen's of conditional coverage rejects at 1 %. Beside it stands the
share that a perfect forecaster gets, whose breaches are independent draws at the level, and FZ0 beside that of
GARCH(1,1)-t's own distribution on the same days. The settings of the default method were compared on all
years and on simulated markets; the cells of the years after 2022, few among them, are told apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from forecastle.app.fit import model_of
from forecastle.app.history import history_of
from forecastle.app.import_folder import import_folder
from forecastle.errors import DataInvalid, ForecastRefused
from forecastle.nouns import History
from forecastle.ports import Model, OneStep, Plan
from forecastle.requests import COMBINATION, ImportFolderRequest, ModelSpec, SeriesRequest, build
from forecastle.scoring.forecast import fz0
from forecastle.scoring.risk import christoffersen, kupiec_pof
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

ROOT = Path(__file__).parents[1]
MAP = ROOT / "tests" / "fixtures" / "shared_data.toml"
LEVELS = np.array([0.01, 0.05])
FEWEST, FEWEST_AFTER = 1000, 250
AFTER = np.datetime64("2023-01-01")
TEST_SIZE = 0.01
DRAWS = 200
BROKEN = 1.0
"""A difference of FZ0 above this is no better or worse forecast, but one that broke down."""
BENCHMARK = ModelSpec(name="garch", dist="t")


@dataclass(frozen=True)
class Cell:
    """One instrument at one level: how many breaches, what the tests say, FZ0 and the benchmark's."""

    instrument: str
    source: str
    level: float
    days: int
    breaches: int
    kupiec: float
    coverage: float
    fz0: float
    benchmark: float

    @property
    def passed(self) -> bool:
        """Return whether neither test rejects."""
        return min(self.kupiec, self.coverage) >= TEST_SIZE

    def __str__(self) -> str:
        return (
            f"| {self.instrument} | {self.source} | {self.days:,} | {100 * self.level:g} % "
            f"| {self.breaches} / {self.days * self.level:.0f} | {self.kupiec:.3f} | {self.coverage:.3f} "
            f"| {self.fz0:.3f} | {self.benchmark:.3f} | {'yes' if self.passed else 'NO'} |"
        )


@dataclass(frozen=True)
class Walked:
    """One instrument walked through by the method and by the benchmark; arrays by day."""

    instrument: str
    source: str
    times: Times
    outcome: FloatArray
    ours: OneStep
    theirs: OneStep

    def cells(self, since: np.datetime64 | None = None) -> Iterator[Cell]:
        """Yield a cell for each level over all days, or over those that end after ``since``."""
        rows = np.ones(self.outcome.size, np.bool_) if since is None else self.times >= since
        y = self.outcome[rows]
        for column, level in enumerate(LEVELS.tolist()):
            var, es = -self.ours.quantiles[:-1][rows, column], self.ours.es[:-1][rows, column]
            other = -self.theirs.quantiles[:-1][rows, column], self.theirs.es[:-1][rows, column]
            coverage = christoffersen(y, var, level).conditional_coverage.p_value
            yield Cell(
                self.instrument, self.source, level, y.size, int((y < -var).sum()),
                kupiec_pof(y, var, level).p_value or 0.0, coverage or 0.0, _loss(y, var, es, level),
                _loss(y, *other, level),
            )  # fmt: skip


def _loss(y: FloatArray, var: FloatArray, es: FloatArray, level: float) -> float:
    """Return FZ0; NaN where ES is not positive: a forecast gone wrong."""
    try:
        return fz0(y, var, es, level)
    except DataInvalid:
        return float("nan")


def series(workspace: Workspace, window: int) -> list[tuple[str, str]]:
    """Return (instrument, source) of every daily series that is long enough, the longest source of each instrument."""
    longest: dict[str, tuple[int, str]] = {}
    for held in workspace.lake.datasets():
        if held.key.timeframe == "1d" and not held.key.source.startswith("dirty"):
            returns = len(workspace.lake.read(held.key).log_returns())
            best = max((returns, held.key.source), longest.get(held.key.instrument, (0, "")))
            longest[held.key.instrument] = best
    return [(name, source) for name, (n, source) in sorted(longest.items()) if n >= window + FEWEST]


def walk(history: History, source: str, ours: Model, theirs: Model, window: int, refit_every: int) -> Walked:
    """Roll both models over one instrument."""
    plan = Plan(window, refit_every, LEVELS)
    returns = history.returns
    return Walked(
        history.candles.instrument.id, source, returns.target_time[window:], returns.values[window:],
        ours.roll(history, plan).step, theirs.roll(history, plan).step,
    )  # fmt: skip


def perfect(cells: Sequence[Cell]) -> float:
    """Return the share of cells of the same lengths that independent breaches at the level pass, of 200 draws each."""
    rng = np.random.default_rng(0)
    passed = [_passes(rng.random(c.days) < c.level, c.level) for c in cells for _ in range(DRAWS)]
    return float(np.mean(passed))


def _passes(hits: npt.NDArray[np.bool_], level: float) -> bool:
    y, var = np.where(hits, -2.0, 0.0), np.ones(hits.size)
    coverage = christoffersen(y, var, level).conditional_coverage.p_value
    return min(kupiec_pof(y, var, level).p_value or 0.0, coverage or 0.0) >= TEST_SIZE


def told(title: str, cells: Sequence[Cell]) -> Iterator[str]:
    """Yield the lines of the summary of some cells."""
    if not cells:
        return
    share, best = 100 * np.mean([c.passed for c in cells]), 100 * perfect(cells)
    yield f"\n{title}: {share:.1f} % of {len(cells)} cells pass; a perfect forecaster gets {best:.1f} %."
    for level in LEVELS.tolist():
        some = [c for c in cells if c.level == level]
        gain = np.array([c.fz0 - c.benchmark for c in some])
        sound = np.abs(gain) < BROKEN
        yield (
            f"- {100 * level:g} %: {100 * np.mean([c.passed for c in some]):.1f} % pass; FZ0 less GARCH(1,1)-t's: mean "
            f"{gain[sound].mean():+.4f}, median {np.median(gain):+.4f}, lower on {(gain < 0).sum()} of {gain.size}"
            f"{_left_out([c for c, fine in zip(some, sound, strict=True) if not fine])}"
        )


def _left_out(cells: Sequence[Cell]) -> str:
    if not cells:
        return ""
    names = ", ".join(f"{c.instrument} ({c.fz0:.2f} against {c.benchmark:.2f})" for c in cells)
    return f"; not in the mean, for one of the two broke down: {names}"


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--home", type=Path, help="a home that holds the data already")
    parser.add_argument("--model", default=COMBINATION.name)
    parser.add_argument("--tail", default="conformal")
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--refit-every", type=int, default=20)
    parser.add_argument("--only", help="instruments, separated by commas")
    return parser.parse_args()


def run(workspace: Workspace, given: argparse.Namespace) -> None:
    """Walk, test, print."""
    began = time.perf_counter()
    ours, theirs = model_of(build(ModelSpec, name=given.model, tail=given.tail)), model_of(BENCHMARK)
    print(f"{ours.label}, window {given.window:,}, refitted every {given.refit_every}\n")
    print("| instrument | source | days | level | breaches / expected | Kupiec p | cond. coverage p | FZ0 | GARCH-t's "
          "| both pass |\n|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    whole: list[Cell] = []
    after: list[Cell] = []
    for name, source in series(workspace, given.window):
        if given.only and name not in given.only.split(","):
            continue
        request = build(SeriesRequest, instrument=name, source=source)
        try:
            walked = walk(history_of(workspace, request, ours.wants), source, ours, theirs, given.window,
                          given.refit_every)  # fmt: skip
        except ForecastRefused as error:
            print(f"| {name} | {source} | refused: {error.what} {error.why} |")
            continue
        cells = list(walked.cells())
        print(*cells, sep="\n", flush=True)
        whole += cells
        after += list(walked.cells(AFTER)) if (walked.times >= AFTER).sum() >= FEWEST_AFTER else []
    print(*told("All years", whole), *told("From 2023 on", after), sep="\n")
    print(f"{time.perf_counter() - began:.0f} s", file=sys.stderr)


def main() -> None:
    """Bring the folder into a home of its own where none is given, and run."""
    given = options()
    if given.home is not None:
        run(Workspace.open(given.home), given)
        return
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder))
        import_folder(workspace, build(ImportFolderRequest, path=given.data, map=MAP))
        run(workspace, given)


if __name__ == "__main__":
    main()
