"""What features there are."""

from __future__ import annotations

from dataclasses import dataclass

from forecastle.errors import NameUnknown
from forecastle.features import catalogue
from forecastle.features._definition import Recursive
from forecastle.nouns import FeatureSpec


@dataclass(frozen=True)
class Listed:
    """One feature; ``lookback`` in words: bars, or ``state (n)`` with the bars before its first value."""

    spec: FeatureSpec
    lookback: str


def listed(group: str | None = None) -> list[Listed]:
    """Return the catalogue, or one group of it; raises ``NameUnknown``."""
    groups = dict.fromkeys(feature.spec.group for feature in catalogue())
    if group is not None and group not in groups:
        raise NameUnknown("group of features", group, groups)
    found = []
    for feature in catalogue():
        if group in (None, feature.spec.group):
            family = feature.family
            begins = family.warm_up(*feature.numbers) if isinstance(family, Recursive) else None
            text = str(feature.spec.lookback) if begins is None else f"state ({begins})"
            found.append(Listed(feature.spec, text))
    return found
