"""The watch list: series that are kept up to now."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from forecastle.app.fetch import Fetched, Outcome, fetch
from forecastle.errors import DataInvalid, DataMissing, ForecastleError, RequestInvalid
from forecastle.lake import write_bytes
from forecastle.nouns import Instrument
from forecastle.ports import Progress, silent
from forecastle.requests import FetchRequest, Moment, Names, build
from forecastle.sources import gives_observations
from forecastle.workspace import Workspace

_HEAD = "# What `forecastle sync` keeps up to now. Edit it freely.\n"


class Watched(BaseModel):
    """One entry of the watch list; ``sources`` in the order they are asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instrument: str
    timeframe: str = "1d"
    sources: Names
    start: Moment | None = None
    seed: int = 0

    def request(self) -> FetchRequest:
        """Return what to fetch; raises ``RequestInvalid`` where a name in it means nothing."""
        return build(
            FetchRequest, instruments=(self.instrument,), timeframes=(self.timeframe,), sources=self.sources,
            start=self.start, seed=self.seed,
        )  # fmt: skip


class _WatchFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    watch: tuple[Watched, ...] = ()


def watch_list(workspace: Workspace) -> tuple[Watched, ...]:
    """Return what ``watch.toml`` in the home folder lists. Raises ``DataInvalid`` where it cannot be read."""
    path = workspace.settings.watch_list
    if not path.is_file():
        return ()
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return _WatchFile.model_validate(document).watch
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise DataInvalid(
            f"{path} is no watch list.", f"{_first_fault(error)}.",
            'Each entry is [[watch]] with instrument = "BTC-USDT", timeframe = "1d", sources = ["binance"].',
        ) from error  # fmt: skip


def _first_fault(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]


def watch(workspace: Workspace, request: FetchRequest) -> tuple[Watched, ...]:
    """Add the series of a fetch to the watch list and return the whole of it; what is there already stays as it is."""
    listed = list(watch_list(workspace))
    have = {(Instrument.parse(w.instrument).id, w.timeframe, _observed_by(w.sources)) for w in listed}
    new = [
        Watched(
            instrument=instrument.id,
            timeframe=timeframe,
            sources=request.sources,
            start=request.start,
            seed=request.seed,
        )
        for instrument in request.instruments
        for timeframe in request.timeframes
        if (instrument.id, timeframe, _observed_by(request.sources)) not in have
    ]
    if new:
        path = workspace.settings.watch_list
        text = path.read_text(encoding="utf-8") if path.is_file() else _HEAD
        write_bytes(path, (text.rstrip() + "\n" + "".join(map(_entry, new))).encode())
    return (*listed, *new)


def _observed_by(sources: tuple[str, ...]) -> tuple[str, ...]:
    """Return those that give observations: they are a series beside the candles, which no other source stands for."""
    return tuple(name for name in sources if gives_observations(name))


def _entry(watched: Watched) -> str:
    """Return an entry as TOML; its strings and lists are written as those of JSON."""
    values = watched.model_dump(mode="json", exclude_defaults=True) | {"timeframe": watched.timeframe}
    return "".join(["\n[[watch]]\n", *(f"{name} = {json.dumps(value)}\n" for name, value in values.items())])


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
        try:
            outcome = fetch(workspace, watched.request(), progress)
        except RequestInvalid as error:  # one entry written wrongly does not stop the others
            failed.append(error)
            continue
        brought += outcome.brought
        failed += outcome.failed
    return Outcome(tuple(brought), tuple(failed))
