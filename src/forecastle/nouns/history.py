"""What may be known of one market at a moment: its bars, finer bars inside them, observations, other markets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from forecastle.errors import DataInvalid
from forecastle.nouns.candles import Candles, Returns
from forecastle.nouns.observations import Observations


@dataclass(frozen=True, eq=False)
class History:
    """The candles whose log returns are forecast, and what else a model may look at.

    ``finer`` holds a lower timeframe of the same instrument (hours inside days), ``observations`` series such as an
    implied volatility index, ``peers`` other instruments of the same timeframe, which have no peers of their own. A
    model uses a bar from its ``close_time`` on and an observation from its ``known_at`` on, never earlier. Raises
    ``DataInvalid`` where finer bars are of another instrument or peers of another timeframe.
    """

    candles: Candles
    finer: Candles | None = None
    observations: tuple[Observations, ...] = ()
    peers: tuple[History, ...] = ()

    def __post_init__(self) -> None:
        if self.finer is not None and self.finer.instrument != self.candles.instrument:
            raise DataInvalid(
                f"The finer bars are of {self.finer.instrument}, the candles of {self.candles.instrument}.",
                "Realised measures are of the same instrument.",
                "Give the finer bars of the instrument itself.",
            )
        for peer in self.peers:
            if peer.candles.timeframe != self.candles.timeframe or peer.peers:
                raise DataInvalid(
                    f"The peer {peer.candles.instrument} has {peer.candles.timeframe} bars or peers of its own.",
                    f"Peers of {self.candles.instrument} have {self.candles.timeframe} bars and no peers.",
                    "Give histories of the same timeframe.",
                )

    def __len__(self) -> int:
        return len(self.candles)

    @cached_property
    def returns(self) -> Returns:
        """Return the one-bar log returns of the candles."""
        return self.candles.log_returns()

    def recent(self, returns: int) -> History:
        """Return the shortest tail of the candles that has ``returns`` one-bar returns; the rest stays whole."""
        return replace(self, candles=self.candles.recent(returns))

    def last(self, bars: int) -> History:
        """Return the last ``bars`` bars of this market and of its peers, with the finer bars inside them."""
        candles = self.candles.last(bars)
        finer = self.finer.between(candles.start) if self.finer is not None and len(candles) else self.finer
        return replace(self, candles=candles, finer=finer, peers=tuple(peer.last(bars) for peer in self.peers))

    def before(self, bars: int) -> History:
        """Return what was known ``bars`` bars ago."""
        return self.until(self.candles.frame["close_time"][-1 - bars])

    def until(self, moment: datetime) -> History:
        """Return what was closed or known at ``moment``, of this market and of its peers."""
        return History(
            self.candles.between(end=moment),
            None if self.finer is None else self.finer.between(end=moment),
            tuple(o.until(moment) for o in self.observations),
            tuple(peer.until(moment) for peer in self.peers),
        )
