"""Choose on the past, trade the next window, go on: a backtest of the choosing, not of the best choice."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.app._judged import measured
from forecastle.app._trading import Setup, signals_of, strategy_of, trade
from forecastle.app.backtest import Backtested, begun_at, judged, kept, ready
from forecastle.backtest import Simulated, simulate
from forecastle.backtest.trades import TRADE, round_trips
from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.experiments.strategy_spec import MOST_SETS, BacktestConfig, load_backtest
from forecastle.nouns.backtest_result import TradedWindow
from forecastle.nouns.signal import Signals
from forecastle.ports import Progress, silent
from forecastle.requests import BacktestRequest
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
Settings = dict[str, Any]
SHORTEST = 20
"""Bars of a window, and bars to choose on, at least."""


@dataclass(frozen=True)
class Window:
    """Rows to choose on, ``[begin, first)``, and rows to trade, ``[first, last)``."""

    number: int
    begin: int
    first: int
    last: int


def walk_forward(workspace: Workspace, request: BacktestRequest, progress: Progress = silent) -> Backtested:
    """Walk a file's strategy forward; raises as :func:`walk_config` and ``load_backtest``."""
    config = load_backtest(request.config)
    setup = ready(workspace, config, request.open_holdout, progress)
    return walked(workspace, setup, request, progress)


def walked(workspace: Workspace, setup: Setup, request: BacktestRequest, progress: Progress = silent) -> Backtested:
    """Return the walk of a setup: in each window the settings that were best on the bars before it.

    A model is refitted for each window by its own folds; settings of ``choose`` are tried on the bars before a window
    and the best by ``walk_forward.objective`` trades it, in one account from the first window to the last. Raises
    ``DataInvalid`` where windows are too short, ``RequestInvalid`` for a grid that is empty or too large.
    """
    config = setup.config
    sets = settings_of(config, config.choose)
    windows = windows_of(setup)
    tables = _signals(setup, sets)
    chosen: list[tuple[Settings, float | None]] = []
    for window in windows:
        progress(window.number, len(windows), f"window {window.number + 1}")
        chosen.append(_best(setup, sets, tables, window))
    signals = _joined(setup, windows, [c for c, _ in chosen], tables, sets)
    begin = windows[0].first
    traded = begun_at(setup, begin)
    part = _part(signals, begin, len(setup.market))
    done, part = trade(traded, sets[0], signals=part)
    result = judged(workspace, traded, done, part, strategy_of(config), {**config.tried(), "walked": True})
    rows = _windows(windows, begin, chosen, done, traded)
    return kept(workspace, traded, replace(result, windows=rows, strategy=f"{result.strategy}, walked forward"),
                request.config)  # fmt: skip


def settings_of(config: BacktestConfig, grid: Mapping[str, Sequence[Any]]) -> list[Settings]:
    """Return every combination of a grid that the strategy takes; the file's own settings where there is no grid.

    Combinations that the strategy refuses (a fast average slower than the slow one) are left out. Raises
    ``RequestInvalid`` where none is left, or there are more than 100,000.
    """
    count = int(np.prod([len(values) for values in grid.values()])) if grid else 1
    if count > MOST_SETS or any(not len(values) for values in grid.values()):
        raise RequestInvalid(f"The grid has {count} sets of settings.", f"It has 1 to {MOST_SETS}.", "Mend its values.")
    found, refused = [], None
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        try:
            strategy_of(config, settings)
        except RequestInvalid as error:
            if "has no setting" in error.what:
                raise
            refused = error
            continue
        found.append(settings)
    if not found:
        raise refused or RequestInvalid("No set of settings is left.", "All were refused.", "Mend the grid.")
    return found


def windows_of(setup: Setup) -> list[Window]:
    """Return the windows: equal parts of the bars after the share ``start``."""
    walk, n = setup.config.walk_forward, len(setup.market)
    driven = setup.config.training is not None  # its first forecast is behind its own start already
    begin = SHORTEST if driven and setup.config.choose else 0 if driven else int(walk.start * n)
    edges = np.linspace(begin, n, walk.count + 1).round().astype(int).tolist()
    if min(np.diff(edges)) < SHORTEST or (setup.config.choose and begin < SHORTEST):
        raise DataInvalid(
            f"{n} bars make {walk.count} windows of {min(np.diff(edges))} bars after {begin} to choose on.",
            f"A window has {SHORTEST} bars or more.", "Take fewer windows, a later end or an earlier start.",
        )  # fmt: skip
    first = [0 if walk.window is None else max(edge - walk.window, 0) for edge in edges[:-1]]
    return [Window(k, b, lo, hi) for k, (b, lo, hi) in enumerate(zip(first, edges[:-1], edges[1:], strict=True))]


