"""Features: what was known of a market at each close. See ``docs/features.md``.

>>> import forecastle as fc
>>> fc.features.compute(candles, ["rsi_14", "macd_12_26_9"])  # doctest: +SKIP
"""

from forecastle.features._definition import Feature
from forecastle.features._families import catalogue, families, feature_of, features_of
from forecastle.features.build import Live, Step, compute, lacking, started, wanted_observations
from forecastle.features.cross import benchmarks
from forecastle.features.gaps import Fill, forward_fill
from forecastle.features.prepare import (
    STEPS,
    Chain,
    Clip,
    DropConstant,
    Fitted,
    ForwardFill,
    Impute,
    MinMaxScale,
    RobustScale,
    Standardise,
    Unfitted,
    Winsorise,
    from_document,
    walk,
)
from forecastle.features.resample import resample
from forecastle.features.select import (
    ClassTarget,
    CorrelationThreshold,
    MutualInformation,
    NumberTarget,
    PermutationImportance,
)

__all__ = [
    "STEPS",
    "Chain",
    "ClassTarget",
    "Clip",
    "CorrelationThreshold",
    "DropConstant",
    "Feature",
    "Fill",
    "Fitted",
    "ForwardFill",
    "Impute",
    "Live",
    "MinMaxScale",
    "MutualInformation",
    "NumberTarget",
    "PermutationImportance",
    "RobustScale",
    "Standardise",
    "Step",
    "Unfitted",
    "Winsorise",
    "benchmarks",
    "catalogue",
    "compute",
    "families",
    "feature_of",
    "features_of",
    "forward_fill",
    "from_document",
    "lacking",
    "resample",
    "started",
    "walk",
    "wanted_observations",
]
