"""Write the table of docs/sources.md from what the sources say of themselves; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from forecastle.sources import facts_of, source_names

PAGE = Path(__file__).parent / "sources.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def table() -> str:
    """Return the table, one line a source."""
    lines = [
        "| `--source` | what | history | limits | prices | volume in | falls back to | terms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in source_names():
        facts = facts_of(name)
        prices = ("close only" if facts.prices == "close" else "OHLC") + f", adjusted: {facts.adjusted}"
        volume = f"{facts.volume}; pairs: {facts.pair_volume}" if facts.pair_volume else facts.volume
        if facts.gives == "observations":
            prices, volume = "none: observations", "-"
        back = ", ".join(f"`{other}`" for other in facts.fall_back) or "-"
        cells = (f"`{name}`", facts.title, facts.history, facts.limits, prices, volume, back, facts.licence)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the whole page with its table made anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    made = page()
    if "--check" in sys.argv:
        sys.exit(0 if made == PAGE.read_text(encoding="utf-8") else "docs/sources.md is out of date: make docs")
    PAGE.write_text(made, encoding="utf-8")
