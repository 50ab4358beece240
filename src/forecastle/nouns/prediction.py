"""Predictions: the latest forecast of a served model, beside the naive one, and whether it may be acted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from forecastle.nouns.dataset import Task
from forecastle.nouns.forecast import Forecast
from forecastle.nouns.instrument import is_simulated

Call = Literal["up", "down", "none"]


@dataclass(frozen=True)
class Prediction:
    """What a model says of the next ``forecast.horizon`` bars.

    ``value`` is the probability of up for a ``direction``, else the number in ``unit``; ``low`` and ``high`` bound the
    number at ``level`` (None for a direction, whose range is in ``forecast``); ``baseline`` is the naive forecast of
    the training. ``call`` is ``none`` where the model ``abstains``, with the ``reasons``: a row unlike those it was
    fitted to (``is_new``, with the share of columns outside), or a probability too near to the base rate. ``verdict``
    is what it was worth out of sample; without ``edge`` the naive forecast is the better one.
    """

    forecast: Forecast
    task: Task
    unit: str
    value: float
    baseline: float
    threshold: float
    low: float | None
    high: float | None
    level: float
    call: Call
    abstains: bool
    reasons: tuple[str, ...]
    is_new: bool
    share_outside: float
    model: str
    learner: str
    verdict: str
    edge: bool
    source: str
    served_from: Literal["online", "offline", "computed"]
    note: str = ""

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return is_simulated(self.source)
