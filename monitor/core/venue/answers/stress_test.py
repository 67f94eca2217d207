"""Stress of a whole venue as it stands: each market alone, and all of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Float64
from monitor.core.bands.inputs import BookImpact, MarketRules
from monitor.core.bands.maker import BandMaker
from monitor.core.cascade.all_shocks import ForcedSteps, ShockAnswers
from monitor.core.cascade.deleveraging import DeleveragedPosition, OtherSide, close_against
from monitor.core.cascade.graph.carriers import carriers
from monitor.core.cascade.graph.index_links import IndexLinks
from monitor.core.cascade.graph.rounds import SystemState
from monitor.core.cascade.graph.system import (
    CriticalShock,
    Edges,
    MarketSystem,
    RoundTiming,
    SystemSide,
)
from monitor.core.cascade.market_stress import RATE_SPAN, BucketStress, SideStress
from monitor.core.cascade.venue_steps import (
    StepPrices,
    book_levels,
    forced_steps,
    sent_at_once,
)
from monitor.core.contract.events import MarketReference
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.decode.codec import validate_record
from monitor.core.margin.mark_response import LATENCY_S, MARK_RESPONSES, kappa_of
from monitor.core.margin.paths.path import FundScope
from monitor.core.venue.answers.stated_rules import IN_STRESS, fund_of, read_stated_rules
from monitor.core.venue.state import VenueState

EDGES_MAX = 50
"""Edges that are shown, the largest ones; and those that carry most."""
SIDES = ("down", "up")
IN_COIN = "it settles in coin, and shocks cover markets in quote currency"
FOLLOWS = MARK_RESPONSES["last"]
"""How a mark whose rule nobody has said is taken to follow its book: at once."""
ROUND_S = 3.0
"""From one round to the next where time passes: about the refresh of a mark."""
CARRIERS_MAX, HOLDERS_MAX = 5, 3
"""Edges of a side whose accounts are named, and how many of them."""


class Edge(NamedTuple):
    """For each unit that market `source` moves, market `target` moves by `k`; in the same market by
    what its own holders are forced to do.

    `k_accounts` of it through `accounts` accounts that hold both, `k_index` through outside prices
    that follow a book. `share`: of R that it carries, with the other edges of its side. `holders`:
    of the edges that carry most, the largest of the accounts and what they send there, quote
    currency.
    """

    source: str
    target: str
    k: float
    k_accounts: float
    k_index: float
    accounts: int
    side: str
    share: float
    holders: tuple[tuple[str, float], ...] = ()


class FactorRound(NamedTuple):
    """Where a round ends, so many seconds after the shock: what is forced by then."""

    seconds: float
    forced_notional: float
    pools: int


@dataclass(frozen=True, slots=True)
class FactorRow:
    """The common factor moved by `shock`, each market by its beta: what is forced, and the mark
    that each comes to rest at (None: there is no book). `rounds`: the same as time passes, while
    forced flow stands against the venue's own book (`LATENCY_S`)."""

    shock: float
    survives: float
    forced_notional: float
    pools: int
    price_after: dict[str, float | None]
    rounds: tuple[FactorRound, ...]


@dataclass(frozen=True, slots=True)
class SystemGraph:
    """What joins the markets, with one share of the book.

    `r`: the larger spectral radius of K of falls and of rises, at today's marks; `r_accounts`:
    without what passes through indices. `critical`: the critical shock of the common factor down
    and up. `edges`: those of K, the largest first.
    """

    r: float
    r_accounts: float
    critical: tuple[CriticalShock | None, CriticalShock | None]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class SystemStress(SystemGraph):
    """All markets together; all but `factor` with the first of the shares of the book.

    `critical_markets`: the critical shock down and up of each market when it alone is shocked and
    the others follow. `betas`: by market, None: not known, and taken to be 1. `branching_ratio`: of
    the venue's liquidations so far; None: too few.
    """

    critical_markets: dict[str, tuple[CriticalShock | None, CriticalShock | None]]
    betas: dict[str, float | None]
    factor: tuple[FactorRow, ...]
    branching_ratio: float | None


