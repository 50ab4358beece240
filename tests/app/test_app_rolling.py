"""Walk-forward: exact rows, an independent slow version, and no look into the future."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from arch import arch_model
from scipy import stats

import forecastle as fc
from forecastle.app.rolling import roll
from forecastle.errors import DataMissing, ForecastRefused, RequestInvalid
from forecastle.models.ewma import Ewma
from forecastle.models.garch import GarchModel
from forecastle.nouns import Candles, History, Instrument
from forecastle.sources.simulated import Simulated

WINDOW = 300


@pytest.fixture(scope="module")
def candles(bundled_spx: Candles) -> Candles:
    return bundled_spx.last(401)


def test_there_is_one_row_for_each_return_after_the_burn_in(candles: Candles) -> None:
    path = fc.rolling_forecast(candles, window=WINDOW, model="ewma")
    returns = candles.log_returns()
    assert len(path) == len(returns) - WINDOW == 100
    table = path.to_pandas()
    assert table.shape[0] == 100
    assert {"sigma", "var", "es", "converged"} <= set(table.columns)
    np.testing.assert_array_equal(path.column("outcome"), returns.values[WINDOW:])
    assert (path.frame["as_of"] < path.frame["target_time"]).all()


def test_rows_equal_an_independent_slow_version(candles: Candles) -> None:
    """For rows at, before and after a refit: arch fitted on the last refit's window, filtered over its own."""
    path = fc.rolling_forecast(candles, window=WINDOW, model=GarchModel(dist="t"), refit_every=40, level=0.025)
    r = 100 * candles.log_returns().values
    for row in (0, 39, 40, 77):
        refit = row // 40 * 40
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = arch_model(r[refit : refit + WINDOW], vol="GARCH", dist="t", rescale=False).fit(disp="off")
        own = arch_model(r[row : row + WINDOW], vol="GARCH", dist="t", rescale=False).fix(fit.params)
        sigma = float(np.sqrt(own.forecast(horizon=1).variance.to_numpy()[-1, 0])) / 100
        assert path.column("sigma")[row] == pytest.approx(sigma, rel=1e-3)
        nu, mu = fit.params["nu"], fit.params["mu"] / 100
        quantile = stats.t.ppf(0.025, nu) * np.sqrt((nu - 2) / nu)
        assert path.column("var")[row] == pytest.approx(-(mu + sigma * quantile), rel=1e-3)


@pytest.mark.parametrize("model", ["random_walk", "historical", "ewma", "garch"])
def test_cutting_the_future_off_changes_nothing_before(candles: Candles, model: str) -> None:
    """The leak test of the thread: the future is cut, or poisoned, at random points; every earlier row stays."""
    whole = fc.rolling_forecast(candles, window=WINDOW, model=model, refit_every=7).frame
    rng = np.random.default_rng(20261120)
    for cut in rng.integers(WINDOW + 5, len(candles) - 2, 6):
        past = replace(candles, frame=candles.frame.head(int(cut) + 1))
        rows = int(cut) - WINDOW
        assert fc.rolling_forecast(past, window=WINDOW, model=model, refit_every=7).frame.equals(whole.head(rows))
        prices = [pl.when(pl.int_range(pl.len()) > cut).then(pl.col(c) * 7.0).otherwise(pl.col(c)) for c in
                  ("open", "high", "low", "close")]  # fmt: skip
        poisoned = replace(candles, frame=candles.frame.with_columns(prices))
        late = fc.rolling_forecast(poisoned, window=WINDOW, model=model, refit_every=7).frame.head(rows)
        assert late.equals(whole.head(rows))


def test_prices_in_another_currency_change_nothing(candles: Candles) -> None:
    """Returns know no unit of price."""
    dear = replace(
        candles, frame=candles.frame.with_columns(pl.col(c) * 1024.0 for c in ("open", "high", "low", "close"))
    )
    ours = fc.rolling_forecast(candles, window=WINDOW).column("sigma")
    theirs = fc.rolling_forecast(dear, window=WINDOW).column("sigma")
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)  # the optimiser ends within its own tolerance


