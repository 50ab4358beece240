"""The feature store: the registry's definitions as Feast's, offline the tables, online SQLite or Redis.

Nothing imports this module before it is used: Feast takes seconds to load. A view a timeframe holds every column of the
catalogue, for all instruments; its offline files are links to the tables that have these columns.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from forecastle.errors import ConfigurationError, StorageUnwritable, UpstreamError
from forecastle.features._families import catalogue
from forecastle.sessions import TIMEFRAMES, Timeframe

PROJECT = "forecastle"
ENTITY = "instrument"
FOREVER = timedelta(days=36_500)
"""How long a value counts in a point-in-time join: what is too old is null in the table already."""
READ, WRITE = 0.1, 5.0
"""Seconds to wait for a server that does not answer: to connect, and again for the answer."""
Row = tuple[datetime, dict[str, float | None]]
"""From when on values are known, and the values."""


@dataclass(frozen=True)
class StorePlace:
    """Where the store of a home is: ``folder`` for the registry, SQLite and the links, ``online`` a Redis address."""

    folder: Path
    online: str | None = None

    @property
    def offline(self) -> Path:
        """Return the folder with a folder of links for each timeframe."""
        return self.folder / "offline"

    @property
    def registry(self) -> Path:
        """Return the file of Feast's registry, which is there once something was brought online."""
        return self.folder / "registry.db"

    @property
    def shown(self) -> str:
        """Return the online store as it may be shown: without who signs in."""
        if self.online is None:
            return str(self.folder / "online.db")
        parts = urlsplit(self.online)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"


def columns() -> tuple[str, ...]:
    """Return the columns of every view."""
    return tuple(column.name for feature in catalogue() for column in feature.spec.columns)


def view_of(timeframe: Timeframe) -> str:
    """Return the name of the view of a timeframe."""
    return f"features_{timeframe}"


def definitions(offline: str, timeframes: Sequence[Timeframe] = TIMEFRAMES) -> list[Any]:
    """Return the entity, the sources and the views, with files below ``offline``."""
    feast, types = _feast()
    instrument = feast.Entity(name=ENTITY, join_keys=[ENTITY], value_type=feast.ValueType.STRING)
    found: list[Any] = [instrument]
    for timeframe in timeframes:
        name = view_of(timeframe)
        source = feast.FileSource(
            name=name, path=f"{offline}/{timeframe}/*.parquet", timestamp_field="known_at",
            created_timestamp_column="created_at",
        )  # fmt: skip
        fields = [feast.Field(name=column, dtype=types.Float64) for column in columns()]
        view = feast.FeatureView(
            name=name, entities=[instrument], ttl=FOREVER, schema=fields, source=source, online=True
        )
        found += [source, view]
    return found


def _feast() -> tuple[Any, Any]:
    try:
        import feast
        import feast.types
    except ImportError as error:
        raise ConfigurationError(
            "The feature store needs the package feast.", f"It is not installed: {error}.",
            "Install it: pip install 'forecastle[store]'",
        ) from error  # fmt: skip
    return feast, feast.types


