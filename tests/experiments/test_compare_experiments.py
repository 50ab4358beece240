"""Two experiments side by side; expected numbers are those of scikit-learn, statsmodels and loops by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.folders_made import CONFIG, FloatArray, experiment, predictions_of
from experiments.trials_made import NOW
from forecastle.app.compare_experiments import ExperimentComparison, compare
from forecastle.app.experiment_list import listed
from forecastle.clock import FixedClock
from forecastle.errors import DataCorrupt, DataMissing, NameUnknown, RequestInvalid
from forecastle.experiments.differences import Difference, differences, flat
from forecastle.experiments.folder import begin
from forecastle.experiments.results import FILE, Score
from forecastle.workspace import Workspace

N = 300
RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Each test draws the same numbers, whatever ran before it."""
    RNG.bit_generator.state = np.random.default_rng(11).bit_generator.state


OUTCOME: FloatArray = (RNG.random(N) < 0.55).astype(float)
P: FloatArray = np.clip(0.5 + 0.2 * (OUTCOME - 0.5) + RNG.normal(0, 0.1, N), 0.02, 0.98)
Q: FloatArray = np.clip(0.5 + 0.6 * (OUTCOME - 0.5) + RNG.normal(0, 0.1, N), 0.02, 0.98)
NUMBER = {"name": "log_return", "task": "number", "horizons": [1], "unit": "log return"}


def both(
    home: Path, a: pl.DataFrame, b: pl.DataFrame, names: tuple[list[str], list[str]] = (["ridge"], ["ridge"]),
    **changed: Any,
) -> ExperimentComparison:  # fmt: skip
    one, other = experiment(home, "a", a, names[0], **changed), experiment(home, "b", b, names[1], **changed)
    return compare(Workspace.open(home), one.id, other.id)


def test_the_losses_of_a_probability_are_those_of_scikit_learn(home: Path) -> None:
    from sklearn.metrics import accuracy_score, brier_score_loss, log_loss

    found = both(home, predictions_of({"ridge": P}, OUTCOME), predictions_of({"ridge": Q}, OUTCOME))
    assert [c.score for c in found.changes] == ["brier", "log_loss", "wrong_calls"]
    for change, score in zip(found.changes, (brier_score_loss, log_loss, None), strict=True):
        for mine, p in ((change.a, P), (change.b, Q)):
            expected = score(OUTCOME, p) if score else 1.0 - accuracy_score(OUTCOME, p > 0.5)
            assert mine == pytest.approx(expected, rel=1e-10)
        assert change.change == pytest.approx(change.b - change.a, rel=1e-12)
        assert (change.rows, change.moments, change.verdict) == (N, N, "better")


def test_the_losses_of_a_number_are_those_of_scikit_learn(home: Path) -> None:
    from sklearn.metrics import mean_absolute_error, mean_squared_error

    outcome = RNG.normal(0, 0.02, N)
    forecast = {"ridge": 0.3 * outcome}
    found = both(
        home, predictions_of({"ridge": 0.0 * outcome}, outcome), predictions_of(forecast, outcome), target=NUMBER
    )
    for change, score in zip(found.changes, (mean_squared_error, mean_absolute_error), strict=True):
        assert change.b == pytest.approx(score(outcome, forecast["ridge"]), rel=1e-10)


