"""A server on this machine that plays market venues, and misbehaves on a script.

Requests come as through a gateway: ``{gateway}/{host}/{path}?{query}``. A handler per host gives the right answer in
the venue's own form, from candles in memory; a script of faults spoils chosen answers. Every request is noted with
the moment it came (by the clock handed in, so that tests need no real time).

As a process, for the command line to run against::

    python -m venues.fault_server --port 0 --script '[{"kind": "429", "match": "klines", "retry_after": "1"}]'

prints ``http://127.0.0.1:PORT`` and serves until it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import importlib
import json
import math
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
STEPS = {"1m": MINUTE, "5m": 5 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "1d": DAY, "1w": 7 * DAY, "1M": 31 * DAY}
VENUES = ("binance", "coinbase", "kraken", "okx", "bitfinex", "coingecko", "coinmetrics", "yahoo")
"""Modules ``venues.venue_<name>`` with ``HANDLERS: dict[host, Handler]``; those that are not there are left out."""


class Candle(NamedTuple):
    """One bar; ``time`` is its open in milliseconds."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True)
class Asked:
    """One request as it came in; ``at`` in seconds of the server's clock."""

    at: float
    host: str
    path: str
    query: dict[str, str]

    def __str__(self) -> str:
        return f"{self.host}{self.path}?" + "&".join(f"{k}={v}" for k, v in self.query.items())


