"""Which data were looked at: of which market, over which time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from forecastle.errors import NameUnknown, RequestInvalid
from forecastle.sessions import Timeframe


@dataclass(frozen=True)
class DataSpan:
    """A stretch of time of one market or of several, UTC, from ``start`` up to ``end``.

    ``instruments`` are kept sorted and once each. ``data_hash`` is that of the candles, empty where none were read.
    Raises ``RequestInvalid`` for a time without a zone or an empty span, ``NameUnknown`` for a timeframe there is not.
    """

    instruments: tuple[str, ...]
    timeframe: str
    source: str
    start: datetime
    end: datetime
    data_hash: str = field(default="")

    def __post_init__(self) -> None:
        if self.timeframe not in get_args(Timeframe):
            raise NameUnknown("timeframe", self.timeframe, get_args(Timeframe))
        if self.start.tzinfo is None or self.end.tzinfo is None or not self.instruments or self.start >= self.end:
            raise RequestInvalid(
                f"The span is {', '.join(self.instruments) or 'of nothing'} from {self.start} to {self.end}.",
                "It has an instrument, two times with a zone, and ends after it begins.", "Name such a span.",
            )  # fmt: skip
        object.__setattr__(self, "instruments", tuple(sorted(set(self.instruments))))
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))

    def overlaps(self, other: DataSpan) -> bool:
        """Return whether both saw the same time of the same market.

        Same timeframe, an instrument in common, and dates that meet; whatever the source. Two venues quote one market:
        who chose by the prices of one has seen what the other will say. Other timeframes are other questions and are
        counted by themselves.
        """
        shared = set(self.instruments) & set(other.instruments)
        meets = self.start < other.end and other.start < self.end
        return self.timeframe == other.timeframe and bool(shared) and meets

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "instruments": list(self.instruments), "timeframe": self.timeframe, "source": self.source,
            "start": self.start.isoformat(), "end": self.end.isoformat(), "data_hash": self.data_hash,
        }  # fmt: skip

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> DataSpan:
        """Return what a ``document()`` tells of."""
        start, end = (datetime.fromisoformat(document[name]) for name in ("start", "end"))
        return cls(
            tuple(document["instruments"]), document["timeframe"], document["source"], start, end, document["data_hash"]
        )

    def __str__(self) -> str:
        return f"{', '.join(self.instruments)} {self.timeframe}, {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"
