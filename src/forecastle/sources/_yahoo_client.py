"""yfinance on our own line: its parsing and its cookies, our waits, deadlines, bounds and errors.

yfinance is made for notebooks: it prints, swallows errors into empty frames, keeps cookies as pickles in the user's
folder and answers of the past in memory, and asks again at once after a refusal. Here it is given a wire that sends
every request through :mod:`forecastle.sources._polite` and checks each chart before yfinance reads it; its files
and its memory are switched off.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any
from urllib.parse import urlencode, urlsplit

import curl_cffi
import pandas as pd
import yfinance as yf
from curl_cffi import CurlOpt
from curl_cffi.requests import Headers, Response
from curl_cffi.requests.exceptions import ConnectionError as NotConnected
from yfinance import cache
from yfinance.data import YfData
from yfinance.exceptions import YFException

from forecastle.errors import ForecastleError, UpstreamError
from forecastle.ports import Line
from forecastle.sources._polite import LIMITED, REFUSED, Venue, retry_after, venue_of
from forecastle.sources._wire import Answer, Fault, Wire
from forecastle.sources._yahoo_answers import Chart, check_span, read_chart

INTERVAL = 0.5
"""Seconds between two requests. Yahoo states no limit; two a second is what its own pages send."""
COOKIE_HOST = "fc.yahoo.com"
"""Gives the cookie and nothing else; yfinance goes there before every question, once is enough."""
UNREADABLE = (YFException, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError)
"""What yfinance lets out when an answer is not what it expects."""
_YFINANCE = Lock()
"""yfinance keeps one connection for the whole process: one question at a time."""


@dataclass(frozen=True)
class History:
    """What one question gave: the ``frame`` of yfinance and the ``chart`` it was made from."""

    frame: pd.DataFrame
    chart: Chart


class NothingThere(Exception):
    """Yahoo has no bar in the span asked for, which yfinance would call a delisted symbol."""


class _StaleCrumb(Exception):
    """Yahoo refuses the crumb: yfinance knows how to get another one."""


class _NoFiles:
    """Stands where yfinance would keep time zones and cookies on disk, the latter as pickles.

    Zones are those of the answers; the one given here only words a debug line.
    """

    def __init__(self, known: str | None) -> None:
        self._known = known

    def lookup(self, key: str) -> str | None:
        return self._known

    def store(self, key: str, value: object) -> None:
        """Keep nothing."""


class _Browser(curl_cffi.Session):  # type: ignore[type-arg]
    """Looks like a browser, whatever it is told: Yahoo bans what does not. Keeps cookies while it lives."""

    def __init__(self, line: Line) -> None:
        # libcurl reads the proxies of the environment by itself: through a gateway nothing goes elsewhere
        direct: dict[CurlOpt, str] = {CurlOpt.NOPROXY: "*"} if line.gateway else {}
        super().__init__(impersonate="chrome", curl_options=direct)

    def request(self, *args: Any, **options: Any) -> Any:
        """Send with the headers of the browser."""
        return super().request(*args, **{**options, "default_headers": True})


class _Reply(Response):
    """An answer as yfinance expects it, read by the JSON of the standard library as :class:`Answer` is."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.status_code, self.content, self.url = answer.status, answer.body, answer.url
        self.headers = Headers(dict(answer.headers))
        self.ok = answer.status < 400

    def json(self, **_: Any) -> Any:
        """Return the body as JSON; NaN and infinities are let through, to be found in the rows."""
        return json.loads(self.content)


