"""Candles of any exchange that ccxt knows, by its id: ``binance``, ``kraken``, ...

ccxt names the markets, builds the requests and reads the answers; the requests themselves, their limits, attempts and
deadlines are ours (``_polite``), and so is the walk through the history (``_paging``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from forecastle.errors import DataInvalid, SourceLimited, UpstreamError, UpstreamRefused
from forecastle.nouns import Instrument
from forecastle.ports import Line, Page, SourceFacts
from forecastle.sessions import TIMEFRAMES, Timeframe
from forecastle.sources._grid import Grid, from_ms, to_datetime, to_ms
from forecastle.sources._paging import Walk
from forecastle.sources._polite import Venue, venue_of
from forecastle.sources._rows import Row, in_milliseconds, read_rows
from forecastle.sources._traits import Traits, traits_of
from forecastle.sources._wire import Fault

GRACE = timedelta(seconds=5)
"""A bar counts as closed when the venue's own clock is so far past its close."""
PAGE = 100
"""Bars an answer holds where ccxt does not say."""
THEIRS: dict[Timeframe, str] = {timeframe: "1M" if timeframe == "1mo" else timeframe for timeframe in TIMEFRAMES}
T = TypeVar("T")


@dataclass
class Exchange:
    """One exchange of ccxt. ``name`` is its id there; building one imports nothing and asks nobody."""

    name: str
    line: Line
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def facts(self) -> SourceFacts:
        """Return the units and limits of this source."""
        return self._traits.facts

    def pages(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Iterator[Page]:
        """Yield the bars that open at or after ``start`` and close at or before ``end``, page by page, oldest first.

        Only bars that have closed by the venue's own clock when the walk begins. Raises ``SourceLimited`` for an
        instrument, timeframe or history it does not have, ``UpstreamError`` where it fails for now, ``DataInvalid``
        where its answers are no candles.
        """
        client = self._client(instrument)
        symbol, theirs = self._symbol(client, instrument), self._timeframe(client, timeframe)
        now = self._now(client)
        limit = min(now - GRACE, end) if end else now - GRACE
        first = from_ms(start) if start else None
        guard = _Guard(self.name, self._traits, instrument, first)

        def ask(grid: Grid, since: int) -> list[Row]:
            bars, most = THEIRS[grid.timeframe], self._page_size(client)
            given = self._call(lambda: client.fetch_ohlcv(symbol, bars, since, most))
            rows = read_rows(self.name, _seen(self.name, client, given), grid, to_ms(now))
            if grid.timeframe == timeframe:
                guard.check(rows, grid, since, most, to_ms(now))
            return rows

        window, coarse = self._page_size(client) or PAGE, theirs != "1d" and "1d" in client.timeframes
        walk = Walk(ask, Grid(timeframe), first, to_ms(limit), window, coarse, to_ms(now))
        for page in walk.pages():
            if answered := guard.answered(page):
                yield answered

    @property
    def _traits(self) -> Traits:
        return traits_of(self.name)

    @property
    def _venue(self) -> Venue:
        return venue_of(self.line, self._traits.venue or self.name)

    def _client(self, instrument: Instrument) -> Any:
        """Return the client of ccxt with the markets of that kind, asked for once."""
        if instrument.kind not in ("pair", "perpetual"):
            raise SourceLimited(
                f"{self.name} has no {instrument}.", "It is an exchange of crypto currencies.",
                "Stocks and indices come from yahoo: --source yahoo.",
            )  # fmt: skip
        if instrument.kind not in self._clients:
            from forecastle.sources._ccxt_client import connect  # brings ccxt, half a second

            client = connect(self.name, self._venue, self._traits, instrument.kind)
            self._call(client.load_markets)
            self._clients[instrument.kind] = client
        return self._clients[instrument.kind]

    def _symbol(self, client: Any, instrument: Instrument) -> str:
        """Return ccxt's name of the market; USD is never turned into USDT."""
        pair = f"{instrument.base}/{instrument.quote}"
        names = [pair] if instrument.kind == "pair" else [f"{pair}:{instrument.quote}", f"{pair}:{instrument.base}"]
        for name in names:
            if name in client.markets:
                return name
        raise _no_market(self.name, client, instrument)

    def _timeframe(self, client: Any, timeframe: Timeframe) -> str:
        known = client.timeframes or {}
        if client.has.get("fetchOHLCV") is not True:
            raise SourceLimited(
                f"{self.name} gives no candles.", "Its public interface has none.", "Choose another exchange."
            )
        if THEIRS[timeframe] not in known:
            have = [ours for ours, theirs in THEIRS.items() if theirs in known]
            raise SourceLimited(
                f"{self.name} has no {timeframe} candles.", f"It has {', '.join(have)}.",
                "Choose one of these with --timeframe, or another source.",
            )  # fmt: skip
        return THEIRS[timeframe]

    def _now(self, client: Any) -> datetime:
        """Return the venue's time, by its own clock: one of this machine that runs ahead lets no open bar in."""
        if client.has.get("fetchTime") is True:
            told = in_milliseconds(self._call(client.fetch_time))
            if told is not None:
                return to_datetime(told)
        return self._venue.now()

    def _page_size(self, client: Any) -> int | None:
        """Return how many bars an answer holds at most by ccxt's own table; None where it does not say."""
        features = client.features or {}
        for kind in ("spot", "swap"):
            limits = (features.get(kind) or {}) if isinstance(features.get(kind), dict) else {}
            most = (limits.get("fetchOHLCV") or {}).get("limit")
            if most:
                return int(most)
        return None

    def _call(self, call: Callable[[], T]) -> T:
        """Return what ccxt returns; its errors become ours, and what is worth another attempt gets it."""
        return self._venue.persist(lambda: _translated(self._venue, call))


@dataclass
class _Guard:
    """Notices an exchange that serves only its last bars, whatever is asked for.

    ``first`` is the start that was asked for, if any; ``oldest`` the open of the first bar served, where it is noticed.
    """

    exchange: str
    traits: Traits
    instrument: Instrument
    first: int | None
    oldest: datetime | None = None
    _done: bool = False

    def check(self, rows: list[Row], grid: Grid, since: int, most: int | None, now: int) -> None:
        """Look at the first answer; raise ``SourceLimited`` where it begins later than what was asked for."""
        if self._done or not rows:
            return
        self._done = True
        oldest = rows[0][0]
        bars = self.traits.recent or (None if self.traits.tried else most or PAGE)
        to_the_end = rows[-1][0] + 3 * grid.step > now
        if bars is None or len(rows) < bars or oldest <= since or not to_the_end:
            return
        self.oldest = to_datetime(oldest)
        if self.first is None:
            return
        raise SourceLimited(
            f"{self.exchange} has {grid.timeframe} candles of {self.instrument} only from "
            f"{self.oldest:%Y-%m-%d %H:%M} on.",
            f"It serves the last {len(rows)} bars, whatever is asked for; asked was {to_datetime(since):%Y-%m-%d}.",
            f"Start there, take a longer timeframe, or name a source that goes back further: --source "
            f"{self.exchange},{(self.traits.facts.fall_back or ('coinbase',))[0]}.",
        )

    def answered(self, page: Page) -> Page | None:
        """Return the page from the first bar served on, None where none is left: before it nobody answered."""
        since = max(page.since, self.oldest or page.since)
        return replace(page, since=since) if since < page.until else None


def all_exchanges() -> tuple[str, ...]:
    """Return the id of every exchange of ccxt: half a second, for those who name one that was not tried."""
    import ccxt

    return tuple(ccxt.exchanges)


def _seen(exchange: str, client: Any, given: Any) -> list[Any]:
    """Return the rows; raises ``DataInvalid`` where ccxt found none in an answer that is not an empty one."""
    if isinstance(given, list) and given:
        return given
    raw = client.last_json_response
    if not isinstance(given, list) or _has_table(raw) or not _has_list(raw):
        raise DataInvalid(
            f"{exchange} answered with something else than candles.", f"It begins {str(raw)[:80]!r}.",
            f"Nothing of it was kept. Update Forecastle and ccxt: {exchange} may have changed.",
        )  # fmt: skip
    return []


def _has_table(value: Any) -> bool:
    """Return whether somewhere inside is a list of lists or of objects: rows that ccxt did not see."""
    if isinstance(value, list):
        return any(isinstance(item, list | dict) for item in value) or any(map(_has_table, value))
    return isinstance(value, dict) and any(map(_has_table, value.values()))


def _has_list(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_list, value.values()))
    return isinstance(value, list)


