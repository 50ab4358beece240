"""What a volatility report shows: every figure computed, nothing drawn yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecastle.nouns.candles import Candles
from forecastle.nouns.findings import QualityReport
from forecastle.nouns.fit import FitSummary
from forecastle.nouns.forecast import Forecast, Refusal
from forecastle.nouns.score import Comparison, ModelScore


@dataclass(frozen=True)
class VolatilityReport:
    """One instrument: its data and gaps, fits, forecasts, past forecasts against outcomes, and the verdict.

    ``headline`` is the label of the model whose VaR, breaches and fan are drawn. ``provenance`` holds hashes,
    seeds, versions and the command that remakes the report.
    """

    candles: Candles
    quality: QualityReport
    fits: tuple[FitSummary, ...]
    forecasts: tuple[Forecast, ...]
    comparison: Comparison
    headline: str
    refused: tuple[Refusal, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def headline_score(self) -> ModelScore | None:
        """Return the score of the headline model; None where it has none."""
        return next((s for s in self.comparison.scores if s.model == self.headline), None)

    @property
    def headline_forecast(self) -> Forecast | None:
        """Return the forecast of the headline model; None where it refused."""
        return next((f for f in self.forecasts if f.model == self.headline), None)
