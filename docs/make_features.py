"""Write the table of features in docs/features.md from what the features say of themselves.

``python docs/make_features.py``; with ``--check`` nothing is written, and the exit code is 1 where it differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from forecastle.app.feature_list import listed
from forecastle.features import families
from forecastle.features._definition import Family

PAGE = Path(__file__).with_name("features.md")
BEGIN, END = "<!-- features: begin -->\n", "<!-- features: end -->\n"


def table() -> str:
    """Return the catalogue as Markdown, a table a group."""
    groups: dict[str, list[str]] = {}
    for entry in listed():
        spec = entry.spec
        units = ", ".join(dict.fromkeys(column.unit for column in spec.columns))
        columns = ", ".join(f"`.{c.name.partition('.')[2]}`" for c in spec.columns if "." in c.name)
        row = [f"`{spec.name}`{f' {columns}' if columns else ''}", spec.title, units, entry.lookback,
               _plain(spec.formula), spec.reference]  # fmt: skip
        groups.setdefault(spec.group, []).append("| " + " | ".join(row) + " |")
    heads = "| name | what | unit | lookback | formula | reference |\n|---|---|---|---|---|---|\n"
    return "\n".join(f"### {group}\n\n{heads}" + "\n".join(rows) + "\n" for group, rows in groups.items())


def _plain(formula: str) -> str:
    return "`" + formula.replace("|", "\\|") + "`"


def parameters() -> str:
    """Return how the families are written with numbers of one's own."""
    free = [family for family in families().values() if family.parameters]
    return ", ".join(f"`{_written(family)}`" for family in free) + "\n"


def _written(family: Family) -> str:
    return "_".join([family.name, *(f"<{p}>" for p in family.parameters)])


def main() -> None:
    """Write, or check."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = before + BEGIN + "\n" + table() + "\nWith numbers of your own: " + parameters() + "\n" + END + after
    if "--check" not in sys.argv:
        PAGE.write_text(made, encoding="utf-8")
    elif made != page:
        sys.exit("docs/features.md is not what the features say: run python docs/make_features.py")


if __name__ == "__main__":
    main()