class YahooWire(curl_cffi.Session):  # type: ignore[type-arg]
    """The connection that yfinance is given: every request of it goes through the venue's limiter.

    ``chart`` is the last chart that came, ``failed`` the first error since :meth:`expect`: yfinance may swallow it.
    """

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._browser = _Browser(line)
        self.venue: Venue = venue_of(line, "yahoo", INTERVAL)
        self._wire = Wire(line, "yahoo", self._browser)
        self._visited: dict[str, Answer] = {}
        self.expect("", "")

    @property
    def cookies(self) -> Any:
        """Return the cookies of the browser."""
        return self._browser.cookies

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        """Give them to the browser."""
        self._browser.cookies = cookies

    def expect(self, symbol: str, interval: str) -> None:
        """Get ready for one question to the chart of ``symbol`` at Yahoo's ``interval``."""
        self._symbol, self._interval = symbol, interval
        self._renewed = False
        self.chart: Chart | None = None
        self.failed: ForecastleError | None = None

    def request(  # type: ignore[override]
        self, method: str, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any
    ) -> _Reply:
        """Send one request of yfinance. Its own timeouts and redirects are left aside: ours are stricter."""
        full = f"{url}?{urlencode(params)}" if params else url
        body = urlencode(data, doseq=True).encode() if data else None
        sent = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        if "/v8/finance/chart/" not in urlsplit(url).path:
            return _Reply(self._aside(method, full, sent, body))
        try:
            return _Reply(self._charted(full))
        except ForecastleError as error:
            self.failed = self.failed or error
            raise

    def _aside(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        """Ask for a cookie or a crumb, once: the chart can do without, but what Yahoo wants us to wait counts."""
        if url in self._visited:
            return self._visited[url]
        self.venue.wait_turn(self.venue.interval)
        try:
            answer = self._wire.send(method, url, headers, body)
        except (Fault, UpstreamError) as error:
            raise NotConnected(str(error).split("\n", 1)[0]) from error
        if answer.status in LIMITED:
            self.venue.limited(retry_after(answer, self.venue.now()), "it wants fewer requests", answer.status)
        elif urlsplit(url).netloc == COOKIE_HOST:
            self._visited[url] = answer
        return answer

    def _charted(self, url: str) -> Answer:
        try:
            answer = self.venue.ask(lambda: self._once(url))
        except _StaleCrumb as stale:
            refused: Answer = stale.args[0]
            return refused
        self.chart = read_chart(answer.json(), self._symbol, self._interval)
        if self.chart.rows.is_empty():
            raise NothingThere
        return answer

    def _once(self, url: str) -> Answer:
        """Send once; where Yahoo explains a refusal in its body, raise what that means."""
        answer = self._wire.send("GET", url, {})
        if answer.status == 401 and not self._renewed:
            self._renewed = True
            self._visited.clear()
            raise _StaleCrumb(answer)
        if 400 <= answer.status < 500 and answer.status not in (*LIMITED, *REFUSED, 408):
            self.chart = read_chart(answer.json(), self._symbol, self._interval)
            raise NothingThere
        return answer


class YahooClient:
    """Charts of Yahoo, one question at a time."""

    def __init__(self, line: Line) -> None:
        self._wire = YahooWire(line)
        self._data: Any = None

    def now(self) -> datetime:
        """Return Yahoo's own time, as far as it has said it."""
        return self._wire.venue.now()

    def history(self, symbol: str, interval: str, since: datetime, until: datetime, prepost: bool) -> History:
        """Return the bars of ``symbol`` that Yahoo stamps in [since, until), as yfinance reads them.

        Raises ``SourceLimited`` and ``UpstreamError`` as ``read_chart`` and the venue do; never an empty frame for a
        fault.
        """
        wire = self._wire
        with _YFINANCE, self._switched():
            wire.expect(symbol, "15m" if interval == "30m" else interval)  # yfinance builds 30m from 15m
            try:
                frame = yf.Ticker(symbol, session=wire).history(
                    start=since, end=until, interval=interval, prepost=prepost,
                    auto_adjust=False, actions=True, repair=False, keepna=True,
                )  # fmt: skip
            except NothingThere:
                frame = pd.DataFrame()
            except ForecastleError:
                raise
            except UNREADABLE as error:
                raise wire.failed or _unreadable(symbol, error) from error
            if wire.failed:
                raise wire.failed
            if wire.chart is None:
                raise _unreadable(symbol, RuntimeError("no chart was asked for"))
            check_span(wire.chart, since.timestamp(), until.timestamp())
            return History(frame, wire.chart)

    @contextmanager
    def _switched(self) -> Iterator[None]:
        """Make yfinance ours for the time of one question: silent, raising, without files and without a memory."""
        logger = logging.getLogger("yfinance")
        silent, hiding = logger.disabled, yf.config.debug.hide_exceptions
        instances: dict[type, Any] = YfData._instances
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                logger.disabled, yf.config.debug.hide_exceptions = True, False
                cache._TzCacheManager._tz_cache = _NoFiles("UTC")
                cache._CookieCacheManager._Cookie_cache = _NoFiles(None)
                instances.pop(YfData, None)
                self._data = self._data or YfData(self._wire)
                instances[YfData] = self._data
                YfData.cache_get.cache_clear()
                yield
            finally:
                instances.pop(YfData, None)
                YfData.cache_get.cache_clear()
                logger.disabled, yf.config.debug.hide_exceptions = silent, hiding


def _unreadable(symbol: str, error: Exception) -> UpstreamError:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
    return UpstreamError(
        f"yfinance cannot read Yahoo's answer for {symbol}.",
        f"It says: {said}",
        "Try again later; if it stays, update yfinance and forecastle.",
    )
