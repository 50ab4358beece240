"""Made-up spans, series and logs for the tests of the account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.clock import FixedClock
from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.trials import Trial, TrialLog

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FloatArray = npt.NDArray[np.float64]


def span_of(
    start: str = "2020-01-01", end: str = "2021-01-01", *, instrument: str = "BTC-USDT", timeframe: str = "1d",
    source: str = "binance", data_hash: str = "a" * 64,
) -> DataSpan:  # fmt: skip
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    return DataSpan((instrument,), timeframe, source, first, last, data_hash)


def days(first: str, count: int) -> npt.NDArray[np.datetime64]:
    return np.arange(np.datetime64(first, "us"), count * np.timedelta64(86_400_000_000, "us") + np.datetime64(first),
                     np.timedelta64(86_400_000_000, "us"))  # fmt: skip


def log_of(home: Path) -> TrialLog:
    return TrialLog(home, FixedClock(NOW))


def add(log: TrialLog, configuration: dict[str, Any], span: DataSpan | None = None, **said: Any) -> Trial:
    """Register a configuration with a few made-up daily returns from the start of its span."""
    span = span or span_of()
    values = said.pop("values", np.array([0.01, -0.02, 0.03, 0.0]))
    first = said.pop("first", (span.start + timedelta(days=1)).strftime("%Y-%m-%d"))
    options: dict[str, Any] = {"kind": "backtest", "unit": "return", "scores": {"sharpe": 0.5}} | said
    return log.register(
        configuration=configuration, span=span, per_period=values, moments=days(first, values.size), **options
    )
