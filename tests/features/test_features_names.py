"""Names of features: what they mean, what is refused and in which words, and the fingerprint they end up in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from features.feature_series import whole_history
from forecastle.errors import DataInvalid, DataMissing, NameUnknown, RequestInvalid
from forecastle.features import Fill, catalogue, compute, families, feature_of, features_of
from forecastle.nouns import Candles, FeatureColumn, FeatureFrame
from making import make_candles


def test_names_that_others_rely_on() -> None:
    promised = {
        "sma_20": ["sma_20"], "ema_20": ["ema_20"], "rsi_14": ["rsi_14"], "obv": ["obv"], "atr_14": ["atr_14"],
        "macd_12_26_9": ["macd_12_26_9.line", "macd_12_26_9.signal", "macd_12_26_9.histogram"],
        "bollinger_20_2": ["bollinger_20_2.upper", "bollinger_20_2.middle", "bollinger_20_2.lower"],
        "percent_b_20_2": ["percent_b_20_2"], "stoch_14_3_3": ["stoch_14_3_3.k", "stoch_14_3_3.d"],
        "cci_20": ["cci_20"], "williams_r_14": ["williams_r_14"], "mfi_14": ["mfi_14"], "roc_10": ["roc_10"],
    }  # fmt: skip
    for name, columns in promised.items():
        assert [c.name for c in feature_of(name).spec.columns] == columns
    assert feature_of("adx_14").spec.columns[0].name == "adx_14"
    assert len(feature_of("ichimoku_9_26_52").spec.columns) >= 5


@pytest.mark.parametrize(
    ("name", "numbers"), [("sma_37", (37,)), ("bollinger_10_2p5", (10, 2.5)), ("macd_5_35_5", (5, 35, 5)), ("obv", ())]
)
def test_numbers_of_ones_own(name: str, numbers: tuple[float, ...]) -> None:
    feature = feature_of(name)
    assert feature.numbers == numbers
    assert feature.spec.name == name


@pytest.mark.parametrize(
    ("name", "near"),
    [("rsi14", "rsi_14"), ("RSI_14", "rsi_14"), ("mcad_12_26_9", "macd_12_26_9"), ("trand", "trend"),
     ("onchian", "onchain")],
)  # fmt: skip
def test_a_name_nobody_knows_gets_the_nearest(name: str, near: str) -> None:
    with pytest.raises(NameUnknown, match="There is no feature named") as caught:
        features_of([name])
    assert caught.value.hint == f"Did you mean '{near}'?"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("sma", "takes 1 numbers"), ("sma_1", "2 is the least"), ("sma_20_5", "takes 1"), ("sma_2p5", "whole"),
        ("macd_26_12_9", "less than"), ("obv_5", "takes 0"), ("bollinger_2p5_2", "whole"), ("bollinger_20_0", "least"),
    ],
)  # fmt: skip
def test_numbers_that_make_no_feature_are_refused(name: str, why: str) -> None:
    with pytest.raises(RequestInvalid, match=f"'{name}' cannot be a feature") as caught:
        feature_of(name)
    assert why in caught.value.why
    assert "Write it as" in caught.value.hint


def test_groups_stand_for_their_members() -> None:
    names = [f.spec.name for f in features_of(["momentum", "sma_20"])]
    assert "rsi_14" in names
    assert names[-1] == "sma_20"
    bare = {family.name for family in families().values() if not family.parameters}
    assert bare & {f.spec.group for f in catalogue()} == set(), "a name would mean two things"
    with pytest.raises(RequestInvalid, match="twice"):
        features_of(["momentum", "rsi_14"])
    with pytest.raises(RequestInvalid, match="No feature"):
        features_of([])


def test_inputs_that_are_not_there_are_told() -> None:
    alone = make_candles(100, instrument="ETH-USDT")
    with pytest.raises(DataMissing, match=r"beta_60 of ETH-USDT") as caught:
        compute(alone, ["beta_60"])
    assert "BTC-USDT" in caught.value.why
    with pytest.raises(DataMissing, match="mvrv"):
        compute(alone, ["mvrv"])
    frame = compute(alone)
    assert "no market_cap of ETH-USD" in frame.absent["nvt"]
    assert frame.frame["nvt"].null_count() == 100
    assert "benchmark itself" in compute(make_candles(50)).absent["beta_60"]
    assert "is none" in compute(make_candles(50, instrument="AAPL")).absent["mvrv"]


def test_closes_alone_make_no_ranges() -> None:
    closes = replace(make_candles(60), prices="close")
    with pytest.raises(DataMissing, match="atr_14"):
        compute(closes, ["atr_14"])
    frame = compute(closes)
    assert {"parkinson_20", "overnight_return", "body"} <= set(frame.absent)
    assert frame.frame["sma_20"].null_count() == 19


def test_no_candles_are_refused(bundled_spx: Candles) -> None:
    with pytest.raises(DataMissing, match="no candles"):
        compute(bundled_spx.last(0), ["sma_20"])


def test_the_fingerprint_is_of_what_columns_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    candles = make_candles(60)
    one = compute(candles, ["sma_20", "rsi_14"])
    assert one.fingerprint == compute(candles.last(30), ["sma_20", "rsi_14"]).fingerprint, "rows do not matter"
    others = [
        compute(candles, ["rsi_14", "sma_20"]), compute(candles, ["sma_20"]), compute(candles, ["sma_21", "rsi_14"]),
        compute(candles, ["sma_20", "rsi_14"], steps=[Fill(3)]),
        compute(replace(candles, source="other"), ["sma_20", "rsi_14"]),
        compute(make_candles(60, instrument="ETH-USDT"), ["sma_20", "rsi_14"]),
        compute(make_candles(60, timeframe="1h"), ["sma_20", "rsi_14"]),
    ]  # fmt: skip
    assert len({one.fingerprint, *(o.fingerprint for o in others)}) == 1 + len(others)
    redefined = replace(one, specs=(replace(one.specs[0], version=2), one.specs[1]))
    assert redefined.fingerprint != one.fingerprint
    assert replace(one, specs=(replace(one.specs[0], title="Other words"), one.specs[1])).fingerprint == one.fingerprint


def test_a_frame_is_what_its_specs_say() -> None:
    frame = compute(whole_history(60), ["macd_12_26_9", "sma_20"])
    picked = frame.select(["macd_12_26_9.signal"])
    assert picked.frame.columns == ["known_at", "macd_12_26_9.signal"]
    assert picked.specs[0].columns == (FeatureColumn("macd_12_26_9.signal", "price"),)
    assert frame.values().shape == (60, 4)
    middle = frame.frame["known_at"][30]
    assert len(frame.between(end=middle)) == 31
    assert len(frame.between(start=middle)) == 29
    with pytest.raises(NameUnknown, match="feature column"):
        frame.select(["sma_21"])
    with pytest.raises(DataInvalid, match="columns"):
        FeatureFrame(
            frame.instrument, "1d", "test", frame.specs, frame.frame.drop("sma_20"), frame.data_hash
        )  # fmt: skip


def test_a_fill_puts_flat_bars_in_and_the_run_goes_on() -> None:
    from making import without

    holed = without(make_candles(80), 40, 41)
    assert compute(holed, ["ema_10"]).frame["ema_10"].null_count() == 18
    filled = compute(holed, ["ema_10"], steps=[Fill(2)])
    assert len(filled) == 80
    assert filled.frame["ema_10"].null_count() == 9
    assert filled.steps == ("forward_fill(2)",)
