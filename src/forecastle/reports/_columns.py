"""The numbers behind the charts: rounded, thinned where too many, null where there are none."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecastle.nouns import Candles, EProcess, Forecast, RiskBacktest, RollingForecast
from forecastle.reports._words import MOST_EVIDENCE
from forecastle.sessions import Timeframe, Times, is_intraday

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
Cells = list[float | None] | list[str]

MOST_ROWS = 6_000
"""Series up to this length are drawn whole; an SVG of more points is slow and no clearer."""
LATEST_ROWS = 2_000
"""The newest rows are always drawn whole: that is where people zoom in."""
_BUCKETS = 1_000
_QUANTILES = {"q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}
_DIGITS = 6


@dataclass(frozen=True)
class Columns:
    """What the charts of one instrument share, by name; returns and volatilities in percent.

    ``drawn`` of ``total`` past forecasts are in it. ``has_next`` says that the last row is the bar
    to come.
    """

    cells: dict[str, Cells]
    drawn: int
    total: int
    has_next: bool


def columns_of(candles: Candles, risk: RiskBacktest, forecast: Forecast | None, periods: float | None) -> Columns:
    """Return the columns of the headline model.

    ``sigma`` is annualised where the ``periods`` a year are known.
    """
    path = risk.path
    rows = _kept(path)
    target = path.frame["target_time"].dt.replace_time_zone(None).to_numpy()[rows]
    breach = path.breach[rows]
    year = math.sqrt(periods) if periods else 1.0
    numbers = _numbers(path, rows, year)
    upcoming = _next_row(forecast, year, path.level) if _follows(forecast, target) else {}
    stamps = stamp(target, candles.timeframe)
    cells: dict[str, Cells] = {"t": stamps + _next_stamp(forecast, candles.timeframe, upcoming)}
    for name, values in numbers.items():
        cells[name] = values + ([upcoming.get(name)] if upcoming else [])
    cells["price"] = rounded(_closes(candles, target)) + ([None] if upcoming else [])
    for name, process in (("evidence", risk.e_process), ("evidence_es", risk.es_e_process)):
        if process is not None:
            cells[name] = _evidence(process, rows) + ([None] if upcoming else [])
    cells["breach_t"] = [stamps[i] for i in np.flatnonzero(breach)]
    cells["breach_r"] = [numbers["r"][i] for i in np.flatnonzero(breach)]
    return Columns(cells, len(rows), len(path), bool(upcoming))


def stamp(times: Times, timeframe: Timeframe) -> list[str]:
    """Write moments for a date axis: the date alone for bars of a day and more."""
    if not is_intraday(timeframe):
        return [str(t) for t in times.astype("datetime64[D]")]
    return [str(t).replace("T", " ") for t in times.astype("datetime64[m]")]


def coverage(path: RollingForecast, low: str, high: str) -> float | None:
    """Return the share of outcomes between two quantile columns; None without outcomes."""
    outcome, below, above = (path.frame[c].to_numpy() for c in ("outcome", low, high))
    known = np.isfinite(outcome) & np.isfinite(below) & np.isfinite(above)
    return float(((outcome >= below) & (outcome <= above))[known].mean()) if known.any() else None


def _numbers(path: RollingForecast, rows: IntArray, year: float) -> dict[str, list[float | None]]:
    scale = {"r": ("outcome", 100.0), "sigma": ("sigma", 100.0 * year)}
    scale |= {"var": ("var", -100.0), "es": ("es", -100.0)}
    scale |= {name: (name, 100.0) for name in _QUANTILES}
    return {k: rounded(path.frame[c].to_numpy()[rows] * f) for k, (c, f) in scale.items()}


def rounded(values: FloatArray) -> list[float | None]:
    """Write numbers with six digits; what is not finite becomes null."""
    return [float(f"{v:.{_DIGITS}g}") if math.isfinite(v) else None for v in values.tolist()]


def _evidence(process: EProcess, rows: IntArray) -> list[float | None]:
    return rounded(np.minimum(process.process[rows], MOST_EVIDENCE))


def _kept(path: RollingForecast) -> IntArray:
    """Choose rows: all, or each older stretch's extremes, every breach and all of the newest."""
    total = len(path)
    if total <= MOST_ROWS:
        return np.arange(total)
    older = total - LATEST_ROWS
    chosen = [np.flatnonzero(path.breach), np.arange(older, total), np.array([0])]
    outcome, sigma = (np.nan_to_num(path.column(c)[:older]) for c in ("outcome", "sigma"))
    edges = np.linspace(0, older, _BUCKETS + 1).astype(np.intp)
    for start, end in itertools.pairwise(edges.tolist()):
        part = outcome[start:end]
        extremes = [part.argmin(), part.argmax(), sigma[start:end].argmax()]
        chosen.append(start + np.array(extremes))
    return np.unique(np.concatenate(chosen))


def _closes(candles: Candles, target: Times) -> FloatArray:
    times, close = candles.times("close_time"), candles.frame["close"].to_numpy()
    if not times.size:
        return np.full(target.size, np.nan)
    at = np.minimum(np.searchsorted(times, target), times.size - 1)
    return np.where(times[at] == target, close[at], np.nan)


def _follows(forecast: Forecast | None, target: Times) -> bool:
    """Say whether the forecast is of the bar to come: only then may it continue the past ones."""
    if forecast is None or forecast.target_time is None or forecast.horizon != 1 or not target.size:
        return False
    return bool(_naive(forecast) > target[-1])


def _naive(forecast: Forecast) -> np.datetime64:
    assert forecast.target_time is not None  # noqa: S101  # _follows has asked
    return np.datetime64(forecast.target_time.replace(tzinfo=None), "us")


def _next_row(forecast: Forecast | None, year: float, level: float) -> dict[str, float | None]:
    if forecast is None:
        return {}
    spread = forecast.distribution
    values = {"sigma": spread.sigma * year, "var": -spread.var(level), "es": -spread.es(level)}
    values |= {name: spread.quantile(p) for name, p in _QUANTILES.items()}
    row = rounded(100.0 * np.array(list(values.values())))
    return {"r": None, **dict(zip(values, row, strict=True))}


def _next_stamp(forecast: Forecast | None, timeframe: Timeframe, upcoming: dict[str, float | None]) -> list[str]:
    return stamp(np.array([_naive(forecast)]), timeframe) if forecast and upcoming else []
