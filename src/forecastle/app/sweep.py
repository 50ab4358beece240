"""Thousands of settings of one strategy at once, and how likely the best of them is the best by luck."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle import __version__
from forecastle.app._judged import measured
from forecastle.app._trading import Setup, strategy_of, trade
from forecastle.app._works import engine_of
from forecastle.app.backtest import ready
from forecastle.app.walk_forward import settings_of
from forecastle.errors import DataMissing, RequestInvalid
from forecastle.experiments import folder as folders
from forecastle.experiments.header import TenFields, write_header
from forecastle.experiments.spec import digest
from forecastle.experiments.strategy_spec import BacktestConfig, load_backtest
from forecastle.experiments.track import git_revision
from forecastle.experiments.trials import TrialLog
from forecastle.jobs import Done, Failed, Job, run_all
from forecastle.lake.atomic import make_folder, write_bytes
from forecastle.nouns.scorecard import DeflatedSharpe, Overfitting
from forecastle.ports import Progress, silent
from forecastle.requests import BacktestRequest
from forecastle.scoring.trading import deflated_sharpe, probability_of_backtest_overfitting
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
FIGURES = ("total_return", "cagr", "sharpe", "sortino", "max_drawdown", "mar", "trades", "turnover", "exposure")
PERIODS = 2_000
"""Rows that returns are summed to for the probability of overfitting, so that memory does not grow with the bars."""
PART = 50
"""Sets of settings done as one job, kept when done: a sweep that is stopped goes on after them."""


@dataclass(frozen=True)
class Swept:
    """One set of settings and its figures, None where one is not defined."""

    settings: Mapping[str, Any]
    figures: Mapping[str, float | None]


@dataclass(frozen=True, eq=False)
class SweepResult:
    """All sets of a sweep, best Sharpe ratio first.

    ``overfitting`` is the probability that the best set in one half of the time is below the median in the other;
    ``deflated`` judges the best against as many tries. ``resumed`` sets were done before a stop.
    """

    config: BacktestConfig
    rows: tuple[Swept, ...]
    overfitting: Overfitting
    deflated: DeflatedSharpe
    trials: int
    resumed: int
    failed: tuple[Failed, ...]
    folder: Path | None

    @property
    def source(self) -> str | None:
        """Return where the candles are from, as the file says."""
        return self.config.data.source


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of a sweep: a setup, sets of settings, and the file that keeps what came of them."""

    setup: Setup
    sets: tuple[dict[str, Any], ...]
    kept: Path | None


def sweep(workspace: Workspace, request: BacktestRequest, progress: Progress = silent) -> SweepResult:
    """Backtest every set of ``sweep`` of a file, over the cores or the cluster of the settings.

    The result is the same on every engine. Every set counts as a trial. Raises ``RequestInvalid`` without a grid, and
    what a backtest raises.
    """
    config = load_backtest(request.config)
    if not config.sweep:
        raise RequestInvalid(f"{request.config} has no sweep.", "A sweep says which settings to try.",
                             "Add sweep: {fast: {from: 5, to: 50, step: 5}}.")  # fmt: skip
    sets = settings_of(config, config.sweep)
    setup = ready(workspace, config, request.open_holdout, progress)
    parts = _parts(workspace, setup, sets)
    before = sum(len(p.sets) for p in parts if p.kept is not None and p.kept.is_file())
    answers = run_all([Job(f"sets {k * PART + 1} on", swept, (p,)) for k, p in enumerate(parts)],
                      engine_of(workspace.settings), progress)  # fmt: skip
    failed = tuple(a for a in answers if isinstance(a, Failed))
    made = [(p, a.result) for p, a in zip(parts, answers, strict=True) if isinstance(a, Done)]
    if not made:
        raise failed[0].error or DataMissing(failed[0].what, failed[0].why, failed[0].hint)
    rows = [Swept(s, f) for p, (figures, _) in made for s, f in zip(p.sets, figures, strict=True)]
    returns = np.concatenate([r for _, (_, r) in made], axis=1)
    return _judged(workspace, setup, rows, returns, before, failed, request.config)


def _parts(workspace: Workspace, setup: Setup, sets: Sequence[dict[str, Any]]) -> list[Part]:
    """Return the pieces; each file is named by all that could change a number."""
    told = {
        "config": setup.config.tried(), "data": setup.span.document(), "seed": setup.config.seed,
        "code": [__version__, git_revision()], "forecast": _digest(setup.seen.forecast),
    }  # fmt: skip
    place = workspace.settings.models / "checkpoints"
    pieces = [tuple(sets[first : first + PART]) for first in range(0, len(sets), PART)]
    return [Part(setup, piece, place / f"sweep-{digest({**told, 'sets': piece})[:24]}.json") for piece in pieces]


def _digest(values: FloatArray | None) -> str:
    return "" if values is None else hashlib.sha256(values.tobytes()).hexdigest()