def _signals(setup: Setup, sets: Sequence[Settings]) -> list[Signals]:
    """Return the signals of each set over all bars: what is known at a close does not depend on where it is cut."""
    return [signals_of(setup, settings) for settings in sets]


def _best(
    setup: Setup, sets: Sequence[Settings], tables: Sequence[Signals], window: Window
) -> tuple[Settings, float | None]:
    """Return the settings that were best on the bars before a window, and how good they were there."""
    if len(sets) == 1:
        return sets[0], None
    scores = [_inside(setup, table, window) for table in tables]
    best = int(np.argmax([-np.inf if s is None else s for s in scores]))
    return sets[best], scores[best]


def _inside(setup: Setup, signals: Signals, window: Window) -> float | None:
    """Return the objective of a run over the bars to choose on alone: it ends before the window begins."""
    before = replace(setup, seen=_cut(setup, window.begin, window.first))
    costs = setup.costs
    if costs.funding is not None:
        costs = replace(costs, funding=costs.funding[window.begin : window.first])
    done = simulate(before.market, _part(signals, window.begin, window.first), setup.account, costs, setup.execution,
                    sigma=before.seen.sigma)  # fmt: skip
    return measured(before, done)[0].figures[setup.config.walk_forward.objective].value


def _cut(setup: Setup, first: int, last: int) -> Any:
    seen = setup.seen
    return replace(seen, market=seen.market.rows(first, last), columns={},
                   sigma=None if seen.sigma is None else seen.sigma[first:last], forecast=None)  # fmt: skip


def _part(signals: Signals, first: int, last: int) -> Signals:
    """Return the rows of signals; a state that was wished before the first row is wished again at it."""
    names = ("kind", "limit", "trigger", "tif", "stop", "take", "stop_share", "take_share", "trail_share")
    beside: dict[str, Any] = {
        n: None if getattr(signals, n) is None else getattr(signals, n)[first:last] for n in names
    }
    target = signals.target[first:last].copy()
    for j in range(target.shape[1]):
        earlier = signals.target[:first, j]
        known = np.flatnonzero(np.isfinite(earlier))
        if known.size and target.shape[0] and np.isnan(target[0, j]) and earlier[known[-1]] != 0.0:
            target[0, j] = earlier[known[-1]]
    return Signals(target, signals.measure, **beside)


def _joined(
    setup: Setup, windows: Sequence[Window], chosen: Sequence[Settings], tables: Sequence[Signals],
    sets: Sequence[Settings],
) -> Signals:  # fmt: skip
    """Return the signals of each window by what was chosen for it.

    The last close before a window already speaks for its first bar, with what was chosen by then.
    """
    first, (n, k) = tables[0], setup.market.close.shape
    names = [name for name in ("stop_share", "take_share", "trail_share") if getattr(first, name) is not None]
    made: dict[str, Any] = {name: np.full((n, k), np.nan) for name in ("target", *names)}
    for window, settings in zip(windows, chosen, strict=True):
        table = tables[list(sets).index(settings)]
        part = _part(table, window.first, window.last)
        made["target"][window.first : window.last] = part.target
        if np.isnan(part.target[0]).any() and window.number:
            # what the window before held and this choice does not want is closed
            made["target"][window.first] = np.where(np.isnan(part.target[0]), 0.0, part.target[0])
        for name in names:
            made[name][window.first : window.last] = getattr(table, name)[window.first : window.last]
    return Signals(measure=first.measure, **made)


def _windows(
    windows: Sequence[Window],
    begin: int,
    chosen: Sequence[tuple[Settings, float | None]],
    done: Simulated,
    setup: Setup,
) -> tuple[TradedWindow, ...]:
    level = np.log(np.concatenate([[setup.account.cash], np.maximum(done.equity, 1e-300)]))
    entries = round_trips(done.fills, len(setup.market.names))[:, TRADE.index("entry_bar")]
    rows = []
    for window, (settings, inside) in zip(windows, chosen, strict=True):
        lo, hi = window.first - begin, window.last - begin
        until = setup.market.open_time[lo].astype("datetime64[s]")
        trades = int(((entries >= lo) & (entries < hi)).sum())
        rows.append(TradedWindow(window.number + 1, lo, hi, settings, f"{until}+00:00", inside,
                                 float(level[hi] - level[lo]), trades))  # fmt: skip
    return tuple(rows)
