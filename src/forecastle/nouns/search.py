"""What a search found: every model tried, the best of them, and whether it is the best out of sample, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from forecastle.nouns.fit import FitStatus
from forecastle.nouns.instrument import Instrument, is_simulated
from forecastle.sessions import Timeframe


@dataclass(frozen=True)
class SearchTrial:
    """One model that was tried.

    ``aic``, ``bic`` and ``loglikelihood`` are of the fit to all returns, None where it failed (``status`` says why).
    ``qlike`` is the mean loss of its one-step forecasts of the last bars, None with ``qlike_reason`` where there are
    none. A smaller AIC and a smaller QLIKE are better.
    """

    params: Mapping[str, int | str]
    model: str
    status: FitStatus
    loglikelihood: float | None = None
    aic: float | None = None
    bic: float | None = None
    qlike: float | None = None
    qlike_reason: str = ""


@dataclass(frozen=True)
class SearchResult:
    """Models by AIC, best first, those that failed last.

    ``observations`` returns were fitted; the last ``holdout`` of them were also forecast one step ahead, refitted every
    ``refit_every`` bars to the ``window`` returns before. ``saved`` is the best model as a file, ``run_id`` the parent
    run of MLflow at ``tracking``.
    """

    instrument: Instrument
    timeframe: Timeframe
    source: str
    data_hash: str
    observations: int
    window: int
    holdout: int
    refit_every: int
    seed: int
    trials: tuple[SearchTrial, ...]
    saved: Path
    run_id: str
    tracking: str

    @property
    def simulated(self) -> bool:
        """Return whether the candles were made up."""
        return is_simulated(self.source)

    @property
    def tried(self) -> int:
        """Return how many different models were tried, failed ones included."""
        return len(self.trials)

    @property
    def best(self) -> SearchTrial:
        """Return the trial with the smallest AIC."""
        return self.trials[0]

    @property
    def best_params(self) -> dict[str, int | str]:
        """Return the parameters that refit it: ``GarchModel(**result.best_params).fit(candles)``."""
        return dict(self.best.params)

    @property
    def best_aic(self) -> float:
        """Return the smallest AIC; there is no result without one."""
        return cast(float, self.best.aic)

    @property
    def best_out_of_sample(self) -> SearchTrial | None:
        """Return the trial with the smallest QLIKE; None where none was forecast."""
        scored = [t for t in self.trials if t.qlike is not None]
        return min(scored, key=lambda t: t.qlike or 0.0) if scored else None

    @property
    def remark(self) -> str:
        """Say in words whether the best in sample is the best out of sample."""
        rival = self.best_out_of_sample
        if self.tried == 1:
            return f"{self.best.model} is the only model that was tried: nothing was chosen."
        if rival is None:
            return "No model could be forecast out of sample: the AIC alone is no reason to trust the best one."
        over = f"over the last {self.holdout} bars"
        if rival == self.best:
            return f"{self.best.model} has the lowest AIC of {self.tried} models, and the lowest QLIKE {over}."
        own = "none" if self.best.qlike is None else f"{self.best.qlike:.4f}"
        return (
            f"The lowest AIC is not the best out of sample: {over} the QLIKE of {self.best.model} is {own}, that of "
            f"{rival.model} {rival.qlike:.4f}. It is the lowest of {self.tried}, so part of that is luck."
        )
