"""Networks over windows of rows: LSTM, GRU and a small Transformer. Needs the ``deep`` extra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from forecastle.errors import DataInvalid, RequestInvalid
from forecastle.models.learners._base import BOTH, NUMBERS, library, shares
from forecastle.models.learners._document import FILE, corrupt, document_file, document_of, reading
from forecastle.models.learners._networks import KINDS, QUANTILES, heads, losses, network
from forecastle.nouns import Examples
from forecastle.nouns.dataset import Task

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
WEIGHTS = "network.safetensors"
BATCH = 2048
"""Windows looked at together where nothing is learned."""
LOOKED_AT = 512
"""Windows that the importance of columns is read from: the latest."""


@dataclass(frozen=True)
class Sequence:
    """A network over the ``context_length`` rows up to a row; its label is that of the row, ``horizon`` bars on.

    Windows (context_length, prediction_length) slide over contiguous training rows and never cross from one stretch
    into another, so none reaches into a test part or across one. Training stops when the loss on the later rows that
    were held out has not fallen for ``patience`` epochs, and the best weights are kept; gradients are clipped to the
    norm ``clip``. One thread and torch's own generators from the seed: the same rows give the same bytes on one
    machine. On a GPU where torch sees one. Raises ``RequestInvalid``, ``ConfigurationError`` without torch.
    """

    context_length: int = 24
    hidden: int = 24
    layers: int = 1
    dropout: float = 0.2
    rate: float = 1e-3
    decay: float = 1e-2
    batch: int = 64
    epochs: int = 15
    patience: int = 3
    clip: float = 1.0
    kind: ClassVar[str]
    label: ClassVar[str]
    tasks: ClassVar[frozenset[Task]] = BOTH
    units: ClassVar[frozenset[str]] = frozenset({"up"}) | NUMBERS
    naive: ClassVar[bool] = False
    scaled: ClassVar[bool] = True
    columns: ClassVar[tuple[str, ...] | None] = None

    def __post_init__(self) -> None:
        counts = (self.context_length, self.layers, self.batch, self.epochs, self.patience)
        if min(counts) < 1 or self.hidden < 2 or self.hidden % 2 or self.context_length > 1000:
            raise RequestInvalid(
                f"{self.label} of {counts}, {self.hidden} wide.",
                "Lengths, layers and epochs are one or more, at most 1000 rows, the width even.", "Choose others.",
            )  # fmt: skip
        if not (0.0 <= self.dropout < 1.0 and self.rate > 0.0 and self.decay >= 0.0 and self.clip > 0.0):
            raise RequestInvalid(
                f"dropout is {self.dropout}, rate {self.rate}, decay {self.decay}, clip {self.clip}.",
                "Dropout is a share; rate and clip are above zero, decay is not below.", "Choose others.",
            )  # fmt: skip

    @property
    def context(self) -> int:
        """Return how many rows before a row a window holds."""
        return self.context_length - 1

    def fit(self, task: Task, train: Examples, validate: Examples | None, seed: int) -> FittedSequence:
        """Learn from windows of ``train`` from weights drawn by the seed."""
        return self._learned(task, train, validate, seed, None)

    def fine_tune(
        self, parent: FittedSequence, train: Examples, validate: Examples | None, seed: int, slower: float = 0.2
    ) -> FittedSequence:
        """Go on from the weights of a parent, at ``slower`` times the rate; the scale of labels is that of ``train``.

        Raises ``DataInvalid`` where the parent has another network or other columns.
        """
        if (parent.kind, len(parent.columns), parent.shape) != (self.kind, len(train.columns), self._shape):
            raise DataInvalid(
                f"The parent is a {parent.kind} of {len(parent.columns)} columns.",
                f"The child is a {self.kind} of {len(train.columns)} with other sizes.", "Train both alike.",
            )  # fmt: skip
        return replace(self, rate=self.rate * slower)._learned(parent.task, train, validate, seed, parent.weights)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.hidden, self.layers, self.context_length

    def _learned(
        self, task: Task, train: Examples, validate: Examples | None, seed: int, start: Mapping[str, Any] | None
    ) -> FittedSequence:
        torch = library("torch", self.label, "deep")
        library("safetensors", self.label, "deep")
        ends = window_ends(train, self.context_length)
        _refuse_few(self.label, task, train, ends, self.context_length)
        moved, scale = (0.0, 1.0) if task == "direction" else _scale(train.y[ends], train.weights[ends])
        device = "cuda" if torch.cuda.is_available() else "cpu"
        with _alone(torch, seed):
            net = network(self.kind, len(train.columns), self.hidden, self.layers, self.dropout, _outputs(task),
                          self.context_length)  # fmt: skip
            if start is not None:
                net.load_state_dict({name: tensor.clone() for name, tensor in start.items()})
            net.to(device)
            rows = _Rows.of(torch, train, ends, self.context_length, moved, scale, device)
            held = None
            if validate is not None and (later := window_ends(validate, self.context_length)).size:
                held = _Rows.of(torch, validate, later, self.context_length, moved, scale, device)
            self._train(torch, net, task, rows, held, seed)
            importance = _importance(torch, net, task, rows)
            weights = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
        return FittedSequence(task, self.kind, train.columns, self._shape, weights, moved, scale,
                              tuple(float(v) for v in importance))  # fmt: skip

    def _train(self, torch: Any, net: Any, task: Task, rows: _Rows, held: _Rows | None, seed: int) -> None:
        optimiser = torch.optim.AdamW(net.parameters(), lr=self.rate, weight_decay=self.decay)
        draw = torch.Generator().manual_seed(seed)
        best, waited, kept = np.inf, 0, None
        for _ in range(self.epochs):
            net.train()
            for part in torch.randperm(rows.count, generator=draw).split(self.batch):
                optimiser.zero_grad()
                weight = rows.weights[part]
                loss = (losses(task, net(rows.windows(part)), rows.y[part]) * weight).sum() / weight.sum()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), self.clip)
                optimiser.step()
            if held is None:
                continue
            now = _mean_loss(torch, net, task, held)
            if now < best - 1e-6:
                best, waited, kept = now, 0, {k: v.detach().clone() for k, v in net.state_dict().items()}
            else:
                waited += 1
                if waited >= self.patience:
                    break
        if kept is not None:
            net.load_state_dict(kept)
        net.eval()


@dataclass(frozen=True)
class Lstm(Sequence):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, Neural Computation 9, 1735-1780)."""

    kind: ClassVar[str] = "lstm"
    label: ClassVar[str] = "LSTM"


