"""The search of the GARCH family: its numbers against arch, its choice, its failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from arch import arch_model

from experiments.conftest import request_of
from forecastle.app.search import search_candles, search_garch
from forecastle.errors import DataMissing, ForecastRefused, RequestInvalid
from forecastle.models.garch import GarchModel
from forecastle.nouns import FitStatus
from forecastle.requests import SearchRequest, build

if TYPE_CHECKING:
    from experiments.conftest import Tracked
    from forecastle.nouns import Candles
    from forecastle.nouns.search import SearchTrial


def _parents(tracked: Tracked) -> set[str]:
    runs = tracked.client.search_runs(["1"], max_results=1000)
    return {run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags}


def _values(trials: Sequence[SearchTrial]) -> list[tuple[str, float | None, float | None]]:
    return [(trial.model, trial.aic, trial.qlike) for trial in trials]


@pytest.mark.parametrize(("p", "q", "dist"), [(1, 1, "normal"), (1, 1, "t"), (2, 1, "normal"), (1, 2, "t")])
def test_the_aic_of_a_cell_is_that_of_arch(tracked: Tracked, p: int, q: int, dist: str) -> None:
    returns = 100.0 * tracked.candles.log_returns().values
    theirs = arch_model(returns, p=p, q=q, dist=dist).fit(disp="off")  # type: ignore[arg-type]
    in_decimals = theirs.aic - 2.0 * returns.size * np.log(100.0)
    (ours,) = [t.aic for t in tracked.result.trials if (t.params["p"], t.params["q"], t.params["dist"]) == (p, q, dist)]
    assert ours == pytest.approx(in_decimals, abs=0.02)


def test_all_cells_are_tried_and_the_best_refits(tracked: Tracked) -> None:
    cells = {(t.params["p"], t.params["q"], t.params["dist"]) for t in tracked.result.trials}
    assert cells == {(p, q, d) for p in (1, 2, 3) for q in (1, 2, 3) for d in ("normal", "t")}
    assert tracked.result.tried == 18
    aics = [trial.aic for trial in tracked.result.trials if trial.aic is not None]
    assert aics == sorted(aics)
    assert type(tracked.result.best_params) is dict
    again = GarchModel(**tracked.result.best_params).fit(tracked.candles)  # type: ignore[arg-type]
    assert again.summary().aic == tracked.result.best_aic == aics[0]


def test_the_loss_is_out_of_sample(tracked: Tracked) -> None:
    """Slowly: two refits to the 350 returns before their block, each row filtered over the 350 returns before it."""
    returns = tracked.candles.log_returns().values
    assert tracked.result.observations == returns.size == 600
    losses = []
    for block in (350, 475):
        fitted = GarchModel(p=1, q=1, dist="t").fit(returns[block - 350 : block])
        for i in range(block, block + 125):
            sigma = fitted.distribution(returns[i - 350 : i], 1).sigma
            ratio = max(returns[i] ** 2, 1e-8) / sigma**2
            losses.append(ratio - np.log(ratio) - 1.0)
    (ours,) = [t.qlike for t in tracked.result.trials if t.model == "GARCH(1,1)-t"]
    assert ours == pytest.approx(np.mean(losses), rel=5e-4), "a rolled fit ends near the single one, not bit for bit"


def test_the_remark_says_when_another_model_forecasts_better(tracked: Tracked) -> None:
    result = tracked.result
    rival = min(result.trials, key=lambda t: t.qlike if t.qlike is not None else np.inf)
    assert result.best_out_of_sample == rival
    assert rival.model in result.remark
    assert ("not the best out of sample" in result.remark) == (rival is not result.best)
    assert "18" in result.remark


def test_a_seed_draws_the_same_models_of_the_wider_space(tracked: Tracked) -> None:
    said = {"trials": 5, "seed": 7, "window": 250, "holdout": 100, "refit_every": 100}
    once, again = (
        search_candles(tracked.workspace, tracked.candles, request_of(tracked.candles, **said)) for _ in range(2)
    )
    assert _values(once.trials) == _values(again.trials)
    assert 1 <= once.tried <= 5
    assert len(tracked.runs(once.run_id)) == once.tried, "a model proposed twice is tried once"
    assert once.saved != again.saved


class _Fake:
    """Says that it has no fit for some models, in the two ways there are."""

    def __init__(self) -> None:
        self._real = GarchModel.fit

    def __call__(self, model: GarchModel, x: Any) -> Any:
        if model.q == 3:
            raise ForecastRefused("There is no fit.", "A test.", "None.")
        fitted = self._real(model, x)
        if model.p == 3:
            object.__setattr__(fitted, "status", FitStatus(converged=False, reason="stopped"))
        return fitted


def test_a_failed_fit_is_told_and_never_chosen(tracked: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = _Fake()
    monkeypatch.setattr(GarchModel, "fit", lambda model, x: fake(model, x))
    request = request_of(tracked.candles, dists="normal", holdout=100, refit_every=100)
    result = search_candles(tracked.workspace, tracked.candles, request)
    failed = {(t.params["p"], t.params["q"]) for t in result.trials if t.aic is None}
    assert failed == {(p, q) for p in (1, 2, 3) for q in (1, 2, 3) if p == 3 or q == 3}
    assert result.tried == 9
    assert [t.aic is None for t in result.trials] == [False] * 4 + [True] * 5, "failed ones stand last"
    assert {t.status.reason for t in result.trials[4:]} == {"There is no fit", "stopped"}
    runs = {run.info.run_name: run for run in tracked.runs(result.run_id)}
    assert runs["GARCH(1,3)-normal"].info.status == "FAILED"
    assert runs["GARCH(1,3)-normal"].data.tags["reason"] == "There is no fit"
    assert runs["GARCH(1,3)-normal"].data.metrics == {}


def test_where_every_fit_fails_nothing_is_chosen(tracked: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: GarchModel, x: object) -> object:
        raise ForecastRefused(f"{model.label} cannot.", "A test.", "None.")

    monkeypatch.setattr(GarchModel, "fit", refuse)
    before = _parents(tracked)
    with pytest.raises(ForecastRefused, match="None of the 9 models"):
        search_candles(tracked.workspace, tracked.candles, request_of(tracked.candles, dists="t"))
    (parent,) = _parents(tracked) - before
    assert tracked.client.get_run(parent).info.status == "FAILED"


def test_what_cannot_be_searched_is_refused_before_a_run_is_opened(tracked: Tracked, bundled_spx: Candles) -> None:
    before = _parents(tracked)
    short = bundled_spx.last(499)
    with pytest.raises(DataMissing, match="498 returns"):
        search_candles(tracked.workspace, short, request_of(short))
    with pytest.raises(RequestInvalid, match="cauchy"):
        search_candles(tracked.workspace, tracked.candles, request_of(tracked.candles, dists="normal,cauchy"))
    with pytest.raises(RequestInvalid, match="dists"):
        build(SearchRequest, instrument="SPX.INDEX", dists=())
    assert _parents(tracked) == before


def test_the_python_face_searches_in_the_home_it_is_given(tracked: Tracked) -> None:
    home = tracked.workspace.settings.home
    result = search_garch(tracked.candles, dists=["normal"], holdout=100, refit_every=100, home=home)
    assert result.tried == 9
    assert result.saved.is_relative_to(home / "models" / "garch")
