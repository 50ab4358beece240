"""On-chain features: published numbers, the lag of publication, revisions as they came, and values that ended."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from features.feature_series import METRICS, column, observations
from forecastle.features import compute
from forecastle.nouns import Candles, History, Instrument, Observations
from forecastle.nouns.candles import TIME
from making import make_candles

FloatArray = npt.NDArray[np.float64]
DAY = np.timedelta64(1, "D")
COLUMNS = {
    "market_cap": "CapMrktCurUSD", "transfer_value": "TxTfrValAdjUSD", "mvrv": "CapMVRVCur",
    "active_addresses": "AdrActCnt",
}  # fmt: skip


def _days(start: str, count: int, instrument: str = "BTC-USDT") -> Candles:
    return make_candles(count, start=start, instrument=instrument)


def _values(about: Any, known: Any, values: FloatArray, name: str) -> Observations:
    frame = pl.DataFrame({"about": about, "known_at": known, "value": values})
    utc = [pl.col(c).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(TIME) for c in ("about", "known_at")]
    frame = frame.with_columns(utc).sort("about", "known_at")
    return Observations(Instrument.parse("BTC-USD"), name, "units", "test", frame)


@pytest.fixture(scope="module")
def coin_metrics(shared_data: Path) -> pl.DataFrame:
    path = shared_data / "onchain" / "full_metrics_to_2019-10" / "btc.csv.gz"
    return pl.read_csv(gzip.decompress(path.read_bytes()), infer_schema_length=None).with_columns(
        pl.col("date").str.to_datetime("%Y-%m-%d", time_unit="us")
    )


@pytest.mark.shared_data
def test_they_are_the_numbers_that_coin_metrics_published(coin_metrics: pl.DataFrame) -> None:
    """NVTAdj, NVTAdj90 and CapRealUSD stand in the same file: our ratios of its other columns have to be them."""
    table = coin_metrics.filter(pl.col("date") >= pl.datetime(2017, 1, 1))
    days = table["date"].to_numpy()
    observed = tuple(
        _values(days[known], days[known] + 2 * DAY, part["value"].to_numpy(), name)
        for name, source in COLUMNS.items()
        for part, known in [_known(table, source)]
    )
    frame = compute(
        History(_days("2017-06-01", 800), None, observed),
        ["nvt", "nvt_signal_90", "realized_cap", "mvrv", "active_addresses"],
    )
    theirs = {"nvt": "NVTAdj", "nvt_signal_90": "NVTAdj90", "realized_cap": "CapRealUSD", "mvrv": "CapMVRVCur",
              "active_addresses": "AdrActCnt"}  # fmt: skip
    closes = frame.known_at()
    for name, source in theirs.items():
        # a bar that closes at midnight of day D knows what is about the day that began two days before
        published = dict(zip(days, table[source].to_numpy(), strict=True))
        expected = np.array([published[close - 2 * DAY] for close in closes])
        np.testing.assert_allclose(column(frame, name), expected, rtol=2e-6, err_msg=name)


def _known(table: pl.DataFrame, source: str) -> tuple[pl.DataFrame, npt.NDArray[np.bool_]]:
    values = table[source].cast(pl.Float64)
    mask = values.is_not_null().to_numpy()
    return pl.DataFrame({"value": values.drop_nulls()}), mask


def _expected(observed: dict[str, Observations], close: np.datetime64) -> dict[str, pl.DataFrame]:
    """Return what was known at a close, the last revision of each day: by filters, not by events."""
    moment = pl.lit(close).dt.replace_time_zone("UTC")
    return {
        name: o.frame.filter(pl.col("known_at") <= moment).unique("about", keep="last", maintain_order=True)
        for name, o in observed.items()
    }


def test_at_each_close_it_is_what_was_known_then_revisions_included() -> None:
    candles = _days("2023-12-05", 300)
    observed = {name: observations(name, 330, instrument="BTC-USD", seed=i) for i, name in enumerate(METRICS)}
    names = ["nvt", "nvt_signal_90", "mvrv", "mvrv_z", "realized_cap", "active_addresses", "address_growth_30",
             "hash_rate_growth_30", "exchange_netflow"]  # fmt: skip
    frame = compute(History(candles, None, tuple(observed.values())), names)
    seen_revised = 0
    for row in range(100, 300, 7):
        known = _expected(observed, frame.known_at()[row])
        last = {name: table["value"][-1] for name, table in known.items()}
        cap, days = known["market_cap"]["value"], known["market_cap"].height
        moved = known["transfer_value"]["value"]
        realized = last["market_cap"] / last["mvrv"]
        expected = {
            "nvt": last["market_cap"] / last["transfer_value"],
            "nvt_signal_90": last["market_cap"] / moved.tail(90).mean(),
            "mvrv": last["mvrv"],
            "mvrv_z": (last["market_cap"] - realized) / cap.std(ddof=0),
            "realized_cap": realized,
            "active_addresses": last["active_addresses"],
            "address_growth_30": np.log(last["active_addresses"] / known["active_addresses"]["value"][-31]),
            "hash_rate_growth_30": np.log(last["hash_rate"] / known["hash_rate"]["value"][-31]),
            "exchange_netflow": (last["exchange_inflow"] - last["exchange_outflow"]) / last["market_cap"],
        }
        for name, value in expected.items():
            assert column(frame, name)[row] == pytest.approx(value, rel=1e-10), (name, row)
        all_rows = observed["market_cap"].frame.head(days + 20)
        seen_revised += int(all_rows["about"].is_duplicated().any())
    assert seen_revised > 5


def test_a_value_is_used_from_the_moment_it_was_published_and_not_a_day_before() -> None:
    about = np.array(["2024-01-01", "2024-01-02", "2024-01-10"], dtype="datetime64[us]")
    known = np.array(["2024-01-03T03:00", "2024-01-04T03:00", "2024-01-12T03:00"], dtype="datetime64[us]")
    observed = _values(about, known, np.array([1.0, 2.0, 3.0]), "mvrv")
    found = column(compute(History(_days("2024-01-01", 30), None, (observed,)), ["mvrv"]), "mvrv")
    # closes are the midnights of January 2nd, 3rd, ...: 3rd is before three o'clock
    assert np.isnan(found[:2]).all()
    assert found[2] == 1.0
    assert (found[3:9] == 2.0).all()  # until January 11th, nine days after the 2nd
    assert np.isnan(found[10])
    assert (found[11:18] == 3.0).all()
    assert np.isnan(found[18:]).all(), "a series that ended says nothing of today"


def test_the_newest_moment_that_all_metrics_speak_of() -> None:
    days = np.datetime64("2024-01-01", "us") + np.arange(20) * DAY
    cap = _values(days, days + DAY, np.full(20, 100.0), "market_cap")
    late = _values(days, days + 3 * DAY, 10.0 + np.arange(20.0), "transfer_value")
    found = column(compute(History(_days("2024-01-05", 10), None, (cap, late)), ["nvt"]), "nvt")
    assert found[0] == pytest.approx(100.0 / 12.0)  # January 6th knows the transfers of the 3rd


def test_a_day_that_is_missing_in_the_window_is_no_number_and_all_recovers() -> None:
    days = np.datetime64("2024-01-01", "us") + np.arange(140) * DAY
    cap = _values(days, days + DAY, np.full(140, 9.0), "market_cap")
    some = np.delete(days, 60)  # March 1st
    moved = _values(some, some + DAY, np.full(139, 3.0), "transfer_value")
    found = column(compute(History(_days("2024-02-20", 60), None, (cap, moved)), ["nvt_signal_20"]), "nvt_signal_20")
    # the bar of February 20th closes on the 21st and knows the 20th; the 2nd of March is the first day after the hole
    assert (found[:11] == 3.0).all()
    assert np.isnan(found[11:30]).all()
    assert (found[30:] == 3.0).all()


def test_sentiment_and_funding_are_read_as_they_were_known() -> None:
    fear = observations("fear_greed", 60, start="2024-01-01", instrument="BTC-USD", lag=1)
    vix = observations("close", 60, start="2024-01-01", instrument="VIX.INDEX", lag=1, seed=3)
    funding = observations("funding_rate", 60, start="2024-01-01", instrument="ETH-USDT-PERP", lag=0, seed=4)
    candles = _days("2024-01-03", 40, "ETH-USDT")
    frame = compute(History(candles, None, (fear, vix, funding)), ["fear_greed", "vix", "funding_rate"])
    for name, table, lag in (("fear_greed", fear, 1), ("vix", vix, 1), ("funding_rate", funding, 0)):
        close = frame.known_at()[20]
        known = _expected({name: table}, close)[name]
        assert column(frame, name)[20] == known["value"][-1]
        assert known["about"].dt.replace_time_zone(None).to_numpy()[-1] == close - lag * DAY
