"""How likely a leveraged position is liquidated on the way, from simulated futures of the price."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid

FloatArray = npt.NDArray[np.float64]
Side = Literal["long", "short"]


def liquidated_by(
    returns: FloatArray,
    sigma: FloatArray,
    side: Side,
    leverage: float,
    maintenance: float,
    funding: float = 0.0,
    seed: int = 0,
) -> FloatArray:
    """Return the share of paths on which an isolated position is liquidated by each bar, (horizon,), rising.

    ``returns`` and ``sigma`` (paths, horizon) are log returns of the bars to come and their conditional volatility, in
    decimals; ``maintenance`` is the rate of the tier; ``funding`` what a long pays of its notional each bar, a short
    earns. A long from price 1 with margin ``1 / leverage`` falls where ``1/L + p - 1 - funding paid <= maintenance p``.

    A price moves within a bar as well: its extreme between two closes is drawn from that of a Brownian bridge,
    ``(x0 + x1 -+ sqrt((x1 - x0)^2 - 2 s^2 ln U)) / 2`` in logs with s the bar's sigma (Beaglehole, Dybvig and Zhou
    1997, Financial Analysts Journal 53(1), 62-68). Without it every liquidation between closes would be missed. Raises
    ``DataInvalid`` for paths that are not finite, ``RequestInvalid`` for a leverage not above zero.
    """
    if returns.ndim != 2 or returns.shape != sigma.shape or not (np.isfinite(returns).all() and (sigma >= 0).all()):
        raise DataInvalid(
            "The paths are not finite.", "Each bar of each has a return and a sigma.", "Mend the forecast."
        )
    if not (leverage > 0.0 and 0.0 <= maintenance < 1.0):
        what = f"leverage is {leverage:g}, maintenance {maintenance:g}."
        raise RequestInvalid(what, "The first is above zero, the second a share below 1.", "Mend them.")
    sign = 1.0 if side == "long" else -1.0
    after = np.cumsum(returns, axis=1)
    before = np.concatenate([np.zeros((returns.shape[0], 1)), after[:, :-1]], axis=1)
    uniform = np.random.default_rng(seed).random(returns.shape)
    swing = np.sqrt(np.square(after - before) - 2.0 * np.square(sigma) * np.log(uniform))
    worst = np.exp(0.5 * (before + after - sign * swing))
    # funding is due at each open on the notional there
    paid = sign * funding * np.cumsum(np.exp(before), axis=1)
    kept = 1.0 / leverage + sign * (worst - 1.0) - paid
    fallen = np.logical_or.accumulate(kept <= maintenance * worst, axis=1)
    return np.asarray(fallen.mean(axis=0))


def share_interval(share: float, draws: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of draws, by Wilson (1927): the error of the drawing alone."""
    z = 1.959963984540054
    middle = (share + z * z / (2 * draws)) / (1 + z * z / draws)
    half = z / (1 + z * z / draws) * math.sqrt(share * (1 - share) / draws + z * z / (4 * draws * draws))
    return max(middle - half, 0.0), min(middle + half, 1.0)
