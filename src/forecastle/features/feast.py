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
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from forecastle.errors import ConfigurationError, DataCorrupt, StorageUnwritable, UpstreamError
from forecastle.features._families import catalogue
from forecastle.nouns.feature_frame import MARKS, definitions_of
from forecastle.sessions import TIMEFRAMES, Timeframe

PROJECT = "forecastle"
ENTITY = "instrument"
FOREVER = timedelta(days=36_500)
"""How long a value counts in a point-in-time join: what is too old is null in the table already."""
READ, WRITE = 0.1, 5.0
"""Seconds to wait for a server that does not answer: to connect, and again for the answer."""


@dataclass(frozen=True)
class OnlineRow:
    """What is online of an instrument: since when it is known, whose candles, under which definitions, the values."""

    known_at: datetime
    source: str
    definitions: str
    values: Mapping[str, float | None]


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
    def sqlite(self) -> Path:
        """Return the file of online values where no server is named."""
        return self.folder / "online.db"

    @property
    def shown(self) -> str:
        """Return the online store as it may be shown: without who signs in."""
        if self.online is None:
            return str(self.sqlite)
        parts = urlsplit(self.online)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"


def columns() -> tuple[str, ...]:
    """Return the columns of every view."""
    return tuple(column.name for feature in catalogue() for column in feature.spec.columns)


@lru_cache(maxsize=1)
def definitions_today() -> str:
    """Return the hash of what the columns of every view mean today."""
    return definitions_of([feature.spec for feature in catalogue()])


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
        fields += [feast.Field(name=mark, dtype=types.String) for mark in MARKS]
        view = feast.FeatureView(
            name=name, entities=[instrument], ttl=FOREVER, schema=fields, source=source, online=True
        )
        found += [source, view]
    return found


def _feast() -> tuple[Any, Any]:
    try:
        import feast
        import feast.infra.online_stores.sqlite
        import feast.types
    except ImportError as error:
        raise ConfigurationError(
            "The feature store needs the package feast.", f"It is not installed: {error}.",
            "Install it: pip install 'forecastle[store]'",
        ) from error  # fmt: skip
    _times_of_sqlite_are_utc()
    return feast, feast.types


def _times_of_sqlite_are_utc() -> None:
    """Correct how Feast, for the whole process, writes and reads times in SQLite.

    It takes UTC without a zone for the time of the computer's zone: who reads in another zone than who wrote sees the
    values of another moment, and an hour that a zone skips in spring moves.
    """
    import sqlite3

    def written(moment: datetime) -> int:
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())

    sqlite3.register_adapter(datetime, written)
    sqlite3.register_converter("timestamp", lambda seconds: datetime.fromtimestamp(int(seconds), UTC))


def _key_of(instrument: str) -> Any:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=[ENTITY], entity_values=[Value(string_val=instrument)])


class FeastStore:
    """One open store. Opening costs seconds, a read less than a millisecond: keep it.

    A read asks the online store alone. It does not look at the registry, which another process may be writing, and in
    which Feast forbids to read while that one brings values. ``patience`` is how long an online store may take to
    connect and to answer, in seconds each.
    """

    def __init__(self, place: StorePlace, patience: float = READ) -> None:
        """Open the store; nothing is made, and nothing is asked of a server yet. Raises ``ConfigurationError``."""
        feast, _ = _feast()
        from feast.infra.provider import get_provider

        self.place = place
        self._patience = patience
        self._config = _config(feast, place)
        self._provider: Any = get_provider(self._config)
        self._views = {
            view.name: view for view in definitions(str(place.offline)) if isinstance(view, feast.FeatureView)
        }
        if place.online is not None:
            # Feast hands on what fits into its connection string, and repeats thrice with pauses: a store that is down
            # would be known after seconds
            self._provider.online_store._client = _redis(place.online, patience)  # type: ignore[attr-defined]

    @cached_property
    def _store(self) -> Any:
        """Return Feast's own store, for all but reading; raises ``StorageUnwritable``, ``DataCorrupt``."""
        import feast
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no stubs

        try:
            self.place.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnwritable(
                f"{self.place.folder} cannot be made.", f"{error.strerror}.", "Choose another home with --home."
            ) from error
        store = feast.FeatureStore(config=self._config)
        store._provider = self._provider
        self._connect()
        try:
            store.list_feature_views()
        except (DecodeError, ValueError, TypeError) as error:
            raise _corrupt(self.place.registry, error) from error
        return store

    def _connect(self) -> None:
        """Open SQLite's file, and make it where there is none: wait for its lock as long as for a server, not 5 s."""
        if self.place.online is None:
            connection = self._provider.online_store._get_conn(self._config)
            connection.execute(f"PRAGMA busy_timeout = {round(1000 * self._patience)}")

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

    def read(self, instrument: str, timeframe: Timeframe, names: Sequence[str]) -> OnlineRow | None:
        """Return the online values of an instrument; None where there are none.

        Raises ``UpstreamError`` where the store does not answer, within 0.3 s, ``DataCorrupt`` where it is no store.
        """
        if self.place.online is None and not self.place.sqlite.exists():
            return None
        with self._named():
            known, values = self._online(view_of(timeframe), instrument, [*names, *MARKS])
        if not known or not known.timestamp():  # Redis tells of what it has not as of 1970
            return None
        numbers = {n: values[n].double_val for n in names if n in values and values[n].HasField("double_val")}
        source, made = (values[mark].string_val if mark in values else "" for mark in MARKS)
        return OnlineRow(known.astimezone(UTC), source, made, {name: numbers.get(name) for name in names})

    def _online(self, view: str, instrument: str, names: list[str]) -> tuple[datetime | None, Mapping[str, Any]]:
        import sqlite3

        self._connect()
        try:
            rows = self._provider.online_read(self._config, self._views[view], [_key_of(instrument)], names)
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # nothing of this timeframe was ever brought online
                return None, {}
            raise
        known, values = rows[0]
        return known, values or {}

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Say whose fault it is where the online store does not answer."""
        import sqlite3

        import redis

        try:
            yield
        except sqlite3.DatabaseError as error:
            if not isinstance(error, sqlite3.OperationalError):  # the file is there, and is no database
                raise _corrupt(self.place.sqlite, error) from error
            raise self._silent(error) from error
        except (redis.RedisError, OSError) as error:
            raise self._silent(error) from error

    def _silent(self, error: Exception) -> UpstreamError:
        return UpstreamError(
            f"The online store {self.place.shown} does not answer.", _told(error),
            "Start it, or mend FORECASTLE__STORE__ONLINE; offline values are served meanwhile.",
        )  # fmt: skip


def _told(error: Exception) -> str:
    return f"{(str(error).splitlines() or [type(error).__name__])[0].rstrip('.')}."


def _corrupt(path: Path, error: Exception) -> DataCorrupt:
    return DataCorrupt(
        f"{path} is not what the feature store wrote.", _told(error),
        "Delete it and run: forecastle features materialize. All of it is made from the tables.",
    )  # fmt: skip


def _config(feast: Any, place: StorePlace) -> Any:
    online: dict[str, Any] = {"type": "sqlite", "path": str(place.sqlite)}
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
