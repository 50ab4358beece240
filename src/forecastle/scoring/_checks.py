"""What every score and test asks of its input: aligned, finite, of the right sign."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def aligned(**columns: FloatArray) -> tuple[FloatArray, ...]:
    """Return the named columns as float arrays of one shape (n,); ``DataInvalid`` where they are not, or hold NaN."""
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    shapes = {a.shape for a in arrays.values()}
    names = ", ".join(name.replace("_", " ") for name in arrays)
    if len(shapes) != 1 or any(a.ndim != 1 or not a.size for a in arrays.values()):
        told = ", ".join(f"{name.replace('_', ' ')} {a.shape}" for name, a in arrays.items())
        raise DataInvalid(
            f"The shapes are {told}.", "There has to be one forecast for every outcome.", "Pass 1-d arrays, aligned."
        )
    if not all(np.isfinite(a).all() for a in arrays.values()):
        raise DataInvalid(
            f"There is NaN or infinity in {names}.", "Such a row can neither be met nor missed.", "Leave it out."
        )
    return tuple(arrays.values())


def positive(name: str, values: FloatArray) -> None:
    """Raise ``DataInvalid`` where a value of ``values`` is zero or negative."""
    if not (values > 0).all():
        raise DataInvalid(
            f"Some {name} is {values.min():g}.", f"Every {name} has to be positive here.", "Look at its sign and rows."
        )


def probability(p: float) -> None:
    """Raise ``RequestInvalid`` unless ``p`` is a level of VaR: the share of breaches, between 0 and 0.5."""
    if not 0.0 < p < 0.5:
        raise RequestInvalid(
            f"The level is {p}.", "It is the share of breaches, between 0 and 0.5.", "One percent is 0.01."
        )


def breaches(returns: FloatArray, var: FloatArray, p: float) -> BoolArray:
    """Return ``returns < -var``, strictly, shape (n,), of input that was checked."""
    probability(p)
    outcome, loss = aligned(returns=returns, VaR=var)
    if (loss <= 0).all():
        raise DataInvalid("Every VaR is zero or negative.", "VaR is a positive loss here.", "Change its sign.")
    return np.asarray(outcome < -loss)