@dataclass(frozen=True, slots=True)
class VenueStress:
    """Every market with a mark, a tier table and open positions, by name; and what is not known.

    `branching_ratios`: of the liquidations of each market that had enough.
    """

    markets: tuple[SideStress, ...]
    system: SystemStress
    branching_ratios: dict[str, float]
    unknown: tuple[str, ...]


class StressTest:
    """The markets of a venue as of now, ready to be shocked."""

    def __init__(self, venue: VenueState, band_maker: BandMaker) -> None:
        self._venue = venue
        self._positions = band_maker.pools.update()
        pools, inputs = band_maker.pools, venue.market_inputs()
        names = pools.market_names
        rules = MarketRules.read(names, pools.market_symbols, inputs)
        names, symbols = [names[k] for k in rules.arrays.market.tolist()], rules.symbols
        self._rules, self._mark, self._paths = rules.arrays, rules.marks(inputs.marks), rules.paths
        self._mark[[contract is not None for contract in rules.contracts]] = np.nan
        self._left_out = dict(inputs.left_out) | dict.fromkeys(inputs.coin_rules, IN_COIN)
        self._terms = [self._read_terms(name) for name in names]
        books = BookImpact.from_books(self._mark, symbols, inputs.books)
        sent = sent_at_once(self._positions, self._rules, self._mark)
        self._books, self._sent = books, sent
        self._levels = book_levels(self._mark, symbols, inputs.books)
        self._responses = [MARK_RESPONSES.get(rule or "", FOLLOWS) for rule, _ in self._terms]
        kappa = np.array([kappa_of(rule) for rule, _ in self._terms])
        self._kappa = np.tile(kappa, 2)
        order = pools.markets_by_name
        self._order = order[~np.isnan(self._mark[order])]
        self._names = names
        self._band_maker = band_maker
        system = MarketSystem(self._positions, self._rules, self._mark, self._levels, kappa, sent)
        self._links = IndexLinks.find(
            venue.index_moves.estimate(symbols[self._order]), self._order, system
        )
        self._system = self._links.applied_to(system)
        self._sides: dict[tuple[str, float], SystemSide] = {}

    @cached_property
    def _forced(self) -> tuple[ForcedSteps, StepPrices]:
        return forced_steps(self._positions, self._rules, self._mark, self._books, self._sent)

    @cached_property
    def _other_side(self) -> OtherSide:
        return OtherSide.sort(self._positions, self._rules, self._mark)

    def _read_terms(self, name: str) -> tuple[str | None, str | None]:
        """A market's mark rule and path: those that its reference names, else its regime's own."""
        raw = self._venue.rule_records.get(name)
        event = None if raw is None else validate_record(raw, "reference")
        if not isinstance(event, MarketReference):
            return None, None
        return event.mark_rule or event.regime, event.path or event.regime

    def shock(
        self, shocks: Sequence[float], survives: Sequence[float], symbols: Sequence[str] = (),
        factors: Sequence[float] = (), refill: float = 0.0,
    ) -> VenueStress:  # fmt: skip
        """Every shock (a fraction, not 0, above −1) of the markets `symbols` (empty: all), each
        alone; and every one of `factors` of all markets together. `refill`: the share of the depth
        taken that comes back in a second, where rounds take time."""
        markets, unknown = self.shock_sides(shocks, survives, symbols)
        order = self._order.tolist()
        if len(order) > 1:
            unknown += self._links.unknown([self._names[k] for k in order])
        of_venue, of_markets = self._venue.liquidation_times.ratios(self._venue.passed_ns)
        asked = self._asked(symbols)
        system = self._shock_system(factors, survives, refill, asked, of_venue)
        return VenueStress(tuple(markets), system, of_markets, tuple(unknown))

    def _asked(self, symbols: Sequence[str]) -> list[int]:
        """The markets of these names (empty: all), in the order of names."""
        return [k for k in self._order.tolist() if not symbols or self._names[k] in symbols]

    def shock_sides(
        self, shocks: Sequence[float], survives: Sequence[float], symbols: Sequence[str] = ()
    ) -> tuple[list[SideStress], list[str]]:
        """Every shock of the markets `symbols` (empty: all), each market alone; and what is not
        known of them."""
        steps, prices = self._forced
        answers = {
            share: ShockAnswers.find(steps, self._levels, self._kappa, share) for share in survives
        }
        markets: list[SideStress] = []
        unknown = [
            f"{name}: {why}"
            for name, why in sorted(self._left_out.items())
            if not symbols or name in symbols
        ]
        stated = {one.symbol: one for one in read_stated_rules(self._venue, self._names)}
        for k in self._asked(symbols):
            name = self._names[k]
            unknown += [str(one) for one in stated[name].unstated if one.what in IN_STRESS]
            for side, sign in enumerate((-1, 1)):
                chosen = [shock for shock in shocks if shock * sign > 0]
                if not chosen:
                    continue
                bucket = side * len(self._mark) + k
                one = BucketStress(
                    steps,
                    self._levels,
                    prices,
                    bucket,
                    float(self._mark[k]),
                    sign,
                    self._paths[k],
                    self._fund(k),
                    partial(self._deleverage, k, sign),
                )
                rows = tuple(
                    one.row(answers[share], shock) for shock in chosen for share in survives
                )
                critical = tuple((share, one.critical(answers[share])) for share in survives)
                unknown += one.unknown(name, SIDES[side], chosen, [*answers.values()])
                markets.append(SideStress(name, one.mark, SIDES[side], rows, critical))
        return markets, unknown

    def open_notional(self) -> dict[str, float]:
        """Of every market that can be shocked: its longs and shorts together, at the mark."""
        p = self._positions
        notional = np.nan_to_num(np.abs(p.quantity) * self._mark[p.market])
        sums = np.bincount(p.market, notional, len(self._mark))
        return {self._names[k]: float(sums[k]) for k in self._order.tolist()}

    def _shock_system(
        self, factors: Sequence[float], survives: Sequence[float], refill: float,
        asked: Sequence[int], branching_ratio: float | None,
    ) -> SystemStress:  # fmt: skip
        order = self._order.tolist()
        betas = dict(zip([self._names[k] for k in order], self._links.betas, strict=True))
        graph = self.graph(survives[0])
        return SystemStress(
            graph.r, graph.r_accounts, graph.critical, graph.edges,
            self._critical_markets(asked, survives[0]),
            betas,
            tuple(self._factor_row(f, share, refill) for f in factors for share in survives),
            branching_ratio,
        )  # fmt: skip

    def graph(self, survives: float) -> SystemGraph:
        """What joins the markets, with this share of the book; both directions side by side."""
        run = self._band_maker.parallel_map
        down, up = run(lambda side: self._graph_of(side, survives), SIDES)
        edges = sorted(
            (*down.edges, *up.edges),
            key=lambda edge: (-edge.k, edge.source, edge.target, edge.side),
        )
        return SystemGraph(
            max(down.r, up.r), max(down.r_accounts, up.r_accounts),
            (down.critical[0], up.critical[0]),
            tuple(edge for k, edge in enumerate(edges) if k < EDGES_MAX or edge.holders),
        )  # fmt: skip

    def _graph_of(self, side: str, survives: float) -> SystemGraph:
        """Of one direction, with all its edges; its critical shock stands first."""
        system = self._side(side, survives)
        edges = system.edges(RATE_SPAN)
        radius, shares = carriers(edges.total)
        by_accounts = carriers(edges.accounts)[0] if edges.indices.any() else radius
        listed = self._list_edges(system, side, edges, shares)
        return SystemGraph(radius, by_accounts, (system.critical_factor(), None), listed)

    def _critical_markets(
        self, asked: Sequence[int], survives: float
    ) -> dict[str, tuple[CriticalShock | None, CriticalShock | None]]:
        run = self._band_maker.parallel_map
        down, up = run(lambda side: self._side(side, survives).critical_markets(asked), SIDES)
        names = [self._names[k] for k in asked]
        return dict(zip(names, zip(down, up, strict=True), strict=True))

    def _side(self, side: str, survives: float) -> SystemSide:
        """Kept: to put a side's pools in order takes longest."""
        if (side, survives) not in self._sides:
            self._sides[side, survives] = self._system.side(side == SIDES[0], survives)
        return self._sides[side, survives]

    def _list_edges(
        self, system: SystemSide, side: str, edges: Edges, shares: Float64
    ) -> tuple[Edge, ...]:
        k, names, top = edges.total, self._names, self._top_edges(shares)
        return tuple(
            Edge(
                names[n], names[m], float(k[n, m]), float(edges.accounts[n, m]),
                float(edges.indices[n, m]), int(edges.pools[n, m]), side, float(shares[n, m]),
                self._holders(system, n, m) if (n, m) in top else (),
            )
            for n, m in np.argwhere(k > 0.0).tolist()
        )  # fmt: skip

    def _top_edges(self, shares: Float64) -> set[tuple[int, int]]:
        """The edges that carry most of R; of equal ones the first by name."""
        there = np.argwhere(shares > 0.0).tolist()
        there.sort(key=lambda at: (-shares[at[0], at[1]], self._names[at[0]], self._names[at[1]]))
        return {(n, m) for n, m in there[:CARRIERS_MAX]}

    def _holders(self, system: SystemSide, n: int, m: int) -> tuple[tuple[str, float], ...]:
        """The accounts that send most along an edge; of equal ones the lower hash first."""
        pools, quantity = system.flow_of(n, m, RATE_SPAN)
        keys = self._positions.key[pools]
        first = np.lexsort((keys, -quantity))[:HOLDERS_MAX]
        names = self._venue.ledger.names.names_as_of_now(
            self._band_maker.pools.accounts(pools[first].astype(np.int64))
        )
        notional = (quantity[first] * self._mark[m]).tolist()
        return tuple(zip(names, notional, strict=True))

    def _factor_row(self, factor: float, survives: float, refill: float) -> FactorRow:
        sign = 1 if factor > 0 else -1
        beta = self._system.beta
        away = abs(math.log1p(factor))
        shock = np.full(len(self._mark), away) if beta is None else beta * away
        side = self._side(SIDES[0] if sign < 0 else SIDES[1], survives)
        rounds = round(LATENCY_S / ROUND_S)
        kappa = np.array(
            [[r.kappa((k + 1) * ROUND_S) for r in self._responses] for k in range(rounds)]
        )
        states = side.time_rounds(shock, RoundTiming(ROUND_S, kappa, refill))
        timed = tuple(
            FactorRound((k + 1) * ROUND_S, *self._gross(state)) for k, state in enumerate(states)
        )
        state = side.settle(shock)
        after = np.where(np.isfinite(state.moved), side.marks(state.moved), np.nan).tolist()
        prices = {
            self._names[k]: None if after[k] != after[k] else after[k] for k in self._order.tolist()
        }
        return FactorRow(factor, survives, *self._gross(state), prices, timed)

    def _gross(self, state: SystemState) -> tuple[float, int]:
        """Notional of all positions of the forced pools, at today's marks, and how many pools."""
        p, used = self._positions, np.flatnonzero(state.forced)
        slots = np.repeat(p.start[used], p.length[used])
        ends = np.cumsum(p.length[used])
        slots += np.arange(len(slots)) - np.repeat(ends - p.length[used], p.length[used])
        gross = float(np.sum(np.abs(p.quantity[slots]) * self._mark[p.market[slots]]))
        return gross, len(used)

    def _fund(self, k: int) -> float:
        """What the insurance fund of market k has, quote currency."""
        is_there = self._paths[k].fund is not FundScope.NONE
        amount = self._venue.funds.get(fund_of(self._venue, self._names[k]), 0)
        return amount / MONEY_SCALE if is_there else 0.0

    def _deleverage(
        self, k: int, side: int, price: float, quantity: float
    ) -> tuple[DeleveragedPosition, ...]:
        """Who of `side` in market k is closed against `quantity`, with the mark at `price`."""
        ranking = self._paths[k].ranking
        if ranking is None:
            return ()
        ranked = self._other_side.rank(k, side, price, ranking)
        order, lost = close_against(ranked, quantity)
        names = self._venue.ledger.names.names(self._band_maker.pools.accounts(ranked.pools[order]))
        mark = float(self._mark[k])
        rows = zip(names, lost.tolist(), order.tolist(), strict=True)
        return tuple(DeleveragedPosition(a, q, q * mark, rank + 1) for a, q, rank in rows)
