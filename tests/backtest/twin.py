"""The reference twin of the backtest engine: objects and events, slow and obvious.

Written from docs/backtest_rules.md alone and apart from the compiled loop, so that a difference between the two is a
mistake of one of them. Nothing here is shared with the engine but what goes in and what comes out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecastle.backtest.account import Account, Tier
from forecastle.backtest.costs import Costs
from forecastle.backtest.execution import Execution
from forecastle.backtest.simulated import COSTS, FILL, ORDER, Simulated
from forecastle.nouns.market import Market
from forecastle.nouns.order import FillCause, OrderKind, OrderReason, OrderStatus, OrderTable, TimeInForce
from forecastle.nouns.signal import Signals

FloatArray = npt.NDArray[np.float64]
NAN = math.nan
MOST_WORKING = 16
# sums of floats that are the same number on paper may differ in the last digits: neither dust nor a refusal comes of it
DUST = 1e-12
GRACE = 1e-9


@dataclass(frozen=True)
class Bracket:
    """What an order brings along for the position it opens; NaN where it does not."""

    stop: float = NAN
    take: float = NAN
    stop_share: float = NAN
    take_share: float = NAN
    trail_share: float = NAN

    def stop_price(self, fill: float, side: float) -> float:
        return fill * (1.0 - side * self.stop_share) if math.isnan(self.stop) else self.stop

    def take_price(self, fill: float, side: float) -> float:
        return fill * (1.0 + side * self.take_share) if math.isnan(self.take) else self.take


@dataclass(eq=False)
class Order:
    """An order and what became of it; ``acts`` is the kind it behaves as now, ``kind`` the one that was asked."""

    bar: int
    instrument: int
    quantity: float
    kind: OrderKind
    limit: float = NAN
    trigger: float = NAN
    trail: float = NAN
    tif: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    oco: int = 0
    bracket: Bracket = field(default_factory=Bracket)
    wish: bool = False
    goal: float = NAN  # the position that a wish asks for
    parent: int = -1
    active_from: int = 0
    number: int = -1
    status: OrderStatus = OrderStatus.WORKING
    reason: OrderReason = OrderReason.NONE
    filled: float = 0.0
    ended: int = -1
    best: float = NAN  # of a trailing order, from the first open on
    rests: int = -1  # the bar whose volume it has used up
    looked_at: bool = False
    bracket_made: bool = False

    def __post_init__(self) -> None:
        self.acts = self.kind
        self.left = self.quantity
        self.reduce_only = self.reduce_only or self.kind is OrderKind.TAKE or self.is_bracket

    @property
    def buys(self) -> bool:
        return self.quantity > 0.0

    @property
    def is_bracket(self) -> bool:
        return self.parent >= 0

    @property
    def works(self) -> bool:
        return self.status is OrderStatus.WORKING

    @property
    def rank(self) -> int:
        """Return its place among hits at the same price: stops come before what is a limit or market order now."""
        return 1 if self.acts in (OrderKind.STOP, OrderKind.STOP_LIMIT, OrderKind.TRAILING) else 2

    def end(self, bar: int, status: OrderStatus, reason: OrderReason = OrderReason.NONE) -> None:
        if self.works:
            self.status, self.reason, self.ended = status, reason, bar

    def see(self, price: float) -> None:
        """Move the best price of a trailing order."""
        if self.acts is OrderKind.TRAILING:
            self.best = min(self.best, price) if self.buys else max(self.best, price)

    def _stop_level(self) -> float:
        if self.acts is OrderKind.TRAILING:
            return self.best * (1.0 + self.trail) if self.buys else self.best * (1.0 - self.trail)
        return self.trigger

    def fires_at(self, price: float, touch: bool) -> bool:
        """Return whether it is due at a price; ``touch``: a limit that is only touched is filled."""
        if self.acts is OrderKind.MARKET:
            return True
        if self.acts in (OrderKind.LIMIT, OrderKind.TAKE):
            return (price < self.limit if self.buys else price > self.limit) or (touch and price == self.limit)
        level = self._stop_level()
        return price >= level if self.buys else price <= level

    def hit(self, a: float, b: float, touch: bool) -> float | None:
        """Return where it fires on the piece from a to b."""
        if self.fires_at(a, touch):
            return a
        if not self.fires_at(b, touch):
            return None
        return self.limit if self.acts in (OrderKind.LIMIT, OrderKind.TAKE) else self._stop_level()


@dataclass
class Position:
    """What is held of an instrument: average entry and, in an isolated account, its margin."""

    quantity: float = 0.0
    entry: float = 0.0
    margin: float = 0.0

    def gain(self, price: float) -> float:
        return self.quantity * (price - self.entry)

    def trade(self, x: float, price: float, leverage: float) -> None:
        after = self.quantity + x
        if abs(after) <= DUST * max(abs(self.quantity), abs(x)):
            self.quantity, self.entry, self.margin = 0.0, 0.0, 0.0
        elif self.quantity * x >= 0.0:
            self.entry = (self.quantity * self.entry + x * price) / after
            self.margin += abs(x) * price / leverage
            self.quantity = after
        elif self.quantity * after > 0.0:
            self.margin *= after / self.quantity
            self.quantity = after
        else:
            self.quantity, self.entry, self.margin = after, price, abs(after) * price / leverage


class Charge(NamedTuple):
    """The costs of a fill, money."""

    fee: float
    slippage: float

    @property
    def total(self) -> float:
        return self.fee + self.slippage


class Tariff:
    """What a fill costs."""

    def __init__(self, costs: Costs, market: Market, sigma: FloatArray | None) -> None:
        self.costs, self.market, self.sigma = costs, market, sigma

    def _share(self, bar: int, j: int, size: float) -> float:
        c, volume = self.costs, float(self.market.volume[bar, j])
        sigma = 0.0 if self.sigma is None else float(self.sigma[bar - 1, j])
        v = min(size / volume, 1.0) if volume > 0.0 else 1.0
        s = c.half_spread + c.volatility_multiple * sigma + c.linear_impact * v
        return min(s + c.square_root_impact * sigma * math.sqrt(v), 0.5)

    def of(self, bar: int, j: int, x: float, price: float, maker: bool, slips: bool) -> Charge:
        c, size = self.costs, abs(x)
        s = self._share(bar, j, size) if slips else 0.0
        rate = c.maker if maker else c.taker
        worse = 1.0 + s if x > 0.0 else 1.0 - s
        fee = max(c.smallest_fee, rate * size * price * worse + c.fee_per_unit * size)
        return Charge(fee, size * price * s)


def maintenance(tiers: tuple[Tier, ...], notional: float) -> float:
    """Return what has to be kept for a position."""
    tier = [t for t in tiers if t.floor <= notional][-1]
    return max(tier.rate * notional - tier.deduction, 0.0)


def zero_margin_price(tiers: tuple[Tier, ...], base: float, quantity: float) -> float:
    """Return the price p where ``base + quantity * p`` is the maintenance of the quantity at p; NaN for none."""
    size = abs(quantity)
    bends = {t.floor for t in tiers} | {t.deduction / t.rate for t in tiers if t.rate > 0.0 and t.deduction > 0.0}
    for low, high in pairwise([*sorted(bends), math.inf]):
        inside = low + 1.0 if math.isinf(high) else (low + high) / 2.0
        tier = [t for t in tiers if t.floor <= inside][-1]
        counts = tier.rate * inside - tier.deduction > 0.0
        rate, deduction = (tier.rate, tier.deduction) if counts else (0.0, 0.0)
        slope = quantity - rate * size
        price = -(base + deduction) / slope if slope != 0.0 else NAN
        if price > 0.0 and low * (1.0 - DUST) <= size * price <= high * (1.0 + DUST):
            return price
    return NAN


class Purse:
    """The account as it stands: cash, positions, the current price of each instrument."""

    def __init__(self, account: Account, instruments: int) -> None:
        self.account = account
        self.cash = account.cash
        self.positions = [Position() for _ in range(instruments)]
        self.prices = [NAN] * instruments
        self.costs = dict.fromkeys(COSTS, 0.0)

    def held(self, but: int = -1) -> Iterator[tuple[Position, float]]:
        """Yield each position that is not zero and its price, all or all but one."""
        for j, position in enumerate(self.positions):
            if position.quantity != 0.0 and j != but:
                yield position, self.prices[j]

    @property
    def equity(self) -> float:
        return self.cash + sum(p.quantity * price for p, price in self.held())

    @property
    def ruined(self) -> bool:
        """Return whether there is no equity above zero; an insured loss leaves zero but for the last digits."""
        return self.equity <= DUST * self.account.cash

    def maintenance(self, but: int = -1) -> float:
        return sum(maintenance(self.account.tiers, abs(p.quantity) * price) for p, price in self.held(but))

    def ratio(self) -> float:
        """Return the margin ratio; beyond any call where there is no equity to speak of."""
        if self.account.kind == "cash" or not any(self.held()):
            return 0.0
        return math.inf if self.ruined else self.maintenance() / self.equity

    def pay(self, what: str, amount: float) -> None:
        self.cash -= amount
        self.costs[what] += amount

    def is_due(self, j: int) -> bool:
        """Return whether the venue liquidates the position at the current prices."""
        position, price = self.positions[j], self.prices[j]
        if self.account.kind == "cash" or position.quantity == 0.0:
            return False
        if self.account.kind == "cross":
            return self.equity <= self.maintenance()
        kept = maintenance(self.account.tiers, abs(position.quantity) * price)
        return position.margin + position.gain(price) <= kept

    def liquidation_price(self, j: int) -> float:
        """Return the price at which the position is liquidated, the others as they stand; NaN for none."""
        position = self.positions[j]
        if self.account.kind == "cash" or position.quantity == 0.0:
            return NAN
        if self.account.kind == "cross":
            base = self.cash + sum(p.quantity * price for p, price in self.held(but=j)) - self.maintenance(but=j)
        else:
            base = position.margin - position.quantity * position.entry
        return zero_margin_price(self.account.tiers, base, position.quantity)

    def affordable(self, j: int, adds: bool, share: float) -> float:
        """Return how many units can be opened at the current price, costs being a share of their notional."""
        leverage, price = self.account.leverage, self.prices[j]
        stays = list(self.held() if adds else self.held(but=j))
        if self.account.kind == "isolated":
            bound = sum(p.margin + p.gain(at) for p, at in stays)
            return (self.equity - bound) / (price * (1.0 / leverage + share))
        gross = sum(abs(p.quantity) * at for p, at in stays)
        return (leverage * self.equity - gross) / (price * (1.0 + leverage * share))


class Book:
    """All orders by number."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self._alive: list[Order] = []

    def add(self, order: Order) -> None:
        """Give the order a number; beyond sixteen that work it is rejected."""
        many = len(self.working(order.instrument)) >= MOST_WORKING
        order.number = len(self.orders)
        self.orders.append(order)
        self._alive.append(order)
        if many:
            order.end(order.bar, OrderStatus.REJECTED, OrderReason.MANY)

    def working(self, j: int | None = None) -> list[Order]:
        self._alive = [o for o in self._alive if o.works]
        return [o for o in self._alive if j in (None, o.instrument)]

    def active(self, bar: int, j: int) -> list[Order]:
        return [o for o in self.working(j) if o.active_from <= bar]

    def brackets(self, j: int) -> list[Order]:
        return [o for o in self.working(j) if o.is_bracket]

    def rows(self) -> FloatArray:
        rows = [[float(getattr(order, name)) for name in ORDER] for order in self.orders]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(ORDER))


