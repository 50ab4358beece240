"""Remake docs/results/volatility.md from the folder of real market data: every model on every series, with verdicts.

python docs/make_volatility.py --data DIR [--home HOME]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs.make_results import p_value, table  # noqa: E402

from forecastle.app.compare import compare  # noqa: E402
from forecastle.app.look import datasets, open_workspace  # noqa: E402
from forecastle.errors import ForecastleError  # noqa: E402
from forecastle.lake import DatasetInfo  # noqa: E402
from forecastle.nouns import Comparison, ModelScore  # noqa: E402
from forecastle.requests import CompareRequest, build  # noqa: E402
from forecastle.workspace import Workspace  # noqa: E402

PAGE = ROOT / "docs" / "results" / "volatility.md"
MAP = ROOT / "tests" / "fixtures" / "shared_data.toml"
DIRTY = "dirty"
CHOSEN_UNTIL = datetime(2023, 1, 1, tzinfo=UTC)
WINDOW, SHORT_WINDOW, LEAST = 1000, 500, 750
"""Returns a fit looks back on, where the series is long or short, and the candles below which a series is left out."""
REFIT = 10
"""Bars between refits: EGARCH with skewed t takes milliseconds a window, and there are a quarter of a million."""

BENCHES = (
    ("One UTC day ahead against realised variance, and stocks against squared returns", "bench.forecasts"),
    ("VaR of the default, every cell", "bench.risk"),
    ("The kernel and arch on every series", "bench.kernel"),
)

NOTE = """Each instrument once, in its longest source (known-dirty files left out); every model refitted every {refit}
bars on the {window} returns before it ({short} where there are fewer than twice {window} candles), one step ahead.
QLIKE is on squared returns, lower is better. An edge counts where the best model beats *every* naive forecast at 5 %
shared among the models tried (Diebold-Mariano with Newey-West errors); everything else is "no proven edge", and
"naive" means that a naive forecast has the lowest loss of all. Settings were chosen on the years to 2022, but for the
speed at which VaR is tracked, which was compared on all."""


@dataclass(frozen=True)
class Told:
    """One series and what came of it."""

    info: DatasetInfo
    window: int
    result: Comparison

    @property
    def name(self) -> str:
        """Return the series as a row names it."""
        return f"{self.info.key.instrument} ({self.info.key.source})"

    @property
    def best(self) -> ModelScore:
        """Return the model with the lowest loss that is not naive."""
        return next(s for s in self.result.scores if not s.naive)

    @property
    def rival(self) -> ModelScore:
        """Return the best of the naive forecasts."""
        return next(s for s in self.result.scores if s.naive)

    @property
    def outcome(self) -> str:
        """Return ``edge``, ``no proven edge`` or ``naive``."""
        if self.result.verdict.startswith(f"{self.best.model} beats"):
            return "edge"
        return "no proven edge" if self.best.qlike < self.rival.qlike else "naive"


def longest(workspace: Workspace) -> list[DatasetInfo]:
    """Return each instrument's longest daily series."""
    found: dict[str, DatasetInfo] = {}
    for info in datasets(workspace):
        usable = info.key.timeframe == "1d" and not info.key.source.startswith(DIRTY) and info.rows >= LEAST
        if usable and (info.key.instrument not in found or info.rows > found[info.key.instrument].rows):
            found[info.key.instrument] = info
    return [found[name] for name in sorted(found)]


def tell(workspace: Workspace, series: Sequence[DatasetInfo], start: datetime | None = None) -> Iterator[Told | str]:
    """Yield the comparison of each series, or the words of its refusal."""
    for info in series:
        window = WINDOW if info.rows >= 2 * WINDOW else SHORT_WINDOW
        request = build(
            CompareRequest,
            instrument=info.key.instrument,
            source=info.key.source,
            window=window,
            refit_every=REFIT,
            start=start,
        )
        print(f"{info.key.instrument} {info.key.source} {info.rows}", file=sys.stderr, flush=True)  # noqa: T201
        try:
            yield Told(info, window, compare(workspace, request))
        except ForecastleError as error:
            yield f"{info.key.instrument} ({info.key.source}): {error.what} {error.why}"


