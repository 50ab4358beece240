"""CoinGecko as the fault server plays it: the list of coins and ``market_chart/range``."""

from __future__ import annotations

from typing import Any

from forecastle.sources._coingecko_coins import COINS
from venues.fault_server import DAY, Asked, Handler, Reply, Twist, World

LISTED = [
    {"id": "0chain", "symbol": "zcn", "name": "Zus"},
    {"id": "first-twin", "symbol": "twin", "name": "First"},
    {"id": "second-twin", "symbol": "twin", "name": "Second"},
]


def answer(asked: Asked, world: World, twist: Twist) -> Reply:
    """Answer the list of coins, or the prices of one by the day."""
    if asked.path == "/api/v3/coins/list":
        return Reply.json(LISTED)
    coin = asked.path.split("/")[4]
    known = {**{name: symbol for symbol, name in COINS.items()}, "0chain": "ZCN"}
    instrument = f"{known.get(coin, '?')}-{asked.query['vs_currency'].upper()}"
    if instrument not in world.instruments():
        return Reply.json({"error": "coin not found"}, 404)
    since, until = (int(asked.query[name]) for name in ("from", "to"))
    if since < world.now() - 365 * 86_400:
        status = {"error_code": 10012, "error_message": "Public API users are limited to the past 365 days."}
        return Reply.json({"error": {"status": status}}, 401)
    rows = twist(world.select(instrument, "1d", (since - 86_400) * 1000, (until - 86_400) * 1000 + 1))
    return Reply.json(market_chart([(row.time + DAY, row.close, row.volume) for row in rows], world.now()))


def market_chart(points: list[tuple[int, float, float]], now: float) -> dict[str, Any]:
    """Return the prices and volumes at these stamps, and as CoinGecko does the price of this moment last."""
    last = [(int(now * 1000), points[-1][1] * 1.01, points[-1][2])] if points else []
    every = [*points, *last]
    return {
        "prices": [[stamp, price] for stamp, price, _ in every],
        "market_caps": [[stamp, price * 19_700_000] for stamp, price, _ in every],
        "total_volumes": [[stamp, volume] for stamp, _, volume in every],
    }


HANDLERS: dict[str, Handler] = {"api.coingecko.com": answer}
