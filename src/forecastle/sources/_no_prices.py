"""Closes that are no prices: returns, percent changes or growth factors that someone wrote into the close column."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import polars as pl

from forecastle.errors import DataInvalid
from forecastle.nouns import Instrument

FloatArray = npt.NDArray[np.float64]

FEWEST, FEWEST_OF_FACTORS = 50, 100
"""Closes below which nothing is said of returns, and of growth factors."""
_NEGATIVE = 0.1
_NEAR = 0.03
_LOOSE = 0.2
_STILL = 5e-4
_PEGGED = re.compile("USD|EUR|GBP|DAI|FRAX")
"""Coins whose name has this are promised to be worth a unit of money; so are those quoted in a coin near one."""


def refuse_returns(file: str, instrument: Instrument, closes: pl.Series) -> None:
    """Refuse closes that are changes of a price.

    Returns in decimals or percent: a tenth of them and more are negative, which prices never are. Growth factors (1.01,
    or 101 of 100): they lie around 1 or 100, move, and a close says nothing of the next one, while that of a price is
    nearly the same: over 100 steps a random walk has a first autocorrelation below 0.2 less than once in 30,000
    times. Pegged coins (a stablecoin, wrapped bitcoin in bitcoin) do hover around 1 and are let through. ``closes``
    are in the order of time. Raises ``DataInvalid``.
    """
    values = closes.drop_nulls().to_numpy()
    values = values[np.isfinite(values)]
    if values.size < FEWEST:
        return
    negative = float((values < 0).mean())
    if negative >= _NEGATIVE:
        raise DataInvalid(
            f"{100 * negative:.0f} % of the {values.size} closes of {file} are negative.",
            "Prices are not; these look like returns or percent changes.",
            "Import the prices, or add the returns up: price = 100 * exp(cumsum(log return)).",
        )
    centre = float(np.median(values))
    around = next((level for level in (1.0, 100.0) if abs(centre / level - 1.0) < _NEAR), None)
    if values.size < FEWEST_OF_FACTORS or around is None or _pegged(instrument) or values.std() < _STILL * centre:
        return
    tie = _first_autocorrelation(values)
    if tie < _LOOSE:
        raise DataInvalid(
            f"The {values.size} closes of {file} hover around {around:g}, each with no tie to the last "
            f"(autocorrelation {tie:.2f}).",
            "The price of a market stays near the last one (autocorrelation near 1); these look like growth factors.",
            "Import the prices, or multiply the factors up: price = 100 * cumprod(factor).",
        )


def _pegged(instrument: Instrument) -> bool:
    coins = instrument.kind in ("pair", "perpetual")
    return coins and (bool(_PEGGED.search(instrument.base)) or instrument.quote in ("BTC", "ETH", "BNB"))


def _first_autocorrelation(x: FloatArray) -> float:
    centred = x - x.mean()
    return float(centred[1:] @ centred[:-1] / (centred @ centred))
