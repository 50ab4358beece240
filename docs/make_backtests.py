"""Remake docs/results/backtests.md: every ready backtest on real market data, walked forward and stressed.

python docs/make_backtests.py --data DIR [--home HOME] [--only WORDS]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

from forecastle.app.backtest import backtest  # noqa: E402
from forecastle.app.fetch import fetch  # noqa: E402
from forecastle.app.look import open_workspace  # noqa: E402
from forecastle.app.stress import Stressed, stress  # noqa: E402
from forecastle.app.sweep import SweepResult, sweep  # noqa: E402
from forecastle.app.walk_forward import walk_forward  # noqa: E402
from forecastle.errors import ForecastleError  # noqa: E402
from forecastle.experiments.strategy_spec import BacktestConfig, load_backtest  # noqa: E402
from forecastle.nouns.backtest_result import BacktestResult  # noqa: E402
from forecastle.nouns.scorecard import Figure  # noqa: E402
from forecastle.reports._verdict import verdict  # noqa: E402
from forecastle.requests import BacktestRequest, FetchRequest, build  # noqa: E402
from forecastle.workspace import Workspace  # noqa: E402

PAGE = ROOT / "docs" / "results" / "backtests.md"
MAP = ROOT / "tests" / "fixtures" / "shared_data.toml"
SHOWN = ("total_return", "cagr", "volatility", "sharpe", "max_drawdown", "mar", "trades", "turnover")
PERCENT = ("total_return", "cagr", "volatility", "max_drawdown")
HEAD = """# Backtests on real data

Made by `make backtests DATA=...`: each `configs/backtest-*.yaml` run by `backtest`, `walk-forward`, `sweep` (where it
has one) and `stress` on the folder of real market data. Fees, spread and funding are the venue's; the order within a
bar is against the position. Intervals are 95 %, by stationary block bootstrap. Strategies and settings are textbook
ones and were not chosen on these series; what a walk-forward run chooses it chooses inside. An edge is claimed only
where nothing speaks against it: holding, the interval of the Sharpe ratio, the deflated Sharpe ratio after all that was
tried on the data, entries at random.
"""


def main() -> None:
    """Run all and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--only", default="")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        home = said.home or Path(made)
        workspace = open_workspace(home)
        if said.home is None:
            words = ["import", str(said.data), "--map", str(MAP), "--home", str(home)]
            command = [sys.executable, "-m", "forecastle", *words]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        fetch(workspace, build(FetchRequest, instruments=("SPX.INDEX",), sources=("bundled",)))
        parts = [HEAD]
        for path in sorted((ROOT / "configs").glob("backtest-*.yaml")):
            if said.only in path.stem:
                sys.stderr.write(f"{path.stem}\n")
                parts.append("\n".join(section(workspace, path)))
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def section(workspace: Workspace, path: Path) -> Iterator[str]:
    """Yield the lines of one configuration."""
    config, request = load_backtest(path), BacktestRequest(config=path)
    yield from [f"## [{path.stem}](../../configs/{path.name})", "", config.objective, ""]
    try:
        whole, walked = backtest(workspace, request).result, walk_forward(workspace, request).result
    except ForecastleError as error:
        yield from [f"Not run: {error.what} {error.why}", ""]
        return
    yield from _head(whole)
    yield from _table(whole, walked)
    yield from _costs(whole)
    yield from _windows(walked)
    if config.sweep:
        yield from _sweep(sweep(workspace, request), config)
    yield from _stress(stress(workspace, request))
    told = verdict(walked)
    yield from ["", f"Walked forward: {told.lead} {' '.join(told.lines)}", ""]


def _head(result: BacktestResult) -> Iterator[str]:
    market = result.market
    span = f"{str(market.open_time[0])[:10]} to {str(market.close_time[-1])[:10]}"
    yield (f"{result.strategy} on {', '.join(result.instruments)} {result.timeframe} from {result.source}, {span}, "
           f"{len(market)} bars, {result.periods_per_year:g} periods a year.")  # fmt: skip
    yield from [f" {note}" for note in result.notes]
    told = verdict(result)
    yield from [f"**{told.lead}** {' '.join(told.lines)}", ""]