class FeastStore:
    """One open store. Opening costs seconds, a read less than a millisecond: keep it.

    ``patience`` is how long a server may take to connect and to answer, in seconds each.
    """

    def __init__(self, place: StorePlace, patience: float = READ) -> None:
        """Open the store; nothing is asked of a server yet. Raises ``ConfigurationError``, ``StorageUnwritable``."""
        feast, _ = _feast()
        self.place = place
        try:
            place.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnwritable(
                f"{place.folder} cannot be made.", f"{error.strerror}.", "Choose another home with --home."
            ) from error
        self._store = feast.FeatureStore(config=_config(feast, place))
        if place.online is not None:
            # Feast hands on what fits into its connection string, and repeats thrice with pauses: a store that is down
            # would be known after seconds
            self._store._get_provider().online_store._client = _redis(place.online, patience)

    # --- writing

    def apply(self, timeframes: Sequence[Timeframe]) -> None:
        """Register the definitions of these timeframes."""
        with _quiet(), self._named():
            self._store.apply(definitions(str(self.place.offline), timeframes))

    def link(self, timeframe: Timeframe, files: Mapping[str, Path]) -> None:
        """Make these files, by the name of the link, the offline source of a timeframe, and no others."""
        folder = self.place.offline / timeframe
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if old.is_symlink() and old.name not in files:
                old.unlink()
        for name, path in files.items():
            link, target = folder / name, os.path.relpath(path, folder)
            if not link.is_symlink() or str(link.readlink()) != target:
                link.unlink(missing_ok=True)
                link.symlink_to(target)

    def materialize(self, timeframe: Timeframe, until: datetime) -> None:
        """Bring online what became known since the last time, up to ``until``; raises ``UpstreamError``."""
        with _quiet(), self._named():
            self._store.materialize_incremental(end_date=until, feature_views=[view_of(timeframe)])

    def put(self, timeframe: Timeframe, rows: pl.DataFrame) -> None:
        """Write rows online as they are, with ``instrument``, ``known_at``, ``created_at``: over what is there."""
        with _quiet(), self._named():
            self._store.write_to_online_store(view_of(timeframe), df=rows.to_pandas())

    # --- reading

    def read(self, instrument: str, timeframe: Timeframe, names: Sequence[str]) -> Row | None:
        """Return the online values of an instrument and since when they are known; None where there are none.

        Raises ``UpstreamError`` where the store does not answer, within 0.3 s.
        """
        from feast.errors import FeatureViewNotFoundException

        refs = [f"{view_of(timeframe)}:{name}" for name in names]
        try:
            with self._named():
                answer = self._store.get_online_features(features=refs, entity_rows=[{ENTITY: instrument}]).proto
        except FeatureViewNotFoundException:  # nothing was ever brought online
            return None
        found: dict[str, float | None] = {}
        known: datetime | None = None
        for name, result in zip(answer.metadata.feature_names.val, answer.results, strict=True):
            if name != ENTITY and result.event_timestamps:
                value = result.values[0]
                found[name] = value.double_val if value.HasField("double_val") else None
                stamp = result.event_timestamps[0]
                if stamp.seconds:
                    known = datetime.fromtimestamp(stamp.seconds, UTC) + timedelta(microseconds=stamp.nanos // 1000)
        return None if known is None else (known, {name: found[name] for name in names})

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Say whose fault it is where the online store does not answer."""
        import sqlite3

        import redis

        try:
            yield
        except (redis.RedisError, OSError, sqlite3.Error) as error:
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UpstreamError(
                f"The online store {self.place.shown} does not answer.", f"{told.rstrip('.')}.",
                "Start it, or mend FORECASTLE__STORE__ONLINE; offline values are served meanwhile.",
            ) from error  # fmt: skip


def _config(feast: Any, place: StorePlace) -> Any:
    online: dict[str, Any] = {"type": "sqlite", "path": str(place.folder / "online.db")}
    if place.online is not None:
        # a revised row has the timestamp of the row that it replaces
        online = {"type": "redis", "connection_string": place.shown.partition("://")[2], "skip_dedup": True}
    return feast.RepoConfig(
        project=PROJECT, provider="local", registry=str(place.registry), online_store=online,
        offline_store={"type": "file"}, entity_key_serialization_version=3,
    )  # fmt: skip


def _redis(address: str, patience: float) -> Any:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    parts = urlsplit(address)
    database = parts.path.strip("/")
    return redis.Redis(
        host=parts.hostname or "", port=parts.port or 6379, db=int(database) if database.isdecimal() else 0,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None, ssl=parts.scheme == "rediss",
        socket_timeout=patience, socket_connect_timeout=patience, retry=Retry(NoBackoff(), 0),
    )  # fmt: skip


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Feast's progress off the terminal, and what pandas says to the authors of dask off the user."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
