"""Forecasts: the distribution of a log return, said before it is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import ForecastRefused
from forecastle.nouns.distribution import Distribution
from forecastle.nouns.fit import FitStatus
from forecastle.nouns.instrument import Instrument, is_simulated
from forecastle.sessions import Timeframe
from forecastle.units import annualise

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]

LEVELS: tuple[float, ...] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995)
"""The probabilities at which every forecast states its quantiles."""
TAIL_LEVELS: tuple[float, ...] = (0.01, 0.025, 0.05)
"""The levels at which VaR and ES are stated."""


@dataclass(frozen=True)
class Forecast:
    """The distribution of the log return from ``as_of`` over ``horizon`` bars, known at ``target_time``.

    ``sigma`` is the standard deviation over the whole horizon, in decimals. Always
    ``trained_until <= as_of < target_time``. A forecast from a bare array of returns knows no market: then
    ``instrument``, ``timeframe`` and the times are None, all of them. ``stale`` says that the parameters are those of
    an earlier fit because a later one failed; a forecast fitted afresh is never stale.
    """

    distribution: Distribution
    horizon: int
    model: str
    model_hash: str
    data_hash: str
    status: FitStatus
    instrument: Instrument | None = None
    timeframe: Timeframe | None = None
    source: str | None = None
    as_of: datetime | None = None
    target_time: datetime | None = None
    trained_until: datetime | None = None
    periods_per_year: float | None = None
    stale: bool = False

    def __post_init__(self) -> None:
        market = (self.instrument, self.timeframe, self.as_of, self.target_time, self.trained_until)
        if self.horizon < 1:
            raise ForecastRefused(
                f"The horizon is {self.horizon} bars.", "A forecast looks at least one bar ahead.", "Choose 1."
            )
        if any(x is None for x in market) != all(x is None for x in market):
            raise ForecastRefused(
                "A forecast came with some of its market and times, but not all.",
                "It knows them wholly, or not at all (made from a bare array).",
                "Give instrument, timeframe, as_of, target_time and trained_until together.",
            )
        known = self.as_of and self.target_time and self.trained_until
        if known and not self.trained_until <= self.as_of < self.target_time:  # type: ignore[operator]
            raise ForecastRefused(
                f"trained_until {self.trained_until}, as_of {self.as_of}, target_time {self.target_time}.",
                "A forecast is trained on the past and made before its target.",
                "This is a leak: please report it.",
            )

    def __str__(self) -> str:
        where = (
            f"{self.instrument} {self.timeframe}, as of {self.as_of:%Y-%m-%d %H:%M} UTC"
            if self.instrument
            else "returns"
        )
        return (
            f"{self.model} on {where}, next {self.horizon}: sigma {self.sigma:.5f}, "
            f"VaR 1 % {self.var(0.01):.5f}, ES 1 % {self.es(0.01):.5f}"
        )

    @property
    def mean(self) -> float:
        """Return the expected log return over the horizon, in decimals."""
        return self.distribution.mean

    @property
    def sigma(self) -> float:
        """Return the standard deviation of the log return over the horizon, in decimals."""
        return self.distribution.sigma

    @property
    def converged(self) -> bool:
        """Return whether the fit behind this forecast converged."""
        return self.status.converged

    @property
    def quantiles(self) -> dict[float, float]:
        """Return the quantiles of the log return at ``LEVELS``."""
        return {p: self.distribution.quantile(p) for p in LEVELS}

    @property
    def prob_up(self) -> float:
        """Return the probability of a positive log return."""
        return self.distribution.prob_up

    @property
    def annual_sigma(self) -> float | None:
        """Return sigma scaled to a year by ``periods_per_year / horizon``; None where that is unknown."""
        if self.periods_per_year is None:
            return None
        return annualise(self.sigma, self.periods_per_year / self.horizon)

    def var(self, level: float = 0.01) -> float:
        """Return the value at risk, a positive loss in log return."""
        return self.distribution.var(level)

    def es(self, level: float = 0.01) -> float:
        """Return the expected shortfall, a positive loss in log return."""
        return self.distribution.es(level)


@dataclass(frozen=True)
class Refusal:
    """A model that gave no forecast, and why: told beside the others, never left out in silence."""

    model: str
    reason: str


@dataclass(frozen=True)
class ForecastSet:
    """The forecasts of several models from one moment, the models that refused, and the holes in what they saw."""

    made: tuple[Forecast, ...]
    refused: tuple[Refusal, ...] = ()
    missing_bars: int = 0


ROLLING_SCHEMA: dict[str, pl.DataType] = {
    "as_of": pl.Datetime("us", "UTC"), "target_time": pl.Datetime("us", "UTC"), "outcome": pl.Float64(),
    "mean": pl.Float64(), "sigma": pl.Float64(), "var": pl.Float64(), "es": pl.Float64(),
    "q05": pl.Float64(), "q25": pl.Float64(), "q75": pl.Float64(), "q95": pl.Float64(),
    "converged": pl.Boolean(), "stale": pl.Boolean(),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class RollingForecast:
    """One-step-ahead forecasts of one model, a row for every bar after the burn-in, beside what happened.

    ``frame`` has the columns of ``ROLLING_SCHEMA``: ``var`` and ``es`` are positive losses at ``level``, ``outcome``
    the log return realised at ``target_time``. ``stale`` rows carry the parameters of an earlier refit because a
    later one failed. ``window`` returns went into each row, parameters refitted every ``refit_every`` rows.
    """

    instrument: Instrument | None
    timeframe: Timeframe | None
    model: str
    window: int
    refit_every: int
    level: float
    frame: pl.DataFrame
    refits: int
    failed_refits: int
    data_hash: str
    source: str | None = None

    def __post_init__(self) -> None:
        if dict(self.frame.schema) != ROLLING_SCHEMA:
            raise ForecastRefused(
                f"A rolling forecast came with the columns {', '.join(self.frame.columns)}.",
                f"It has to have {', '.join(ROLLING_SCHEMA)}.",
                "Build it with rolling_forecast.",
            )
        if not bool((self.frame["as_of"] < self.frame["target_time"]).all()):
            raise ForecastRefused(
                "A row's as_of is not before its target_time.",
                "Each forecast is made before its target.",
                "This is a leak: please report it.",
            )

    def __len__(self) -> int:
        return self.frame.height

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return is_simulated(self.source)

    def column(self, name: Literal["outcome", "mean", "sigma", "var", "es", "q05", "q25", "q75", "q95"]) -> FloatArray:
        """Return one column as an array of shape (n,)."""
        return self.frame[name].to_numpy()

    @property
    def breach(self) -> npt.NDArray[np.bool_]:
        """Return where the outcome was below minus VaR, strictly."""
        return np.asarray(self.column("outcome") < -self.column("var"))

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas DataFrame indexed by ``target_time``."""
        import pandas as pd  # only for those who ask for it

        columns = {c: self.frame[c].to_numpy() for c in ROLLING_SCHEMA if c not in ("as_of", "target_time")}
        times = {c: self.frame[c].dt.replace_time_zone(None).to_numpy() for c in ("as_of", "target_time")}
        table = pd.DataFrame(
            columns, index=pd.DatetimeIndex(times["target_time"], name="target_time").tz_localize("UTC")
        )
        table.insert(0, "as_of", pd.DatetimeIndex(times["as_of"]).tz_localize("UTC"))
        return table
