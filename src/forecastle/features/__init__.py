"""Features: what was known of a market at each close. See ``docs/features.md``.

>>> import forecastle as fc
>>> fc.features.compute(candles, ["rsi_14", "macd_12_26_9"])  # doctest: +SKIP
"""

from forecastle.features._definition import Feature
from forecastle.features._families import catalogue, families, feature_of, features_of
from forecastle.features.build import Live, Step, compute, lacking, started, wanted_observations
from forecastle.features.cross import benchmarks
from forecastle.features.gaps import Fill, forward_fill
from forecastle.features.resample import resample

__all__ = [
    "Feature",
    "Fill",
    "Live",
    "Step",
    "benchmarks",
    "catalogue",
    "compute",
    "families",
    "feature_of",
    "features_of",
    "forward_fill",
    "lacking",
    "resample",
    "started",
    "wanted_observations",
]
