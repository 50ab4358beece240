"""A client of ccxt whose requests go out through our own limiter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ccxt
import requests
from requests.adapters import BaseAdapter

from forecastle.sources._polite import Venue
from forecastle.sources._traits import Traits
from forecastle.sources._wire import Answer


def connect(exchange: str, venue: Venue, traits: Traits, kind: str) -> Any:
    """Return ccxt's client of ``exchange`` for ``kind`` of instrument; nothing is asked yet.

    ccxt's own rate limits stay on, kept by the venue's limiter; its clock is the venue's; its reading of one candle
    is its own, but rows are neither sorted nor dropped before we have seen them.
    """
    client: Any = getattr(ccxt, exchange)({"enableRateLimit": True, "options": dict(traits.options.get(kind, {}))})
    adapter = _Adapter(venue)
    client.session.mount("https://", adapter)
    client.session.mount("http://", adapter)

    def throttle(cost: float | None = None) -> None:
        adapter.interval = client.rateLimit * (1.0 if cost is None else cost) / 1000.0

    def read_all(rows: list[Any] | None, market: Any = None, *_: Any, **__: Any) -> list[Any]:
        return [client.parse_ohlcv(row, market) for row in rows or []]

    client.enableLastJsonResponse = True
    client.throttle = throttle
    client.parse_ohlcvs = read_all
    client.milliseconds = lambda: int(venue.now().timestamp() * 1000)
    if not traits.currencies:
        client.has["fetchCurrencies"] = False
    return client


class _Adapter(BaseAdapter):
    """What ``requests`` hands a prepared request to: here, the limiter of the venue."""

    def __init__(self, venue: Venue) -> None:
        super().__init__()
        self.venue = venue
        self.interval = 0.0

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send one request of ccxt; the deadline, the proxy and the checks are those of the house."""
        method, url = request.method or "GET", request.url or ""
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode() or None
        headers = {name: str(value) for name, value in request.headers.items()}
        answer = self.venue.ask(lambda: self.venue.wire.send(method, url, headers, body), self.interval)
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, answer.url, request
        response._content = _strict(answer)
        response.headers.update({name: text for name, text in answer.headers.items() if name != "content-encoding"})
        return response

    def close(self) -> None:
        """Close nothing: the connection belongs to the venue."""


def _strict(answer: Answer) -> bytes:
    """Return the body with null for NaN and infinities: ccxt would not read a word of it."""
    if answer.status < 300 and (b"NaN" in answer.body or b"Infinity" in answer.body):
        return json.dumps(answer.json()).encode()
    return answer.body