@dataclass(frozen=True)
class Event:
    """The next thing on the path: an order that fires, or (None) a liquidation."""

    price: float
    order: Order | None
    distance: float

    @property
    def turn(self) -> tuple[float, int, int]:
        return (self.distance, 0, -1) if self.order is None else (self.distance, self.order.rank, self.order.number)


class Twin:
    """The loop of bars."""

    def __init__(
        self,
        market: Market,
        account: Account,
        costs: Costs,
        execution: Execution,
        sigma: FloatArray | None,
    ) -> None:
        self.market, self.account, self.costs, self.execution = market, account, costs, execution
        self.bars, self.instruments = market.open.shape
        self.tariff = Tariff(costs, market, sigma)
        self.purse = Purse(account, self.instruments)
        self.book = Book()
        self.fills: list[tuple[float, ...]] = []
        self.not_made: Counter[int] = Counter()
        self.touch = execution.intrabar == "best"
        self.used = [0.0] * self.instruments  # volume of this bar
        self.bar = 0
        self.ruined = False
        self.calls = self.liquidations = 0
        self.equity, self.ratio = np.zeros(self.bars), np.zeros(self.bars)
        self.position = np.zeros((self.bars, self.instruments))

    def run(self, signals: Signals | None, table: OrderTable | None) -> Simulated:
        for bar in range(self.bars):
            self.step(bar)
            if bar == self.bars - 1 and self.execution.close_at_end:
                self.finish()
            self.decide(signals, table)
        fills = np.array(self.fills, dtype=np.float64).reshape(len(self.fills), len(FILL))
        return Simulated(
            self.equity, self.position, self.ratio, fills, self.book.rows(), self.purse.costs,
            dict(self.not_made), self.calls, self.liquidations,
        )  # fmt: skip

    def present(self) -> list[int]:
        return [j for j in range(self.instruments) if self.market.present[self.bar, j]]

    def step(self, bar: int) -> None:
        self.bar = bar
        self.used = [0.0] * self.instruments
        before = self.liquidations
        for j in self.present():
            self.purse.prices[j] = float(self.market.open[bar, j])
        self.charge()
        self.liquidate_due()
        self.trade_open()
        for j in self.present():
            self.walk(j)
        self.close(self.liquidations > before)

    # --- charges and liquidation -------------------------------------------------------------------------------------

    def charge(self) -> None:
        purse, costs = self.purse, self.costs
        for j in self.present():
            quantity, price = purse.positions[j].quantity, purse.prices[j]
            if costs.funding is not None:
                purse.pay("funding", quantity * price * float(costs.funding[self.bar, j]))
            if quantity < 0.0:
                purse.pay("borrowing", abs(quantity) * price * costs.borrow)
        if self.present() and purse.cash < 0.0:
            purse.pay("interest", -purse.cash * costs.interest)

    def liquidate_due(self) -> None:
        for j in self.present():
            if self.purse.is_due(j):
                self.liquidate(j)

    def liquidate(self, j: int) -> None:
        position, price = self.purse.positions[j], self.purse.prices[j]
        x, kept, gain = -position.quantity, position.margin, position.gain(price)
        charge = self.tariff.of(self.bar, j, x, price, maker=False, slips=True)
        extra = self.account.liquidation_fee * abs(x) * price
        self.settle(-1, j, x, charge, FillCause.LIQUIDATION, maker=False, extra=extra)
        uncovered = charge.total + extra - gain - kept
        if self.account.kind == "isolated" and uncovered > 0.0:
            self.purse.cash += uncovered
            self.purse.costs["insurance"] += uncovered
        self.liquidations += 1
        self.cancel(self.book.working(j), OrderReason.LIQUIDATED)

    def cancel(self, orders: list[Order], why: OrderReason) -> None:
        for order in orders:
            order.end(self.bar, OrderStatus.CANCELLED, why)

    # --- the open ----------------------------------------------------------------------------------------------------

    def trade_open(self) -> None:
        """Trade at the open: what reduces first. Brackets made here are not in the list: they belong to the path."""
        waiting = [o for j in self.present() for o in self.book.active(self.bar, j)]
        for reducing in (True, False):
            passed = []
            for order in waiting:
                if reducing and self.purse.positions[order.instrument].quantity * order.quantity >= 0.0:
                    passed.append(order)
                elif order.works:
                    self.look_at_open(order)
            waiting = passed
        for j in self.present():
            for order in self.book.active(self.bar, j):
                if order.tif is TimeInForce.IOC:
                    order.end(self.bar, OrderStatus.EXPIRED, OrderReason.TIME)

    def look_at_open(self, order: Order) -> None:
        price = self.purse.prices[order.instrument]
        if math.isnan(order.best):
            order.best = price
        if order.acts is OrderKind.STOP_LIMIT and order.fires_at(price, self.touch):
            self.fire(order, at_once=True)
        if order.fires_at(price, self.touch):
            self.fire(order, at_once=True)
        order.looked_at = True
        order.see(price)

    def fire(self, order: Order, at_once: bool) -> None:
        """Let an order do what it does at the current price."""
        if order.acts is OrderKind.STOP_LIMIT:
            order.acts, order.looked_at = OrderKind.LIMIT, False
            return
        rests_in_book = order.acts in (OrderKind.LIMIT, OrderKind.TAKE)
        if not rests_in_book:
            order.acts = OrderKind.MARKET  # what the volume leaves over goes on as one
        maker = rests_in_book and not (at_once and not order.looked_at)
        order.looked_at = True
        self.trade(order, maker, slips=not rests_in_book)

    # --- the path ----------------------------------------------------------------------------------------------------

    def walk(self, j: int) -> None:
        market, bar = self.market, self.bar
        low, high = float(market.low[bar, j]), float(market.high[bar, j])
        active, quantity = self.book.active(bar, j), self.purse.positions[j].quantity
        if active or quantity != 0.0:
            low_first = quantity > 0.0 if quantity != 0.0 else not active[0].buys
            if low_first == (self.execution.intrabar == "worst"):
                ways = (low, high, float(market.close[bar, j]))
            else:
                ways = (high, low, float(market.close[bar, j]))
            for end in ways:
                self.walk_piece(j, end)
        self.purse.prices[j] = float(market.close[bar, j])

    def walk_piece(self, j: int, end: float) -> None:
        while (event := self.next_event(j, end)) is not None:
            at_once = event.order is not None and event.order.fires_at(self.purse.prices[j], self.touch)
            self.look(j)
            self.purse.prices[j] = event.price
            if event.order is None:
                self.liquidate(j)
            else:
                self.fire(event.order, at_once)
        self.look(j)
        self.purse.prices[j] = end
        for order in self.book.active(self.bar, j):
            order.see(end)

    def look(self, j: int) -> None:
        """Note which orders have been looked at here and were not due: they rest in the book from now on."""
        for order in self.book.active(self.bar, j):
            if not order.fires_at(self.purse.prices[j], self.touch):
                order.looked_at = True

    def next_event(self, j: int, end: float) -> Event | None:
        a = self.purse.prices[j]
        events = []
        for order in self.book.active(self.bar, j):
            hit = order.hit(a, end, self.touch)
            if hit is not None and order.rests != self.bar:
                events.append(Event(hit, order, abs(hit - a)))
        liquidated_at = self.liquidation_on(j, a, end)
        if liquidated_at is not None:
            events.append(Event(liquidated_at, None, abs(liquidated_at - a)))
        return min(events, key=lambda event: event.turn, default=None)

    def liquidation_on(self, j: int, a: float, b: float) -> float | None:
        if self.purse.is_due(j):
            return a
        price = self.purse.liquidation_price(j)
        if self.purse.positions[j].quantity > 0.0:
            return min(price, a) if b <= price else None
        return max(price, a) if b >= price else None

    # --- a trade -----------------------------------------------------------------------------------------------------

    def trade(self, order: Order, maker: bool, slips: bool) -> None:
        """Fill an order at the current price, as much of it as may be."""
        j, held = order.instrument, self.purse.positions[order.instrument].quantity
        asked = self.asked(order)
        if asked == 0.0:
            order.end(self.bar, OrderStatus.CANCELLED, OrderReason.NO_POSITION)
            return
        asked = self.not_beyond(order, asked)
        if asked == 0.0:
            order.end(self.bar, OrderStatus.CANCELLED, OrderReason.THERE_ALREADY)
            return
        in_volume = self.within_volume(j, asked)
        if in_volume != asked:
            order.rests = self.bar
        if in_volume == 0.0:
            return
        x, refused = self.allowed(j, in_volume, maker, slips)
        if x == 0.0:
            order.end(self.bar, OrderStatus.REJECTED, refused)
            return
        self.used[j] = self.volume(j) if x == in_volume != asked else self.used[j] + abs(x)
        charge = self.tariff.of(self.bar, j, x, self.purse.prices[j], maker, slips)
        self.settle(order.number, j, x, charge, FillCause(int(order.kind)), maker)
        first = order.filled == 0.0
        order.filled += x
        self.mark(order, asked, in_volume, x)
        self.follow(order, held, first)

    def not_beyond(self, order: Order, asked: float) -> float:
        """Return what brings the position no further than a wish asked for: a stop may have closed it meanwhile."""
        if math.isnan(order.goal):
            return asked
        missing = order.goal - self.purse.positions[order.instrument].quantity
        if missing * asked <= 0.0 or abs(missing) <= DUST * abs(order.left):
            return 0.0
        return asked if abs(missing) >= abs(asked) * (1.0 - DUST) else missing

    def asked(self, order: Order) -> float:
        """Return what the order asks for now: 0 where it may only reduce and there is nothing to reduce."""
        held = self.purse.positions[order.instrument].quantity
        asked = order.left
        if order.reduce_only:
            if held * order.quantity >= 0.0:
                return 0.0
            asked = -held if order.is_bracket or abs(order.left) > abs(held) else order.left
        return -held if abs(held + asked) <= DUST * abs(asked) else asked

    def volume(self, j: int) -> float:
        share = self.execution.participation
        return share * float(self.market.volume[self.bar, j]) if share > 0.0 else math.inf

    def within_volume(self, j: int, asked: float) -> float:
        room = max(self.volume(j) - self.used[j], 0.0)
        dust = DUST * self.volume(j)
        if abs(asked) <= room + dust:
            return asked
        return math.copysign(room, asked) if room > dust else 0.0

    def allowed(self, j: int, asked: float, maker: bool, slips: bool) -> tuple[float, OrderReason]:
        """Return what can be paid for and, in a cash account, does not go short; and why nothing, where it is 0."""
        held, price = self.purse.positions[j].quantity, self.purse.prices[j]
        closing = min(abs(held), abs(asked)) if held * asked < 0.0 else 0.0
        opening = abs(asked) - closing
        if opening <= 0.0:
            return asked, OrderReason.NONE
        if self.account.kind == "cash" and asked < 0.0:
            return -closing, OrderReason.SHORT
        charge = self.tariff.of(self.bar, j, asked, price, maker, slips)
        most = self.purse.affordable(j, adds=closing == 0.0, share=charge.total / (abs(asked) * price))
        if opening <= most * (1.0 + GRACE):
            x = asked
        else:
            x = math.copysign(closing + (most if most > GRACE * opening else 0.0), asked)
        if x == 0.0:
            return 0.0, OrderReason.MARGIN
        return x, OrderReason.NONE

    def settle(
        self, number: int, j: int, x: float, charge: Charge, cause: FillCause, maker: bool, extra: float = 0.0
    ) -> None:
        """Book a fill at the current price."""
        price = self.purse.prices[j]
        self.purse.cash -= x * price
        self.purse.pay("fees", charge.fee)
        self.purse.pay("slippage", charge.slippage)
        self.purse.pay("liquidation_fees", extra)
        self.purse.positions[j].trade(x, price, self.account.leverage)
        self.fills.append((number, self.bar, j, x, price, charge.fee, charge.slippage, extra, cause, maker))

    def mark(self, order: Order, asked: float, in_volume: float, x: float) -> None:
        """Note where the order stands after a fill of x."""
        order.left -= x
        whole = order.is_bracket or abs(order.left) <= DUST * abs(order.quantity)
        if x != in_volume:
            order.end(self.bar, OrderStatus.CANCELLED, OrderReason.REDUCED)
        elif x == asked:
            # one that may only reduce was cut to the position: its rest has nothing to do any more
            status = OrderStatus.FILLED if whole else OrderStatus.CANCELLED
            order.end(self.bar, status, OrderReason.NONE if whole else OrderReason.REDUCED)

    def follow(self, order: Order, before: float, first: bool) -> None:
        """Do what a fill brings about for other orders."""
        j = order.instrument
        after = self.purse.positions[j].quantity
        if order.is_bracket and order.kind in (OrderKind.STOP, OrderKind.TRAILING):
            self.cancel([o for o in self.book.brackets(j) if o is not order], OrderReason.OCO)
        if after == 0.0 or before * after < 0.0:
            self.cancel(self.book.brackets(j), OrderReason.FLAT)
        if first and order.oco > 0:
            others = [o for o in self.book.working() if o.oco == order.oco and o is not order]
            self.cancel(others, OrderReason.OCO)
        opened = after != 0.0 and (before * after <= 0.0 or abs(after) > abs(before))
        if opened and not order.bracket_made:
            order.bracket_made = True
            self.make_bracket(order, after)

    def make_bracket(self, order: Order, position: float) -> None:
        j, wish, side = order.instrument, order.bracket, math.copysign(1.0, position)
        fill = self.purse.prices[j]
        stop, take = wish.stop_price(fill, side), wish.take_price(fill, side)
        legs = []
        if not math.isnan(stop):
            legs.append(Order(self.bar, j, -position, OrderKind.STOP, trigger=stop, parent=order.number))
        if not math.isnan(wish.trail_share):
            trail = wish.trail_share
            legs.append(Order(self.bar, j, -position, OrderKind.TRAILING, trail=trail, parent=order.number, best=fill))
        if not math.isnan(take):
            legs.append(Order(self.bar, j, -position, OrderKind.TAKE, limit=take, parent=order.number))
        if legs:
            self.cancel(self.book.brackets(j), OrderReason.REPLACED)
        for leg in legs:
            leg.active_from = self.bar
            self.book.add(leg)

    # --- the close ---------------------------------------------------------------------------------------------------

    def close(self, liquidated: bool) -> None:
        if self.market.day_end[self.bar]:
            for order in self.book.working():
                if order.tif is TimeInForce.DAY and order.active_from <= self.bar:
                    order.end(self.bar, OrderStatus.EXPIRED, OrderReason.TIME)
        before = self.liquidations
        self.liquidate_due()
        self.note()
        self.ratio[self.bar] = ratio = self.purse.ratio()  # infinite with a position and no equity: a call too
        self.calls += ratio >= self.account.call_at or liquidated or self.liquidations > before
        if self.purse.ruined:
            self.ruined = True
            self.cancel(self.book.working(), OrderReason.RUINED)

    def note(self) -> None:
        self.equity[self.bar] = self.purse.equity
        self.position[self.bar] = [p.quantity for p in self.purse.positions]

    def finish(self) -> None:
        self.cancel(self.book.working(), OrderReason.END)
        for j in self.present():
            x = -self.purse.positions[j].quantity
            if x != 0.0:
                charge = self.tariff.of(self.bar, j, x, self.purse.prices[j], maker=False, slips=True)
                self.settle(-1, j, x, charge, FillCause.END, maker=False)
        self.note()

    # --- decisions ---------------------------------------------------------------------------------------------------

    def decide(self, signals: Signals | None, table: OrderTable | None) -> None:
        if table is not None:
            for row in np.flatnonzero(table.bar == self.bar).tolist():
                self.place(order_of_row(table, row))
        if signals is not None:
            for j in range(self.instruments):
                target = float(signals.target[self.bar, j])
                if math.isfinite(target):
                    self.wish(signals, j, target)

    def place(self, order: Order) -> None:
        """Take an order in, in whole lots, or reject it."""
        j, lot = order.instrument, self.execution.lot
        order.active_from = self.bar + 1 + self.execution.latency
        held = self.purse.positions[j].quantity
        closes = held != 0.0 and order.quantity == -held
        if lot > 0.0 and not closes:
            size = math.floor(abs(order.quantity) / lot + GRACE) * lot
            order.quantity = order.left = math.copysign(size, order.quantity)
        small = order.quantity == 0.0 or abs(order.quantity) * self.purse.prices[j] < self.execution.smallest
        if self.ruined:
            order.end(self.bar, OrderStatus.REJECTED, OrderReason.RUINED)
        elif small and not closes:
            order.end(self.bar, OrderStatus.REJECTED, OrderReason.SMALL)
        self.book.add(order)

    def wish(self, signals: Signals, j: int, target: float) -> None:
        if not self.market.present[self.bar, j]:
            self.not_made[OrderReason.ABSENT] += 1
            return
        if self.ruined:
            self.not_made[OrderReason.RUINED] += 1
            return
        earlier = [o for o in self.book.working(j) if o.wish]
        self.cancel([o for o in earlier if o.active_from <= self.bar], OrderReason.REPLACED)
        under_way = sum(o.left for o in earlier if o.active_from > self.bar)
        held = self.purse.positions[j].quantity + under_way
        desired = self.desired(signals.measure, target, self.purse.prices[j])
        some = abs(held) > GRACE * abs(self.purse.positions[j].quantity)  # else zero but for its last digits
        if signals.measure == "weight" and some and self.in_band(target, held * self.purse.prices[j], held):
            self.not_made[OrderReason.BAND] += 1
        elif abs(desired - held) <= GRACE * max(abs(desired), abs(held - under_way), abs(under_way)):
            self.not_made[OrderReason.THERE_ALREADY] += 1
        else:
            order = order_of_wish(signals, self.bar, j, desired - held)
            order.goal = desired
            self.place(order)

    def desired(self, measure: str, target: float, price: float) -> float:
        if measure == "weight":
            return target * self.purse.equity / price
        return target / price if measure == "cash" else target

    def in_band(self, target: float, notional: float, held: float) -> bool:
        equity, band = self.purse.equity, self.execution.band
        return band > 0.0 and target * held > 0.0 and equity != 0.0 and abs(target - notional / equity) <= band


