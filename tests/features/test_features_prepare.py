"""Steps say what scikit-learn, SciPy and slow loops say, learn from training rows alone, and refuse other frames."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats.mstats import winsorize
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from forecastle.errors import DataInvalid, NameUnknown, RequestInvalid
from forecastle.features import prepare
from forecastle.features.prepare import (
    STEPS,
    Chain,
    Clip,
    DropConstant,
    FittedChain,
    FittedStep,
    ForwardFill,
    Impute,
    MinMaxScale,
    RobustScale,
    Standardise,
    Unfitted,
    Winsorise,
    from_document,
    walk,
)
from forecastle.nouns import Candles, FeatureColumn, FeatureFrame, FeatureSpec
from forecastle.workspace import Workspace
from making import BTC, moment, utc

FloatArray = npt.NDArray[np.float64]
NAN = float("nan")

STEPWISE: list[Unfitted] = [
    Standardise(), RobustScale(), MinMaxScale(), Winsorise(0.05, 0.9), Clip(-2.0, 1.5), Clip(-2.0, 2.0, "mad"),
    Impute("median"), Impute("mean", indicator=True), Impute("zero"), ForwardFill(2), DropConstant(),
    Chain((ForwardFill(1), Winsorise(), Impute("median", indicator=True), DropConstant(), Standardise())),
    Chain((ForwardFill(2), Chain((ForwardFill(1), MinMaxScale())))),
]  # fmt: skip


def frame_of(values: FloatArray, *, instrument: Any = BTC, unit: str = "ratio") -> FeatureFrame:
    """Return a frame of days with the columns a, b.x, b.y, c ..., null where the values are NaN."""
    names = [["a"], ["b.x", "b.y"], *[[chr(99 + i)] for i in range(max(values.shape[1] - 3, 0))]]
    specs = tuple(
        FeatureSpec(group[0][0], "test", "made up", tuple(FeatureColumn(n, unit) for n in group), 5, "x", "none")
        for group in names
    )
    specs = tuple(replace(s, columns=s.columns[: max(values.shape[1] - i, 0)]) for i, s in enumerate(specs))
    columns = [c.name for s in specs for c in s.columns][: values.shape[1]]
    days = moment("2024-01-02") + np.arange(values.shape[0]) * np.timedelta64(1, "D")
    rows = pl.DataFrame({n: values[:, i] for i, n in enumerate(columns)}, nan_to_null=True)
    table = pl.DataFrame({"known_at": days}).select(pl.col("known_at").dt.replace_time_zone("UTC")).hstack(rows)
    return FeatureFrame(instrument, "1d", "test", tuple(s for s in specs if s.columns), table, "hash")


def drawn(rows: int = 60, columns: int = 4, *, seed: int = 0, holes: float = 0.1) -> FloatArray:
    """Return fat-tailed values, some of them NaN."""
    draw = np.random.default_rng(seed)
    values = draw.standard_t(3, (rows, columns)) * np.logspace(-3, 3, columns) + np.linspace(-5, 5, columns)
    values[draw.random(values.shape) < holes] = NAN
    return values


def _both(step: Unfitted, values: FloatArray, train: int) -> FloatArray:
    """Return all rows as a fit to the first ``train`` of them transforms them."""
    frame = frame_of(values)
    return step.fit(frame.rows(0, train)).transform(frame).values()


# Numbers from elsewhere ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "oracle"),
    [(Standardise(), StandardScaler()), (RobustScale(), RobustScaler()), (MinMaxScale(), MinMaxScaler())],
)
def test_scalers_are_those_of_scikit_learn(step: Unfitted, oracle: Any) -> None:
    values = drawn(80, 5)
    values[:, 2] = 0.1  # constant: divided by 1
    values[60:, 2] = 7.0
    wanted = oracle.fit(values[:50]).transform(values)
    np.testing.assert_allclose(_both(step, values, 50), wanted, rtol=1e-10, atol=1e-12)


def test_a_scale_by_hand() -> None:
    """1, 2, 3, 4: mean 2.5, std sqrt(1.25); median 2.5, quartiles 1.75 and 3.25; minimum 1, range 3."""
    values = np.array([[1.0], [2.0], [3.0], [4.0], [10.0]])
    assert _both(Standardise(), values, 4)[4, 0] == pytest.approx(7.5 / 1.25**0.5, rel=1e-15)
    assert _both(RobustScale(), values, 4)[4, 0] == pytest.approx(5.0, rel=1e-15)
    assert _both(MinMaxScale(), values, 4)[4, 0] == pytest.approx(3.0, rel=1e-15)


@pytest.mark.parametrize("step", [Standardise(), RobustScale(), MinMaxScale()])
def test_a_constant_column_is_not_divided_by_rounding(step: Unfitted) -> None:
    """The std of 1,000 times 0.1 is not zero in floating point; nor is the IQR where most values are the same."""
    values = np.full((1001, 2), 0.1)
    values[:3, 1], values[1000] = 5.0, 1.1
    made = _both(step, values, 1000)
    assert made[1000, 0] == pytest.approx(1.0, rel=1e-12)
    assert np.isfinite(made).all()


@pytest.mark.parametrize(("lower", "upper"), [(0.01, 0.99), (0.05, 0.9), (0.1, 0.9), (0.0, 0.75), (0.3, 1.0)])
@pytest.mark.parametrize("rows", [3, 10, 50, 101])
def test_winsorising_the_training_rows_is_what_scipy_does(lower: float, upper: float, rows: int) -> None:
    values = drawn(rows, 3, holes=0.0)
    wanted = [winsorize(column, limits=(lower, round(1.0 - upper, 10))) for column in values.T]
    np.testing.assert_array_equal(_both(Winsorise(lower, upper), values, rows), np.column_stack(wanted))


def test_later_rows_are_brought_to_the_limits_of_the_training_rows() -> None:
    """Of 1 to 10 a tenth lies below 2 and a tenth above 9."""
    values = np.r_[np.arange(1.0, 11.0), -100.0, 5.5, 100.0, NAN][:, None]
    made = _both(Winsorise(0.1, 0.9), values, 10)[:, 0]
    assert made[:13].tolist() == [2, 2, 3, 4, 5, 6, 7, 8, 9, 9, 2, 5.5, 9]
    assert np.isnan(made[13])


def test_clips_in_standard_deviations_and_in_deviations_from_the_median() -> None:
    values = drawn(90, 4)
    train = values[:60]
    centre, spread = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
    wanted = np.clip(values, centre - 1.5 * spread, centre + 2.0 * spread)
    np.testing.assert_allclose(_both(Clip(-1.5, 2.0), values, 60), wanted, rtol=1e-12)
    middle = np.nanmedian(train, axis=0)
    spread = stats.median_abs_deviation(train, axis=0, scale="normal", nan_policy="omit")
    wanted = np.clip(values, middle - 1.5 * spread, middle + 2.0 * spread)
    np.testing.assert_allclose(_both(Clip(-1.5, 2.0, "mad"), values, 60), wanted, rtol=1e-9)


@pytest.mark.parametrize("of", ["std", "mad"])
def test_without_a_spread_there_is_no_limit(of: Any) -> None:
    values = np.array([[3.0], [3.0], [3.0], [9.0], [NAN]])
    np.testing.assert_array_equal(_both(Clip(-1.0, 1.0, of), values, 3), values)


@pytest.mark.parametrize(("strategy", "name"), [("median", "median"), ("mean", "mean"), ("zero", "constant")])
def test_imputers_are_those_of_scikit_learn(strategy: Any, name: str) -> None:
    values = drawn(70, 4, holes=0.3)
    values[:40, 1] = np.where(np.isnan(values[:40, 1]), 1.0, values[:40, 1])  # nulls only after training
    wanted = SimpleImputer(strategy=name).fit(values[:40]).transform(values)
    np.testing.assert_allclose(_both(Impute(strategy), values, 40), wanted, rtol=1e-14)
    made = _both(Impute(strategy, indicator=True), values, 40)
    np.testing.assert_allclose(made[:, ::2], wanted, rtol=1e-14)
    marked = MissingIndicator(features="all").fit(values[:40]).transform(values)
    np.testing.assert_array_equal(made[:, 1::2], marked.astype(float))


def test_an_indicator_stands_after_its_column() -> None:
    made = Impute("zero", indicator=True).fit(frame_of(drawn(5, 3))).transform(frame_of(drawn(5, 3)))
    assert made.columns == ("a", "a.missing", "b.x", "b.x.missing", "b.y", "b.y.missing")
    assert {c.unit for s in made.specs for c in s.columns} == {"ratio", "indicator"}


def test_what_had_no_training_value_is_not_guessed() -> None:
    values = drawn(20, 2)
    values[:15, 1] = NAN
    for step in (Standardise(), RobustScale(), MinMaxScale()):
        assert np.isnan(_both(step, values, 15)[:, 1]).all()
    for bounded in (Winsorise(), Clip(), Impute("median"), Impute("mean")):
        np.testing.assert_array_equal(_both(bounded, values, 15)[:, 1], values[:, 1])
    assert _both(Impute("zero"), values, 15)[0, 1] == 0.0


@given(limit=st.integers(1, 4), known=st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_forward_fill_of_rows_agrees_with_a_loop(limit: int, known: list[bool]) -> None:
    values = np.where(known, np.arange(1.0, len(known) + 1.0), NAN)
    wanted, last, age = values.copy(), NAN, 0
    for row, there in enumerate(known):
        last, age = (values[row], 0) if there else (last, age + 1)
        wanted[row] = last if age <= limit else NAN
    np.testing.assert_array_equal(_both(ForwardFill(limit), values[:, None], 1)[:, 0], wanted)


def test_constant_columns_are_dropped_as_in_scikit_learn() -> None:
    values = drawn(50, 6, holes=0.05)
    values[:30, 1], values[:30, 3], values[:30, 4] = 2.5, NAN, 0.1
    values[0, 4] = NAN
    frame = frame_of(values)
    made = DropConstant().fit(frame.rows(0, 30)).transform(frame)
    assert made.columns == ("a", "b.y", "e")
    known = [0, 1, 2, 4, 5]
    kept = VarianceThreshold(1e-30).fit(values[:30, known]).get_support(indices=True)
    assert [frame.columns[known[i]] for i in kept] == list(made.columns)


# Inside the fold ----------------------------------------------------------------------------------------------------


@given(step=st.sampled_from(STEPWISE), seed=st.integers(0, 10**6), train=st.integers(8, 40))
def test_only_training_rows_are_learned_from(step: Unfitted, seed: int, train: int) -> None:
    values = drawn(45, 4, seed=seed)
    poisoned = values.copy()
    poisoned[train:] = 1e9
    first = step.fit(frame_of(values).rows(0, train))
    assert step.fit(frame_of(poisoned).rows(0, train)).document() == first.document()
    assert step.fit(frame_of(values[:train])).document() == first.document()
    assert first.trained_until == frame_of(values).frame["known_at"][train - 1]


@given(step=st.sampled_from(STEPWISE), seed=st.integers(0, 10**6))
def test_row_by_row_is_the_same_as_at_once(step: Unfitted, seed: int) -> None:
    """With the rows of context that a forward fill looks at."""
    frame = frame_of(drawn(40, 4, seed=seed))
    fitted = step.fit(frame.rows(0, 25))
    whole = fitted.transform(frame).frame
    for row in range(25, 40):
        part = fitted.transform(frame.rows(row - step.context, row + 1))
        assert part.frame.tail(1).equals(whole.slice(row, 1))


@given(
    step=st.sampled_from(STEPWISE), seed=st.integers(0, 10**6), first=st.integers(8, 30), every=st.integers(1, 15),
    end=st.integers(9, 45),
)  # fmt: skip
def test_walked_rows_do_not_know_the_future(step: Unfitted, seed: int, first: int, every: int, end: int) -> None:
    values = drawn(45, 4, seed=seed)
    whole = walk(step, frame_of(values), first, every)
    poisoned = values.copy()
    poisoned[end:] = -1e9
    count = max(end - first, 0)
    assert walk(step, frame_of(values[:end]), first, every).frame.equals(whole.frame.head(count))
    assert walk(step, frame_of(poisoned), first, every).frame.head(count).equals(whole.frame.head(count))


def test_a_walk_refits_before_each_block() -> None:
    """Means and standard deviations by hand of the rows before 20, 27, 34 and so on."""
    values = drawn(50, 3, holes=0.0)
    made = walk(Standardise(), frame_of(values), 20, 7)
    for row in range(20, 50):
        start = 20 + (row - 20) // 7 * 7
        wanted = (values[row] - values[:start].mean(axis=0)) / values[:start].std(axis=0)
        np.testing.assert_allclose(made.values()[row - 20], wanted, rtol=1e-10)
    assert made.start == frame_of(values).frame["known_at"][20]
    assert made.steps == ("walk(standardise,20,7)",)
    assert len(walk(Standardise(), frame_of(values), 50, 7)) == 0


def test_a_column_that_a_fit_leaves_out_is_null_in_its_block() -> None:
    values = drawn(30, 2, holes=0.0)
    values[:15, 1] = 4.0
    made = walk(DropConstant(), frame_of(values), 10, 10)
    assert made.columns == ("a", "b.x")
    np.testing.assert_array_equal(made.values()[:10, 1], np.full(10, NAN))
    np.testing.assert_array_equal(made.values()[10:], values[20:])


def test_a_walk_fills_from_the_rows_before_its_block() -> None:
    values = np.arange(1.0, 13.0)[:, None]
    values[[5, 6, 9, 10, 11]] = NAN
    made = walk(Chain((ForwardFill(1), ForwardFill(1))), frame_of(values), 6, 1).values()[:, 0]
    assert made.tolist() == [5.0, 8.0, 9.0, 9.0, 9.0, pytest.approx(NAN, nan_ok=True)]


def test_a_chain_fits_each_step_on_what_the_one_before_makes() -> None:
    values = drawn(60, 4)
    chain = Chain((Winsorise(0.1, 0.9), Impute("median"), Standardise()))
    made, frame = _both(chain, values, 40), frame_of(values)
    for place, column in enumerate(values.T):
        known = column[:40][~np.isnan(column[:40])]  # SciPy does not pass over NaN
        limits = winsorize(known, limits=0.1)
        bounded = np.clip(column, limits.min(), limits.max())
        filled = SimpleImputer(strategy="median").fit(bounded[:40, None]).transform(bounded[:, None])
        wanted = StandardScaler().fit(filled[:40]).transform(filled)
        np.testing.assert_allclose(made[:, place], wanted[:, 0], rtol=1e-10, atol=1e-12)
    fitted = chain.fit(frame.rows(0, 40))
    assert fitted.transform(frame).steps == ("winsorise(0.1,0.9)", "impute(median)", "standardise")
    assert chain.name == "winsorise(0.1,0.9) > impute(median) > standardise"


def test_nulls_stay_nulls_and_the_input_is_not_changed() -> None:
    frame = frame_of(drawn(40, 4))
    before = frame.frame.clone()
    for step in (Standardise(), RobustScale(), MinMaxScale(), Winsorise(), Clip()):
        made = step.fit(frame).transform(frame)
        assert made.frame.select(pl.all().is_null()).equals(frame.frame.select(pl.all().is_null()))
        assert not made.frame.select(pl.col(made.columns).is_nan().any()).row(0).count(True)
    assert frame.frame.equals(before)


# What is refused ----------------------------------------------------------------------------------------------------


def test_a_step_that_is_not_fitted_cannot_transform() -> None:
    assert [step for step in STEPWISE if hasattr(step, "transform") or hasattr(step, "fit_transform")] == []
    assert [kind for kind in (FittedStep, FittedChain) if hasattr(kind, "fit")] == []


def test_there_is_no_backward_fill_and_no_scaler_of_a_whole_series() -> None:
    words = "|".join(dir(prepare)).lower()
    assert re.findall("back|bfill|fit_transform|rolling_scale|global", words) == []


@pytest.mark.parametrize("step", STEPWISE)
def test_a_frame_of_another_kind_is_refused(step: Unfitted) -> None:
    frame = frame_of(drawn(30, 4))
    fitted = step.fit(frame)
    once = fitted.transform(frame)
    others = {
        "it lacks b.y": frame.select(["a", "b.x", "c"]),
        "it has besides d": frame_of(drawn(30, 5)),
        "Its series, its definitions or the steps done before are others": frame_of(drawn(30, 4), unit="points"),
        "it |Its ": once,
    }
    for words, other in others.items():
        with pytest.raises(DataInvalid, match=words) as refused:
            fitted.transform(other)
        assert all((refused.value.what, refused.value.why, refused.value.hint))
    with pytest.raises(DataInvalid, match="was not fitted on frames such as this one of ETH-USDT"):
        fitted.transform(replace(frame, instrument=type(BTC).parse("ETH-USDT")))


def test_nothing_is_learned_from_nothing_or_from_infinity() -> None:
    frame = frame_of(drawn(10, 3, holes=0.0))
    with pytest.raises(DataInvalid, match="no features"):
        Standardise().fit(frame.rows(0, 0))
    with pytest.raises(DataInvalid, match="no features"):
        Chain((Standardise(),)).fit(frame.rows(0, 0))
    wrong = drawn(10, 3, holes=0.0)
    wrong[4, 2] = np.inf
    with pytest.raises(DataInvalid, match=r"b\.y of BTC-USDT has infinite values"):
        Winsorise().fit(frame_of(wrong))
    with pytest.raises(DataInvalid, match="None of the 2 columns varies"):
        DropConstant().fit(frame_of(np.ones((9, 2))))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Winsorise(0.5, 0.5), lambda: Winsorise(-0.1, 0.9), lambda: Winsorise(0.1, 1.1), lambda: Winsorise(NAN),
        lambda: Clip(2.0, 1.0), lambda: Clip(-1.0, 1.0, "iqr"), lambda: Impute("mode"), lambda: ForwardFill(0),  # type: ignore[arg-type]
        lambda: Chain(()), lambda: walk(Standardise(), frame_of(drawn(9, 2)), 0, 5),
        lambda: walk(Standardise(), frame_of(drawn(9, 2)), 5, 0),
    ],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(wrong: Any) -> None:
    with pytest.raises(RequestInvalid):
        wrong()


# Plain data ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPWISE)
def test_a_document_brings_back_the_same_step(step: Unfitted) -> None:
    values = drawn(40, 4)
    values[:30, 3] = NAN
    frame = frame_of(values)
    fitted = step.fit(frame.rows(0, 30))
    text = json.dumps(fitted.document(), allow_nan=False)
    again = from_document(json.loads(text))
    assert again.trained_until == utc(2024, 1, 31)
    assert again.document() == fitted.document()
    assert again.transform(frame).frame.equals(fitted.transform(frame).frame)
    assert again.transform(frame).fingerprint == fitted.transform(frame).fingerprint


def test_every_step_is_in_the_table_by_its_kind() -> None:
    assert {kind: step.kind for kind, step in STEPS.items()} == dict(zip(STEPS, STEPS, strict=True))
    assert len(STEPS) == 8


def _documents() -> dict[str, dict[str, Any]]:
    fine = Standardise().fit(frame_of(drawn(9, 2))).document()
    return {
        "nothing": {},
        "no settings": {k: v for k, v in fine.items() if k != "settings"},
        "settings of another": fine | {"settings": {"lower": 0.1}},
        "another shape": fine | {"parameters": {"centre": [1.0], "scale": [1.0]}},
        "another parameter": fine | {"parameters": {"fill": [1.0, 2.0]}},
        "text for numbers": fine | {"parameters": {"centre": ["x", "y"], "scale": [1.0, 1.0]}},
        "no zone": fine | {"trained_until": "2024-01-01T00:00:00"},
        "an empty chain": {"step": "chain", "parts": []},
        "a part that is none": {"step": "chain", "parts": [3]},
    }


@pytest.mark.parametrize("why", _documents())
def test_a_document_that_is_none_is_refused(why: str) -> None:
    with pytest.raises(DataInvalid):
        from_document(_documents()[why])


def test_a_step_nobody_knows_is_named() -> None:
    with pytest.raises(NameUnknown, match="Did you mean 'standardise'"):
        from_document({"step": "standardize"})
    with pytest.raises(RequestInvalid, match="winsorise has the limits"):
        from_document(Winsorise().fit(frame_of(drawn(9, 2))).document() | {"settings": {"lower": 0.9, "upper": 0.1}})


def test_the_units_and_the_names_say_what_was_done() -> None:
    frame = frame_of(drawn(9, 3))
    for step, unit in ((Standardise(), "training standard deviations"), (Winsorise(), "ratio")):
        made = step.fit(frame).transform(frame)
        assert {c.unit for s in made.specs for c in s.columns} == {unit}
        assert made.fingerprint != frame.fingerprint
    names = [Winsorise(0.025, 0.99).name, Clip().name, Clip(-3.0, 3.5, "mad").name, ForwardFill(3).name]
    assert names == ["winsorise(0.025,0.99)", "clip(-5,5,std)", "clip(-3,3.5,mad)", "forward_fill_rows(3)"]
    assert [Impute().name, Impute("mean", indicator=True).name] == ["impute(median)", "impute(mean,indicator)"]


def test_the_code_of_the_page_runs(workspace: Workspace, bundled_spx: Candles) -> None:
    """It loads what the lake holds, and says what is true."""
    workspace.lake.write(bundled_spx)
    page = (Path(__file__).parents[2] / "docs" / "processing.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/processing.md", "exec"), names)
    assert names["features"].steps == ("forward_fill(5)",)
    assert names["fitted"].trained_until == names["train"].end
    assert names["same"].transform(names["test"]).frame.equals(names["ready"].frame)
    assert len(names["walked"]) == len(names["features"]) - 1000
    assert set(names["chosen"].columns) | set(names["chosen"].dropped) == set(names["features"].columns)
