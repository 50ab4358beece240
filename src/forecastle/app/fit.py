"""One fit of one model."""

from __future__ import annotations

from forecastle.app.history import history_of
from forecastle.app.saved import SavedModel, save
from forecastle.errors import RequestInvalid
from forecastle.models import MODELS
from forecastle.models.fitted_garch import FittedGarch
from forecastle.models.tails import Tailed
from forecastle.nouns import FitSummary
from forecastle.ports import FittedModel, Model
from forecastle.requests import FitRequest, ModelSpec
from forecastle.workspace import Workspace


def model_of(spec: ModelSpec) -> Model:
    """Return the model a spec describes; raises ``NameUnknown`` with the nearest name."""
    model: Model = MODELS.load(spec.name)(**spec.parameters)
    return model if spec.tail == "own" else Tailed(model, spec.tail)


def fit(workspace: Workspace, request: FitRequest) -> FitSummary:
    """Fit one model to all the candles of the request."""
    return _fitted(workspace, request).summary()


def fit_and_save(workspace: Workspace, request: FitRequest) -> tuple[FitSummary, SavedModel]:
    """Fit one model, and keep it under ``models/``; raises as :func:`forecastle.app.saved.save` does."""
    fitted = _fitted(workspace, request)
    if not isinstance(fitted, FittedGarch):
        raise RequestInvalid(
            f"{request.model.name} was to be saved.", "Only models of the GARCH family are saved as files.",
            "Leave --save out, or fit garch.",
        )  # fmt: skip
    return fitted.summary(), save(workspace, fitted)


def _fitted(workspace: Workspace, request: FitRequest) -> FittedModel:
    model = model_of(request.model)
    return model.fit(history_of(workspace, request, model.wants))
