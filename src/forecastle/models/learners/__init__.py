"""What learns a label from a row of features. Adding one is a file here and a line in ``LEARNERS``."""

from __future__ import annotations

from collections.abc import Mapping

from forecastle.errors import DataCorrupt
from forecastle.ports import FittedLearner
from forecastle.registry import Registry

LEARNERS = Registry(
    "learner",
    {
        "base_rate": "forecastle.models.learners.naive:BaseRate",
        "last_sign": "forecastle.models.learners.naive:LastSign",
        "random_walk": "forecastle.models.learners.naive:RandomWalkReturn",
        "historical_mean": "forecastle.models.learners.naive:HistoricalMean",
        "last_volatility": "forecastle.models.learners.naive:LastVolatility",
        "logistic": "forecastle.models.learners.linear:Logistic",
        "ridge": "forecastle.models.learners.linear:RidgeRegression",
        "random_forest": "forecastle.models.learners.forests:RandomForest",
        "extra_trees": "forecastle.models.learners.forests:ExtraTrees",
        "xgboost": "forecastle.models.learners.xgboost:XGBoost",
        "lightgbm": "forecastle.models.learners.lightgbm:LightGBM",
        "lightgbm_quantile": "forecastle.models.learners.lightgbm:LightGBMQuantile",
        "lstm": "forecastle.models.learners.sequence:Lstm",
        "gru": "forecastle.models.learners.sequence:Gru",
        "transformer": "forecastle.models.learners.sequence:Transformer",
        "ensemble": "forecastle.models.learners.ensemble:Ensemble",
    },
)
KINDS = Registry(
    "kind of saved learner",
    {
        "naive": "forecastle.models.learners.naive:FittedNaive",
        "linear": "forecastle.models.learners.linear:FittedLinear",
        "forest": "forecastle.models.learners.forests:FittedForest",
        "xgboost": "forecastle.models.learners.xgboost:FittedXGBoost",
        "lightgbm": "forecastle.models.learners.lightgbm:FittedLightGBM",
        "sequence": "forecastle.models.learners.sequence:FittedSequence",
        "ensemble": "forecastle.models.learners.ensemble:FittedEnsemble",
    },
)
NAIVE = {"up": ("base_rate", "last_sign"), "log return": ("random_walk", "historical_mean"),
         "log volatility": ("last_volatility", "historical_mean")}  # fmt: skip
"""The forecasts that others have to beat, by the unit of the label; the first is the baseline."""


def learner_from_files(files: Mapping[str, bytes]) -> FittedLearner:
    """Return the learner that its ``files()`` tell of: the same predictions, to the bit.

    The files have to be read and proven before: see ``lake/model_files.py``. Raises ``DataCorrupt`` where they do not
    fit together, ``ConfigurationError`` where the library of the learner is not installed.
    """
    from forecastle.models.learners._document import document_of

    told = document_of(files)
    kind = str(told.get("kind"))
    if kind not in KINDS:
        raise DataCorrupt(
            f"The files tell of a learner of the kind {kind[:40]!r}.", f"Known: {', '.join(KINDS)}.", "Train it anew."
        )
    found: FittedLearner = KINDS.load(kind).from_files(files)
    return found


__all__ = ["KINDS", "LEARNERS", "NAIVE", "learner_from_files"]
