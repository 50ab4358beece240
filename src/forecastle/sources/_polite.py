"""How every source asks: one limiter per venue, waits that venues ask for, attempts with backoff, named errors.

A venue is a family of hosts that counts requests together, such as Binance's. All sources on one ``Line`` share its
limiter, whatever the symbol; a ban (429, 418) is also kept on disk, so that the next process does not come early.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import RLock
from typing import TypeVar
from urllib.parse import urlencode

import tenacity

from forecastle.errors import UpstreamError, UpstreamRefused
from forecastle.ports import Line
from forecastle.sources._bans import LONGEST, Ban, recall, remember
from forecastle.sources._wire import Answer, Fault, Wire

LIMITED = (418, 429)
REFUSED = (401, 403, 451)
BROKEN = (408, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 527, 530)
FIRST_BACKOFF, LAST_BACKOFF = 1.0, 60.0
"""Seconds: the width of the first random wait, and of the widest; each attempt doubles it."""
STREAK = timedelta(minutes=2)
"""A limit told so soon after the end of the last one is told to somebody who did not wait long enough."""
T = TypeVar("T")


def venue_of(line: Line, name: str, interval: float = 0.0) -> Venue:
    """Return the venue called ``name`` (path-safe) of this line; made on first use, then shared by all sources.

    ``interval`` is the least time between two requests in seconds; the largest that any source named is kept.
    """
    venue: Venue = line.venues.setdefault(name, Venue(name, line))
    venue.interval = max(venue.interval, interval)
    return venue


@dataclass
class Venue:
    """The limiter of one venue and the way to ask it. ``status`` is that of its last answer.

    Its methods raise ``UpstreamRefused`` where the venue does not serve this place or user (401, 403, 451, a long
    418), ``UpstreamError`` where it fails after all attempts or wants a longer wait than ``line.patience.wait``.
    """

    name: str
    line: Line
    interval: float = 0.0
    status: int = 0
    _next: datetime | None = None
    _ban: Ban | None = None
    _served: datetime | None = None
    _strikes: int = 0
    _ahead: timedelta | None = None
    _lock: RLock = field(default_factory=RLock, repr=False)
    _random: random.Random = field(init=False, repr=False)
    wire: Wire = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.wire = Wire(self.line, self.name)
        self._random = random.Random(self.line.patience.seed)  # noqa: S311 - jitter, not a secret

    def get(
        self,
        url: str,
        params: Mapping[str, str | int | float] | None = None,
        headers: Mapping[str, str] | None = None,
        interval: float | None = None,
    ) -> Answer:
        """Return the answer to a GET, which is JSON unless its status is 4xx (400, 404 and so on: read it yourself).

        ``url`` is the venue's own address: the gateway, limits and attempts are taken care of here.
        """
        full = f"{url}?{urlencode(params)}" if params else url
        return self.ask(lambda: self.wire.send("GET", full, headers or {}), interval)

    def ask(self, request: Callable[[], Answer], interval: float | None = None) -> Answer:
        """Return the answer to ``request``, sent under the limits of the venue and again after a fault.

        ``request`` sends once and may raise ``Fault``. An answer with a good status has to be JSON.
        """

        def once() -> Answer:
            self.wait_turn(self.interval if interval is None else interval)
            answer = request()
            self._judge(answer)
            return answer

        return self.persist(once)

    def persist(self, attempt: Callable[[], T]) -> T:
        """Return what ``attempt`` returns, trying again with backoff and full jitter while it raises ``Fault``.

        Bounded by attempts and by total time; then ``UpstreamError`` names the venue and the last fault.
        """
        patience, began = self.line.patience, self.line.clock.now()

        def enough(state: tenacity.RetryCallState) -> bool:
            spent = (self.line.clock.now() - began).total_seconds()
            return state.attempt_number >= patience.attempts or spent > patience.total

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Fault),
            stop=enough,
            wait=self._backoff,
            sleep=self.line.sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except Fault as fault:
            tried = retrying.statistics.get("attempt_number", patience.attempts)
            raise UpstreamError(
                f"{self.name} does not answer as it should: {fault.told}.",
                f"It was asked {tried} times, with pauses between.",
                "Try again later: what was fetched before is kept. Or name a second source: --source a,b.",
            ) from fault

    def wait_turn(self, interval: float) -> None:
        """Wait until the venue may be asked again: ``interval`` seconds after the last request, and after any ban."""
        with self._lock:
            now = self.line.clock.now()
            due = (self._next - now).total_seconds() if self._next else 0.0
            # A clock that stands still or was set back must not add up waits.
            self._sleep(min(due, interval))
            self._sit_out_ban()
            self._next = self.line.clock.now() + timedelta(seconds=interval)

    def limited(self, seconds: float | None, why: str, status: int = 429) -> Fault:
        """Take note that the venue wants no request for ``seconds`` (None: it did not say), for any symbol.

        Returns the ``Fault`` to raise.
        """
        with self._lock:
            said = self.line.clock.now()
            again = self._ban is not None and said - self._ban.until < STREAK
            self._strikes = self._strikes + 1 if again else 1
            wait = seconds if seconds is not None else self._unsaid()
            new = Ban(said, said + timedelta(seconds=min(wait, LONGEST.total_seconds())), f"HTTP {status}: {why}"[:200])
            old = self._current_ban()
            if old is None or new.until > old.until:
                self._ban = new
                remember(self.line.state, self.name, new)
        return Fault(f"{why} (HTTP {status})")

    def now(self) -> datetime:
        """Return the venue's own time: the Date of its last answer carried on, else the clock of this machine."""
        return self.line.clock.now() + (self._ahead or timedelta(0))

    def _judge(self, answer: Answer) -> None:
        """Raise what the status and the form of an answer mean; note them and the venue's clock."""
        self.status = answer.status
        self._note_clock(answer)
        if answer.status in LIMITED:
            raise self.limited(retry_after(answer, self.now()), "it wants fewer requests", answer.status)
        if answer.status in REFUSED:
            raise UpstreamRefused(
                f"{self.name} refuses us: HTTP {answer.status}.", _REASONS[answer.status],
                "Ask another source with --source a,b, or from another place.",
            )  # fmt: skip
        if answer.status in BROKEN:
            raise Fault(f"HTTP {answer.status}")
        if answer.status < 300:
            answer.json()

    def _note_clock(self, answer: Answer) -> None:
        date = _http_date(answer.headers.get("date", ""))
        if date is not None:
            self._ahead = date - self.line.clock.now()

    def _sit_out_ban(self) -> None:
        """Wait for the end of the ban, ours or one that another process was told of; too long a one is an error."""
        while ban := self._current_ban():
            left = ban.seconds_left(self.line.clock.now())
            if left > self.line.patience.wait:
                kind = UpstreamRefused if ban.why.startswith("HTTP 418") else UpstreamError
                raise kind(
                    f"{self.name} wants no request before {ban.until:%Y-%m-%d %H:%M:%S} UTC.", f"It said {ban.why}.",
                    "Try again after that moment; what was fetched before is kept.",
                )  # fmt: skip
            self._sleep(left)
            self._served = ban.until  # even where the clock stands still, a ban is sat out once

    def _current_ban(self) -> Ban | None:
        bans = [ban for ban in (self._ban, recall(self.line.state, self.name)) if ban]
        last = max(bans, key=lambda ban: ban.until, default=None)
        if last is None or last.until == self._served or last.seconds_left(self.line.clock.now()) <= 0:
            return None
        return last

    def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.line.sleep(seconds)

    def _backoff(self, state: tenacity.RetryCallState) -> float:
        """Return a wait between nothing and a width that doubles: full jitter."""
        return self._random.uniform(0.0, min(FIRST_BACKOFF * 2.0 ** (state.attempt_number - 1), LAST_BACKOFF))

    def _unsaid(self) -> float:
        """Return how long to wait for a venue that did not say: jitter above a floor that doubles with each strike."""
        floor = min(FIRST_BACKOFF * 2.0 ** (self._strikes - 1), LAST_BACKOFF)
        return floor + self._random.uniform(0.0, floor)


_REASONS: dict[int, str] = {
    401: "It wants a key, and public candles need none: its interface may have changed.",
    403: "It does not serve this network or place, or takes us for something else.",
    451: "For legal reasons it does not serve this place.",
}


def retry_after(answer: Answer, now: datetime) -> float | None:
    """Return the seconds a Retry-After asks for (a number or an HTTP date); None where it says nothing of use."""
    told = answer.headers.get("retry-after", "").strip()
    if told.isdecimal() and len(told) <= 10:
        return float(told)
    try:
        seconds = float(told)
    except ValueError:
        date = _http_date(told)
        seconds = (date - now).total_seconds() if date else -1.0
    return seconds if 0 <= seconds < float("inf") else None


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
