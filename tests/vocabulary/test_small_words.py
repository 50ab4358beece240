"""Errors, units, clocks, registries and requests: the small rules everything else leans on."""

from __future__ import annotations

import math
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from forecastle import errors
from forecastle.clock import FixedClock, SystemClock
from forecastle.errors import ForecastleError, NameUnknown, RequestInvalid
from forecastle.registry import Registry
from forecastle.requests import (
    CompareRequest,
    FetchRequest,
    ForecastRequest,
    ImportRequest,
    ModelSpec,
    Request,
    RollingRequest,
    SeriesRequest,
    build,
)  # fmt: skip
from forecastle.units import annualise, percent, to_bps


def _tree(root: type[ForecastleError] = ForecastleError) -> list[type[ForecastleError]]:
    return [root, *(c for child in root.__subclasses__() for c in _tree(child))]


def test_every_error_has_its_own_code_and_the_exit_code_of_its_branch() -> None:
    """0 is success and never an error; 2 to 6 are the branches: ask anew, configure, data, wait, refused."""
    ours = [c for c in _tree() if c.__module__ == errors.__name__]
    assert len({c.code for c in ours}) == len(ours)
    branches = {
        errors.RequestInvalid: 2, errors.ConfigurationError: 3, errors.DataError: 4,
        errors.UpstreamError: 5, errors.CheckFailed: 6,
    }  # fmt: skip
    for kind in ours:
        branch = [number for base, number in branches.items() if issubclass(kind, base)]
        assert kind.exit_code == (branch[0] if branch else 1)
        assert 400 <= kind.http_status < 600


def test_a_message_is_what_why_and_what_to_do() -> None:
    error = errors.DataInvalid("What.", "Why.", "Do.")
    assert str(error) == "What.\nWhy.\nDo."
    assert str(errors.DataInvalid("What.", "", "Do.")) == "What.\nDo."
    assert error.document() == {"code": "data_invalid", "what": "What.", "why": "Why.", "hint": "Do.", "exit_code": 4}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("grach", "Did you mean 'garch'?"),
        ("XNYZ", "Did you mean 'XNYS'?"),
        ("zzz", "Choose one of: XNYS, garch, naive."),
    ],
)
def test_an_unknown_name_gets_the_nearest_known_one_in_its_own_spelling(name: str, hint: str) -> None:
    error = NameUnknown("model", name, ["naive", "garch", "XNYS"])
    assert error.hint == hint
    assert "XNYS, garch, naive" in error.why


def test_a_plug_in_is_imported_when_it_is_asked_for() -> None:
    registry = Registry("toy", {"this": "colorsys:hls_to_rgb"})
    sys.modules.pop("colorsys", None)
    assert list(registry) == ["this"]
    assert "this" in registry
    assert "colorsys" not in sys.modules
    import colorsys

    assert registry.load("this") is colorsys.hls_to_rgb
    with pytest.raises(NameUnknown, match="no toy named 'thsi'") as refused:
        registry.load("thsi")
    assert refused.value.hint == "Did you mean 'this'?"


def test_a_clock_tells_utc() -> None:
    tokyo = datetime(2026, 1, 1, 9, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert FixedClock(tokyo).now() == datetime(2026, 1, 1, tzinfo=UTC)
    assert FixedClock(tokyo).now().utcoffset() == timedelta(0)
    assert SystemClock().now().utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="no time zone"):
        FixedClock(datetime(2026, 1, 1))  # noqa: DTZ001


def test_units() -> None:
    assert annualise(0.01, 365.0) == 0.01 * math.sqrt(365.0)
    assert to_bps(0.0001) == 1.0
    assert (percent(0.0123), percent(-0.5, 0), percent(None), percent(math.nan)) == ("1.23 %", "-50 %", "n/a", "n/a")
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="positive and finite"):
            annualise(0.01, wrong)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T12:00Z", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("2024-01-31T12:00", datetime(2024, 1, 31, 12, tzinfo=UTC)),
        ("2024-01-31T12:00+09:00", datetime(2024, 1, 31, 3, tzinfo=UTC)),
        (date(2024, 1, 31), datetime(2024, 1, 31, tzinfo=UTC)),
        (datetime(2024, 1, 31, 12, tzinfo=ZoneInfo("America/New_York")), datetime(2024, 1, 31, 17, tzinfo=UTC)),
    ],
)
def test_a_moment_is_utc_however_it_is_written(written: object, meant: datetime) -> None:
    start = build(SeriesRequest, instrument="btcusdt", start=written).start
    assert start == meant
    assert start is not None
    assert start.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        (SeriesRequest, {"start": "31.01.2024"}, "start is '31.01.2024'.\nWrite it like 2024-01-31"),
        (SeriesRequest, {"start": "0001-01-01T00:00+05:00"}, "outside the years 1 to 9999"),
        (SeriesRequest, {"end": "9999-12-31T23:00-05:00"}, "outside the years 1 to 9999"),
        (SeriesRequest, {"start": "2024-02-01", "end": "2024-01-01"}, "Start 2024-02-01 has to lie before end"),
        (SeriesRequest, {"start": "2024-02-01", "end": "2024-02-01"}, "has to lie before"),
        (SeriesRequest, {"timeframe": "2d"}, "timeframe is '2d'"),
        (SeriesRequest, {"instrument": "BTC USDT"}, "'BTC USDT' is not the name of an instrument"),
        (SeriesRequest, {"colour": "red"}, "colour"),
        (ForecastRequest, {"horizon": 0}, "horizon is 0"),
        (ForecastRequest, {"horizon": 251}, "horizon is 251"),
        (ForecastRequest, {"window": 249}, "window is 249"),
        (RollingRequest, {"level": 0.5}, "level is 0.5"),
        (RollingRequest, {"level": math.nan}, "level is nan"),
        (RollingRequest, {"level": 0.0}, "level is 0.0"),
        (CompareRequest, {"refit_every": 0}, "refit_every is 0"),
        (RollingRequest, {"model": {"name": "garch", "p": 4}}, "model.p is 4"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_refused_with_field_value_and_rule(
    kind: type[Request], fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestInvalid) as refused:
        build(kind, **{"instrument": "BTC-USDT", **fields})
    assert words in str(refused.value)


def test_a_request_does_not_change_once_built() -> None:
    request = build(SeriesRequest, instrument="AAPL")
    with pytest.raises(ValueError, match="frozen"):
        request.timeframe = "1h"


def test_fetch_and_import_requests_read_their_fields() -> None:
    fetch = build(FetchRequest, instruments=("^GSPC", "btcusdt"), sources="bundled")
    assert [i.id for i in fetch.instruments] == ["SPX.INDEX", "BTC-USDT"]
    with pytest.raises(RequestInvalid, match="instruments"):
        build(FetchRequest, instruments=(), sources="bundled")
    with pytest.raises(RequestInvalid, match="seed is -1"):
        build(FetchRequest, instruments=("AAPL",), sources="simulated", seed=-1)
    asked = build(ImportRequest, path="a/b.csv", instrument="AAPL")
    assert (asked.path, asked.source, asked.dry_run) == (Path("a/b.csv"), "file", False)
    assert ModelSpec().name == "garch"
