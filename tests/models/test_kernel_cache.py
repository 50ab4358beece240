"""Machine code kept on disk is not used once any file it was made of has changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import forecastle.compiled

OUTER = """
from forecastle.compiled import compiled
from forecastle.models._made_inner import value
@compiled
def answer() -> float:
    return value() + 1.0
"""
INNER = """
from forecastle.compiled import inner
@inner
def value() -> float:
    return {number}
"""


def ask(root: Path, number: float) -> float:
    models = root / "forecastle" / "models"
    (models / "_made_inner.py").write_text(INNER.format(number=number), encoding="utf-8")
    words = "from forecastle.models._made_outer import answer; print(answer())"
    home = {
        "PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(root / "cache"), "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",  # Python itself takes a file of the same second and size for unchanged
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True, env=home)
    return float(done.stdout)


def test_a_change_in_what_is_called_is_seen(tmp_path: Path) -> None:
    models = tmp_path / "forecastle" / "models"
    models.mkdir(parents=True)
    for folder in (models.parent, models):
        (folder / "__init__.py").touch()
    shutil.copy(Path(forecastle.compiled.__file__), models.parent)
    (models / "_made_outer.py").write_text(OUTER, encoding="utf-8")
    assert ask(tmp_path, 1.0) == 2.0
    assert list(tmp_path.rglob("*.nbi"))
    assert ask(tmp_path, 5.0) == 6.0
