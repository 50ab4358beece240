"""Bitfinex as it answers: numbers, and the order open, CLOSE, high, low; no clock to ask."""

from __future__ import annotations

from venues.fault_server import Asked, Handler, Reply, Twist, World

TIMEFRAMES = {"1m": "1m", "5m": "5m", "1h": "1h", "4h": "4h", "1D": "1d", "7D": "1w"}


def _configuration(world: World) -> Reply:
    limits = [None, None, None, "0.0001", "2000", None, None, None, 0.1, 0.05, None, None]
    pairs = [i.replace("-", "") for i in world.instruments() if len(i) == 7]
    return Reply.json([[[pair, limits] for pair in pairs], [], [], pairs])


def _candles(asked: Asked, world: World, twist: Twist) -> Reply:
    _, name, pair = asked.path.split("/")[3].split(":")
    instrument = f"{pair[1:4]}-{pair[4:]}"
    since, until = int(asked.query.get("start", 0)), int(asked.query.get("end", 2**60))
    rows, limit = world.select(instrument, TIMEFRAMES[name], since, until), int(asked.query.get("limit", 100))
    ascending = asked.query.get("sort") == "1"
    chosen = twist(rows[:limit] if ascending else rows[-limit:])
    table = [[r.time, r.open, r.close, r.high, r.low, r.volume] for r in chosen]
    return Reply.json(table if ascending else table[::-1])


def handle(asked: Asked, world: World, twist: Twist) -> Reply:
    """Answer as api-pub.bitfinex.com does."""
    if asked.path.startswith("/v2/conf/"):
        return _configuration(world)
    if asked.path.startswith("/v2/candles/"):
        return _candles(asked, world, twist)
    return Reply.json(["error", 10020, "nothing here"], 404)


HANDLERS: dict[str, Handler] = {"api-pub.bitfinex.com": handle}
