"""The networks behind the sequence learners: small, and with as many numbers out as the task needs."""

from __future__ import annotations

import math
from typing import Any

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The probabilities of the quantile heads of a number."""
KINDS = ("lstm", "gru", "transformer")


def network(kind: str, columns: int, hidden: int, layers: int, dropout: float, outputs: int, length: int) -> Any:
    """Return a module from windows (batch, length, columns) to (batch, outputs), its weights drawn by torch's state."""
    import torch
    from torch import nn

    class Recurrent(nn.Module):
        """A projection, a recurrent network, and a line from its last state."""

        def __init__(self) -> None:
            super().__init__()
            self.inward = nn.Linear(columns, hidden)
            cell = nn.LSTM if kind == "lstm" else nn.GRU
            self.core = cell(hidden, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
            self.drop = nn.Dropout(dropout)
            self.outward = nn.Linear(hidden, outputs)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Return what is said of each window."""
            states, _ = self.core(torch.tanh(self.inward(x)))
            found: torch.Tensor = self.outward(self.drop(states[:, -1]))
            return found

    class Attention(nn.Module):
        """A projection with places, an encoder that looks back only, and a line from its last state."""

        def __init__(self) -> None:
            super().__init__()
            self.inward = nn.Linear(columns, hidden)
            layer = nn.TransformerEncoderLayer(hidden, 2, 2 * hidden, dropout, batch_first=True, norm_first=True)
            self.core = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
            self.norm = nn.LayerNorm(hidden)
            self.outward = nn.Linear(hidden, outputs)
            self.places: torch.Tensor
            self.mask: torch.Tensor
            self.register_buffer("places", _places(length, hidden), persistent=False)
            mask = torch.triu(torch.ones(length, length, dtype=torch.bool), diagonal=1)
            self.register_buffer("mask", mask, persistent=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Return what is said of each window."""
            states = self.core(self.inward(x) + self.places, mask=self.mask)
            found: torch.Tensor = self.outward(self.norm(states[:, -1]))
            return found

    return Attention() if kind == "transformer" else Recurrent()


def _places(length: int, hidden: int) -> Any:
    """Return sines and cosines by place, shape (length, hidden) (Vaswani et al. 2017, NeurIPS 30)."""
    import torch

    place = torch.arange(length, dtype=torch.float32)[:, None]
    speed = torch.exp(torch.arange(0, hidden, 2, dtype=torch.float32) * (-math.log(10_000.0) / hidden))
    found = torch.zeros(length, hidden)
    found[:, 0::2] = torch.sin(place * speed)
    found[:, 1::2] = torch.cos(place * speed[: hidden // 2])
    return found


def heads(raw: Any) -> Any:
    """Return the mean and the quantiles of a number, shape (batch, 1 + quantiles); quantiles never cross.

    The first quantile is free, every later one lies above the one before by a softplus.
    """
    import torch

    steps = torch.nn.functional.softplus(raw[:, 2:])
    quantiles = torch.cat([raw[:, 1:2], raw[:, 1:2] + torch.cumsum(steps, dim=1)], dim=1)
    return torch.cat([raw[:, :1], quantiles], dim=1)


def losses(task: str, raw: Any, y: Any) -> Any:
    """Return the loss of each window: log loss of a direction, squared error and pinball of a number."""
    import torch

    if task == "direction":
        return torch.nn.functional.binary_cross_entropy_with_logits(raw[:, 0], y, reduction="none")
    told = heads(raw)
    error = y[:, None] - told[:, 1:]
    levels = torch.tensor(QUANTILES, dtype=raw.dtype, device=raw.device)
    pinball = torch.maximum(levels * error, (levels - 1.0) * error).mean(dim=1)
    return torch.square(y - told[:, 0]) + pinball
