"""CoinMetrics as the fault server plays it: ``timeseries/asset-metrics`` of the v4 interface, a page at a time.

The metrics of a coin are made of its candles: the price is the close, and every other metric a multiple of it, so that
a test knows each number. ``PLAN`` lists what the community plan has of each coin.
"""

from __future__ import annotations

from datetime import UTC, datetime

from forecastle.sources.coinmetrics import METRICS
from venues.fault_server import Asked, Candle, Handler, Reply, Twist, World

PLAN = {
    "btc": [m for m in METRICS if m not in ("TxTfrValAdjUSD", "CapRealUSD")],
    "eth": ["PriceUSD", "CapMrktCurUSD", "AdrActCnt"],
}
UNDER = 7
"""So many of the first days have no price: the chain is older than its market."""
PAGE = 100


def value_of(metric: str, close: float) -> str:
    """Return a metric as CoinMetrics writes numbers: text, with more digits than a float holds."""
    return f"{close * (1 + list(METRICS).index(metric)):.18f}"


def answer(asked: Asked, world: World, twist: Twist) -> Reply:
    """Answer a question for daily metrics of one coin."""
    if asked.path != "/v4/timeseries/asset-metrics":
        return _error(404, "not_found", "There is no such path.")
    asset, metrics = asked.query["assets"], asked.query["metrics"].split(",")
    instrument = f"{asset.upper()}-USD"
    if instrument not in world.instruments():
        return _error(400, "bad_parameter", f"Bad parameter 'assets'. Value '{asset}' is not supported asset.")
    if "forbidden" in asset or asked.query.get("ignore_forbidden_errors") != "true":
        return _error(403, "forbidden", f"Requested metric '{metrics[0]}' is not available with supplied credentials.")
    known = [metric for metric in metrics if metric in PLAN.get(asset, [])]
    since = _milliseconds(asked.query.get("start_time", "1970-01-01"))
    until = _milliseconds(asked.query.get("end_time", "2100-01-01"))
    rows = twist(world.select(instrument, "1d", since, until))
    first = world.series[instrument, "1d"][0].time
    skip = int(asked.query.get("next_page_token", "0").removeprefix("page-") or 0)
    size = min(int(asked.query.get("page_size", "100")), PAGE)
    data: list[dict[str, str | None]] = [
        {"asset": asset, "time": _written(row.time), **{m: _told(m, row, first) for m in known}}
        for row in rows[skip : skip + size]
    ]
    document: dict[str, object] = {"data": data}
    if skip + size < len(rows):
        document |= {"next_page_token": f"page-{skip + size}", "next_page_url": "https://elsewhere.example.net/v4/next"}
    return Reply.json(document)


def _written(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%M:%S}.000000000Z"


def _told(metric: str, row: Candle, first: int) -> str | None:
    early = metric == "PriceUSD" and row.time < first + UNDER * 86_400_000
    return None if early else value_of(metric, row.close)


def _milliseconds(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000


def _error(status: int, kind: str, message: str) -> Reply:
    return Reply.json({"error": {"type": kind, "message": message}}, status)


HANDLERS: dict[str, Handler] = {"community-api.coinmetrics.io": answer}
