"""What a model is given beside the candles: finer bars, the VIX, peers; cut, bounded, and only when wanted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecastle.app.history import PEERS, history_of
from forecastle.nouns import Candles
from forecastle.ports import Extra
from forecastle.requests import SeriesRequest, build
from forecastle.workspace import Workspace
from hourly import hourly_market, vix_beside
from making import make_candles, utc

ALL: frozenset[Extra] = frozenset({"finer", "observations", "peers"})


def _request(instrument: str, **fields: object) -> SeriesRequest:
    return build(SeriesRequest, instrument=instrument, **fields)


@pytest.fixture
def coins(workspace: Workspace) -> Workspace:
    for seed, name in enumerate(("BTC-USDT", "ETH-USDT", "SOL-USDT")):
        market = hourly_market(name, 60 - 10 * seed, seed)
        assert market.finer is not None
        workspace.lake.write(market.candles)
        workspace.lake.write(market.finer)
    workspace.lake.write(make_candles(500, instrument="BTC-USDT", timeframe="5m", start="2022-01-01"))
    workspace.lake.write(make_candles(60, instrument="AAPL", start="2022-01-03"))
    workspace.lake.write(make_candles(60, instrument="DOGE-USDT", source="simulated", start="2022-01-01"))
    return workspace


def test_nothing_is_read_that_is_not_wanted(coins: Workspace) -> None:
    history = history_of(coins, _request("BTC-USDT"), frozenset())
    assert (history.finer, history.observations, history.peers) == (None, (), ())
    assert history_of(coins, _request("BTC-USDT"), frozenset({"finer"})).peers == ()


def test_hours_and_peers_are_found(coins: Workspace) -> None:
    """Hours cover all days, five minutes two of them; a stock and a made-up coin are no peers of a coin."""
    history = history_of(coins, _request("BTC-USDT"), ALL)
    assert history.finer is not None
    assert history.finer.timeframe == "1h"
    assert [str(p.candles.instrument) for p in history.peers] == ["ETH-USDT", "SOL-USDT"]
    assert all(p.finer is not None and p.finer.instrument == p.candles.instrument for p in history.peers)
    assert history.observations == ()


def test_all_of_it_ends_where_the_candles_end(coins: Workspace) -> None:
    end = utc(2022, 1, 20)
    history = history_of(coins, _request("BTC-USDT", end=end), ALL)
    assert history.finer is not None
    ends = [history.candles.end, history.finer.end, *(p.candles.end for p in history.peers)]
    assert ends == [end] * 4
    early = history_of(coins, _request("ETH-USDT", end=end), ALL)
    assert early.candles.end == end


def test_the_vix_is_for_markets_with_sessions(coins: Workspace) -> None:
    stock = coins.lake.read(coins.lake.resolve(_request("AAPL").instrument, "1d", None))
    coins.lake.observe(vix_beside(stock))
    coins.lake.observe(replace(vix_beside(stock, 6), source="other"))
    history = history_of(coins, _request("AAPL", end=stock.frame["close_time"][30]), ALL)
    assert [len(o) for o in history.observations] == [31, 31]
    assert history_of(coins, _request("BTC-USDT"), ALL).observations == ()


def test_peers_are_the_longest_and_not_many(workspace: Workspace) -> None:
    lengths = np.random.default_rng(1).permutation(np.arange(20, 35))
    for number, n in enumerate(lengths.tolist()):
        workspace.lake.write(make_candles(n, instrument=f"C{number:02d}-USDT", start="2022-01-01"))
    workspace.lake.write(make_candles(40, instrument="BTC-USDT", start="2022-01-01"))
    peers = history_of(workspace, _request("BTC-USDT"), ALL).peers
    left = sorted(set(lengths.tolist()) - {len(p) for p in peers})
    assert len(peers) == PEERS
    assert min(len(p) for p in peers) > max(left) - 4, "by overlap in tenths of 40 bars"


def test_closes_alone_have_no_ranges_to_lend(workspace: Workspace) -> None:
    workspace.lake.write(make_candles(40, instrument="BTC-USDT", start="2022-01-01"))
    other = make_candles(40, instrument="ETH-USDT", start="2022-01-01")
    frame = other.frame.with_columns(open="close", high="close", low="close")
    workspace.lake.write(Candles(other.instrument, "1d", "test", frame, "none", "close"))
    assert history_of(workspace, _request("BTC-USDT"), ALL).peers == ()
