"""The header of ten fields that every experiment has, as a table of Markdown that reads back as it was written."""

from __future__ import annotations

import dataclasses
import html
from dataclasses import dataclass
from pathlib import Path

from forecastle.errors import DataCorrupt, DataMissing
from forecastle.lake.atomic import write_bytes

FILE = "README.md"
EXPLAINED = {
    "id": "YYYYMMDD_short-name: the day it began, UTC, and a name of letters, digits and dashes; a second one -2",
    "owner": "Who answers for it",
    "date": "The day it began, UTC, YYYY-MM-DD",
    "objective": "The question, in one sentence, written down before the answer was known",
    "dataset": "Instruments, timeframe, source, first and last moment, hash of the data, what was held out",
    "config file": "The file that says all of it, and its fingerprint",
    "model": "The learners and their settings, and which one is served",
    "metrics": "The scores out of sample with their intervals, beside the naive forecast",
    "backtest summary": "What it would have earned after costs, and how many configurations had been tried by then",
    "notes": "What surprised, what failed, what to do next",
}
"""The ten fields by their labels, and what belongs into each."""


@dataclass(frozen=True)
class TenFields:
    """What the header of an experiment says; texts of any characters, on several lines where need be."""

    id: str
    owner: str
    date: str
    objective: str
    dataset: str
    config_file: str
    model: str
    metrics: str
    backtest_summary: str
    notes: str

    @property
    def labelled(self) -> dict[str, str]:
        """Return the values by the labels of the template."""
        return {f.name.replace("_", " "): getattr(self, f.name) for f in dataclasses.fields(self)}


def template() -> str:
    """Return ``experiments/TEMPLATE.md``: the header with an explanation in the place of each value."""
    return _page("{id}", EXPLAINED)


def write_header(folder: Path, fields: TenFields, body: str = "", file: str = FILE) -> Path:
    """Write the header, and ``body`` below it, to a file of the folder; wholly or not at all.

    Raises ``StorageUnwritable``.
    """
    text = _page(fields.id, fields.labelled) + (f"\n{body.strip()}\n" if body.strip() else "")
    write_bytes(folder / file, text.encode())
    return folder / file


def read_header(path: Path) -> TenFields:
    """Return the header of a file; raises ``DataMissing`` where there is no file, ``DataCorrupt`` for other fields."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataMissing(f"{path} is not there.", "Each experiment has a header.", "Run it again.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataCorrupt(f"{path} cannot be read.", f"{error}.", "Restore it from a copy.") from error
    found = parse(text)
    if list(found) != list(EXPLAINED):
        raise DataCorrupt(
            f"The header of {path} has the fields {', '.join(found) or 'none'}.",
            f"It has ten: {', '.join(EXPLAINED)}.", "Write it as experiments/TEMPLATE.md shows.",
        )  # fmt: skip
    return TenFields(**{label.replace(" ", "_"): value for label, value in found.items()})


def parse(text: str) -> dict[str, str]:
    """Return the labels and values of the first table of a page, in its order."""
    lines = text.split("\n")
    if "|---|---|" not in lines:
        return {}
    found = {}
    for line in lines[lines.index("|---|---|") + 1 :]:
        cells = line.split("|")
        if len(cells) != 4:
            break
        found[_text(cells[1])] = _text(cells[2])
    return found


def _page(title: str, values: dict[str, str]) -> str:
    rows = [f"| {label} | {_cell(value)} |" for label, value in values.items()]
    return "\n".join([f"# Experiment {_cell(title)}", "", "| field | value |", "|---|---|", *rows, ""])


def _cell(value: str) -> str:
    """Return a text as a cell: nothing in it ends the cell, the row, or becomes HTML of its own."""
    lines = html.escape(value.strip(), quote=False).replace("|", "&#124;").replace("\r\n", "\n").replace("\r", "\n")
    return lines.replace("\n", "<br>")


def _text(cell: str) -> str:
    return html.unescape(cell.strip(" ").replace("<br>", "\n"))
