"""The latest features of a series, as a face serves them: values, how fresh they are, and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from forecastle.nouns.instrument import Instrument, is_simulated
from forecastle.sessions import Timeframe


@dataclass(frozen=True)
class FeatureReading:
    """Values known at one moment; None is not known.

    ``served_from`` is ``online`` or, where the store is down or has nothing, ``offline``: the last row of the table.
    ``note`` says why, and where the online values are behind the table.
    """

    instrument: Instrument
    timeframe: Timeframe
    source: str
    known_at: datetime
    values: Mapping[str, float | None]
    served_from: Literal["online", "offline"]
    note: str = ""

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return is_simulated(self.source)