def _table(whole: BacktestResult, walked: BacktestResult) -> Iterator[str]:
    yield f"| | {' | '.join(n.replace('_', ' ') for n in SHOWN)} |"
    yield f"|---|{'---|' * len(SHOWN)}"
    yield _row("the file's settings, whole time", whole.figures)
    yield _row("walked forward, its windows", walked.figures)
    for other in whole.benchmarks:
        p = "" if other.p_value is None else f" (p = {other.p_value:.3f})"
        yield _row(f"{other.name}{p}", other.figures)
    for reading in whole.readings:
        yield _row(reading.name, reading.figures)
    yield ""


def _row(name: str, figures: Mapping[str, Figure]) -> str:
    return f"| {name} | {' | '.join(_cell(n, figures.get(n)) for n in SHOWN)} |"


def _cell(name: str, figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.value is None:
        return f"n/a ({figure.reason})"
    bounds = (
        "" if figure.low is None or figure.high is None else f" ({_num(name, figure.low)} to {_num(name, figure.high)})"
    )
    return _num(name, figure.value) + bounds


def _num(name: str, value: float) -> str:
    if name in PERCENT:
        return f"{100 * value:,.1f} %"
    return f"{value:,.0f}" if name == "trades" else f"{value:,.2f}"


def _costs(result: BacktestResult) -> Iterator[str]:
    paid = ", ".join(f"{n.replace('_', ' ')} {v:,.0f}" for n, v in result.costs.items() if round(v))
    end = float(result.equity[-1])
    yield f"{result.cash:,.0f} + gross {result.gross:,.0f} - costs ({paid or 'none'}) = {end:,.0f}."
    yield ""


def _windows(result: BacktestResult) -> Iterator[str]:
    market = result.market
    told = [
        f"{str(market.open_time[w.first])[:10]} {', '.join(f'{k} {v}' for k, v in w.chosen.items()) or 'own settings'} "
        f"{100 * w.log_return:+.1f} %"
        for w in result.windows
    ]  # fmt: skip
    yield from [f"Windows (from, chosen before it, log return): {'; '.join(told)}.", ""]


def _sweep(found: SweepResult, config: BacktestConfig) -> Iterator[str]:
    best = found.rows[0]
    pbo, deflated = found.overfitting.probability, found.deflated.probability
    told = ", ".join(f"{k} {v}" for k, v in best.settings.items())
    yield (f"Sweep of {len(found.rows)} sets: best Sharpe ratio {best.figures['sharpe']:.2f} ({told}), probability of "
           f"overfitting {'n/a' if pbo is None else f'{pbo:.2f}'}, deflated Sharpe of the best "
           f"{'n/a' if deflated is None else f'{deflated:.2f}'} after {found.trials} configurations.")  # fmt: skip
    yield ""


def _stress(found: Stressed) -> Iterator[str]:
    names = ("total_return", "sharpe", "max_drawdown")
    yield from [
        "| stress | total return | sharpe | max drawdown | holding | calls | liquidated |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found.stress.scenarios:
        if not one.figures:
            continue
        cells = " | ".join(_cell(n, one.figures.get(n)) for n in names)
        hold = "" if one.hold is None else f"{100 * one.hold:,.1f} %"
        yield f"| {one.name} | {cells} | {hold} | {one.calls or ''} | {one.liquidations or ''} |"
    yield ""
    absent = [f"{one.name} ({one.note})" for one in found.stress.scenarios if not one.figures]
    if absent:
        yield from [f"Not run: {'; '.join(absent)}.", ""]
    chances = [f"{c.side} {c.leverage:g}x {100 * c.probability:.1f} %" for c in found.stress.liquidation
               if c.horizon == 30 and c.leverage >= 2]  # fmt: skip
    if chances:
        yield from [f"Chance of liquidation within 30 bars of the last close: {', '.join(chances)}.", ""]


if __name__ == "__main__":
    main()
