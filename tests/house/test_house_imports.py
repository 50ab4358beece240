"""The import rules hold on the tree, and each of them says no when it is broken; a first import costs little."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

PLANTED = {
    "models/ewma.py": ("import forecastle.lake", "forecastle.models.ewma -> forecastle.lake"),
    "splits.py": ("from forecastle import app", "forecastle.splits -> forecastle.app"),
    "nouns/score.py": ("import forecastle.scoring", "forecastle.nouns.score -> forecastle.scoring"),
    "app/fit.py": ("import forecastle.cli.main", "forecastle.app.fit -> forecastle.cli.main"),
    "quality.py": ("import duckdb", "forecastle.quality -> duckdb"),
    "units.py": ("def late():\n    import pickle", "forecastle.units -> pickle"),
    "scoring/risk.py": ("import plotly.graph_objects", "forecastle.scoring.risk -> plotly"),
    "app/look.py": ("import rich", "forecastle.app.look -> rich"),
    "app/search.py": ("import optuna", "forecastle.app.search -> optuna"),
    "experiments/track.py": ("import forecastle.workspace", "forecastle.experiments.track -> forecastle.workspace"),
    "features_of_mine.py": ("import torch", "forecastle.features_of_mine -> torch"),
}
"""What is added to which file of a copy, and the line that has to name it."""


def _lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_every_contract(copy: Path) -> None:
    done = _lint(copy)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_each_forbidden_import_is_found_and_named(copy: Path) -> None:
    for name, (line, _) in PLANTED.items():
        path = copy / "src" / "forecastle" / name
        path.write_text((path.read_text() if path.exists() else '"""Stray."""\n') + f"\n{line}\n")
    done = _lint(copy)
    said = " ".join(done.stdout.split())
    assert done.returncode == 1
    assert [expected for _, expected in PLANTED.values() if f"- {expected} (l." not in said] == []


def test_a_file_that_is_no_part_of_the_house_is_refused(copy: Path) -> None:
    (copy / "src" / "forecastle" / "utils.py").write_text('"""A drawer for everything."""\n')
    done = _lint(copy)
    assert done.returncode == 1
    assert "not listed as layers: - forecastle.utils" in " ".join(done.stdout.split())


@pytest.mark.parametrize("module", ["forecastle", "forecastle.app", "forecastle.cli.main"])
def test_a_first_import_loads_nothing_heavy(module: str) -> None:
    heavy = {
        "numpy", "polars", "pandas", "duckdb", "pyarrow", "scipy", "arch", "numba", "statsmodels", "pydantic",
        "plotly", "exchange_calendars", "mlflow", "optuna", "sqlalchemy", "lightgbm", "sklearn",
    }  # fmt: skip
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "forecastle" in loaded, "the list of imports was not understood"
    assert loaded & heavy == set()
