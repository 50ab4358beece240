"""Which rows to learn from and which to forecast, purged so that nothing tested was seen. See the registry."""

from forecastle.registry import Registry

SPLITS = Registry(
    "split",
    {
        "walk_forward": "forecastle.splits.walk_forward:WalkForward",
        "purged_kfold": "forecastle.splits.purged:PurgedKFold",
        "combinatorial": "forecastle.splits.purged:CombinatorialPurged",
    },
)

__all__ = ["SPLITS"]