def _translated(venue: Venue, call: Callable[[], T]) -> T:
    """Return what ``call`` returns, with ccxt's errors in our words; ``Fault`` where another attempt may help."""
    import ccxt  # 0.5 s that only this source has to pay

    try:
        return call()
    except (ccxt.RateLimitExceeded, ccxt.DDoSProtection) as error:
        raise venue.limited(None, f"it said: {_text(error)}", 200) from error
    except ccxt.AuthenticationError as error:
        raise UpstreamRefused(
            f"{venue.name} wants a key or refuses us.", f"It said: {_text(error)}.", "Ask another source: --source a,b."
        ) from error
    except (ccxt.BadSymbol, ccxt.NotSupported) as error:
        raise SourceLimited(
            f"{venue.name} does not have that.", f"It said: {_text(error)}.", "Ask another source: --source a,b."
        ) from error
    except ccxt.OperationFailed as error:
        raise Fault(_text(error)) from error
    except ccxt.BaseError as error:
        raise _could_not(venue, _text(error)) from error
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        if venue.status >= 400:
            raise _could_not(venue, f"HTTP {venue.status}") from error
        raise DataInvalid(
            f"{venue.name} sent an answer that ccxt cannot read.", f"{type(error).__name__}: {_text(error)}.",
            f"Nothing of it was kept. Update Forecastle and ccxt: {venue.name} may have changed.",
        ) from error  # fmt: skip


def _could_not(venue: Venue, said: str) -> UpstreamError:
    return UpstreamError(
        f"{venue.name} could not answer.", f"It said: {said}.",
        "Try again later; if it stays so, ask another source: --source a,b.",
    )  # fmt: skip


def _text(error: Exception) -> str:
    return (" ".join(str(error).split())[:160] or type(error).__name__).rstrip(".")


def _no_market(exchange: str, client: Any, instrument: Instrument) -> SourceLimited:
    """Return the refusal, with the markets of the same coin that there are."""
    perpetual = instrument.kind == "perpetual"
    ending = "-PERP" if perpetual else ""
    others = sorted(
        {
            f"{market['base']}-{market['quote']}{ending}"
            for market in client.markets.values()
            if market["base"] == instrument.base and bool(market["swap"] if perpetual else market["spot"])
        }
    )
    tether = f"{instrument.base}-USDT{ending}"
    if instrument.quote == "USD" and tether in others:
        why = f"It has {tether}; a Tether is not a dollar, so the one is never given for the other."
        hint = f"Fetch {tether} if that is meant, or ask another source: --source coinbase."
    else:
        why = f"It has {', '.join(others[:6])}." if others else f"It trades no {instrument.base} in this form."
        hint = "Fetch one of these, or ask another source." if others else "Check the spelling, or ask another source."
    return SourceLimited(f"{exchange} has no {instrument}.", why, hint)
