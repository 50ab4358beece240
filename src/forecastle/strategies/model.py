"""Model-driven: act on a forecast where it is far enough from nothing to pay for the trade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataMissing, NameUnknown, RequestInvalid
from forecastle.nouns.seen import Seen, Wish
from forecastle.strategies._states import held_between, unknown_until

FloatArray = npt.NDArray[np.float64]
OF = ("probability", "return")
MEAN_SIZE_OF_NORMAL = float(np.sqrt(2.0 / np.pi))


@dataclass(frozen=True)
class ModelDriven:
    """Long from a forecast at or above ``enter`` until one below ``leave``; short below ``1 - enter`` the same way.

    ``of`` says what the forecast is: the ``probability`` of up, or the log ``return`` (then ``enter`` and ``leave`` are
    returns in decimals, and short is below ``-enter``). ``leave`` below ``enter`` is the hysteresis that saves trades.
    An entry also has to be worth ``cost_multiple`` times what a round trip costs: for a probability the gain expected
    is ``(2 p - 1) sqrt(2 / pi) sigma`` of a symmetric law. Where there is no forecast nothing is wished.
    """

    enter: float = 0.52
    leave: float = 0.5
    short: bool = False
    of: Literal["probability", "return"] = "probability"
    cost_multiple: float = 1.0

    def __post_init__(self) -> None:
        if self.of not in OF:
            raise NameUnknown("kind of forecast", self.of, OF)
        bounded = 0.0 < self.leave <= self.enter < 1.0 if self.of == "probability" else self.leave <= self.enter
        if not bounded or self.cost_multiple < 0.0:
            raise RequestInvalid(
                f"enter is {self.enter:g}, leave {self.leave:g}, cost_multiple {self.cost_multiple:g}.",
                "leave is not above enter, probabilities lie within 0 to 1, the multiple is not negative.",
                "Try 0.52, 0.5 and 1.",
            )  # fmt: skip

    @property
    def label(self) -> str:
        """Return the name a table shows."""
        return f"Model, in at {self.enter:g}, out below {self.leave:g}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the features it looks at beside the forecast."""
        return ()

    def wish(self, seen: Seen) -> Wish:
        """Return what it would hold after each close."""
        if seen.forecast is None:
            raise DataMissing("There are no forecasts.", "A model-driven strategy acts on them.",
                              "Say in the configuration which model: training and learner.")  # fmt: skip
        forecast = seen.forecast
        middle = 0.5 if self.of == "probability" else 0.0
        worth = self._gain(seen, np.abs(forecast - middle)) >= self.cost_multiple * seen.cost
        with np.errstate(invalid="ignore"):
            long, out = (forecast >= self.enter) & worth, forecast < self.leave
            short, back = (forecast <= 2.0 * middle - self.enter) & worth, forecast > 2.0 * middle - self.leave
        never = np.zeros(forecast.shape, dtype=np.bool_)
        held = held_between(long, out, *((short, back) if self.short else (never, never)))
        return Wish(unknown_until(held, np.isfinite(forecast)))

    def _gain(self, seen: Seen, away: FloatArray) -> FloatArray:
        """Return the log return expected of forecasts so far from nothing."""
        if self.of == "return":
            return away
        sigma = np.nan_to_num(seen.volatility) if self.cost_multiple > 0.0 else np.ones(away.shape)
        return np.asarray(2.0 * away * MEAN_SIZE_OF_NORMAL * sigma)
