"""A GARCH model walked forward through the kernel: its rows as forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from forecastle.errors import ForecastRefused
from forecastle.models._innovations import SHAPES, quantiles_of_rows
from forecastle.models._rolling import no_first_fit, refuse_dead, rows_of
from forecastle.models.rolling_garch import CHUNK, RollingGarch, rolling_garch
from forecastle.nouns import History
from forecastle.ports import OneStep, Plan, Progress, Rolled

if TYPE_CHECKING:
    from forecastle.models.garch import GarchModel

FloatArray = npt.NDArray[np.float64]


def roll_through_kernel(model: GarchModel, history: History, plan: Plan, progress: Progress) -> Rolled:
    """Return the rows from ``plan.first`` on.

    Chunks of refits start cold and know nothing of each other, so that the work begins with the chunk of the first row
    wanted, and the rows are those of the whole series.
    """
    returns = history.returns
    rows_of(returns.values, plan)
    begin, rolled = _rows_from(model, history, plan, progress)
    keep = slice(plan.first - begin, None)
    step = _forecasts(model, rolled, plan.levels, keep)
    refuse_dead(step.sigma, returns, plan.first, plan.window, model.label)
    fresh = rolled.converged[keep]
    due = fresh[:: plan.refit_every]
    return Rolled(step, fresh, due.size, int((~due).sum()))


def _rows_from(model: GarchModel, history: History, plan: Plan, progress: Progress) -> tuple[int, RollingGarch]:
    """Return the row where the work began and the rows from there on.

    Where the first row of a chunk has no fit of its own it goes on with the parameters of the chunk before.
    """
    chunk = CHUNK * plan.refit_every

    def told(done: int, total: int, what: str) -> None:
        progress(done, total, f"{history.candles.instrument} {model.label}")

    for begin in range(plan.first // chunk * chunk, -1, -chunk):
        try:
            rolled = rolling_garch(
                history.returns.values[begin:], plan.window, vol=model.vol, p=model.p, o=model.o, q=model.q,  # type: ignore[arg-type]
                dist=model.dist, mean=model.mean, refit_every=plan.refit_every, progress=told,  # type: ignore[arg-type]
            )  # fmt: skip
        except ForecastRefused:
            continue
        if rolled.converged[0]:
            return begin, rolled
    raise no_first_fit(model.label, history.candles, plan.window)


def _forecasts(model: GarchModel, rolled: RollingGarch, levels: FloatArray, keep: slice) -> OneStep:
    """Return the rows kept, each with the quantiles of its own innovations."""
    shapes = rolled.params[keep, len(rolled.names) - len(SHAPES[model.dist]) :]
    z, tail = quantiles_of_rows(model.dist, shapes, levels)
    mean, sigma = rolled.mean[keep], rolled.sigma[keep]
    at, spread = mean[:, None], sigma[:, None]
    return OneStep(mean, sigma, at + spread * z, -(at + spread * tail))
