"""One regression over this instrument and others: what they have in common is learned from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from forecastle.models._design import Design, design_of
from forecastle.models._regression import Ridge
from forecastle.models.har import LogRegression, implied_of
from forecastle.nouns import History
from forecastle.ports import Extra


@dataclass(frozen=True)
class PooledHar(LogRegression):
    """The log-HAR with the market's terms, one weighted ridge regression over the instrument and its peers.

    Peers are the other instruments of the history; a row of theirs counts a fifth of an own one. The terms of the
    market are means over all of them: ranges of the day and week, of the last hours, the quarter. Every regressor and
    the response are relative to the last month of their own instrument, so that one set of coefficients holds for all.
    An instrument without history of its own is forecast with what was learned from its peers, once there is a return
    to say its level. Without peers this is the log-HAR.
    """

    ridge: Ridge = field(default_factory=Ridge)
    label: ClassVar[str] = "Pooled log-HAR"
    wants: ClassVar[frozenset[Extra]] = frozenset({"finer", "observations", "peers"})
    needs: ClassVar[frozenset[Extra]] = frozenset({"peers"})
    minimum: ClassVar[int] = 2

    def designs(self, history: History) -> tuple[Design, Sequence[Design]]:
        """Return the rows of the instrument and of its peers, all with the terms of the market."""
        return pooled_designs(history)


def pooled_designs(history: History) -> tuple[Design, Sequence[Design]]:
    """Return the rows of the instrument and of its peers, all with the terms of the market."""
    there = [peer for peer in history.peers if len(peer)]
    peers = [peer for peer in there if len(peer) > 1]  # one bar is part of the market, and teaches nothing yet
    market = (history, *there) if history.peers else ()  # peers that are empty yet leave the market to this one
    implied = implied_of(history)
    own = design_of(history, market, implied)
    last = own.as_of[-1]
    return own, [_until(design_of(peer, market, implied), last) for peer in peers]


def _until(design: Design, last: np.datetime64) -> Design:
    """Return the rows of a peer whose outcome is known by ``last``."""
    n = int(np.searchsorted(design.known_at, last, side="right"))
    return Design(
        design.names, design.x[: n + 1], design.base[: n + 1], design.target[:n], design.returns[:n],
        design.as_of[: n + 1], design.known_at[:n],
    )  # fmt: skip
