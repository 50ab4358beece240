"""What a strategy of one's own sees at a close: the past and its own account; the future is not there to be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from forecastle.backtest.account import Account
from forecastle.backtest.costs import Costs
from forecastle.backtest.engine import BESIDE, Run
from forecastle.backtest.execution import Execution
from forecastle.backtest.simulated import Simulated
from forecastle.errors import NameUnknown, RequestInvalid
from forecastle.nouns.market import Market
from forecastle.nouns.order import OrderKind, TimeInForce
from forecastle.nouns.signal import Signal, Signals

FloatArray = npt.NDArray[np.float64]
PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, eq=False)
class View:
    """The market up to and with the close of bar ``bar``; every array ends there and can only be read.

    ``open high low close volume`` and the columns have shape (bars so far,) for one instrument, else (bars so far,
    instruments). ``position`` in units, ``equity`` in the quote currency, as they are at this close. The arrays are
    parts of buffers in which nothing later has been written yet.
    """

    bar: int
    now: np.datetime64
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    position: FloatArray
    equity: float
    columns: Mapping[str, FloatArray]

    def __getitem__(self, name: str) -> FloatArray:
        """Return a column by its name."""
        return self.columns[name]


@runtime_checkable
class Decides(Protocol):
    """A strategy as a class: asked once at each close."""

    def decide(self, view: View) -> Signal | Sequence[Signal | None] | None:
        """Return the wish, one an instrument where there are several; None for no wish."""
        ...


def decided(
    market: Market,
    strategy: Decides,
    account: Account,
    costs: Costs,
    execution: Execution,
    columns: Mapping[str, FloatArray] | None = None,
    sigma: FloatArray | None = None,
) -> tuple[Simulated, Signals]:
    """Trade what a strategy decides bar by bar, and return what it wished beside what came of it.

    ``columns`` have shape (bars, instruments). A bar is shown only once all bars before it are traded. Raises what the
    strategy raises, ``RequestInvalid`` or ``NameUnknown`` for a wish that cannot be read.
    """
    n, k = len(market), len(market.names)
    signals = _blank(n, k)
    run = Run(market, signals, account, costs, execution, sigma=sigma)
    shown = _Buffers(market, columns or {})
    for bar in range(n):
        run.until(bar + 1)
        answer = strategy.decide(shown.view(bar, run))
        many: Sequence[Signal | None] = [answer] if answer is None or isinstance(answer, Signal) else answer
        if answer is not None and len(many) != k:
            raise RequestInvalid(f"The strategy answered {len(many)} wishes.", f"There are {k} instruments.",
                                 "Answer one a piece, None for none.")  # fmt: skip
        for j, wish in enumerate(many if answer is not None else []):
            if wish is not None:
                _write(run.wishes._asdict(), bar, j, wish)
                if wish.reason:
                    signals.reasons[bar] = wish.reason
        run.decide(bar)
    return run.result(), signals


def _blank(n: int, k: int) -> Signals:
    def empty() -> FloatArray:
        return np.full((n, k), np.nan)

    kinds, lives = np.zeros((n, k), dtype=np.int64), np.zeros((n, k), dtype=np.int64)
    beside: dict[str, Any] = {name: empty() for name in BESIDE if name not in ("kind", "tif")}
    return Signals(empty(), "weight", kind=kinds, tif=lives, **beside)


def _write(arrays: Mapping[str, object], bar: int, j: int, wish: Signal) -> None:
    kinds = {kind.name.lower(): int(kind) for kind in OrderKind if kind < OrderKind.TRAILING}
    lives = {tif.name.lower(): int(tif) for tif in TimeInForce}
    if wish.kind not in kinds:
        raise NameUnknown("kind of order", wish.kind, kinds)
    if wish.tif.lower() not in lives:
        raise NameUnknown("time in force", wish.tif, lives)
    needs = {"limit": wish.kind in ("limit", "stop_limit"), "trigger": wish.kind in ("stop", "stop_limit")}
    for name, needed in needs.items():
        if needed and getattr(wish, name) is None:
            raise RequestInvalid(f"A {wish.kind} order has no {name}.", "It fires at a price.", f"Give {name}.")
    if not np.isfinite(wish.weight):
        raise RequestInvalid(
            f"The weight wished is {wish.weight}.", "It is a finite share of equity.", "None wishes nothing."
        )
    values = {
        "target": wish.weight, "kind": kinds[wish.kind], "tif": lives[wish.tif.lower()],
        **{name: getattr(wish, name) for name in BESIDE if name not in ("kind", "tif")},
    }  # fmt: skip
    for name, value in values.items():
        if value is not None:
            arrays[name][bar, j] = value  # type: ignore[index]


class _Buffers:
    """Copies of the market that are filled bar by bar: what lies behind a view holds nothing of later bars."""

    def __init__(self, market: Market, columns: Mapping[str, FloatArray]) -> None:
        self._market, self._columns = market, columns
        n, self._k = market.close.shape
        names = [*PRICES, *columns]
        self._held = {name: np.full((n, self._k), np.nan) for name in names}

    def view(self, bar: int, run: Run) -> View:
        """Return the view of a bar after writing it."""
        for name, buffer in self._held.items():
            whole = getattr(self._market, name) if name in PRICES else self._columns[name]
            buffer[bar] = whole[bar]
        shown = {name: self._part(buffer, bar) for name, buffer in self._held.items()}
        prices = {name: shown[name] for name in PRICES}
        position, equity = run.state(bar)
        return View(bar, self._market.close_time[bar], **prices, position=position, equity=equity,
                    columns={name: shown[name] for name in self._columns})  # fmt: skip

    def _part(self, buffer: FloatArray, bar: int) -> FloatArray:
        part = buffer[: bar + 1, 0] if self._k == 1 else buffer[: bar + 1]
        part = part.view()
        part.flags.writeable = False
        return part
