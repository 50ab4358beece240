"""Every model beside the naive ones, and the verdict in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid
from forecastle.nouns import (
    Comparison,
    ModelConfidenceSet,
    ModelScore,
    RiskBacktest,
    RollingForecast,
    TestResult,
    TrafficLight,
)
from forecastle.scoring import forecast, risk
from forecastle.scoring._confidence_set import FEWEST_LOSSES

FloatArray = npt.NDArray[np.float64]

SIZE = 0.05
SET_SIZE = 0.1
"""The model confidence set holds the best model with a probability of 90 %, the usual one."""
QUANTILES = {"q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}
"""The quantiles that every row states, for CRPS."""
NAMED = 4
"""More models than these are counted, not named, in a sentence."""
FEWEST_EXPECTED = 2
"""Expected breaches below which no test of coverage has any power."""
BASEL_DAYS, BASEL_LEVEL = 250, 0.01


def risk_backtest(path: RollingForecast) -> RiskBacktest:
    """Return the breaches of one path and what every test says about them, with a verdict in words at 5 %.

    The verdict speaks of coverage and conditional coverage only. The other tests are shown and decide nothing: each one
    more that could reject a right forecast at 5 % makes it more likely that one does, and those of duration and dynamic
    quantile reject too often with few breaches.
    """
    outcome, var, es = path.column("outcome"), path.column("var"), path.column("es")
    hits = path.breach
    recent = hits[-BASEL_DAYS:]
    kupiec = risk.kupiec_pof(outcome, var, path.level)
    independent = risk.christoffersen(outcome, var, path.level)
    light = risk.traffic_light(int(recent.sum()), recent.size, path.level)
    tests = {"coverage": kupiec, "conditional coverage": independent.conditional_coverage}
    return RiskBacktest(
        path=path,
        breaches=int(hits.sum()),
        expected=path.level * len(path),
        kupiec=kupiec,
        christoffersen=independent,
        traffic_light=light,
        acerbi_szekely=risk.acerbi_szekely(outcome, var, es, path.level),
        verdict=_in_words(path, int(hits.sum()), tests, light),
        duration=risk.duration(outcome, var, path.level),
        dynamic_quantile=risk.dynamic_quantile(outcome, var, path.level),
        mcneil_frey=risk.mcneil_frey(outcome, var, es, path.level, path.column("sigma")),
        e_process=risk.e_process(outcome, var, path.level),
        es_e_process=risk.es_e_process(outcome, var, es, path.level) if (es >= var).all() else None,
    )


def compare(
    paths: Sequence[RollingForecast],
    naive: Set[str],
    headline: str | None = None,
    realized: FloatArray | None = None,
) -> Comparison:
    """Score one-step paths over the same bars: losses, Diebold-Mariano against each naive one, model confidence set.

    ``naive`` names the labels every other model has to beat; ``headline`` the model whose VaR the verdict speaks of
    (the best by QLIKE where None). QLIKE and MSE take ``realized`` for the variance that was, shape (n,), in decimals
    squared, the variance of each bar measured inside it; squared returns where None. The Diebold-Mariano statistics
    allow for autocorrelated losses (Newey-West). Raises ``DataInvalid`` where the paths do not cover the same bars
    (losses of different days cannot be compared), and for a ``realized`` of another length, with NaN or negative.
    """
    first = paths[0]
    if any(not p.frame["target_time"].equals(first.frame["target_time"]) for p in paths):
        raise DataInvalid(
            "The models were scored on different bars.", "Losses of different days differ.", "Roll all over one range."
        )
    target = first.column("outcome") ** 2 if realized is None else realized
    losses = {p.model: forecast.qlike_losses(target, p.column("sigma")) for p in paths}
    held = forecast.model_confidence_set(losses, SET_SIZE) if len(first) >= FEWEST_LOSSES else None
    scores = sorted((_score(p, target, losses, naive, held) for p in paths), key=lambda s: s.qlike)
    return Comparison(
        instrument=str(first.instrument),
        timeframe=str(first.timeframe),
        observations=len(first),
        scores=tuple(scores),
        verdict=verdict(scores, headline, held),
        size=SIZE / max(sum(not s.naive for s in scores), 1),
        data_hash=first.data_hash,
        source=first.source,
        target="squared returns" if realized is None else "realised variance",
        confidence_set=held,
    )


def _score(
    path: RollingForecast,
    target: FloatArray,
    losses: Mapping[str, FloatArray],
    naive: Set[str],
    held: ModelConfidenceSet | None,
) -> ModelScore:
    mine = losses[path.model]
    outcome, var, es, sigma = (path.column(name) for name in ("outcome", "var", "es", "sigma"))
    value = forecast.qlike(target, sigma)
    lags = int(4 * (mine.size / 100) ** (2 / 9))  # Newey and West (1994)
    against = {
        other: forecast.diebold_mariano(mine, losses[other], lags=lags)
        for other in sorted(naive)
        if other != path.model and mine.size > max(lags, 2)
    }
    quantiles = path.frame.select(list(QUANTILES)).to_numpy()
    return ModelScore(
        model=path.model,
        naive=path.model in naive,
        qlike=float(value),
        floored=value.floored,
        against_naive=against,
        risk=risk_backtest(path),
        mse=forecast.mse(target, sigma),
        fz0=forecast.fz0(outcome, var, es, path.level),
        pinball=forecast.pinball(outcome, -var, path.level),
        crps=forecast.crps_quantiles(outcome, quantiles, np.array(list(QUANTILES.values()))),
        mcs=held.p_values[path.model] if held else None,
    )


def verdict(scores: Sequence[ModelScore], headline: str | None = None, held: ModelConfidenceSet | None = None) -> str:
    """Say in words whether the best model beats every naive one, and whether the headline's VaR may be believed.

    ``scores`` are sorted by QLIKE. The 5 % are shared among the models tried (Bonferroni): the best of several is
    lucky more often than one. ``held`` are the models that cannot be told from the best.
    """
    models = [s for s in scores if not s.naive]
    naives = [s for s in scores if s.naive]
    told = next((s for s in scores if s.model == headline), models[0] if models else scores[0])
    words = _edge(models[0], naives[0], len(models)) if models and naives else _lone(scores[0])
    words += _held(held) if held and len(scores) > 1 else ""
    return f"{words} {told.risk.verdict}" if told.risk else words


def _lone(best: ModelScore) -> str:
    return f"{best.model}: QLIKE {best.qlike:.4f}, with nothing to be compared to."


def _held(held: ModelConfidenceSet) -> str:
    """Name the models of the confidence set in one sentence, the best first."""
    words = f" The {100 * (1 - held.size):g} % confidence set holds"
    if not held.excluded:
        return f"{words} all {len(held.included)} models."
    named = held.included[:NAMED]
    others = len(held.included) - len(named)
    listed = [*named, f"{others} {'other' if others == 1 else 'others'}"] if others else list(named)
    return f"{words} {' and '.join(filter(None, [', '.join(listed[:-1]), listed[-1]]))}."


def _edge(best: ModelScore, rival: ModelScore, tried: int) -> str:
    numbers = f"QLIKE {best.qlike:.4f} against {rival.qlike:.4f} of the best naive forecast, {rival.model}"
    tests = best.against_naive
    if not tests:
        return f"No proven edge over the naive forecast: {best.model} has {numbers}; too few bars for a test."
    hardest = max(tests, key=lambda name: _p_of_win(tests[name]))
    asked = f"{SIZE / tried:.2g} is asked" + (f" of the best of {tried} models" if tried > 1 else "")
    proof = f"Diebold-Mariano p = {_p(tests[hardest])} against {hardest}, where less than {asked}"
    if _p_of_win(tests[hardest]) < SIZE / tried:
        return f"{best.model} beats every naive forecast: {numbers}; at its weakest, {proof}."
    if best.qlike < rival.qlike:
        return f"No proven edge over the naive forecast: {best.model} has {numbers}; {proof}."
    return f"No edge over the naive forecast: {best.model} has {numbers}. Use the naive one."


def _p_of_win(test: TestResult) -> float:
    """Return the p-value where the model loses less than the naive one, else 1: a significant loss is no win."""
    won = test.statistic is not None and test.statistic < 0
    return test.p_value if won and test.p_value is not None else 1.0


def _p(test: TestResult) -> str:
    return "n/a" if test.p_value is None else f"{test.p_value:.3g}"


def _in_words(path: RollingForecast, breaches: int, tests: dict[str, TestResult], light: TrafficLight) -> str:
    expected = path.level * len(path)
    words = f"VaR at {100 * path.level:g} % of {path.model}: {_counted(breaches)}, {expected:.1f} expected; "
    if expected < FEWEST_EXPECTED:
        needed = math.ceil(FEWEST_EXPECTED / path.level)
        return f"{words}too few bars to judge: {len(path)}, and {needed} are needed."
    failed = [f"{name} (p = {_p(test)})" for name, test in tests.items() if test.rejects(SIZE)]
    if failed:
        words += f"rejected on {' and '.join(failed)}"
        if tests["coverage"].rejects(SIZE):
            words += "; VaR is too low: it understates the risk" if breaches > expected else "; VaR is too high"
        words += "."
    else:
        words += " and ".join(f"{name} (p = {_p(test)})" for name, test in tests.items()) + " are not rejected."
    basel = "Basel zone" if (light.observations, light.level) == (BASEL_DAYS, BASEL_LEVEL) else "Basel-style zone"
    return f"{words} {basel} of the last {light.observations} bars: {light.zone} ({_counted(light.breaches)})."


def _counted(breaches: int) -> str:
    return "1 breach" if breaches == 1 else f"{breaches} breaches"
