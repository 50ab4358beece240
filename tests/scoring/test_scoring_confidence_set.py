"""The Model Confidence Set beside arch.bootstrap.MCS, which draws the same blocks from the same seed; its coverage."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal, stats

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.scoring.forecast import model_confidence_set

FloatArray = npt.NDArray[np.float64]


def _losses(seed: int, n: int, worse: FloatArray, memory: float = 0.3) -> FloatArray:
    """Return losses with a common part and autocorrelation; model i loses ``worse[i]`` more on average."""
    rng = np.random.default_rng(seed)
    own = signal.lfilter([1.0], [1.0, -memory], rng.standard_normal((n, worse.size)), axis=0)
    return np.asarray(own + rng.standard_normal((n, 1)) ** 2 + worse)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("statistic", "method"), [("max", "max"), ("range", "R")])
def test_it_is_that_of_arch(seed: int, statistic: Literal["max", "range"], method: Literal["max", "R"]) -> None:
    from arch.bootstrap import MCS

    losses = _losses(seed, 503, np.linspace(0.0, 0.35, 7))  # 503: the last block is cut
    theirs = MCS(losses, 0.1, reps=500, block_size=8, method=method, bootstrap="circular", seed=seed)
    theirs.compute()
    ours = model_confidence_set(losses, 0.1, statistic=statistic, block=8, replications=500, seed=seed)
    assert ours.p_values == {str(name): p for name, p in sorted(theirs.pvalues["Pvalue"].items())}
    assert sorted(ours.included) == [str(name) for name in theirs.included]
    gone = [str(name) for name in theirs.pvalues.index[: len(ours.excluded)]]
    assert list(ours.excluded) == gone
    assert gone  # something was excluded, or this compared nothing


@pytest.mark.parametrize("statistic", ["max", "range"])
def test_the_best_model_is_inside_as_often_as_promised(statistic: Literal["max", "range"]) -> None:
    """Five equally good models: the set holds all of them with a probability of 90 % (asymptotically)."""
    rounds, held = 200, 0
    for seed in range(rounds):
        drawn = _losses(seed, 500, np.zeros(5))
        held += not model_confidence_set(drawn, 0.1, statistic=statistic, replications=200, seed=seed).excluded
    assert held >= stats.binom.ppf(0.001, rounds, 0.88)  # 500 rows in blocks: a little below 90 %
    assert held <= stats.binom.ppf(0.999, rounds, 0.92)


def test_bad_models_go_and_good_ones_stay() -> None:
    drawn = _losses(5, 1500, np.array([0.0, 0.02, 0.5, 1.0]))
    result = model_confidence_set({name: drawn[:, i] for i, name in enumerate("abcd")})
    assert set(result.included) == {"a", "b"}
    assert result.excluded == ("d", "c")
    assert max(result.p_values.values()) == 1.0
    assert result.p_values["d"] <= result.p_values["c"] < 0.1
    assert (result.block, result.replications, result.size) == (12, 1000, 0.1)


def test_the_same_losses_stay_together() -> None:
    x = np.random.default_rng(3).standard_normal(200)
    same = model_confidence_set({"a": x, "b": x.copy(), "c": x.copy()})
    assert same.p_values == {"a": 1.0, "b": 1.0, "c": 1.0}
    shifted = model_confidence_set({"a": x, "b": x + 0.01})
    assert (shifted.included, shifted.excluded) == (("a",), ("b",))
    assert model_confidence_set({"alone": x}).included == ("alone",)


def test_it_is_the_same_every_time_and_in_every_unit() -> None:
    drawn = _losses(6, 300, np.array([0.0, 0.1, 0.3]))
    first = model_confidence_set(drawn)
    assert model_confidence_set(drawn) == first
    assert model_confidence_set(1e-8 * drawn).p_values == first.p_values
    assert model_confidence_set(drawn[:, ::-1], statistic="range").p_values == dict(
        zip("012", reversed(model_confidence_set(drawn, statistic="range").p_values.values()), strict=True)
    )


def test_what_is_no_table_of_losses_is_refused() -> None:
    x = np.arange(50.0)
    for losses in ({"a": x, "b": x[1:]}, {"a": x, "b": np.full(50, np.nan)}, {}, x):
        with pytest.raises(DataInvalid):
            model_confidence_set(losses)
    with pytest.raises(RequestInvalid):
        model_confidence_set({"a": x[:9], "b": x[:9]})
    with pytest.raises(RequestInvalid):
        model_confidence_set({"a": x, "b": x}, size=1.0)
    with pytest.raises(RequestInvalid):
        model_confidence_set({"a": x, "b": x}, block=51)
