"""One line for all that random cases come to: the same everywhere, or something depends on where it runs."""

from __future__ import annotations

import hashlib
import sys

import numpy as np

from backtest.markets_made import random_case
from forecastle.backtest import Simulated, simulate


def digest(out: Simulated) -> str:
    """Return a hash of every number to the last bit. NaN has many bit patterns and counts as one."""
    whole = hashlib.sha256()
    for name in ("equity", "position", "margin_ratio", "fills", "orders"):
        values = np.ascontiguousarray(getattr(out, name))
        whole.update(repr(values.shape).encode())
        whole.update(np.where(np.isnan(values), np.nan, values).tobytes())
    costs = {name: float(value).hex() for name, value in out.costs.items()}
    whole.update(repr((costs, sorted(out.not_made.items()), out.calls, out.liquidations)).encode())
    return whole.hexdigest()


def digests(seeds: range) -> list[str]:
    return [digest(simulate(*random_case(seed))) for seed in seeds]


if __name__ == "__main__":
    print("\n".join(digests(range(int(sys.argv[1]), int(sys.argv[2])))))