def test_the_duel_is_the_mean_over_its_error_by_statsmodels(home: Path) -> None:
    """Newey-West error of the mean difference: a regression on a constant; times sqrt((n - 1) / n) at one bar ahead."""
    import statsmodels.api as sm  # type: ignore[import-untyped]

    found = both(home, predictions_of({"ridge": P}, OUTCOME), predictions_of({"ridge": Q}, OUTCOME))
    d = (Q - OUTCOME) ** 2 - (P - OUTCOME) ** 2
    lags = int(4 * (N / 100) ** (2 / 9))
    fit = sm.OLS(d, np.ones(N)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    assert found.changes[0].duel.statistic == pytest.approx(fit.tvalues[0] * math.sqrt((N - 1) / N), rel=1e-9)


def test_the_interval_is_of_the_paired_difference(home: Path) -> None:
    """Independent differences: near the normal interval of their mean, far below that of two independent means."""
    outcome = RNG.normal(0, 1.0, N)
    a, b = outcome + RNG.normal(0, 1.0, N), np.zeros(N)
    b = outcome + (a - outcome) * 1.05 + RNG.normal(0, 0.05, N)
    change = both(home, predictions_of({"m": a}, outcome), predictions_of({"m": b}, outcome), (["m"], ["m"]),
                  target=NUMBER).changes[0]  # fmt: skip
    d = (b - outcome) ** 2 - (a - outcome) ** 2
    half = 1.96 * d.std(ddof=1) / math.sqrt(N)
    assert change.low == pytest.approx(d.mean() - half, abs=0.3 * half)
    assert change.high == pytest.approx(d.mean() + half, abs=0.3 * half)
    assert change.low <= change.change <= change.high
    assert change.verdict == "worse"


def test_the_interval_knows_that_losses_of_overlapping_bars_follow_each_other(home: Path) -> None:
    """Sums of five: the error of their mean is nearly sqrt(5) times that of as many independent ones."""
    noise = RNG.normal(0, 1.0, N + 4)
    apart = np.convolve(noise, np.ones(5), "valid")
    outcome = np.zeros(N)
    target = {**NUMBER, "horizons": [5]}
    a = predictions_of({"m": np.full(N, 20.0)}, outcome, horizon=5)
    b = predictions_of({"m": 20.0 + apart}, outcome, horizon=5)
    change = both(home, a, b, (["m"], ["m"]), target=target).changes[1]
    alone = 1.96 * apart.std(ddof=1) / math.sqrt(N)
    assert 1.5 * alone < (change.high - change.low) / 2 < 3.0 * alone


def test_an_interval_on_both_sides_of_nothing_tells_nothing_apart(home: Path) -> None:
    shift = RNG.permutation(np.repeat([0.01, -0.01], N // 2))
    found = both(
        home, predictions_of({"ridge": P}, OUTCOME), predictions_of({"ridge": np.clip(P + shift, 0, 1)}, OUTCOME)
    )
    brier = found.changes[0]
    assert brier.low < 0.0 < brier.high
    assert brier.verdict == "not told apart"


def test_a_comparison_repeats_and_hangs_on_its_seed(home: Path) -> None:
    frames = predictions_of({"ridge": P}, OUTCOME), predictions_of({"ridge": Q}, OUTCOME)
    a, b = (experiment(home, name, frame, ["ridge"]).id for name, frame in zip("ab", frames, strict=True))
    workspace = Workspace.open(home)
    first, again, other = compare(workspace, a, b), compare(workspace, a, b), compare(workspace, a, b, seed=1)
    assert first == again
    assert [c.change for c in first.changes] == [c.change for c in other.changes]
    assert [c.low for c in first.changes] != [c.low for c in other.changes]


def test_the_same_forecasts_are_not_told_apart(home: Path) -> None:
    frame = predictions_of({"ridge": P}, OUTCOME)
    found = both(home, frame, frame)
    assert {(c.change, c.low, c.high, c.verdict) for c in found.changes} == {(0.0, 0.0, 0.0, "not told apart")}
    assert {c.duel.statistic for c in found.changes} == {None}


def test_only_rows_that_both_forecast_count(home: Path) -> None:
    """B begins 50 days later, and A was silent on the last 30."""
    silent = [*P[:-30].tolist(), *[None] * 30]
    a = predictions_of({"ridge": P}, OUTCOME).with_columns(ridge=pl.Series(silent, dtype=pl.Float64))
    b = predictions_of({"ridge": Q}, OUTCOME)[50:]
    change = both(home, a, b).changes[0]
    assert (change.rows, change.moments) == (N - 80, N - 80)
    assert change.a == pytest.approx(float(np.mean((P - OUTCOME)[50:-30] ** 2)), rel=1e-12)
    assert change.b == pytest.approx(float(np.mean((Q - OUTCOME)[50:-30] ** 2)), rel=1e-12)


def test_rows_whose_outcome_was_revised_are_left_out_and_counted(home: Path) -> None:
    revised = OUTCOME.copy()
    revised[:7] = 1.0 - revised[:7]
    found = both(home, predictions_of({"ridge": P}, OUTCOME), predictions_of({"ridge": Q}, revised))
    assert (found.revised, found.changes[0].rows) == (7, N - 7)
    assert found.changes[0].b == pytest.approx(float(np.mean((Q - OUTCOME)[7:] ** 2)), rel=1e-12)


def test_a_row_of_several_folds_is_one(home: Path) -> None:
    """Each row was tested twice in A, by two fits: the loss of the row is the mean of both."""
    again = predictions_of({"ridge": Q}, OUTCOME).with_columns(pl.col("fold") + 2)
    a = pl.concat([predictions_of({"ridge": P}, OUTCOME), again])
    change = both(home, a, predictions_of({"ridge": Q}, OUTCOME)).changes[0]
    assert change.rows == N
    expected = np.mean([((P - OUTCOME) ** 2).mean(), ((Q - OUTCOME) ** 2).mean()])
    assert change.a == pytest.approx(float(expected), rel=1e-12)


def test_markets_at_one_moment_are_one_observation(home: Path) -> None:
    def panel(p: FloatArray, q: FloatArray) -> pl.DataFrame:
        parts = [predictions_of({"ridge": v}, OUTCOME, instrument=[name] * N) for name, v in (("A", p), ("B", q))]
        return pl.concat(parts)

    data = {
        "instruments": ["A", "B"], "timeframe": "1d", "source": "x", "start": NOW.isoformat(), "end": NOW.isoformat(),
        "data_hash": "",
    }  # fmt: skip
    change = both(home, panel(P, Q), panel(Q, Q), data=data).changes[0]
    assert (change.rows, change.moments) == (2 * N, N)
    assert change.change == pytest.approx(float((((Q - OUTCOME) ** 2) - ((P - OUTCOME) ** 2)).mean() / 2), rel=1e-10)


def test_horizons_are_compared_one_by_one(home: Path) -> None:
    def two(p: FloatArray) -> pl.DataFrame:
        parts = [
            predictions_of({"ridge": v}, OUTCOME, horizon=h).with_columns(pl.lit(h, pl.Int64).alias("horizon"))
            for h, v in ((1, p), (5, P))
        ]
        return pl.concat(parts)

    target = {"name": "direction", "task": "direction", "horizons": [1, 5], "unit": "up"}
    found = both(home, two(P), two(Q), target=target)
    assert [(c.horizon, c.verdict) for c in found.changes if c.score == "brier"] == [
        (1, "better"),
        (5, "not told apart"),
    ]


def test_what_was_changed_is_listed(home: Path) -> None:
    one = experiment(home, "a", predictions_of({"ridge": P, "mean": P}, OUTCOME), ["ridge", "mean"])
    config = {**CONFIG, "learners": [{"name": "ridge", "alpha": 2.0}], "split": {"folds": 5, "embargo": 3}}
    scores = {"ridge": {"brier": Score(value=0.2), "auc": Score(value=0.6)}}
    other = experiment(
        home, "b", predictions_of({"ridge": Q, "svm": Q}, OUTCOME), ["ridge", "svm"], config=config,
        features=["roc_10", "adx_14"], scores=scores,
    )  # fmt: skip
    found = compare(Workspace.open(home), one.id, other.id)
    assert found.config == (Difference("learners.ridge.alpha", "1.0", "2.0"), Difference("split.embargo", "-", "3"))
    assert (found.features_added, found.features_removed) == (("adx_14",), ("rsi_14",))
    assert (found.only_a, found.only_b, found.same_data) == (("mean",), ("svm",), True)
    assert {c.learner for c in found.changes} == {"ridge"}
    assert found.stored == (), "auc is not in both, and the Brier score is paired"


def test_a_score_that_is_no_mean_of_rows_is_shown_as_stored(home: Path) -> None:
    frame = predictions_of({"ridge": P}, OUTCOME)
    scores = {"ridge": {"auc": Score(value=0.6), "brier": Score(value=0.2)}}
    (stored,) = both(home, frame, frame, scores=scores).stored
    assert (stored.learner, stored.score, stored.a, stored.b) == ("ridge", "auc", 0.6, 0.6)


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({"a": {"b": {"c": 1}}}, {"a.b.c": "1"}),
        ({"a": [1, 2], "e": {}, "f": []}, {"a": "[1, 2]", "e": "{}", "f": "[]"}),
        ({"l": [{"name": "x", "k": 1}, {"name": "y"}]}, {"l.x.name": '"x"', "l.x.k": "1", "l.y.name": '"y"'}),
        ({"l": [{"name": "x"}, {"name": "x"}]}, {"l": '[{"name": "x"}, {"name": "x"}]'}),
    ],
)
def test_a_configuration_is_flat(configuration: dict[str, Any], expected: dict[str, str]) -> None:
    assert flat(configuration) == expected
    assert differences(configuration, configuration) == ()


def test_an_unknown_id_and_the_same_id_are_refused(home: Path) -> None:
    workspace = Workspace.open(home)
    with pytest.raises(DataMissing, match="none at all"):
        compare(workspace, "20261120_a", "20261120_b")
    made = experiment(home, "momentum", predictions_of({"ridge": P}, OUTCOME), ["ridge"])
    with pytest.raises(NameUnknown, match=f"Did you mean '{made.id}'"):
        compare(workspace, made.id, "20261120_momentun")
    with pytest.raises(RequestInvalid, match="with itself"):
        compare(workspace, made.id, made.id)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"target": {"name": "direction", "task": "direction", "horizons": [5], "unit": "up"}}, "over 5 bars"),
        ({"target": {"name": "direction", "task": "direction", "horizons": [1], "unit": "up", "settings": {"band": 1}}},
         "band 1"),
        ({"data": {"instruments": ["ETH-USDT"], "timeframe": "1d", "source": "x", "start": NOW.isoformat(),
                   "end": NOW.isoformat(), "data_hash": ""}}, "ETH-USDT"),
    ],
)  # fmt: skip
def test_what_forecasts_something_else_is_refused_with_why(home: Path, changed: dict[str, Any], words: str) -> None:
    frame = predictions_of({"ridge": P}, OUTCOME)
    one, other = experiment(home, "a", frame, ["ridge"]), experiment(home, "b", frame, ["ridge"], **changed)
    with pytest.raises(RequestInvalid, match="cannot be compared") as error:
        compare(Workspace.open(home), one.id, other.id)
    assert words in error.value.why


