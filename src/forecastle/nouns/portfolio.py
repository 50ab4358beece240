"""Several instruments held together: their joint returns, and the risk of the whole with what each part adds to it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns.candles import Candles
from forecastle.nouns.distribution import Distribution
from forecastle.nouns.fit import FitStatus
from forecastle.nouns.instrument import Instrument, is_simulated
from forecastle.sessions import Timeframe, Times, is_intraday

FloatArray = npt.NDArray[np.float64]
Periods = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class JointReturns:
    """The log returns of several instruments over the same bars.

    Bars are joined on the day (week, month) in UTC on which they close, intraday ones on their close; only those that
    all have count (``common``). ``values[i]``, shape (n, k), runs from one common bar to the next: over a weekend that
    only coins trade, it holds their return of the whole weekend. Returns that reach across a bar which a calendar has
    and a series has not are left out and counted in ``spanning_gaps``. ``target_time`` is the latest of the k closes.
    """

    candles: tuple[Candles, ...]
    values: FloatArray
    target_time: Times
    common: int
    spanning_gaps: int

    @classmethod
    def of(cls, candles: Sequence[Candles]) -> JointReturns:
        """Join candles of two instruments or more; raises ``DataInvalid`` where their timeframes differ."""
        if len({c.timeframe for c in candles}) != 1 or len(candles) < 2:
            raise DataInvalid(
                f"There are candles of {', '.join(f'{c.instrument} {c.timeframe}' for c in candles) or 'nothing'}.",
                "Joint returns are of two instruments or more with bars of one length.",
                "Give candles of one timeframe.",
            )
        keys = [periods(c.times("close_time"), c.timeframe) for c in candles]
        common: Periods = reduce(np.intersect1d, keys)
        rows = [np.searchsorted(key, common) for key in keys]
        logs = [np.log(c.frame["close"].to_numpy()[row]) for c, row in zip(candles, rows, strict=True)]
        closes = np.max([c.times("close_time")[row] for c, row in zip(candles, rows, strict=True)], axis=0)
        whole = np.ones(max(common.size - 1, 0), dtype=np.bool_)
        for c in candles:
            whole &= np.diff(np.searchsorted(_missing_periods(c), common, side="right")) == 0
        values = np.ascontiguousarray(np.column_stack([np.diff(log)[whole] for log in logs]))
        return cls(tuple(candles), values, closes[1:][whole], common.size, int((~whole).sum()))

    @property
    def data_hash(self) -> str:
        """Return the SHA-256 of the hashes of all the candles, in their order."""
        return hashlib.sha256("|".join(c.data_hash for c in self.candles).encode()).hexdigest()

    def last(self, count: int) -> JointReturns:
        """Return the last ``count`` returns; what else is said of the series stays."""
        return replace(self, values=np.ascontiguousarray(self.values[-count:]), target_time=self.target_time[-count:])

    def next_close(self, horizon: int) -> np.datetime64:
        """Return when the last of the instruments closes the ``horizon``-th bar from here that all calendars have."""
        for span in (2 * horizon + 10, 20 * horizon + 100):  # coins trade where the others rest
            found = self._common_closes(span)
            if found.size >= horizon:
                break
        nearest: np.datetime64 = found[horizon - 1]
        return nearest

    def _common_closes(self, span: int) -> Times:
        """Return the latest of the closes of each bar that all calendars have among their next ``span``."""
        closes = [
            c.calendar.next_closes(c.times("close_time")[c.times("close_time") <= self.target_time[-1]][-1],
                                   c.timeframe, span)
            for c in self.candles
        ]  # fmt: skip
        keys = [periods(times, c.timeframe) for times, c in zip(closes, self.candles, strict=True)]
        common: Periods = reduce(np.intersect1d, keys)
        rows = [times[np.searchsorted(key, common)] for times, key in zip(closes, keys, strict=True)]
        return np.asarray(np.max(rows, axis=0))


def periods(closes: Times, timeframe: Timeframe) -> Periods:
    """Return the period of each bar as a number that bars of several markets share: day, week, month, or the close.

    A day belongs to the date on which it closes, a midnight being the end of the day before.
    """
    if is_intraday(timeframe):
        return np.asarray(closes.astype("datetime64[us]").astype(np.int64))
    moments = closes - np.timedelta64(1, "us")
    if timeframe == "1mo":
        return np.asarray(moments.astype("datetime64[M]").astype(np.int64))
    days = moments.astype("datetime64[D]").astype(np.int64)
    return np.asarray((days + 3) // 7 if timeframe == "1w" else days)  # weeks begin on Monday


def _missing_periods(candles: Candles) -> Periods:
    """Return the periods of the bars that the calendar has and the candles have not, ascending."""
    opens = candles.missing()
    if is_intraday(candles.timeframe) or not opens.size:
        return periods(opens, candles.timeframe) + 1  # just after the bar before, which closes as this one opens
    known, closes = candles.calendar.bars(opens[0], opens[-1] + np.timedelta64(1, "us"), candles.timeframe)
    return periods(closes[np.searchsorted(known, opens)], candles.timeframe)


@dataclass(frozen=True, eq=False)
class PortfolioForecast:
    """The log return of a portfolio over the next ``horizon`` common bars, and what each instrument adds to its risk.

    ``weights`` are shares of the equity, shape (k,); the return of the portfolio is ``sum_i w_i r_i`` of log returns,
    which is exact for small ones. ``means`` (k,) and ``covariance`` (k, k) are over the whole horizon, in decimals;
    ``correlation`` (k, k) is that of the next bar. ``distribution`` has the mean and sigma that follow from them;
    its quantiles are those of the portfolio's own past residuals (filtered historical simulation).

    VaR and ES are of the form ``-mean + sigma * z``. With the shape ``z`` held as it is, both are homogeneous of degree
    one in the weights, and Euler's theorem splits them: ``marginal_i = -m_i + z (Sigma w)_i / sigma``,
    ``component_i = w_i marginal_i``, and the components sum to the whole (McNeil, Frey and Embrechts 2005, section
    6.3; exact where the returns are elliptical). Raises ``RequestInvalid`` for a portfolio without risk.
    """

    instruments: tuple[Instrument, ...]
    weights: FloatArray
    timeframe: Timeframe
    horizon: int
    model: str
    status: FitStatus
    distribution: Distribution
    means: FloatArray
    covariance: FloatArray
    correlation: FloatArray
    window: int
    common_bars: int
    spanning_gaps: int
    as_of: datetime
    target_time: datetime
    data_hash: str
    source: str

    def __post_init__(self) -> None:
        sigma = portfolio_sigma(self.weights, self.covariance)
        if not math.isclose(sigma, self.distribution.sigma, rel_tol=1e-9):
            raise RequestInvalid(
                f"The distribution has sigma {self.distribution.sigma}, weights and covariance give {sigma}.",
                "The parts would not sum to the whole.",
                "Build it with app.portfolio.",
            )

    @property
    def simulated(self) -> bool:
        """Return whether any of the candles were made up."""
        return is_simulated(self.source)

    @property
    def sigma(self) -> float:
        """Return the standard deviation of the portfolio's return over the horizon, in decimals."""
        return self.distribution.sigma

    @property
    def sigmas(self) -> FloatArray:
        """Return the standard deviation of each instrument over the horizon, shape (k,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def diversification_ratio(self) -> float:
        """Return ``sum |w_i| sigma_i / sigma`` (Choueifaty and Coignard 2008): one where nothing is spread."""
        return float(np.abs(self.weights) @ self.sigmas / self.sigma)

    def var(self, level: float = 0.01) -> float:
        """Return the value at risk, a positive loss."""
        return self.distribution.var(level)

    def es(self, level: float = 0.01) -> float:
        """Return the expected shortfall, a positive loss."""
        return self.distribution.es(level)

    def marginal_var(self, level: float = 0.01) -> FloatArray:
        """Return by how much VaR grows with each weight, shape (k,)."""
        return self._marginal(self.var(level))

    def component_var(self, level: float = 0.01) -> FloatArray:
        """Return what each instrument adds to VaR, shape (k,); they sum to VaR."""
        return self.weights * self.marginal_var(level)

    def marginal_es(self, level: float = 0.01) -> FloatArray:
        """Return by how much ES grows with each weight, shape (k,)."""
        return self._marginal(self.es(level))

    def component_es(self, level: float = 0.01) -> FloatArray:
        """Return what each instrument adds to ES, shape (k,); they sum to ES."""
        return self.weights * self.marginal_es(level)

    def _marginal(self, risk: float) -> FloatArray:
        z = (risk + self.distribution.mean) / self.sigma
        return np.asarray(-self.means + z * (self.covariance @ self.weights) / self.sigma)


def portfolio_sigma(weights: FloatArray, covariance: FloatArray) -> float:
    """Return ``sqrt(w' Sigma w)``; raises ``RequestInvalid`` where the weights leave no risk."""
    variance = float(weights @ covariance @ weights)
    gross = float((np.abs(weights) @ np.sqrt(np.diag(covariance))) ** 2)
    if not variance > 1e-20 * gross:
        raise RequestInvalid(
            f"The weights {', '.join(f'{w:g}' for w in weights)} leave a variance of {variance:.3g}.",
            "A portfolio without risk has no VaR to split.",
            "Choose other weights.",
        )
    return math.sqrt(variance)
