"""A home with features of everything, and a real Redis on a free port."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from features.feature_series import METRICS, observations
from forecastle.app.build_features import build_table
from forecastle.clock import FixedClock
from forecastle.nouns import Candles
from forecastle.requests import FeaturesRequest, build
from forecastle.settings import load_settings
from forecastle.workspace import Workspace
from making import NOW, make_candles

BARS = 340


class RedisServer:
    """A server of Debian's redis-server that can be stopped and started again, on one port."""

    def __init__(self, folder: Path, password: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._folder, self._password = folder, password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        signs_in = f":{self._password}@" if self._password else ""
        return f"redis://{signs_in}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        words = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        words += ["--requirepass", self._password] if self._password else []
        self._process = subprocess.Popen(words, cwd=self._folder, stdout=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def eth_days(count: int) -> Candles:
    """Return the first days of one path: a longer one begins with the shorter."""
    whole = make_candles(400, instrument="ETH-USDT", seed=3)
    return replace(whole, frame=whole.frame.head(count))


def opened(home: Path, online: str | None = None, at: datetime = NOW) -> Workspace:
    environment = {} if online is None else {"FORECASTLE__STORE__ONLINE": online}
    settings, origins = load_settings(home, environment, home)
    return Workspace(settings, tuple(origins), FixedClock(at))


def request_for(instrument: str) -> FeaturesRequest:
    return build(FeaturesRequest, instrument=instrument)


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a coin that has everything beside it, its benchmark, and their tables; tests take a copy."""
    home = tmp_path_factory.mktemp("store") / "home"
    workspace = Workspace.open(home, FixedClock(NOW))
    workspace.lake.write(eth_days(BARS))
    workspace.lake.write(make_candles(BARS, seed=4))
    for seed, name in enumerate(METRICS):
        workspace.lake.observe(observations(name, BARS + 40, seed=seed))
    for name, who in (("fear_greed", "BTC-USD"), ("funding_rate", "ETH-USDT-PERP"), ("close", "VIX.INDEX")):
        workspace.lake.observe(observations(name, BARS + 40, instrument=who))
    for instrument in ("ETH-USDT", "BTC-USDT"):
        build_table(workspace, request_for(instrument))
    return home


@pytest.fixture
def own_home(built_home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built_home, tmp_path / "own"))


@pytest.fixture(params=["sqlite", "redis"])
def workspace_of_each(request: pytest.FixtureRequest, own_home: Path) -> Workspace:
    if request.param == "sqlite":
        return opened(own_home)
    server: RedisServer = request.getfixturevalue("redis_server")
    return opened(own_home, server.url)
