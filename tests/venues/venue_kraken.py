"""Kraken as it answers: the last 720 bars whatever is asked for, its own names, times in seconds."""

from __future__ import annotations

from venues.fault_server import STEPS, Asked, Handler, Reply, Twist, World

LAST = 720
_CODES = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD", "EUR": "ZEUR"}


def _pairs(world: World) -> dict[str, str]:
    """Return Kraken's id of each pair."""
    pairs = {}
    for instrument in world.instruments():
        base, quote, *perpetual = instrument.split("-")
        if not perpetual:
            pairs[_CODES.get(base, base) + _CODES.get(quote, quote)] = instrument
    return pairs


def _asset_pairs(world: World) -> Reply:
    found = {}
    for name, instrument in _pairs(world).items():
        base, quote = instrument.split("-")
        found[name] = {
            "altname": base.replace("BTC", "XBT") + quote, "wsname": f"{base}/{quote}", "base": _CODES.get(base, base),
            "quote": _CODES.get(quote, quote), "pair_decimals": 2, "lot_decimals": 8, "status": "online",
            "fees": [[0, 0.26]], "fees_maker": [[0, 0.16]], "leverage_buy": [], "ordermin": "0.0001",
        }  # fmt: skip
    return Reply.json({"error": [], "result": found})


def _ohlc(asked: Asked, world: World, twist: Twist) -> Reply:
    pairs = _pairs(world)
    name = asked.query["pair"]
    if name not in pairs:
        return Reply.json({"error": ["EQuery:Unknown asset pair"]})
    timeframe = next(t for t, step in STEPS.items() if step == int(asked.query["interval"]) * 60_000)
    rows = world.select(pairs[name], timeframe)[-LAST:]
    rows = [r for r in rows if r.time > int(asked.query.get("since", 0)) * 1000]
    table = [
        [r.time // 1000, str(r.open), str(r.high), str(r.low), str(r.close), str(r.close), str(r.volume), 7]
        for r in twist(rows)
    ]
    return Reply.json({"error": [], "result": {name: table, "last": rows[-1].time // 1000 if rows else 0}})


def handle(asked: Asked, world: World, twist: Twist) -> Reply:
    """Answer as api.kraken.com does."""
    if asked.path == "/0/public/Time":
        return Reply.json({"error": [], "result": {"unixtime": int(world.now()), "rfc1123": ""}})
    if asked.path == "/0/public/AssetPairs":
        return _asset_pairs(world)
    if asked.path == "/0/public/OHLC":
        return _ohlc(asked, world, twist)
    return Reply.json({"error": ["EGeneral:Unknown method"]}, 404)


HANDLERS: dict[str, Handler] = {"api.kraken.com": handle}
