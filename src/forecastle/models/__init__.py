"""Everything that is fitted. Adding a model is one file here and one line in ``MODELS``."""

from forecastle.registry import Registry

MODELS = Registry(
    "model",
    {
        "random_walk": "forecastle.models.naive:RandomWalk",
        "historical": "forecastle.models.naive:Historical",
        "ewma": "forecastle.models.ewma:Ewma",
        "garch": "forecastle.models.garch:GarchModel",
    },
)

__all__ = ["MODELS"]
