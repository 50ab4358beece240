"""Evidence against VaR and ES that may be read every day: bets that a right forecast makes unprofitable.

Every row has an e-statistic, not negative and with an expectation of at most 1 given the past if the forecast is
right. Who stakes the share ``lambda`` of his wealth on each row has after t rows ``prod(1 - lambda + lambda e_i)``, and
never expects to have more than 1. Here one unit of wealth is spread evenly over twenty fixed stakes and left there:
nothing is tuned to the data, and after t rows it is behind the best of the stakes by a factor of 20 at most. The stakes
are those that grow fastest where breaches come 1.2 to 6 times as often as said. By Ville's inequality the wealth ever
reaches 20 with a probability of 5 % at most, however often one looks and whenever one stops. Evidence is summed up from
the first row on: a forecast that was right for years and fails now is told later than by a process begun now.

Sources: Wang, Wang and Ziegel (2022), E-backtesting, arXiv 2209.00991 (the e-statistics, stakes up to 1/2);
Waudby-Smith and Ramdas (2024), JRSS B 86, 1-27 (a fixed grid of stakes); Ville (1939).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.nouns import EProcess
from forecastle.scoring._checks import aligned, breaches, positive

FloatArray = npt.NDArray[np.float64]

STAKES = np.geomspace(0.2, 5.0, 20)
"""In units of the level p: if breaches come k times as often as said, the best stake is close to (k - 1) p."""
HIGHEST_STAKE = 0.5
HIGHEST = 1e300


def e_process(returns: FloatArray, var: FloatArray, p: float, size: float = 0.05) -> EProcess:
    """Return the running evidence that VaR is too low: the e-statistic is ``1{breach} / p``.

    The null hypothesis is that every breach had a probability of at most ``p`` given the past; that a VaR is too high
    is not tested (:func:`kupiec_pof` does). Raises ``DataInvalid`` for NaN and different shapes, ``RequestInvalid``
    for a size outside 0 to 1.
    """
    return _wealth("e-process of VaR", breaches(returns, var, p) / p, p, size)


def es_e_process(returns: FloatArray, var: FloatArray, es: FloatArray, p: float, size: float = 0.05) -> EProcess:
    """Return the running evidence that ES is too low: the e-statistic is ``max(-r - VaR, 0) / (p (ES - VaR))``.

    The null hypothesis is that given the past VaR is right and ES is not below the true one. A row whose ES equals its
    VaR is not bet on: any loss beyond it would end the matter at once. Raises ``DataInvalid`` for NaN, different shapes
    and ES below VaR, ``RequestInvalid`` for a size outside 0 to 1.
    """
    returns, var, es = aligned(returns=returns, VaR=var, ES=es)
    breaches(returns, var, p)
    positive("ES", es)
    gap = es - var
    if (gap < 0).any():
        raise DataInvalid(
            f"ES is below VaR in {int((gap < 0).sum())} rows.", "The mean loss beyond VaR exceeds it.", "Mend the ES."
        )
    tail = np.maximum(-returns - var, 0.0)
    return _wealth("e-process of ES", np.divide(tail, p * gap, out=np.ones_like(gap), where=gap > 0), p, size)


def _wealth(name: str, e: FloatArray, p: float, size: float) -> EProcess:
    if not 0.0 < size < 1.0:
        raise RequestInvalid(f"The size is {size}.", "It is a probability between 0 and 1.", "Five percent is 0.05.")
    stakes = np.minimum(STAKES * p, HIGHEST_STAKE)
    logs = np.cumsum(np.log1p(stakes[:, None] * (e - 1.0)), axis=1)
    process = np.exp(np.minimum(special.logsumexp(logs, axis=0) - np.log(STAKES.size), np.log(HIGHEST)))
    over = np.flatnonzero(process >= 1.0 / size)
    crossed = int(over[0]) if over.size else None
    maximum = float(process.max())
    asked = f"{maximum:.3g} at most, where {1.0 / size:.3g} is asked"
    verdict = f"not rejected: evidence {asked}" if crossed is None else f"rejected in row {crossed}: evidence {asked}"
    return EProcess(name, process, size, maximum, crossed, verdict)