@dataclass(frozen=True)
class Gru(Sequence):
    """Gated recurrent units (Cho et al. 2014, EMNLP)."""

    kind: ClassVar[str] = "gru"
    label: ClassVar[str] = "GRU"


@dataclass(frozen=True)
class Transformer(Sequence):
    """A small encoder that looks back only (Vaswani et al. 2017, NeurIPS 30)."""

    kind: ClassVar[str] = "transformer"
    label: ClassVar[str] = "Transformer"


@dataclass(frozen=True, eq=False)
class FittedSequence:
    """A network with its weights; ``shape`` is (hidden, layers, context_length)."""

    task: Task
    kind: str
    columns: tuple[str, ...]
    shape: tuple[int, int, int]
    weights: Mapping[str, Any] = field(repr=False)
    moved: float = 0.0
    scale: float = 1.0
    shares: tuple[float, ...] = ()

    def predict(self, x: FloatArray, lead: int = 0) -> FloatArray:
        """Return the forecasts; NaN where a window would begin before ``x``, or holds an unknown value."""
        return self._table(x, lead)[:, 0]

    def quantiles(self, x: FloatArray, levels: FloatArray, lead: int = 0) -> FloatArray | None:
        """Return the quantile heads of a number, linear between them and level beyond; None for a direction."""
        if self.task == "direction":
            return None
        table = self._table(x, lead)[:, 1:]
        return np.stack([np.interp(levels, QUANTILES, row) for row in table]) if table.shape[0] else table

    def _table(self, x: FloatArray, lead: int) -> FloatArray:
        torch = library("torch", "A sequence model", "deep")
        hidden, layers, length = self.shape
        found = np.full((max(x.shape[0] - lead, 0), _outputs(self.task)), np.nan)
        known = np.isfinite(x).all(axis=1)
        ends = np.arange(max(lead, length - 1), x.shape[0])
        behind = np.concatenate([[0], np.cumsum(known)])
        ends = ends[behind[ends + 1] - behind[ends + 1 - length] == length]
        if not ends.size:
            return found
        with _alone(torch, 0), torch.no_grad():
            net = network(self.kind, len(self.columns), hidden, layers, 0.0, _outputs(self.task), length)
            net.load_state_dict(dict(self.weights))
            net.eval()
            values = torch.from_numpy(np.nan_to_num(x).astype(np.float32))
            back = torch.arange(length) - length + 1
            for part in np.split(ends, range(BATCH, ends.size, BATCH)):
                raw = net(values[torch.from_numpy(part)[:, None] + back])
                told = torch.sigmoid(raw.double()) if self.task == "direction" else heads(raw.double())
                found[part - lead] = told.numpy()
        return found if self.task == "direction" else self.moved + self.scale * found

    def importance(self) -> Mapping[str, float]:
        """Return the mean of |gradient x input| over the latest training windows, as shares."""
        return shares(self.columns, np.array(self.shares)) if self.shares else {}

    def files(self) -> dict[str, bytes]:
        """Return the document and the weights."""
        from safetensors.torch import save

        told = {
            "kind": "sequence", "task": self.task, "network": self.kind, "columns": list(self.columns),
            "shape": list(self.shape), "moved": self.moved, "scale": self.scale, "shares": list(self.shares),
        }  # fmt: skip
        return {FILE: document_file(told), WEIGHTS: save(dict(self.weights))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> FittedSequence:
        """Return the learner of its files, every weight checked against the network; raises ``DataCorrupt``."""
        torch = library("torch", "A sequence model", "deep")
        from safetensors import SafetensorError
        from safetensors.torch import load

        told = document_of(files)

        def read() -> FittedSequence:
            if told["task"] not in ("direction", "number") or told["network"] not in KINDS:
                raise ValueError("a task or a network nobody knows")
            columns = tuple(map(str, told["columns"]))
            hidden, layers, length = (int(n) for n in told["shape"])
            Gru(context_length=length, hidden=hidden, layers=layers)  # raises for sizes that are none
            if max(hidden, length) > 4096 or layers > 16:
                raise ValueError("a network of a size that is not ours")
            weights = load(files[WEIGHTS])
            with _alone(torch, 0):
                net = network(told["network"], len(columns), hidden, layers, 0.0, _outputs(told["task"]), length)
            wanted = {name: tuple(t.shape) for name, t in net.state_dict().items()}
            if {n: tuple(t.shape) for n, t in weights.items()} != wanted or any(
                t.dtype != torch.float32 or not bool(torch.isfinite(t).all()) for t in weights.values()
            ):
                raise ValueError("the weights are not those of the network")
            return cls(told["task"], told["network"], columns, (hidden, layers, length), weights,
                       float(told["moved"]), float(told["scale"]), tuple(map(float, told["shares"])))  # fmt: skip

        try:
            return reading(read)
        except (SafetensorError, RequestInvalid) as error:
            raise corrupt(f"{WEIGHTS}: {error}") from error


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows as tensors, and where windows end: windows are gathered when they are looked at, never copied ahead."""

    x: Any
    y: Any
    weights: Any
    ends: Any
    back: Any

    @classmethod
    def of(
        cls, torch: Any, examples: Examples, ends: IntArray, length: int, moved: float, scale: float, device: str
    ) -> _Rows:
        y = (examples.y[ends] - moved) / scale
        x, y, weights = (
            torch.from_numpy(a.astype(np.float32)).to(device) for a in (examples.x, y, examples.weights[ends])
        )
        places = torch.from_numpy(ends).to(device)
        return cls(x, y, weights, places, (torch.arange(length) - length + 1).to(device))

    @property
    def count(self) -> int:
        return int(self.ends.shape[0])

    def windows(self, part: Any) -> Any:
        return self.x[self.ends[part][:, None] + self.back]


def window_ends(examples: Examples, length: int) -> IntArray:
    """Return the rows at which a window of ``length`` rows ends that lies in one run and whose label is known."""
    starts = np.searchsorted(examples.runs, examples.runs, side="left")
    whole = np.arange(len(examples)) - starts >= length - 1
    return np.flatnonzero(whole & ~np.isnan(examples.y)).astype(np.int64)


def _refuse_few(label: str, task: Task, train: Examples, ends: IntArray, length: int) -> None:
    if not np.isfinite(train.x).all() or not ends.size or (task == "direction" and np.unique(train.y[ends]).size < 2):
        raise DataInvalid(
            f"{label} found {ends.size} windows of {length} rows with a label among {len(train)} rows.",
            "It needs windows, without unknown values, and of a direction both classes.",
            "Train on more rows, or shorten context_length.",
        )  # fmt: skip


def _outputs(task: Task) -> int:
    return 1 if task == "direction" else 1 + len(QUANTILES)


def _scale(y: FloatArray, weights: FloatArray) -> tuple[float, float]:
    middle = float(np.average(y, weights=weights))
    return middle, max(float(np.sqrt(np.average(np.square(y - middle), weights=weights))), 1e-12)


def _mean_loss(torch: Any, net: Any, task: Task, rows: _Rows) -> float:
    net.eval()
    total, weight = 0.0, 0.0
    with torch.no_grad():
        for part in torch.arange(rows.count).split(BATCH):
            w = rows.weights[part]
            total += float((losses(task, net(rows.windows(part)), rows.y[part]) * w).sum())
            weight += float(w.sum())
    return total / weight


def _importance(torch: Any, net: Any, task: Task, rows: _Rows) -> FloatArray:
    """Return the mean of |gradient x input| of each column over the latest windows, shape (columns,)."""
    part = torch.arange(max(rows.count - LOOKED_AT, 0), rows.count)
    windows = rows.windows(part).clone().requires_grad_(True)
    net(windows)[:, 0].sum().backward()
    found = torch.abs(windows.grad * windows).mean(dim=(0, 1)).detach().cpu().double().numpy()
    net.zero_grad()
    return np.asarray(found)


@contextmanager
def _alone(torch: Any, seed: int) -> Iterator[None]:
    """One thread, algorithms that repeat, and torch's generators from the seed; all as it was afterwards."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict)
            torch.set_num_threads(threads)
