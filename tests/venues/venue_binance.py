"""Binance as it answers: spot and USD-margined futures; numbers are strings, times milliseconds."""

from __future__ import annotations

from venues.fault_server import STEPS, Asked, Handler, Reply, Twist, World

KLINES = "/klines"


def _exchange_info(world: World, contracts: bool) -> Reply:
    symbols = []
    for instrument in world.instruments():
        base, quote, *perpetual = instrument.split("-")
        if bool(perpetual) != contracts:
            continue
        market = {
            "symbol": base + quote, "status": "TRADING", "baseAsset": base, "quoteAsset": quote,
            "baseAssetPrecision": 8, "quotePrecision": 8, "permissions": [], "orderTypes": ["LIMIT"], "filters": [],
        }  # fmt: skip
        futures = {"contractType": "PERPETUAL", "marginAsset": quote, "deliveryDate": 4133404800000}
        symbols.append(market | (futures if contracts else {}))
    return Reply.json({"timezone": "UTC", "serverTime": int(world.now() * 1000), "symbols": symbols})


def _klines(asked: Asked, world: World, twist: Twist, contracts: bool) -> Reply:
    ids = {i.replace("-PERP", "").replace("-", ""): i for i in world.instruments() if i.endswith("-PERP") == contracts}
    if asked.query["symbol"] not in ids:
        return Reply.json({"code": -1121, "msg": "Invalid symbol."}, 400)
    since, until = int(asked.query.get("startTime", 0)), int(asked.query.get("endTime", 2**60)) + 1
    limit = min(int(asked.query.get("limit", 500)), 1000)
    rows = world.select(ids[asked.query["symbol"]], asked.query["interval"], since, until)
    chosen = rows[:limit] if "startTime" in asked.query else rows[-limit:]
    step = STEPS[asked.query["interval"]]
    return Reply.json(
        [
            [
                r.time,
                *(f"{x:.8f}" for x in r[1:]),
                r.time + step - 1,
                f"{r.volume * r.close:.8f}",
                10,
                "1.0",
                "1.0",
                "0",
            ]
            for r in twist(chosen)
        ]
    )


def _handler(contracts: bool) -> Handler:
    def handle(asked: Asked, world: World, twist: Twist) -> Reply:
        if asked.path.endswith("/exchangeInfo"):
            return _exchange_info(world, contracts)
        if asked.path.endswith("/time"):
            return Reply.json({"serverTime": int(world.now() * 1000)})
        if asked.path.endswith(KLINES):
            return _klines(asked, world, twist, contracts)
        return Reply.json({"code": -1100, "msg": f"nothing at {asked.path}"}, 404)

    return handle


HANDLERS: dict[str, Handler] = {
    "api.binance.com": _handler(contracts=False),
    "fapi.binance.com": _handler(contracts=True),
}
