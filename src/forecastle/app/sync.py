"""The watch list: series that are kept up to now."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from typing import Any

from forecastle.app.fetch import Fetched, Outcome, fetch
from forecastle.errors import DataInvalid, DataMissing, ForecastleError
from forecastle.lake import write_bytes
from forecastle.ports import Progress, silent
from forecastle.requests import FetchRequest, build
from forecastle.workspace import Workspace


@dataclass(frozen=True)
class Watched:
    """One line of the watch list; ``sources`` in the order they are asked."""

    instrument: str
    timeframe: str
    sources: tuple[str, ...]
    start: str | None = None

    def request(self) -> FetchRequest:
        """Return what to fetch; raises ``RequestInvalid`` where the list was written wrongly."""
        return build(
            FetchRequest, instruments=(self.instrument,), timeframes=(self.timeframe,), sources=self.sources,
            start=self.start,
        )  # fmt: skip


def watch_list(workspace: Workspace) -> tuple[Watched, ...]:
    """Return what ``watch.toml`` in the home folder lists. Raises ``DataInvalid`` where it cannot be read."""
    path = workspace.settings.watch_list
    if not path.is_file():
        return ()
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return tuple(
            Watched(w["instrument"], w["timeframe"], tuple(w["sources"]), w.get("start")) for w in document["watch"]
        )
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise DataInvalid(
            f"{path} is no watch list.", f"{error}.",
            'Each entry is [[watch]] with instrument = "BTC-USDT", timeframe = "1d", sources = ["binance"].',
        ) from error  # fmt: skip


def watch(workspace: Workspace, request: FetchRequest) -> tuple[Watched, ...]:
    """Add the series of a fetch to the watch list and return the whole of it; one already there is put right."""
    listed = {(w.instrument, w.timeframe): w for w in watch_list(workspace)}
    start = request.start.isoformat() if request.start else None
    for instrument in request.instruments:
        for timeframe in request.timeframes:
            listed[instrument.id, timeframe] = Watched(instrument.id, timeframe, request.sources, start)
    text = "# What `forecastle sync` keeps up to now. Edit it freely.\n" + "".join(map(_entry, listed.values()))
    write_bytes(workspace.settings.watch_list, text.encode())
    return tuple(listed.values())


def _entry(watched: Watched) -> str:
    lines = [
        "\n[[watch]]", f"instrument = {json.dumps(watched.instrument)}", f"timeframe = {json.dumps(watched.timeframe)}",
        f"sources = {json.dumps(list(watched.sources))}",
    ]  # fmt: skip
    if watched.start:
        lines.append(f"start = {json.dumps(watched.start)}")
    return "\n".join(lines) + "\n"


def sync(workspace: Workspace, progress: Progress = silent) -> Outcome:
    """Fetch everything on the watch list up to now; one series that fails does not stop the others.

    Raises ``DataMissing`` where nothing is watched.
    """
    listed = watch_list(workspace)
    if not listed:
        raise DataMissing(
            "Nothing is on the watch list.", f"{workspace.settings.watch_list} names no series.",
            "Add one: forecastle fetch BTC-USDT --source binance --timeframe 1d --watch.",
        )  # fmt: skip
    brought: list[Fetched] = []
    failed: list[ForecastleError] = []
    for watched in listed:
        outcome = fetch(workspace, watched.request(), progress)
        brought += outcome.brought
        failed += outcome.failed
    return Outcome(tuple(brought), tuple(failed))
