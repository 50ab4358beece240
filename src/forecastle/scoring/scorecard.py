"""All learners over the same rows, each beside the baseline: figures with intervals, tests, and words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataMissing, NameUnknown
from forecastle.nouns.dataset import Task
from forecastle.nouns.scorecard import Figure, LearnerScore, ScoreTable
from forecastle.scoring import bootstrap, direction, number
from forecastle.scoring._losses import crps_quantiles_losses, pinball_losses
from forecastle.scoring._verdicts import SIZE, p_of_win, verdict_of, words_of
from forecastle.scoring.forecast import diebold_mariano
from forecastle.scoring.skill import no_skill

FloatArray = npt.NDArray[np.float64]
Forecasts = Mapping[str, FloatArray]
FEWEST = 2 * bootstrap.FEWEST


@dataclass(frozen=True, eq=False)
class Scoring:
    """What the scores of one target are made with.

    ``naive`` names the learners that others have to beat; one of them is the ``baseline``. ``trials`` is how many
    configurations were tried on these data, where more than those of this table. ``signed`` says of numbers that their
    sign means something, as that of a return does. Intervals draw blocks of ``horizon`` rows or more.
    """

    target: str
    baseline: str
    naive: Collection[str]
    horizon: int = 1
    seed: int = 0
    replications: int = 999
    trials: int | None = None
    signed: bool = False

    def direction(self, outcome: FloatArray, forecasts: Forecasts) -> ScoreTable:
        """Score probabilities of up; ``outcome`` is 1, 0 or NaN, every forecast of its shape (n,), NaN where none.

        Rows that one of them did not forecast are left out for all. Raises ``DataMissing`` for fewer than 40 rows,
        ``NameUnknown`` where the baseline is not among them.
        """
        y, found = self._common(outcome, forecasts)
        base = found[self.baseline]

        def figures(name: str) -> dict[str, Figure]:
            p = found[name]
            brier = direction.brier_losses(y, p)
            return {
                "log_loss": self._log_loss(y, p),
                "brier": self._mean(brier),
                "brier_skill": self._gain(brier, direction.brier_losses(y, base)),
                "auc": self._auc(y, p),
                "accuracy": self._mean(direction.hits(y, p)),
            } | _calibration(y, p)

        losses = {name: direction.log_losses(y, p) for name, p in found.items()}
        bins = {name: direction.calibration_bins(y, p) for name, p in found.items() if name not in self.naive}
        return self._table("direction", outcome, y, found, losses, figures, "brier_skill", bins)

    def number(
        self,
        outcome: FloatArray,
        forecasts: Forecasts,
        intervals: Mapping[str, tuple[FloatArray, FloatArray]] | None = None,
        level: float = 0.9,
        quantiles: Mapping[str, FloatArray] | None = None,
        levels: FloatArray | None = None,
    ) -> ScoreTable:
        """Score numbers with their intervals at ``level`` and quantiles (n, levels), where there are any.

        As :meth:`direction`; intervals and quantiles of a learner are scored where none of its rows lacks one.
        """
        keep = self._kept(outcome, forecasts)
        y, found = self._common(outcome, forecasts)
        base = found[self.baseline]

        def figures(name: str) -> dict[str, Figure]:
            m = found[name]
            squares = number.squared_errors(y, m)
            told = {
                "mse": self._mean(squares),
                "mae": self._mean(number.absolute_errors(y, m)),
                "r2_oos": self._gain(squares, number.squared_errors(y, base)),
                "correlation": self._correlation(y, m),
            }
            if self.signed:
                told["sign_hits"] = self._mean(number.sign_hits(y, m))
            if intervals and name in intervals:
                low, high = intervals[name]
                told |= self._interval(y, low[keep], high[keep], level)
            if quantiles and levels is not None and name in quantiles:
                told |= self._quantiles(y, quantiles[name][keep], levels)
            return told

        losses = {name: number.squared_errors(y, m) for name, m in found.items()}
        return self._table("number", outcome, y, found, losses, figures, "r2_oos", {})

    # --- figures

    def _mean(self, values: FloatArray) -> Figure:
        return self._figure(float(values.mean()), bootstrap.mean, values)

    def _log_loss(self, y: FloatArray, p: FloatArray) -> Figure:
        figure, certain = self._mean(direction.log_losses(y, p)), direction.held(y, p)
        return replace(figure, reason=f"{certain} certain errors are held at {direction.CLIP:g}") if certain else figure

    def _correlation(self, y: FloatArray, m: FloatArray) -> Figure:
        if np.ptp(m) == 0.0 or np.ptp(y) == 0.0:
            return Figure(None, reason="the forecast does not vary" if np.ptp(y) else "the outcome does not vary")
        return self._figure(float(number.correlation(y, m)), number.correlation, y, m)

    def _gain(self, loss: FloatArray, baseline: FloatArray) -> Figure:
        if not baseline.any():
            return Figure(None, reason="the baseline makes no error")
        return self._figure(float(bootstrap.gain(loss, baseline)), bootstrap.gain, loss, baseline)

    def _figure(self, value: float, statistic: bootstrap.Statistic, *columns: FloatArray) -> Figure:
        block = max(float(self.horizon), *(bootstrap.block_length(c) for c in columns))
        low, high = bootstrap.interval(statistic, *columns, replications=self.replications, seed=self.seed, block=block)
        return Figure(value, low, high)

    def _auc(self, y: FloatArray, p: FloatArray) -> Figure:
        value = direction.auc(y, p)
        if value is None:
            return Figure(None, reason="only one direction happened")
        if np.ptp(p) == 0.0:
            return Figure(value, value, value, "every forecast is the same")
        ranks = np.unique(p, return_inverse=True)[1].astype(np.float64)
        return self._figure(value, _aucs, y, ranks)

    def _interval(self, y: FloatArray, low: FloatArray, high: FloatArray, level: float) -> dict[str, Figure]:
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            return {}
        inside = number.covered(y, low, high)
        test = number.coverage(y, low, high, level)
        wanted = f"{100 * level:g} % is asked; binomial p = {test.p_value:.3g}"
        share = self._mean(inside)
        return {"coverage": Figure(share.value, share.low, share.high, wanted), "width": self._mean(high - low)}

    def _quantiles(self, y: FloatArray, table: FloatArray, levels: FloatArray) -> dict[str, Figure]:
        if not np.isfinite(table).all():
            return {}
        pinball = np.mean([pinball_losses(y, table[:, i], float(q)) for i, q in enumerate(levels)], axis=0)
        return {"pinball": self._mean(pinball), "crps": self._mean(crps_quantiles_losses(y, table, levels))}

    # --- the table

    def _kept(self, outcome: FloatArray, forecasts: Forecasts) -> npt.NDArray[np.bool_]:
        if self.baseline not in forecasts:
            raise NameUnknown("baseline", self.baseline, forecasts)
        known = np.logical_and.reduce([np.isfinite(outcome), *(np.isfinite(f) for f in forecasts.values())])
        if known.sum() < FEWEST:
            raise DataMissing(
                f"{int(known.sum())} rows of {self.target} have an outcome and a forecast of every learner.",
                f"Scores with intervals take {FEWEST} or more.", "Test more rows, or leave out who does not forecast.",
            )  # fmt: skip
        return np.asarray(known)

    def _common(self, outcome: FloatArray, forecasts: Forecasts) -> tuple[FloatArray, dict[str, FloatArray]]:
        keep = self._kept(outcome, forecasts)
        return outcome[keep], {name: np.asarray(f[keep]) for name, f in forecasts.items()}

    def _table(
        self, task: Task, outcome: FloatArray, y: FloatArray, found: dict[str, FloatArray],
        losses: dict[str, FloatArray], figures: Callable[[str], dict[str, Figure]], skill: str, bins: dict[str, Any],
    ) -> ScoreTable:  # fmt: skip
        models = [name for name in found if name not in self.naive]
        asked = SIZE / max(len(models), self.trials or 0, 1)
        scores = []
        for name in found:
            told = figures(name)
            if name == self.baseline:
                scores.append(LearnerScore(name, True, told, None, None, False, "the baseline"))
                continue
            against = diebold_mariano(losses[name], losses[self.baseline], self.horizon)
            test = no_skill(y, found[name], found[self.baseline], self.horizon)
            naive, won = name in self.naive, p_of_win(against) < asked and test.rejects(asked)
            words = words_of(self.baseline, told[skill], skill, against, test, won, asked)
            scores.append(LearnerScore(name, naive, told, against, test, won and not naive, words))
        scored = int(np.isfinite(outcome).sum())
        verdict = verdict_of(self.baseline, [s for s in scores if not s.naive], skill)
        return ScoreTable(self.target, task, self.baseline, y.size, scored - y.size, tuple(scores), verdict, bins)


def _calibration(y: FloatArray, p: FloatArray) -> dict[str, Figure]:
    """Return figures without intervals: rows drawn again are worse calibrated than those they are drawn from."""
    chance, parts = direction.chance_error(y, p), direction.brier_parts(y, p)
    return {
        "calibration_error": Figure(direction.calibration_error(y, p), reason=f"{chance:.4f} is expected by chance"),
        "reliability": Figure(parts.reliability),
        "resolution": Figure(parts.resolution),
    }


def _aucs(y: FloatArray, ranks: FloatArray) -> FloatArray:
    """Return the AUC of each resampled set of rows, shape (...,); ``ranks`` number the distinct forecasts from 0."""
    tables = y.reshape(-1, y.shape[-1]), ranks.reshape(-1, ranks.shape[-1]).astype(np.int64)
    size, found = int(ranks.max()) + 1, np.empty(tables[0].shape[0])
    for row, (ups, place) in enumerate(zip(*tables, strict=True)):
        up = np.bincount(place, ups, size)
        down = np.bincount(place, 1.0 - ups, size)
        pairs = up.sum() * down.sum()
        below = np.cumsum(down) - down
        found[row] = float(up @ (below + 0.5 * down)) / pairs if pairs else np.nan
    return found.reshape(y.shape[:-1])
