"""What a volatility report shows: every figure computed, nothing drawn yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from forecastle.nouns.candles import Candles
from forecastle.nouns.findings import QualityReport
from forecastle.nouns.fit import FitSummary
from forecastle.nouns.forecast import Forecast, Refusal
from forecastle.nouns.score import Comparison, ModelScore

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NewsImpact:
    """The volatility of the next bar after a surprise in this one, all else at its long-run level.

    ``shocks`` are unexpected log returns, rising, ``sigma`` what the fit forecasts after each of them; both of shape
    (m,), in decimals. Source: Engle and Ng (1993), JF 48, 1749-1778.
    """

    model: str
    shocks: FloatArray
    sigma: FloatArray


@dataclass(frozen=True)
class TermPoint:
    """One forecast of the headline model ``horizon`` bars ahead.

    ``sigma`` is of the log return over the whole horizon, in decimals; ``annual_sigma`` is None where the periods per
    year are not known.
    """

    horizon: int
    sigma: float
    annual_sigma: float | None = None


@dataclass(frozen=True)
class VolatilityReport:
    """One instrument: its data and gaps, fits, forecasts, past forecasts against outcomes, and the verdict.

    ``headline`` is the label of the model whose VaR, breaches and fan are drawn, and whose volatility ``term`` looks
    further ahead; ``news_impact`` has the curves of the models that offer one. ``provenance`` holds hashes, seeds,
    versions and the command that remakes the report.
    """

    candles: Candles
    quality: QualityReport
    fits: tuple[FitSummary, ...]
    forecasts: tuple[Forecast, ...]
    comparison: Comparison
    headline: str
    refused: tuple[Refusal, ...] = ()
    news_impact: tuple[NewsImpact, ...] = ()
    term: tuple[TermPoint, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def headline_score(self) -> ModelScore | None:
        """Return the score of the headline model; None where it has none."""
        return next((s for s in self.comparison.scores if s.model == self.headline), None)

    @property
    def headline_forecast(self) -> Forecast | None:
        """Return the forecast of the headline model; None where it refused."""
        return next((f for f in self.forecasts if f.model == self.headline), None)
