"""The e-processes: the product they are, their size under daily reading, their power, and that they see no future."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from scipy import integrate, stats

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.scoring import risk

FloatArray = npt.NDArray[np.float64]


def _tail(p: float) -> tuple[float, float]:
    """Return VaR and ES of the standard normal."""
    var = -float(stats.norm.ppf(p))
    return var, float(stats.norm.pdf(var)) / p


def _slow(e: list[float], p: float) -> list[float]:
    """Return the mean wealth of twenty gamblers, row by row, each with his own stake of 0.2 p to 5 p."""
    stakes = [min(0.2 * p * 25 ** (i / 19), 0.5) for i in range(20)]
    wealth, told = [1.0] * 20, []
    for value in e:
        wealth = [w * (1 - stake + stake * value) for w, stake in zip(wealth, stakes, strict=True)]
        told.append(sum(wealth) / 20)
    return told


@pytest.mark.parametrize("p", [0.05, 0.2])
def test_it_is_the_mean_wealth_of_twenty_stakes(p: float) -> None:
    rng = np.random.default_rng(1)
    returns, var, es = rng.standard_normal(60), np.full(60, 1.0), np.full(60, 1.6)
    told = risk.e_process(returns, var, p)
    assert told.process == pytest.approx(_slow([1 / p if r < -1 else 0.0 for r in returns], p))
    shortfall = risk.es_e_process(returns, var, es, p)
    assert shortfall.process == pytest.approx(_slow([max(-r - 1.0, 0.0) / (p * 0.6) for r in returns], p))
    assert told.maximum == told.process.max()
    assert told.last == told.process[-1]


@pytest.mark.parametrize("p", [0.01, 0.05])
def test_a_right_forecast_is_hardly_ever_rejected_though_read_every_day(p: float) -> None:
    """Ville: the share of 1,000 series of 1,000 days that ever reach 20 is 5 % at most."""
    rng, rounds, n = np.random.default_rng(2), 1000, 1000
    level, shortfall = _tail(p)
    var, es = np.full(n, level), np.full(n, shortfall)
    crossed = crossed_es = 0
    for _ in range(rounds):
        returns = rng.standard_normal(n)
        crossed += risk.e_process(returns, var, p).rejects()
        crossed_es += risk.es_e_process(returns, var, es, p).rejects()
    allowed = stats.binom.ppf(0.999, rounds, 0.05)
    assert crossed <= allowed
    assert crossed_es <= allowed


def test_a_right_forecast_is_expected_to_leave_the_wealth_at_one() -> None:
    """The martingale itself: for VaR over all 256 paths of eight days, for ES integrated over one day."""
    p, expected = 0.05, np.zeros(8)
    for path in itertools.product([0, 1], repeat=8):
        hits = np.array(path)
        chance = p ** hits.sum() * (1 - p) ** (8 - hits.sum())
        expected += chance * risk.e_process(np.where(hits == 1, -2.0, 0.5), np.ones(8), p).process
    assert expected == pytest.approx(np.ones(8))
    level, shortfall = _tail(p)

    def wealth(r: float) -> float:
        told = risk.es_e_process(np.array([r]), np.array([level]), np.array([shortfall]), p)
        return told.last * float(stats.norm.pdf(r))

    assert integrate.quad(wealth, -12, 12, points=[-level])[0] == pytest.approx(1.0, abs=1e-6)


def test_too_low_a_var_is_found_within_years_and_too_low_an_es_too() -> None:
    """Breaches 2.5 times as often as said: nearly always seen in 1,000 days; Student-t tails said to be normal, too."""
    rng, n = np.random.default_rng(4), 1000
    level, shortfall = _tail(0.05)
    var, es = np.full(n, level), np.full(n, shortfall)
    seen = [risk.e_process(1.45 * rng.standard_normal(n), var, 0.05) for _ in range(40)]
    assert sum(told.rejects() for told in seen) >= 38
    assert sum(risk.es_e_process(1.3 * rng.standard_normal(n), var, es, 0.05).rejects() for _ in range(40)) >= 38
    rows = [told.crossed for told in seen if told.crossed is not None]
    assert np.median(rows) < 500


def test_the_first_crossing_is_told() -> None:
    returns = np.where(np.arange(40) >= 10, -2.0, 0.5)
    told = risk.e_process(returns, np.ones(40), 0.01)
    assert told.crossed is not None
    assert told.process[told.crossed] >= 20 > told.process[: told.crossed].max()
    assert told.verdict.startswith(f"rejected in row {told.crossed}")
    assert told.p_value == pytest.approx(1 / told.maximum)
    calm = risk.e_process(np.zeros(40), np.ones(40), 0.01)
    assert (calm.crossed, calm.p_value) == (None, 1.0)
    assert calm.verdict.startswith("not rejected")
    reached = float(told.process[20])
    assert risk.e_process(returns, np.ones(40), 0.01, size=1.0001 / reached).crossed == 20
    assert risk.e_process(returns, np.ones(40), 0.01, size=0.9999 / reached).crossed == 21
    late = risk.e_process(returns, np.ones(40), 0.01, size=0.0001)
    assert late.crossed is not None
    assert late.crossed > told.crossed


def test_a_row_knows_nothing_of_those_after_it() -> None:
    rng = np.random.default_rng(5)
    returns, var, es = rng.standard_normal(200), np.full(200, 1.6), np.full(200, 2.0)
    for k in (1, 57, 199):
        cut = risk.e_process(returns[:k], var[:k], 0.05).process
        assert np.array_equal(cut, risk.e_process(returns, var, 0.05).process[:k])
        cut = risk.es_e_process(returns[:k], var[:k], es[:k], 0.05).process
        assert np.array_equal(cut, risk.es_e_process(returns, var, es, 0.05).process[:k])


def test_evidence_stays_finite() -> None:
    told = risk.e_process(np.full(5000, -2.0), np.ones(5000), 0.01)
    assert told.maximum == pytest.approx(1e300)
    assert np.isfinite(told.process).all()


def test_a_row_whose_es_is_its_var_is_not_bet_on() -> None:
    returns, var = np.array([-3.0, -3.0, 0.1]), np.ones(3)
    told = risk.es_e_process(returns, var, np.array([1.0, 2.0, 2.0]), 0.05)
    assert told.process[0] == pytest.approx(1.0)
    assert told.process[1] > 1.0
    with pytest.raises(DataInvalid, match="ES is below VaR"):
        risk.es_e_process(returns, var, np.array([2.0, 0.9, 2.0]), 0.05)


def test_what_cannot_be_bet_on_is_refused() -> None:
    with pytest.raises(RequestInvalid):
        risk.e_process(np.zeros(5), np.ones(5), 0.05, size=0.0)
    with pytest.raises(RequestInvalid):
        risk.e_process(np.zeros(5), np.ones(5), 0.7)
    with pytest.raises(DataInvalid):
        risk.e_process(np.full(5, np.nan), np.ones(5), 0.05)
    with pytest.raises(DataInvalid):
        risk.es_e_process(np.zeros(5), np.ones(5), np.ones(4), 0.05)
