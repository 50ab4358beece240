"""Print the bench table as Markdown: ``make bench``."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from arch import arch_model

from bench import lake
from bench.timing import Job, side_by_side
from forecastle.models.garch import GarchModel
from forecastle.nouns import Instrument
from forecastle.sources.bundled import Bundled


def python(*words: str) -> Job:
    """Return a job that runs a fresh Python."""
    return lambda: subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def start_up() -> list[tuple[str, float, float, str]]:
    """Time what a person waits for first."""
    bare = python("-c", "pass")
    return [
        ("forecastle --help", *side_by_side(python("-m", "forecastle", "--help"), bare), "python -c pass"),
        ("import forecastle", *side_by_side(python("-c", "import forecastle"), bare), "python -c pass"),
    ]


def models() -> list[tuple[str, float, float, str]]:
    """Time one fit, and a year of one-step forecasts between refits, against arch on the same returns."""
    returns = Bundled().fetch(Instrument.parse("SPX.INDEX"), "1d", None, None).log_returns().values
    window = returns[-1250:-250]
    scaled = window / window.std()
    fitted = GarchModel().fit(window)
    reference = arch_model(scaled, dist="t", rescale=False)
    params = reference.fit(disp="off").params

    def arch_rows() -> None:
        for i in range(250):
            part = returns[i : i + 1000] / window.std()
            arch_model(part, dist="t", rescale=False).fix(params).forecast(horizon=1)

    fit = side_by_side(lambda: GarchModel().fit(window), lambda: reference.fit(disp="off"))
    levels = np.array([0.01])
    rows = side_by_side(lambda: fitted.one_step(returns[:1249], 1000, levels), arch_rows)
    return [
        ("one GARCH(1,1)-t fit, 1,000 days", *fit, "arch's fit"),
        ("250 filtered forecasts", *rows, "arch, fix and forecast"),
    ]


def main() -> None:
    """Run everything and print two tables."""
    print("| what | ours, ms | side by side, ms | ratio | against |\n|---|---|---|---|---|")
    for name, ours, theirs, against in [*start_up(), *models()]:
        print(f"| {name} | {1e3 * ours:.1f} | {1e3 * theirs:.1f} | {ours / theirs:.2f} | {against} |", flush=True)
    print()
    lake.main()


if __name__ == "__main__":
    main()
