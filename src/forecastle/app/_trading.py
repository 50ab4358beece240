"""From a configuration to everything that a backtest trades with: market, what was seen, account, costs, execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal

from forecastle.app._feature_inputs import hash_of, inputs_of
from forecastle.app._held_out import NOTHING_HELD_OUT, Looked, before_locks
from forecastle.backtest import Account, Costs, Execution, Simulated, simulate
from forecastle.backtest.venues import Venue, venue_of
from forecastle.backtest.view import Decides, decided
from forecastle.errors import DataMissing, RequestInvalid
from forecastle.experiments.data_span import DataSpan
from forecastle.experiments.spec import PlugIn
from forecastle.experiments.strategy_spec import BacktestConfig
from forecastle.features import compute, features_of
from forecastle.nouns import Candles, History, Instrument
from forecastle.nouns.market import Market
from forecastle.nouns.seen import Seen
from forecastle.nouns.signal import Signals
from forecastle.requests import FeaturesRequest
from forecastle.sessions import Times
from forecastle.strategies import SIZINGS, STRATEGIES
from forecastle.workspace import Workspace

FloatArray = npt.NDArray[np.float64]
DECAY = 0.94
"""Of the EWMA of squared returns that slippage and sizes look at: RiskMetrics' for daily data."""
WARM = 20
"""Returns after which it is believed."""
EIGHT_HOURS = np.timedelta64(8, "h")
NOTHING_DUE: tuple[Times, FloatArray] = (np.array([], dtype="datetime64[us]"), np.array([]))
STOCK_BORROW_BPS, STOCK_INTEREST_BPS = 50.0, 500.0
"""A year, of stocks, where the configuration says nothing: an easy-to-borrow share, and a margin loan."""
SIZE = "sizing."


@dataclass(frozen=True, eq=False)
class Setup:
    """One backtest ready to be run: what is traded, what was known, and the rules.

    ``histories`` are whole, from before the first bar traded; ``first`` is the row of the line of all closes at which
    trading begins; ``market`` and ``seen`` begin there.
    """

    config: BacktestConfig
    histories: tuple[History, ...]
    first: int
    seen: Seen
    account: Account
    costs: Costs
    execution: Execution
    span: DataSpan
    looked: Looked = NOTHING_HELD_OUT
    notes: tuple[str, ...] = ()
    strategy: Any = None
    """A strategy and a sizing that stand in for those of the configuration: of the Python face."""
    sizing: Any = None

    @property
    def market(self) -> Market:
        """Return what is traded."""
        return self.seen.market


def setup_of(workspace: Workspace, config: BacktestConfig, opening: str | None = None) -> Setup:
    """Return the setup of a configuration; what is held out is cut off unless ``opening`` says why it is looked at.

    Raises as reading the lake does, ``NameUnknown`` or ``RequestInvalid`` for a strategy that cannot be made.
    """
    needs = _needs(config)
    histories, looked = [], Looked()
    for instrument in config.data.instruments:
        request = FeaturesRequest(instrument=instrument, timeframe=config.data.timeframe, source=config.data.source)
        whole = inputs_of(workspace, request, features_of(list(needs)) if needs else ())
        cut, seen = before_locks(workspace, config.data, config.plain, whole, opening)
        histories.append(cut)
        looked = Looked((*looked.cut, *seen.cut), (*looked.opened, *seen.opened))
    return of_histories(workspace, config, tuple(histories), looked)


def of_histories(
    workspace: Workspace | None,
    config: BacktestConfig,
    histories: tuple[History, ...],
    looked: Looked = NOTHING_HELD_OUT,
    needs: Sequence[str] | None = None,
) -> Setup:
    """Return the setup on histories as they are: what a stress scenario changes is them.

    ``needs`` are features by name, those of the configuration's strategy where left out.
    """
    candles = [h.candles for h in histories]
    whole = Market.of(candles)
    start = config.data.start
    first = 0
    if start is not None:
        first = int(np.searchsorted(whole.close_time, np.datetime64(start.replace(tzinfo=None)), "right"))
    if first >= len(whole):
        raise DataMissing(
            f"No bar of {config.name} closes after {start:%Y-%m-%d}.", f"They end {candles[0].end:%Y-%m-%d}.",
            "Choose an earlier data.start.",
        )  # fmt: skip
    calendar = candles[0].calendar
    yearly = calendar.periods_per_year(config.data.timeframe)
    venue = _venue(config)
    account = _account(config, venue)
    funding, notes = _funding(workspace, config, whole)
    notes = (*notes, *_holes(candles))
    costs = _costs(config, venue, yearly, None if funding is None else funding[first:])
    columns = _columns(_needs(config) if needs is None else needs, histories, whole, first)
    seen = Seen(
        whole.rows(first, len(whole)), columns, ewma(whole)[first:], None, yearly,
        2.0 * (costs.taker + costs.half_spread),
    )  # fmt: skip
    sources = ",".join(dict.fromkeys(c.source for c in candles))
    since, end = min(c.start for c in candles), max(c.end for c in candles)
    span = DataSpan(tuple(c.instrument.id for c in candles), config.data.timeframe, sources, start or since, end,
                    "-".join(hash_of(h)[:16] for h in histories))  # fmt: skip
    return Setup(config, histories, first, seen, account, costs, _execution(config), span, looked, notes)


