"""Every model over the same bars, scored; and the VaR backtest of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from forecastle.app.fit import model_of
from forecastle.app.history import refuse_lacking
from forecastle.app.rolling import roll, rolling, with_burn_in
from forecastle.errors import DataMissing, ForecastRefused, RequestInvalid
from forecastle.models.realized import measures_of
from forecastle.nouns import Comparison, History, Refusal, RiskBacktest, RollingForecast
from forecastle.ports import Extra, Model, Progress, silent
from forecastle.requests import CompareRequest, RollingRequest
from forecastle.scoring import compare as score
from forecastle.scoring import risk_backtest
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]

REALISED = 0.9
"""Share of the bars scored that need a realised variance of their own where that is the target."""


def backtest(workspace: Workspace, request: RollingRequest, progress: Progress = silent) -> RiskBacktest:
    """Return the breaches of VaR and ES of one model over the range, and what every test says."""
    return risk_backtest(rolling(workspace, request, progress))


def compare(workspace: Workspace, request: CompareRequest, progress: Progress = silent) -> Comparison:
    """Return every model beside the naive ones, sorted by QLIKE, with the verdict in words."""
    return comparison_of(with_burn_in(workspace, request, wanted(request)), request, progress)


def wanted(request: CompareRequest) -> frozenset[Extra]:
    """Return what the models of the request and its target look at beside the candles."""
    target: frozenset[Extra] = frozenset({"finer"}) if request.target == "realized" else frozenset()
    return target.union(*(model_of(spec).wants for spec in request.models))


def comparison_of(history: History, request: CompareRequest, progress: Progress = silent) -> Comparison:
    """Return the comparison on data already in hand.

    A model that refuses them (ranges that are not known, a first fit that fails) is named with its reason; raises
    ``ForecastRefused`` where a naive one refuses, for then there is nothing to compare to, or all do;
    ``RequestInvalid`` where a model is named twice.
    """
    models = _each_once(request)
    if request.target == "realized":
        _refuse_without_finer(history)
    paths: list[RollingForecast] = []
    refused: list[Refusal] = []
    for number, model in enumerate(models):

        def step(done: int, total: int, what: str, number: int = number) -> None:
            progress(number * total + done, len(models) * total, what)

        try:
            refuse_lacking(model, history)
            paths.append(
                roll(
                    history, model, window=request.window, refit_every=request.refit_every, level=request.level,
                    start=request.start, end=request.end, progress=step,
                )
            )  # fmt: skip
        except ForecastRefused as error:
            if model.naive:
                raise
            refused.append(Refusal(model.label, f"{error.what} {error.why}"))
    if not paths:
        raise ForecastRefused(
            f"No model forecasts {history.candles.instrument}.", f"{refused[0].model}: {refused[0].reason}",
            "Ask for other models or another range.",
        )  # fmt: skip
    realized = realized_variance(history, paths[0]) if request.target == "realized" else None
    scored = score(paths, {m.label for m in models if m.naive}, model_of(request.headline).label, realized)
    return replace(scored, refused=tuple(refused))


def _each_once(request: CompareRequest) -> list[Model]:
    """Return the models; losses are kept by label, so that each may stand there once."""
    models = [model_of(spec) for spec in request.models]
    labels = [model.label for model in models]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise RequestInvalid(f"{twice} is named twice.", "A comparison holds each model once.", "Name it once.")
    return models


def realized_variance(history: History, path: RollingForecast) -> FloatArray:
    """Return the realised variance of each bar of a path, shape (n,), in decimals squared.

    A bar whose finer bars are too few has that of its own range. Raises ``DataMissing`` where there are no finer bars,
    or where less than ``REALISED`` of the bars have enough of them.
    """
    _refuse_without_finer(history)
    measures = measures_of(history)
    targets = path.frame["target_time"].dt.replace_time_zone(None).to_numpy()
    rows = np.searchsorted(measures.close_time, targets)
    share = float(measures.realised[rows].mean())
    if share < REALISED:
        raise DataMissing(
            f"Only {100 * share:.0f} % of the {rows.size} bars of {history.candles.instrument} have enough finer bars.",
            f"Ranges stand in for the others, and {100 * REALISED:.0f} % have to be measured.",
            "Choose a range that the finer bars cover, fetch more of them, or leave --target out.",
        )
    variance: FloatArray = measures.variance[rows]
    return variance


def _refuse_without_finer(history: History) -> None:
    if history.finer is not None and len(history.finer):
        return
    if history.candles.simulated:
        raise DataMissing(
            f"{history.candles.source} candles have no finer bars.",
            "Made-up hours are drawn apart from made-up days: they are not what the days are made of.",
            "Use data of a market, or leave --target out.",
        )
    raise DataMissing(
        f"The lake holds no finer bars of {history.candles.instrument} than {history.candles.timeframe}.",
        "Realised variance is the sum of their squared returns.",
        "Fetch them, such as --timeframe 1h, or leave --target out.",
    )
