"""The kernel: as fast as it says, and never below the best likelihood there is.

python -m bench.kernel                       # times beside arch
python -m bench.kernel --best [--windows N]  # S&P 500 and Bitcoin (from --data) against a wide search: takes an hour
python -m bench.kernel --data DIR            # every daily series of DIR: where arch's default fit fails, and where ours
"""

from __future__ import annotations

import argparse
import math
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from arch import arch_model

from bench.timing import side_by_side
from bench.wide_search import sound, wide_search
from forecastle.errors import ForecastRefused
from forecastle.models._maximise import Evaluated, Kernel, loglikelihood
from forecastle.models.rolling_garch import RollingGarch, rolling_garch
from forecastle.nouns import Instrument
from forecastle.sources.bundled import Bundled

FloatArray = npt.NDArray[np.float64]

SETTINGS = {
    "GARCH-n": Kernel("garch", 1, 0, 1, "normal", "constant"),
    "GARCH-t": Kernel("garch", 1, 0, 1, "t", "constant"),
    "GJR-t": Kernel("garch", 1, 1, 1, "t", "constant"),
    "EGARCH-skewt": Kernel("egarch", 1, 1, 1, "skewt", "constant"),
}
WINDOWS = (500, 1000)
SHORT = 0.01
"""Log-likelihood below the best that counts as missing it."""
STARTS = {"garch": 8, "egarch": 16}
LEAST = 750
STEP = 100
"""Of the windows of a series of ``--data`` every this-many-th is fitted."""
SAMPLED = 10


def spx() -> FloatArray:
    """Return the daily log returns of the bundled S&P 500."""
    return Bundled().fetch(Instrument.parse("SPX.INDEX"), "1d", None, None).log_returns().values


def bitcoin(data: Path) -> FloatArray:
    """Return the longest daily series of Bitcoin in the folder, log returns."""
    return next(closes for name, closes in daily(data) if name.startswith("BTC") and closes.size > 4000)


def daily(data: Path) -> Iterator[tuple[str, FloatArray]]:
    """Yield name and log returns of every daily series of the folder, each instrument once: its longest."""
    from docs.reference_set import clean

    longest: dict[str, tuple[str, FloatArray]] = {}
    for series in clean(data):
        if series.timeframe != "1d" or series.rows.height < LEAST:
            continue
        rows = series.rows.sort("open_time").unique("open_time", keep="first", maintain_order=True)
        close = rows["close"].to_numpy()
        close = close[np.isfinite(close) & (close > 0)]
        name = str(series.instrument)
        if close.size > longest.get(name, ("", np.empty(0)))[1].size + 1:
            longest[name] = (f"{name} ({series.group})", np.diff(np.log(close)))
    for _, (name, returns) in sorted(longest.items()):
        if np.ptp(returns) > 0:
            yield name, returns


def rolled(kernel: Kernel, returns: FloatArray, window: int, every: int = 1) -> RollingGarch:
    """Return our rolling fit with default settings."""
    settings: dict[str, Any] = {name: getattr(kernel, name) for name in ("vol", "p", "o", "q", "dist", "mean")}
    return rolling_garch(returns, window, refit_every=every, **settings)


@dataclass(frozen=True)
class Theirs:
    """Arch's default fit of one window: its log-likelihood by our formula, and what it says of itself."""

    loglikelihood: float
    flag: int
    sound: bool


