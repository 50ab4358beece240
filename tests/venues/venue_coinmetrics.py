"""CoinMetrics as the fault server plays it: the v4 catalog of metrics, and ``timeseries/asset-metrics`` by the page.

The metrics of a coin are made of its candles: the price is the close, and every other metric a multiple of it, so that
a test knows each number. ``PLAN`` lists what the community plan has of each coin.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from forecastle.sources.coinmetrics import METRICS
from venues.fault_server import DAY, Asked, Candle, Handler, Reply, Twist, World

PLAN = {
    "btc": [m for m in METRICS if m not in ("TxTfrValAdjUSD", "CapRealUSD")],
    "eth": ["PriceUSD", "CapMrktCurUSD", "AdrActCnt"],
}
UNDER = 7
"""So many of the first days have no price: the chain is older than its market."""
PAGE = 100
FORBIDDEN = (
    "Requested metric '{metric}' with frequency '1d' for asset '{asset}' is not available with supplied credentials."
)


def value_of(metric: str, close: float) -> str:
    """Return a metric as CoinMetrics writes numbers: text, with more digits than a float holds."""
    return f"{close * (1 + list(METRICS).index(metric)):.18f}"


def answer(asked: Asked, world: World, twist: Twist) -> Reply:
    """Answer the catalog of a coin, or a question for its daily metrics."""
    asset = asked.query.get("assets", "")
    if f"{asset.upper()}-USD" not in world.instruments():
        return error(400, "bad_parameter", f"Bad parameter 'assets'. Value '{asset}' is not supported.")
    if asked.path == "/v4/catalog-v2/asset-metrics":
        return Reply.json(catalog(asset))
    if asked.path == "/v4/timeseries/asset-metrics":
        return _days(asset, asked.query, world, twist)
    return error(404, "not_found", "There is no such path.")


def catalog(asset: str) -> dict[str, Any]:
    """Return the catalog of a coin: all metrics by the block, and by the day those of the plan for everybody."""
    span = {"min_time": "2009-01-03T00:00:00.000000000Z", "max_time": "2024-05-31T00:00:00.000000000Z"}
    metrics = []
    for metric in ["AdrBalCnt", *METRICS]:
        by_day = {"frequency": "1d", **span} | ({"community": True} if metric in PLAN.get(asset, []) else {})
        metrics.append({"metric": metric, "frequencies": [{"frequency": "1b", **span, "community": True}, by_day]})
    return {"data": [{"asset": asset, "metrics": metrics}]}


def _days(asset: str, query: dict[str, str], world: World, twist: Twist) -> Reply:
    metrics = query["metrics"].split(",")
    for metric in metrics:
        if metric not in PLAN.get(asset, []):
            return error(403, "forbidden", FORBIDDEN.format(metric=metric, asset=asset))
    since = _milliseconds(query.get("start_time", "1970-01-01"))
    until = _milliseconds(query.get("end_time", "2100-01-01"))
    if since > until:
        return error(400, "bad_parameter", "Bad parameter 'start_time'. It is greater than 'end_time'.")
    if query.get("end_inclusive", "true") == "true":
        until += DAY
    rows = twist(world.select(f"{asset.upper()}-USD", "1d", since, until))
    first = world.series[f"{asset.upper()}-USD", "1d"][0].time
    skip = int(query.get("next_page_token", "0").removeprefix("page-"))
    size = min(int(query.get("page_size", "100")), PAGE)
    data: list[dict[str, str | None]] = [
        {"asset": asset, "time": _written(row.time), **_told(metrics, row, first)} for row in rows[skip : skip + size]
    ]
    document: dict[str, object] = {"data": data}
    if skip + size < len(rows):
        document |= {"next_page_token": f"page-{skip + size}", "next_page_url": "https://elsewhere.example.net/v4/next"}
    return Reply.json(document)


def _written(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%M:%S}.000000000Z"


def _told(metrics: list[str], row: Candle, first: int) -> dict[str, str | None]:
    """Return the metrics of a day; the price of the first days is null or not there at all."""
    told: dict[str, str | None] = {metric: value_of(metric, row.close) for metric in metrics}
    age = (row.time - first) // DAY
    if "PriceUSD" in told and age < UNDER:
        told["PriceUSD"] = None
        if age % 2:
            del told["PriceUSD"]
    return told


def _milliseconds(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000


def error(status: int, kind: str, message: str) -> Reply:
    """Return a refusal as CoinMetrics writes it."""
    return Reply.json({"error": {"type": kind, "message": message}}, status)


HANDLERS: dict[str, Handler] = {"community-api.coinmetrics.io": answer}
