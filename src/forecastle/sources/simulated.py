"""Made-up candles with the habits of a market: GARCH-t volatility, two regimes, jumps.

Seeded by instrument, timeframe and seed, and generated from a fixed origin, so that a longer range only adds rows. The
source is called ``simulated`` on every row, and every face says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from forecastle.errors import RequestInvalid
from forecastle.nouns import Candles, Instrument
from forecastle.nouns.instrument import SIMULATED
from forecastle.ports import Page, SourceFacts
from forecastle.sessions import Timeframe, calendar, is_intraday

FloatArray = npt.NDArray[np.float64]

STEPS = 12
"""Prices drawn inside a bar; they make its high and low."""
NU = 5.0
ALPHA, BETA = 0.08, 0.90
REGIME_SIGMA = (0.7, 1.6)
"""Times the instrument's usual volatility: calm, nervous."""
REGIME_STAY = (0.995, 0.98)
JUMP_CHANCE, JUMP_SIGMA = 0.004, 4.0
DAILY_SIGMA = {"pair": 0.035, "perpetual": 0.035, "stock": 0.018, "index": 0.011}
FACTS = SourceFacts(
    "Made-up candles", "none", "ohlc", "unknown", "days from 2010, hours from 2018, minutes from 2024",
    "none: drawn on this machine by a seed", "none: nobody's data",
)  # fmt: skip


class _Path(NamedTuple):
    opens: FloatArray
    highs: FloatArray
    lows: FloatArray
    closes: FloatArray
    volumes: FloatArray


@dataclass(frozen=True)
class Simulated:
    """Candles of any instrument by a seed. Known truth: sigma of every bar can be had from :meth:`sigmas`."""

    seed: int = 0

    @property
    def name(self) -> str:
        """Return the name every row carries: it holds the seed, so that two seeds never mix in one series."""
        return SIMULATED if self.seed == 0 else f"{SIMULATED}-{self.seed}"

    @property
    def facts(self) -> SourceFacts:
        """Return the units and limits of this source."""
        return FACTS

    def pages(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Iterator[Page]:
        """Yield all of it in one page; nothing where no bar lies in the range. Raises as :meth:`fetch` does."""
        candles = self.fetch(instrument, timeframe, start, end)
        if len(candles):
            yield Page(candles.frame, start or candles.start, candles.end)

    def fetch(
        self, instrument: Instrument, timeframe: Timeframe, start: datetime | None, end: datetime | None
    ) -> Candles:
        """Return the bars that open at or after ``start`` and close at or before ``end``.

        The series starts in 2010 (hours 2018, minutes 2024); without ``end`` it covers eight years, a year, a month,
        and nothing comes after. Raises ``RequestInvalid`` where ``start`` is not before ``end``.
        """
        if start and end and start >= end:
            raise RequestInvalid(f"{start} is not before {end}.", "A range runs from early to late.", "Swap them.")
        origin, usual = _span(timeframe)
        stop = _naive(end) if end else origin + usual
        opens, closes = calendar(instrument.calendar).bars(origin, stop, timeframe)
        path = self._simulate(instrument, timeframe, opens.size)
        columns = {
            "open_time": opens, "close_time": closes, "open": path.opens, "high": path.highs,
            "low": path.lows, "close": path.closes, "volume": path.volumes,
        }  # fmt: skip
        return Candles.from_columns(instrument, timeframe, self.name, columns, "none").between(start, end)

    def sigmas(self, instrument: Instrument, timeframe: Timeframe, n: int) -> FloatArray:
        """Return the true volatility of the first ``n`` bars, jumps left out, in decimals."""
        return self._volatility(instrument, timeframe, n)[0]

    def seeded(self, seed: int) -> Simulated:
        """Return the same source with another seed."""
        return replace(self, seed=seed)

    def _streams(self, instrument: Instrument, timeframe: Timeframe) -> list[np.random.Generator]:
        """Return one generator for each kind of draw: a longer path then begins with the shorter one."""
        key = hashlib.sha256(f"{instrument.id}|{timeframe}|{self.seed}".encode()).digest()
        children = np.random.SeedSequence(int.from_bytes(key[:16], "big")).spawn(6)
        return [np.random.default_rng(child) for child in children]

    def _volatility(self, instrument: Instrument, timeframe: Timeframe, n: int) -> tuple[FloatArray, FloatArray]:
        """Return (sigma, return) of each bar."""
        shocks, regimes, jump_times, jump_sizes, *_ = self._streams(instrument, timeframe)
        market = calendar(instrument.calendar)
        usual = DAILY_SIGMA[instrument.kind] * np.sqrt(
            market.periods_per_year("1d") / market.periods_per_year(timeframe)
        )
        z = shocks.standard_t(NU, n) * np.sqrt((NU - 2.0) / NU)
        switch = regimes.random(n)
        jumps = np.where(jump_times.random(n) < JUMP_CHANCE, jump_sizes.standard_normal(n) * JUMP_SIGMA * usual, 0.0)
        sigma, r = np.empty(n), np.empty(n)
        regime, variance = 0, 1.0
        for t in range(n):
            if switch[t] > REGIME_STAY[regime]:
                regime = 1 - regime
            sigma[t] = usual * REGIME_SIGMA[regime] * np.sqrt(variance)
            r[t] = sigma[t] * z[t]
            variance = (1.0 - ALPHA - BETA) + (ALPHA * z[t] ** 2 + BETA) * variance
        return sigma, r + jumps

    def _simulate(self, instrument: Instrument, timeframe: Timeframe, n: int) -> _Path:
        """Return prices: inside each bar a random walk pinned to the bar's return (a Brownian bridge)."""
        sigma, r = self._volatility(instrument, timeframe, n)
        *_, inside, trades = self._streams(instrument, timeframe)
        steps = inside.standard_normal((n, STEPS)) * (sigma / np.sqrt(STEPS))[:, None]
        walk = np.cumsum(steps, axis=1)
        bridge = walk + np.linspace(1 / STEPS, 1, STEPS) * (r - walk[:, -1])[:, None]
        closes_log = np.log(100.0) + np.cumsum(r)
        opens_log = np.r_[np.log(100.0), closes_log][:-1]
        highs = np.exp(opens_log + np.maximum(bridge.max(axis=1), 0.0))
        lows = np.exp(opens_log + np.minimum(bridge.min(axis=1), 0.0))
        opens, closes = np.exp(opens_log), np.exp(closes_log)
        volumes = 1e4 * np.exp(0.3 * trades.standard_normal(n)) * (1.0 + np.abs(r) / sigma)
        # exp(log) can end one rounding outside the body
        return _Path(
            opens, np.maximum.reduce([highs, opens, closes]), np.minimum.reduce([lows, opens, closes]), closes, volumes
        )


def _span(timeframe: Timeframe) -> tuple[np.datetime64, np.timedelta64]:
    day = np.timedelta64(1, "D")
    if timeframe.endswith("m"):
        return np.datetime64("2024-01-01", "us"), 31 * day
    if is_intraday(timeframe):
        return np.datetime64("2018-01-01", "us"), 365 * day
    return np.datetime64("2010-01-01", "us"), 2922 * day


def _naive(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
