"""The notebooks run top to bottom, offline, and the pages in docs/eda are theirs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = ROOT / "docs" / "eda"
LARGEST = 120 * 1024
FIGURE = re.compile(r"!\[([^\]]+)\]\(([^)]+\.png)\)")
LOADED = "import forecastle as fc\n"


def _run(notebook: Path, out: Path, house: Path) -> subprocess.CompletedProcess[str]:
    """Run the command of ``make eda``: its kernel is of this Python, and talked to through a file, not a port."""
    house.mkdir(exist_ok=True)
    command = [sys.executable, "docs/make_eda.py", "--out", str(out), str(notebook)]
    environment = {**os.environ, "HOME": str(house)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _cells(notebook: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return cells


def _planted(folder: Path, *sources: str) -> Path:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"code-{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
        for n, text in enumerate(sources)
    ]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = folder / "07-planted.ipynb"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _headings(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("#")]


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01-data-exploration", "02-feature-engineering", "03-model-prototyping",
    ]  # fmt: skip


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_clean(notebook: Path) -> None:
    document, cells = json.loads(notebook.read_text(encoding="utf-8")), _cells(notebook)
    assert (document["nbformat"], document["nbformat_minor"] >= 5) == (4, True)
    assert document["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == len(ids)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 8
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    assert cells[0]["cell_type"] == "markdown"
    first = "".join(cells[0]["source"])
    assert "pip install -e '.[notebooks]'" in first
    assert "jupyter lab" in first
    text = "\n".join("".join(cell["source"]) for cell in cells)
    assert re.findall(r"\w+://|shared/|/home/|/tmp/", text) == []
    assert "SEED = " in text


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_top_to_bottom_and_keeps_its_page(notebook: Path, tmp_path: Path) -> None:
    before = notebook.read_bytes()
    done = _run(notebook, tmp_path / "out", tmp_path / "house")
    assert done.returncode == 0, done.stdout + done.stderr
    assert notebook.read_bytes() == before
    assert list((tmp_path / "house").rglob("*")) == [], "something was written into the home of whoever runs it"

    page = (tmp_path / "out" / f"{notebook.stem}.md").read_text(encoding="utf-8")
    figures = FIGURE.findall(page)
    assert len(figures) >= 5
    assert sorted(name for _, name in figures) == sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    for alt, name in figures:
        written = (tmp_path / "out" / name).read_bytes()
        assert written.startswith(b"\x89PNG")
        assert 4_000 < len(written) <= LARGEST, name
        assert len(alt) > 40
    assert page.count("\n- ") >= 4, "nothing is told in short"
    assert re.findall(r"\bnan\b|\bNone\b|\binf\b|NOT the same", page) == []

    kept = (PAGES / f"{notebook.stem}.md").read_text(encoding="utf-8")
    assert (_headings(page), figures) == (_headings(kept), FIGURE.findall(kept)), "docs/eda is old: run make eda"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import urllib.request; urllib.request.urlopen('http://example.org')", "The notebooks run offline"),
        ("import socket; socket.create_connection(('192.0.2.1', 80), 1)", "The notebooks run offline"),
    ],
    ids=["an error", "a name looked up", "a machine called"],
)
def test_a_cell_that_fails_fails_the_run(source: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "07-old.png").write_bytes(b"of the last good run")
    done = _run(_planted(tmp_path, LOADED, source, "print('after')"), tmp_path / "out", tmp_path / "house")
    assert done.returncode == 1
    assert why in done.stderr
    assert "07-planted.ipynb did not run to its end" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["07-old.png"]


def test_the_same_notebook_keeps_the_same_bytes(tmp_path: Path) -> None:
    source = """
import matplotlib.pyplot as plt
from paper import Paper
page = Paper("07-planted", "Planted")
figure, axis = plt.subplots()
axis.plot([1, 3, 2])
page.head("Part")
page.show(figure, "line", "a line")
page.table(("a", "b"), [(1, "x")])
page.short("told")
page.close()
"""
    (tmp_path / "paper.py").write_bytes((ROOT / "notebooks" / "paper.py").read_bytes())
    made = []
    for out in (tmp_path / "one", tmp_path / "two"):
        done = _run(_planted(tmp_path, LOADED, source), out, tmp_path / "house")
        assert done.returncode == 0, done.stderr
        made.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert made[0] == made[1]
    assert made[0]["07-planted.md"].decode() == (
        "# Planted\n\n## In short\n\n- told\n\n## Part\n\n![a line](07-line.png)\n\n| a | b |\n|---|---|\n| 1 | x |\n"
    )


def test_the_pages_are_whole() -> None:
    names = {path.name for path in PAGES.iterdir()}
    pages = {name: (PAGES / name).read_text(encoding="utf-8") for name in names if name.endswith(".md")}
    assert set(pages) == {"README.md", *(f"{path.stem}.md" for path in NOTEBOOKS)}
    shown = [name for page in pages.values() for _, name in FIGURE.findall(page)]
    assert sorted(shown) == sorted(names - set(pages))
    assert {name for name in shown if (PAGES / name).stat().st_size > LARGEST} == set()
    links = re.findall(r"\]\(([^)#\s]+)\)", pages["README.md"])
    assert [link for link in links if not (PAGES / link).exists()] == []
    assert {f"{path.stem}.md" for path in NOTEBOOKS} <= set(links)
