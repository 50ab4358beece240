"""Hold a span out: lock it, and show who looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import model_validator

from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.holdout import ENDLESS, HoldoutLog, Lock, Opening
from forecastle.experiments.trials import TrialLog
from forecastle.requests import InstrumentField, Moment, Request
from forecastle.sessions import Timeframe
from forecastle.workspace import Workspace


class HoldoutRequest(Request):
    """What to lock: one market from ``start`` on, up to ``end`` where there is one."""

    instrument: InstrumentField
    timeframe: Timeframe = "1d"
    start: Moment
    end: Moment | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ValueError("the end has to be after the start")
        return self


@dataclass(frozen=True)
class HeldOut:
    """A lock and each look at it."""

    lock: Lock
    openings: tuple[Opening, ...]


def lock(workspace: Workspace, request: HoldoutRequest) -> Lock:
    """Lock a span for good; the lock says how many configurations had been tried on it before.

    Raises ``DataCorrupt`` where a log was changed, ``StorageUnwritable``.
    """
    home, clock = workspace.settings.home, workspace.clock
    span = DataSpan((request.instrument.id,), request.timeframe, "", request.start, request.end or ENDLESS)
    return HoldoutLog(home, clock).lock(span, TrialLog(home, clock).count(span))


def held_out(workspace: Workspace) -> list[HeldOut]:
    """Return every lock with its openings, oldest first."""
    log = HoldoutLog(workspace.settings.home, workspace.clock)
    return [HeldOut(lock, tuple(log.openings(lock))) for lock in log.locks()]
