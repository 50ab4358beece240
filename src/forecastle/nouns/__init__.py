"""The nouns: what travels between parts, with one unit each. See docs/ARCHITECTURE.md."""

from forecastle.nouns.candles import CandleRow, Candles, Returns
from forecastle.nouns.dataset import Dataset, Examples, Fold, Labels, Training
from forecastle.nouns.distribution import Distribution, Empirical, Ged, Normal, SkewT, StudentT
from forecastle.nouns.feature_frame import FeatureColumn, FeatureFrame, FeatureSpec
from forecastle.nouns.feature_reading import FeatureReading
from forecastle.nouns.findings import Finding, QualityReport
from forecastle.nouns.fit import FitStatus, FitSummary, Parameter
from forecastle.nouns.forecast import Forecast, ForecastSet, Refusal, RollingForecast
from forecastle.nouns.history import History
from forecastle.nouns.instrument import Instrument, is_simulated
from forecastle.nouns.leaks import LeakFinding, LeakReport
from forecastle.nouns.observations import Observations
from forecastle.nouns.report import NewsImpact, TermPoint, VolatilityReport
from forecastle.nouns.score import (
    AcerbiSzekely,
    Christoffersen,
    Comparison,
    EProcess,
    ModelConfidenceSet,
    ModelScore,
    RiskBacktest,
    TestResult,
    TrafficLight,
)
from forecastle.nouns.scorecard import (
    BrierParts,
    CalibrationBin,
    DeflatedSharpe,
    Figure,
    LearnerScore,
    Overfitting,
    Ratio,
    ScoreTable,
)

__all__ = [
    "AcerbiSzekely",
    "BrierParts",
    "CalibrationBin",
    "CandleRow",
    "Candles",
    "Christoffersen",
    "Comparison",
    "Dataset",
    "DeflatedSharpe",
    "Distribution",
    "EProcess",
    "Empirical",
    "Examples",
    "FeatureColumn",
    "FeatureFrame",
    "FeatureReading",
    "FeatureSpec",
    "Figure",
    "Finding",
    "FitStatus",
    "FitSummary",
    "Fold",
    "Forecast",
    "ForecastSet",
    "Ged",
    "History",
    "Instrument",
    "Labels",
    "LeakFinding",
    "LeakReport",
    "LearnerScore",
    "ModelConfidenceSet",
    "ModelScore",
    "NewsImpact",
    "Normal",
    "Observations",
    "Overfitting",
    "Parameter",
    "QualityReport",
    "Ratio",
    "Refusal",
    "Returns",
    "RiskBacktest",
    "RollingForecast",
    "ScoreTable",
    "SkewT",
    "StudentT",
    "TermPoint",
    "TestResult",
    "TrafficLight",
    "Training",
    "VolatilityReport",
    "is_simulated",
]