def test_var_covers_where_it_must() -> None:
    """On simulated normal GARCH returns, 5 % VaR of the right model is broken 5 % of the time (binomial 99.9 %)."""
    rng, n = np.random.default_rng(3), 3000
    r, s2 = np.empty(n), 1e-4
    for t in range(n):
        r[t] = np.sqrt(s2) * rng.standard_normal()
        s2 = 2e-6 + 0.08 * r[t] ** 2 + 0.9 * s2
    close = 100 * np.exp(np.cumsum(r))
    opens = np.r_[100.0, close[:-1]]
    times = np.datetime64("2012-01-01", "us") + np.arange(n) * np.timedelta64(1, "D")
    columns = {
        "open_time": times, "close_time": times + np.timedelta64(1, "D"), "open": opens,
        "high": np.maximum(opens, close), "low": np.minimum(opens, close), "close": close, "volume": np.ones(n),
    }  # fmt: skip
    candles = Candles.from_columns(Instrument.parse("BTC-USD"), "1d", "simulated", columns)
    path = fc.rolling_forecast(candles, window=1000, model=GarchModel(dist="normal"), refit_every=100, level=0.05)
    low, high = stats.binom.interval(0.999, len(path), 0.05)
    assert low <= path.breach.sum() <= high


def test_a_failed_refit_keeps_the_last_good_parameters_and_says_so(candles: Candles) -> None:
    """Prices that stand still for a whole window cannot be fitted: those rows are stale, never silent."""
    sim = Simulated(seed=5).fetch(Instrument.parse("BTC-USD"), "1d", None, datetime(2013, 1, 1, tzinfo=UTC))
    still = pl.int_range(pl.len()) >= 600
    flat = [pl.when(still).then(100.0).otherwise(pl.col(c)).alias(c) for c in ("open", "high", "low", "close")]
    stuck = replace(sim, frame=sim.frame.with_columns(flat))
    path = fc.rolling_forecast(stuck, window=250, model=GarchModel(dist="normal"), refit_every=50)
    assert path.failed_refits > 0
    stale = path.frame.filter(pl.col("stale"))
    assert stale.height > 0
    assert not stale["converged"].any()
    assert np.isfinite(path.column("sigma")).all()
    assert (path.column("sigma") > 0).all()


def test_nothing_is_served_where_the_first_fit_fails(candles: Candles) -> None:
    flat = replace(
        candles, frame=candles.frame.with_columns(pl.lit(100.0).alias(c) for c in ("open", "high", "low", "close"))
    )
    with pytest.raises(ForecastRefused, match="first 300 returns"):
        fc.rolling_forecast(flat, window=WINDOW)


def test_too_little_history_and_wrong_windows_are_refused(candles: Candles) -> None:
    with pytest.raises(DataMissing, match="400 returns"):
        fc.rolling_forecast(candles, window=400, model=Ewma())
    with pytest.raises(RequestInvalid, match="window"):
        fc.rolling_forecast(candles, window=10)
    with pytest.raises(RequestInvalid, match="level"):
        fc.rolling_forecast(candles, window=300, level=1.5)
    with pytest.raises(RequestInvalid, match="Did you mean 'garch'"):
        fc.rolling_forecast(candles, window=300, model="garsh")


def test_a_forecast_does_not_depend_on_where_the_range_begins(candles: Candles) -> None:
    """Refits lie on one grid of the series: the same bar has the same sigma whatever --start says."""
    model = GarchModel(dist="normal")
    whole = roll(History(candles), model, window=WINDOW, refit_every=30, level=0.01)
    for start in ("2018-09-04", "2018-10-17", "2018-12-03"):
        moment = datetime.fromisoformat(f"{start}T00:00+00:00")
        part = roll(History(candles), model, window=WINDOW, refit_every=30, level=0.01, start=moment)
        assert part.frame["target_time"][0] >= moment
        assert part.frame.equals(whole.frame.filter(pl.col("target_time") >= moment))
    with pytest.raises(DataMissing, match="No bar closes"):
        roll(History(candles), model, window=WINDOW, refit_every=30, level=0.01, start=datetime(2030, 1, 1, tzinfo=UTC))
