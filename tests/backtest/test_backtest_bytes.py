"""The same input is the same bytes: compiled or not, in any process, with any threads, in pieces or in one go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backtest.bytes_made import digest, digests
from backtest.markets_made import random_case
from forecastle.backtest import Account, Costs, Execution, Run, _book, simulate
from forecastle.backtest._book import Book
from forecastle.nouns.market import Market
from forecastle.nouns.signal import Signals

TESTS = Path(__file__).parents[1]
SEEDS = range(700, 715)


def _elsewhere(**environment: str) -> list[str]:
    """Return the digests that another process comes to."""
    named = {**os.environ, "PYTHONPATH": str(TESTS), **environment}
    command = [sys.executable, "-W", "error", "-m", "backtest.bytes_made", str(SEEDS.start), str(SEEDS.stop)]
    done = subprocess.run(command, env=named, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def here() -> list[str]:
    return digests(SEEDS)


def test_the_digest_sees_a_single_bit() -> None:
    out = simulate(*random_case(SEEDS.start))
    before = digest(out)
    assert digest(out) == before
    out.equity[-1] = np.nextafter(out.equity[-1], np.inf)
    assert digest(out) != before


def test_cases_differ(here: list[str]) -> None:
    assert len(set(here)) == len(SEEDS)


def test_the_interpreted_loop_agrees_to_the_bit(here: list[str]) -> None:
    """Python's own floats, one operation after the other: nothing was fused or reordered by the compiler."""
    assert _elsewhere(NUMBA_DISABLE_JIT="1") == here


@pytest.mark.parametrize(("hashing", "threads"), [("0", "1"), ("4242", "2")])
def test_processes_agree_to_the_bit(here: list[str], hashing: str, threads: str) -> None:
    assert _elsewhere(PYTHONHASHSEED=hashing, NUMBA_NUM_THREADS=threads) == here


@pytest.mark.parametrize("seed", range(720, 735))
def test_bar_by_bar_is_one_go(seed: int) -> None:
    case = random_case(seed)
    run = Run(*case)
    for bar in range(len(case[0])):
        run.until(bar + 1)
        position, equity = run.state(bar)
        assert equity == run.path.equity[bar]
        np.testing.assert_array_equal(position, run.path.position[bar])
    assert digest(run.result()) == digest(simulate(*case))


@pytest.mark.parametrize("seed", range(740, 750))
def test_what_is_wished_bar_by_bar_is_what_was_wished_before(seed: int) -> None:
    """A strategy writes its wish after the close and has it decided: the same as if it had stood there."""
    market, signals, account, costs, execution, _, sigma = random_case(seed)
    if signals is None:
        signals = Signals(np.where(np.arange(len(market)) % 3 == 0, 0.5, np.nan)[:, None].repeat(len(market.names), 1))
    blank = np.full_like(signals.target, np.nan)
    later = Signals(blank, **{k: v for k, v in vars(signals).items() if k != "target"})
    run = Run(market, later, account, costs, execution, sigma=sigma)
    for bar in range(len(market)):
        run.until(bar + 1)
        run.wishes.target[bar] = signals.target[bar]
        run.decide(bar)
    assert digest(run.result()) == digest(simulate(market, signals, account, costs, execution, None, sigma))


@pytest.mark.parametrize("seed", range(750, 765))
def test_a_book_that_grows_many_times_is_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A book that begins with nothing and gets seven rows more each time holds what a large one does."""
    case, times = random_case(seed), 0
    once, enlarged = digest(simulate(*case)), _book.enlarged

    def a_little(book: Book, orders: int, fills: int) -> Book:
        nonlocal times
        times += 1
        assert min(orders, fills) > 7
        return enlarged(book, 7, 7)

    monkeypatch.setattr(_book, "enlarged", a_little)
    run = Run(*case)
    run.book = run.book._replace(order=run.book.order[:0].copy(), fill=run.book.fill[:0].copy())
    run.until(len(case[0]))
    assert times >= _book.EVENTS * len(case[0].names) // 7
    assert digest(run.result()) == once


def test_a_long_run_outgrows_its_first_book() -> None:
    """By itself: one more, one less, one more, 6,000 times, and a new stop and take at every second fill."""
    n = 6000
    market = Market.of_arrays({name: np.full(n, 100.0) for name in ("open", "high", "low", "close", "volume")})
    units = np.arange(n, dtype=np.float64).reshape(-1, 1) % 2 + 1.0
    signals = Signals(units, "units", stop=np.full((n, 1), 50.0), take=np.full((n, 1), 200.0))
    run = Run(market, signals, Account(1000.0), Costs(), Execution())
    orders, fills = run.book.order.shape[0], run.book.fill.shape[0]
    run.until(n)
    # all but the last wish are filled; those of 2 units (of 3,000 the last is not) and the first made a stop and a take
    out = run.result()
    assert len(out.fills) == n - 1 > fills
    assert len(out.orders) == n + 2 * n // 2 > orders
    assert out.equity.tolist() == [1000.0] * n
