"""Walk-forward splits: what may be fitted on, and what it is then used for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forecastle.errors import DataMissing, RequestInvalid


@dataclass(frozen=True)
class Block:
    """Fit on ``[train_start, train_stop)``; use the parameters for the targets ``[train_stop, test_stop)``."""

    train_start: int
    train_stop: int
    test_stop: int


def walk_forward(n: int, window: int, refit_every: int) -> Iterator[Block]:
    """Yield rolling blocks over ``n`` observations: ``window`` to fit on, then at most ``refit_every`` to forecast.

    The training part always ends where the test part begins; together the test parts are ``window .. n - 1``, each
    once. Raises ``RequestInvalid`` for windows or steps below one, ``DataMissing`` where nothing is left to forecast.
    """
    if window < 1 or refit_every < 1:
        raise RequestInvalid(
            f"window {window}, refit {refit_every}.", "Both have to be at least 1.", "Choose larger ones."
        )
    if n <= window:
        raise DataMissing(
            f"There are {n} returns and the window takes {window}.",
            "Nothing is left to forecast.",
            "Get more history or choose a smaller --window.",
        )
    for stop in range(window, n, refit_every):
        yield Block(stop - window, stop, min(stop + refit_every, n))