def row(told: Told) -> tuple[object, ...]:
    """Return one line of the table."""
    best, rival, headline = told.best, told.rival, _headline(told.result)
    risk = headline.risk if headline else None
    duel = best.against_naive.get(rival.model)
    return (
        told.name, told.result.observations, rival.model, f"{rival.qlike:.4f}", best.model, f"{best.qlike:.4f}",
        f"{headline.qlike:.4f}" if headline else "-",
        p_value(None if duel is None else {"p_value": duel.p_value}), told.outcome,
        f"{risk.breaches} / {risk.expected:.1f}" if risk else "-", "yes" if risk and risk.passed else "no",
    )  # fmt: skip


COLUMNS = (
    "series", "bars", "best naive", "QLIKE", "best model", "QLIKE", "combination", "DM p", "outcome",
    "breaches / expected (1 %)", "VaR passes at 5 %",
)  # fmt: skip


def _headline(result: Comparison) -> ModelScore | None:
    return next((s for s in result.scores if s.model.startswith("Combination")), None)


def summary(all_told: Sequence[Told]) -> str:
    """Return how often what came out, and how each model fared against the best naive forecast."""
    outcomes = Counter(t.outcome for t in all_told)
    ratios: dict[str, list[float]] = {}
    for told in all_told:
        for score in told.result.scores:
            ratios.setdefault(score.model, []).append(score.qlike / told.rival.qlike)
    rows = sorted(
        (sum(r) / len(r), model, len(r), sum(x < 1.0 for x in r)) for model, r in ratios.items()
    )  # fmt: skip
    words = ", ".join(f"{outcomes[name]} {name}" for name in ("edge", "no proven edge", "naive"))
    lines = [(model, n, f"{mean:.3f}", f"{wins} of {n}") for mean, model, n, wins in rows]
    columns = ("model", "series", "mean QLIKE / best naive's", "lower loss than the best naive")
    return f"{len(all_told)} series: **{words}**.\n\n{table(columns, lines)}"


def section(title: str, told: Sequence[Told | str]) -> str:
    """Return one part of the page."""
    good = [t for t in told if isinstance(t, Told)]
    parts = [f"## {title}", summary(good), table(COLUMNS, [row(t) for t in good])]
    parts += [f"Not compared: {t}" for t in told if isinstance(t, str)]
    return "\n\n".join(parts)


def verdicts(told: Sequence[Told | str]) -> str:
    """Return the verdicts in words."""
    lines = [f"- **{t.name}**: {t.result.verdict}" for t in told if isinstance(t, Told)]
    return "\n".join(["## Verdicts", "", *lines])


def bench(*words: str) -> str:
    """Return what a bench prints."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", *words], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return done.stdout.strip()


def filled(data: Path, home: Path) -> Workspace:
    """Return a workspace that holds the folder; one that does already is used as it is."""
    workspace = open_workspace(home)
    if not datasets(workspace):
        command = ["forecastle", "import", str(data), "--map", str(MAP), "--home", str(home)]
        subprocess.run([sys.executable, "-m", *command], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return workspace


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of market data")
    parser.add_argument("--home", type=Path, help="a home folder that holds it already")
    given = parser.parse_args()
    note = NOTE.format(window=WINDOW, short=SHORT_WINDOW, refit=REFIT)
    parts = ["# Every model on every series", f"Remake: `make volatility DATA=FOLDER`.\n\n{note}"]
    with tempfile.TemporaryDirectory() as folder:
        workspace = filled(given.data, given.home or Path(folder))
        told = list(tell(workspace, longest(workspace)))
        write(parts, section("All years", told))
        late = [t.info for t in told if isinstance(t, Told) and t.info.last_close >= datetime(2023, 9, 1, tzinfo=UTC)]
        write(parts, section("The years after 2022", list(tell(workspace, late, CHOSEN_UNTIL))))
    for title, name in BENCHES:
        write(parts, f"## {title}", bench(name, "--data", str(given.data)))
    write(parts, verdicts(told))


def write(parts: list[str], *further: str) -> None:
    """Add parts to the page: what was computed is there even where a later part fails."""
    parts.extend(further)
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}, {len(parts)} parts")  # noqa: T201


if __name__ == "__main__":
    main()
