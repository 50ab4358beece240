"""The maximum: certified numbers, arch, true parameters of simulated data, honest status."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from arch import arch_model

from forecastle.models._maximise import Kernel, Optimum, maximise, observation_scores, variances
from forecastle.nouns import Candles

FloatArray = npt.NDArray[np.float64]


def simulated(seed: int, n: int, alpha: float, gamma: float, beta: float, nu: float) -> FloatArray:
    """A GJR-GARCH of unconditional standard deviation 0.01 with Student's t of unit variance."""
    rng = np.random.default_rng(seed)
    z = rng.standard_t(nu, n + 500) * np.sqrt((nu - 2.0) / nu)
    out, s2 = np.empty(n + 500), 1e-4
    omega = 1e-4 * (1.0 - alpha - gamma / 2.0 - beta)
    for t in range(n + 500):
        out[t] = np.sqrt(s2) * z[t]
        s2 = omega + (alpha + gamma * (out[t] < 0)) * out[t] ** 2 + beta * s2
    return 3e-4 + out[500:]


def simulated_egarch(seed: int, n: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    z, out, log_s2 = rng.standard_normal(n + 500), np.empty(n + 500), np.log(1e-4)
    for t in range(n + 500):
        out[t] = np.exp(0.5 * log_s2) * z[t]
        log_s2 = 0.04 * np.log(1e-4) + 0.15 * (abs(z[t]) - np.sqrt(2 / np.pi)) - 0.08 * z[t] + 0.96 * log_s2
    return out[500:]


@pytest.mark.shared_data
def test_certified_values_of_the_mark_and_the_pound(shared_data: Path) -> None:
    """Bollerslev and Ghysels (1996), digits of McCullough and Renfro (1998) as in the issue: nine in each parameter."""
    percent = np.genfromtxt(shared_data / "reference" / "dem2gbp.csv", skip_header=1)
    kernel = Kernel("garch", 1, 0, 1, "normal", "constant", "sample")
    found = maximise(kernel, percent)
    certified = [-0.0061904083799, 0.0107613978518, 0.15313406182, 0.80597367031]
    np.testing.assert_allclose(found.params, certified, rtol=5e-10)
    assert found.loglikelihood == pytest.approx(-1106.60788104129, abs=1e-10)
    assert found.converged
    in_decimals = maximise(kernel, percent / 100.0)
    np.testing.assert_allclose(in_decimals.params, found.params * [0.01, 1e-4, 1.0, 1.0], rtol=1e-9)


@pytest.mark.parametrize(
    ("vol", "p", "o", "q", "dist"),
    [
        ("garch", 1, 0, 1, "normal"), ("garch", 1, 0, 1, "t"), ("garch", 1, 1, 1, "t"), ("garch", 2, 0, 2, "skewt"),
        ("egarch", 1, 1, 1, "normal"), ("egarch", 1, 1, 1, "skewt"), ("garch", 1, 0, 0, "t"),
    ],
)  # fmt: skip
def test_never_below_arch(bundled_spx: Candles, vol: str, p: int, o: int, q: int, dist: str) -> None:
    returns = bundled_spx.log_returns().values
    for start in (0, 2000):
        part = returns[start : start + 1000]
        scale = float(part.std())
        model = arch_model(part / scale, vol=vol, p=p, o=o, q=q, dist=dist, rescale=False)  # type: ignore[arg-type]
        theirs = model.fit(disp="off", show_warning=False).loglikelihood - part.size * np.log(scale)
        ours = maximise(Kernel(vol, p, o, q, dist, "constant"), part)
        assert ours.converged
        assert ours.loglikelihood > theirs - 1e-4


@pytest.mark.parametrize(
    ("kernel", "returns", "truth"),
    [
        (
            Kernel("garch", 1, 1, 1, "t", "constant"), simulated(1, 6000, 0.04, 0.08, 0.89, 6.0),
            [3e-4, 3e-6, 0.04, 0.08, 0.89, 6.0],
        ),
        (
            Kernel("egarch", 1, 1, 1, "normal", "zero"), simulated_egarch(2, 6000),
            [0.04 * np.log(1e-4), 0.15, -0.08, 0.96],
        ),
    ],
)  # fmt: skip
def test_true_parameters_come_back(kernel: Kernel, returns: FloatArray, truth: list[float]) -> None:
    found = maximise(kernel, returns)
    scores = observation_scores(kernel, found.params, returns)
    errors = np.sqrt(np.diag(np.linalg.inv(scores.T @ scores)))
    assert found.converged
    assert np.abs((found.params - truth) / errors).max() < 3.0
    assert (errors < 0.35 * np.maximum(np.abs(truth), 3e-3)).all()


def test_white_noise_is_said_to_follow_nothing_and_its_forecast_is_right() -> None:
    answers: list[Optimum] = []
    for seed in range(8):
        noise = 0.01 * np.random.default_rng(seed).standard_normal(1000)
        kernel = Kernel("garch", 1, 0, 1, "normal", "constant")
        found = maximise(kernel, noise)
        answers.append(found)
        assert found.converged
        assert np.sqrt(variances(kernel, found.params, noise)[-1]) == pytest.approx(0.01, rel=0.25)
    assert any("not identified" in found.reason for found in answers)


def test_an_egarch_is_invertible(bundled_spx: Candles) -> None:
    """A window where the free optimum of arch has a filter that does not forget its start."""
    part = bundled_spx.log_returns().values[681:1681]
    kernel = Kernel("egarch", 1, 1, 1, "skewt", "constant")
    found = maximise(kernel, part)
    mu, _, alpha, gamma, beta, *_ = found.params
    z = (part - mu) / np.sqrt(variances(kernel, found.params, part)[:-1])
    assert np.log(np.abs(beta - 0.5 * (alpha * np.abs(z) + gamma * z))).mean() < 0.0
    assert found.converged
    assert "alpha held" in found.reason
