"""Findings about dividends and splits: what they say against what the prices did.

An adjusted close is the close times a factor; the factor steps on the day a dividend ``d`` goes off, from
``1 - d / close of the day before`` to 1, and nowhere else. The close of a series that says it is adjusted for splits
steps at no split; a raw one steps at each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns import Finding
from forecastle.nouns.candles import Adjusted

FloatArray = npt.NDArray[np.float64]

_SLACK = 0.002
"""Log difference of a factor that rounding may make."""
_NEAR = 10
"""Bars that a split and its event may lie apart."""
_TWICE = 10
"""Bars within which the same dividend does not come again."""
_LARGE = 0.05
"""Share of the price above which a dividend has to show in it."""


@dataclass(frozen=True)
class _Actions:
    """Arrays of shape (n,), oldest first; the events are 0 where there is none."""

    times: pl.Series
    close: FloatArray
    adjusted: FloatArray
    dividend: FloatArray
    split: FloatArray

    @property
    def step(self) -> FloatArray:
        """Return the log step of the factor into each bar; positive where the past was adjusted downwards."""
        factor = np.log(self.adjusted / self.close)
        return np.concatenate([np.zeros(1), np.diff(factor)])

    @property
    def due(self) -> FloatArray:
        """Return the log step that the dividend of each bar asks for; infinite where it exceeds the price."""
        before = np.concatenate([self.close[:1], self.close[:-1]])
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(-np.log(np.maximum(1.0 - self.dividend / before, 0.0)))


def inspect_actions(frame: pl.DataFrame, adjusted: Adjusted = "splits") -> tuple[Finding, ...]:
    """Return the findings about ``frame`` with the columns ``open_time close adj_close dividend split``, in any order.

    ``close`` is in the state ``adjusted`` says; ``dividend`` (in money) and ``split`` (shares for one) are 0 or null
    where there is none. Rows without a positive close or adjusted close are left out.

    Kinds: ``missing_dividend`` (a dividend nobody adjusted for), ``doubled_dividend`` (adjusted for more than it was,
    or told twice), ``wrong_dividend`` (of another size or unit than what was adjusted for, or too large for what the
    price did), ``missing_event`` (an adjustment without an event), ``wrong_split`` (a step of the price where there
    should be none, or none where there should be one).
    """
    usable = pl.col("close").gt(0) & pl.col("adj_close").gt(0)
    rows = frame.filter(usable.fill_null(value=False)).sort("open_time")
    if rows.height < 2:
        return ()
    events = {c: rows[c].fill_null(0.0).fill_nan(0.0).to_numpy() for c in ("dividend", "split")}
    prices = {"close": rows["close"].to_numpy(), "adjusted": rows["adj_close"].to_numpy()}
    actions = _Actions(rows["open_time"], **prices, **events)
    found: dict[str, list[tuple[int, str]]] = {}
    for place in map(int, np.flatnonzero((actions.dividend > 0) & (np.arange(rows.height) > 0))):
        if told := _dividend(actions, place):
            found.setdefault(told[0], []).append((place, told[1]))
    for place in map(int, np.flatnonzero(np.abs(actions.step) > 5 * _SLACK)):
        if actions.dividend[place] == 0 and actions.split[place] == 0:
            words = f"the adjusted close steps by {_percent(actions.step[place])} against the close without an event"
            found.setdefault("missing_event", []).append((place, words))
    for place in map(int, np.flatnonzero((actions.split > 0) & (actions.split != 1))):
        if wrong := _split(actions, place, adjusted):
            found.setdefault("wrong_split", []).append((place, wrong))
    return tuple(
        Finding(kind, "suspicious", len(places), str(actions.times[places[0][0]]), places[0][1])
        for kind, places in found.items()
    )


def _dividend(actions: _Actions, place: int) -> tuple[str, str] | None:
    """Return (kind, words) of what is wrong with the dividend at ``place``."""
    size, due, step = actions.dividend[place], float(actions.due[place]), float(actions.step[place])
    recent = actions.dividend[max(0, place - _TWICE) : place]
    again = recent[(recent > 0) & (np.abs(np.log(np.where(recent > 0, recent, 1.0) / size)) < 0.2)]
    made = (1.0 - math.exp(-step)) * actions.close[place - 1]
    words = f"a dividend of {size:g}, and the prices before are adjusted for {made:.4g}"
    if again.size:
        return "doubled_dividend", f"a dividend of {size:g} a few bars after one of {again[-1]:g}"
    if abs(step) <= _SLACK < due and made < 0.005 * size:
        return "missing_dividend", words
    if abs(step - due) > _SLACK + 0.05 * due:
        return ("doubled_dividend" if _more_than_due(made, size) else "wrong_dividend"), words
    return _too_large(actions, place, due)


def _more_than_due(made: float, size: float) -> bool:
    """Return whether somewhat more was adjusted for than the dividend: a part counts twice. Ten times is a unit."""
    return 1.02 < made / size < 4.0


def _too_large(actions: _Actions, place: int, due: float) -> tuple[str, str] | None:
    """Return that the price does not show a dividend that it would have to show."""
    moves = np.abs(np.diff(np.log(actions.close)))
    ordinary = float(np.median(moves)) * 1.48 if moves.size else 0.0
    fall = -math.log(actions.close[place] / actions.close[place - 1])
    if due < max(_LARGE, 4.0 * ordinary) or fall >= 0.5 * due:
        return None
    share = f"{100.0 * actions.dividend[place] / actions.close[place - 1]:.0f} %"
    words = f"a dividend of {actions.dividend[place]:g} is {share} of the price, and the price moved {_percent(-fall)}"
    return "wrong_dividend", words


def _split(actions: _Actions, place: int, adjusted: Adjusted) -> str | None:
    """Return what is wrong about the prices around the split at ``place``."""
    ratio = math.log(actions.split[place])
    moves = np.concatenate([np.zeros(1), np.diff(np.log(actions.close))])
    near = slice(max(1, place - _NEAR), place + _NEAR + 1)
    distance = np.abs(np.abs(moves[near]) - abs(ratio))
    tolerance = max(0.1 * abs(ratio), 0.03)
    steps = bool(distance.size) and float(distance.min()) <= tolerance
    of = f"{actions.split[place]:g} for 1"
    if adjusted == "none":
        return None if steps else f"a split of {of}, and the price steps nowhere near it"
    if not steps:
        return None
    at = actions.times[near.start + int(distance.argmin())]
    return f"the split of {of} on {actions.times[place]:%Y-%m-%d} shows as a step of the price on {at:%Y-%m-%d}"


def _percent(log_return: float) -> str:
    return f"{100.0 * math.expm1(log_return):+.1f} %"
