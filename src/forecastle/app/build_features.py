"""Feature tables: built once, then only gone on with; made anew where what they were made of has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl

from forecastle.app._feature_inputs import hash_of, inputs_of
from forecastle.app.look import open_workspace
from forecastle.errors import DataMissing, DefinitionChanged
from forecastle.features import Feature, Fill, Live, Step, catalogue, features_of, lacking, started
from forecastle.lake import TableMeta
from forecastle.lake.feature_tables import KEYS
from forecastle.nouns import FeatureFrame, FeatureSpec, History, Instrument
from forecastle.nouns.feature_frame import fingerprint_of
from forecastle.requests import FeaturesRequest, build
from forecastle.sessions import Timeframe
from forecastle.workspace import Workspace

SAME, NOISE = 1e-9, 1e-12
"""A value computed anew that differs by less than this share of itself, or this share of the largest of its column, is
the one that is there: appended and whole builds round in other places."""
State = Literal["built", "appended", "up to date", "computed anew"]


@dataclass(frozen=True)
class Built:
    """What a build did: how many rows are new or were computed anew, and what the table is now.

    ``short`` are the features that have no value in any row, each with the reason.
    """

    instrument: Instrument
    timeframe: Timeframe
    source: str
    state: State
    added: int
    revised: int
    rows: int
    columns: int
    start: datetime
    end: datetime
    fingerprint: str
    path: Path
    short: dict[str, str]
    missing_bars: int
    note: str = ""


def build_table(workspace: Workspace, request: FeaturesRequest) -> Built:
    """Bring the feature table of a series up to the last candle.

    Rows that are there stay as they are, new ones are computed from the state after the last: they agree with a whole
    build within 1e-9. Where candles or observations from before were revised, or inputs appeared, all is computed anew,
    and a row whose values differ is stored beside the old one with a later ``created_at``. Raises ``DataMissing``,
    ``DefinitionChanged`` where the table was made by other definitions, names, steps or of another source.
    """
    job = _Job.of(workspace, request)
    with workspace.features.writing(request.instrument.id):
        old = workspace.features.meta(request.instrument.id, request.timeframe)
        if old is None:
            return job.whole("built")
        _same_definitions(old, job)
        as_of = datetime.fromisoformat(old.state["as_of"]).astimezone(UTC)
        before = job.history.until(as_of)
        # a table of months whose build was stopped between two of them has not the row that its state speaks of
        whole = workspace.features.last_row(old.instrument, old.timeframe)[1]["known_at"][0] == as_of
        if not whole or not len(before) or before.candles.end != as_of or hash_of(before) != old.data_hash:
            return job.anew(old)
        return job.go_on(old, before)


def rebuild_table(workspace: Workspace, request: FeaturesRequest) -> Built:
    """Build the feature table of a series from its first candle, whatever is there.

    A table of other definitions is moved to ``superseded`` beside it. Raises ``DataMissing``.
    """
    job = _Job.of(workspace, request)
    with workspace.features.writing(request.instrument.id):
        return job.whole("built")


def load_features(
    instrument: str, timeframe: str = "1d", *, as_of: str | datetime | None = None, home: str | Path | None = None
) -> FeatureFrame:
    """Return the stored feature table: ``fc.load_features("BTC-USDT")``.

    ``as_of`` gives each row as it was computed until that moment, before later revisions. Raises ``DataMissing`` where
    it was not built, ``DefinitionChanged`` where features were redefined since, ``DataCorrupt``.
    """
    request = build(FeaturesRequest, instrument=instrument, timeframe=timeframe)
    moment = datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of
    moment = moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
    return read_table(open_workspace(None if home is None else Path(home)), request, moment)


def read_table(workspace: Workspace, request: FeaturesRequest, as_of: datetime | None = None) -> FeatureFrame:
    """Return the stored features of a series; raises as :func:`load_features`."""
    table = workspace.features.read(request.instrument.id, request.timeframe)
    check_definitions(table.meta)
    rows = table.current(as_of).drop("instrument", "created_at")
    meta = table.meta
    return FeatureFrame(
        request.instrument, meta.timeframe, meta.source, meta.specs, rows, meta.data_hash, meta.steps, meta.absent
    )


def check_definitions(meta: TableMeta) -> None:
    """Raise ``DefinitionChanged`` where a feature of a stored table is defined otherwise today."""
    today = features_of([spec.name for spec in meta.specs])
    changed = [s.name for s, f in zip(meta.specs, today, strict=True) if s.definition != f.spec.definition]
    if changed:
        raise _changed(meta, f"Defined otherwise since: {_some(changed)}")


def _same_definitions(old: TableMeta, job: _Job) -> None:
    if old.fingerprint == job.fingerprint:
        return
    check_definitions(old)
    had, wanted = {s.name for s in old.specs}, {f.spec.name for f in job.features}
    if old.source != job.history.candles.source:
        raise _changed(old, f"It is of {old.source}, not of {job.history.candles.source}")
    if old.steps != tuple(step.name for step in job.steps):
        raise _changed(old, f"Its candles went through {', '.join(old.steps) or 'no step'}")
    raise _changed(old, f"It has {_some(had - wanted) or 'nothing more'}, and has not {_some(wanted - had) or 'less'}")


def _changed(meta: TableMeta, why: str) -> DefinitionChanged:
    return DefinitionChanged(
        f"The table of {meta.timeframe} features of {meta.instrument} is another one.", f"{why}.",
        f"Build it anew, the old one is kept: forecastle features build {meta.instrument} "
        f"--timeframe {meta.timeframe} --rebuild",
    )  # fmt: skip


def _some(names: Sequence[str] | set[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


@dataclass(frozen=True)
class _Job:
    """One table to be brought up to date."""

    workspace: Workspace
    request: FeaturesRequest
    features: tuple[Feature, ...]
    steps: tuple[Step, ...]
    history: History
    absent: dict[str, str]

    @classmethod
    def of(cls, workspace: Workspace, request: FeaturesRequest) -> _Job:
        features = catalogue() if request.names is None else features_of(request.names)
        steps = () if request.fill is None else (Fill(request.fill),)
        history = inputs_of(workspace, request, features)
        absent = lacking(history, features)
        for name in request.names or ():
            if name in absent:
                raise DataMissing(
                    f"{name} of {request.instrument} cannot be computed.", absent[name],
                    "Fetch or import what is missing, or leave the feature out.",
                )  # fmt: skip
        return cls(workspace, request, features, steps, history, absent)

    @property
    def specs(self) -> tuple[FeatureSpec, ...]:
        return tuple(f.spec for f in self.features)

    @property
    def fingerprint(self) -> str:
        candles = self.history.candles
        steps = [step.name for step in self.steps]
        return fingerprint_of(candles.instrument, candles.timeframe, candles.source, self.specs, steps)

    def whole(self, state: State) -> Built:
        frame, live = started(self.history, self.features, self.steps, self.absent)
        rows = self._stored(frame, None)
        self.workspace.features.supersede(self._meta(live), rows)
        return self._told(state, rows.height, 0, self._empty(frame))

    def anew(self, old: TableMeta) -> Built:
        """Compute all rows; those that differ from what is stored join it, those that do not are left."""
        frame, live = started(self.history, self.features, self.steps, self.absent)
        table = self.workspace.features.read(old.instrument, old.timeframe)
        held = table.current()
        last: datetime = held["known_at"][-1]
        again, more = frame.frame.filter(pl.col("known_at") <= last), frame.frame.filter(pl.col("known_at") > last)
        differ = again.filter(_differs(again, held, frame.columns))
        revised = self._stored(replace(frame, frame=differ), self.workspace.clock.now())
        new = self._stored(replace(frame, frame=more), None)
        rows = pl.concat([table.frame, revised, new]).sort("known_at", "created_at", maintain_order=True)
        self.workspace.features.replace(self._meta(live), rows)
        note = (
            "candles or observations from before were revised, or came later; rows that differ count as known from now"
            " on (--rebuild: from their own time on)"
        )
        return self._told("computed anew", more.height, differ.height, self._empty(frame), note)

    def go_on(self, old: TableMeta, before: History) -> Built:
        """Compute what comes after the last row, from its state."""
        if self.history.candles.end == before.candles.end:
            return self._told("up to date", 0, 0, self.absent)
        candles = self.history.candles
        for step in self.steps:  # over all of them: what it puts in before a new bar depends on the bar before
            candles = step.apply(candles)
        present = tuple(f for f in self.features if f.spec.name not in self.absent)
        live = Live(present, self.features, old.steps, dict(self.absent))
        benchmark = self.history.peers[0].candles if self.history.peers else None
        live.resume(old.state, candles.between(end=before.candles.end).last(live.depth + 2), benchmark)
        frame = live.append(replace(self.history, candles=candles))
        rows = self._stored(frame, None)
        self.workspace.features.append(self._meta(live), rows)
        return self._told("appended", rows.height, 0, self.absent)

    def _meta(self, live: Live) -> TableMeta:
        candles = self.history.candles
        steps = tuple(step.name for step in self.steps)
        return TableMeta(
            candles.instrument.id, candles.timeframe, candles.source, self.fingerprint, self.specs, steps, self.absent,
            hash_of(self.history), live.document(),
        )  # fmt: skip

    def _stored(self, frame: FeatureFrame, created: datetime | None) -> pl.DataFrame:
        """Return rows as the table has them: created when they were known, or at ``created`` where that is later."""
        known = pl.col("known_at")
        made = known if created is None else pl.max_horizontal(known, pl.lit(created).cast(pl.Datetime("us", "UTC")))
        who = pl.lit(frame.instrument.id).alias(KEYS[0])
        return frame.frame.select(who, known, made.alias(KEYS[2]), *frame.columns)

    def _empty(self, frame: FeatureFrame) -> dict[str, str]:
        """Return the features without a value in any row, each with the reason."""
        empty = [s.name for s in self.specs if frame.frame[s.columns[0].name].null_count() == len(frame)]
        return {name: self.absent.get(name) or self._why_empty(name) for name in empty}

    def _told(self, state: State, added: int, revised: int, short: dict[str, str], note: str = "") -> Built:
        candles = self.history.candles
        times = self.workspace.features.read(candles.instrument.id, candles.timeframe, ()).current()["known_at"]
        return Built(
            candles.instrument, candles.timeframe, candles.source, state, added, revised, len(times),
            sum(len(s.columns) for s in self.specs), times[0], times[-1], self.fingerprint,
            self.workspace.features.place(candles.instrument.id, candles.timeframe), short,
            int(candles.missing().size), note,
        )  # fmt: skip

    def _why_empty(self, name: str) -> str:
        spec = next(s for s in self.specs if s.name == name)
        if spec.lookback is not None and spec.lookback >= len(self.history.candles):
            return f"It looks back on {spec.lookback} bars; there are {len(self.history.candles)}."
        return "No bar has enough unbroken history before it, or it is not defined on these bars."


def _differs(again: pl.DataFrame, held: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Return which rows computed anew differ from those stored, or are not stored."""
    both = again.select("known_at").join(held, on="known_at", how="left", maintain_order="left")
    differs = both["created_at"].is_null()
    for name in columns:
        differs = differs | _off(again[name], both[name])
    return differs


def _off(new: pl.Series, old: pl.Series) -> pl.Series:
    """Return where two columns differ: by value beyond rounding, or in being known at all."""
    largest = new.abs().max()
    allowed = SAME * new.abs() + NOISE * (float(largest) if isinstance(largest, float) else 0.0)
    apart = ((new - old).abs() > allowed).fill_null(value=False)
    return apart | (new.is_null() != old.is_null())
