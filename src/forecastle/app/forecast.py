"""The next bars: every model's distribution, the naive ones beside them."""

from __future__ import annotations

from forecastle.app.fit import model_of
from forecastle.app.look import load
from forecastle.errors import ForecastRefused
from forecastle.nouns import Candles, ForecastSet, Refusal
from forecastle.requests import ForecastRequest, ModelSpec
from forecastle.workspace import Workspace


def forecast(workspace: Workspace, request: ForecastRequest) -> ForecastSet:
    """Return one forecast a model, fitted to the last ``window`` returns before the end of the series.

    A model that refuses (too little data, a fit that failed) is named with its reason; raises ``ForecastRefused`` where
    none is left.
    """
    return forecasts_of(load(workspace, request), request.models, request.horizon, request.window)


def forecasts_of(candles: Candles, specs: tuple[ModelSpec, ...], horizon: int, window: int) -> ForecastSet:
    """Return the forecasts from the end of ``candles``."""
    recent = candles.recent(window)
    made, refused, errors = [], [], []
    for spec in specs:
        model = model_of(spec)
        try:
            made.append(model.fit(recent).forecast(horizon))
        except ForecastRefused as error:
            refused.append(Refusal(model.label, f"{error.what} {error.why}"))
            errors.append(error)
    if not made:
        raise errors[0]
    return ForecastSet(tuple(made), tuple(refused), int(recent.missing().size))
