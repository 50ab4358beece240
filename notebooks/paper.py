"""What the notebooks share: figures that look alike, a page of notes beside them, and a temporary home.

Figures and notes go to the folder that ``FORECASTLE_EDA_DIR`` names, or to a temporary one. ``make eda`` makes the
pages in ``docs/eda`` of them.
"""

from __future__ import annotations

import io
import os
import shlex
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from cycler import cycler
from IPython.display import Image as Shown
from IPython.display import Markdown, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

BLUE, ORANGE, GREEN, RED, PINK, SKY, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442",
)  # fmt: skip
"""Okabe and Ito's colours: told apart with any kind of colour vision."""
INK, GREY, PALE = "#222222", "#767676", "#E6E6E6"
STYLE = {
    "figure.facecolor": "white", "figure.dpi": 110, "savefig.dpi": 110, "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.08, "figure.constrained_layout.w_pad": 0.08,
    "font.family": "DejaVu Sans", "font.size": 10.5, "text.color": INK,
    "axes.titlesize": 11.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 8.0,
    "axes.labelsize": 10.5, "axes.labelcolor": INK, "axes.edgecolor": GREY, "axes.linewidth": 0.8,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, RED, PINK, SKY, GREY]),
    "grid.color": PALE, "grid.linewidth": 0.8, "xtick.color": INK, "ytick.color": INK,
    "xtick.labelsize": 9.5, "ytick.labelsize": 9.5, "lines.linewidth": 1.3, "patch.linewidth": 0.0,
    "legend.fontsize": 9.5, "legend.frameon": False, "date.converter": "concise",
}  # fmt: skip
COLOURS = 256
"""Of a figure that is kept: a palette makes it a third of the size."""


class Paper:
    """One page: figures and what they say, in the order in which they are shown."""

    def __init__(self, name: str, title: str) -> None:
        """Begin the page ``name``; where the notebook stops half-way there is none."""
        self._rest = tempfile.TemporaryDirectory()  # it is removed when the notebook ends
        self.desk = Path(self._rest.name)
        self.home = self.desk / "home"
        self.folder = Path(os.environ.get("FORECASTLE_EDA_DIR") or self.desk / "page").absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name, self.title = name, title
        self._parts: list[str] = []
        self._short: list[str] = []
        mpl.rcParams.update(STYLE)

    def forecastle(self, *words: str) -> str:
        """Run a command line in the temporary home, show it and what it says, and return what it says.

        It runs in this process, for that is faster; ``forecastle ... --home HOME`` in a terminal is the same.
        """
        from forecastle.cli.main import root

        said = io.StringIO()
        plain = patch("rich.console._is_jupyter", lambda: False)  # else rich shows tables by itself, past stdout
        with chdir(self.desk), redirect_stdout(said), redirect_stderr(said), plain:
            code = root(args=[*words, "--home", str(self.home)], standalone_mode=False)
        text = said.getvalue().rstrip() + (f"\n(exit code {code})" if code else "")
        print(f"$ forecastle {shlex.join(words)}\n{text}\n")
        return text

    def head(self, text: str) -> None:
        """Begin a section of the page; the notebook has its own headings."""
        self._parts.append(f"## {text}")

    def say(self, text: str) -> None:
        """Show a note, and keep it."""
        display(Markdown(text))
        self._parts.append(text)

    def short(self, text: str) -> None:
        """Show a note that goes to the top of the page."""
        display(Markdown(f"- {text}"))
        self._short.append(f"- {text}")

    def quote(self, text: str) -> None:
        """Keep what a command said, word for word."""
        self._parts.append(f"```text\n{text}\n```")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show a table, and keep it."""
        lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
        self.say("\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *lines]))

    def show(self, figure: Figure, name: str, alt: str) -> None:
        """Show a figure, and keep it as a PNG with a palette; ``alt`` says it to those who cannot see it."""
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", metadata={"Software": None})
        plt.close(figure)
        path = self.folder / f"{self.name[:2]}-{name}.png"
        drawn.seek(0)
        with Image.open(drawn) as picture:
            few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(path, optimize=True)
        display(Shown(filename=str(path), alt=alt))
        self._parts.append(f"![{alt}]({path.name})")

    def close(self) -> None:
        """Write the page."""
        short = ["## In short", "\n".join(self._short)] if self._short else []
        text = "\n\n".join([f"# {self.title}", *short, *self._parts]) + "\n"
        (self.folder / f"{self.name}.md").write_text(text, encoding="utf-8")
        print("written:", ", ".join(sorted(path.name for path in self.folder.glob(f"{self.name[:2]}-*"))))


def percent(value: float, digits: int = 1) -> str:
    """Return a share as text."""
    return f"{100 * value:.{digits}f} %"


def day(moment: object) -> str:
    """Return the date of a moment as text."""
    return str(moment)[:10]


def letters(axes: npt.NDArray[np.object_] | Sequence[Axes], titles: Sequence[str]) -> None:
    """Give each panel its letter and its title."""
    for letter, axis, title in zip("abcdefghijkl", np.ravel(np.asarray(axes)), titles, strict=False):
        axis.set_title(f"{letter}  {title}")
