"""GARCH, GJR-GARCH and EGARCH refitted along a series: arrays in, arrays out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecastle.errors import ForecastRefused, RequestInvalid
from forecastle.models._climb import HELD, NO_NEWS, NONE
from forecastle.models._maximise import Kernel
from forecastle.models._sample import Sample
from forecastle.models._windows import roll
from forecastle.nouns import Candles, Returns
from forecastle.ports import Progress, silent

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SHORTEST_WINDOW = 100
CHUNK = 128
"""Refits that follow each other warm; each chunk starts cold and knows nothing of the others."""
COLD_CHECK, COLD_CHECK_OF_MANY, FAR = 64, 4, 4
"""Every how many refits one is searched cold though the warm one looks sound: of a GARCH(1,1), of one of more weights.

An EGARCH always is, for its best optimum moves among many; so are refits that lie ``FAR`` rows apart, or more.
"""


@dataclass(frozen=True, eq=False)
class RollingGarch:
    """Row i forecasts the bar after ``returns[i : i + window]``; rows 0 .. n - window.

    ``sigma`` and ``mean`` (rows,) of the next return; ``params`` (rows, k) in the order of ``names``; ``loglikelihood``
    (rows,) of the row's window at its parameters, all in the units of the returns. ``converged`` (rows,): the last
    refit due at this row is at rest and its filter forgets its start; False where that refit failed and the last good
    parameters serve on. ``no_news`` (rows,): the fit puts no weight on past returns, so that beta is not identified.
    ``held`` (rows,): an EGARCH whose free optimum has a filter that never forgets its start; alpha is held from below
    zero, where a large move would calm the market.
    ``restarts`` (rows,): searches from other starting points, 0 where the warm start was enough. Nothing is ever NaN.
    """

    names: tuple[str, ...]
    window: int
    sigma: FloatArray
    mean: FloatArray
    params: FloatArray
    loglikelihood: FloatArray
    converged: BoolArray
    no_news: BoolArray
    held: BoolArray
    restarts: IntArray


@dataclass(frozen=True, eq=False)
class _Rows:
    """What the compiled code fills: variance, params, log-likelihood, quality, restarts."""

    variance: FloatArray
    params: FloatArray
    loglikelihood: FloatArray
    quality: IntArray
    restarts: IntArray

    @classmethod
    def empty(cls, rows: int, k: int) -> _Rows:
        nan, whole = np.full((rows, k), np.nan), np.zeros(rows, np.int64)
        return cls(np.full(rows, np.nan), nan, np.full(rows, np.nan), whole + NONE, whole.copy())

    def part(self, first: int, last: int) -> tuple[FloatArray, FloatArray, FloatArray, IntArray, IntArray]:
        cut = slice(first, last)
        return (
            self.variance[cut], self.params[cut], self.loglikelihood[cut], self.quality[cut], self.restarts[cut],
        )  # fmt: skip


def rolling_garch(
    returns: Candles | Returns | FloatArray,
    window: int,
    *,
    vol: Literal["garch", "egarch"] = "garch",
    p: int = 1,
    o: int = 0,
    q: int = 1,
    dist: Literal["normal", "t", "skewt"] = "t",
    mean: Literal["constant", "zero"] = "constant",
    refit_every: int = 1,
    threads: int | None = None,
    progress: Progress = silent,
) -> RollingGarch:
    """Refit along ``returns`` (n,) and forecast one step ahead of every window.

    ``r[t] = mu + s[t] z[t]`` with ``s2[t] = omega + sum (alpha_i + gamma_i [e<0]) e[t-i]^2 + sum beta_j s2[t-j]``
    (Bollerslev 1986; Glosten, Jagannathan and Runkle 1993), or for ``vol="egarch"`` ``ln s2[t] = omega + sum alpha_i
    (|z[t-i]| - sqrt(2/pi)) + sum gamma_i z[t-i] + sum beta_j ln s2[t-j]`` (Nelson 1991); z normal, Student's t of unit
    variance, or the skewed t of Hansen (1994). Before a window s2 is its backcast, as ``arch`` has it.

    Row i uses nothing from ``i + window`` on. Refits lie at rows 0, ``refit_every``, ...; between them the last
    parameters filter the row's own window. A refit starts warm, at the optimum before it. It is searched from all
    starting points as well at every 128th and every 64th (more weights than GARCH(1,1): 4th; EGARCH, or 4 rows and more
    between refits: always), and whenever the warm one is not at rest, meets or leaves a bound, or gains more than 1 of
    log-likelihood. Where a GARCH would do nearly as well (within 8) at a place where it is known to have a second
    optimum, there is a climb from there; one place is asked at each refit.
    Chunks of 128 refits are the unit of work: the same bytes with one thread or many (None: one a core).

    Raises ``DataInvalid`` for NaN, ``ForecastRefused`` for too few returns, a constant series or a first window that
    cannot be fitted, ``RequestInvalid`` for settings outside the lists; warns with ``ScaleWarning``.
    """
    kernel = _kernel(vol, p, o, q, dist, mean)
    _at_least("window", window, SHORTEST_WINDOW)
    _at_least("refit_every", refit_every, 1)
    data = np.ascontiguousarray(Sample.of(returns, window).returns)
    rows = _Rows.empty(data.size - window + 1, len(kernel.names))
    _fill(kernel, data, window, refit_every, threads or os.cpu_count() or 1, rows, progress)
    _carry_on(kernel, data, window, rows)
    mu = rows.params[:, 0].copy() if mean == "constant" else np.zeros(rows.variance.size)
    return RollingGarch(
        kernel.names, window, np.sqrt(rows.variance), mu, rows.params, rows.loglikelihood,
        converged=rows.quality >= NO_NEWS, no_news=rows.quality == NO_NEWS, held=rows.quality == HELD,
        restarts=rows.restarts,
    )  # fmt: skip


def _fill(
    kernel: Kernel, data: FloatArray, window: int, every: int, threads: int, rows: _Rows, progress: Progress
) -> None:
    """Roll through every chunk, each into its own rows."""
    rules, limits = kernel.bounds
    check, total = _check(kernel, every), rows.variance.size
    starts = kernel.all_starts if every >= FAR else kernel.starts

    def work(first: int, last: int) -> int:
        roll(
            kernel.guarded, rules, limits, starts, data[first : last - 1 + window], window, every, check,
            *rows.part(first, last),
        )  # fmt: skip
        return last - first

    done = 0
    for fitted in _side_by_side(work, list(_chunks(total, CHUNK * every)), threads):
        done += fitted
        progress(done, total, "windows")


def _check(kernel: Kernel, every: int) -> int:
    """Return every how many refits one is searched cold."""
    if every >= FAR or kernel.vol == "egarch":
        return 1
    return COLD_CHECK if (kernel.p, kernel.o, kernel.q) == (1, 0, 1) else COLD_CHECK_OF_MANY


def _side_by_side(work: Callable[[int, int], int], chunks: list[tuple[int, int]], threads: int) -> Iterator[int]:
    """Yield what came of each chunk as it is done; on this thread where there is no use for more."""
    if min(threads, len(chunks)) == 1:
        yield from (work(*chunk) for chunk in chunks)
        return
    with ThreadPoolExecutor(threads) as pool:
        for job in as_completed([pool.submit(work, *chunk) for chunk in chunks]):
            yield job.result()


def _chunks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, rows, size):
        yield first, min(first + size, rows)


def _carry_on(kernel: Kernel, data: FloatArray, window: int, rows: _Rows) -> None:
    """Fill rows at the head of a chunk that found nothing with the last parameters of the chunk before."""
    for row in np.flatnonzero(rows.quality == NONE):
        if row == 0:
            raise ForecastRefused(
                "The first window cannot be fitted.",
                f"Its {window} returns never change, or no parameters have a finite likelihood.",
                "Start where the market moves, or use a longer window.",
            )
        part = data[row : row + window]
        params = rows.params[row - 1]
        rows.params[row] = params
        rows.quality[row] = 0
        rows.variance[row], rows.loglikelihood[row] = _filtered(kernel, params, part)


def _filtered(kernel: Kernel, params: FloatArray, part: FloatArray) -> tuple[float, float]:
    from forecastle.models._maximise import loglikelihood, variances

    return float(variances(kernel, params, part)[-1]), loglikelihood(kernel, params, part)


def _kernel(vol: str, p: int, o: int, q: int, dist: str, mean: str) -> Kernel:
    for name, value, known in (
        ("vol", vol, ("garch", "egarch")),
        ("dist", dist, ("t", "normal", "skewt")),
        ("mean", mean, ("constant", "zero")),
    ):
        if value not in known:
            raise RequestInvalid(f"{name} is {value!r}.", f"Known: {', '.join(known)}.", f"Choose {name}='{known[0]}'.")
    for name, lags, low in (("p", p, 1), ("o", o, 0), ("q", q, 0)):
        if not low <= lags <= 3:
            raise RequestInvalid(
                f"{name} is {lags!r}.", f"It has to be a whole number from {low} to 3.", "Choose another."
            )
    return Kernel(vol, p, o, q, dist, mean)


def _at_least(name: str, value: int, low: int) -> None:
    if value < low:
        raise RequestInvalid(f"{name} is {value}.", f"It has to be at least {low}.", "Choose a larger one.")
