"""Reports made by hand: every field filled, no model fitted, so that the page can be tested alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.nouns import (
    Candles,
    FitStatus,
    FitSummary,
    Forecast,
    NewsImpact,
    Parameter,
    Refusal,
    RollingForecast,
    StudentT,
    TermPoint,
    TestResult,
    VolatilityReport,
)
from forecastle.nouns.forecast import ROLLING_SCHEMA
from forecastle.quality import inspect_candles
from forecastle.scoring import compare
from making import make_candles

FloatArray = npt.NDArray[np.float64]

HEADLINE = "Combination + conformal"
NAIVE = ("Random walk (22)", "Historical", "EWMA (0.94)")
OTHERS = (
    "GARCH(1,1)-normal", "GARCH(1,1)-t", "GJR-GARCH(1,1,1)-t", "EGARCH(1,1,1)-skewt", "Yang-Zhang", "HAR",
    "log-HAR", "Pooled log-HAR",
)  # fmt: skip
GARCH = OTHERS[:4]
REASON = "GARCH(1,1)-t did not converge on the first 250 returns of BTC-USDT. There are no earlier parameters to go on."
HORIZONS = (1, 2, 3, 5, 10, 15, 22, 30)


@dataclass(frozen=True)
class Drawn:
    """A market made up of returns whose true volatility is known: what is forecast well or badly from it."""

    candles: Candles
    returns: FloatArray
    sigma: FloatArray


def market(n: int = 900) -> Drawn:
    """Return n daily bars from a GARCH-like process with heavy tails."""
    draw = np.random.default_rng(7)
    shocks = draw.standard_t(5, n) * np.sqrt(3 / 5)
    sigma, returns = np.empty(n), np.empty(n)
    variance = 0.02**2
    for i in range(n):
        sigma[i], returns[i] = np.sqrt(variance), np.sqrt(variance) * shocks[i]
        variance = 0.02 * 0.02**2 + 0.1 * returns[i] ** 2 + 0.88 * variance
    flat = make_candles(n + 1)
    close = 100.0 * np.exp(np.r_[0.0, np.cumsum(returns)])
    begin = np.r_[100.0, close[:-1]]
    prices = {"open": begin, "high": np.maximum(begin, close) * 1.01, "low": np.minimum(begin, close) / 1.01}
    frame = flat.frame.with_columns(**{k: pl.Series(v) for k, v in prices.items()}, close=pl.Series(close))
    return Drawn(replace(flat, frame=frame), returns, sigma)


def path(drawn: Drawn, model: str, bias: float, noise: float, start: int = 250) -> RollingForecast:
    """Return the forecasts of one model: the true volatility times ``bias``, blurred by ``noise``."""
    draw = np.random.default_rng(len(model))
    rows = slice(start, None)
    sigma = drawn.sigma[rows] * bias * np.exp(noise * draw.standard_normal(drawn.returns.size - start))
    unit = StudentT(0.0, 1.0, nu=5.0)
    times = drawn.candles.log_returns()
    frame = pl.DataFrame({
        "as_of": times.as_of[rows], "target_time": times.target_time[rows], "outcome": drawn.returns[rows],
        "mean": np.zeros(sigma.size), "sigma": sigma, "var": sigma * unit.var(0.01), "es": sigma * unit.es(0.01),
        "q05": sigma * unit.quantile(0.05), "q25": sigma * unit.quantile(0.25), "q75": sigma * unit.quantile(0.75),
        "q95": sigma * unit.quantile(0.95), "converged": np.ones(sigma.size, bool), "stale": np.zeros(sigma.size, bool),
    })  # fmt: skip
    utc = [pl.col(name).dt.replace_time_zone("UTC") for name in ("as_of", "target_time")]
    candles, made = drawn.candles, frame.with_columns(*utc).select(list(ROLLING_SCHEMA))
    return RollingForecast(
        candles.instrument, candles.timeframe, model, start, 1, 0.01, made,
        sigma.size, 0, candles.data_hash, candles.source,
    )  # fmt: skip


def forecast(drawn: Drawn, model: str, sigma: float) -> Forecast:
    """Return the forecast of the bar after the data."""
    candles = drawn.candles
    until = candles.calendar.next_closes(candles.times("close_time")[-1], candles.timeframe, 1)[0]
    return Forecast(
        StudentT(0.0003, sigma, nu=5.0), 1, model, f"{len(model):064x}", candles.data_hash,
        FitStatus(converged=True), candles.instrument, candles.timeframe, candles.source, candles.end,
        until.item().replace(tzinfo=UTC), candles.end, 365.25,
    )  # fmt: skip


def fit(model: str) -> FitSummary:
    """Return the fit of one GARCH model, or of a model without a likelihood."""
    status = FitStatus(converged=True, reason="alpha[1] at the bound of zero" if "EGARCH" in model else "")
    if model not in GARCH:
        return FitSummary(model, "past residuals", 1000, status, (Parameter("weight of GARCH(1,1)-t", 1 / 8),))
    table = (
        Parameter("mu", 0.0004, 0.0002, 2.0, 0.0455, 0.00019, 0.112),
        Parameter("omega", 3.1e-6, 1.1e-6, 2.82, 0.0048, 0.9e-6, 0.512), Parameter("alpha[1]", 1e-9),
        Parameter("beta[1]", 0.894, 0.0141, 63.4, 0.0, 0.0123, 0.201),
    )  # fmt: skip
    tests = (
        TestResult("Ljung-Box, squares (10 lags)", 11.2, 0.191, 8), TestResult("ARCH-LM (10 lags)", 25.1, 0.0051, 10),
        TestResult("Sign bias", None, None, None, "no residual below zero"),
    )  # fmt: skip
    return FitSummary(model, "Student's t", 1000, status, table, 3211.4, -6412.8, -6388.3, 0.9852, 0.0145,
                      hqic=-6404.1, half_life=46.5, tests=tests)  # fmt: skip


def news(model: str, tilt: float) -> NewsImpact:
    """Return a parabola whose left arm is ``tilt`` times as steep."""
    shocks = np.linspace(-0.06, 0.06, 41)
    return NewsImpact(model, shocks, np.sqrt(2e-4 + 0.09 * shocks**2 * np.where(shocks < 0, tilt, 1.0)))


def made_report(drawn: Drawn | None = None, *, models: int = 12) -> VolatilityReport:
    """Return the report of ``models`` models, the headline and the naive ones among them."""
    drawn = drawn or market()
    names = (HEADLINE, *NAIVE, *OTHERS)[:models]
    blur = {name: 0.5 if name in NAIVE else 0.04 + 0.02 * i for i, name in enumerate(names)}
    paths = [path(drawn, name, 0.6 if name == "Historical" else 1.0, blur[name]) for name in names]
    comparison = compare(paths, set(NAIVE), HEADLINE)
    ahead = drawn.sigma[-1]
    term = tuple(TermPoint(h, s := float(np.sqrt(h) * (ahead + 0.0004 * h)), s * float(np.sqrt(365.25 / h)))
                 for h in HORIZONS)  # fmt: skip
    return VolatilityReport(
        candles=drawn.candles,
        quality=inspect_candles(drawn.candles),
        fits=tuple(fit(name) for name in names if name not in NAIVE),
        forecasts=tuple(forecast(drawn, name, float(ahead * (1 + blur[name]))) for name in names),
        comparison=comparison,
        headline=HEADLINE,
        news_impact=tuple(news(name, 1.0 + 0.5 * i) for i, name in enumerate(names) if name in GARCH),
        term=term,
        provenance={"Command": "forecastle report BTC-USDT", "Data hash (SHA-256)": drawn.candles.data_hash,
                    "Written": f"{datetime(2026, 11, 20, tzinfo=UTC):%Y-%m-%d}"},
    )  # fmt: skip


def refusing(report: VolatilityReport, model: str) -> VolatilityReport:
    """Return the report of a market that ``model`` refused: no forecast, no score, a reason."""
    refused = (Refusal(model, REASON),)
    paths = [s.risk.path for s in report.comparison.scores if s.risk is not None and s.model != model]
    return replace(
        report,
        refused=refused,
        forecasts=tuple(f for f in report.forecasts if f.model != model),
        fits=tuple(f for f in report.fits if f.model != model),
        news_impact=tuple(n for n in report.news_impact if n.model != model),
        term=() if model == report.headline else report.term,
        comparison=replace(compare(paths, set(NAIVE), report.headline), refused=refused),
    )
