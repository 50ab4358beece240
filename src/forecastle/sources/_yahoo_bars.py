"""From what yfinance read to bars with an open and a close; nothing that Yahoo sent is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from forecastle.errors import DataInvalid, UpstreamError
from forecastle.nouns import Instrument, Observations
from forecastle.nouns.candles import PRICES, SCHEMA, TIME
from forecastle.nouns.observations import OBSERVED
from forecastle.sessions import Exchange, Timeframe, calendar, found_in, step_of
from forecastle.sources._bars import close_bars
from forecastle.sources._yahoo_answers import NUMBERS, Chart

if TYPE_CHECKING:
    import pandas as pd

DAY = 86_400
PENCE = {"GBp": "GBX"}
"""Pounds and pence differ by the case of one letter at Yahoo, and names of observations have small letters."""
QUARTER = 900
"""Seconds: whatever the length of a bar, trading begins on a quarter of an hour."""


def rows_of(frame: pd.DataFrame, chart: Chart, instrument: Instrument, timeframe: Timeframe) -> pl.DataFrame:
    """Return the bars of ``frame`` with the columns of candles, not checked and not sorted.

    Bars that Yahoo sent twice with different values are all there, a missing volume is null where yfinance wrote 0, and
    rows that yfinance made up are not there. What lies off the calendar (a date that is no session, a stamp between two
    bars) has no ``close_time``: so it is found and quarantined, and does not spoil the page.
    """
    sent = _keyed(chart, timeframe)
    clashing = _clashing(sent)
    read = _read(frame, timeframe).join(_volumes(sent, timeframe), on="key", how="inner")
    read = read.filter(~pl.col("key").is_in(clashing["key"].implode()))
    both = pl.concat([read.select("key", *NUMBERS), clashing.select("key", *NUMBERS)])
    # Moments of days are midnights UTC: close_bars takes the date for that of the session.
    seconds = pl.col("key") * DAY if timeframe == "1d" else pl.col("key")
    both = both.with_columns(moment=pl.from_epoch(seconds, "s").cast(pl.Datetime("us")))
    strange = _strange(both, sent, instrument, timeframe)
    if timeframe != "1d":  # a last trade between two bars is none of its own; a day always is
        kept = ~(strange & both["key"].is_in(sent.filter("live")["key"].implode()))
        both, strange = both.filter(kept), strange.filter(kept)
    return _timed(both, strange, instrument, timeframe)


def _keyed(chart: Chart, timeframe: Timeframe) -> pl.DataFrame:
    """Return the bars as sent with the ``key`` of the bar they belong to (day or second) and whether one is ``live``.

    The live row repeats the last trade beside the bar it is part of; yfinance folds it in.
    """
    keys = {"1d": _days(chart.zone), "30m": pl.col("stamp") // 1800 * 1800}
    sent = chart.rows.sort("stamp", maintain_order=True).with_columns(key=keys.get(timeframe, pl.col("stamp")))
    before = pl.col("key").shift(1) == pl.col("key")
    moved = pl.col("stamp").shift(1) != pl.col("stamp")
    beside = (before & moved) if timeframe == "1d" else pl.lit(value=False)
    is_last = pl.int_range(pl.len()) == pl.len() - 1
    named = pl.col("stamp") == (chart.live if chart.live is not None else -1)
    return sent.with_columns(live=(is_last & (named | beside)).fill_null(value=False))


def _days(zone: str) -> pl.Expr:
    """Return the local day of each ``stamp``, counted from 1970."""
    local = pl.from_epoch("stamp", "s").dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    late = (local.dt.minute() == 0) & (local.dt.hour() >= 22)  # as yfinance: a midnight that summer time moved
    return local.dt.date().cast(pl.Int64) + late.cast(pl.Int64)


def _clashing(sent: pl.DataFrame) -> pl.DataFrame:
    """Return the bars that were sent more than once with different values, as sent."""
    bars = sent.filter(~pl.col("live")).select("key", "stamp", *NUMBERS).unique(maintain_order=True)
    return bars.filter(pl.col("stamp").is_duplicated())


def _volumes(sent: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    """Return the volume of each bar as sent: yfinance writes 0 for a null and cuts to whole numbers."""
    volume, traded = pl.col("volume").fill_nan(None), pl.col("close").fill_nan(None).is_not_null()
    if timeframe != "30m":
        return sent.group_by("key", maintain_order=True).agg(volume.last())
    known = volume.is_not_null().any() & (volume.is_not_null() | ~traded).all()
    return sent.group_by("key", maintain_order=True).agg(volume=pl.when(known).then(volume.sum()))


def _read(frame: pd.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    """Return the prices of yfinance's frame by key; its index is in the time of the exchange."""
    if timeframe == "1d":
        keys = frame.index.tz_localize(None).to_numpy().astype("datetime64[D]").astype(np.int64)  # type: ignore[attr-defined]
    else:
        keys = frame.index.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]").astype(np.int64)  # type: ignore[attr-defined]
    columns = {name: frame[name.capitalize()].to_numpy(dtype=np.float64) for name in PRICES}
    numbers = [pl.col(name).fill_nan(None) for name in PRICES]
    return pl.DataFrame({"key": keys, **columns}).with_columns(numbers)