def trade(setup: Setup, settings: Mapping[str, Any] | None = None, **changed: Any) -> tuple[Simulated, Signals]:
    """Run the strategy with other settings, or with another account, costs or execution; return its signals too."""
    strategy = setup.strategy if setup.strategy is not None else strategy_of(setup.config, settings)
    account, costs, execution = (
        changed.get(name) or getattr(setup, name) for name in ("account", "costs", "execution")
    )  # fmt: skip
    if isinstance(strategy, Decides) and "signals" not in changed:
        return decided(setup.market, strategy, account, costs, execution, setup.seen.columns, setup.seen.sigma)
    signals = changed.get("signals") or signals_of(setup, settings)
    return simulate(setup.market, signals, account, costs, execution, sigma=setup.seen.sigma), signals


def signals_of(setup: Setup, settings: Mapping[str, Any] | None = None) -> Signals:
    """Return the sized wishes of a strategy that is not a class of one's own."""
    strategy = setup.strategy if setup.strategy is not None else strategy_of(setup.config, settings)
    sizing = setup.sizing if setup.sizing is not None else sizing_of(setup.config, settings)
    found: Signals = sizing.size(strategy.wish(setup.seen), setup.seen)
    return found


def strategy_of(config: BacktestConfig, settings: Mapping[str, Any] | None = None) -> Any:
    """Return the strategy, with other settings where they are given."""
    own = {k: v for k, v in (settings or {}).items() if not k.startswith(SIZE)}
    plug_in = PlugIn(name=config.strategy.name, settings={**config.strategy.settings, **own})
    return plug_in.made("strategy", STRATEGIES)


def sizing_of(config: BacktestConfig, settings: Mapping[str, Any] | None = None) -> Any:
    """Return the sizing, with other settings where they are given."""
    own = {k.removeprefix(SIZE): v for k, v in (settings or {}).items() if k.startswith(SIZE)}
    return PlugIn(name=config.sizing.name, settings={**config.sizing.settings, **own}).made("sizing", SIZINGS)


def _needs(config: BacktestConfig) -> tuple[str, ...]:
    """Return the features that a strategy looks at, with all settings that a grid tries."""
    grids = [
        dict.fromkeys([k], v) for part in (config.choose, config.sweep) for k, values in part.items() for v in values
    ]
    names: list[str] = []
    for changed in ({}, *grids):
        try:
            names += [n.split(".")[0] for n in strategy_needs(config, changed)]
        except RequestInvalid:
            if not changed:
                raise
    return tuple(dict.fromkeys(names))


