"""The audit of strategies: honest ones are clean, and cheats that look at the future are found, ten of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import forecastle as fc
from forecastle.app.strategy_leaks import check_strategy
from forecastle.nouns.seen import Seen, Wish
from forecastle.requests import StrategyLeaksRequest
from forecastle.sources.simulated import Simulated
from forecastle.workspace import Workspace
from trading import request, with_index

FloatArray = npt.NDArray[np.float64]
CUTS = 40
HONEST: dict[str, dict[str, Any]] = {
    "crossover": {"strategy": {"name": "crossover", "fast": 10, "slow": 50, "short": True}},
    "ema": {"strategy": {"name": "crossover", "fast": 10, "slow": 50, "average": "ema"}},
    "rsi": {"strategy": {"name": "rsi_reversion", "low": 40.0}},
    "breakout": {"strategy": {"name": "breakout", "trail": 0.05}},
    "volatility": {"strategy": "volatility_target"},
    "sized": {"strategy": {"name": "crossover", "fast": 10, "slow": 50}, "sizing": "volatility_target"},
    "kelly": {"strategy": {"name": "crossover", "fast": 10, "slow": 50}, "sizing": {"name": "kelly", "window": 60}},
    "rules": {"strategy": {"name": "rules", "enter": ["close crosses_above sma_20"], "stop": 0.03, "take": 0.05},
              "sizing": "risk"},
    "hold": {"strategy": "hold", "execution": {"close_at_end": True}},
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_honest_strategies_are_clean(workspace: Workspace, tmp_path: Path, name: str) -> None:
    asked = request(tmp_path, **{"account": {"kind": "cross"}, **HONEST[name]})
    (report,) = check_strategy(with_index(workspace), StrategyLeaksRequest(config=asked.config, bars=300, cuts=CUTS))
    assert report.clean, report.findings
    assert report.cuts >= CUTS // 2
    assert report.columns >= 4


def test_a_model_that_learns_of_the_past_is_clean(workspace: Workspace, tmp_path: Path) -> None:
    asked = request(
        tmp_path, strategy={"name": "model", "cost_multiple": 0.0}, walk_forward={"count": 3, "start": 0.4},
        training={"learners": ["logistic"], "features": {"columns": ["log_return_1", "rsi_14"]}},
    )  # fmt: skip
    reports = check_strategy(with_index(workspace), StrategyLeaksRequest(config=asked.config, bars=300, cuts=10))
    assert len(reports) == 2
    assert all(r.clean for r in reports), [r.findings for r in reports]


class Cheat:
    """A strategy that holds where a score, one number a close, is above zero."""

    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        raise NotImplementedError

    def wish(self, seen: Seen) -> Wish:
        score = self.score(seen.market.close[:, 0], seen.market.high[:, 0])
        return Wish(np.where(score > 0.0, 1.0, 0.0).reshape(-1, 1))


class Tomorrow(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        return np.append(close[1:], close[-1]) - close


class CentredMean(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        return np.convolve(close, np.ones(5) / 5, mode="same") - close


class WholeScore(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        return np.asarray((close - close.mean()) / (close.std() + 1e-9))


class BelowTheTop(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        return np.asarray(0.9 * close.max() - close)


class Backfilled(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        mean = np.convolve(close, np.ones(20) / 20)[: close.size]
        mean[:19] = mean[19] if close.size > 19 else 0.0
        return np.asarray(close - mean, dtype=np.float64)


class TowardsTheEnd(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        return np.asarray(close[-1] - close, dtype=np.float64)


class ByLength(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        return np.arange(close.size, dtype=np.float64) - close.size / 2


class NextHigh(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        return np.append(high[1:], high[-1]) - 1.01 * close


class Ranked(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        return 0.5 - np.argsort(np.argsort(close)) / close.size


class Smoothed(Cheat):
    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        spectrum = np.fft.rfft(np.log(close))
        spectrum[20:] = 0.0
        return np.gradient(np.fft.irfft(spectrum, close.size)) if close.size > 2 else np.zeros(close.size)


class BarEarly(Cheat):
    """An honest signal, written one row too early."""

    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        momentum = close - np.concatenate([np.full(min(5, close.size), close[0]), close[:-5]])[: close.size]
        return np.append(momentum[1:], 0.0)


class LowestYet(Cheat):
    """The future as the least price to come."""

    def score(self, close: FloatArray, high: FloatArray) -> FloatArray:
        return np.minimum.accumulate(close[::-1])[::-1] - 0.97 * close


CHEATS = (Tomorrow, CentredMean, WholeScore, BelowTheTop, Backfilled, TowardsTheEnd, ByLength, NextHigh, Ranked,
          Smoothed, BarEarly, LowestYet)  # fmt: skip


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda c: c.__name__)
def test_cheats_are_found(cheat: type[Cheat]) -> None:
    candles = Simulated().fetch(fc.Instrument.parse("BTC-USDT"), "1d", None, None).last(260)
    report = fc.check_leaks(candles, cheat(), cuts=60)
    assert not report.clean, f"{cheat.__name__} looked at the future and was not found"
    assert any(f.column.startswith("wish") for f in report.findings)


def test_a_class_that_decides_is_clean() -> None:
    class Reverts:
        needs = ("rsi_7",)

        def decide(self, view: object) -> fc.Signal | None:
            rsi = view["rsi_7"][-1]  # type: ignore[index]
            if rsi < 40:
                return fc.Signal(1.0, stop_share=0.05)
            return fc.Signal(0.0) if rsi > 60 else None

    candles = Simulated().fetch(fc.Instrument.parse("BTC-USDT"), "1d", None, None).last(150)
    assert fc.check_leaks(candles, Reverts(), cuts=15).clean
