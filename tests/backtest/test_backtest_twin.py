"""The compiled loop against a twin of objects that was written from docs/backtest_rules.md apart from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from backtest import twin
from backtest.markets_made import CASH, random_case
from forecastle.backtest import Simulated, simulate
from forecastle.nouns.order import FillCause, OrderReason, OrderStatus

FloatArray = npt.NDArray[np.float64]
SEEDS = range(250)
RELATIVE = 1e-12
CANCELS = 1e-12
"""Of the cash. What the account can still pay is its equity times its leverage less what it holds: thousands less
thousands, in which nearly nothing may be left. The last digits of the thousands stay, in that quantity and all that
comes of it."""


class Pair(NamedTuple):
    """What the loop and the twin made of a seed."""

    seed: int
    call_at: float
    ours: Simulated
    theirs: Simulated
    noise: float
    """Absolute, of money and quantities."""

    def same(self, ours: FloatArray, theirs: FloatArray) -> bool:
        return ours.shape == theirs.shape and np.allclose(ours, theirs, RELATIVE, self.noise, equal_nan=True)


def pair_of(seed: int, cancels: float = CANCELS) -> Pair:
    case = random_case(seed)
    return Pair(seed, case[2].call_at, simulate(*case), twin.run(*case), cancels * CASH)


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [pair_of(seed) for seed in SEEDS]


def _array(name: str) -> Callable[[Pair], bool]:
    return lambda pair: pair.same(getattr(pair.ours, name), getattr(pair.theirs, name))


def _ratios(pair: Pair) -> bool:
    """Compare maintenance over equity, each with its noise: where little equity is left it is much of it."""
    ours, theirs, equity = pair.ours.margin_ratio, pair.theirs.margin_ratio, np.abs(pair.theirs.equity)
    ruined = np.isinf(theirs)
    share = pair.noise / np.maximum(equity[~ruined], pair.noise)
    noise = theirs[~ruined] * RELATIVE + (1.0 + theirs[~ruined]) * share
    return np.array_equal(np.isinf(ours), ruined) and bool((np.abs(ours[~ruined] - theirs[~ruined]) <= noise).all())


def _costs(pair: Pair) -> bool:
    ours, theirs = dict(pair.ours.costs), dict(pair.theirs.costs)
    return list(ours) == list(theirs) and pair.same(np.array(list(ours.values())), np.array(list(theirs.values())))


def _not_made(pair: Pair) -> bool:
    ours, theirs = ({int(r): n for r, n in out.not_made.items() if n} for out in (pair.ours, pair.theirs))
    return ours == theirs


def _counts(pair: Pair) -> bool:
    """Compare calls and liquidations. A ratio of just ``call_at`` on paper is a call or none by its last digit."""
    ties = int((np.abs(pair.theirs.margin_ratio - pair.call_at) < 1e-9).sum())
    return pair.ours.liquidations == pair.theirs.liquidations and abs(pair.ours.calls - pair.theirs.calls) <= ties


PARTS = {name: _array(name) for name in ("fills", "orders", "equity", "position")}
PARTS |= {"margin_ratio": _ratios, "costs": _costs, "not_made": _not_made, "calls and liquidations": _counts}


@pytest.mark.parametrize("part", PARTS)
def test_the_loop_does_what_the_twin_does(pairs: list[Pair], part: str) -> None:
    assert [pair.seed for pair in pairs if not PARTS[part](pair)] == []


def test_every_way_to_end_and_to_fill_was_met(pairs: list[Pair]) -> None:
    """So that the comparison cannot become empty: whatever the engine has a word for happened, more than once."""
    outs = [pair.ours for pair in pairs]
    statuses = np.concatenate([out.order_column("status") for out in outs])
    causes = np.concatenate([out.column("cause") for out in outs])
    reasons = np.concatenate([out.order_column("reason") for out in outs])
    not_made = np.array([reason for out in outs for reason in out.not_made], dtype=np.float64)
    for kind, found in (
        (OrderStatus, statuses),
        (FillCause, causes),
        (OrderReason, np.concatenate([reasons, not_made])),
    ):
        assert [one.name for one in kind if int((found == int(one)).sum()) < 20] == []


def test_every_cost_and_both_makers_and_takers_were_met(pairs: list[Pair]) -> None:
    paid = {name: sum(pair.ours.costs[name] != 0.0 for pair in pairs) for name in pairs[0].ours.costs}
    assert min(paid.values()) >= 10, paid
    makers = np.concatenate([pair.ours.column("maker") for pair in pairs])
    assert min(int((makers == 0.0).sum()), int((makers == 1.0).sum())) >= 1000
    assert sum(pair.ours.calls for pair in pairs) > sum(pair.ours.liquidations for pair in pairs) > 100
    assert sum(np.isinf(pair.ours.margin_ratio).any() for pair in pairs) >= 1