def _strange(rows: pl.DataFrame, sent: pl.DataFrame, instrument: Instrument, timeframe: Timeframe) -> pl.Series:
    """Return which rows lie where the calendar has no bar."""
    market = calendar(instrument.calendar)
    if timeframe == "1d" and not isinstance(market, Exchange):
        off = sent.filter(~pl.col("live") & (pl.col("stamp") % DAY != 0))
        return rows["key"].is_in(off["key"].implode())
    moments = rows["moment"].to_numpy().astype("datetime64[us]")
    if not moments.size:
        return pl.Series([], dtype=pl.Boolean)
    first, last = moments.min(), moments.max()
    if timeframe == "1d":
        dates, _, _ = market.sessions(first, last) if isinstance(market, Exchange) else (moments, moments, moments)
        return pl.Series(~found_in(moments.astype("datetime64[D]"), dates))
    step = int((step_of(timeframe) or np.timedelta64(1, "D")) / np.timedelta64(1, "s"))
    off_grid = rows["key"].to_numpy() % min(step, QUARTER) != 0
    if isinstance(market, Exchange):
        opens, closes = market.trading_hours(first - np.timedelta64(8, "D"), last + np.timedelta64(8, "D"))
        place = np.searchsorted(opens, moments, side="right") - 1
        off_grid |= (place < 0) | (moments >= closes[np.maximum(place, 0)])
    return pl.Series(off_grid)


def _timed(rows: pl.DataFrame, strange: pl.Series, instrument: Instrument, timeframe: Timeframe) -> pl.DataFrame:
    """Give every row its open and close; strange ones open at their moment and have no close."""
    plain = rows.filter(~strange)
    opens, closes = plain["moment"].dt.replace_time_zone("UTC").cast(TIME), pl.Series([], dtype=TIME)
    if plain.height:
        try:
            bars = close_bars(plain["moment"], instrument, timeframe)
        except DataInvalid as error:
            raise UpstreamError(
                f"Yahoo's answer holds no bars of {timeframe}.", error.what, "Try again later, or use another source."
            ) from error
        opens, closes = bars.opens, bars.closes
    timed = plain.with_columns(open_time=opens, close_time=closes)
    moment = pl.col("moment").dt.replace_time_zone("UTC").cast(TIME)
    odd = rows.filter(strange).with_columns(open_time=moment, close_time=pl.lit(None, TIME))
    return pl.concat([timed, odd]).select(list(SCHEMA))


def events_of(frame: pd.DataFrame, chart: Chart, instrument: Instrument, source: str) -> tuple[Observations, ...]:
    """Return the dividends (currency per share) and splits (new shares per old) in a frame of days.

    Both are about, and known from, the open of the session they count from. Yahoo restates dividends for later splits.
    One name has one unit: a dividend in another currency than the prices' is a ``dividend_eur``, in pence ``_gbx``.
    """
    paid_on = pl.DataFrame({"stamp": list(chart.paid_in)}, schema={"stamp": pl.Int64}).select(_days(chart.zone))
    currencies = dict(zip(paid_on.to_series(), chart.paid_in.values(), strict=True))
    keys = _read(frame, "1d")["key"]
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for column in ("Dividends", "Stock Splits"):
        for key, value in zip(keys, frame[column].to_numpy(dtype=np.float64), strict=True):
            if value and np.isfinite(value):
                paid = _paid(currencies.get(key, chart.currency), chart.currency)
                named = paid if column == "Dividends" else ("split", "new shares per old")
                found.setdefault(named, []).append((key, float(value)))
    return tuple(
        Observations(instrument, name, unit, source, _observed(values, instrument))
        for (name, unit), values in found.items()
    )


def _paid(currency: str, of_prices: str) -> tuple[str, str]:
    """Return name and unit of a dividend."""
    name = "dividend" if currency == of_prices else f"dividend_{PENCE.get(currency, currency).lower()}"
    return name, f"{currency} per share"


def _observed(values: list[tuple[int, float]], instrument: Instrument) -> pl.DataFrame:
    rows = pl.DataFrame(values, schema={"key": pl.Int64, "value": pl.Float64}, orient="row")
    rows = rows.with_columns(moment=pl.from_epoch(pl.col("key") * DAY, "s").cast(pl.Datetime("us")))
    moments = rows["moment"].to_numpy().astype("datetime64[us]")
    market = calendar(instrument.calendar)
    opens = moments.copy()
    if isinstance(market, Exchange):
        dates, begins, _ = market.sessions(moments.min(), moments.max())
        inside = found_in(moments.astype("datetime64[D]"), dates)
        opens[inside] = begins[np.searchsorted(dates, moments[inside].astype("datetime64[D]"))]
    about = pl.Series(opens).dt.replace_time_zone("UTC").cast(TIME)
    rows = rows.with_columns(about=about, known_at=about).select(list(OBSERVED))
    return rows.unique(["about", "known_at"], keep="first", maintain_order=True).sort("about", "known_at")


def between(observations: Observations, since: datetime, until: datetime) -> Observations | None:
    """Return what is about ``[since, until)``; None where that is nothing."""
    frame = observations.frame.filter((pl.col("about") >= since) & (pl.col("about") < until))
    return replace(observations, frame=frame) if frame.height else None
