"""Maximum likelihood through ``arch``: for the members of the family that the kernel does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecastle.models._recursions import FIGARCH_LAGS, HARCH_LAGS, MIDAS_LAGS
from forecastle.models._sample import SEED

if TYPE_CHECKING:
    from forecastle.models.garch import GarchModel

FloatArray = npt.NDArray[np.float64]

_QUIET: dict[str, Any] = {"disp": "off", "show_warning": False}
_STARTS = 4
_SPREAD = 0.4


@dataclass(frozen=True, eq=False)
class ArchOptimum:
    """The best fit found: ``params`` in the order of the model's names, ``reason`` why it is not to be believed."""

    params: FloatArray
    loglikelihood: float
    converged: bool
    reason: str
    restarts: int


def maximise_by_arch(model: GarchModel, returns: FloatArray) -> ArchOptimum:
    """Fit returns of unit variance once; where that fails, from four other starting points, and keep the best."""
    specification = arch_specification(model, returns)
    best, restarts = specification.fit(**_QUIET), 0
    if not _sound(best):
        for start in _other_starts(specification, _first_start(specification)):
            tried = specification.fit(starting_values=start, **_QUIET)
            restarts += 1
            if (_sound(tried), tried.loglikelihood) > (_sound(best), best.loglikelihood):
                best = tried
    sound = _sound(best)
    reason = "" if sound else f"the optimiser stopped with flag {best.convergence_flag}"
    return ArchOptimum(np.array(best.params, dtype=np.float64), float(best.loglikelihood), sound, reason, restarts)


def arch_specification(model: GarchModel, returns: FloatArray) -> Any:
    """Return the model as ``arch`` has it, unscaled."""
    from arch import univariate as arch  # 1.4 s: only for those who fit through it

    innovations: Any = {
        "normal": arch.Normal,
        "t": arch.StudentsT,
        "skewt": arch.SkewStudent,
        "ged": arch.GeneralizedError,
    }[model.dist]
    parts: Any = {"volatility": _volatility(arch, model), "distribution": innovations(), "rescale": False}
    if model.mean == "ar":
        return arch.ARX(returns, lags=1, **parts)
    return (arch.ConstantMean if model.mean == "constant" else arch.ZeroMean)(returns, **parts)


def _volatility(arch: Any, model: GarchModel) -> Any:
    p, o, q = model.p, model.o, model.q
    if model.vol == "harch":
        return arch.HARCH(list(HARCH_LAGS))
    if model.vol == "midas":
        return arch.MIDASHyperbolic(MIDAS_LAGS, asym=bool(o))
    if model.vol == "figarch":
        return arch.FIGARCH(p, q, truncation=FIGARCH_LAGS)
    return {"garch": arch.GARCH, "egarch": arch.EGARCH, "aparch": arch.APARCH}[model.vol](p, o, q)


def _sound(result: Any) -> bool:
    return bool(result.convergence_flag == 0 and np.isfinite(result.loglikelihood) and np.isfinite(result.params).all())


def _first_start(specification: Any) -> FloatArray:
    """Return the point where ``arch`` begins on its own: of the mean, the variance and the innovations."""
    mean = specification.starting_values()
    residuals = specification.resids(mean)
    variance = specification.volatility.starting_values(residuals)
    parts = (mean, variance, specification.distribution.starting_values(residuals / residuals.std()))
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


def _other_starts(specification: Any, centre: FloatArray) -> Iterator[FloatArray]:
    """Yield starting points around ``arch``'s own, drawn nearer to it until they meet its constraints."""
    rng = np.random.default_rng(SEED)
    a, b = _constraints(specification, centre.size)
    for _ in range(_STARTS):
        away = centre * (np.exp(_SPREAD * rng.standard_normal(centre.size)) - 1.0)
        while (a @ (centre + away) < b).any() and np.abs(away).max() > 1e-6:
            away *= 0.5
        yield centre + away


def _constraints(specification: Any, size: int) -> tuple[FloatArray, FloatArray]:
    """Return A and b of ``A x >= b`` over all parameters; the mean's are free."""
    parts = (specification.volatility, specification.distribution)
    blocks = [part.constraints() for part in parts]
    means = size - sum(block[0].shape[1] for block in blocks)
    a = np.zeros((sum(block[0].shape[0] for block in blocks), size))
    row, column = 0, means
    for block, _ in blocks:
        a[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return a, np.concatenate([block[1] for block in blocks])
