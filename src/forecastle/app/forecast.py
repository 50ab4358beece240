"""The next bars: every model's distribution, the naive ones beside them."""

from __future__ import annotations

from forecastle.app.fit import model_of
from forecastle.app.look import load
from forecastle.errors import ForecastRefused
from forecastle.nouns import Candles, Forecast
from forecastle.requests import ForecastRequest, ModelSpec
from forecastle.workspace import Workspace


def forecast(workspace: Workspace, request: ForecastRequest) -> tuple[Forecast, ...]:
    """Return one forecast a model, fitted to the last ``window`` returns before the end of the series.

    A model whose fit fails is left out; raises ``ForecastRefused`` where none is left.
    """
    candles = load(workspace, request)
    return forecasts_of(candles, request.models, request.horizon, request.window)


def forecasts_of(candles: Candles, specs: tuple[ModelSpec, ...], horizon: int, window: int) -> tuple[Forecast, ...]:
    """Return the forecasts from the end of ``candles``."""
    recent = candles.last(window + 1)
    forecasts, refused = [], []
    for spec in specs:
        try:
            forecasts.append(model_of(spec).fit(recent).forecast(horizon))
        except ForecastRefused as error:
            refused.append(error)
    if not forecasts:
        raise refused[0]
    return tuple(forecasts)
