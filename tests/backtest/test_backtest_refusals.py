"""What the engine does not take: the right error, with what, why and a hint, before anything is traded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backtest.tables_made import CASH, FREE, NAN, PLAIN, market_of, order, still
from forecastle.backtest import Account, Costs, Execution, Tier, simulate
from forecastle.backtest.execution import MOST_LATE
from forecastle.backtest.venues import BTC_PERPETUAL, venue_of
from forecastle.backtest.view import decided
from forecastle.errors import DataInvalid, DataMissing, ForecastleError, NameUnknown, RequestInvalid
from forecastle.nouns.market import Market
from forecastle.nouns.order import OrderTable
from forecastle.nouns.signal import Signal, Signals
from making import make_candles

INFINITE = math.inf
MARKET = market_of(still(100, 3))
Fault = tuple[Callable[[], Any], str]


def _with(**changed: Any) -> Callable[[], Market]:
    return lambda: replace(MARKET, **changed)


def _prices(name: str, value: float) -> Callable[[], Market]:
    """Return what makes a market with one number of bar 1 changed."""
    values = getattr(MARKET, name).copy()
    values[1, 0] = value
    return _with(**{name: values})


def _wish(*, shape: tuple[int, int] = (3, 1), **arrays: Any) -> Callable[[], Any]:
    """Return what trades signals, of ones unless said otherwise; arrays by name, or one number for all of them."""
    measure = arrays.pop("measure", "units")
    target = arrays.pop("target", 1.0)
    whole = ("kind", "tif")
    made: dict[str, Any] = {
        name: np.full(shape, value, dtype=np.int64 if name in whole else np.float64)
        if np.ndim(value) == 0
        else np.array(value)
        for name, value in {"target": target, **arrays}.items()
    }
    return lambda: simulate(MARKET, Signals(measure=measure, **made), CASH, FREE, PLAIN)


def _rows(*rows: dict[str, float], **changed: Any) -> Callable[[], Any]:
    table = replace(OrderTable.of(list(rows)), **{name: np.array(value) for name, value in changed.items()})
    return lambda: simulate(MARKET, None, CASH, FREE, PLAIN, table)


def _costs(costs: Callable[[], Costs], sigma: Any = None) -> Callable[[], Any]:
    return lambda: simulate(MARKET, None, CASH, costs(), PLAIN, None, sigma)


class _Wishes:
    """A strategy that answers the same at each close."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def decide(self, _: object) -> Any:
        return self.answer


def _says(answer: Any) -> Callable[[], Any]:
    return lambda: decided(MARKET, _Wishes(answer), CASH, FREE, PLAIN)


