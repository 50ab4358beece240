"""Every registered feature meets every check; a new one is found by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from features.feature_series import column, whole_history
from forecastle.features import Live, catalogue, compute, families, feature_of, lacking, started
from forecastle.features._definition import Observed, Recursive, Windowed
from forecastle.nouns import Candles, FeatureFrame, History
from forecastle.nouns.candles import PRICES
from making import make_candles, without

NAMES = [feature.spec.name for feature in catalogue()]
HOLES = (200, 201, 330)


@pytest.fixture(scope="module")
def history() -> History:
    return whole_history(500, holes=HOLES)


@pytest.fixture(scope="module")
def whole(history: History) -> FeatureFrame:
    return compute(history)


def _bits(frame: pl.DataFrame) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return the values as the bits they are made of: null and NaN are one."""
    values = frame.drop("known_at").fill_null(float("nan")).to_numpy()
    return np.where(np.isnan(values), np.nan, values).view(np.int64)


def test_there_are_sixty_columns_and_more() -> None:
    assert len(NAMES) >= 60
    assert sum(len(feature.spec.columns) for feature in catalogue()) >= 120
    assert len({column.name for feature in catalogue() for column in feature.spec.columns}) >= 120


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_says_what_it_is(name: str) -> None:
    spec = feature_of(name).spec
    assert spec.name == name
    assert spec.title[0].isupper() or spec.title[0] == "%"
    assert spec.formula
    assert spec.reference
    assert "{" not in spec.title + spec.formula
    assert all(column.unit for column in spec.columns)
    recursive = isinstance(feature_of(name).family, Recursive)
    assert (spec.lookback is None) == recursive


@pytest.mark.parametrize("name", NAMES)
def test_every_column_has_values_and_no_value_is_nan(whole: FeatureFrame, name: str) -> None:
    for c in feature_of(name).spec.columns:
        values = whole.frame[c.name]
        assert values.is_not_nan().all()
        assert values.is_infinite().sum() == 0
        # momentum_21_252 and its kin look further back than the longest run of this series
        if (feature_of(name).spec.lookback or 0) < 190 and not name.endswith("_200"):
            assert values.null_count() < len(whole) - 40, c.name


def test_input_is_not_changed(history: History) -> None:
    before = history.candles.frame.clone()
    hashes = [o.data_hash for o in history.observations]
    compute(history)
    assert history.candles.frame.equals(before)
    assert [o.data_hash for o in history.observations] == hashes


def test_same_input_same_bits(history: History, whole: FeatureFrame) -> None:
    again = compute(history)
    assert (_bits(again.frame) == _bits(whole.frame)).all()
    assert again.fingerprint == whole.fingerprint


@pytest.mark.parametrize("name", [n for n in NAMES if isinstance(feature_of(n).family, Windowed)])
def test_the_lookback_is_true(history: History, whole: FeatureFrame, name: str) -> None:
    """What lies further back than the lookback does not matter; the lookback itself is enough."""
    spec = feature_of(name).spec
    lookback = spec.lookback or 0
    for row in (190, 329, 480):
        first = row - lookback
        if first < 0 or any(first <= hole - sum(h < hole for h in HOLES) <= row for hole in HOLES):
            continue
        part = replace(history.candles, frame=history.candles.frame.slice(first, lookback + 1))
        alone = compute(replace(history, candles=part), [name]).frame.row(-1)[1:]
        for c, value in zip(spec.columns, alone, strict=True):
            kept = whole.frame[c.name][row]
            assert (value is None) == (kept is None), c.name
            if value is not None:
                # a running sum of TA-Lib rounds by where it began; our own windows do not
                assert value == pytest.approx(kept, rel=1e-9, abs=1e-11), c.name


