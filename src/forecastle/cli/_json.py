"""Nouns as plain JSON: times in ISO 8601 UTC, numbers finite or null."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from forecastle.nouns import Candles, Forecast, Instrument, RollingForecast, is_simulated
from forecastle.nouns.forecast import TAIL_LEVELS


def plain(value: Any) -> Any:
    """Return ``value`` as what ``json.dumps`` takes; NaN and infinities become null."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(v) for v in value]
    return _noun(value)


def _noun(value: Any) -> Any:
    if isinstance(value, Instrument | Path):
        return str(value)
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, pl.DataFrame):
        return {name: plain(value[name].to_list()) for name in value.columns}
    if isinstance(value, Forecast):
        return forecast(value)
    if isinstance(value, RollingForecast):
        return {**_fields(value), "simulated": value.simulated, "breaches": int(value.breach.sum())}
    if isinstance(value, Candles):
        return candles(value)
    if dataclasses.is_dataclass(value):
        return _fields(value)
    return str(value)


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}


def forecast(value: Forecast) -> dict[str, Any]:
    """Return one forecast; sigma, VaR and ES over the horizon in decimals of log return."""
    return {
        "instrument": plain(value.instrument), "timeframe": value.timeframe, "source": value.source,
        "simulated": is_simulated(value.source), "model": value.model, "horizon": value.horizon,
        "as_of": plain(value.as_of), "target_time": plain(value.target_time),
        "trained_until": plain(value.trained_until), "mean": plain(value.mean), "sigma": plain(value.sigma),
        "annual_sigma": plain(value.annual_sigma), "periods_per_year": plain(value.periods_per_year),
        "prob_up": plain(value.prob_up), "quantiles": plain(value.quantiles),
        "var": {str(p): value.var(p) for p in TAIL_LEVELS}, "es": {str(p): value.es(p) for p in TAIL_LEVELS},
        "converged": value.converged, "reason": value.status.reason, "stale": value.stale,
        "model_hash": value.model_hash, "data_hash": value.data_hash,
    }  # fmt: skip


def candles(value: Candles) -> dict[str, Any]:
    """Return candles column by column."""
    return {
        "instrument": value.instrument.id, "timeframe": value.timeframe, "source": value.source,
        "simulated": value.simulated, "adjusted": value.adjusted, "data_hash": value.data_hash,
        "rows": len(value), "columns": plain(value.frame),
    }  # fmt: skip
