"""The compiled likelihood against arch's, its gradient against differences and against a plain twin."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from arch import arch_model

from forecastle.models._maximise import Kernel, hessian, loglikelihood, observation_scores, variances

FloatArray = npt.NDArray[np.float64]

LAGS = [(1, 0, 1), (1, 1, 1), (2, 1, 1), (1, 2, 3), (3, 0, 2), (1, 1, 0)]
CELLS = list(itertools.product(("garch", "egarch"), LAGS, ("normal", "t", "skewt"), ("constant", "zero")))
SHAPES = {"normal": [], "t": [6.0], "skewt": [6.0, -0.1]}


def returns(seed: int = 7, n: int = 400) -> FloatArray:
    return np.random.default_rng(seed).standard_t(5, n) * 0.8 + 0.02


def params(kernel: Kernel) -> FloatArray:
    """Plausible parameters for returns of about unit variance, all lags different."""
    first = [0.03] if kernel.mean == "constant" else []
    news = [0.12 / (i + 1) for i in range(kernel.p)]
    beta = [0.7 / 2**i for i in range(kernel.q)] if kernel.q == 1 else [0.4 / (i + 1) for i in range(kernel.q)]
    side = [0.05 / (i + 1) for i in range(kernel.o)] if kernel.vol == "garch" else [-0.08] * kernel.o
    return np.array([*first, 0.05, *news, *side, *beta, *SHAPES[kernel.dist]])


@pytest.mark.parametrize(("vol", "lags", "dist", "mean"), CELLS)
def test_value_and_variances_are_those_of_arch(vol: str, lags: tuple[int, int, int], dist: str, mean: str) -> None:
    kernel, data = Kernel(vol, *lags, dist, mean), returns()
    names = {"constant": "Constant", "zero": "Zero"}
    model = arch_model(data, mean=names[mean], vol=vol, p=lags[0], o=lags[1], q=lags[2], dist=dist, rescale=False)  # type: ignore[arg-type]
    fixed = model.fix(params(kernel))
    assert kernel.names == tuple(fixed.params.index)
    assert loglikelihood(kernel, params(kernel), data) == pytest.approx(fixed.loglikelihood, abs=1e-9)
    ours = variances(kernel, params(kernel), data)
    np.testing.assert_allclose(ours[:-1], np.asarray(fixed.conditional_volatility) ** 2, rtol=1e-12)
    assert ours[-1] == pytest.approx(fixed.forecast(horizon=1).variance.to_numpy()[-1, 0], rel=1e-12)


@pytest.mark.parametrize("start", ["backcast", "sample"])
@pytest.mark.parametrize(("vol", "lags", "dist", "mean"), CELLS)
def test_gradient_is_that_of_differences(
    vol: str, lags: tuple[int, int, int], dist: str, mean: str, start: str
) -> None:
    kernel, data = Kernel(vol, *lags, dist, mean, start), 0.02 * returns()
    at = params(kernel)
    if vol == "garch":
        at[kernel.names.index("omega")] *= 0.02**2
    else:
        at[kernel.names.index("omega")] += (1.0 - at[[n.startswith("beta") for n in kernel.names]].sum()) * -7.8
    if mean == "constant":
        at[0] *= 0.02
    scores = observation_scores(kernel, at, data)
    assert scores.shape == (data.size, at.size)
    slope = np.empty(at.size)
    for i, h in enumerate(1e-5 * np.maximum(np.abs(at), 1e-5)):
        up, down = at.copy(), at.copy()
        up[i], down[i] = at[i] + h, at[i] - h
        slope[i] = (loglikelihood(kernel, up, data) - loglikelihood(kernel, down, data)) / (2.0 * h)
    scale = np.maximum(np.abs(slope), np.sqrt((scores**2).sum(axis=0)))
    np.testing.assert_allclose(scores.sum(axis=0) / scale, slope / scale, atol=2e-5)


def compiled_gradient(kernel: Kernel, at: FloatArray, data: FloatArray) -> FloatArray:
    from forecastle.models._maximise import Evaluated

    here = Evaluated.at(kernel, at, data)
    return np.asarray(here.run(here.theta)[1] @ here.by_params)


@pytest.mark.parametrize(("vol", "lags", "dist", "mean"), CELLS)
@pytest.mark.parametrize("start", ["backcast", "sample"])
def test_compiled_gradient_is_the_sum_of_the_plain_scores(
    vol: str, lags: tuple[int, int, int], dist: str, mean: str, start: str
) -> None:
    kernel, data = Kernel(vol, *lags, dist, mean, start), returns(n=150)
    scores = observation_scores(kernel, params(kernel), data)
    scale = np.sqrt((scores**2).sum(axis=0))
    gap = (compiled_gradient(kernel, params(kernel), data) - scores.sum(axis=0)) / scale
    assert np.abs(gap).max() < 1e-10


@pytest.mark.parametrize("vol", ["garch", "egarch"])
@pytest.mark.parametrize("dist", ["normal", "t", "skewt"])
def test_hessian_is_the_difference_of_scores(vol: str, dist: str) -> None:
    kernel, data = Kernel(vol, 1, 1, 1, dist, "constant"), returns()
    at = params(kernel)
    slow = np.empty((at.size, at.size))
    for i, h in enumerate(1e-5 * np.maximum(np.abs(at), 1e-2)):
        up, down = at.copy(), at.copy()
        up[i], down[i] = at[i] + h, at[i] - h
        gap = observation_scores(kernel, up, data) - observation_scores(kernel, down, data)
        slow[i] = gap.sum(axis=0) / (2.0 * h)
    size = np.sqrt(np.abs(np.diag(slow)))
    ours = hessian(kernel, at, data)
    np.testing.assert_allclose(ours / np.outer(size, size), slow / np.outer(size, size), atol=1e-4)
    np.testing.assert_array_equal(ours, ours.T)