@pytest.mark.parametrize("row", [1, 40, 199, 200, 260, 327, 328, 400])
def test_appended_rows_are_those_of_a_whole_build(history: History, whole: FeatureFrame, row: int) -> None:
    """On from any row, over holes too, bar by bar: within 1e-9 of a whole build, most of them to the bit."""
    features = catalogue()
    absent = lacking(history, features)
    moment = history.candles.frame["close_time"][row - 1]
    begun, live = started(history.until(moment), features, (), absent)
    rows = [begun.frame]
    for number in range(row, min(row + 45, len(history.candles))):
        step = replace(history, candles=replace(history.candles, frame=history.candles.frame.slice(0, number + 1)))
        rows.append(live.append(step).frame)
    together = pl.concat(rows)
    expected = whole.frame.head(together.height)
    assert together["known_at"].equals(expected["known_at"])
    for name in whole.columns:
        assert (together[name].is_null() == expected[name].is_null()).all(), name
        np.testing.assert_allclose(
            together[name].drop_nulls().to_numpy(), expected[name].drop_nulls().to_numpy(), rtol=1e-9, atol=1e-11,
            err_msg=name,
        )  # fmt: skip


@pytest.mark.parametrize("name", [n for n in NAMES if isinstance(feature_of(n).family, Recursive)])
def test_a_recursion_goes_on_to_the_bit(history: History, name: str) -> None:
    feature = feature_of(name)
    whole, _ = started(history, (feature,), (), {})
    begun, live = started(history.until(history.candles.frame["close_time"][260]), (feature,), (), {})
    document, tail = live.document(), history.candles.frame.slice(0, 261)
    other = Live((feature,), (feature,), (), {})
    other.resume(document, replace(history.candles, frame=tail.tail(live.depth + 2)), None)
    rest = other.append(history)
    assert (_bits(pl.concat([begun.frame, rest.frame])) == _bits(whole.frame)).all()


@pytest.mark.parametrize("size", [7, 64, 128])
def test_long_series_are_worked_through_in_pieces(
    history: History, whole: FeatureFrame, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("forecastle.features.build.CHUNK", size)
    pieces = compute(history)
    for name in whole.columns:
        assert (pieces.frame[name].is_null() == whole.frame[name].is_null()).all(), name
        np.testing.assert_allclose(
            pieces.frame[name].drop_nulls().to_numpy(), whole.frame[name].drop_nulls().to_numpy(), rtol=1e-9,
            atol=1e-11, err_msg=name,
        )  # fmt: skip


def test_no_value_spans_a_missing_bar_and_all_recover(history: History, whole: FeatureFrame) -> None:
    first, second = 200, 328  # rows after the holes
    for feature in catalogue():
        spec = feature.spec
        if isinstance(feature.family, Observed) or spec.group in ("calendar", "cross"):
            continue
        alone = compute(
            replace(history, candles=replace(history.candles, frame=history.candles.frame.slice(first, 128)))
        )
        for c in spec.columns:
            run = whole.frame[c.name].slice(first, second - first)
            np.testing.assert_allclose(
                run.fill_null(np.nan).to_numpy(), alone.frame[c.name].fill_null(np.nan).to_numpy(),
                rtol=1e-9, atol=1e-11, err_msg=c.name,
            )  # fmt: skip


@pytest.mark.parametrize("k", [1e-3, 1e3])
def test_units_are_what_they_say(history: History, whole: FeatureFrame, k: float) -> None:
    """With prices k times as high, prices are k times as high, and what has no price in it stays."""
    dear = history.candles.frame.with_columns([pl.col(c) * k for c in PRICES])
    scaled = compute(replace(history, candles=replace(history.candles, frame=dear)))
    for feature in catalogue():
        for c in feature.spec.columns:
            factor = {"price": k, "price volume": k, "log return per million of quote currency": 1 / k}.get(c.unit, 1.0)
            np.testing.assert_allclose(
                scaled.frame[c.name].fill_null(np.nan).to_numpy(),
                factor * whole.frame[c.name].fill_null(np.nan).to_numpy(), rtol=1e-6, atol=1e-9, err_msg=c.name,
            )  # fmt: skip


@pytest.mark.parametrize("k", [1e-3, 1e3])
def test_volume_is_in_what_says_so(history: History, whole: FeatureFrame, k: float) -> None:
    more = history.candles.frame.with_columns(pl.col("volume") * k)
    scaled = compute(replace(history, candles=replace(history.candles, frame=more)))
    for feature in catalogue():
        for c in feature.spec.columns:
            factor = {"volume": k, "price volume": k, "log return per million of quote currency": 1 / k}.get(
                c.unit, 1.0
            )
            np.testing.assert_allclose(
                scaled.frame[c.name].fill_null(np.nan).to_numpy(),
                factor * whole.frame[c.name].fill_null(np.nan).to_numpy(), rtol=1e-6, atol=1e-9, err_msg=c.name,
            )  # fmt: skip


# --- odd candles


def _with(candles: Candles, **columns: float) -> Candles:
    return replace(candles, frame=candles.frame.with_columns([pl.lit(v).alias(c) for c, v in columns.items()]))


def test_no_volume_and_no_movement_are_no_numbers_and_no_crash() -> None:
    quiet = compute(_with(make_candles(300), volume=0.0))
    for name in ("vwap_20", "session_vwap", "cmf_20", "mfi_14", "volume_z_20", "volume_ratio_20", "amihud_20"):
        assert quiet.frame[name].null_count() == 300, name
    assert quiet.frame["obv"].unique().to_list() == [0.0]
    still = compute(_with(make_candles(300), open=5.0, high=5.0, low=5.0, close=5.0))
    for name in ("rsi_14", "cmo_14", "percent_b_20_2", "skew_60", "kurtosis_60", "autocorrelation_60", "vortex_14.plus",
                 "choppiness_14", "adx_14.plus_di", "position_252", "volatility_ratio_5_60", "bop"):  # fmt: skip
        assert still.frame[name].null_count() == 300, name
    assert still.frame["atr_14"][-1] == still.frame["realized_volatility_20"][-1] == 0.0
    for frame in (quiet.frame, still.frame):
        for name in frame.columns[1:]:
            assert frame[name].is_infinite().sum() == 0
            assert frame[name].is_not_nan().all()


def test_a_volume_of_zero_for_a_day_does_not_blank_what_follows() -> None:
    candles = make_candles(100)
    holed = candles.frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 50).then(0.0).otherwise(pl.col("volume")).alias("volume")
    )
    frame = compute(replace(candles, frame=holed), ["amihud_20", "vwap_20", "volume_z_20", "mfi_14"]).frame
    assert frame.tail(60).null_count().sum_horizontal().item() == 0


