"""Remake docs/results/training.md: every ready configuration trained on the folder of real market data.

python docs/make_training.py --data DIR [--home HOME]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

from forecastle.app._kept_run import table_of  # noqa: E402
from forecastle.app.fetch import fetch  # noqa: E402
from forecastle.app.look import open_workspace  # noqa: E402
from forecastle.app.train import TrainResult, train  # noqa: E402
from forecastle.errors import ForecastleError  # noqa: E402
from forecastle.nouns.scorecard import Figure  # noqa: E402
from forecastle.requests import FetchRequest, TrainRequest, build  # noqa: E402

PAGE = ROOT / "docs" / "results" / "training.md"
MAP = ROOT / "tests" / "fixtures" / "shared_data.toml"

HEAD = """# Return and direction models on real data

Made by `make training DATA=...`: each file of `configs/` trained by `forecastle train` on the folder of real market
data, scored out of sample by walk-forward, every learner beside the naive forecasts. Intervals are 95 %, by stationary
block bootstrap. An edge is claimed only where the learner loses less than the baseline *and* the no-skill test rejects,
each at 5 % shared among all configurations tried on these data; everything else is "no edge". Settings are the
defaults: nothing was chosen on these series.
"""


def main() -> None:
    """Train all and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--only", default="")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        home = said.home or Path(made)
        workspace = open_workspace(home)
        if said.home is None:
            command = [
                sys.executable,
                "-m",
                "forecastle",
                "import",
                str(said.data),
                "--map",
                str(MAP),
                "--home",
                str(home),
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        fetch(workspace, build(FetchRequest, instruments=("SPX.INDEX",), sources=("bundled",)))
        parts = [HEAD]
        for path in sorted((ROOT / "configs").glob("*.yaml")):
            if said.only not in path.stem or path.stem.startswith("backtest"):
                continue
            sys.stderr.write(f"{path.stem}\n")
            try:
                parts.append(section(path, train(workspace, TrainRequest(config=path))))
            except ForecastleError as error:
                parts.append(f"## {path.stem}\n\nNot trained: {error.what} {error.why}\n")
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def section(path: Path, result: TrainResult) -> str:
    """Return the part of one configuration."""
    lines = [f"## [{path.stem}](../../configs/{path.name})", "", result.config.objective, ""]
    for one in result.results:
        span = one.series.span
        lines += [f"### {one.series.name}, {one.table.target}: {one.table.rows} rows out of sample", "",
                  f"{span} from {one.series.source}, {len(one.series.dataset.frame.columns)} columns. "
                  f"**{one.table.verdict}**", "", *table_of(one), ""]  # fmt: skip
    for checked in result.robustness:
        lines += [f"Robustness of {checked.learner} on {checked.series}:", ""]
        lines += [f"- control, {c.name}: skill {percent(c.skill)}, p = {number(c.p_value)}" for c in checked.controls]
        lines += [f"- {p.name}: skill {percent(p.skill)} over {p.rows} rows"
                  for p in checked.regimes if p.learner == checked.learner]  # fmt: skip
        lines += [f"- without {c.name}: mean loss {change(c.change)}" for c in checked.ablation]
        lines += [f"- with {c.name}: mean loss {change(c.change)}" for c in checked.sensitivity]
        lines.append("")
    lines.append(f"Configurations tried on these data by then: {result.trials}.\n")
    return "\n".join(lines)


def percent(f: Figure) -> str:
    """Return a share with its interval in percent."""
    if f.value is None:
        return "n/a"
    tail = "" if f.low is None or f.high is None else f" ({100 * f.low:.2f} to {100 * f.high:.2f})"
    return f"{100 * f.value:.2f} %{tail}"


def change(f: Figure) -> str:
    """Return a change of a loss with its interval."""
    if f.value is None:
        return "n/a"
    tail = "" if f.low is None or f.high is None else f" ({f.low:+.2g} to {f.high:+.2g})"
    return f"{f.value:+.2g}{tail}"


def number(value: float | None) -> str:
    """Return a p-value."""
    return "n/a" if value is None else f"{value:.2g}"


if __name__ == "__main__":
    main()
