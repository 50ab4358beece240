"""Rules declared in a configuration: comparisons of columns and numbers, read by a small grammar, never run as code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecastle.errors import NameUnknown, RequestInvalid
from forecastle.nouns.seen import Seen, Wish
from forecastle.strategies._states import held_between, unknown_until

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
WORDS = ("<", ">", "<=", ">=", "crosses_above", "crosses_below")
PRICES = ("open", "high", "low", "close", "volume")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?([eE]-?\d+)?$")
_NAME = re.compile(r"^[a-z][a-z0-9_.]*$")


class Condition(NamedTuple):
    """A comparison of two sides: columns by name, or numbers."""

    left: str
    word: str
    right: str


def condition(text: str) -> Condition:
    """Return a comparison such as ``close > sma_50``; raises ``RequestInvalid``, ``NameUnknown``."""
    parts = text.split()
    if len(parts) != 3 or not all(_NUMBER.match(p) or _NAME.match(p) for p in (parts[0], parts[2])):
        raise RequestInvalid(
            f"'{text}' is no rule.", "A rule is a column or number, a word, and another: close > sma_50.",
            f"Words are {', '.join(WORDS)}; columns are prices and features.",
        )  # fmt: skip
    if parts[1] not in WORDS:
        raise NameUnknown("word of a rule", parts[1], WORDS)
    return Condition(*parts)


@dataclass(frozen=True)
class Rules:
    """Long where all rules of ``enter`` hold, until any of ``leave`` does; ``enter_short`` and ``leave_short`` alike.

    ``stop``, ``take`` and ``trail`` are shares of the fill's price: a stop-loss, a target, a trailing stop.
    """

    enter: tuple[str, ...] | str = ()
    leave: tuple[str, ...] | str = ()
    enter_short: tuple[str, ...] | str = ()
    leave_short: tuple[str, ...] | str = ()
    stop: float | None = None
    take: float | None = None
    trail: float | None = None

    def __post_init__(self) -> None:
        if not self.enter and not self.enter_short:
            raise RequestInvalid("There is no rule of entry.", "Nothing would ever be traded.",
                                 "Give enter, such as [close > sma_50].")  # fmt: skip
        for name in ("enter", "leave", "enter_short", "leave_short"):
            self._of(name)
        for name in ("stop", "take", "trail"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < (10.0 if name == "take" else 1.0):
                raise RequestInvalid(f"{name} is {value:g}.", "It is a share of the price.", "Five per cent are 0.05.")

    def _of(self, name: str) -> list[Condition]:
        rules = getattr(self, name)
        return [condition(rule) for rule in ((rules,) if isinstance(rules, str) else rules)]

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        told = self.enter or self.enter_short
        return f"Rules: {told if isinstance(told, str) else ' and '.join(told)}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the columns it looks at."""
        rules = [c for name in ("enter", "leave", "enter_short", "leave_short") for c in self._of(name)]
        sides = [side for rule in rules for side in (rule.left, rule.right)]
        return tuple(dict.fromkeys(s for s in sides if not _NUMBER.match(s) and s not in PRICES))

    def wish(self, seen: Seen) -> Wish:
        """Return what it would hold after each close."""
        known = np.ones(seen.market.close.shape, dtype=np.bool_)
        for name in self.needs:
            known &= np.isfinite(seen.column(name))
        enter, enter_short = (_all(seen, self._of(name)) for name in ("enter", "enter_short"))
        leave, leave_short = (_any(seen, self._of(name)) for name in ("leave", "leave_short"))
        held = held_between(enter & known, leave & known, enter_short & known, leave_short & known)
        shares = (None if s is None else np.full(known.shape, s) for s in (self.stop, self.take, self.trail))
        return Wish(unknown_until(held, known), *shares)


def _all(seen: Seen, rules: list[Condition]) -> BoolArray:
    found = np.full(seen.market.close.shape, bool(rules))
    for rule in rules:
        found &= _holds(seen, rule)
    return found


def _any(seen: Seen, rules: list[Condition]) -> BoolArray:
    found = np.zeros(seen.market.close.shape, dtype=np.bool_)
    for rule in rules:
        found |= _holds(seen, rule)
    return found


def _holds(seen: Seen, rule: Condition) -> BoolArray:
    left, right = _side(seen, rule.left), _side(seen, rule.right)
    with np.errstate(invalid="ignore"):
        if rule.word in ("<", ">", "<=", ">="):
            compare = {"<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal}[rule.word]
            return np.asarray(compare(left, right))
        above = left > right if rule.word == "crosses_above" else left < right
        not_before = ~above[:-1] & np.isfinite(left[:-1]) & np.isfinite(right[:-1])
    return np.concatenate([np.zeros((1, above.shape[1]), dtype=np.bool_), above[1:] & not_before])


def _side(seen: Seen, text: str) -> FloatArray:
    if _NUMBER.match(text):
        return np.full(seen.market.close.shape, float(text))
    return seen.column(text)
