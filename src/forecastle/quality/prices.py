"""Bars whose prices look like an error, or like a split nobody adjusted for; each kind in a function of its own.

What tells an error from a market that moves:

- an error comes and goes *between* bars. A market trades its way there and back inside them: on exchanges that never
  close the next open is the last close. So spikes are looked for in the steps from a close to the next open.
- a split leaves the trading as it was: the price steps by a ratio of small numbers, the day is calm and the volume is
  what the new number of shares makes it. News of that size brings many times the usual volume.
- a unit is wrong by a power of ten, to the digit.

The numbers below were set on data to the end of 2022; docs/data_quality.md tells what they find after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from forecastle.nouns import Candles
from forecastle.nouns.candles import TIME
from forecastle.quality._track import FloatArray, Places, Track

_SPIKE = 12.0
"""Ordinary moves that a spike is long at least."""
_SHORTEST = {"pair": 0.20, "perpetual": 0.20, "stock": 0.15, "index": 0.15}
_SHORTEST_OF_CLOSES = {"pair": 0.70, "perpetual": 0.70, "stock": 0.40, "index": 0.30}
"""Shortest spike as a log return. With closes alone a day of panic looks like one: it has to be longer."""
_COMES_BACK = 0.3
"""Share of a spike that may be left when it is over."""
_WICK = {"pair": np.log(4.0), "perpetual": np.log(4.0), "stock": np.log(2.0), "index": np.log(1.5)}
"""Longest high or low beyond open and close that a market is believed to reach in a bar, as a log return."""
_FARTHEST = {"pair": np.log(10.0), "perpetual": np.log(10.0), "stock": np.log(4.0), "index": np.log(1.5)}
"""Longest step between two bars that is believed without a spike, as a log return."""

_WHOLE = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 80)
_BROKEN = (5 / 4, 4 / 3, 3 / 2, 5 / 2)
RATIOS: FloatArray = np.log(np.array(sorted([*_WHOLE, *_BROKEN])))
_UNITS: FloatArray = np.log(10.0) * np.arange(2, 9)
_UNITS_OF_COINS: FloatArray = np.log(10.0) * np.arange(1, 9)
_HOLE_DAYS = 60.0
_NEIGHBOURS = 20


@dataclass(frozen=True)
class Odd:
    """One odd place: the bar (its number), what kind it is, what is seen, and the bar where all is as before again."""

    place: int
    kind: str
    detail: str
    over: int | None = None


def odd_prices(candles: Candles) -> list[Odd]:
    """Return all odd places of the prices in the order of time; one place has one kind."""
    if len(candles) < 3:
        return []
    track = Track(candles)
    joints = two_companies(track)
    seen = {odd.place for odd in joints}
    found = list(joints)
    for detector in (wrong_units, splits, spikes, wicks, leaps):
        new = [odd for odd in detector(track) if odd.place not in seen]
        seen |= {place for odd in new for place in (odd.place, odd.over) if place is not None}
        found += new
    return sorted(found, key=lambda odd: odd.place)


def odd_table(candles: Candles, odd: list[Odd]) -> pl.DataFrame:
    """Return odd places as a table with the columns ``open_time kind detail``."""
    times = candles.frame["open_time"]
    columns = {
        "open_time": [times[o.place] for o in odd], "kind": [o.kind for o in odd], "detail": [o.detail for o in odd],
    }  # fmt: skip
    return pl.DataFrame(columns, schema={"open_time": TIME, "kind": pl.String(), "detail": pl.String()})


def two_companies(track: Track) -> list[Odd]:
    """Return the first bars after a hole of two months and more whose price or volume is of another size.

    Medians of the 20 bars on both sides are compared: a factor e of the price, or 10 of the volume.
    """
    ends = track.candles.times("close_time")
    days = np.r_[0.0, (track.times[1:] - ends[:-1]) / np.timedelta64(1, "D")]
    found = []
    for place in map(int, np.flatnonzero(days >= _HOLE_DAYS)):
        price = np.exp(abs(_step_of_medians(track.close, place)))
        with np.errstate(divide="ignore", invalid="ignore"):
            volume = np.exp(abs(_step_of_medians(np.log(track.volume), place)))
        if price >= np.e or (np.isfinite(volume) and volume >= 10):
            words = f"after {days[place]:.0f} days without a bar the price is {price:.3g} times another"
            found.append(Odd(place, "two_companies", f"{words}, the volume {volume:.3g} times"))
    return found


def _step_of_medians(values: FloatArray, place: int) -> float:
    return float(
        np.median(values[place : place + _NEIGHBOURS]) - np.median(values[max(0, place - _NEIGHBOURS) : place])
    )


def wrong_units(track: Track) -> list[Odd]:
    """Return where the price steps by a power of ten: ``wrong_unit`` where it steps back, ``redenomination`` else.

    A step away and the step back are one place: the first bar in the other unit.
    """
    units = _UNITS_OF_COINS if track.candles.instrument.always_open else _UNITS
    steps = dict(_steps(track, track.gap, units))
    inside = dict(_steps(track, track.close - track.before, units))  # a close alone is wrong: the next open steps back
    steps |= {p: s for p, s in inside.items() if p not in steps and np.isclose(steps.get(p + 1, 0.0), -s)}
    opens = {p: s for p, s in steps.items() if p not in inside and _comes_back(track, p)}  # an open alone is wrong
    found = [Odd(p, "wrong_unit", f"{_times(s)}, at the open alone") for p, s in opens.items()]
    waiting = sorted(steps.keys() - opens.keys())
    while waiting:
        place = waiting.pop(0)
        back = next((p for p in waiting if np.isclose(steps[p], -steps[place])), None)
        words = _times(steps[place])
        if back is None:
            words += " from here on: another unit of money, or a split"
            found.append(Odd(place, "redenomination", words))
        else:
            waiting.remove(back)
            found.append(Odd(place, "wrong_unit", f"{words}, for {_bars(back - place)}", back))
    return found


def _times(step: float) -> str:
    return f"the price is {np.exp(abs(step)):,.0f} times {'larger' if step > 0 else 'smaller'}"


def _bars(count: int) -> str:
    return f"{count} bar" if count == 1 else f"{count} bars"


def _steps(track: Track, moves: FloatArray, units: FloatArray) -> list[tuple[int, float]]:
    """Return (place, signed log factor) of moves that are one of ``units``, give or take a few ordinary moves."""
    places = np.flatnonzero(np.abs(moves) > units[0] - 0.3)
    ordinary = track.ordinary(places)
    nearest = (
        units[np.abs(np.abs(moves[places])[:, None] - units[None, :]).argmin(axis=1)] if places.size else units[:0]
    )
    near = np.abs(np.abs(moves[places]) - nearest) <= np.minimum(3.0 * ordinary + 0.02, 0.25)
    far = nearest > 12.0 * ordinary
    return [
        (int(p), float(np.copysign(n, moves[p]))) for p, n in zip(places[near & far], nearest[near & far], strict=True)
    ]


def splits(track: Track) -> list[Odd]:
    """Return where a stock steps between two bars by a ratio of small numbers, and trades on as before."""
    if track.candles.instrument.kind != "stock":
        return []
    places = np.flatnonzero(np.abs(track.gap) > RATIOS[0] - 0.05)
    odd = [
        _split_at(track, int(p), s, v)
        for p, s, v in zip(places, track.ordinary(places), track.surge(places), strict=True)
    ]
    return [o for o in odd if o]


def _split_at(track: Track, place: int, ordinary: float, surge: float) -> Odd | None:
    size = abs(track.gap[place])
    ratio = float(RATIOS[np.abs(RATIOS - size).argmin()])
    small = ratio < np.log(1.5) - 1e-9
    shares = np.exp(ratio) if track.gap[place] < 0 else 1.0
    daily = track.candles.timeframe in ("1d", "1w", "1mo")
    if size < (10.0 if small else 6.0) * ordinary or (small and not daily):
        return None
    slack = 0.5 if small else 3.0
    if np.isnan(surge):  # without a volume only a clean step tells a split from news
        if ratio < np.log(2.0) - 1e-9 or size < 12.0 * ordinary:
            return None
        slack = 0.25
    if abs(size - ratio) > min(slack * ordinary, 0.25 * ratio) or surge > (2.0 if small else 4.0) * shares:
        return None
    if _comes_back(track, place):
        return None
    factor = np.exp(ratio)
    ratio_words = f"{factor:.0f}" if factor > 2.6 or factor == 2 else f"{factor:.3g}"
    kind = f"{ratio_words} for 1" if track.gap[place] < 0 else f"1 for {ratio_words}"
    detail = f"the price steps by a factor of {np.exp(track.gap[place]):.4g} and trades on: a split of {kind}"
    return Odd(place, "split", detail)


def _comes_back(track: Track, place: int) -> bool:
    """Return whether the step into this bar is undone by the end of the bar, or by the next price."""
    left = [abs(p[place] - track.before[place]) for p in (track.close, track.after)]
    return bool(min(left) <= _COMES_BACK * abs(track.gap[place]))


def spikes(track: Track) -> list[Odd]:
    """Return bars with an open that the bar takes back, or with a close that the next open takes back."""
    kind = track.candles.instrument.kind
    closes_only = track.candles.prices == "close"
    shortest = (_SHORTEST_OF_CLOSES if closes_only else _SHORTEST)[kind]
    out = track.after - track.close
    if closes_only:
        bad_open = np.zeros(out.size, dtype=np.bool_)
    else:
        bad_open = _undone(track.gap, track.close - track.before, shortest)
    bad_close = _undone(-out, track.after - track.before, shortest)
    bad_close[[0, -1]] = False  # without a bar on both sides nothing comes back
    sizes = np.where(bad_open, track.gap, -out)
    return [
        Odd(
            int(p),
            "jump",
            f"the {'open' if bad_open[p] else 'close'} is {_percent(sizes[p])} off and comes straight back",
            None if bad_open[p] else int(p) + 1,
        )
        for p in _long(track, np.flatnonzero(bad_open | bad_close), sizes)
    ]


def _undone(step: FloatArray, left: FloatArray, shortest: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray((np.abs(step) >= shortest) & (np.abs(left) <= _COMES_BACK * np.abs(step)))


def wicks(track: Track) -> list[Odd]:
    """Return bars whose high or low lies farther from open and close than a market is believed to go and return."""
    longest = _WICK[track.candles.instrument.kind]
    body = (np.maximum(track._log("open"), track.close), np.minimum(track._log("open"), track.close))
    up, down = track.high - body[0], body[1] - track.low
    sizes = np.where(up >= down, up, -down)
    return [
        Odd(int(p), "jump", f"the {'high' if sizes[p] > 0 else 'low'} is {_percent(sizes[p])} off open and close")
        for p in _long(track, np.flatnonzero(np.abs(sizes) >= longest), sizes)
    ]


def leaps(track: Track) -> list[Odd]:
    """Return where the price steps between two bars by more than its kind of market is believed to do."""
    farthest = _FARTHEST[track.candles.instrument.kind]
    return [
        Odd(int(p), "jump", f"the price steps by {_percent(track.gap[p])} between two bars")
        for p in _long(track, np.flatnonzero(np.abs(track.gap) >= farthest), track.gap)
    ]


def _long(track: Track, places: Places, sizes: FloatArray) -> Places:
    """Return the places whose size is many ordinary moves."""
    return places[np.abs(sizes[places]) >= _SPIKE * track.ordinary(places)]


def _percent(log_return: float) -> str:
    return f"{100.0 * np.expm1(log_return):+,.0f} %"
