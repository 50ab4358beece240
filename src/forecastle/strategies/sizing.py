"""How much: from the direction of a wish to a target that orders are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.errors import RequestInvalid
from forecastle.nouns.seen import Seen, Wish
from forecastle.nouns.signal import Signals

FloatArray = npt.NDArray[np.float64]


def _positive(**settings: float) -> None:
    for name, value in settings.items():
        if not (np.isfinite(value) and value > 0.0):
            raise RequestInvalid(f"{name} is {value:g}.", "It is finite and above zero.", "Mend it.")


def _bracket(wish: Wish) -> dict[str, Any]:
    return {name: getattr(wish, name) for name in ("stop_share", "take_share", "trail_share")}


def on_changes(direction: FloatArray) -> FloatArray:
    """Return the direction where it is another than at the last close it was known at, else NaN, (bars, instruments).

    What was stopped out is not bought again until the strategy has been of another mind.
    """
    made = np.full(direction.shape, np.nan)
    for j in range(direction.shape[1]):
        rows = np.flatnonzero(np.isfinite(direction[:, j]))
        values = direction[rows, j]
        changed = np.concatenate([[True], values[1:] != values[:-1]]) if rows.size else np.zeros(0, dtype=np.bool_)
        if rows.size and values[0] == 0.0:
            changed[0] = False
        made[rows[changed], j] = values[changed]
    return made


@dataclass(frozen=True)
class Fraction:
    """``weight`` of the equity, shared evenly among the instruments, set when the direction changes.

    With ``rebalance`` it is set anew at every close (and ``execution.band`` says from which difference on).
    """

    weight: float = 1.0
    rebalance: bool = False

    def __post_init__(self) -> None:
        _positive(weight=self.weight)

    def size(self, wish: Wish, seen: Seen) -> Signals:
        """Return the signals of a wish."""
        direction = wish.direction if self.rebalance else on_changes(wish.direction)
        return Signals(direction * self.weight / direction.shape[1], "weight", **_bracket(wish))


@dataclass(frozen=True)
class Units:
    """A fixed number of units of each instrument."""

    units: float = 1.0

    def __post_init__(self) -> None:
        _positive(units=self.units)

    def size(self, wish: Wish, seen: Seen) -> Signals:
        """Return the signals of a wish."""
        return Signals(on_changes(wish.direction) * self.units, "units", **_bracket(wish))


@dataclass(frozen=True)
class Cash:
    """A fixed amount of money in each instrument, at the price of the decision."""

    cash: float = 10_000.0

    def __post_init__(self) -> None:
        _positive(cash=self.cash)

    def size(self, wish: Wish, seen: Seen) -> Signals:
        """Return the signals of a wish."""
        return Signals(on_changes(wish.direction) * self.cash, "cash", **_bracket(wish))


@dataclass(frozen=True)
class VolatilityTarget:
    """As much as gives a volatility of ``annual`` a year (decimals), at most ``cap`` of the equity, at every close.

    ``weight = direction * min(annual / (sigma sqrt(periods a year)), cap) / instruments``; nothing where sigma is not
    known.
    """

    annual: float = 0.2
    cap: float = 1.0

    def __post_init__(self) -> None:
        _positive(annual=self.annual, cap=self.cap)

    def size(self, wish: Wish, seen: Seen) -> Signals:
        """Return the signals of a wish."""
        yearly = seen.volatility * np.sqrt(seen.periods_per_year)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(yearly > 0.0, np.minimum(self.annual / yearly, self.cap), np.nan)
        return Signals(wish.direction * share / share.shape[1], "weight", **_bracket(wish))


@dataclass(frozen=True)
class Kelly:
    """A ``fraction`` of Kelly's share, ``mean / variance`` of the returns of the wish itself, at most ``cap``.

    Mean and variance are those of the last ``window`` returns that the direction would have earned, up to the close;
    nothing before there are so many, nothing where the mean is not above zero. Source: Kelly (1956), Bell System
    Technical Journal 35, 917-926; Thorp (2006), for a continuous market.
    """

    fraction: float = 0.5
    cap: float = 1.0
    window: int = 250

    def __post_init__(self) -> None:
        _positive(fraction=self.fraction, cap=self.cap)
        if self.window < 20:
            raise RequestInvalid(f"window is {self.window}.", "A mean of fewer than 20 returns is noise.", "Try 250.")

    def size(self, wish: Wish, seen: Seen) -> Signals:
        """Return the signals of a wish."""
        shares = np.column_stack([self._shares(wish.direction[:, j], seen.market.close[:, j])
                                  for j in range(wish.direction.shape[1])])  # fmt: skip
        return Signals(wish.direction * shares / shares.shape[1], "weight", **_bracket(wish))

    def _shares(self, direction: FloatArray, close: FloatArray) -> FloatArray:
        rows = np.flatnonzero(np.isfinite(close))
        share = np.full(close.size, np.nan)
        if rows.size <= self.window:
            return share
        price = close[rows]
        earned = np.nan_to_num(direction[rows[:-1]]) * (price[1:] / price[:-1] - 1.0)
        # what a wish of the close before earned is known at this close
        windows = np.lib.stride_tricks.sliding_window_view(earned, self.window)
        mean, variance = windows.mean(axis=1), windows.var(axis=1, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(variance > 0.0, np.clip(self.fraction * mean / variance, 0.0, self.cap), 0.0)
        share[rows[self.window :]] = found
        return share


@dataclass(frozen=True)
class Risk:
    """So much that the stop loses ``risk`` of the equity: ``weight = risk / distance of the stop``, at most ``cap``.

    The strategy has to set a stop; the distance is a share of the price, so that a gap through it can lose more.
    """

    risk: float = 0.01
    cap: float = 1.0

    def __post_init__(self) -> None:
        _positive(risk=self.risk, cap=self.cap)

    def size(self, wish: Wish, seen: Seen) -> Signals:
        """Return the signals of a wish; raises ``RequestInvalid`` for one without stops."""
        distance = wish.stop_share if wish.stop_share is not None else wish.trail_share
        if distance is None:
            raise RequestInvalid("The strategy sets no stop.", "The risk of a trade is the distance to it.",
                                 "Give it a stop, or choose another sizing.")  # fmt: skip
        direction = on_changes(wish.direction)
        return Signals(direction * np.minimum(self.risk / distance, self.cap) / direction.shape[1], "weight",
                       **_bracket(wish))  # fmt: skip
