"""Small random markets and everything that may be asked of them, so that every rule of the engine is met often."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from forecastle.backtest.account import NO_TIER, Account, AccountKind, Tier
from forecastle.backtest.costs import Costs
from forecastle.backtest.execution import Execution, Intrabar
from forecastle.nouns.market import Market
from forecastle.nouns.order import OrderKind, OrderTable, TimeInForce
from forecastle.nouns.signal import Measure, Signals

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Rng = np.random.Generator
Case = tuple[Market, Signals | None, Account, Costs, Execution, OrderTable | None, FloatArray | None]
CASH = 10_000.0


def random_case(seed: int) -> Case:
    """Return market, signals, account, costs, execution, orders and sigma of a seed."""
    rng = np.random.default_rng(seed)
    tick = float(rng.choice([0.25, 0.5, 1.0, 2.0]))
    market, last = _market(rng, tick)
    account = _account(rng)
    signals = _signals(rng, market, last, account, tick) if rng.random() < 0.8 else None
    orders = _orders(rng, last, account, tick) if signals is None or rng.random() < 0.6 else None
    costs = _costs(rng, market.open.shape)
    needs = costs.volatility_multiple > 0.0 or costs.square_root_impact > 0.0
    sigma = rng.uniform(0.0, 0.1, market.open.shape) if needs else None
    return market, signals, account, costs, _execution(rng, account), orders, sigma


def _market(rng: Rng, tick: float) -> tuple[Market, FloatArray]:
    """Return a market and the price of each instrument known at each close, something where there is none yet."""
    n, k = int(rng.integers(20, 201)), int(rng.integers(1, 5))
    pieces = [_bars(rng, n, tick) for _ in range(k)]
    columns = {name: np.column_stack([piece[name] for piece in pieces]) for name in pieces[0]}
    last = columns["close"].copy()
    present = rng.random((n, k)) < rng.choice([1.0, 1.0, 0.9, 0.6])
    if rng.random() < 0.2:
        present[: int(rng.integers(1, 6)), 0] = False
    if rng.random() < 0.8:
        present[~present.any(axis=1), int(rng.integers(k))] = True
    for values in columns.values():
        values[~present] = np.nan
    opens = np.datetime64("2024-01-01", "us") + np.arange(n) * np.timedelta64(1, "h")
    ends: BoolArray = rng.random(n) < rng.choice([0.1, 0.3, 1.0])
    names = tuple(f"MADE-{j}" for j in range(k))
    market = Market(names, opens, opens + np.timedelta64(1, "h"), **columns, present=present, day_end=ends)
    return market, last


def _bars(rng: Rng, n: int, tick: float) -> dict[str, FloatArray]:
    """Return bars that walk in whole ticks: touches and ties are the rule; some jump at the open."""
    widest = int(rng.integers(1, 5))
    jumps = rng.random(n) < rng.choice([0.0, 0.1, 0.5])
    gaps = np.where(jumps, rng.integers(-3 * widest, 3 * widest + 1, n), 0)
    wild = np.where(rng.random(n) < 0.03, rng.integers(-12, 13, n), 0)
    moves = rng.integers(-widest, widest + 1, n) + wild
    opens, closes, at = np.zeros(n), np.zeros(n), int(rng.integers(30, 80))
    for i in range(n):
        opens[i] = max(at + int(gaps[i]), 4)
        closes[i] = at = max(int(opens[i] + moves[i]), 4)
    up, down = (rng.integers(0, widest + 1, n) for _ in range(2))
    high, low = np.maximum(opens, closes) + up, np.maximum(np.minimum(opens, closes) - down, 1.0)
    volume: FloatArray = np.float64(rng.choice([1.0, 10.0, 100.0])) * rng.integers(1, 60, n).astype(np.float64)
    volume[rng.random(n) < rng.choice([0.0, 0.1, 0.3])] = 0.0
    prices = {"open": opens, "high": high, "low": low, "close": closes}
    return {name: np.asarray(ticks * tick, dtype=np.float64) for name, ticks in prices.items()} | {"volume": volume}


def _account(rng: Rng) -> Account:
    kinds: tuple[AccountKind, ...] = ("cash", "cross", "isolated")
    kind = kinds[int(rng.choice(3, p=[0.25, 0.4, 0.35]))]
    # odd ones: with round ones a price in ticks is that of a liquidation on paper, and the last digit decides
    leverage = 1.0 if kind == "cash" else float(rng.choice([0.51, 1.0, 2.03, 3.07, 5.11, 10.3, 20.7]))
    tiers = NO_TIER if kind == "cash" or rng.random() < 0.2 else _tiers(rng)
    fee = float(rng.choice([0.0, 0.005, 0.05]))
    return Account(CASH, kind, leverage, tiers, fee, float(rng.choice([0.3, 0.8, 1.0])))


def _tiers(rng: Rng) -> tuple[Tier, ...]:
    """Return tiers whose maintenance is one line without a step."""
    tiers = [Tier(0.0, float(rng.choice([0.004, 0.01, 0.02])), 0.0, 125.0)]
    for floor in (CASH * m for m in (0.7, 2.5, 8.0)[: int(rng.integers(0, 4))]):
        rate = tiers[-1].rate + float(rng.choice([0.005, 0.01]))
        tiers.append(Tier(floor, rate, tiers[-1].deduction + floor * (rate - tiers[-1].rate), 125.0))
    return tuple(tiers)


def _costs(rng: Rng, shape: tuple[int, ...]) -> Costs:
    def some(most: float, share: float = 0.6) -> float:
        return float(rng.uniform(0.0, most)) if rng.random() < share else 0.0

    if rng.random() < 0.15:
        return Costs()
    funding = None
    if rng.random() < 0.5:
        funding = np.where(rng.random(shape) < 0.3, rng.uniform(-0.005, 0.01, shape), 0.0)
    return Costs(
        some(0.002), some(0.004), some(0.02, 0.3), some(5.0, 0.3), some(0.003), some(0.1, 0.4), some(0.05, 0.4),
        some(1.0, 0.4), some(0.002), some(0.002), funding,
    )  # fmt: skip


def _execution(rng: Rng, account: Account) -> Execution:
    ways: tuple[Intrabar, ...] = ("worst", "best")
    return Execution(
        latency=int(rng.choice([0, 0, 0, 1, 2, 3])),
        participation=float(rng.choice([0.0, 0.0, 0.0625, 0.25, 1.0])),
        band=float(rng.choice([0.0, 0.0, 0.05, 0.3])) * account.leverage,
        lot=float(rng.choice([0.0, 0.0, 0.25, 1.0, 8.0])),
        smallest=float(rng.choice([0.0, 0.0, 50.0, 1000.0])),
        intrabar=ways[int(rng.integers(2))],
        close_at_end=bool(rng.random() < 0.5),
    )


def _near(rng: Rng, last: FloatArray, tick: float) -> FloatArray:
    """Return prices a few ticks off, above or below: some are passed at once, some touched, some never reached."""
    return np.maximum(last + rng.integers(-6, 7, last.shape) * tick, tick)


def _maybe(rng: Rng, values: FloatArray, share: float) -> FloatArray:
    return np.where(rng.random(values.shape) < share, values, np.nan)


def _bracket(rng: Rng, last: FloatArray, tick: float, share: float) -> dict[str, FloatArray]:
    def shares() -> FloatArray:
        return rng.choice([0.01, 0.02, 0.03125, 0.05, 0.1, 0.125], last.shape)

    return {
        "stop": _maybe(rng, _near(rng, last, tick), share / 3), "take": _maybe(rng, _near(rng, last, tick), share / 3),
        "stop_share": _maybe(rng, shares(), share), "take_share": _maybe(rng, shares(), share),
        "trail_share": _maybe(rng, shares(), share / 2),
    }  # fmt: skip


def _signals(rng: Rng, market: Market, last: FloatArray, account: Account, tick: float) -> Signals:
    measures: tuple[Measure, ...] = ("weight", "units", "cash")
    measure = measures[int(rng.integers(3))]
    shape = last.shape
    target = _targets(rng, shape, account)
    if measure == "units":
        target = np.round(target * CASH / last * 4.0) / 4.0
    elif measure == "cash":
        target = target * CASH
    target = _maybe(rng, target, float(rng.choice([0.05, 0.2, 0.6, 1.0])))
    if rng.random() < 0.3:
        return Signals(target, measure)
    kind = rng.choice(4, shape, p=[0.4, 0.25, 0.2, 0.15])
    limit = np.where((kind == OrderKind.LIMIT) | (kind == OrderKind.STOP_LIMIT), _near(rng, last, tick), np.nan)
    trigger = np.where((kind == OrderKind.STOP) | (kind == OrderKind.STOP_LIMIT), _near(rng, last, tick), np.nan)
    tif = _tifs(rng, shape)
    if rng.random() < 0.3:
        return Signals(target, measure, kind, limit, trigger, tif)
    b = _bracket(rng, last, tick, 0.5)
    return Signals(target, measure, kind, limit, trigger, tif, b["stop"], b["take"], b["stop_share"], b["take_share"],
                   b["trail_share"])  # fmt: skip


def _targets(rng: Rng, shape: tuple[int, ...], account: Account) -> FloatArray:
    """Return wished shares of equity: round ones that repeat, and any; some beyond what can be paid."""
    reach = account.leverage * float(rng.choice([0.3, 1.0, 1.5])) / math.sqrt(shape[1])
    steps = rng.choice([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0], shape)
    target: FloatArray = reach * np.where(rng.random(shape) < 0.5, steps, rng.uniform(-1.0, 1.0, shape))
    if account.kind == "cash" and rng.random() < 0.7:
        target = np.abs(target)
    stay = int(rng.choice([1, 1, 3, 8]))  # a wish that is repeated is there already, or within the band
    return np.repeat(target, stay, axis=0)[: shape[0]]


def _tifs(rng: Rng, shape: tuple[int, ...]) -> IntArray:
    return rng.choice([int(t) for t in TimeInForce], shape, p=[0.6, 0.15, 0.25])


def _orders(rng: Rng, last: FloatArray, account: Account, tick: float) -> OrderTable:
    n, k = last.shape
    bars = rng.integers(0, n, int(rng.choice([4, 20, 80, 200])))
    rows = [_row(rng, last, account, tick, int(bar), int(rng.integers(k))) for bar in bars]
    if rng.random() < 0.3:
        rows += _crowd(rng, last, account, tick)
    return OrderTable.of(rows)


def _row(rng: Rng, last: FloatArray, account: Account, tick: float, bar: int, j: int) -> dict[str, float]:
    price = last[bar : bar + 1, j]
    share = account.leverage * rng.choice([0.02, 0.2, 0.6, 1.5]) * rng.choice([-1.0, 1.0])
    kind = OrderKind(int(rng.choice(6, p=[0.2, 0.2, 0.2, 0.15, 0.15, 0.1])))
    row = {
        "bar": bar, "instrument": j, "kind": kind, "tif": int(_tifs(rng, (1,))[0]),
        "quantity": max(round(abs(share) * CASH / price[0] * 4.0), 1) / 4.0 * np.sign(share),
        "reduce_only": int(rng.random() < 0.2), "oco": int(rng.integers(1, 6)) if rng.random() < 0.4 else 0,
    }  # fmt: skip
    if kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT, OrderKind.TAKE):
        row["limit"] = _near(rng, price, tick)[0]
    if kind in (OrderKind.STOP, OrderKind.STOP_LIMIT):
        row["trigger"] = _near(rng, price, tick)[0]
    if kind is OrderKind.TRAILING:
        row["trail"] = rng.choice([0.02, 0.05, 0.0625, 0.125])
    if rng.random() < 0.4:
        row |= {name: values[0] for name, values in _bracket(rng, price, tick, 0.6).items()}
    return row


def _crowd(rng: Rng, last: FloatArray, account: Account, tick: float) -> list[dict[str, float]]:
    """Return more limits at one close than may work at a time, most of them far away."""
    bar, j = int(rng.integers(last.shape[0] // 2)), int(rng.integers(last.shape[1]))
    rows = [_row(rng, last, account, tick, bar, j) for _ in range(int(rng.integers(10, 24)))]
    far = last[bar, j] * 0.6
    plain = {"kind": OrderKind.LIMIT, "trigger": np.nan, "trail": np.nan, "tif": TimeInForce.GTC}
    limits = [max(far - i * tick / 8, tick / 8) for i in range(len(rows))]
    return [row | plain | {"quantity": abs(row["quantity"]), "limit": at} for row, at in zip(rows, limits, strict=True)]
