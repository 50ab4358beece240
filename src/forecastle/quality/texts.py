"""Findings about a file before its rows are read: how its times are written."""

from __future__ import annotations

import polars as pl

from forecastle.nouns import Finding

_OFFSET = r"(Z|UTC|GMT|[+-]\d{2}:?\d{2})$"
_DST_HOURS = 1.0


def inspect_times(texts: pl.Series) -> tuple[Finding, ...]:
    """Return the findings about a column of times as written: ``mixed_offsets`` and ``mixed_forms``.

    Several UTC offsets are no finding where one zone with summer time explains them: two offsets one hour apart.
    Offsets with none beside them (some rows with an offset, some without) are always one. Numbers have no offset.
    """
    if texts.dtype != pl.String:
        return ()
    told = pl.DataFrame({"text": texts.str.strip_chars()}).with_row_index("row").filter(pl.col("text") != "")
    told = told.with_columns(offset=pl.col("text").str.extract(_OFFSET)).with_columns(
        hours=pl.when(pl.col("offset").str.contains(r"\d"))
        .then(pl.col("offset").str.slice(0, 3).cast(pl.Float64, strict=False) + _minutes())
        .when(pl.col("offset").is_not_null())
        .then(0.0)
    )
    found = [_mixed_offsets(told), _mixed_forms(told)]
    return tuple(f for f in found if f)


def _minutes() -> pl.Expr:
    """Return the minutes of an offset as hours, with its sign."""
    sign = pl.when(pl.col("offset").str.starts_with("-")).then(-1.0).otherwise(1.0)
    return sign * pl.col("offset").str.extract(r"(\d{2})$").cast(pl.Float64, strict=False) / 60.0


def _mixed_offsets(told: pl.DataFrame) -> Finding | None:
    counts = told.drop_nulls("hours").group_by("hours").agg(pl.len(), pl.col("offset").first()).sort("hours")
    hours = counts["hours"].to_list()
    if len(hours) < 2 or (len(hours) == 2 and hours[1] - hours[0] <= _DST_HOURS):
        return None
    rare = counts.sort("len", "hours")["hours"][0]
    first = told.filter(pl.col("hours") == rare)
    each = ", ".join(f"{row['offset']} in {row['len']} rows" for row in counts.rows(named=True))
    words = f"several UTC offsets that no summer time explains: {each}"
    return Finding(
        "mixed_offsets", "suspicious", first.height, f"row {first['row'][0] + 1} ({first['text'][0]})", words
    )


def _mixed_forms(told: pl.DataFrame) -> Finding | None:
    """Return that some times have an offset and some have none: those without are of an unknown zone."""
    bare = told.filter(pl.col("hours").is_null())
    if not bare.height or bare.height == told.height:
        return None
    first = f"row {bare['row'][0] + 1} ({bare['text'][0]})"
    return Finding("mixed_forms", "suspicious", bare.height, first, "times without an offset among times with one")
