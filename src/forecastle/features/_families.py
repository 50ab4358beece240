"""The table of families, and features by their names: ``sma_20``, ``macd_12_26_9``, ``bollinger_20_2p5``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from forecastle.errors import NameUnknown, RequestInvalid
from forecastle.features._definition import Family, Feature, Numbers, written
from forecastle.registry import Registry

_TABLE: dict[str, tuple[str, ...]] = {
    "returns": ("LOG_RETURN", "SIMPLE_RETURN", "OVERNIGHT", "BODY", "SKEW", "KURTOSIS", "AUTOCORRELATION"),
    "trend": (
        "SMA", "WMA", "EMA", "DEMA", "TEMA", "TRIX", "KAMA", "MACD", "PPO", "ADX", "SAR", "SUPERTREND", "AROON",
        "VORTEX", "SLOPE", "SMA_DISTANCE", "SMA_CROSS", "AWESOME",
    ),
    "ichimoku": ("ICHIMOKU",),
    "momentum": (
        "RSI", "CMO", "STOCHRSI", "STOCH", "WILLIAMS", "CCI", "ROC", "MFI", "ULTIMATE", "BOP", "MOMENTUM", "POSITION",
        "DRAWDOWN",
    ),
    "volatility": (
        "BOLLINGER", "PERCENT_B", "BANDWIDTH", "ATR", "NATR", "KELTNER", "DONCHIAN", "CHOPPINESS", "REALIZED",
        "CLOSE_VOLATILITY", "PARKINSON", "GARMAN_KLASS", "ROGERS_SATCHELL", "YANG_ZHANG", "VOLATILITY_RATIO",
    ),
    "volume": (
        "OBV", "AD", "ADOSC", "FORCE", "CMF", "VWAP", "SESSION_VWAP", "VOLUME_Z", "VOLUME_RATIO", "AMIHUD",
        "CORWIN_SCHULTZ", "ROLL",
    ),
    "session": ("TIME_OF_DAY", "DAY_OF_WEEK", "MONTH_OF_YEAR", "SESSION", "CLOSED_DAYS"),
    "cross": ("BENCHMARK_RETURN", "BENCHMARK_VOLATILITY", "BETA", "CORRELATION", "RELATIVE_STRENGTH"),
    "onchain": (
        "NVT", "NVT_SIGNAL", "MVRV", "MVRV_Z", "REALIZED_CAP", "ACTIVE_ADDRESSES", "ADDRESS_GROWTH",
        "HASH_RATE_GROWTH", "EXCHANGE_NETFLOW", "FEAR_GREED", "FUNDING_RATE", "VIX",
    ),
}  # fmt: skip
"""Which file holds which families. Adding one is its definition there and its name here."""
PLACES = Registry(
    "feature",
    {f"{file}:{name}": f"forecastle.features.{file}:{name}" for file, names in _TABLE.items() for name in names},
)
_NUMBER = re.compile(r"(0|[1-9]\d{0,4})(p\d{1,3})?")


@lru_cache(maxsize=1)
def families() -> dict[str, Family]:
    """Return every family by its name."""
    found: Iterator[Family] = (PLACES.load(place) for place in PLACES)
    return {family.name: family for family in found}


@lru_cache(maxsize=1)
def catalogue() -> tuple[Feature, ...]:
    """Return the features that a table holds where nothing else is asked for, in the order of the table."""
    return tuple(Feature.of(f, numbers) for f in families().values() for numbers in f.catalogue)


def features_of(names: Sequence[str] | None) -> tuple[Feature, ...]:
    """Return the features called so, those of the catalogue where None.

    A name of a group (``trend``) stands for all of it in the catalogue. Raises ``NameUnknown`` with the nearest name,
    ``RequestInvalid`` for numbers that a family cannot take or a name that stands twice.
    """
    if names is None:
        return catalogue()
    groups = _by_group()
    found = [feature for name in names for feature in groups.get(name) or (feature_of(name),)]
    seen: set[str] = set()
    for feature in found:
        if feature.spec.name in seen:
            raise RequestInvalid(f"{feature.spec.name} is asked for twice.", "A column has one place.", "Name it once.")
        seen.add(feature.spec.name)
    if not found:
        raise RequestInvalid("No feature was named.", "There is nothing to compute.", "Name one, such as rsi_14.")
    return tuple(found)


def _by_group() -> dict[str, tuple[Feature, ...]]:
    groups: dict[str, list[Feature]] = {}
    for feature in catalogue():
        groups.setdefault(feature.spec.group, []).append(feature)
    return {name: tuple(members) for name, members in groups.items()}


def feature_of(name: str) -> Feature:
    """Return the feature called ``name``."""
    known = families()
    parts = name.split("_")
    for cut in range(len(parts), 0, -1):
        family = known.get("_".join(parts[:cut]))
        if family is not None and all(_NUMBER.fullmatch(part) for part in parts[cut:]):
            return Feature.of(family, _checked(family, name, parts[cut:]))
    raise _unknown(name)


def _unknown(name: str) -> NameUnknown:
    error = NameUnknown("feature", name, [*(f.spec.name for f in catalogue()), *_by_group()])
    error.why = f"There are {len(families())} families, with numbers of your own choice; forecastle features list."
    if not error.hint.startswith("Did you mean"):
        error.hint = "Choose one of forecastle features list."
    return error


def _checked(family: Family, name: str, words: Iterable[str]) -> Numbers:
    numbers = tuple(float(word.replace("p", ".")) for word in words)
    if len(numbers) != len(family.parameters):
        raise _wrong(
            family, name, f"It takes {len(family.parameters)} numbers: {', '.join(family.parameters) or 'none'}."
        )
    whole = len(numbers) if family.whole else len(numbers) - 1
    for value, least, parameter in zip(numbers, family.least, family.parameters, strict=True):
        if value < least:
            raise _wrong(family, name, f"{parameter} is {written(value)}; {written(least)} is the least.")
    if any(value != int(value) for value in numbers[:whole]):
        raise _wrong(family, name, "A number of bars is whole.")
    if family.ascending and numbers[0] >= numbers[1]:
        raise _wrong(family, name, f"{family.parameters[0]} has to be less than {family.parameters[1]}.")
    return tuple(int(v) if i < whole else v for i, v in enumerate(numbers))


def _wrong(family: Family, name: str, why: str) -> RequestInvalid:
    example = "_".join([family.name, *map(written, family.catalogue[0])])
    return RequestInvalid(f"'{name}' cannot be a feature.", why, f"Write it as {example}.")
