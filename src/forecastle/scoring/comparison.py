"""Every model beside the naive ones, and the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence, Set

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid
from forecastle.nouns import Comparison, ModelScore, RiskBacktest, RollingForecast, TestResult
from forecastle.scoring import forecast, risk

FloatArray = npt.NDArray[np.float64]

SIZE = 0.05
BASEL_DAYS = 250


def risk_backtest(path: RollingForecast) -> RiskBacktest:
    """Return the breaches of one path and what every test says about them."""
    outcome, var, es = path.column("outcome"), path.column("var"), path.column("es")
    hits = path.breach
    recent = hits[-BASEL_DAYS:]
    result = RiskBacktest(
        path=path,
        breaches=int(hits.sum()),
        expected=path.level * len(path),
        kupiec=risk.kupiec_pof(outcome, var, path.level),
        christoffersen=risk.christoffersen(outcome, var, path.level),
        traffic_light=risk.traffic_light(int(recent.sum()), recent.size, path.level),
        acerbi_szekely=risk.acerbi_szekely(outcome, var, es, path.level),
        verdict="",
    )
    return _with_verdict(result)


def compare(paths: Sequence[RollingForecast], naive: Set[str]) -> Comparison:
    """Score one-step paths over the same bars: QLIKE on squared returns, and Diebold-Mariano against each naive one.

    ``naive`` names the labels every other model has to beat. Raises ``DataInvalid`` where the paths do not cover the
    same bars: losses of different days cannot be compared.
    """
    first = paths[0]
    if any(not p.frame["target_time"].equals(first.frame["target_time"]) for p in paths):
        raise DataInvalid(
            "The models were scored on different bars.", "Losses of different days differ.", "Roll all over one range."
        )
    losses = {p.model: forecast.qlike_losses(p.column("outcome") ** 2, p.column("sigma")) for p in paths}
    scores = sorted((_score(p, losses, naive) for p in paths), key=lambda s: s.qlike)
    return Comparison(
        instrument=str(first.instrument),
        timeframe=str(first.timeframe),
        observations=len(first),
        scores=tuple(scores),
        verdict=verdict(scores),
        data_hash=first.data_hash,
        source=first.source,
    )


def _score(path: RollingForecast, losses: dict[str, FloatArray], naive: Set[str]) -> ModelScore:
    mine = losses[path.model]
    value = forecast.qlike(path.column("outcome") ** 2, path.column("sigma"))
    against = {other: forecast.diebold_mariano(mine, losses[other]) for other in sorted(naive) if other != path.model}
    return ModelScore(path.model, path.model in naive, float(value), value.floored, against, risk_backtest(path))


def verdict(scores: Sequence[ModelScore]) -> str:
    """Say in words whether the best model beats every naive one, and whether its VaR may be believed."""
    models = [s for s in scores if not s.naive]
    naives = [s for s in scores if s.naive]
    if not models or not naives:
        best = scores[0]
        return f"{best.model} has the lowest QLIKE, {best.qlike:.4f}. {_coverage(best)}"
    best, rival = models[0], naives[0]
    return f"{_edge(best, rival, len(models))} {_coverage(best)}"


def _edge(best: ModelScore, rival: ModelScore, tried: int) -> str:
    """Compare the best of ``tried`` models with the naive ones; the 5 % are shared among them (Bonferroni)."""
    hardest = max(best.against_naive.values(), key=_p_of_win)
    beaten = all(_p_of_win(t) < SIZE / tried for t in best.against_naive.values())
    chosen = f", the best of {tried} models," if tried > 1 else ""
    duel = best.against_naive[rival.model]
    numbers = f"QLIKE {best.qlike:.4f} against {rival.qlike:.4f} of the best naive forecast, {rival.model}"
    if beaten:
        return (
            f"{best.model} beats every naive forecast: {numbers}; the weakest of its wins has a two-sided "
            f"Diebold-Mariano p of {hardest.p_value:.2g} (below {SIZE / tried:g} is asked of the best of {tried})."
        )
    outcome = f"{best.model}{chosen} has {numbers}; Diebold-Mariano p = {_p(duel)}."
    if best.qlike < rival.qlike:
        return f"No proven edge over the naive forecast: {outcome}"
    return f"No edge over the naive forecast: {outcome} Use the naive one."


def _p_of_win(test: TestResult) -> float:
    """Return the p-value where the model loses less than the naive one, else 1: a significant loss is no win."""
    won = test.statistic is not None and test.statistic < 0
    return test.p_value if won and test.p_value is not None else 1.0


def _p(test: TestResult) -> str:
    return "n/a" if test.p_value is None else f"{test.p_value:.2g}"


def _coverage(score: ModelScore) -> str:
    return score.risk.verdict if score.risk else ""


def _with_verdict(result: RiskBacktest) -> RiskBacktest:
    words = (
        f"VaR at {100 * result.path.level:g} % of {result.path.model}: {_counted(result.breaches)}, "
        f"{result.expected:.1f} expected; "
    )
    tests = [("coverage", result.kupiec), ("conditional coverage", result.christoffersen.conditional_coverage)]
    failed = [f"{name} (p = {_p(test)})" for name, test in tests if test.rejects(SIZE)]
    if failed:
        side = "too low: it understates the risk" if result.breaches > result.expected else "too high"
        cause = "" if not result.kupiec.rejects(SIZE) else f"; VaR is {side}"
        words += f"rejected on {' and '.join(failed)}{cause}."
    else:
        words += (
            f"coverage (p = {_p(result.kupiec)}) and conditional coverage (p = {_p(tests[1][1])}) are not rejected."
        )
    light = result.traffic_light
    words += f" Basel zone of the last {light.observations} bars: {light.zone} ({_counted(light.breaches)})."
    return RiskBacktest(**{**result.__dict__, "verdict": words})


def _counted(breaches: int) -> str:
    return "1 breach" if breaches == 1 else f"{breaches} breaches"
