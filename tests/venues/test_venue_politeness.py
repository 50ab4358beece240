"""The limiter: waits that venues ask for, attempts, deadlines; no second of real time is waited for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest

from forecastle.errors import UpstreamError, UpstreamRefused
from forecastle.ports import Line, Patience
from forecastle.sources._bans import Ban, recall, remember
from forecastle.sources._polite import Venue, venue_of
from forecastle.sources._wire import through
from venues.fault_server import Asked, Fault, FaultServer, Reply, Twist, World
from venues.venue_time import MovedClock

URL = "https://api.example.org/v1/bars"
pytestmark = pytest.mark.enable_socket


def _answer(asked: Asked, world: World, twist: Twist) -> Reply:
    return Reply.json({"path": asked.path, "query": asked.query})


def _serve(clock: MovedClock, *script: Fault) -> FaultServer:
    return FaultServer(World(clock.seconds), {"api.example.org": _answer}, script, drip_seconds=0.01)


def _venue(clock: MovedClock, server: FaultServer, folder: Path, patience: Patience | None = None) -> Venue:
    line = Line(clock, clock.sleep, server.url, folder, patience or Patience(request=0.3, seed=3, answer=100_000))
    return venue_of(line, "example", interval=0.5)


def _gaps(server: FaultServer) -> list[float]:
    return [later.at - earlier.at for earlier, later in pairwise(server.asked)]


def test_requests_keep_the_least_interval_and_go_through_the_gateway(tmp_path: Path) -> None:
    clock = MovedClock()
    with _serve(clock) as server:
        venue = _venue(clock, server, tmp_path)
        answers = [venue.get(URL, {"symbol": f"A/{n}"}).json() for n in range(3)]
    assert answers[2] == {"path": "/v1/bars", "query": {"symbol": "A/2"}}
    assert _gaps(server) == pytest.approx([0.5, 0.5])


def test_two_sources_of_one_venue_share_its_limiter(tmp_path: Path) -> None:
    clock = MovedClock()
    with _serve(clock, Fault("429", retry_after="30")) as server:
        one = _venue(clock, server, tmp_path)
        two = venue_of(one.line, "example")
        one.get(URL, {"symbol": "A"})
        two.get(URL, {"symbol": "B"})
    assert one is two
    assert _gaps(server)[0] >= 30
    assert _gaps(server)[1] == pytest.approx(0.5)


@pytest.mark.parametrize("status", ["429", "418"])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_after_retry_after_nothing_comes_early(tmp_path: Path, status: str, form: str) -> None:
    clock = MovedClock()
    until = clock.now() + timedelta(seconds=60)
    told = "60" if form == "seconds" else format_datetime(until, usegmt=True)
    with _serve(clock, Fault(status, retry_after=told)) as server:
        _venue(clock, server, tmp_path).get(URL)
    assert len(server.asked) == 2
    assert server.asked[1].at >= until.timestamp()


def test_a_date_is_read_by_the_clock_of_the_venue(tmp_path: Path) -> None:
    """This machine is an hour ahead: by its own clock the moment to come back is long past."""
    clock, ahead = MovedClock(), MovedClock()
    ahead.moment = clock.moment + timedelta(hours=1)
    told = format_datetime(clock.now() + timedelta(seconds=40), usegmt=True)
    with _serve(clock, Fault("429", retry_after=told)) as server:
        _venue(ahead, server, tmp_path).get(URL)
    assert sum(ahead.slept) >= 39


@pytest.mark.parametrize("told", ["soon", "-5", "nan", "", "1e999", "Mon, 99 Foo 2024 00:00:00 GMT"])
def test_a_limit_without_a_usable_moment_backs_off_further_each_time(tmp_path: Path, told: str) -> None:
    clock = MovedClock()
    with _serve(clock, Fault("429", times=4, retry_after=told)) as server:
        _venue(clock, server, tmp_path).get(URL)
    gaps = _gaps(server)
    assert len(gaps) == 4
    assert all(gap >= 2**number for number, gap in enumerate(gaps))


def test_a_long_ban_names_its_end_and_outlives_the_process(tmp_path: Path) -> None:
    clock = MovedClock()
    with _serve(clock, Fault("429", retry_after="3600")) as server:
        with pytest.raises(UpstreamError, match="wants no request before 2024-06-01 13:00:30 UTC"):
            _venue(clock, server, tmp_path).get(URL)
        clock.sleep(1800)
        with pytest.raises(UpstreamError, match="13:00:30") as raised:
            _venue(clock, server, tmp_path).get(URL)
        assert raised.value.exit_code == 5
        assert len(server.asked) == 1, "the second process asked, although it was told to wait"
        clock.sleep(1790)
        _venue(clock, server, tmp_path).get(URL)
    assert server.asked[-1].at >= server.asked[0].at + 3600


def test_a_long_418_is_a_refusal(tmp_path: Path) -> None:
    clock = MovedClock()
    with (
        _serve(clock, Fault("418", retry_after="259200")) as server,
        pytest.raises(UpstreamRefused, match="2024-06-04"),
    ):
        _venue(clock, server, tmp_path).get(URL)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"said": 1, "until": 2, "why": "x"}', "[" * 100_000,
        '{"said": "2024-06-01T00:00:00+00:00", "until": "9999-01-01T00:00:00+00:00", "why": "absurd"}',
        '{"said": "2024-06-02T00:00:00+00:00", "until": "2024-06-01T00:00:00+00:00", "why": "backwards"}',
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_no_ban(tmp_path: Path, text: str) -> None:
    (tmp_path / "example.json").write_text(text)
    assert recall(tmp_path, "example") is None


def test_a_ban_comes_back_from_its_file_and_a_clock_set_back_does_not_lengthen_it(tmp_path: Path) -> None:
    said = datetime(2024, 6, 1, 12, tzinfo=UTC)
    ban = Ban(said, said + timedelta(seconds=90), "HTTP 429")
    remember(tmp_path, "example", ban)
    assert recall(tmp_path, "example") == ban
    assert ban.seconds_left(said + timedelta(seconds=30)) == 60
    assert ban.seconds_left(said - timedelta(days=300)) == 90
    assert [path.name for path in tmp_path.iterdir()] == ["example.json"]
    assert set(json.loads((tmp_path / "example.json").read_text())) == {"said", "until", "why"}


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = datetime(2024, 6, 1, 12, tzinfo=UTC)
    remember(tmp_path / "file", "example", Ban(said, said + timedelta(seconds=90), "x"))
    assert recall(tmp_path / "file", "example") is None


@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "html", "empty", "cut_json", "cut_gzip", "reset", "drip"])
def test_a_fault_that_passes_is_outlasted_and_one_that_stays_is_named(tmp_path: Path, kind: str) -> None:
    clock = MovedClock()
    patience = Patience(request=0.15, seed=3, attempts=4)
    with _serve(clock, Fault(kind, times=2), Fault(kind, at=3, times=99)) as server:
        venue = _venue(clock, server, tmp_path, patience)
        assert venue.get(URL).json()["path"] == "/v1/bars"
        with pytest.raises(UpstreamError, match="example does not answer as it should") as raised:
            venue.get(URL)
    # libcurl itself repeats a request once on a kept connection that dies without a word.
    assert len(server.asked) - 7 in ((0, 1) if kind == "reset" else (0,))
    assert "asked 4 times" in raised.value.why
    assert all("\n" not in line for line in (raised.value.what, raised.value.why, raised.value.hint))


def test_attempts_end_when_their_time_is_up(tmp_path: Path) -> None:
    clock = MovedClock()
    patience = Patience(request=0.3, seed=3, attempts=1000, total=100)
    with _serve(clock, Fault("503", times=9999)) as server, pytest.raises(UpstreamError, match="HTTP 503"):
        _venue(clock, server, tmp_path, patience).get(URL)
    assert 100 < sum(clock.slept) < 100 + 2 * 60
    assert len(server.asked) < 30


@pytest.mark.parametrize("status", ["401", "403", "451"])
def test_a_refusal_is_not_asked_twice(tmp_path: Path, status: str) -> None:
    clock = MovedClock()
    with _serve(clock, Fault(status, times=9)) as server, pytest.raises(UpstreamRefused, match=status):
        _venue(clock, server, tmp_path).get(URL)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("location", "named"),
    [
        ("https://login.example.net/portal", "login.example.net"),
        ("http://api.example.org/v1/bars", "redirects us from api.example.org"),
        ("//evil.example.net/v1/bars", "evil.example.net"),
    ],
)
def test_a_redirect_to_another_host_is_refused(tmp_path: Path, location: str, named: str) -> None:
    clock = MovedClock()
    script = Fault("redirect", location=location, times=9)
    with _serve(clock, script) as server, pytest.raises(UpstreamError, match=named):
        _venue(clock, server, tmp_path).get(URL)
    assert len(server.asked) == 1


def test_a_redirect_on_the_same_host_is_followed_but_not_for_ever(tmp_path: Path) -> None:
    clock = MovedClock()
    with _serve(clock, Fault("redirect", location="/v2/bars"), Fault("redirect", match="loop", times=99)) as server:
        server.script[1] = replace(server.script[1], location="/loop")
        venue = _venue(clock, server, tmp_path)
        assert venue.get(URL).json()["path"] == "/v2/bars"
        with pytest.raises(UpstreamError, match="from one address to the next"):
            venue.get("https://api.example.org/loop")


def test_an_answer_above_the_bound_is_refused(tmp_path: Path) -> None:
    clock = MovedClock()
    with _serve(clock, Fault("huge", times=9)) as server, pytest.raises(UpstreamError, match="MiB"):
        _venue(clock, server, tmp_path).get(URL)
    assert len(server.asked) == 1


def test_a_clock_that_stands_still_waits_no_longer_each_time(tmp_path: Path) -> None:
    clock, slept = MovedClock(), list[float]()
    with _serve(clock, Fault("429", at=1, retry_after="20")) as server:
        line = Line(clock, slept.append, server.url, tmp_path, Patience(seed=1))
        venue = venue_of(line, "example", interval=0.5)
        for _ in range(4):
            venue.get(URL)
    assert max(slept) == pytest.approx(20)
    assert sum(slept) < 25


def test_the_gateway_carries_the_host_in_its_path() -> None:
    assert through("http://here:1/g/", "https://a.b:8/c/d?e=f%2F1") == "http://here:1/g/a.b:8/c/d?e=f%2F1"
    assert through(None, "https://a.b/c") == "https://a.b/c"
