"""The nouns: what travels between parts, with one unit each. See docs/ARCHITECTURE.md."""

from forecastle.nouns.candles import CandleRow, Candles, Returns
from forecastle.nouns.distribution import Distribution, Empirical, Normal, StudentT
from forecastle.nouns.findings import Finding, QualityReport
from forecastle.nouns.fit import FitStatus, FitSummary, Parameter
from forecastle.nouns.forecast import Forecast, ForecastSet, Refusal, RollingForecast
from forecastle.nouns.instrument import Instrument, is_simulated
from forecastle.nouns.observations import Observations
from forecastle.nouns.report import VolatilityReport
from forecastle.nouns.score import (
    AcerbiSzekely,
    Christoffersen,
    Comparison,
    ModelScore,
    RiskBacktest,
    TestResult,
    TrafficLight,
)

__all__ = [
    "AcerbiSzekely",
    "CandleRow",
    "Candles",
    "Christoffersen",
    "Comparison",
    "Distribution",
    "Empirical",
    "Finding",
    "FitStatus",
    "FitSummary",
    "Forecast",
    "ForecastSet",
    "Instrument",
    "ModelScore",
    "Normal",
    "Observations",
    "Parameter",
    "QualityReport",
    "Refusal",
    "Returns",
    "RiskBacktest",
    "RollingForecast",
    "StudentT",
    "TestResult",
    "TrafficLight",
    "VolatilityReport",
    "is_simulated",
]
