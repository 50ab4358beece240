"""Features: what was known of a market at each close. See ``docs/features.md``.

>>> import forecastle as fc
>>> fc.features.compute(candles, ["rsi_14", "macd_12_26_9"])  # doctest: +SKIP
"""

from forecastle.features._families import catalogue, families, feature_of, features_of
from forecastle.features.build import Live, compute, lacking, started, wanted_observations
from forecastle.features.cross import benchmarks

__all__ = [
    "Live",
    "benchmarks",
    "catalogue",
    "compute",
    "families",
    "feature_of",
    "features_of",
    "lacking",
    "started",
    "wanted_observations",
]