def strategy_needs(config: BacktestConfig, settings: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Return the features of one set of settings."""
    return tuple(str(name) for name in strategy_of(config, settings).needs)


def _columns(names: Sequence[str], histories: Sequence[History], market: Market, first: int) -> dict[str, FloatArray]:
    """Return the features at each close of the market, (bars, instruments), from row ``first`` on."""
    if not names:
        return {}
    found: dict[str, FloatArray] = {}
    for j, history in enumerate(histories):
        frame = compute(history, list(names))
        rows = np.searchsorted(market.close_time, frame.known_at())
        for name in frame.columns:
            column = found.setdefault(name, np.full((len(market), len(histories)), np.nan))
            column[rows, j] = frame.frame[name].to_numpy()
    return {name: values[first:] for name, values in found.items()}


def columns_for(setup: Setup, settings: Mapping[str, Any]) -> dict[str, FloatArray]:
    """Return the features of one set of settings at each close that is traded, (bars, instruments)."""
    config = setup.config
    strategy = config.strategy.model_copy(update={"settings": {**config.strategy.settings, **settings}})
    other = config.model_copy(update={"strategy": strategy, "choose": {}, "sweep": {}})
    whole = Market.of([h.candles for h in setup.histories])
    columns = _columns(_needs(other), setup.histories, whole, setup.first)
    return {name: values[: len(setup.market)] for name, values in columns.items()}


def ewma(market: Market) -> FloatArray:
    """Return the volatility of one bar known at each close: the EWMA of squared log returns, NaN before 20 of them."""
    found = np.full(market.close.shape, np.nan)
    for j in range(market.close.shape[1]):
        rows = np.flatnonzero(market.present[:, j])
        squares = np.square(np.diff(np.log(market.close[rows, j])))
        if squares.size < WARM:
            continue
        begin = float(squares[:WARM].mean())
        smoothed, _ = signal.lfilter([1.0 - DECAY], [1.0, -DECAY], squares[WARM:], zi=[DECAY * begin])
        found[rows[WARM:], j] = np.sqrt(np.concatenate([[begin], smoothed]))
    return found


def _venue(config: BacktestConfig) -> Venue:
    if config.costs.venue is not None:
        return venue_of(config.costs.venue)
    usual = {"crypto": "binance", "perpetual": "binance_futures"}
    return venue_of(usual.get(kind_of(config.data.instruments[0]), "interactive_brokers"))


def kind_of(instrument: Instrument) -> str:
    """Return what costs depend on: ``crypto``, ``perpetual`` or ``stock``."""
    if instrument.id.endswith("-PERP"):
        return "perpetual"
    return "crypto" if instrument.calendar == "24/7" else "stock"


def _account(config: BacktestConfig, venue: Venue) -> Account:
    part = config.account
    if part.kind != "cash" and not venue.shorts:
        raise RequestInvalid(
            f"The account is {part.kind}, and the venue gives no margin.", "It trades for cash only.",
            "Choose account.kind: cash, or costs.venue: binance_futures, interactive_brokers or zero_commission.",
        )  # fmt: skip
    tiers = {} if part.kind == "cash" else {"tiers": venue.tiers}
    return Account(part.cash, part.kind, part.leverage, liquidation_fee=venue.liquidation_fee_bps / 1e4,
                   call_at=part.call_at, **tiers)  # fmt: skip


def _costs(config: BacktestConfig, venue: Venue, yearly: float, funding: FloatArray | None) -> Costs:
    part, stock = config.costs, kind_of(config.data.instruments[0]) == "stock"
    borrow = part.borrow_bps_per_year if part.borrow_bps_per_year is not None else STOCK_BORROW_BPS * stock
    interest = part.interest_bps_per_year if part.interest_bps_per_year is not None else STOCK_INTEREST_BPS * stock
    maker = venue.maker_bps if part.maker_bps is None else part.maker_bps
    taker = venue.taker_bps if part.taker_bps is None else part.taker_bps
    return Costs(
        maker / 1e4, taker / 1e4, venue.fee_per_unit, venue.smallest_fee, part.half_spread_bps / 1e4,
        part.volatility_multiple, part.linear_impact, part.square_root_impact, borrow / 1e4 / yearly,
        interest / 1e4 / yearly, funding,
    )  # fmt: skip


def _holes(candles: Sequence[Candles]) -> tuple[str, ...]:
    """Return what has to be told of bars that are missing: what was held is held over them, and years are of bars."""
    missing = {c.instrument.id: int(c.missing().size) for c in candles}
    return tuple(f"{count} bars of {name} are missing: what was held is held over them, and a year is counted in bars."
                 for name, count in missing.items() if count)  # fmt: skip


def _execution(config: BacktestConfig) -> Execution:
    told = config.execution.model_dump(exclude={"finer"})
    return Execution(**told)


def _funding(
    workspace: Workspace | None, config: BacktestConfig, market: Market
) -> tuple[FloatArray | None, tuple[str, ...]]:
    """Return the rates due at each open, and what has to be told of them."""
    if config.costs.funding == "none" or all(kind_of(i) != "perpetual" for i in config.data.instruments):
        return None, ()
    due, notes = np.zeros(market.close.shape), []
    for j, instrument in enumerate(config.data.instruments):
        if kind_of(instrument) != "perpetual":
            continue
        when, rates = _observed(workspace, instrument) if workspace is not None else NOTHING_DUE
        if not when.size:
            first = market.open_time[0].astype("datetime64[D]").astype("datetime64[us]")
            when = np.arange(first, market.close_time[-1], EIGHT_HOURS)
            rates = np.full(when.size, config.costs.funding_bps / 1e4)
            notes.append(
                f"No funding of {instrument} is in the lake: {config.costs.funding_bps:g} bps each eight hours."
            )
        due[:, j] = at_opens(market, j, when, rates)
    return due, tuple(notes)


def at_opens(market: Market, column: int, when: Times, rates: FloatArray) -> FloatArray:
    """Return the sum of the rates that fell due since the open of the bar before, up to each open, (bars,)."""
    rows = np.flatnonzero(market.present[:, column])
    place = np.searchsorted(market.open_time[rows], when, side="left")
    inside = place < rows.size
    found = np.zeros(len(market))
    np.add.at(found, rows[place[inside]], rates[inside])
    return found


def _observed(workspace: Workspace, instrument: Instrument) -> tuple[Times, FloatArray]:
    sets = [o for o in workspace.lake.observation_sets() if (o.instrument, o.name) == (instrument.id, "funding_rate")]
    if not sets:
        return NOTHING_DUE
    best = max(sets, key=lambda o: o.rows)
    frame = workspace.lake.read_observations(instrument, "funding_rate", best.source).frame
    last = frame.group_by("about", maintain_order=True).last()
    return last["about"].dt.replace_time_zone(None).to_numpy(), last["value"].to_numpy()


def with_forecast(setup: Setup, forecast: FloatArray) -> Setup:
    """Return the setup with a model's out-of-sample forecasts at each close, (bars, instruments)."""
    return replace(setup, seen=replace(setup.seen, forecast=forecast))


def candles_of(setup: Setup) -> list[Candles]:
    """Return the candles of each instrument, from before the first bar traded."""
    return [h.candles for h in setup.histories]
