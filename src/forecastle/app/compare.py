"""Every model over the same bars, scored; and the VaR backtest of one."""

from __future__ import annotations

from forecastle.app.fit import model_of
from forecastle.app.rolling import load_with_burn_in, roll, rolling
from forecastle.nouns import Candles, Comparison, RiskBacktest
from forecastle.ports import Progress, silent
from forecastle.requests import CompareRequest, RollingRequest
from forecastle.scoring import compare as score
from forecastle.scoring import risk_backtest
from forecastle.workspace import Workspace


def backtest(workspace: Workspace, request: RollingRequest, progress: Progress = silent) -> RiskBacktest:
    """Return the breaches of VaR and ES of one model over the range, and what every test says."""
    return risk_backtest(rolling(workspace, request, progress))


def compare(workspace: Workspace, request: CompareRequest, progress: Progress = silent) -> Comparison:
    """Return every model beside the naive ones, sorted by QLIKE, with the verdict in words."""
    return comparison_of(load_with_burn_in(workspace, request), request, progress)


def comparison_of(candles: Candles, request: CompareRequest, progress: Progress = silent) -> Comparison:
    """Return the comparison on candles already in hand."""
    models = [model_of(spec) for spec in request.models]
    paths = []
    for number, model in enumerate(models):

        def step(done: int, total: int, what: str, number: int = number) -> None:
            progress(number * total + done, len(models) * total, what)

        paths.append(
            roll(
                candles, model, window=request.window, refit_every=request.refit_every, level=request.level,
                start=request.start, end=request.end, progress=step,
            )
        )  # fmt: skip
    return score(paths, {m.label for m in models if m.naive}, model_of(request.headline).label)