@dataclass(frozen=True)
class Reply:
    """What goes out; ``fault`` names what the wire does to it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    @classmethod
    def json(cls, document: object, status: int = 200) -> Reply:
        """Return an answer in JSON."""
        return cls(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


Twist = Callable[[list[Candle]], list[Candle]]
Handler = Callable[[Asked, "World", Twist], Reply]


@dataclass
class World:
    """What the venues have: candles by (instrument, timeframe), and the time it is there in seconds."""

    now: Callable[[], float] = time.time
    series: dict[tuple[str, str], list[Candle]] = field(default_factory=dict)

    def add(self, instrument: str, timeframe: str, candles: Sequence[Candle]) -> None:
        """Put the candles of an instrument such as ``BTC-USDT`` into the world."""
        self.series[instrument, timeframe] = list(candles)

    def instruments(self) -> list[str]:
        """Return the ids of what is traded, in the order it was added."""
        return list(dict.fromkeys(instrument for instrument, _ in self.series))

    def select(
        self, instrument: str, timeframe: str, since: float = 0, until: float = math.inf, limit: int | None = None
    ) -> list[Candle]:
        """Return the candles that open in [since, until) (milliseconds), oldest first, the open one among them."""
        now = self.now() * 1000
        rows = [c for c in self.series.get((instrument, timeframe), []) if since <= c.time < until and c.time <= now]
        return rows[:limit]

    def closed(self, instrument: str, timeframe: str) -> list[Candle]:
        """Return the candles that have closed by now."""
        step, now = STEPS[timeframe], self.now() * 1000
        return [c for c in self.series[instrument, timeframe] if c.time + step <= now]


@lru_cache(maxsize=64)
def _generated(start: datetime, count: int, timeframe: str, seed: int, price: float) -> tuple[Candle, ...]:
    source, step, first = random.Random(f"{seed}{timeframe}"), STEPS[timeframe], int(start.timestamp() * 1000)
    candles = []
    for number in range(count):
        close = round(price * math.exp(source.gauss(0, 0.01)), 2)
        high = round(max(price, close) * (1 + source.random() * 0.01), 2)
        low = round(min(price, close) * (1 - source.random() * 0.01), 2)
        volume = round(source.uniform(1, 1000), 4)
        candles.append(Candle(first + number * step, price, high, low, close, volume))
        price = close
    return tuple(candles)


def generate(start: datetime, count: int, timeframe: str = "1d", seed: int = 0, price: float = 100.0) -> list[Candle]:
    """Return made-up candles that keep every rule, with prices in cents."""
    return list(_generated(start, count, timeframe, seed, price))


@dataclass(frozen=True)
class Fault:
    """Spoil the requests number ``at`` to ``at + times - 1`` of those whose text contains ``match``.

    ``kind`` is a status (``"429"``, ``"503"``) or a name in :data:`WIRE` or :data:`TWISTS`. ``retry_after`` is sent
    as it is, ``location`` where a redirect leads.
    """

    kind: str
    match: str = ""
    at: int = 0
    times: int = 1
    retry_after: str | None = None
    location: str = "https://login.example.net/portal"


WIRE = ("html", "empty", "cut_json", "cut_gzip", "drip", "reset", "redirect", "schema", "strings", "words", "huge")


def _nothing(rows: list[Candle]) -> list[Candle]:
    return rows


def _open_candle(rows: list[Candle]) -> list[Candle]:
    """Add two bars that have not opened yet (on the last page), as some venues do around midnight."""
    step = rows[-1].time - rows[-2].time
    return [*rows, *(rows[-1]._replace(time=rows[-1].time + k * step) for k in (1, 2))]


def _at(rows: list[Candle], place: int, **changes: float) -> list[Candle]:
    return [row._replace(**changes) if number == place else row for number, row in enumerate(rows)]  # type: ignore[arg-type]


TWISTS: dict[str, Twist] = {
    "duplicate": lambda rows: [*rows[:3], *rows[1:]],
    "unsorted": lambda rows: rows[1::2] + rows[::2],
    "open": _open_candle,
    "gap": lambda rows: rows[:2] + rows[4:],
    "nan": lambda rows: _at(rows, 1, close=math.nan),
    "revised": lambda rows: _at(rows, 1, close=rows[1].low, volume=rows[1].volume + 1),
    "micro": lambda rows: [row._replace(time=row.time * 1000) for row in rows],
    "seconds": lambda rows: [row._replace(time=row.time // 1000) for row in rows],
    "columns": lambda rows: [Candle(r.time, r.low, r.open, r.high, r.volume, r.close) for r in rows],
    "same": lambda rows: rows[:1] * len(rows),
}
"""What happens to the candles before the venue writes them down."""


class FaultServer:
    """Serve ``world`` by ``handlers`` (host to handler) on a free port, with a script of faults.

    Use it as a context manager; ``url`` is the gateway, ``asked`` every request that came, in order.
    """

    def __init__(
        self,
        world: World,
        handlers: Mapping[str, Handler],
        script: Sequence[Fault] = (),
        port: int = 0,
        drip_seconds: float = 0.05,
    ) -> None:
        self.world, self.handlers, self.script = world, handlers, list(script)
        self.asked: list[Asked] = []
        self.url = ""
        self._port, self._drip = port, drip_seconds
        self._seen: dict[int, int] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> FaultServer:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def candles_asked(self, match: str) -> list[Asked]:
        """Return the requests whose text contains ``match``."""
        return [asked for asked in self.asked if match in str(asked)]

    def faults_left(self) -> bool:
        """Return whether a fault of the script has not come up yet."""
        return any(self._seen.get(n, 0) < fault.at + 1 for n, fault in enumerate(self.script))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._talks: set[asyncio.Task[Any]] = set()
        server = await asyncio.start_server(self._talk, "127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            while line := await reader.readline():
                await self._answer(line, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._talks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length, packs = 0, False
        while (header := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = header.decode("latin-1").partition(":")
            length = int(value) if name.lower() == "content-length" else length
            packs = packs or (name.lower() == "accept-encoding" and "gzip" in value)
        await reader.readexactly(length)
        reply = self.reply_to(line.split()[1].decode())
        if packs and "Content-Encoding" not in reply.headers and reply.fault != "drip":
            headers = {**reply.headers, "Content-Encoding": "gzip"}
            reply = replace(reply, body=gzip.compress(reply.body, 1), headers=headers)
        await self._send(reply, writer)

    def reply_to(self, target: str) -> Reply:
        """Return what goes out for ``/{host}/{path}?{query}``: the venue's answer, spoiled where the script says."""
        parts = urlsplit(target)
        host, _, path = parts.path.lstrip("/").partition("/")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        asked = Asked(self.world.now(), host, f"/{unquote(path)}", query)
        self.asked.append(asked)
        fault = self._due(asked)
        kind = fault.kind if fault else ""
        if fault and kind.isdigit():
            headers = {"Content-Type": "application/json"}
            if fault.retry_after is not None:
                headers["Retry-After"] = fault.retry_after
            return Reply(int(kind), b'{"code": -1003, "msg": "scripted"}', headers)
        if host not in self.handlers:
            return Reply.json({"error": f"nobody plays {host} here"}, 404)
        reply = self.handlers[host](asked, self.world, TWISTS.get(kind, _nothing))
        return _spoiled(reply, kind, fault.location if fault else "")

    def _due(self, asked: Asked) -> Fault | None:
        """Return the first fault whose turn it is; every fault counts the requests that match it."""
        due = None
        for number, fault in enumerate(self.script):
            if fault.match in str(asked):
                seen = self._seen[number] = self._seen.get(number, 0) + 1
                if due is None and fault.at < seen <= fault.at + fault.times:
                    due = fault
        return due

    async def _send(self, reply: Reply, writer: asyncio.StreamWriter) -> None:
        if reply.fault == "reset":
            connection: socket.socket = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            raise ConnectionResetError
        date = format_datetime(datetime.fromtimestamp(int(self.world.now()), UTC), usegmt=True)
        headers = {"Date": date, **reply.headers, "Content-Length": str(len(reply.body))}
        lines = [f"HTTP/1.1 {reply.status} Scripted", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if reply.fault == "drip":
            for byte in reply.body:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(self._drip)
        else:
            writer.write(reply.body)
        await writer.drain()


def _spoiled(reply: Reply, kind: str, location: str) -> Reply:
    body, headers = reply.body, reply.headers
    match kind:
        case "html":
            return replace(reply, body=b"<!DOCTYPE html><html>Checking your browser</html>", headers={})
        case "empty":
            return replace(reply, body=b"")
        case "cut_json":
            return replace(reply, body=body[: len(body) * 2 // 3])
        case "cut_gzip":
            packed = gzip.compress(body)
            return replace(reply, body=packed[: len(packed) // 2], headers={**headers, "Content-Encoding": "gzip"})
        case "huge":
            return replace(reply, body=gzip.compress(b"1" * 10_000_000), headers={"Content-Encoding": "gzip"})
        case "redirect":
            return Reply(302, b"", {"Location": location})
        case "schema":
            return replace(reply, body=json.dumps({"payload": {"version": 9, "rows": json.loads(body)}}).encode())
        case "strings" | "words":
            return replace(reply, body=json.dumps(_as_text(json.loads(body), kind)).encode())
        case "reset" | "drip":
            return replace(reply, fault=kind)
    return reply


def _as_text(value: Any, kind: str) -> Any:
    """Write numbers with a fraction as text, or as words."""
    if isinstance(value, list):
        return [_as_text(item, kind) for item in value]
    if isinstance(value, dict):
        return {key: _as_text(item, kind) for key, item in value.items()}
    priced = isinstance(value, float) or (isinstance(value, str) and "." in value)
    return ("n/a" if kind == "words" else str(value)) if priced else value


def all_handlers() -> dict[str, Handler]:
    """Return the handlers of every venue that has a module beside this one."""
    found: dict[str, Handler] = {}
    for name in VENUES:
        with contextlib.suppress(ModuleNotFoundError):
            found |= importlib.import_module(f"venues.venue_{name}").HANDLERS
    return found


def demo_world(now: datetime | None = None) -> World:
    """Return a world with days, hours and minutes of a few pairs, up to ``now`` (None: the real time, going on)."""
    end = now or datetime.now(UTC)
    world = World((lambda: now.timestamp()) if now else time.time)
    for seed, instrument in enumerate(("BTC-USDT", "ETH-USDT", "BTC-USD", "ETH-USD")):
        for timeframe, count in (("1d", 2500), ("1h", 3000), ("1m", 3000)):
            step = STEPS[timeframe] / 1000
            start = (end.timestamp() // step - count + 1) * step
            world.add(instrument, timeframe, generate(datetime.fromtimestamp(start, UTC), count + 60, timeframe, seed))
    return world


def _script(text: str) -> list[Fault]:
    if text and not text.lstrip().startswith("["):
        text = Path(text).read_text(encoding="utf-8")
    return [Fault(**fault) for fault in json.loads(text or "[]")]


def _seconds() -> Iterator[None]:
    while True:
        time.sleep(3600)
        yield


def main() -> None:
    """Serve the demo world until ended."""
    parser = argparse.ArgumentParser(prog="python -m venues.fault_server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", default="", help="JSON list of faults, or the path of a file with one")
    parser.add_argument("--now", type=datetime.fromisoformat, default=None, help="the time at the venues, standing")
    options = parser.parse_args()
    with FaultServer(demo_world(options.now), all_handlers(), _script(options.script), options.port) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            for _ in _seconds():
                pass


if __name__ == "__main__":
    main()
