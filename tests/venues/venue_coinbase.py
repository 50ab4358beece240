"""Coinbase Advanced Trade as it answers: newest first, every cell a string, times in seconds."""

from __future__ import annotations

from datetime import UTC, datetime

from venues.fault_server import Asked, Handler, Reply, Twist, World

TIMEFRAMES = {"ONE_MINUTE": "1m", "FIVE_MINUTE": "5m", "ONE_HOUR": "1h", "ONE_DAY": "1d"}


def _products(asked: Asked, world: World) -> Reply:
    products = []
    for instrument in world.instruments():
        base, quote, *perpetual = instrument.split("-")
        if not perpetual and asked.query.get("product_type") != "FUTURE":
            products.append(
                {
                    "product_id": instrument, "product_type": "SPOT", "base_currency_id": base, "price": "1",
                    "quote_currency_id": quote, "base_increment": "0.00000001", "quote_increment": "0.01",
                    "price_increment": "0.01", "trading_disabled": False, "status": "online",
                }
            )  # fmt: skip
    return Reply.json({"products": products, "num_products": len(products)})


def _candles(asked: Asked, world: World, twist: Twist) -> Reply:
    instrument = asked.path.split("/")[-2]
    since, until = int(asked.query["start"]) * 1000, int(asked.query["end"]) * 1000
    timeframe = TIMEFRAMES[asked.query["granularity"]]
    rows = twist(world.select(instrument, timeframe, since, until))
    return Reply.json(
        {
            "candles": [
                {
                    "start": str(r.time // 1000), "low": str(r.low), "high": str(r.high), "open": str(r.open),
                    "close": str(r.close), "volume": str(r.volume),
                }
                for r in reversed(rows)
            ]
        }
    )  # fmt: skip


def handle(asked: Asked, world: World, twist: Twist) -> Reply:
    """Answer as api.coinbase.com does."""
    if asked.path == "/v2/time":
        iso = datetime.fromtimestamp(int(world.now()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Reply.json({"data": {"iso": iso, "epoch": int(world.now())}})
    if asked.path.endswith("/products"):
        return _products(asked, world)
    if asked.path.endswith("/candles"):
        return _candles(asked, world, twist)
    return Reply.json({"error": "NOT_FOUND"}, 404)


HANDLERS: dict[str, Handler] = {"api.coinbase.com": handle}
