"""The model card: what was trained on what, what it is worth, what it must not be used for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecastle.app._kept_models import score_of
from forecastle.models.learners import NAIVE

if TYPE_CHECKING:
    from forecastle.app._scored import Scored
    from forecastle.app.train import TrainResult

TOP = 15


def card(result: TrainResult) -> str:
    """Return the card of a run as Markdown (Mitchell et al. 2019, Model cards for model reporting)."""
    config = result.config
    lines = [
        f"# Model card: {config.name}", "", config.objective or "No objective was written down.", "",
        "## What it is", "",
        f"- Target: {config.target.name} over {', '.join(map(str, config.horizons))} bars of {config.data.timeframe}",
        f"- Learners: {', '.join(p.name for p in config.learners)}; every one beside the naive forecasts",
        f"- Split: {config.split.plain}; scaler, imputer, selector, calibrator and threshold fitted inside each fold",
        f"- Calibration: {config.calibrate}; intervals: adaptive conformal at {100 * config.intervals.level:g} %",
        f"- Seed {config.seed}; configuration {config.fingerprint}", "",
        "## What it is worth", "",
    ]  # fmt: skip
    for one in result.results:
        lines += [f"- {one.series.name} ({one.table.rows} rows, {one.series.span}): {one.table.verdict}"]
    lines += ["", f"{result.trials} configurations have been tried on these data so far; the best of many is lucky."]
    lines += ["", "## What counts most", ""]
    for one in result.results[:5]:
        lines += [f"- {one.series.name}: {_importance(one)}"]
    lines += [
        "", "## What it is not for", "",
        "- No forecast here is advice. Where the verdict says no edge, use the naive forecast.",
        "- It holds for the instrument, timeframe, source and features it was trained on; others are refused.",
        "- A row unlike the training rows is marked, and the forecast abstains.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _importance(one: Scored) -> str:
    """Return the columns that count most, averaged over the folds, of the best learner that tells."""
    naive = NAIVE[one.series.dataset.labels.unit]
    ranked = [name for name in one.evaluated if name not in naive and any(one.evaluated[name].importance)]
    if not ranked:
        return "no learner of this run tells."
    best = min(ranked, key=lambda name: float((score_of(one, name).figures.get("log_loss") or
                                              score_of(one, name).figures["mse"]).value or 0.0))  # fmt: skip
    told = importance_of(one, best)
    return f"{best}: {', '.join(f'{n} {100 * v:.1f} %' for n, v in list(told.items())[:TOP])}"


def importance_of(one: Scored, name: str) -> dict[str, float]:
    """Return the share of each column, averaged over the folds, the largest first."""
    folds = one.evaluated[name].importance
    columns = dict.fromkeys(column for fold in folds for column in fold)
    found = {column: sum(fold.get(column, 0.0) for fold in folds) / len(folds) for column in columns}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
