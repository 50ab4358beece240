"""Which observations say something new, and from when on it was known."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

_KEY = ["about", "known_at"]


def news(had: pl.DataFrame, rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return the rows to add to ``had``, both with the columns ``about known_at value`` and sorted by time.

    A value equal to the one known before it adds nothing. A row at a moment that ``had`` tells otherwise of cannot
    have been known then: of each ``about`` the last such row counts, as learned at ``now``, and never before what is
    there.
    """
    fresh = rows.join(had, on=_KEY, how="anti", maintain_order="left")
    known = pl.concat([had.with_columns(new=False), fresh.with_columns(new=True)]).sort(_KEY)
    told_before = pl.col("value") == pl.col("value").shift(1).over("about")
    fresh = known.filter("new", ~told_before.fill_null(value=False)).drop("new")
    latest = pl.concat([had, fresh]).sort(_KEY).unique("about", keep="last", maintain_order=True)
    return pl.concat([fresh, _learned_now(had, rows, latest, now)]).sort(_KEY)


def _learned_now(had: pl.DataFrame, rows: pl.DataFrame, latest: pl.DataFrame, now: datetime) -> pl.DataFrame:
    held = had.rename({"value": "held"})
    last = rows.unique("about", keep="last", maintain_order=True).join(held, on=_KEY, maintain_order="left")
    last = last.filter(pl.col("value") != pl.col("held")).drop("held")
    last = last.join(latest.rename({"known_at": "until", "value": "before"}), on="about", maintain_order="left")
    after = pl.col("until") + timedelta(microseconds=1)
    revised = last.filter(pl.col("value") != pl.col("before"))
    return revised.select(
        "about", known_at=pl.max_horizontal(pl.lit(now), after).cast(had.schema["known_at"]), value="value"
    )
