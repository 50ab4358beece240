"""The tables of the terminal: twelve models fit 120 columns, and nothing is left out in silence."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from forecastle.cli import _show
from forecastle.nouns import VolatilityReport
from reports.made_reports import HEADLINE, NAIVE, OTHERS, REASON, made_report, refusing

if TYPE_CHECKING:
    from rich.console import RenderableType


@pytest.fixture(scope="module")
def twelve() -> VolatilityReport:
    return made_report()


def _printed(shown: Sequence[RenderableType]) -> list[str]:
    """Return the lines on a terminal that is wide enough for anything."""
    console = Console(file=io.StringIO(), width=2000, color_system=None)
    for part in shown:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def _rows(lines: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    return {name: next(line for line in lines if line.startswith(f"{name} ")) for name in names}


def test_forecasts_put_the_combination_first_and_apart(twelve: VolatilityReport) -> None:
    refused = refusing(twelve, "HAR").refused
    lines = _printed(_show.forecasts(twelve.forecasts, refused))
    assert lines[2].startswith(HEADLINE)
    assert lines[3].strip() == ""
    rows = _rows(lines, (HEADLINE, *NAIVE, *OTHERS))
    assert max(map(len, rows.values())) <= 120
    assert f"No forecast by HAR: {REASON}" in lines
    alone = _printed(_show.forecasts(twelve.forecasts[:1]))
    assert not any(line.strip() == "" for line in alone)
    without = _printed(_show.forecasts(twelve.forecasts[1:]))
    assert not any(line.strip() == "" for line in without)


def test_the_comparison_has_a_line_a_model(twelve: VolatilityReport) -> None:
    item = refusing(twelve, "HAR").comparison
    lines = _printed(_show.comparison(item))
    rows = _rows(lines, [s.model for s in item.scores])
    assert max(map(len, rows.values())) <= 120
    for score in item.scores:
        assert score.risk is not None
        assert score.mcs is not None
        row = rows[score.model]
        assert f" {score.qlike:.4f} {score.mcs:.3f} " in " ".join(row.split())
        assert f"{score.risk.breaches} / {score.risk.expected:.1f}" in row
        assert f"{score.fz0:.4f}" in row
        assert (" * " in row) == score.naive
    assert f"Not compared, HAR: {REASON}" in lines
    assert lines[-1] == f"Verdict: {item.verdict}"


def test_a_backtest_names_every_test_and_the_day_of_doubt(twelve: VolatilityReport) -> None:
    risks = {s.model: s.risk for s in twelve.comparison.scores}
    good, wrong = risks[HEADLINE], risks["Historical"]
    assert good is not None
    assert wrong is not None
    assert wrong.doubted_since is not None
    lines = _printed(_show.risk(wrong))
    tests = (wrong.kupiec, wrong.duration, wrong.dynamic_quantile, wrong.mcneil_frey, wrong.acerbi_szekely.z2)
    rows = _rows(lines, [t.name for t in tests] + ["e-process of VaR", "e-process of ES"])
    assert max(map(len, rows.values())) <= 120
    assert f"rejected since {wrong.doubted_since:%Y-%m-%d} (20 rejects" in rows["e-process of VaR"]
    assert "never rejected (20 rejects" in _rows(_printed(_show.risk(good)), ["e-process of VaR"])["e-process of VaR"]