ODD_DATA: dict[str, Fault] = {
    "price NaN": (_prices("close", NAN), r"Bar 1 of HAND-0 .* is no candle: .*close nan"),
    "open NaN": (_prices("open", NAN), "no candle: open nan"),
    "high infinite": (_prices("high", INFINITE), "no candle.*high inf"),
    "price zero": (_prices("low", 0.0), "no candle.*low 0"),
    "price negative": (_prices("low", -1.0), "no candle.*low -1"),
    "high below low": (_prices("high", 99.0), "no candle.*high 99"),
    "close above high": (_prices("close", 101.0), "no candle.*close 101"),
    "open below low": (_prices("open", 99.0), "no candle: open 99"),
    "volume negative": (_prices("volume", -1.0), "no candle.*volume -1"),
    "volume NaN": (_prices("volume", NAN), "no candle.*volume nan"),
    "bars unsorted": (_with(close_time=MARKET.close_time[[0, 2, 1]]), "Bar 2 closes at 2024-01-01T02.*not after"),
    "bar twice": (_with(close_time=MARKET.close_time[[0, 1, 1]]), "Bar 2 closes at"),
    "shape of a price": (_with(low=MARKET.low[:2]), r"low has the shape \(2, 1\)"),
    "shape of present": (_with(present=MARKET.present[:, [0, 0]]), r"present has the shape \(3, 2\)"),
    "instrument twice": (lambda: Market.of([make_candles(5), make_candles(5)]), "BTC-USDT 1d, BTC-USDT 1d"),
    "two timeframes": (
        lambda: Market.of([make_candles(5), make_candles(5, instrument="ETH-USDT", timeframe="1h")]),
        "BTC-USDT 1d, ETH-USDT 1h",
    ),
    "signals longer": (_wish(shape=(4, 1)), r"target has the shape \(4, 1\)"),
    "signals shorter": (_wish(shape=(2, 1)), r"target has the shape \(2, 1\)"),
    "signals of more instruments": (_wish(shape=(3, 2)), r"target has the shape \(3, 2\)"),
    "beside longer": (_wish(stop=np.full((4, 1), 90.0)), r"stop has the shape \(4, 1\)"),
    "kind of one column": (_wish(kind=np.zeros(3, dtype=np.int64)), r"kind has the shape \(3,\)"),
    "target infinite": (_wish(target=INFINITE), "infinite position"),
    "target minus infinite": (_wish(target=-INFINITE), "infinite position"),
    "limit wish without limit": (_wish(kind=1), "of a limit order has no limit"),
    "limit wish NaN": (_wish(kind=1, limit=NAN), "of a limit order has no limit"),
    "limit wish below zero": (_wish(kind=1, limit=-5.0), "of a limit order has no limit"),
    "stop wish at zero": (_wish(kind=2, trigger=0.0), "of a trigger order has no trigger"),
    "stop wish without trigger": (_wish(kind=2, limit=90.0), "of a trigger order has no trigger"),
    "stop-limit wish without limit": (_wish(kind=3, trigger=110.0), "has no limit"),
    "stop-limit wish without trigger": (_wish(kind=3, limit=110.0), "has no trigger"),
    "row without limit": (_rows(order(0, 1, "limit")), "A limit order has no limit"),
    "row with limit zero": (_rows(order(0, 1, "limit", limit=0.0)), "A limit order has no limit"),
    "row with limit infinite": (_rows(order(0, 1, "limit", limit=INFINITE)), "A limit order has no limit"),
    "take without limit": (_rows(order(0, 1), order(0, 1, "take")), "A take order has no limit"),
    "stop without trigger": (_rows(order(0, 1, "stop", limit=90)), "A stop order has no trigger"),
    "stop-limit without limit": (_rows(order(0, 1, "stop_limit", trigger=90)), "A stop_limit order has no limit"),
    "trailing without trail": (_rows(order(0, 1, "trailing")), "A trailing order has no trail"),
    "row of no quantity": (_rows(order(0, 0.0)), "no quantity"),
    "row of quantity NaN": (_rows(order(0, NAN)), "no quantity"),
    "row of quantity infinite": (_rows(order(0, INFINITE)), "no quantity"),
    "row beyond the bars": (_rows(order(3, 1)), "outside the market"),
    "row before the bars": (_rows(order(-1, 1)), "outside the market"),
    "rows unsorted": (_rows(order(0, 1), order(1, 1), bar=[1, 0]), "not sorted by bar"),
    "row of no instrument": (_rows(order(0, 1, instrument=1)), "instrument that is not there"),
    "row of instrument -1": (_rows(order(0, 1, instrument=-1)), "instrument that is not there"),
    "funding of another shape": (_costs(lambda: Costs(funding=np.zeros((3, 2)))), r"funding has the shape \(3, 2\)"),
    "funding NaN": (_costs(lambda: Costs(funding=np.full((3, 1), NAN))), "funding rate is not finite"),
    "sigma of another shape": (_costs(Costs, np.zeros((4, 1))), r"sigma has the shape \(4, 1\)"),
}
ODD_NAMES: dict[str, Fault] = {
    "kind of account": (lambda: Account(kind="croos"), "no kind of account named 'croos'"),  # type: ignore[arg-type]
    "order within the bar": (lambda: Execution(intrabar="wurst"), "named 'wurst'"),  # type: ignore[arg-type]
    "measure": (_wish(measure="weigth"), "no measure of a signal named 'weigth'"),
    "venue": (lambda: venue_of("binanse"), "no venue named 'binanse'"),
    "kind of order": (_says(Signal(0.5, kind="limmit")), "no kind of order named 'limmit'"),
    "time in force": (_says(Signal(0.5, tif="gtk")), "no time in force named 'gtk'"),
}
ODD_NUMBERS: dict[str, Fault] = {
    "kind of a wish": (_wish(kind=7), "number of a OrderKind named '7'"),
    "kind -1 of a wish": (_wish(kind=-1), "number of a OrderKind named '-1'"),
    "trailing as a wish": (_wish(kind=4), "number of a OrderKind named '4'"),
    "life of a wish": (_wish(tif=3), "number of a TimeInForce named '3'"),
    "kind of a row": (_rows(order(0, 1), kind=[6]), "number of a OrderKind named '6'"),
    "life of a row": (_rows(order(0, 1), tif=[-1]), "number of a TimeInForce named '-1'"),
}
ODD_REQUESTS: dict[str, Fault] = {
    "cash negative": (lambda: Account(-1.0), "begins with -1"),
    "cash zero": (lambda: Account(0.0), "begins with 0"),
    "cash NaN": (lambda: Account(NAN), "begins with nan"),
    "cash infinite": (lambda: Account(INFINITE), "begins with inf"),
    "cash account with leverage": (lambda: Account(1.0, "cash", 2.0), "cash account has a leverage of 2"),
    "leverage beyond the tiers": (lambda: Account(1.0, "cross", 126.0, BTC_PERPETUAL), "leverage is 126"),
    "leverage beyond the law": (lambda: Account(1.0, "cross", 3.0, (Tier(0.0, 0.25, 0.0, 2.0),)), "leverage is 3"),
    "leverage zero": (lambda: Account(1.0, "cross", 0.0), "leverage is 0"),
    "leverage negative": (lambda: Account(1.0, "isolated", -2.0), "leverage is -2"),
    "leverage infinite": (lambda: Account(1.0, "isolated", INFINITE), "leverage is inf"),
    "leverage NaN": (lambda: Account(1.0, "isolated", NAN), "leverage is nan"),
    "tiers not from zero": (lambda: Account(1.0, "cross", 1.0, (Tier(5.0, 0.1, 0.0, 9.0),)), "tiers .* do not rise"),
    "tiers unsorted": (
        lambda: Account(1.0, "cross", 1.0, (Tier(0, 0.1, 0, 9), Tier(9, 0.2, 0, 9), Tier(5, 0.3, 0, 9))),
        "tiers .* do not rise",
    ),
    "tier twice": (
        lambda: Account(1.0, "cross", 1.0, (Tier(0, 0.1, 0, 9), Tier(0, 0.2, 0, 9))),
        "tiers .* do not rise",
    ),
    "liquidation fee negative": (lambda: Account(liquidation_fee=-0.1), "liquidation_fee is -0.1"),
    "liquidation fee of all": (lambda: Account(liquidation_fee=1.0), "liquidation_fee is 1"),
    "liquidation fee NaN": (lambda: Account(liquidation_fee=NAN), "liquidation_fee is nan"),
    "call at zero": (lambda: Account(call_at=0.0), "call_at 0"),
    "call beyond one": (lambda: Account(call_at=1.1), "call_at 1.1"),
    "maker of all": (lambda: Costs(maker=1.0), "maker 1"),
    "taker in basis points": (lambda: Costs(taker=10.0), "taker 10"),
    "half spread of a half": (lambda: Costs(half_spread=0.5), "half_spread 0.5"),
    "latency negative": (lambda: Execution(latency=-1), "latency is -1"),
    "latency for ever": (lambda: Execution(latency=MOST_LATE + 1), f"latency is {MOST_LATE + 1}"),
    "participation beyond one": (lambda: Execution(participation=1.5), "participation is 1.5"),
    "slippage by volatility without one": (_costs(lambda: Costs(volatility_multiple=0.1)), "Slippage by volatility"),
    "root impact without one": (_costs(lambda: Costs(square_root_impact=0.1)), "Slippage by volatility"),
    "two wishes for one": (_says([Signal(0.5), None]), "answered 2 wishes"),
    "a weight that is none": (_says(Signal(NAN)), "weight wished is nan"),
    "a limit order without": (_says(Signal(0.5, kind="limit")), "A limit order has no limit"),
    "a stop order without": (_says(Signal(0.5, kind="stop_limit", limit=9.0)), "A stop_limit order has no trigger"),
}  # fmt: skip
ODD_REQUESTS |= {
    f"{name} {value}": (lambda n=name, v=value: Costs(**{n: v}), f"cost {name} is {value:g}")  # type: ignore[misc]
    for name in (
        "maker", "taker", "fee_per_unit", "smallest_fee", "half_spread", "volatility_multiple", "linear_impact",
        "square_root_impact", "borrow", "interest",
    )
    for value in (-0.001, NAN, INFINITE)
}  # fmt: skip
ODD_REQUESTS |= {
    f"{name} {value}": (lambda n=name, v=value: Execution(**{n: v}), f"{name} is {value:g}")  # type: ignore[misc]
    for name in ("participation", "band", "lot", "smallest")
    for value in (-0.1, NAN, INFINITE)
}


