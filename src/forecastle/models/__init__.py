"""Everything that is fitted. Adding a model is one file here and one line in ``MODELS``."""

from forecastle.registry import Registry

MODELS = Registry(
    "model",
    {
        "random_walk": "forecastle.models.naive:RandomWalk",
        "historical": "forecastle.models.naive:Historical",
        "ewma": "forecastle.models.ewma:Ewma",
        "garch": "forecastle.models.garch:GarchModel",
        "component_garch": "forecastle.models.component_garch:ComponentGarch",
        "garch_x": "forecastle.models.garch_x:GarchX",
        "markov_switching": "forecastle.models.markov_switching:MarkovSwitchingGarch",
        "parkinson": "forecastle.models.ranges:Parkinson",
        "garman_klass": "forecastle.models.ranges:GarmanKlass",
        "rogers_satchell": "forecastle.models.ranges:RogersSatchell",
        "yang_zhang": "forecastle.models.ranges:YangZhang",
        "har": "forecastle.models.har:Har",
        "log_har": "forecastle.models.har:LogHar",
        "pooled_har": "forecastle.models.pooled:PooledHar",
        "boosted": "forecastle.models.boosted:BoostedVariance",
        "combination": "forecastle.models.combination:Combination",
        "combination_qlike": "forecastle.models.combination:QlikeCombination",
        "combination_boosted": "forecastle.models.combination:BoostedCombination",
    },
)

__all__ = ["MODELS"]
