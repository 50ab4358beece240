"""The next bars: the combination's distribution, or every model's, the naive ones beside them."""

from __future__ import annotations

from forecastle.app.fit import model_of
from forecastle.app.history import history_of, refuse_lacking
from forecastle.errors import ForecastRefused
from forecastle.nouns import ForecastSet, History, Refusal
from forecastle.requests import ForecastRequest, ModelSpec
from forecastle.workspace import Workspace


def forecast(workspace: Workspace, request: ForecastRequest) -> ForecastSet:
    """Return one forecast a model, fitted to the last ``window`` returns before the end of the series.

    A model that refuses (too little data, a fit that failed) is named with its reason; raises ``ForecastRefused`` where
    none is left.
    """
    wants = frozenset().union(*(model_of(spec).wants for spec in request.models))
    return forecasts_of(history_of(workspace, request, wants), request.models, request.horizon, request.window)


def forecasts_of(history: History, specs: tuple[ModelSpec, ...], horizon: int, window: int) -> ForecastSet:
    """Return the forecasts from the end of ``history``."""
    made, refused, errors = [], [], []
    for spec in specs:
        model = model_of(spec)
        try:
            refuse_lacking(model, history)
            made.append(model.ahead(history, horizon, window))
        except ForecastRefused as error:
            refused.append(Refusal(model.label, f"{error.what} {error.why}"))
            errors.append(error)
    if not made:
        raise errors[0]
    return ForecastSet(tuple(made), tuple(refused), int(history.candles.recent(window).missing().size))
