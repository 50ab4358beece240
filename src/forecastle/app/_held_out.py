"""What is held out is cut off before anybody looks, or looked at with a reason, and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecastle.errors import DataMissing
from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.holdout import HoldoutLog, Lock
from forecastle.experiments.spec import DataPart
from forecastle.nouns import History
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Looked:
    """What was done about hold-outs: the locks that cut the data, and those that were opened."""

    cut: tuple[Lock, ...] = ()
    opened: tuple[Lock, ...] = ()


NOTHING_HELD_OUT = Looked()


def before_locks(
    workspace: Workspace, data: DataPart, configuration: Mapping[str, Any], history: History, opening: str | None
) -> tuple[History, Looked]:
    """Return the history up to ``data.end`` and before what is held out; with all of it where ``opening`` says why.

    Raises ``DataMissing`` where no candle is left.
    """
    candles = history.candles
    end = min(filter(None, (data.end, candles.end)))
    if end <= candles.start:
        raise DataMissing(
            f"{candles.instrument} has no candle before {end:%Y-%m-%d}.", f"They begin {candles.start:%Y-%m-%d}.",
            "Choose a later data.end.",
        )  # fmt: skip
    span = DataSpan((candles.instrument.id,), candles.timeframe, candles.source, candles.start, end)
    log = HoldoutLog(workspace.settings.home, workspace.clock)
    locks = tuple(log.locks_over(span))
    if not locks:
        return history.until(end), NOTHING_HELD_OUT
    if opening is not None:
        for lock in locks:
            log.open(lock, opening, configuration)
        return history.until(end), Looked(opened=locks)
    return history.until(log.cut(span).end), Looked(cut=locks)
