"""What differs between two configurations, key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = "-"
"""Stands where one of both has no such key."""


@dataclass(frozen=True)
class Difference:
    """One key whose value is not the same, dotted: ``split.folds``, ``learners.ridge.alpha``; values as JSON."""

    key: str
    a: str
    b: str


def flat(configuration: Mapping[str, Any]) -> dict[str, str]:
    """Return every value by its dotted key, as JSON; what is in a list of named things goes by its name."""
    found: dict[str, str] = {}
    for key, value in configuration.items():
        parts = _parts(value)
        if parts is None:
            found[key] = json.dumps(value, sort_keys=True)
        else:
            found |= {f"{key}.{inner}": text for inner, text in flat(parts).items()}
    return found


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return what is not the same in both, in the order of ``a``, then what only ``b`` has."""
    one, other = flat(a), flat(b)
    pairs = [(key, one.get(key, ABSENT), other.get(key, ABSENT)) for key in dict.fromkeys([*one, *other])]
    return tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2])


def _parts(value: Any) -> Mapping[str, Any] | None:
    """Return what a value is made of by name, None where it is a leaf: an empty one, or a list without names."""
    if isinstance(value, Mapping):
        return value or None
    if not isinstance(value, list | tuple) or not value:
        return None
    if not all(isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in value):
        return None
    names = [one["name"] for one in value]
    return dict(zip(names, value, strict=True)) if len(set(names)) == len(names) else None
