"""Spans that nobody may look at before the end: locked once, opened at a price.

A lock cannot be taken back, it can only be opened, and each opening is logged with its reason and with what was looked
at by. A score on a span that was opened ten times is no score on unseen data, and whoever reads it can see that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecastle.clock import Clock
from forecastle.errors import DataMissing, NameUnknown, RequestInvalid
from forecastle.experiments.chain import Chain, ChainReport, digest
from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.trials import canonical

ENDLESS = datetime(9999, 1, 1, tzinfo=UTC)
"""The end of a lock without one: all that will ever come is locked, too."""


@dataclass(frozen=True)
class Lock:
    """A locked span, ``end`` None where it has none. ``tried_before`` counts the configurations that had seen it."""

    number: int
    at: datetime
    instruments: tuple[str, ...]
    timeframe: str
    start: datetime
    end: datetime | None
    tried_before: int

    @property
    def span(self) -> DataSpan:
        """Return what is locked, of any source."""
        return DataSpan(self.instruments, self.timeframe, "", self.start, self.end or ENDLESS)

    def __str__(self) -> str:
        until = "on" if self.end is None else f"to {self.end:%Y-%m-%d}"
        return f"{', '.join(self.instruments)} {self.timeframe} from {self.start:%Y-%m-%d} {until}"


@dataclass(frozen=True)
class Opening:
    """One look at a locked span: when, why, and the digest of the configuration that looked, empty for a person."""

    number: int
    at: datetime
    lock: int
    why: str
    configuration_hash: str


class HoldoutLog:
    """The locks of one home, in ``experiments/holdouts.jsonl``.

    Every method raises ``DataCorrupt`` where a line was changed or removed.
    """

    def __init__(self, home: Path, clock: Clock) -> None:
        self._chain = Chain(home / "experiments" / "holdouts.jsonl")
        self._clock = clock

    def lock(self, span: DataSpan, tried_before: int = 0) -> Lock:
        """Lock a span of any source; one that ends at :data:`ENDLESS` has no end. The same one again is the same lock.

        ``tried_before`` says how many configurations had already seen it: those are no test of anything.
        """
        end = None if span.end >= ENDLESS else span.end.isoformat()
        line = {
            "event": "lock", "at": self._clock.now().isoformat(), "instruments": list(span.instruments),
            "timeframe": span.timeframe, "start": span.start.isoformat(), "end": end, "tried_before": tried_before,
        }  # fmt: skip
        same = ("event", "instruments", "timeframe", "start", "end")
        with self._chain.writing() as pen:
            there = [entry for entry in pen.entries if all(entry.get(name) == line[name] for name in same)]
            return _lock(there[0] if there else pen.append(line))

    def open(self, lock: Lock, why: str, configuration: Mapping[str, Any] | None = None) -> Opening:
        """Log that somebody looks at a locked span; after this returns it is counted, whatever is seen.

        Raises ``RequestInvalid`` without a reason, ``NameUnknown`` for a lock that is not in the log.
        """
        if not why.strip():
            raise RequestInvalid(
                f"The hold-out {lock} was to be opened without a reason.", "Each opening is counted and says why.",
                "Say what is to be learned from it.",
            )  # fmt: skip
        looked_by = "" if configuration is None else digest(canonical(configuration))
        line = {"event": "open", "at": self._clock.now().isoformat(), "lock": lock.number, "why": why.strip(),
                "configuration_hash": looked_by}  # fmt: skip
        with self._chain.writing() as pen:
            known = [_lock(entry) for entry in pen.entries if entry["event"] == "lock"]
            if lock not in known:
                raise NameUnknown("hold-out", str(lock), [str(one) for one in known], "Lock it first.")
            return _opening(pen.append(line))

    def locks(self) -> list[Lock]:
        """Return every lock, oldest first."""
        return [_lock(entry) for entry in self._chain.entries() if entry["event"] == "lock"]

    def locks_over(self, span: DataSpan) -> list[Lock]:
        """Return the locks on a span: same timeframe, an instrument in common, dates that meet, whatever the source."""
        return [lock for lock in self.locks() if lock.span.overlaps(span)]

    def openings(self, lock: Lock) -> list[Opening]:
        """Return each look at a locked span, oldest first."""
        found = [_opening(entry) for entry in self._chain.entries() if entry["event"] == "open"]
        return [opening for opening in found if opening.lock == lock.number]

    def cut(self, span: DataSpan) -> DataSpan:
        """Return what of a span lies before every lock on it, the span itself where there is none.

        What was cut has no data hash. Raises ``DataMissing`` where nothing is left.
        """
        locks = self.locks_over(span)
        if not locks:
            return span
        first = min(locks, key=lambda lock: lock.start)
        if first.start <= span.start:
            raise DataMissing(
                f"All of {span} is held out.", f"{first} was locked on {first.at:%Y-%m-%d}.",
                "Begin before it, or open it: that is counted.",
            )  # fmt: skip
        return replace(span, end=first.start, data_hash="")

    def verify(self) -> ChainReport:
        """Return what is wrong with the log; nothing is the good answer."""
        return self._chain.verify()


def _lock(entry: Mapping[str, Any]) -> Lock:
    return Lock(
        number=entry["number"], at=datetime.fromisoformat(entry["at"]), instruments=tuple(entry["instruments"]),
        timeframe=entry["timeframe"], start=datetime.fromisoformat(entry["start"]),
        end=None if entry["end"] is None else datetime.fromisoformat(entry["end"]), tried_before=entry["tried_before"],
    )  # fmt: skip


def _opening(entry: Mapping[str, Any]) -> Opening:
    at = datetime.fromisoformat(entry["at"])
    return Opening(entry["number"], at, entry["lock"], entry["why"], entry["configuration_hash"])
