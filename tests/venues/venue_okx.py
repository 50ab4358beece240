"""OKX as it answers: newest first, strings, 300 bars, ``before`` and ``after`` shut out their own moment."""

from __future__ import annotations

from venues.fault_server import STEPS, Asked, Handler, Reply, Twist, World

BARS = {"1m": "1m", "5m": "5m", "1H": "1h", "4H": "4h", "1Dutc": "1d", "1Wutc": "1w", "1Mutc": "1M"}


def _instruments(asked: Asked, world: World) -> Reply:
    swaps, found = asked.query["instType"] == "SWAP", []
    for instrument in world.instruments():
        base, quote, *perpetual = instrument.split("-")
        if bool(perpetual) != swaps:
            continue
        market = {
            "instType": asked.query["instType"], "instId": f"{base}-{quote}" + ("-SWAP" if swaps else ""),
            "baseCcy": "" if swaps else base, "quoteCcy": "" if swaps else quote, "state": "live", "tickSz": "0.01",
            "lotSz": "0.0001", "minSz": "0.0001", "ctVal": "0.01" if swaps else "", "lever": "10", "listTime": "0",
            "uly": f"{base}-{quote}" if swaps else "", "settleCcy": quote if swaps else "", "ctType": "linear",
        }  # fmt: skip
        found.append(market)
    return Reply.json({"code": "0", "msg": "", "data": found})


def _candles(asked: Asked, world: World, twist: Twist) -> Reply:
    instrument = asked.query["instId"].replace("-SWAP", "-PERP")
    timeframe = BARS[asked.query["bar"]]
    since, until = int(asked.query.get("before", -1)) + 1, int(asked.query.get("after", 2**60))
    rows = world.select(instrument, timeframe, since, until)[-int(asked.query.get("limit", 100)) :]
    closed = world.now() * 1000 - STEPS[timeframe]
    table = [
        [str(r.time), str(r.open), str(r.high), str(r.low), str(r.close), str(r.volume), str(r.volume),
         str(round(r.volume * r.close, 4)), "1" if r.time <= closed else "0"]
        for r in reversed(twist(rows))
    ]  # fmt: skip
    return Reply.json({"code": "0", "msg": "", "data": table})


def handle(asked: Asked, world: World, twist: Twist) -> Reply:
    """Answer as www.okx.com does."""
    if asked.path == "/api/v5/public/time":
        return Reply.json({"code": "0", "msg": "", "data": [{"ts": str(int(world.now() * 1000))}]})
    if asked.path == "/api/v5/public/instruments":
        return _instruments(asked, world)
    if asked.path in ("/api/v5/market/candles", "/api/v5/market/history-candles"):
        return _candles(asked, world, twist)
    return Reply.json({"code": "404", "msg": "", "data": []}, 404)


HANDLERS: dict[str, Handler] = {"www.okx.com": handle}
