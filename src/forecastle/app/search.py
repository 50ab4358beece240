"""Search of the GARCH family: every model by its AIC, its out-of-sample loss beside it, all of it tracked."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_type_hints

from forecastle import __version__
from forecastle.app.look import load
from forecastle.app.rolling import rolling_forecast
from forecastle.app.saved import SavedModel, save
from forecastle.errors import DataMissing, ForecastRefused, RequestInvalid
from forecastle.experiments.search import Space, Sweep
from forecastle.experiments.track import Run, Tracker, git_revision
from forecastle.models.fitted_garch import FittedGarch
from forecastle.models.garch import GarchModel
from forecastle.nouns import Candles, FitStatus
from forecastle.nouns.search import SearchResult, SearchTrial
from forecastle.ports import Progress, silent
from forecastle.requests import SearchRequest, build
from forecastle.scoring.forecast import qlike
from forecastle.workspace import Workspace

EXPERIMENT = "garch_search"
SMALLEST_WINDOW = 250
_LAGS = (1, 2, 3)
_WIDE_VOLS = ("garch", "egarch")
_WIDE_DISTS = ("normal", "t", "skewt")


def search(workspace: Workspace, request: SearchRequest, progress: Progress = silent) -> SearchResult:
    """Try the models of the request on candles of the lake; raises as :func:`search_candles` does."""
    return search_candles(workspace, load(workspace, request), request, progress)


def search_garch(
    candles: Candles,
    *,
    dists: Sequence[str] | None = None,
    trials: int | None = None,
    window: int = 1000,
    holdout: int = 500,
    refit_every: int = 20,
    seed: int = 0,
    home: str | Path | None = None,
    progress: Progress = silent,
) -> SearchResult:
    """Try GARCH(p,q) for p and q in 1..3 with each of ``dists`` (normal and t), and rank them by AIC.

    ``GarchModel(**search_garch(candles).best_params).fit(candles)`` is the best of them. With ``trials`` that many
    models of a wider space are tried, proposed by Optuna from ``seed``: o in 0..1, EGARCH, skewed t.

    Parameters
    ----------
    candles:
        Closed bars; AIC is of the fit to all their log returns, at least 500.
    window, holdout, refit_every:
        The last ``holdout`` returns are also forecast one step ahead, each by a fit to ``window`` returns before it,
        refitted every ``refit_every`` bars; their QLIKE stands beside the AIC and has no part in the choice. Both are
        cut where the series is short: at most half of it is held out.
    home:
        Where the runs (``mlflow.db``) and the best model (``models/garch``) are written; as on the command line.

    Raises ``ConfigurationError`` without the extra ``track``, ``DataMissing`` for too few returns, ``ForecastRefused``
    where no model can be fitted, ``RequestInvalid`` for an unknown kind of innovations.
    """
    said = {} if dists is None else {"dists": tuple(dists)}
    request = build(
        SearchRequest, instrument=candles.instrument, timeframe=candles.timeframe, source=candles.source,
        trials=trials, window=window, holdout=holdout, refit_every=refit_every, seed=seed, **said,
    )  # fmt: skip
    workspace = Workspace.open(None if home is None else Path(home))
    return search_candles(workspace, candles, request, progress)


def search_candles(
    workspace: Workspace, candles: Candles, request: SearchRequest, progress: Progress = silent
) -> SearchResult:
    """Try the models of the request on candles in hand, track every one, and save the best.

    Raises ``ConfigurationError`` without the extra ``track``, ``DataMissing`` for too few returns, ``ForecastRefused``
    where no model can be fitted.
    """
    request = _cut(request, len(candles.log_returns()))
    sweep = Sweep(_space(request), request.trials, request.seed)
    tracker = Tracker(workspace.settings, workspace.clock, EXPERIMENT)
    tags = _tags(candles, request)
    asked = request.model_dump(include={"trials", "window", "holdout", "refit_every", "seed"})
    with tracker.run(f"{candles.instrument} {candles.timeframe}", asked, tags) as parent:
        hunt = _Hunt(candles, request, tracker, parent, tags)
        for number, proposal in enumerate(sweep, 1):
            trial = hunt.try_out(GarchModel(**proposal.params))  # type: ignore[arg-type]
            if trial.aic is None:
                proposal.fail()
            else:
                proposal.tell(trial.aic)
            progress(number, sweep.size, f"{candles.instrument} {trial.model}")
        trials = hunt.ranked()
        saved = _keep(workspace, parent, hunt, trials)
    return SearchResult(
        candles.instrument, candles.timeframe, candles.source, candles.data_hash, len(candles.log_returns()),
        request.window, request.holdout, request.refit_every, request.seed, trials, saved.path, parent.id,
        tracker.address,
    )  # fmt: skip


class _Hunt:
    """The models tried so far; each is fitted and tracked once, however often it is proposed."""

    def __init__(
        self, candles: Candles, request: SearchRequest, tracker: Tracker, parent: Run, tags: dict[str, object]
    ) -> None:
        self._candles, self._request = candles, request
        self._tracker, self._parent, self._tags = tracker, parent, tags
        self._recent = candles.recent(request.window + request.holdout)
        self.tried: dict[GarchModel, SearchTrial] = {}
        self.fits: dict[GarchModel, FittedGarch] = {}

    def try_out(self, model: GarchModel) -> SearchTrial:
        """Fit, forecast out of sample, and keep account of both."""
        if model not in self.tried:
            with self._tracker.run(model.label, _params(model), self._tags, self._parent) as run:
                self.tried[model] = trial = self._trial(model)
                numbers = {"aic": trial.aic, "bic": trial.bic, "loglikelihood": trial.loglikelihood,
                           "oos_qlike": trial.qlike}  # fmt: skip
                run.log({name: value for name, value in numbers.items() if value is not None})
                if trial.aic is None:
                    run.fail(trial.status.reason)
        return self.tried[model]

    def ranked(self) -> tuple[SearchTrial, ...]:
        """Return the trials by AIC, then by name; raises ``ForecastRefused`` where all failed."""
        trials = sorted(self.tried.values(), key=lambda t: (math.inf if t.aic is None else t.aic, t.model))
        if trials[0].aic is None:
            raise ForecastRefused(
                f"None of the {len(trials)} models could be fitted to {self._candles.instrument}.",
                f"{trials[0].model}: {trials[0].status.reason}.",
                "Look at the data: forecastle quality shows gaps, jumps and stale prices.",
            )
        return tuple(trials)

    def _trial(self, model: GarchModel) -> SearchTrial:
        try:
            fitted = model.fit(self._candles)
        except (ForecastRefused, RequestInvalid) as error:
            return SearchTrial(_params(model), model.label, FitStatus(converged=False, reason=error.what.rstrip(".")))
        summary = fitted.summary()
        if not fitted.status.converged:
            return SearchTrial(_params(model), model.label, fitted.status)
        self.fits[model] = fitted
        loss, reason = self._out_of_sample(model)
        return SearchTrial(
            _params(model), model.label, fitted.status, summary.loglikelihood, summary.aic, summary.bic, loss, reason
        )

    def _out_of_sample(self, model: GarchModel) -> tuple[float | None, str]:
        """Return the mean QLIKE of the held-out bars against their squared returns, or why there is none."""
        request = self._request
        try:
            path = rolling_forecast(self._recent, request.window, model=model, refit_every=request.refit_every)
        except ForecastRefused as error:
            return None, error.what
        return float(qlike(path.column("outcome") ** 2, path.column("sigma"))), ""


def _keep(workspace: Workspace, parent: Run, hunt: _Hunt, trials: Sequence[SearchTrial]) -> SavedModel:
    """Save the best model and close the account of the search."""
    best = trials[0]
    saved = save(workspace, next(hunt.fits[m] for m, trial in hunt.tried.items() if trial is best))
    parent.attach(saved.path, "model")
    parent.tag({"best_model": best.model, "best_params": json.dumps(dict(best.params)), "saved_model": saved.name})
    numbers = {"best_aic": best.aic, "best_oos_qlike": best.qlike, "tried": len(trials)}
    parent.log({name: value for name, value in numbers.items() if value is not None})
    return saved


def _cut(request: SearchRequest, returns: int) -> SearchRequest:
    """Return the request with a holdout and a window that the returns have; at most half of them is held out."""
    holdout = min(request.holdout, returns // 2)
    window = min(request.window, returns - holdout)
    if window < SMALLEST_WINDOW:
        raise DataMissing(
            f"There are {returns} returns, and {holdout} of them are held out.",
            f"A fit out of sample needs {SMALLEST_WINDOW} before them; {window} are left.",
            "Get more history, a wider range, or hold out fewer.",
        )
    return request.model_copy(update={"holdout": holdout, "window": window})


def _space(request: SearchRequest) -> Space:
    """Return what is tried; raises ``RequestInvalid`` for innovations that GARCH does not know."""
    known = get_type_hints(GarchModel)
    wide_dists = tuple(d for d in _WIDE_DISTS if d in get_args(known["dist"]))
    dists = request.dists if request.trials is None or "dists" in request.model_fields_set else wide_dists
    for dist in dists:
        GarchModel(dist=dist)  # type: ignore[arg-type]
    space: Space = {"p": _LAGS, "q": _LAGS, "dist": tuple(dict.fromkeys(dists))}
    if request.trials is None:
        return space
    return {**space, "o": (0, 1), "vol": tuple(v for v in _WIDE_VOLS if v in get_args(known["vol"]))}


def _params(model: GarchModel) -> dict[str, int | str]:
    """Return the parameters that make the model again."""
    return {"vol": model.vol, "p": model.p, "o": model.o, "q": model.q, "dist": model.dist, "mean": model.mean}


def _tags(candles: Candles, request: SearchRequest) -> dict[str, object]:
    """Return what every run says of its data and its code."""
    return {
        "instrument": candles.instrument.id, "timeframe": candles.timeframe, "source": candles.source,
        "simulated": candles.simulated, "data_hash": candles.data_hash, "data_end": candles.end.isoformat(),
        "seed": request.seed, "git_revision": git_revision(), "forecastle_version": __version__,
    }  # fmt: skip
