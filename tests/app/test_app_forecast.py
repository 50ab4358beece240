"""The forecasts of all models from one moment: none disappears in silence, heavy tails stay calibrated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from forecastle.app.forecast import forecasts_of
from forecastle.errors import ForecastRefused
from forecastle.models.ewma import Ewma, FittedEwma
from forecastle.models.garch import GarchModel
from forecastle.models.naive import RandomWalk
from forecastle.nouns import Candles, FitStatus, History, Returns
from forecastle.requests import DEFAULT_MODELS

FloatArray = npt.NDArray[np.float64]


def test_a_model_that_refuses_is_named_with_its_reason(bundled_spx: Candles) -> None:
    found = forecasts_of(History(bundled_spx.last(201)), DEFAULT_MODELS, 1, 1000)
    made, refused = {f.model for f in found.made}, {r.model: r.reason for r in found.refused}
    assert {"Random walk (22)", "Historical", "EWMA (0.94)"} <= made
    assert {"GARCH(1,1)-normal", "GARCH(1,1)-t", "GJR-GARCH(1,1,1)-t", "EGARCH(1,1,1)-skewt"} <= set(refused)
    assert all("200 returns" in refused[name] for name in refused if "GARCH" in name)
    assert len(made) + len(refused) == len(DEFAULT_MODELS), "none disappears in silence"


def test_where_all_refuse_nothing_is_served(bundled_spx: Candles) -> None:
    with pytest.raises(ForecastRefused, match="10 returns"):
        forecasts_of(History(bundled_spx.last(11)), DEFAULT_MODELS, 1, 1000)


def test_a_window_is_counted_in_returns(bundled_spx: Candles) -> None:
    """Bars around a hole give one return less: the window reaches further back instead of coming up short."""
    holed = Candles(
        bundled_spx.instrument, "1d", "bundled", bundled_spx.frame.filter(~bundled_spx.frame["open_time"].is_in(
            bundled_spx.frame["open_time"][-100:-90])), "none",
    )  # fmt: skip
    found = forecasts_of(History(holed), DEFAULT_MODELS, 1, 250)
    assert not [r for r in found.refused if "returns" in r.reason]


@dataclass(frozen=True)
class Moody(Ewma):
    """Converges but for the last bar of its sample: what a failed refit looks like from outside."""

    bad: int = 0

    def fit(self, x: History | Candles | Returns | FloatArray) -> FittedEwma:
        fitted = super().fit(x)
        assert isinstance(x, History)
        status = FitStatus(converged=len(x) < self.bad, reason="made to fail")
        return FittedEwma(fitted.sample, fitted.label, status, self.decay)


def test_a_failed_fit_is_not_served_the_last_good_one_is(bundled_spx: Candles) -> None:
    """Its parameters are three bars old, its variance is of now, and it says so."""
    history = History(bundled_spx.last(400))
    for past in range(0, 30, 7):
        assert len(history.before(past)) == 400 - past
    model = Moody(bad=10**9)
    fresh = model.ahead(history, 1, 399)
    assert not fresh.stale

    class Late(Moody):
        def fit(self, x: History | Candles | Returns | FloatArray) -> FittedEwma:
            fitted = super().fit(x)
            good = isinstance(x, History) and x.candles.end <= history.before(3).candles.end
            return FittedEwma(fitted.sample, fitted.label, FitStatus(converged=good, reason="made to fail"), self.decay)

    stale = Late().ahead(history, 1, 300)
    assert stale.stale
    assert stale.trained_until == history.before(3).candles.end
    assert stale.as_of == bundled_spx.end
    assert stale.sigma == Ewma().ahead(history, 1, 300).sigma, "filtered up to now"
    with pytest.raises(ForecastRefused, match="did not converge"):
        Moody(bad=0).ahead(history, 1, 300)


@pytest.mark.parametrize("nu", [2.4, 3.0])
def test_heavy_tails_keep_their_quantiles_over_several_bars(bundled_spx: Candles, nu: float) -> None:
    """Five iid returns of a heavy t: the 1 % quantile of the sum against a million independent draws."""
    fitted = GarchModel(dist="t").fit(bundled_spx.log_returns().values[-1000:])
    fitted.estimates.update({"alpha[1]": 0.0, "beta[1]": 0.0, "omega": 1e-4, "mu": 0.0, "nu": nu})  # type: ignore[attr-defined]
    ours = fitted.distribution(fitted.sample.returns, 5)
    rng = np.random.default_rng(0)
    truth = (rng.standard_t(nu, (1_000_000, 5)) * np.sqrt((nu - 2) / nu) * 0.01).sum(axis=1)
    for p in (0.01, 0.05):
        assert ours.quantile(p) == pytest.approx(np.quantile(truth, p), rel=0.06)


def test_a_market_that_stood_still_is_not_without_risk(bundled_spx: Candles) -> None:
    """Where 22 returns never change, the random walk looks at its whole window."""
    returns = bundled_spx.log_returns().values[-300:].copy()
    for stuck in (0.0, 0.001):  # a price that rises by the same step every day leaves only rounding
        returns[-30:] = stuck
        made = RandomWalk().fit(returns).forecast(1)
        assert made.sigma == pytest.approx(float(returns.std(ddof=1)))
