"""The latest 60 features through our own code, from SQLite and from Redis: ``python -m bench.store``.

Beside each read Feast's own call for the same columns; then a join in time, and how long it takes to know that a store
is down. A real redis-server is started where there is one.
"""

from __future__ import annotations

import shutil
import socket
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl

from forecastle.app.build_features import build_table
from forecastle.app.materialize import materialize
from forecastle.app.online_features import OnlineFeatures, as_of_features
from forecastle.clock import SystemClock
from forecastle.features.feast import ENTITY, columns, view_of
from forecastle.nouns import Instrument
from forecastle.requests import FeaturesRequest, build
from forecastle.settings import load_settings
from forecastle.sources.simulated import Simulated
from forecastle.workspace import Workspace

READS = 1000
ETH = Instrument.parse("ETH-USDT")


def opened(home: Path, online: str | None) -> Workspace:
    """Open the home with the online store named."""
    environment = {} if online is None else {"FORECASTLE__STORE__ONLINE": online}
    settings, origins = load_settings(home, environment, home)
    return Workspace(settings, tuple(origins), SystemClock())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a server; give its address."""
    port = free_port()
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        time.sleep(1.0)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def timed(job: Callable[[], object], rounds: int) -> list[float]:
    """Return the sorted milliseconds of each round after one warm-up."""
    job()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        job()
        taken.append(1e3 * (time.perf_counter() - start))
    return sorted(taken)


def reads(home: Path, online: str | None, name: str) -> None:
    """Print one line: ours, Feast's, and the ratio."""
    workspace = opened(home, online)
    materialize(workspace)
    store, wanted = OnlineFeatures(workspace), columns()[:60]
    assert store.read(ETH, "1d", wanted).served_from == "online"
    refs = [f"{view_of('1d')}:{column}" for column in wanted]
    bare = store._store._store
    ours = timed(lambda: store.read(ETH, "1d", wanted), READS)
    feasts = timed(lambda: bare.get_online_features(features=refs, entity_rows=[{ENTITY: ETH.id}]), READS)
    p50, p99 = statistics.median(ours), ours[int(0.99 * READS)]
    print(f"| 60 columns, {name} | {p50:.2f} | {p99:.2f} | {statistics.median(feasts):.2f} | "
          f"{p50 / statistics.median(feasts):.2f} | 3 |", flush=True)  # fmt: skip


def joins(home: Path) -> None:
    """Print how long a point-in-time join takes."""
    workspace = opened(home, None)
    known = workspace.features.read(ETH.id, "1d", ()).current()["known_at"]
    rows = pl.DataFrame({"instrument": [ETH.id] * 100, "event_timestamp": known.sample(100, seed=0)})
    taken = timed(lambda: as_of_features(workspace, rows), 15)
    print(f"| 100 moments of {len(known)} rows, {len(columns())} columns | {statistics.median(taken):.0f} | "
          f"{taken[-1]:.0f} | 1000 |", flush=True)  # fmt: skip


def down(home: Path) -> None:
    """Print how long a store that is down keeps a reader waiting, offline values served."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        for name, port in (("refuses", free_port()), ("never answers", silent.getsockname()[1])):
            waited(OnlineFeatures(opened(home, f"redis://127.0.0.1:{port}")), f"a server that {name}")
    with closing(sqlite3.connect(home / "store" / "online.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        waited(OnlineFeatures(opened(home, None)), "a SQLite file that another process locks")


def waited(store: OnlineFeatures, what: str) -> None:
    """Print one line of a store that is down."""
    taken = timed(lambda: store.read(ETH, "1d"), 15)
    assert store.read(ETH, "1d").served_from == "offline"
    print(f"| {what} | {statistics.median(taken):.0f} | {taken[-1]:.0f} | 300 |", flush=True)


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        workspace = opened(home, None)
        workspace.lake.write(Simulated().fetch(ETH, "1d", None, None))
        build_table(workspace, build(FeaturesRequest, instrument=ETH))
        print(
            "| read | p50, ms | p99, ms | Feast alone, p50 ms | ratio | to stay under, ms |\n|---|---|---|---|---|---|"
        )
        reads(home, None, "SQLite")
        if shutil.which("redis-server"):
            with redis_server(Path(folder)) as address:
                reads(home, address, "Redis")
        print("\n| join in time | median, ms | slowest, ms | to stay under, ms |\n|---|---|---|---|")
        joins(home)
        print("\n| down | median, ms | slowest, ms | to stay under, ms |\n|---|---|---|---|")
        down(home)


if __name__ == "__main__":
    main()
