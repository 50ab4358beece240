"""The risk of several instruments held together, and what each adds to it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from forecastle.app.look import load
from forecastle.errors import ForecastRefused
from forecastle.models.correlation import ConstantCorrelation, CorrelationModel, DynamicCorrelation
from forecastle.nouns import Candles
from forecastle.nouns.portfolio import JointReturns, PortfolioForecast
from forecastle.ports import Progress, silent
from forecastle.requests import PortfolioRequest, SeriesRequest
from forecastle.workspace import Workspace

MODELS: dict[str, CorrelationModel] = {"ccc": ConstantCorrelation(), "dcc": DynamicCorrelation()}


def portfolio(workspace: Workspace, request: PortfolioRequest, progress: Progress = silent) -> PortfolioForecast:
    """Return the forecast of the portfolio from the last bar that all its instruments have.

    Raises ``ForecastRefused`` where fewer than ``window`` returns are common to them, where a fit does not converge or
    the weights leave no risk.
    """
    parts = [load(workspace, _series(request, place)) for place in range(len(request.instruments))]
    return portfolio_of(parts, request, progress)


def portfolio_of(parts: list[Candles], request: PortfolioRequest, progress: Progress = silent) -> PortfolioForecast:
    """Return the forecast of these candles, in the order of the request's instruments."""
    joint = JointReturns.of(parts)
    _refuse_little_in_common(joint, request.window)
    count = len(request.instruments)
    weights = np.array(request.weights) if request.weights is not None else np.full(count, 1.0 / count)
    model = MODELS[request.model]
    fitted = model.fit(joint.last(request.window), progress)
    covariances = fitted.covariances(request.horizon)
    return PortfolioForecast(
        request.instruments, weights, request.timeframe, request.horizon, fitted.label, fitted.status,
        distribution=fitted.portfolio(weights, request.horizon), means=fitted.means * request.horizon,
        covariance=covariances.sum(axis=0), correlation=fitted.correlations[-1], window=request.window,
        common_bars=joint.common, spanning_gaps=joint.spanning_gaps, as_of=_aware(joint.target_time[-1]),
        target_time=_aware(joint.next_close(request.horizon)), data_hash=joint.data_hash,
        source=",".join(sorted({c.source for c in parts})),
    )  # fmt: skip


def _series(request: PortfolioRequest, place: int) -> SeriesRequest:
    return SeriesRequest(
        instrument=request.instruments[place], timeframe=request.timeframe, source=request.source,
        start=request.start, end=request.end, as_of=request.as_of,
    )  # fmt: skip


def _refuse_little_in_common(joint: JointReturns, window: int) -> None:
    if len(joint.values) >= window:
        return
    spans = "; ".join(f"{c.instrument} {len(c)} from {c.start:%Y-%m-%d} to {c.end:%Y-%m-%d}" for c in joint.candles)
    raise ForecastRefused(
        f"{joint.common} bars are common to all, with {len(joint.values)} returns; the window takes {window}.",
        f"Bars: {spans}.",
        "Leave out the shortest, get more history, or choose a smaller --window.",
    )


def _aware(moment: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(moment.astype("datetime64[us]").astype(np.int64)) / 1e6, UTC)
