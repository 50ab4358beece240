"""What the tables worked out by hand need: bars as tuples, orders in words, and what came out as plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.backtest import Account, Costs, Execution, Simulated
from forecastle.nouns.market import Market
from forecastle.nouns.order import OrderKind, OrderReason, OrderStatus, OrderTable, TimeInForce
from forecastle.nouns.signal import Measure, Signals

FloatArray = npt.NDArray[np.float64]
Candle = tuple[float, ...]
Bars = Sequence[Candle | None]
Row = dict[str, float]
Engine = Callable[
    [Market, Signals | None, Account, Costs, Execution, OrderTable | None, FloatArray | None],
    Simulated,
]
NAN = float("nan")
CASH = Account(1000.0)
FREE = Costs()
PLAIN = Execution()
HOUR = np.timedelta64(1, "h")


def cross(leverage: float = 1.0, **rest: Any) -> Account:
    return Account(1000.0, "cross", leverage, **rest)


def isolated(leverage: float = 1.0, **rest: Any) -> Account:
    return Account(1000.0, "isolated", leverage, **rest)


def still(price: float, bars: int = 1) -> list[Candle]:
    """Return bars in which nothing moves."""
    return [(price, price, price, price)] * bars


def market_of(*instruments: Bars, day_end: Sequence[int] = ()) -> Market:
    """Return the market of candles (open, high, low, close, volume or 1000); None where an instrument is absent.

    ``day_end`` lists the bars that are the last of their day.
    """
    n = len(instruments[0])
    values = np.full((5, n, len(instruments)), np.nan)
    for j, bars in enumerate(instruments):
        for i, candle in enumerate(bars):
            if candle is not None:
                values[:, i, j] = candle if len(candle) == 5 else (*candle, 1000.0)
    opens = np.datetime64("2024-01-01", "us") + np.arange(n) * HOUR
    ends = np.isin(np.arange(n), day_end)
    names = tuple(f"HAND-{j}" for j in range(len(instruments)))
    o, high, low, close, volume = values
    return Market(names, opens, opens + HOUR, o, high, low, close, volume, np.isfinite(o), ends)


def order(bar: int, quantity: float, kind: str = "market", tif: str = "gtc", **beside: Any) -> Row:
    """Return a row of the table of orders."""
    kinds = {"kind": OrderKind[kind.upper()], "tif": TimeInForce[tif.upper()]}
    return {"bar": bar, "quantity": quantity, **kinds, **beside}


def wishes(*rows: Sequence[float] | float, measure: Measure = "units", **beside: Sequence[float] | str) -> Signals:
    """Return wishes, one row a bar; what stands beside them is one number a bar, of a single instrument."""
    target = np.array([np.atleast_1d(row) for row in rows], dtype=np.float64)
    more: dict[str, Any] = {}
    for name, values in beside.items():
        whole = name in ("kind", "tif")
        more[name] = np.array(values, dtype=np.int64 if whole else np.float64).reshape(-1, 1)
    return Signals(target, measure, **more)


def play(
    engine: Engine,
    bars: Bars | Market,
    asked: Sequence[Row] | Signals,
    account: Account = CASH,
    costs: Costs = FREE,
    execution: Execution = PLAIN,
    sigma: Sequence[float] | None = None,
) -> Simulated:
    """Trade orders or wishes; ``bars`` are of one instrument, or a market."""
    market = bars if isinstance(bars, Market) else market_of(bars)
    known = None if sigma is None else np.array(sigma, dtype=np.float64).reshape(-1, 1)
    if isinstance(asked, Signals):
        return engine(market, asked, account, costs, execution, None, known)
    return engine(market, None, account, costs, execution, OrderTable.of(list(asked)), known)


def fills_of(out: Simulated) -> list[tuple[float, ...]]:
    """Return bar, quantity and price of each fill; in a market of many the instrument comes second."""
    one = out.position.shape[1] == 1
    names = ("bar", "quantity", "price") if one else ("bar", "instrument", "quantity", "price")
    return list(zip(*(out.column(name).tolist() for name in names), strict=True))


def causes_of(out: Simulated) -> list[str]:
    return [fill.cause.name.lower() for fill in out.fill_list()]


def ends_of(out: Simulated) -> list[str]:
    """Return how each order ended: its status, and the reason where there is one."""
    stated = zip(out.order_column("status").tolist(), out.order_column("reason").tolist(), strict=True)
    words = ((OrderStatus(int(status)).name, OrderReason(int(reason)).name) for status, reason in stated)
    return [status.lower() if reason == "NONE" else f"{status} {reason}".lower() for status, reason in words]


def not_made_of(out: Simulated) -> dict[str, int]:
    return {OrderReason(reason).name.lower(): count for reason, count in out.not_made.items() if count}


def expect(
    out: Simulated,
    *,
    fills: Sequence[tuple[float, ...]] | None = None,
    equity: Sequence[float] | None = None,
    ends: Sequence[str] | None = None,
    **costs: float,
) -> None:
    """Compare with what was worked out by hand; ``costs`` are totals, those not named have to be zero if any is."""
    if fills is not None:
        found = fills_of(out)
        assert len(found) == len(fills), found
        np.testing.assert_allclose(np.array(found).ravel(), np.array(fills, dtype=np.float64).ravel(), rtol=1e-12)
    if equity is not None:
        np.testing.assert_allclose(out.equity, equity, rtol=1e-12, atol=1e-9)
    if ends is not None:
        assert ends_of(out) == list(ends)
    if costs:
        wanted = [costs.get(name, 0.0) for name in out.costs]
        assert set(costs) <= set(out.costs)
        np.testing.assert_allclose(list(out.costs.values()), wanted, rtol=1e-12, atol=1e-9)
