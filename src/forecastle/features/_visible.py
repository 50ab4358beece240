"""Observations as they were visible moment by moment: revisions come in when they were learned, never before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecastle.compiled import compiled, inner
from forecastle.features._bars import FloatArray, IntArray
from forecastle.nouns import Observations
from forecastle.sessions import Times


@dataclass(frozen=True)
class Book:
    """Rows of several observations in the order they became known.

    ``events`` are the moments something became known, ``abouts`` all moments that are spoken of, both ascending. Row i
    is ``value[i]`` of series ``series[i]`` about ``abouts[about[i]]``, known from ``events[event[i]]`` on.
    """

    events: Times
    abouts: Times
    event: IntArray
    series: IntArray
    about: IntArray
    value: FloatArray
    count: int


def book_of(observed: Sequence[Observations]) -> Book:
    """Return the rows of all of them; a revision of the same moment comes after what it revises."""
    about, known, series, value = [], [], [], []
    for number, one in enumerate(observed):
        about.append(one.frame["about"].dt.replace_time_zone(None).to_numpy())
        known.append(one.frame["known_at"].dt.replace_time_zone(None).to_numpy())
        series.append(np.full(len(one), number, dtype=np.int64))
        value.append(one.frame["value"].to_numpy())
    abouts, about_number = np.unique(np.concatenate(about), return_inverse=True)
    events, event_number = np.unique(np.concatenate(known), return_inverse=True)
    order = np.argsort(event_number, kind="stable")
    return Book(
        events, abouts, event_number[order].astype(np.int64), np.concatenate(series)[order],
        about_number[order].astype(np.int64), np.concatenate(value)[order].astype(np.float64), len(observed),
    )  # fmt: skip


@dataclass(frozen=True)
class Latest:
    """What was known at each event of the newest moment that all series speak of.

    ``place`` is its number among the abouts (-1 where there is none yet), ``values`` have shape (events, series).
    """

    place: IntArray
    values: FloatArray

    def about(self, book: Book) -> Times:
        """Return the moment itself; not-a-time where there is none yet."""
        out = np.full(self.place.size, np.datetime64("NaT", "us"))
        out[self.place >= 0] = book.abouts[self.place[self.place >= 0]]
        return out


def latest(book: Book) -> Latest:
    """Return the newest values at each event."""
    place, values = _latest(
        book.event, book.series, book.about, book.value, book.events.size, book.abouts.size, book.count
    )  # fmt: skip
    return Latest(place, values)


def trailing_mean(book: Book, at: Latest, series: int, days: int) -> FloatArray:
    """Return at each event a series' mean of the ``days`` moments up to ``at.place``; NaN where one is absent."""
    return _trailing_mean(book.event, book.series, book.about, book.value, book.abouts.size, at.place, series, days)


def expanding_deviation(book: Book, at: Latest, series: int) -> FloatArray:
    """Return at each event the standard deviation (divisor n) of all that is known of a series up to ``at.place``."""
    return _expanding_deviation(book.event, book.series, book.about, book.value, book.abouts.size, at.place, series)


def ago(book: Book, at: Latest, series: int, back: int) -> FloatArray:
    """Return at each event what was known of a series ``back`` moments before ``at.place``; NaN where nothing."""
    return _ago(book.event, book.series, book.about, book.value, book.abouts.size, at.place, series, back)


@compiled
def _latest(
    event: IntArray, series: IntArray, about: IntArray, value: FloatArray, events: int, abouts: int, count: int
) -> tuple[IntArray, FloatArray]:
    held = np.full((count, abouts), np.nan)
    place, values = np.full(events, -1, dtype=np.int64), np.full((events, count), np.nan)
    row, newest = 0, -1
    for e in range(events):
        while row < event.size and event[row] == e:
            held[series[row], about[row]] = value[row]
            whole = True
            for s in range(count):
                whole = whole and not np.isnan(held[s, about[row]])
            if whole:
                newest = max(newest, about[row])
            row += 1
        if newest >= 0:
            place[e] = newest
            values[e] = held[:, newest]
    return place, values


@inner
def _learned(
    held: FloatArray,
    event: IntArray,
    series: IntArray,
    about: IntArray,
    value: FloatArray,
    which: int,
    row: int,
    e: int,
) -> int:  # fmt: skip
    """Put into ``held`` what became known of one series at event ``e``; return the first row of a later event."""
    while row < event.size and event[row] == e:
        if series[row] == which:
            held[about[row]] = value[row]
        row += 1
    return row


@compiled
def _trailing_mean(
    event: IntArray, series: IntArray, about: IntArray, value: FloatArray, abouts: int, place: IntArray, which: int,
    days: int,
) -> FloatArray:  # fmt: skip
    held, out = np.full(abouts, np.nan), np.full(place.size, np.nan)
    row = 0
    for e in range(place.size):
        row = _learned(held, event, series, about, value, which, row, e)
        if place[e] >= days - 1:
            total = 0.0
            for i in range(place[e] - days + 1, place[e] + 1):
                total += held[i]
            out[e] = total / days
    return out


@compiled
def _expanding_deviation(
    event: IntArray, series: IntArray, about: IntArray, value: FloatArray, abouts: int, place: IntArray, which: int
) -> FloatArray:
    held, out = np.full(abouts, np.nan), np.full(place.size, np.nan)
    row = 0
    for e in range(place.size):
        row = _learned(held, event, series, about, value, which, row, e)
        mean, count = 0.0, 0
        for i in range(place[e] + 1):
            if not np.isnan(held[i]):
                mean += held[i]
                count += 1
        if count > 1:
            mean /= count
            total = 0.0
            for i in range(place[e] + 1):
                if not np.isnan(held[i]):
                    total += (held[i] - mean) ** 2
            out[e] = np.sqrt(total / count)
    return out


@compiled
def _ago(
    event: IntArray, series: IntArray, about: IntArray, value: FloatArray, abouts: int, place: IntArray, which: int,
    back: int,
) -> FloatArray:  # fmt: skip
    held, out = np.full(abouts, np.nan), np.full(place.size, np.nan)
    row = 0
    for e in range(place.size):
        row = _learned(held, event, series, about, value, which, row, e)
        if place[e] >= back:
            out[e] = held[place[e] - back]
    return out
