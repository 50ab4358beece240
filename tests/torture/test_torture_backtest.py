"""The backtest engine against its twin on thousands of random markets."""

from __future__ import annotations

from collections.abc import Callable

from backtest.test_backtest_twin import PARTS, SEEDS, pair_of

Tally = Callable[..., None]
EACH = 5
"""Markets a round: ``make torture`` compares five thousand."""
CANCELS = 1e-9
"""Of the cash. With much leverage and no costs each trade makes noise larger, as it does everything; and the markets
are the same each time, for one in ten thousand comes to a tie on paper that the last digit decides."""


def test_the_loop_does_what_the_twin_does_on_many_markets(rounds: int, tally: Tally) -> None:
    for seed in range(SEEDS.stop, SEEDS.stop + EACH * rounds):
        pair = pair_of(seed, CANCELS)
        assert [part for part, same in PARTS.items() if not same(pair)] == [], f"seed {seed}"
        tally("random market traded by the backtest engine and its twin")
        tally("bar of those", len(pair.ours.equity))
