"""What an answer of CoinGecko holds, and what its refusals mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from forecastle.errors import ForecastleError, SourceLimited, UpstreamError

TOO_OLD = 10012
"""CoinGecko's own code for a range that reaches further back than the plan allows."""
TOO_FAST = 429
EARLIEST, LATEST = 1_230_768_000_000, 4_102_444_800_000
"""Milliseconds of 2009 and 2100: a stamp outside is not in milliseconds."""


def read_chart(document: Any) -> pl.DataFrame:
    """Return ``stamp`` (milliseconds), ``price`` and ``volume`` of a market chart; exact repeats once.

    A stamp that was sent with different values is there for each of them; a price without a volume has a null there.
    Raises ``UpstreamError`` for any other form than the one known.
    """
    prices, volumes = (_points(document, name) for name in ("prices", "total_volumes"))
    prices, volumes = prices.rename({"value": "price"}), volumes.rename({"value": "volume"})
    return prices.join(volumes, on="stamp", how="left", maintain_order="left")


def _points(document: Any, name: str) -> pl.DataFrame:
    points = document.get(name) if isinstance(document, dict) else None
    if not isinstance(points, list):
        raise changed(f"{name} is missing" if points is None else f"{name} is a {type(points).__name__}")
    for point in points:
        if not _is_point(point):
            raise changed(f"{name} holds {str(point)[:60]}")
    rows = [(stamp, None if value is None else float(value)) for stamp, value in points]
    schema: dict[str, Any] = {"stamp": pl.Int64, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").unique(maintain_order=True)


def _is_point(point: Any) -> bool:
    if not isinstance(point, list) or len(point) != 2 or type(point[0]) not in (int, float):
        return False
    return EARLIEST <= point[0] <= LATEST and point[0] == int(point[0]) and _is_number(point[1])


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float)


@dataclass(frozen=True)
class Refusal:
    """What CoinGecko explains in a body: the error it ``meant`` for us, and its own ``code`` where it gives one."""

    meant: ForecastleError
    code: object = None

    @property
    def throttled(self) -> bool:
        """Return whether it wants fewer requests."""
        return self.code == TOO_FAST

    @property
    def is_limit(self) -> bool:
        """Return whether it says what CoinGecko never gives, whatever the status."""
        return self.code == TOO_OLD


def refusal(document: Any, status: int, asked: str) -> Refusal | None:
    """Return what an answer explains in its body; None where it explains nothing.

    CoinGecko wraps it as ``{"error": "coin not found"}``, ``{"status": {...}}`` or ``{"error": {"status": {...}}}``.
    """
    inner = document.get("error", document) if isinstance(document, dict) else None
    told = inner.get("status", inner) if isinstance(inner, dict) else inner
    kind = SourceLimited if status in (400, 404, 422) else UpstreamError
    if isinstance(told, str):
        return Refusal(_said(told, asked, kind))
    if not isinstance(told, dict) or "error_code" not in told:
        return None
    words, code = str(told.get("error_message", "")), told["error_code"]
    return Refusal(too_old(asked, words) if code == TOO_OLD else _said(words, asked, kind), code)


def too_old(asked: str, words: str) -> SourceLimited:
    """Return the error for a range that begins before what the public plan gives."""
    return SourceLimited(
        f"CoinGecko's public interface does not have {asked}.",
        " ".join(words.split())[:200] or "It gives the last 365 days.",
        "Ask for a later start, or name a source that goes back further: --source coingecko,yahoo.",
    )


def _said(words: str, asked: str, kind: type[ForecastleError]) -> ForecastleError:
    return kind(
        f"CoinGecko refuses the question for {asked}.",
        f"It says: {' '.join(words.split())[:200] or 'nothing'}",
        "Try another source with --source a,b, or again later.",
    )


def changed(what: str) -> UpstreamError:
    """Return the error for an answer of a form that is not known; ``what`` says where."""
    return UpstreamError(
        "CoinGecko's answer has another form than the one known.",
        f"{what[:1].upper()}{what[1:]}.",
        "Try again later; if it stays, a newer version of forecastle is needed.",
    )
