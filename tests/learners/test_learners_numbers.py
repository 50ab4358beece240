"""Learners against scikit-learn, scipy and calculations by hand; windows against a slow search for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from examples_made import NETWORK, examples, learned, made
from forecastle.errors import DataInvalid, NameUnknown, RequestInvalid
from forecastle.models.learners.ensemble import Ensemble
from forecastle.models.learners.forests import RandomForest
from forecastle.models.learners.linear import Logistic, RidgeRegression
from forecastle.models.learners.naive import BaseRate, HistoricalMean, LastSign, LastVolatility, RandomWalkReturn
from forecastle.models.learners.sequence import Gru, Lstm, window_ends
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task
from forecastle.ports import Learner

FloatArray = npt.NDArray[np.float64]
NAN = np.nan


def rows(x: list[list[float]], y: list[float], w: list[float]) -> Examples:
    table = np.array(x)
    columns = tuple(f"x{i}" for i in range(table.shape[1]))
    return Examples(table, np.array(y), np.array(w), np.zeros(len(y), np.int64), columns)


@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
def test_ridge_agrees_with_scikit_learn(strength: float) -> None:
    """Their penalty is on the sum of weighted squares: ours times the mean variance, where weights sum to one."""
    train = examples(made("ridge", "number"), "number")
    train = replace(train, x=train.x * [1.0, 5.0, 0.2, 1.0] + 3.0)
    w = train.weights / train.weights.sum()
    variance = np.average((train.x - w @ train.x) ** 2, axis=0, weights=w).mean()
    expected = Ridge(alpha=strength * variance).fit(train.x, train.y, w)
    found = RidgeRegression(strength).fit("number", train, None, 0)
    assert found.coefficients == pytest.approx(expected.coef_, rel=1e-8)
    assert found.constant == pytest.approx(expected.intercept_, rel=1e-8)


@pytest.mark.parametrize("strength", [1e-2, 0.1, 10.0])
def test_logistic_regression_is_at_the_least_of_what_it_says(strength: float) -> None:
    """The mean log loss with its penalty, minimised by scipy; and twice the rows leave it where it is."""
    train = examples(made("logistic", "direction"), "direction")
    w = train.weights / train.weights.sum()

    def loss(b: FloatArray) -> float:
        score = b[0] + train.x @ b[1:]
        return float(w @ (np.logaddexp(0.0, score) - train.y * score) + strength / 2 * b[1:] @ b[1:])

    expected = optimize.minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).x
    found = Logistic(strength).fit("direction", train, None, 0)
    assert np.append(found.constant, found.coefficients) == pytest.approx(expected, abs=2e-5)
    twice = Examples(np.tile(train.x, (2, 1)), np.tile(train.y, 2), np.tile(train.weights, 2), np.tile(train.runs, 2),
                     train.columns)  # fmt: skip
    again = Logistic(strength).fit("direction", twice, None, 0)
    assert again.coefficients == pytest.approx(found.coefficients, rel=1e-5)
    model = LogisticRegression(C=1e8, tol=1e-10, max_iter=1000).fit(train.x, train.y, train.weights)
    free = Logistic(1e-8 / train.weights.sum()).fit("direction", train, None, 0)
    assert free.predict(train.x) == pytest.approx(model.predict_proba(train.x)[:, 1], abs=1e-3)


@pytest.mark.parametrize(
    ("name", "task", "model"),
    [("random_forest", "direction", RandomForestClassifier), ("random_forest", "number", RandomForestRegressor),
     ("extra_trees", "direction", ExtraTreesClassifier), ("extra_trees", "number", ExtraTreesRegressor)],
)  # fmt: skip
def test_a_forest_kept_as_onnx_is_the_forest_of_scikit_learn(name: str, task: Task, model: type) -> None:
    """Within the seven digits of 32 bits."""
    learner, train, fitted = learned(name, task)
    x = examples(learner, task, 200, 9).x
    grown = model(20, min_samples_leaf=5, max_depth=8, max_features="sqrt", random_state=5)
    grown.fit(train.x.astype(np.float32), train.y, sample_weight=train.weights)
    expected = grown.predict_proba(x)[:, 1] if task == "direction" else grown.predict(x)
    assert fitted.predict(x) == pytest.approx(expected, rel=1e-5, abs=1e-7)
    assert list(fitted.importance().values()) == pytest.approx(grown.feature_importances_)


def test_naive_forecasts_by_hand() -> None:
    """Weighted: ups 1 + 3 of 6; after a rise 3 of 3, after what was none 1 of 3, each with one row of 4 of 6 added."""
    train = rows([[0.1], [-0.1], [0.0], [0.2]], [1.0, 1.0, 0.0, 1.0], [1.0, 1.0, 2.0, 2.0])
    x = np.array([[0.3], [-0.2], [0.0], [NAN]])
    assert BaseRate().fit("direction", train, None, 0).predict(x) == pytest.approx(np.full(4, 4 / 6))
    after = [(3 + 4 / 6) / 4, (1 + 4 / 6) / 4, (1 + 4 / 6) / 4, NAN]
    assert LastSign().fit("direction", train, None, 0).predict(x) == pytest.approx(after, nan_ok=True)
    numbers = replace(train, y=np.array([0.01, -0.02, 0.03, 0.0]))
    mean = (0.01 - 0.02 + 0.06) / 6
    assert HistoricalMean().fit("number", numbers, None, 0).predict(x) == pytest.approx(np.full(4, mean))
    assert RandomWalkReturn().fit("number", numbers, None, 0).predict(x).tolist() == [0.0] * 4


def test_the_last_volatility_is_moved_by_its_mean_distance() -> None:
    """It was twice as high afterwards in rows of weight 1, as high in those of weight 3: a quarter of ln 2."""
    train = rows([[0.01], [0.02]], [np.log(0.02), np.log(0.02)], [1.0, 3.0])
    told = LastVolatility().fit("number", train, None, 0).predict(np.array([[0.05], [0.0], [NAN]]))
    assert told == pytest.approx([np.log(0.05) + np.log(2) / 4, np.log(1e-6) + np.log(2) / 4, NAN], nan_ok=True)


@pytest.mark.parametrize("name", ["base_rate", "last_sign", "logistic", "historical_mean", "ridge", "lightgbm"])
def test_rows_that_weigh_nothing_teach_nothing(name: str) -> None:
    """Their labels may be anything: those of labels that overlap others wholly count by what they tell."""
    task: Task = "number" if name in ("historical_mean", "ridge") else "direction"
    learner = made(name, task)
    train = examples(learner, task)
    half = np.arange(len(train)) % 2 == 0
    light = replace(train, weights=np.where(half, train.weights, 0.0))
    turned = replace(light, y=np.where(half, train.y, 1.0 - train.y))
    x = examples(learner, task, 50, 3).x
    found = [learner.fit(task, one, None, 1).predict(x) for one in (light, turned)]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.parametrize("task", ["direction", "number"])
def test_an_ensemble_is_the_mean_of_its_members(task: Task) -> None:
    ensemble, train, fitted = learned("ensemble", task)
    assert isinstance(ensemble, Ensemble)
    x = examples(ensemble, task, 50, 3).x
    alone = [made(name, task).fit(task, train, None, 5).predict(x) for name in ensemble.members]
    assert fitted.predict(x) == pytest.approx(np.mean(alone, axis=0), rel=1e-12)


def test_members_that_cannot_be_are_refused() -> None:
    for members in ((), ("logistic", "ensemble"), ("lstm",), ("last_sign",)):
        with pytest.raises(RequestInvalid):
            Ensemble(members)
    with pytest.raises(NameUnknown, match="oracle"):
        Ensemble(("oracle",))
    train = examples(made("ridge", "number"), "number")
    with pytest.raises(RequestInvalid, match="logistic cannot learn a number"):
        Ensemble(("ridge", "logistic")).fit("number", train, None, 1)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40), st.integers(1, 6))
def test_windows_never_cross_into_another_stretch(table: list[tuple[bool, bool]], length: int) -> None:
    """Each row's window looked at by itself: it begins inside, lies in one run, and its own label is known."""
    runs = np.cumsum([breaks for breaks, _ in table])
    y = np.array([1.0 if known else NAN for _, known in table])
    made_of = Examples(np.zeros((y.size, 1)), y, np.ones(y.size), runs, ("x",))
    expected = [
        i for i in range(y.size)
        if i - length + 1 >= 0 and len(set(runs[i - length + 1 : i + 1].tolist())) == 1 and not np.isnan(y[i])
    ]  # fmt: skip
    assert window_ends(made_of, length).tolist() == expected


