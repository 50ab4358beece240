"""Who trades the tables worked out by hand: the compiled engine, and the twin it is compared with."""

from __future__ import annotations

from typing import cast

import pytest

from backtest import twin
from backtest.tables_made import Engine
from forecastle.backtest import simulate


@pytest.fixture(params=[simulate, twin.run], ids=["engine", "twin"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return both, one after the other: a table that only one of them keeps is a table that is wrong."""
    return cast("Engine", request.param)
