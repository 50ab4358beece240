"""One fit of one model."""

from __future__ import annotations

from forecastle.app.look import load
from forecastle.models import MODELS
from forecastle.nouns import FitSummary
from forecastle.ports import Model
from forecastle.requests import FitRequest, ModelSpec
from forecastle.workspace import Workspace


def model_of(spec: ModelSpec) -> Model:
    """Return the model a spec describes; raises ``NameUnknown`` with the nearest name."""
    kind = MODELS.load(spec.name)
    options = spec.model_dump(exclude={"name"}) if spec.name == "garch" else {}
    model: Model = kind(**options)
    return model


def fit(workspace: Workspace, request: FitRequest) -> FitSummary:
    """Fit one model to all the candles of the request."""
    return model_of(request.model).fit(load(workspace, request)).summary()