def test_a_network_sees_its_window_and_nothing_else() -> None:
    """Rows before a window and after it may be anything; a row inside it moves the forecast."""
    learner, _, fitted = learned("gru", "direction")
    x = examples(learner, "direction", 30, 4).x
    whole, far, near = fitted.predict(x), x.copy(), x.copy()
    far[:10], far[14:], near[10] = 50.0, -50.0, 0.0
    assert fitted.predict(far)[13] == pytest.approx(whole[13], rel=1e-6)
    assert abs(fitted.predict(near)[13] - whole[13]) > 1e-6


def test_a_child_goes_on_from_its_parent() -> None:
    """At no rate at all it is the parent; with another network it cannot."""
    learner, train, parent = learned("gru", "direction")
    assert isinstance(learner, Gru)
    still = replace(learner, epochs=1).fine_tune(parent, train, None, 5, slower=1e-12)  # type: ignore[arg-type]
    x = examples(learner, "direction", 40, 4).x
    assert still.predict(x) == pytest.approx(parent.predict(x), nan_ok=True, abs=1e-6)
    for other in (Lstm(**NETWORK), replace(learner, hidden=10)):
        with pytest.raises(DataInvalid, match="The parent is a gru"):
            other.fine_tune(parent, train, None, 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Logistic, {"strength": 0.0}), (RidgeRegression, {"strength": -1.0}), (RidgeRegression, {"strength": NAN}),
        (RandomForest, {"trees": 0}), (RandomForest, {"leaf": 0}), (RandomForest, {"depth": 0}), (Gru, {"hidden": 7}),
        (Gru, {"context_length": 0}), (Lstm, {"dropout": 1.0}), (Lstm, {"rate": 0.0}), (Lstm, {"context_length": 1001}),
        (Lstm, {"clip": 0.0}),
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(kind: type, settings: dict[str, float]) -> None:
    with pytest.raises(RequestInvalid):
        kind(**settings)


def test_a_row_alone_has_the_bits_it_has_among_others() -> None:
    for name in ("logistic", "lightgbm", "random_forest", "xgboost"):
        learner: Learner
        learner, _, fitted = learned(name, "direction")
        x = examples(learner, "direction", 40, 2).x
        assert (
            np.concatenate([fitted.predict(x[i : i + 1]) for i in range(40)]).tobytes() == fitted.predict(x).tobytes()
        )
        assert fitted.predict(x).std() > 0.02
