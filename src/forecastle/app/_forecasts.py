"""Out-of-sample forecasts of a model at each close of a market, made window by window from what was known before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecastle.app._datasets import series_of
from forecastle.app._trading import Setup
from forecastle.app._works import engine_of, learners_of, served_name, work_of
from forecastle.errors import DataMissing, RequestInvalid
from forecastle.experiments.evaluate import Evaluated, evaluate
from forecastle.experiments.spec import TrainConfig
from forecastle.jobs import Done, Failed, Job, run_all
from forecastle.models.learners import NAIVE
from forecastle.ports import Progress, silent
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]


def forecasts_of(
    workspace: Workspace, setup: Setup, opening: str | None = None, progress: Progress = silent
) -> FloatArray:
    """Return the forecasts of the configuration's learner at each close, (bars, instruments), NaN where it has none.

    Each is of a fold that the model was not fitted on: trained on rows before it whose label was known by then. Raises
    what training raises, ``RequestInvalid`` for several horizons.
    """
    training = setup.config.training_config()
    if len(training.horizons) != 1:
        raise RequestInvalid(f"training has the horizons {training.horizons}.", "A strategy acts on one forecast.",
                             "Name one horizon.")  # fmt: skip
    works = []
    for instrument in setup.config.data.instruments:
        series = series_of(workspace, training, instrument, opening)[0][0]
        naive = NAIVE[series.dataset.labels.unit]
        name = served_name(training, learners_of(training, series.dataset.labels.unit), naive)
        plug_in = learners_of(training, series.dataset.labels.unit)[name]
        works.append((series, work_of(workspace.settings, training, series, name, plug_in)))
    answers = run_all([Job(w.name, evaluate, (w,)) for _, w in works], engine_of(workspace.settings), progress)
    found = np.full(setup.market.close.shape, np.nan)
    for j, ((series, _), answer) in enumerate(zip(works, answers, strict=True)):
        if isinstance(answer, Failed):
            raise answer.error or DataMissing(answer.what, answer.why, answer.hint)
        assert isinstance(answer, Done)  # noqa: S101 - there is no third
        _place(found[:, j], setup, series.dataset.frame.known_at(), answer.result)
    if not np.isfinite(found).any():
        raise DataMissing("The model made no forecast within the backtest.", "Its windows lie before data.start.",
                          "Begin earlier, or choose a smaller walk_forward.start.")  # fmt: skip
    return found


def _place(column: FloatArray, setup: Setup, known_at: npt.NDArray[np.datetime64], made: Evaluated) -> None:
    joined = made.joined()
    when = known_at[joined.rows]
    rows = np.searchsorted(setup.market.close_time, when)
    inside = (rows < len(setup.market)) & (when >= setup.market.close_time[0])
    inside &= setup.market.close_time[np.minimum(rows, len(setup.market) - 1)] == when
    column[rows[inside]] = joined.forecast[inside]


def learner_of(training: TrainConfig) -> str:
    """Return the learner that a strategy is driven by, for a table."""
    return training.serve or training.learners[0].name