def swept(part: Part) -> tuple[list[dict[str, float | None]], FloatArray]:
    """Return the figures of each set of a piece, and its returns summed to at most 2,000 periods, (periods, sets)."""
    known = _read(part)
    if known is not None:
        return known
    figures, columns = [], []
    for settings in part.sets:
        done, _ = trade(part.setup, settings)
        found, _ = measured(part.setup, done)
        figures.append({name: found.figures[name].value for name in FIGURES})
        columns.append(summed(found.returns))
    returns = np.column_stack(columns)
    if part.kept is not None:
        make_folder(part.kept.parent)
        document = {"figures": figures, "returns": returns.T.tolist()}
        write_bytes(part.kept, json.dumps(document, allow_nan=False).encode())
    return figures, returns


def _read(part: Part) -> tuple[list[dict[str, float | None]], FloatArray] | None:
    if part.kept is None or not part.kept.is_file():
        return None
    try:
        document = json.loads(part.kept.read_bytes())
        returns = np.array(document["returns"], dtype=np.float64).T
        return (list(document["figures"]), returns) if returns.shape[1] == len(part.sets) else None
    except (OSError, ValueError, KeyError, IndexError):
        return None


def summed(returns: FloatArray) -> FloatArray:
    """Return log returns summed over stretches of equal length, at most 2,000; a rest at the end is left out."""
    each = max(-(-returns.size // PERIODS), 1)
    whole = returns.size // each
    return np.asarray(returns[: whole * each].reshape(whole, each).sum(axis=1))


def _judged(
    workspace: Workspace, setup: Setup, rows: list[Swept], returns: FloatArray, before: int,
    failed: tuple[Failed, ...], path: Path,
) -> SweepResult:  # fmt: skip
    order = sorted(range(len(rows)), key=lambda k: -(rows[k].figures["sharpe"] or -np.inf))
    _count(workspace, setup, rows, returns)
    log = TrialLog(workspace.settings.home, workspace.clock)
    trials = max(log.count(setup.span), len(rows))
    spread = returns.std(axis=0, ddof=1)
    ratios = returns.mean(axis=0)[spread > 0.0] / spread[spread > 0.0]
    variance = float(np.var(ratios, ddof=1)) if ratios.size > 1 else None
    best = deflated_sharpe(returns[:, order[0]], trials, variance)
    overfitting = probability_of_backtest_overfitting(returns)
    found = SweepResult(setup.config, tuple(rows[k] for k in order), overfitting, best, trials, before, failed, None)
    return SweepResult(setup.config, found.rows, overfitting, best, trials, before, failed,
                       _kept(workspace, setup, found, path))  # fmt: skip


def _count(workspace: Workspace, setup: Setup, rows: Sequence[Swept], returns: FloatArray) -> None:
    """Count every set as a trial, with its returns over the periods of the sweep."""
    log = TrialLog(workspace.settings.home, workspace.clock)
    n = len(setup.market)
    each = max(-(-n // PERIODS), 1)
    moments = setup.market.close_time[each - 1 :: each][: returns.shape[0]]
    log.register_all(
        "sweep",
        [({**setup.config.tried(), "settings": dict(row.settings)}, returns[:, k],
          {n: v for n, v in row.figures.items() if v is not None}) for k, row in enumerate(rows)],
        setup.span, moments, "return",
    )  # fmt: skip


def _kept(workspace: Workspace, setup: Setup, found: SweepResult, path: Path) -> Path:
    own = folders.begin(workspace.settings.home, workspace.clock, f"{setup.config.name}-sweep")
    config, span = setup.config, setup.span
    document = {
        "schema": "forecastle/sweep-result/1", "config": config.plain, "trials": found.trials,
        "overfitting": found.overfitting.probability, "deflated_sharpe": found.deflated.probability,
        "sets": [{"settings": dict(r.settings), "figures": dict(r.figures)} for r in found.rows],
    }  # fmt: skip
    write_bytes(own.path / "sweep.json", f"{json.dumps(document, indent=1, allow_nan=False)}\n".encode())
    best = found.rows[0]
    write_header(own.path, TenFields(
        own.id, config.owner or "not said", own.day, config.objective or "not said",
        f"{', '.join(span.instruments)} {span.timeframe} from {span.source}, {span}",
        f"{path}, fingerprint {config.fingerprint[:16]}",
        f"{getattr(strategy_of(config), 'label', config.strategy.name)}, {len(found.rows)} sets of settings",
        f"best Sharpe ratio {best.figures['sharpe']} of {dict(best.settings)}",
        f"probability of overfitting {found.overfitting.probability}, deflated Sharpe of the best "
        f"{found.deflated.probability} after {found.trials} configurations", config.notes or "none",
    ), table_of(found))  # fmt: skip
    return own.path


def table_of(found: SweepResult, most: int = 50) -> str:
    """Return the best sets as a Markdown table."""
    names = list(found.rows[0].settings)
    lines = [f"| {' | '.join((*names, *FIGURES))} |", f"|{'---|' * (len(names) + len(FIGURES))}"]
    for row in found.rows[:most]:
        values = [f"{v:.4g}" if v is not None else "n/a" for v in (row.figures[n] for n in FIGURES)]
        lines.append(f"| {' | '.join((*(str(row.settings[n]) for n in names), *values))} |")
    return "\n".join(lines)
