"""What is forecast: labels of each row, made of the bars that follow it. See ``docs/targets_and_splits.md``."""

from forecastle.registry import Registry

TARGETS = Registry(
    "target",
    {
        "direction": "forecastle.targets.direction:Direction",
        "return": "forecastle.targets.numbers:FutureReturn",
        "triple_barrier": "forecastle.targets.barriers:TripleBarrier",
        "volatility": "forecastle.targets.numbers:FutureVolatility",
    },
)

__all__ = ["TARGETS"]