@pytest.mark.parametrize("bars", [1, 2, 5])
def test_few_bars_give_empty_columns_not_errors(bars: int) -> None:
    frame = compute(make_candles(bars))
    assert len(frame) == bars
    assert frame.frame["sma_200"].null_count() == bars
    assert frame.frame["day_of_week.sin"].null_count() == 0


def test_a_flood_of_volume_leaves_no_trace_after_its_window() -> None:
    candles = make_candles(120)
    flood = candles.frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 30).then(1e15).otherwise(pl.col("volume")).alias("volume")
    )
    names = ["mfi_14", "cmf_20", "vwap_20", "volume_z_20", "amihud_20"]
    with_it, without_it = compute(replace(candles, frame=flood), names), compute(candles, names)
    for name in names:
        np.testing.assert_array_equal(column(with_it, name)[55:], column(without_it, name)[55:])


def test_holes_of_stock_hours_are_whole_sessions_only() -> None:
    """Venues cut hours differently; a run goes on from session to session, and a missing session breaks it."""
    hours = make_candles(140, timeframe="1h", instrument="AAPL")
    assert compute(hours, ["ema_20"]).frame["ema_20"].null_count() == 19
    holed = compute(without(hours, *range(70, 77)), ["ema_20"])
    assert holed.frame["ema_20"].null_count() == 19 + 19


def test_every_family_can_be_given_other_numbers() -> None:
    history = whole_history(120)
    for family in families().values():
        numbers = tuple(v + 2 for v in family.catalogue[0])
        name = family.spec(numbers).name
        if not family.parameters or isinstance(family, Observed):
            continue
        frame = compute(history, [name])
        assert [s.name for s in frame.specs] == [name]
