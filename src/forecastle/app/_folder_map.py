"""The map of a folder: which files hold what, as a TOML file says it.

``[[files]]`` tells of candles and ``[[observations]]`` of single columns. A pattern is a path below the folder, in
which ``{name}`` stands for any text without a slash, ``*`` too, and ``**`` for any text; the fields can be used in the
other values, also as ``{name|upper}`` or ``{name|lower}``. Of ``[[files]]`` the first that fits a path holds; of
``[[observations]]`` all that do.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from forecastle.errors import RequestInvalid
from forecastle.requests import Request, build

COLUMN = "column"
"""The field that stands for the name of a column, where each column is an instrument."""
_TOKEN = re.compile(r"(\*\*|\*|\{[a-z_]+\})")
_FIELD = re.compile(r"\{([a-z_]+)(?:\|([a-z]+))?\}")
_FILTERS: dict[str, Callable[[str], str]] = {"": str, "upper": str.upper, "lower": str.lower}


class Entry(Request):
    """What all entries have: the files they are about, and why these are left out, where they are."""

    pattern: str
    skip: str | None = None
    instrument: str | None = None
    source: str | None = None
    timezone: str | None = None
    time_format: str | None = None

    @model_validator(mode="after")
    def _fields_are_there(self) -> Self:
        known = set(re.findall(r"\{([a-z_]+)\}", self.pattern)) | self._further()
        for name, value in self.values().items():
            for field, change in _FIELD.findall(value):
                if field not in known:
                    raise ValueError(f"{name} = '{value}' uses {{{field}}}, which is not in the pattern {self.pattern}")
                if change not in _FILTERS:
                    raise ValueError(f"{name} = '{value}' uses |{change}; there are |upper and |lower")
        missing = [n for n in self._needed() if getattr(self, n) is None] if self.skip is None else []
        if missing:
            raise ValueError(f"the entry for {self.pattern} lacks {', '.join(missing)}")
        return self

    def values(self) -> dict[str, str]:
        """Return what the entry says of its files, without the pattern."""
        told: dict[str, str] = self.model_dump(exclude={"pattern", "skip", "instruments"}, exclude_none=True)
        return told

    def _needed(self) -> tuple[str, ...]:
        return ("instrument", "source")

    def _further(self) -> set[str]:
        return set()

    def match(self, path: str) -> dict[str, str] | None:
        """Return the fields of a path below the folder, None where it does not fit."""
        found = _compiled(self.pattern).fullmatch(path)
        return found.groupdict() if found else None

    def filled(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Return the values with the fields of one path put in."""
        return {name: _FIELD.sub(lambda f: _FILTERS[f[2] or ""](fields[f[1]]), v) for name, v in self.values().items()}


class Files(Entry):
    """Candles: one file an instrument, or one column (``instruments = "columns"``)."""

    instruments: Literal["columns"] | None = None
    timeframe: str | None = None
    layout: str | None = None
    columns: str | None = None
    adjusted: str | None = None
    prices: str | None = None

    def _needed(self) -> tuple[str, ...]:
        return ("instrument", "source", "timeframe")

    def _further(self) -> set[str]:
        return {COLUMN} if self.instruments else set()


class Observed(Entry):
    """One column of values."""

    name: str | None = None
    unit: str | None = None
    value: str | None = None
    about: str | None = None
    known_after: str | None = None

    def _needed(self) -> tuple[str, ...]:
        return ("instrument", "source", "name", "unit", "value", "known_after")


class FolderMap(Request):
    """All entries of a map."""

    files: tuple[Files, ...] = ()
    observations: tuple[Observed, ...] = ()

    def of(self, path: str) -> Iterator[tuple[Files | Observed, dict[str, str]]]:
        """Yield the entries that say what a file holds, with the fields of its path."""
        candles = ((entry, entry.match(path)) for entry in self.files)
        first = next(((entry, fields) for entry, fields in candles if fields is not None), None)
        if first:
            yield first
        for entry in self.observations:
            if (fields := entry.match(path)) is not None:
                yield entry, fields


def read_map(path: Path) -> FolderMap:
    """Read a map. Raises ``RequestInvalid`` where it is no TOML, has an unknown key or lacks one."""
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestInvalid(f"The map {path} cannot be read.", f"{error.strerror}.", "Name a TOML file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestInvalid(f"The map {path} is no TOML.", f"{error}.", "Mend that place.") from error
    found = build(FolderMap, **document)
    if not (found.files or found.observations):
        raise RequestInvalid(
            f"The map {path} has no entry.", "It says nothing about any file.", "Write [[files]] or [[observations]]."
        )
    for entry in (*found.files, *found.observations):
        _compiled(entry.pattern)
    return found


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [_part(token) for token in _TOKEN.split(pattern)]
    try:
        return re.compile("".join(parts))
    except re.error as error:  # a field that stands there twice
        raise RequestInvalid(
            f"The pattern {pattern} cannot be.", f"{error}.", "Name each field once, and use * for the rest."
        ) from error


def _part(token: str) -> str:
    if token.startswith("{") and token.endswith("}"):
        return f"(?P<{token[1:-1]}>[^/]+?)"
    return {"*": "[^/]*", "**": ".*"}.get(token, re.escape(token))