def theirs(kernel: Kernel, part: FloatArray) -> Theirs:
    """Fit one window with arch 8 on returns of unit variance, its own starting values and settings."""
    scale = float(part.std())
    settings: dict[str, Any] = {name: getattr(kernel, name) for name in ("vol", "p", "o", "q", "dist")}
    model = arch_model(part / scale, rescale=False, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = model.fit(disp="off", show_warning=False)
    params = done.params.to_numpy()
    here = Evaluated.at(kernel, params, part / scale)
    value = loglikelihood(kernel, params, part / scale) - part.size * math.log(scale)
    return Theirs(value, int(done.convergence_flag), sound(kernel, here, here.theta))


@dataclass
class Count:
    """What happened over the windows of one setting."""

    windows: int = 0
    unsound: int = 0
    not_converged: int = 0
    no_news: int = 0
    held: int = 0
    below: int = 0
    worst: float = 0.0
    arch_flag: int = 0
    arch_below: int = 0
    arch_unsound: int = 0


def against_the_best(name: str, kernel: Kernel, returns: FloatArray, window: int, windows: int) -> Count:
    """Hold the rolling fit, every day refitted, against the wide search at windows spread over the series."""
    ours = rolled(kernel, returns, window)
    count = Count()
    for i in np.linspace(0, ours.sigma.size - 1, windows).astype(int):
        part = returns[i : i + window]
        best = wide_search(kernel, part, STARTS[kernel.vol], seed=int(i)).best
        arch = theirs(kernel, part)
        if arch.sound and arch.flag == 0 and not ours.held[i]:
            best = max(best, arch.loglikelihood)
        gap = best - ours.loglikelihood[i]
        count.windows += 1
        count.not_converged += not ours.converged[i]
        count.no_news += ours.no_news[i]
        count.held += ours.held[i]
        here = Evaluated.at(kernel, ours.params[i], part)
        count.unsound += not sound(kernel, here, here.theta) and not ours.no_news[i]
        count.below += gap > SHORT
        count.worst = max(count.worst, gap)
        if gap > SHORT:
            print(f"<!-- {name} window {window} row {i}: {gap:.4f} below -->", flush=True)
        known = max(best, ours.loglikelihood[i])
        count.arch_flag += arch.flag != 0
        count.arch_below += arch.loglikelihood < known - SHORT
        count.arch_unsound += not arch.sound
    return count


def best(data: Path, windows: int, only: str | None) -> None:
    """Print the table of the kernel against the wide search."""
    print(
        "| series | model | window | windows | ours more than 0.01 below | worst | not converged | not invertible "
        "| no weight on news | alpha held | arch: flag | more than 0.01 below | not invertible or no news |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for series, returns in (("S&P 500", spx()), ("BTC", bitcoin(data))):
        for name, kernel in SETTINGS.items():
            for window in WINDOWS:
                label = f"{series} {name} {window}"
                if only and only not in label:
                    continue
                c = against_the_best(label, kernel, returns, window, windows)
                print(
                    f"| {series} | {name} | {window} | {c.windows} | {c.below} | {c.worst:.4f} | {c.not_converged} "
                    f"| {c.unsound} | {c.no_news} | {c.held} | {c.arch_flag} | {c.arch_below} | {c.arch_unsound} |",
                    flush=True,
                )


def every_series(data: Path) -> None:
    """Print, for every daily series, the windows where arch's default fit fails and those where ours does."""
    print(
        f"Every {STEP}th window of each series (1,000 returns, 500 where there are fewer than 2,000). Listed: first "
        "return of each window where arch 8 raises a flag, ends more than 0.01 of log-likelihood below ours, or with a "
        "filter that is not invertible; and where ours did not converge or ends more than 0.01 below a sound one of "
        "arch.\n"
    )
    print("| series | model | windows | arch fails at | ours fails at |\n|---|---|---|---|---|")
    totals = {name: [0, 0, 0] for name in SETTINGS}
    for name, returns in daily(data):
        window = 1000 if returns.size >= 2000 else 500
        for label, kernel in SETTINGS.items():
            failed: list[str] = []
            missed: list[str] = []
            try:
                ours = rolled(kernel, returns, window, STEP)
            except ForecastRefused as error:
                print(f"| {name} | {label} | | | refused: {error.what} {error.why} |", flush=True)
                continue
            rows = range(0, ours.sigma.size, STEP)
            for i in rows:
                arch = theirs(kernel, returns[i : i + window])
                if arch.flag or not arch.sound or arch.loglikelihood < ours.loglikelihood[i] - SHORT:
                    failed.append(str(i))
                lower = arch.sound and not arch.flag and ours.loglikelihood[i] < arch.loglikelihood - SHORT
                if not ours.converged[i] or lower:
                    missed.append(str(i))
            for place, value in enumerate((len(rows), len(failed), len(missed))):
                totals[label][place] += value
            if failed or missed:
                print(f"| {name} | {label} | {len(rows)} | {' '.join(failed)} | {' '.join(missed)} |", flush=True)
    for label, (windows, failed_, missed_) in totals.items():
        print(f"| all | {label} | {windows} | {failed_} ({failed_ / max(windows, 1):.1%}) | {missed_} |")


def speed() -> None:
    """Print the three rows of times: medians of five interleaved rounds, one thread each."""
    start = time.perf_counter()
    returns = spx()
    rolling_garch(returns[:1010], 1000, threads=1)
    loaded = time.perf_counter() - start
    window = 1000
    places = np.linspace(0, returns.size - window, SAMPLED).astype(int)
    rows = returns.size - window + 1

    def arch_loop() -> None:
        for i in places:
            theirs_only(returns[i : i + window])

    print("| what | ours, ms | arch, ms | ratio |\n|---|---|---|---|")
    one, arch = side_by_side(lambda: rolling_garch(returns, window, threads=1), arch_loop)
    report(f"rolling GARCH(1,1)-t, {rows} windows of 1,000 days, every day refitted, one thread: per window",
           one / rows, arch / SAMPLED)  # fmt: skip
    cores = os.cpu_count() or 1
    many, arch = side_by_side(lambda: rolling_garch(returns, window), arch_loop)
    report(f"the same with {cores} cores: per window", many / rows, arch / SAMPLED)
    parts = [returns[i : i + window] for i in places]
    cold, arch = side_by_side(lambda: [rolling_garch(part, window, threads=1) for part in parts], arch_loop)
    report("one cold fit, all its starts included", cold / SAMPLED, arch / SAMPLED)
    print(f"\nLoading or compiling the code took {loaded:.1f} s.")


def theirs_only(part: FloatArray) -> None:
    """Fit GARCH(1,1)-t with arch and nothing else: what is timed."""
    arch_model(part / part.std(), dist="t", rescale=False).fit(disp="off", show_warning=False)


def report(what: str, ours: float, arch: float) -> None:
    """Print one row of the table of times."""
    print(f"| {what} | {1e3 * ours:.4f} | {1e3 * arch:.2f} | {arch / ours:.0f}x |", flush=True)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of market data")
    parser.add_argument("--best", action="store_true", help="hold S&P 500 and Bitcoin against a wide search")
    parser.add_argument("--windows", type=int, default=300)
    parser.add_argument("--only", help="part of the name of a cell, such as 'BTC GJR'")
    given = parser.parse_args()
    if given.best:
        best(given.data or Path(__file__).parents[2] / "shared" / "data", given.windows, given.only)
    elif given.data:
        every_series(given.data)
    else:
        speed()


if __name__ == "__main__":
    main()