def test_nothing_in_common_is_told(home: Path) -> None:
    early = predictions_of({"ridge": P}, OUTCOME)
    with pytest.raises(DataMissing, match="no moments in common"):
        both(home, early, predictions_of({"ridge": P}, OUTCOME, first="2022-01-01"))
    with pytest.raises(DataMissing, match="29 moments in common"):
        both(home, early[:29], early)
    with pytest.raises(RequestInvalid, match="no learner in common"):
        both(home, early, early.rename({"ridge": "svm"}), (["ridge"], ["svm"]))


def test_the_list_has_every_experiment_and_what_is_wrong_with_it(home: Path) -> None:
    workspace = Workspace.open(home)
    assert listed(workspace) == []
    scores = {"x": {"brier": Score(value=0.25)}, "y": {"brier": Score(value=0.24)}, "z": {"brier": Score(value=None)}}
    frame = predictions_of({"x": P, "y": P, "z": P}, OUTCOME)
    made = experiment(home, "whole", frame, ["x", "y", "z"], scores=scores)
    broken = experiment(home, "broken", frame, ["x", "y", "z"])
    (broken.path / FILE).write_text("{}")
    unfinished = begin(home, FixedClock(NOW), "going on")
    items = {item.id: item for item in listed(workspace)}
    assert list(items) == [broken.id, unfinished.id, made.id]
    assert (items[made.id].best, items[made.id].trials, items[made.id].problem) == ("y: brier 0.24", 4, "")
    assert items[made.id].target == "direction over 1 bars"
    assert "schema" in items[broken.id].problem
    assert "not finished" in items[unfinished.id].problem
    with pytest.raises(DataCorrupt):
        compare(workspace, made.id, broken.id)
