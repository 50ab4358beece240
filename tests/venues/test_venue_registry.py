"""Names of sources, what is known of them without asking, and the server as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from forecastle.clock import SystemClock
from forecastle.errors import NameUnknown, SourceLimited
from forecastle.nouns import Instrument
from forecastle.ports import Line
from forecastle.sources import EXCHANGES, facts_of, open_source, source_names
from forecastle.sources._traits import TRAITS
from forecastle.sources.bundled import Bundled
from forecastle.sources.simulated import Simulated

TESTS = Path(__file__).parents[1]
LINE = Line(SystemClock(), lambda _: None)


@pytest.mark.parametrize("name", ["binance", "kraken", "gate", "bundled", "simulated", "yahoo", "coingecko"])
def test_a_source_is_opened_by_its_name_and_says_what_it_is(name: str) -> None:
    source = open_source(name, LINE)
    assert source.name == name
    facts = facts_of(name)
    assert facts == source.facts
    assert all((facts.title, facts.history, facts.limits, facts.licence))


@pytest.mark.parametrize(("wrong", "near"), [("binnance", "binance"), ("krakn", "kraken"), ("bitfinx", "bitfinex")])
def test_a_wrong_name_gets_the_nearest_of_all(wrong: str, near: str) -> None:
    with pytest.raises(NameUnknown) as raised:
        open_source(wrong, LINE)
    assert near in raised.value.hint
    assert len(raised.value.why) < 300


def test_sources_to_fall_back_on_exist() -> None:
    for name in source_names():
        for other in facts_of(name).fall_back:
            assert other in source_names()
            assert other != name
    assert facts_of("binance").fall_back == ("okx",)


def test_every_exchange_that_was_tried_is_offered() -> None:
    assert tuple(TRAITS) == EXCHANGES


def test_names_and_facts_cost_no_exchange_library() -> None:
    code = (
        "import sys; from forecastle.sources import source_names, facts_of; source_names(); facts_of('binance');"
        "print([m for m in ('ccxt', 'requests', 'curl_cffi', 'yfinance') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_on_this_machine_comes_in_one_page() -> None:
    spx = Instrument.parse("SPX.INDEX")
    (page,) = Bundled().pages(spx, "1d", None, None)
    assert page.rows.equals(Bundled().fetch(spx, "1d", None, None).frame)
    assert page.until == page.rows["close_time"][-1]
    with pytest.raises(SourceLimited):
        list(Bundled().pages(spx, "1h", None, None))
    (made,) = Simulated(7).pages(spx, "1d", None, None)
    assert made.rows.equals(Simulated(7).fetch(spx, "1d", None, None).frame)


@pytest.mark.enable_socket
def test_the_server_runs_as_a_process() -> None:
    script = json.dumps([{"kind": "503", "match": "klines"}])
    command = [sys.executable, "-m", "venues.fault_server", "--script", script, "--now", "2024-06-01T12:00+00:00"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            with urllib.request.urlopen(f"{url}/api.binance.com/api/v3/time") as answer:
                assert json.load(answer) == {"serverTime": 1717243200000}
        finally:
            server.terminate()
