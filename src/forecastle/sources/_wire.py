"""One HTTP request, with an end: libcurl under a deadline, a bound on the size, redirects and gateway."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from forecastle.errors import UpstreamError
from forecastle.ports import Line

REDIRECTS = 3
_STOP = 0xFFFFFFFF
"""What tells libcurl to break a transfer off."""
_NO_TRUST = frozenset({51, 60, 77, 83, 90, 91})
"""Codes of libcurl for a certificate that does not hold; asking again mends none of them."""


class Fault(Exception):
    """An answer that is worth another attempt. ``told`` says in a few words what was wrong with it."""

    def __init__(self, told: str) -> None:
        super().__init__(told)
        self.told = told


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers with small letters, the unpacked body, the address that was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    def json(self) -> Any:
        """Return the body as JSON, with None for NaN and infinities, which some venues write though JSON has none.

        Raises ``Fault`` where it is empty, cut off or a page for people.
        """
        text = self.body.strip()
        if not text:
            raise Fault(f"an empty answer (HTTP {self.status})")
        if text.startswith(b"<") or "html" in self.headers.get("content-type", ""):
            raise Fault(f"a page for people instead of data (HTTP {self.status})")
        try:
            return json.loads(text, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            raise Fault(f"an answer that ends or breaks inside its JSON (HTTP {self.status})") from error


@dataclass
class Wire:
    """The connection to one venue: kept open from one request to the next.

    libcurl repeats a request at once where a connection that was kept turns out to be dead before a byte came back.
    """

    line: Line
    venue: str
    _curl: Any = field(default=None, repr=False)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send one request and return the whole answer, whatever its status; redirects within the host are followed.

        Raises ``Fault`` for a broken or slow transfer, ``UpstreamError`` for a redirect to another host, a
        certificate that does not hold, or an answer above the bound.
        """
        asked = url
        for _ in range(REDIRECTS + 1):
            answer = self._once(method, url, headers, body)
            if answer.status not in (301, 302, 303, 307, 308) or "location" not in answer.headers:
                return answer
            url = _followed(self.venue, url, answer.headers["location"])
        raise UpstreamError(
            f"{self.venue} sends us from one address to the next.",
            f"{asked} was redirected {REDIRECTS + 1} times.",
            "Try again later; if it stays so, its interface has moved.",
        )

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        # 0.2 s that only a request has to pay
        import curl_cffi
        from curl_cffi.requests.exceptions import RequestException

        kept, bound = bytearray(), self.line.patience.answer
        connect = min(self.line.patience.connect, self.line.patience.request / 2)

        def keep(chunk: bytes) -> int:
            kept.extend(chunk)
            return len(chunk) if len(kept) <= bound else _STOP

        if self._curl is None:
            # trust_env=False does nothing in curl_cffi: only this keeps a proxy of the environment out of the way
            direct = {curl_cffi.CurlOpt.NOPROXY: "*"} if self.line.gateway else {}
            self._curl = curl_cffi.Session(curl_options=direct, discard_cookies=True)
        try:
            response = self._curl.request(
                method,
                through(self.line.gateway, url),
                headers={**headers, "Accept-Encoding": "gzip"},
                data=body,
                timeout=(connect, self.line.patience.request - connect),  # libcurl ends at the sum
                allow_redirects=False,
                accept_encoding=None,
                content_callback=keep,
                default_headers=False,
            )
        except RequestException as error:
            raise _named(self.line, self.venue, url, error, len(kept) > bound) from error
        found = {key.lower(): value or "" for key, value in response.headers.items()}
        packed = found.get("content-encoding", "").lower()
        return Answer(response.status_code, found, _unpacked(bytes(kept), packed, self.venue, bound), url)


def through(gateway: str | None, url: str) -> str:
    """Return the address to connect to: ``{gateway}/{host}/{path}?{query}``, or ``url`` without a gateway."""
    if gateway is None:
        return url
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{gateway.rstrip('/')}/{parts.netloc}{parts.path or '/'}{query}"


def _followed(venue: str, url: str, location: str) -> str:
    """Return the address a redirect leads to; only another place on the same host is one."""
    target = urljoin(url, location)
    here, there = urlsplit(url), urlsplit(target)
    if (there.scheme, there.netloc) != (here.scheme, here.netloc):
        raise UpstreamError(
            f"{venue} redirects us from {here.netloc} to {there.netloc or location[:80]}.",
            "Candles are taken from the host that was asked, and from no other.",
            "A login page of your network does this; else its interface has moved: update Forecastle.",
        )
    return target


def _named(line: Line, venue: str, url: str, error: Exception, too_big: bool) -> Exception:
    """Return what a broken transfer means for us."""
    code = int(getattr(error, "code", 0) or 0)
    host = urlsplit(url).netloc
    if too_big:
        return _too_big(venue, line.patience.answer)
    if code in _NO_TRUST:
        return UpstreamError(
            f"{venue} cannot be trusted: the certificate of {host} does not hold.", f"libcurl says: {_short(error)}.",
            "Check the clock of this machine and the proxy of your network.",
        )  # fmt: skip
    if code == 28:
        return Fault(f"no whole answer within {line.patience.request:g} s")
    return Fault(f"the connection to {host} failed ({_short(error)})")


def _short(error: Exception) -> str:
    text = str(error).split(". See ")[0].removeprefix("Failed to perform, ")
    return " ".join(text.split())[:160].rstrip(".")


def _unpacked(content: bytes, packed: str, venue: str, bound: int) -> bytes:
    """Return the body without its packing; a cut one is a fault, one that grows above the bound is refused."""
    if packed in ("", "identity"):
        return content
    if packed not in ("gzip", "x-gzip", "deflate"):
        raise Fault(f"an answer packed as {packed[:20]}, which was not asked for")
    unpacker = zlib.decompressobj(47)  # the header says itself whether it is gzip or zlib
    try:
        body = unpacker.decompress(content, bound + 1)
    except zlib.error as error:
        raise Fault("a broken gzip answer") from error
    if len(body) > bound:
        raise _too_big(venue, bound)
    if not unpacker.eof:
        raise Fault("a gzip answer that was cut off")
    return body


def _too_big(venue: str, bound: int) -> UpstreamError:
    return UpstreamError(
        f"{venue} sent an answer of more than {bound / 2**20:.0f} MiB.", "No page of candles is that long.",
        "Try again later; if it stays so, report it.",
    )  # fmt: skip
