"""The engine: signals and orders in, equity and fills out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.backtest import _book
from forecastle.backtest._book import Bars, Book, Path, Rows, Wishes
from forecastle.backtest._loop import advance
from forecastle.backtest.account import Account
from forecastle.backtest.costs import Costs
from forecastle.backtest.execution import Execution
from forecastle.backtest.simulated import COSTS, Simulated
from forecastle.errors import DataInvalid, NameUnknown, RequestInvalid
from forecastle.nouns.market import Market
from forecastle.nouns.order import OrderKind, OrderTable, TimeInForce
from forecastle.nouns.signal import Signals

FloatArray = npt.NDArray[np.float64]
MEASURES = ("weight", "units", "cash")
KINDS = ("cash", "cross", "isolated")
BESIDE = ("kind", "limit", "trigger", "tif", "stop", "take", "stop_share", "take_share", "trail_share")
WISHED_KINDS = (OrderKind.MARKET, OrderKind.LIMIT, OrderKind.STOP, OrderKind.STOP_LIMIT)


def simulate(
    market: Market,
    signals: Signals | None,
    account: Account,
    costs: Costs,
    execution: Execution,
    orders: OrderTable | None = None,
    sigma: FloatArray | None = None,
) -> Simulated:
    """Trade signals, orders or both; the rules are docs/backtest_rules.md.

    ``sigma`` has shape (bars, instruments): the volatility a bar that was known at each close, for slippage; NaN counts
    as zero. Raises ``DataInvalid`` for signals or orders that do not fit the market, ``NameUnknown`` for an unknown
    kind, ``RequestInvalid`` for a slippage by volatility without ``sigma``.
    """
    run = Run(market, signals, account, costs, execution, orders, sigma)
    run.until(len(market))
    return run.result()


class Run:
    """A simulation that can be taken bar by bar: what is decided at a close may look at what came of it so far."""

    def __init__(
        self,
        market: Market,
        signals: Signals | None,
        account: Account,
        costs: Costs,
        execution: Execution,
        orders: OrderTable | None = None,
        sigma: FloatArray | None = None,
    ) -> None:
        n, k = len(market), len(market.names)
        self.market = market
        self.wishes = _wishes(signals, n, k)
        self._rows = _rows(orders or OrderTable.none(), n, k)
        self._bars = bars_of(market, costs, sigma)
        room = k * _book.EVENTS + 1000 + n // 50
        self.book: Book = _book.empty_book(
            account.cash, k, room + len(self._rows.bar), room, *rules_of(account, costs, execution)
        )
        self.path = Path(np.empty(n), np.empty((n, k)), np.zeros(n))
        self.done = 0

    def until(self, bar: int) -> None:
        """Trade the bars before ``bar``."""
        while self.done < bar:
            self.done = advance(self.done, bar, self._bars, self.wishes, self._rows, self.book, self.path)
            self._make_room()

    def _make_room(self) -> None:
        """Enlarge the tables where the next bar could fill them."""
        book, rows = self.book, self._rows.bar.size
        most = book.held.shape[1] * _book.EVENTS
        orders, fills = int(book.counts[_book.ORDERS]), int(book.counts[_book.FILLS])
        if orders + most + rows > book.order.shape[0] or fills + most > book.fill.shape[0]:
            self.book = _book.enlarged(book, max(most + rows, book.order.shape[0]), max(most, book.fill.shape[0]))

    def decide(self, bar: int) -> None:
        """Turn what was wished of ``bar``, the last that was traded, into orders."""
        self._make_room()
        advance(bar, bar, self._bars, self.wishes, self._rows, self.book, self.path)

    def state(self, bar: int) -> tuple[FloatArray, float]:
        """Return the positions in units, (instruments,), and the equity at the close of a bar that was traded."""
        return self.path.position[bar].copy(), float(self.path.equity[bar])

    def result(self) -> Simulated:
        """Return what came out of the bars so far."""
        book, done = self.book, self.done
        orders = book.order[: book.counts[_book.ORDERS], :11]
        money = book.money.tolist()
        return Simulated(
            self.path.equity[:done], self.path.position[:done], self.path.margin_ratio[:done],
            book.fill[: book.counts[_book.FILLS]].copy(), orders.copy(), dict(zip(COSTS, money[1:], strict=True)),
            {reason: int(count) for reason, count in enumerate(book.counts[_book.NOT_MADE :].tolist()) if count},
            int(book.counts[_book.CALLS]), int(book.counts[_book.LIQUIDATIONS]),
        )  # fmt: skip


def rules_of(account: Account, costs: Costs, execution: Execution) -> tuple[FloatArray, FloatArray]:
    """Return the rules as plain numbers, and the tiers (3, tiers)."""
    charged = costs.borrow > 0.0 or costs.interest > 0.0 or costs.funding is not None
    rules = np.array([
        KINDS.index(account.kind), account.leverage, account.liquidation_fee, account.call_at, costs.maker, costs.taker,
        costs.fee_per_unit, costs.smallest_fee, costs.half_spread, costs.volatility_multiple, costs.linear_impact,
        costs.square_root_impact, costs.borrow, costs.interest, charged, execution.latency, execution.participation,
        execution.band, execution.lot, execution.smallest, execution.intrabar == "best", execution.close_at_end,
        _book.ROUNDING * account.cash,
    ], dtype=np.float64)  # fmt: skip
    tiers = [[t.floor for t in account.tiers], [t.rate for t in account.tiers], [t.deduction for t in account.tiers]]
    return rules, np.array(tiers, dtype=np.float64)


def bars_of(market: Market, costs: Costs, sigma: FloatArray | None) -> Bars:
    """Return the market with what is charged and known beside it."""
    n, k = len(market), len(market.names)
    if sigma is None and (costs.volatility_multiple > 0.0 or costs.square_root_impact > 0.0):
        raise RequestInvalid("Slippage by volatility was asked for.", "No volatility was given.", "Give sigma.")
    for name, values in (("sigma", sigma), ("funding", costs.funding)):
        if values is not None and values.shape != (n, k):
            raise DataInvalid(f"{name} has the shape {values.shape}.", f"The market has {(n, k)}.", "Align them.")
    if costs.funding is not None and not np.isfinite(costs.funding).all():
        raise DataInvalid("A funding rate is not finite.", "Money is paid by it.", "Give 0 where none is due.")
    none = np.empty((0, k))
    o, h, low, c, v = (
        np.ascontiguousarray(getattr(market, name)) for name in ("open", "high", "low", "close", "volume")
    )
    funding = none if costs.funding is None else np.ascontiguousarray(costs.funding)
    present, day_end = np.ascontiguousarray(market.present), np.ascontiguousarray(market.day_end)
    return Bars(o, h, low, c, v, present, day_end, none if sigma is None else np.ascontiguousarray(sigma), funding)


def _wishes(signals: Signals | None, n: int, k: int) -> Wishes:
    if signals is None:
        signals = Signals(np.empty((n, 0)))
        k = 0
    if signals.measure not in MEASURES:
        raise NameUnknown("measure of a signal", signals.measure, MEASURES)
    arrays: list[Any] = []
    for name in ("target", *BESIDE):
        values = getattr(signals, name)
        kind = np.int64 if name in ("kind", "tif") else np.float64
        if values is None:
            arrays.append(np.empty((0, k), dtype=kind))
            continue
        if values.shape != (n, k):
            raise DataInvalid(
                f"The signals' {name} has the shape {values.shape}.", f"The market has {n} bars of {k} instruments.",
                "Give one row a bar and one column an instrument, none beyond the last bar.",
            )  # fmt: skip
        arrays.append(np.ascontiguousarray(values, dtype=kind))
    _refuse_unknown(signals)
    return Wishes(MEASURES.index(signals.measure), *arrays)


def _refuse_unknown(signals: Signals) -> None:
    if np.isinf(signals.target).any():
        raise DataInvalid("A signal wishes an infinite position.", "Nobody can hold it.", "Use NaN for no wish.")
    wished = np.isfinite(signals.target)
    if signals.kind is not None:
        _refuse_kind(signals.kind[wished], WISHED_KINDS)
        for name, kinds in (("limit", (1, 3)), ("trigger", (2, 3))):
            needs = wished & np.isin(signals.kind, kinds)
            values = getattr(signals, name)
            if needs.any() and (values is None or not (np.isfinite(values[needs]) & (values[needs] > 0.0)).all()):
                what = f"A signal of a {name} order has no {name}."
                raise DataInvalid(what, "It fires at a price.", f"Give {name} above zero.")
    if signals.tif is not None:
        _refuse_kind(signals.tif[wished], tuple(TimeInForce))


def _refuse_kind(values: npt.NDArray[np.int64], known: tuple[Any, ...]) -> None:
    odd = values[~np.isin(values, [int(one) for one in known])]
    if odd.size:
        raise NameUnknown(
            f"number of a {type(known[0]).__name__}", str(odd[0]), [f"{int(k)} ({k.name.lower()})" for k in known]
        )


def _rows(table: OrderTable, n: int, k: int) -> Rows:
    _refuse_table(table, n, k)
    reduces = (table.reduce_only != 0) | (table.kind == int(OrderKind.TAKE))
    whole = np.column_stack([table.kind, table.tif, reduces, table.oco]).astype(np.int64)
    numbers = np.column_stack([
        table.quantity, table.limit, table.trigger, table.trail, table.stop, table.take, table.stop_share,
        table.take_share, table.trail_share,
    ])  # fmt: skip
    return Rows(
        np.ascontiguousarray(table.bar, dtype=np.int64), np.ascontiguousarray(table.instrument, dtype=np.int64),
        np.ascontiguousarray(whole), np.ascontiguousarray(numbers, dtype=np.float64),
    )  # fmt: skip


def _refuse_table(table: OrderTable, n: int, k: int) -> None:
    if not len(table):
        return
    if (np.diff(table.bar) < 0).any() or table.bar[0] < 0 or table.bar[-1] >= n:
        raise DataInvalid(
            "The orders are not sorted by bar, or lie outside the market.", f"It has the bars 0 to {n - 1}.",
            "Build the table with OrderTable.of.",
        )  # fmt: skip
    if ((table.instrument < 0) | (table.instrument >= k)).any():
        raise DataInvalid("An order names an instrument that is not there.", f"There are {k}.", "Count from 0.")
    _refuse_kind(table.kind, tuple(OrderKind))
    _refuse_kind(table.tif, tuple(TimeInForce))
    if not np.isfinite(table.quantity).all() or (table.quantity == 0.0).any():
        raise DataInvalid("An order has no quantity.", "It is signed and not zero.", "Leave the order out.")
    needs = {"limit": (1, 3, 5), "trigger": (2, 3), "trail": (4,)}
    for name, kinds in needs.items():
        rows = np.isin(table.kind, kinds)
        values = getattr(table, name)[rows]
        if not (np.isfinite(values) & (values > 0.0)).all():
            kind = OrderKind(int(table.kind[rows][np.argmin(np.isfinite(values) & (values > 0.0))])).name.lower()
            raise DataInvalid(f"A {kind} order has no {name}.", "It fires at a price.", f"Give {name} above zero.")