def order_of_row(table: OrderTable, row: int) -> Order:
    def number(name: str) -> float:
        return float(getattr(table, name)[row])

    return Order(
        int(table.bar[row]), int(table.instrument[row]), number("quantity"), OrderKind(int(table.kind[row])),
        number("limit"), number("trigger"), number("trail"), TimeInForce(int(table.tif[row])),
        bool(table.reduce_only[row]), int(table.oco[row]),
        Bracket(number("stop"), number("take"), number("stop_share"), number("take_share"), number("trail_share")),
    )  # fmt: skip


def order_of_wish(signals: Signals, bar: int, j: int, quantity: float) -> Order:
    def number(name: str, otherwise: float = NAN) -> float:
        values = getattr(signals, name)
        return otherwise if values is None else float(values[bar, j])

    return Order(
        bar, j, quantity, OrderKind(int(number("kind", 0.0))), number("limit"), number("trigger"),
        tif=TimeInForce(int(number("tif", 0.0))), wish=True,
        bracket=Bracket(number("stop"), number("take"), number("stop_share"), number("take_share"),
                        number("trail_share")),
    )  # fmt: skip


def run(
    market: Market,
    signals: Signals | None,
    account: Account,
    costs: Costs,
    execution: Execution,
    orders: OrderTable | None = None,
    sigma: FloatArray | None = None,
) -> Simulated:
    """Trade a market as docs/backtest_rules.md says; ``sigma`` is the volatility known at each close."""
    return Twin(market, account, costs, execution, sigma).run(signals, orders)