def _refused(fault: Fault, kind: type[ForecastleError]) -> ForecastleError:
    """Return the error, after a look at its class and its three lines."""
    with pytest.raises(kind, match=fault[1]) as caught:
        fault[0]()
    error = caught.value
    assert type(error) is kind
    for line in (error.what, error.why, error.hint):
        assert line.strip()
        assert "\n" not in line
        assert line.rstrip().endswith((".", "?"))
    assert len({error.what, error.why, error.hint}) == 3
    return error


@pytest.mark.parametrize("name", ODD_DATA)
def test_data_that_does_not_fit_is_refused(name: str) -> None:
    _refused(ODD_DATA[name], DataInvalid)


@pytest.mark.parametrize("name", ODD_REQUESTS)
def test_a_request_that_makes_no_sense_is_refused(name: str) -> None:
    _refused(ODD_REQUESTS[name], RequestInvalid)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_unknown_name_is_answered_by_the_nearest(name: str) -> None:
    assert _refused(ODD_NAMES[name], NameUnknown).hint.startswith("Did you mean '")


@pytest.mark.parametrize("name", ODD_NUMBERS)
def test_an_unknown_number_is_answered_by_those_there_are(name: str) -> None:
    """``trailing`` and ``take`` have numbers, and are no wishes: nothing is asked beside them."""
    assert "0 (" in _refused(ODD_NUMBERS[name], NameUnknown).why


def test_nothing_to_trade() -> None:
    _refused((lambda: Market.of([]), "nothing to trade"), DataMissing)


@pytest.mark.parametrize(
    "fine",
    [
        lambda: Account(1.0, "cross", 125.0, BTC_PERPETUAL),
        lambda: Account(liquidation_fee=0.0, call_at=1.0),
        lambda: Costs(maker=0.999, half_spread=0.499),
        lambda: Execution(latency=MOST_LATE, participation=1.0),
        _wish(kind=[[1], [0], [1]], limit=[[NAN], [NAN], [99.0]], target=[[NAN], [1.0], [1.0]]),
        _rows(order(2, 1)),
        _costs(lambda: Costs(volatility_multiple=0.1), np.full((3, 1), NAN)),
    ],
)
def test_what_lies_on_the_edge_is_taken(fine: Callable[[], Any]) -> None:
    """So that the refusals above are for the fault they name: the same a step inside goes through."""
    assert fine() is not None


def test_a_market_says_nothing_about_bars_that_are_not_there() -> None:
    """NaN is what an absent bar is made of."""
    market = market_of([(100, 101, 99, 100), None], still(50, 2))
    assert np.isnan(market.close[1, 0])
    assert len(market) == 2
