"""What a backtest leaves behind: its folder with ten fields, the report, the tables and the numbers as data."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from forecastle.app._trading import Setup
from forecastle.experiments import folder as folders
from forecastle.experiments.folder import ExperimentFolder
from forecastle.experiments.header import TenFields, write_header
from forecastle.experiments.track import git_revision
from forecastle.lake.atomic import write_bytes
from forecastle.nouns.backtest_result import BacktestResult, TradedWindow
from forecastle.nouns.scorecard import Figure
from forecastle.nouns.stress import StressResult
from forecastle.reports._verdict import verdict
from forecastle.reports.backtest import backtest_html
from forecastle.reports.backtest_markdown import backtest_markdown
from forecastle.workspace import Workspace

SCHEMA = "forecastle/backtest-result/1"
REPORT, PAGE, NUMBERS = "backtest_report.md", "report.html", "backtest.json"


def keep_backtest(
    workspace: Workspace,
    setup: Setup,
    result: BacktestResult,
    path: Path | None,
    held: tuple[str, ...] = (),
    opened: tuple[str, ...] = (),
    stress: StressResult | None = None,
) -> ExperimentFolder:
    """Write the folder of a backtest; raises ``StorageUnwritable``."""
    own = folders.begin(workspace.settings.home, workspace.clock, result.name)
    config = setup.config
    write_bytes(own.path / "config.yaml", yaml.safe_dump(config.plain, sort_keys=False, allow_unicode=True).encode())
    for name, table in (("fills", result.fills), ("trades", result.trades), ("orders", result.orders),
                        ("equity", equity_table(result))):  # fmt: skip
        write_bytes(own.path / f"{name}.parquet", _parquet(table))
    document = {**numbers(result), "id": own.id, "config": config.plain, "config_fingerprint": config.fingerprint,
                "git_revision": git_revision(), "made_at": workspace.clock.now().isoformat()}  # fmt: skip
    write_bytes(own.path / NUMBERS, f"{json.dumps(document, indent=2, allow_nan=False)}\n".encode())
    write_bytes(own.path / PAGE, backtest_html(result, stress).encode())
    fields = _fields(setup, result, own, path, held, opened)
    write_header(own.path, fields, backtest_markdown(result, stress), REPORT)
    write_header(own.path, fields, f"See [{REPORT}]({REPORT}) and [{PAGE}]({PAGE}).")
    return own


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def equity_table(result: BacktestResult) -> pl.DataFrame:
    """Return one row a bar: when, equity, log return, drawdown, net exposure, and each position in units."""
    times = pl.Series(result.market.close_time).dt.replace_time_zone("UTC")
    columns: dict[str, Any] = {
        "close_time": times, "equity": result.equity, "log_return": result.returns, "drawdown": result.drawdown,
        "exposure": result.exposure,
    }  # fmt: skip
    columns |= {f"position {name}": result.position[:, j] for j, name in enumerate(result.market.names)}
    return pl.DataFrame(columns)


def numbers(result: BacktestResult) -> dict[str, Any]:
    """Return the result as plain data: everything but the rows of the tables."""
    market, said = result.market, verdict(result)
    return {
        "schema": SCHEMA, "name": result.name, "strategy": result.strategy, "instruments": list(result.instruments),
        "timeframe": result.timeframe, "source": result.source, "simulated": result.simulated,
        "start": _moment(market.open_time[0]), "end": _moment(market.close_time[-1]), "bars": len(market),
        "cash": result.cash, "final_equity": float(result.equity[-1]), "gross": result.gross,
        "costs": dict(result.costs), "periods_per_year": result.periods_per_year, "figures": figures(result.figures),
        "benchmarks": [
            {"name": b.name, "figures": figures(b.figures), "note": b.note, "p_value": b.p_value}
            for b in result.benchmarks
        ],
        "readings": [{"name": r.name, "figures": figures(r.figures), "note": r.note} for r in result.readings],
        "deflated_sharpe": None if result.deflated is None else {
            "probability": result.deflated.probability, "sharpe": result.deflated.sharpe,
            "threshold": result.deflated.threshold, "reason": result.deflated.reason,
        },
        "overfitting": None if result.overfitting is None else {
            "probability": result.overfitting.probability, "trials": result.overfitting.trials,
            "reason": result.overfitting.reason,
        },
        "verdict": {"lead": said.lead, "lines": list(said.lines), "edge": said.edge},
        "trials": result.trials, "signals": result.signals, "fills": len(result.fills), "calls": result.calls,
        "liquidations": result.liquidations, "why": list(result.why), "notes": list(result.notes),
        "windows": [_window(result, w) for w in result.windows],
    }  # fmt: skip


def _window(result: BacktestResult, w: TradedWindow) -> dict[str, Any]:
    first, last = result.market.open_time[w.first], result.market.close_time[w.last - 1]
    return {"number": w.number, "start": _moment(first), "end": _moment(last), "chosen": dict(w.chosen),
            "trained_until": w.trained_until, "inside": w.inside, "log_return": w.log_return,
            "trades": w.trades}  # fmt: skip


def figures(found: Mapping[str, Figure]) -> dict[str, dict[str, Any]]:
    """Return figures as plain data; a value that is not defined is null with its reason."""
    return {
        name: {"value": f.value, "low": f.low, "high": f.high, **({"reason": f.reason} if f.reason else {})}
        for name, f in found.items()
    }


def _moment(value: np.datetime64) -> str:
    return f"{value.astype('datetime64[s]')}+00:00"


def _fields(
    setup: Setup, result: BacktestResult, own: ExperimentFolder, path: Path | None, held: tuple[str, ...],
    opened: tuple[str, ...],
) -> TenFields:  # fmt: skip
    config, span = setup.config, setup.span
    kept = [f"held out and not seen: {lock}" for lock in held] + [f"HOLD-OUT OPENED: {lock}" for lock in opened]
    named = f"{path}, " if path is not None else ""
    return TenFields(
        own.id, config.owner or "not said", own.day, config.objective or "not said",
        f"{', '.join(result.instruments)} {result.timeframe} from {span.source}, {span.start:%Y-%m-%d %H:%M} to "
        f"{span.end:%Y-%m-%d %H:%M} UTC, {len(result.market)} bars, data {span.data_hash}"
        + "".join(f"; {one}" for one in kept),
        f"{named}config.yaml beside this file, fingerprint {config.fingerprint[:16]}",
        f"{result.strategy}; sizing {config.sizing.plain}; {config.strategy.plain}",
        "; ".join(f"{name} {_told(result.figures[name])}" for name in ("total_return", "sharpe", "max_drawdown")),
        summary(result), config.notes or "none",
    )  # fmt: skip


def summary(result: BacktestResult) -> str:
    """Return what it earned after costs beside holding, and after how many tries, in a sentence."""
    hold = next((b for b in result.benchmarks if b.name == "Buy and hold"), None)
    told = f"{_told(result.figures['total_return'])} after costs"
    if hold is not None:
        told += f", buy and hold {_told(hold.figures['total_return'])}"
    probability = None if result.deflated is None else result.deflated.probability
    sure = "n/a" if probability is None else f"{probability:.3f}"
    return f"{told}; deflated Sharpe {sure} after {result.trials} configurations tried on these data"


def _told(figure: Figure) -> str:
    if figure.value is None:
        return f"n/a ({figure.reason})"
    bounds = "" if figure.low is None or figure.high is None else f" ({figure.low:.4g} to {figure.high:.4g})"
    return f"{figure.value:.4g}{bounds}"
