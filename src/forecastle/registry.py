"""Names of plug-ins and where each lives: imported on first use, with a "did you mean"."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forecastle.errors import NameUnknown


@dataclass(frozen=True)
class Registry:
    """A closed table ``name -> "module:attribute"``.

    Nothing is imported before :meth:`load` asks for it, so a heavy library costs only those who use it.
    """

    noun: str
    places: Mapping[str, str]

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def load(self, name: str) -> Any:
        """Return the plug-in called ``name``; raises ``NameUnknown`` with the nearest name."""
        if name not in self.places:
            raise NameUnknown(self.noun, name, self.places)
        module, _, attribute = self.places[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
