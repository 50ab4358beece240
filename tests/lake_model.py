"""A lake that is a dictionary: what the real one has to hold after the same steps, and how to look at both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
import polars as pl

from forecastle.errors import DataMissing
from forecastle.lake import DatasetKey, Lake
from forecastle.lake.journal import Journal
from forecastle.lake.manifest import FileEntry
from forecastle.nouns import Candles, Observations
from forecastle.nouns.candles import SCHEMA
from making import BTC, NOW, moment

KEY = DatasetKey("test", "BTC-USDT", "1h")
ORIGIN = moment("2023-12-25")
"""A week before a new year: the rows of a few hundred hours lie in two periods."""
HOUR = np.timedelta64(1, "h")
Rows = Mapping[int, float]


class Ticking:
    """A clock that goes on by a second each time it is read, unless it is set."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


def hours(rows: Rows) -> Candles:
    """Return candles of the hours counted from the origin, each at one price."""
    opens = ORIGIN + np.array(sorted(rows), dtype="int64") * HOUR
    price = np.array([rows[hour] for hour in sorted(rows)])
    columns = {"open_time": opens, "close_time": opens + HOUR}
    columns |= dict.fromkeys(("open", "high", "low", "close", "volume"), price)
    return Candles.from_columns(BTC, "1h", "test", columns, "none")


def broken(rows: Rows) -> pl.DataFrame:
    """Return the same hours as rows that cannot be candles, with a reason."""
    return hours(rows).frame.with_columns(low=-pl.col("low"), reason=pl.lit("low_negative"))


def observed(rows: Rows) -> Observations:
    """Return the same as values about these hours, known at their end."""
    frame = hours(rows).frame.select(about="open_time", known_at="close_time", value="close")
    return Observations(BTC, "mood", "points", "test", frame)


Kind = Literal["write", "quarantine", "observe", "csv", "cover"]
OTHERS: tuple[Kind, ...] = ("quarantine", "observe", "cover")


@dataclass(frozen=True)
class Step:
    """One thing to do to a lake."""

    kind: Kind
    rows: dict[int, float] = field(default_factory=dict)

    def do(self, lake: Lake) -> None:
        """Do it to a real one."""
        if self.kind == "write":
            lake.write(hours(self.rows))
        elif self.kind == "quarantine":
            lake.quarantine(KEY, broken(self.rows), "a file")
        elif self.kind == "observe":
            lake.observe(observed(self.rows))
        elif self.kind == "csv":
            lake.write_csv(KEY)
        else:
            candles = hours(self.rows)
            lake.write(candles, (candles.start, candles.end))


@dataclass(frozen=True)
class Seen:
    """What a lake holds: prices by hour, refused rows, latest values by hour, hours that were asked for."""

    candles: dict[int, float] = field(default_factory=dict)
    aside: frozenset[tuple[int, float]] = frozenset()
    values: dict[int, float] = field(default_factory=dict)
    covered: frozenset[int] = frozenset()
    first_told: dict[int, float] = field(default_factory=dict, compare=False)
    """The first value of each hour: told again it is an old file that comes twice, and says nothing new."""

    def after(self, step: Step) -> Seen:
        """Return what it holds after a step."""
        if step.kind == "write":
            return replace(self, candles=self.candles | step.rows)
        if step.kind == "quarantine":
            return replace(self, aside=self.aside | set(step.rows.items()))
        if step.kind == "observe":
            new = {h: value for h, value in step.rows.items() if self.first_told.get(h) != value}
            return replace(self, values=self.values | new, first_told=step.rows | self.first_told)
        if step.kind == "cover":
            asked = range(min(step.rows), max(step.rows) + 1)
            return replace(self, candles=self.candles | step.rows, covered=self.covered | set(asked))
        return self


def look(lake: Lake, as_of: datetime | None = None) -> Seen:
    """Return what a real lake holds; every row is looked at, and a doubled one is an error."""
    aside = lake.quarantined(KEY)
    assert not aside.select("open_time", "close").is_duplicated().any(), "a doubled row"
    covered = [_hours(pl.Series(span).cast(SCHEMA["open_time"])) for span in lake.covered(KEY)]
    return Seen(
        prices(lake, as_of),
        frozenset(zip(_hours(aside["open_time"]), aside["close"], strict=True)),
        _values(lake, as_of),
        frozenset(hour for since, until in covered for hour in range(since, until)),
    )


def prices(lake: Lake, as_of: datetime | None = None) -> dict[int, float]:
    """Return the price of every hour in a lake."""
    try:
        frame = lake.read(KEY, as_of=as_of).frame
    except DataMissing:
        return {}
    assert frame["open_time"].is_sorted()
    flat = frame.select(pl.all_horizontal(pl.col("open", "high", "low", "volume") == pl.col("close")))
    assert flat.to_series().all(), "a torn row"
    return dict(_exactly(_hours(frame["open_time"]), frame["close"]))


def _values(lake: Lake, as_of: datetime | None) -> dict[int, float]:
    try:
        whole = lake.read_observations(BTC, "mood", as_of=as_of)
    except DataMissing:
        return {}
    latest = whole.known(NOW + timedelta(days=99_999)).frame
    return dict(_exactly(_hours(latest["about"]), latest["value"]))


def _exactly(keys: list[int], values: Iterable[float]) -> list[tuple[int, float]]:
    assert len(set(keys)) == len(keys), "a doubled row"
    return list(zip(keys, values, strict=True))


def _hours(times: pl.Series) -> list[int]:
    return [int(n) for n in (times.dt.replace_time_zone(None).to_numpy() - ORIGIN) // HOUR]


def next_step(draw: Random, seen: Seen) -> Step:
    """Draw what to do next: mostly appends, and everything else that a lake is asked to do."""
    end = max(seen.candles, default=-1) + 1
    price = float(draw.randrange(1, 1000))
    kind = draw.choice(["append"] * 4 + ["revise", "before", "csv"] + ["other"] * 3)
    if kind == "other":
        begin = draw.randrange(0, 300)
        return Step(draw.choice(OTHERS), dict.fromkeys(range(begin, begin + draw.randrange(1, 30)), price))
    if kind == "csv" and seen.candles:
        return Step("csv")
    if kind == "revise" and seen.candles:
        return Step("write", dict.fromkeys(draw.sample(sorted(seen.candles), min(3, len(seen.candles))), price))
    if kind == "before":
        begin = draw.randrange(0, end + 1)
        return Step("write", dict.fromkeys(range(begin, begin + 5), price))
    return Step("write", {h: price + h for h in range(end + draw.randrange(2), end + draw.randrange(3, 20))})


def files_without_a_name(lake: Lake) -> set[str]:
    """Return what lies under a lake and no commit ever named: there has to be nothing."""
    there = {p.relative_to(lake.root).as_posix() for p in lake.root.rglob("*") if p.is_file()}
    named = {entry.path for entry in ever_named(lake)}
    named |= {entry.csv_path for entry in ever_named(lake) if entry.csv_sha256}
    own = {"manifest.jsonl", "manifest.mirror.jsonl", ".writer.lock", "_README.md", "schema.json"}
    return {name for name in there - named - own if not name.startswith("_history/0")}


def ever_named(lake: Lake) -> list[FileEntry]:
    """Return the entry of every file that a commit ever named."""
    return [entry for commit, _ in Journal(lake.root).commits() for entry in commit.files]


def all_files(root: Path) -> list[Path]:
    """Return every file under a lake but the lock."""
    return sorted(p for p in root.rglob("*") if p.is_file() and p.name != ".writer.lock")
