"""The backtest engine against its twin on many random markets, other ones each time."""

from __future__ import annotations

import random
from collections.abc import Callable

from backtest.test_backtest_twin import PARTS, pair_of

Tally = Callable[..., None]
EACH = 5
"""Markets a round: ``make torture`` compares five thousand."""


def test_the_loop_does_what_the_twin_does_on_other_markets(rounds: int, tally: Tally) -> None:
    first = random.randrange(2**32)
    for seed in range(first, first + EACH * rounds):
        pair = pair_of(seed)
        assert [part for part, same in PARTS.items() if not same(pair)] == [], f"seed {seed}"
        tally("random market traded by the backtest engine and its twin")
        tally("bar of those", len(pair.ours.equity))
