"""What a result is worth after so many were tried: the number of trials comes from the log, not from whoever asks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.trials import TrialLog, Unit
from forecastle.nouns.scorecard import DeflatedSharpe, Overfitting
from forecastle.scoring.trading import deflated_sharpe, probability_of_backtest_overfitting
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]


def deflated(workspace: Workspace, span: DataSpan, returns: FloatArray) -> DeflatedSharpe:
    """Return the deflated Sharpe ratio of log returns per period, (periods,), after all trials that overlap the span.

    All configurations count, those that logged losses too: each was a chance to choose. The spread of Sharpe ratios is
    that of the trials with returns; where fewer than two have one, that of ratios estimated from noise. Raises
    ``DataCorrupt`` where the log was changed, ``DataInvalid`` for NaN.
    """
    log = TrialLog(workspace.settings.home, workspace.clock)
    return deflated_sharpe(returns, max(log.count(span), 1), log.sharpe_variance(span))


def overfitting(
    workspace: Workspace, span: DataSpan, unit: Unit = "return", measure: str | None = None, blocks: int = 16
) -> Overfitting:
    """Return the probability of backtest overfitting of the trials on a span, over the moments that all have.

    Losses are turned round, so that the best is the highest. Raises ``DataMissing`` where there is no trial or no
    common moment, ``DataInvalid`` for losses of several measures, ``DataCorrupt`` where the log was changed.
    """
    _, numbers, _ = TrialLog(workspace.settings.home, workspace.clock).matrix(span, unit, measure)
    if unit == "return":
        return probability_of_backtest_overfitting(numbers, blocks)
    return probability_of_backtest_overfitting(-numbers, blocks, "mean")
