"""The pooled log-HAR: what peers are good for, and that it does without a history of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecastle.errors import ForecastRefused
from forecastle.models._design import design_of
from forecastle.models._regression import Ridge
from forecastle.models.har import LogHar
from forecastle.models.pooled import PooledHar
from forecastle.nouns import History
from forecastle.scoring.forecast import qlike
from hourly import hourly_market


@pytest.fixture(scope="module")
def market() -> History:
    peers = tuple(hourly_market(f"{name}-USDT", 500, k) for k, name in enumerate(("ETH", "SOL", "ADA", "XRP"), 2))
    return replace(hourly_market("BTC-USDT", 500, 1), peers=peers)


def test_peers_help_where_there_is_little_history(market: History) -> None:
    """All markets are of one kind: with a few months of its own an instrument gains from what the others teach."""
    assert market.finer is not None
    young = replace(market, candles=market.candles.last(260))
    n = len(young.returns)
    window = 160
    target = design_of(young).target[window:]
    alone = LogHar().path(young, window, 5).realised[window:n]
    pooled = PooledHar().path(young, window, 5).realised[window:n]
    assert qlike(target, np.sqrt(pooled)) < qlike(target, np.sqrt(alone))


@pytest.mark.parametrize("bars", [3, 10, 40])
def test_an_instrument_without_history_of_its_own_is_forecast(market: History, bars: int) -> None:
    """Its level from a few bars, the rest from its peers; the log-HAR alone refuses."""
    young = replace(market, candles=market.candles.last(bars))
    made = PooledHar().fit(young).forecast(5)
    whole = PooledHar().fit(market).forecast(5)
    assert 0.4 < made.sigma / whole.sigma < 2.5
    with pytest.raises(ForecastRefused, match=f"{bars - 1} returns"):
        LogHar().fit(young)


def test_without_peers_it_is_the_log_har(market: History) -> None:
    alone = replace(market, peers=())
    ours = PooledHar().path(alone, 300, 20).variance[300:]
    single = LogHar().path(alone, 300, 20).variance[300:]
    np.testing.assert_array_equal(ours, single)


def test_peers_of_no_weight_teach_nothing(market: History) -> None:
    """With weight zero only the terms of the market differ from the log-HAR; with all weight, the peers decide."""
    ours = PooledHar(Ridge(peer_weight=0.0)).path(market, 300, 20).variance[300:]
    theirs = PooledHar(Ridge(peer_weight=1e6)).path(market, 300, 20).variance[300:]
    single = LogHar().path(market, 300, 20).variance[300:]
    assert np.abs(np.log(ours / single)).mean() < np.abs(np.log(theirs / single)).mean()


def test_a_peer_of_another_market_day_is_taken_as_last_closed(market: History) -> None:
    """Peers whose bars end before ours, or long ago, leave the rows finite."""
    old = hourly_market("LTC-USDT", 100, 9)
    mixed = replace(market, peers=(old, *market.peers[:1]))
    path = PooledHar().path(mixed, 300, 20)
    assert np.isfinite(path.variance[300:]).all()
