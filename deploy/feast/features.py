"""The feature store's entity and views. Written by docs/make_feast.py from the registry: do not edit."""

import os
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, String

OFFLINE = Path(os.environ["FORECASTLE_HOME"]) / "store" / "offline"
"""Links to the tables that hold the whole catalogue; `forecastle features materialize` makes them."""

instrument = Entity(name="instrument", join_keys=["instrument"], value_type=ValueType.STRING)

COLUMNS = [
    "log_return_1",
    "log_return_2",
    "log_return_5",
    "log_return_10",
    "log_return_20",
    "simple_return_1",
    "overnight_return",
    "body",
    "body.upper",
    "body.lower",
    "skew_60",
    "kurtosis_60",
    "autocorrelation_60",
    "sma_10",
    "sma_20",
    "sma_50",
    "sma_200",
    "wma_20",
    "ema_10",
    "ema_20",
    "ema_50",
    "ema_200",
    "dema_20",
    "tema_20",
    "trix_15",
    "kama_10",
    "macd_12_26_9.line",
    "macd_12_26_9.signal",
    "macd_12_26_9.histogram",
    "ppo_12_26",
    "adx_14",
    "adx_14.plus_di",
    "adx_14.minus_di",
    "sar",
    "sar.distance",
    "supertrend_10_3.line",
    "supertrend_10_3.side",
    "aroon_14.up",
    "aroon_14.down",
    "aroon_14.oscillator",
    "vortex_14.plus",
    "vortex_14.minus",
    "slope_20",
    "sma_distance_20",
    "sma_distance_50",
    "sma_distance_200",
    "sma_cross_50_200",
    "awesome_5_34",
    "ichimoku_9_26_52.conversion",
    "ichimoku_9_26_52.base",
    "ichimoku_9_26_52.span_a",
    "ichimoku_9_26_52.span_b",
    "ichimoku_9_26_52.span_a_ahead",
    "ichimoku_9_26_52.span_b_ahead",
    "ichimoku_9_26_52.lagging",
    "ichimoku_9_26_52.lagging_gap",
    "rsi_7",
    "rsi_14",
    "rsi_21",
    "cmo_14",
    "stochrsi_14_14_3.k",
    "stochrsi_14_14_3.d",
    "stoch_14_3_3.k",
    "stoch_14_3_3.d",
    "williams_r_14",
    "cci_20",
    "roc_10",
    "roc_20",
    "mfi_14",
    "ultosc_7_14_28",
    "bop",
    "momentum_21_252",
    "position_252",
    "drawdown_252",
    "bollinger_20_2.upper",
    "bollinger_20_2.middle",
    "bollinger_20_2.lower",
    "percent_b_20_2",
    "bandwidth_20_2",
    "atr_14",
    "natr_14",
    "keltner_20_10_2.upper",
    "keltner_20_10_2.middle",
    "keltner_20_10_2.lower",
    "donchian_20.upper",
    "donchian_20.middle",
    "donchian_20.lower",
    "choppiness_14",
    "realized_volatility_5",
    "realized_volatility_20",
    "realized_volatility_60",
    "close_volatility_20",
    "parkinson_20",
    "garman_klass_20",
    "rogers_satchell_20",
    "yang_zhang_20",
    "volatility_ratio_5_60",
    "obv",
    "ad",
    "adosc_3_10",
    "force_13",
    "cmf_20",
    "vwap_20",
    "vwap_20.distance",
    "session_vwap",
    "session_vwap.distance",
    "volume_z_20",
    "volume_ratio_20",
    "amihud_20",
    "corwin_schultz_20",
    "roll_spread_20",
    "time_of_day.sin",
    "time_of_day.cos",
    "day_of_week.sin",
    "day_of_week.cos",
    "month_of_year.sin",
    "month_of_year.cos",
    "session.progress",
    "session.first",
    "session.last",
    "closed_days",
    "benchmark_return_1",
    "benchmark_return_5",
    "benchmark_volatility_20",
    "beta_60",
    "correlation_60",
    "relative_strength_20",
    "nvt",
    "nvt_signal_90",
    "mvrv",
    "mvrv_z",
    "realized_cap",
    "active_addresses",
    "address_growth_30",
    "hash_rate_growth_30",
    "exchange_netflow",
    "fear_greed",
    "funding_rate",
    "vix",
]
MARKS = ["source", "definitions"]  # whose candles, and a hash of what the columns mean
SCHEMA = [*(Field(name=n, dtype=Float64) for n in COLUMNS), *(Field(name=n, dtype=String) for n in MARKS)]


def _source(timeframe):
    return FileSource(
        name=f"features_{timeframe}",
        path=f"{OFFLINE}/{timeframe}/*.parquet",
        timestamp_field="known_at",
        created_timestamp_column="created_at",
    )


def _view(source):
    return FeatureView(
        name=source.name,
        entities=[instrument],
        ttl=timedelta(days=36500),
        schema=SCHEMA,
        source=source,
        online=True,
    )


source_1m = _source("1m")
features_1m = _view(source_1m)
source_5m = _source("5m")
features_5m = _view(source_5m)
source_15m = _source("15m")
features_15m = _view(source_15m)
source_30m = _source("30m")
features_30m = _view(source_30m)
source_1h = _source("1h")
features_1h = _view(source_1h)
source_4h = _source("4h")
features_4h = _view(source_4h)
source_1d = _source("1d")
features_1d = _view(source_1d)
source_1w = _source("1w")
features_1w = _view(source_1w)
source_1mo = _source("1mo")
features_1mo = _view(source_1mo)
