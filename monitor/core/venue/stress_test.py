"""Stress of a whole venue as it stands: each market alone, and all of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monitor.core.bands.inputs import BookImpact, RuleArrays, mark_prices
from monitor.core.bands.maker import NO_RULES, BandMaker
from monitor.core.cascade.all_shocks import ShockAnswers
from monitor.core.cascade.market_stress import RATE_SPAN, BucketStress, SideStress
from monitor.core.cascade.system import FactorShock, MarketSystem, spectral_radius
from monitor.core.cascade.venue_steps import book_levels, forced_steps, sent_at_once
from monitor.core.contract.events import MarketReference
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.decode.codec import validate_record
from monitor.core.margin.mark_response import MARK_RESPONSES
from monitor.core.venue.state import VenueState

LATENCY_S = 30.0
"""How long forced flow stands against the venue's own book before outside prices answer, s."""
EDGES_MAX = 50
"""Edges that are shown, the largest ones."""
MARKET_PATH = "market"
IN_COIN = "it settles in coin, and shocks cover markets in quote currency"
SIDES = ("down", "up")


class Edge(NamedTuple):
    """For each unit that market `source` moves, market `target` moves by `k` through `accounts`
    accounts that hold both; in the same market by what its own holders are forced to do."""

    source: str
    target: str
    k: float
    accounts: int
    side: str


@dataclass(frozen=True, slots=True)
class FactorRow:
    """All markets moved by `shock`: what is forced, and the mark that each comes to rest at."""

    shock: float
    survives: float
    forced_notional: float
    pools: int
    price_after: dict[str, float]


@dataclass(frozen=True, slots=True)
class SystemStress:
    """All markets together, with the first of the shares of the book.

    `r`: the larger spectral radius of K of falls and of rises, at today's marks. `critical`: the
    critical shock of the common factor down and up. `edges`: those of K, the largest first.
    """

    r: float
    critical: tuple[FactorShock | None, FactorShock | None]
    edges: tuple[Edge, ...]
    factor: tuple[FactorRow, ...]


@dataclass(frozen=True, slots=True)
class VenueStress:
    """Every market with a mark, a tier table and open positions, by name; and what is not known."""

    markets: tuple[SideStress, ...]
    system: SystemStress
    unknown: tuple[str, ...]


class StressTest:
    """The markets of a venue as of now, ready to be shocked."""

    def __init__(self, venue: VenueState, band_maker: BandMaker) -> None:
        self._venue = venue
        self._positions = band_maker.pools.update()
        pools, inputs = band_maker.pools, venue.market_inputs()
        names = pools.market_names
        self._left_out = dict(inputs.left_out) | dict.fromkeys(inputs.coin_rules, IN_COIN)
        there = np.array([name in inputs.rules for name in names], np.bool_)
        self._rules = RuleArrays.from_markets([inputs.rules.get(name, NO_RULES) for name in names])
        symbols = pools.market_symbols
        self._mark = np.where(there, mark_prices(inputs.marks[symbols]), np.nan)
        self._terms = [self._read_terms(name) for name in names]
        books = BookImpact.from_books(self._mark, symbols, inputs.books)
        at_once = [path == MARKET_PATH for _, path in self._terms]
        sent = sent_at_once(self._positions, self._rules, self._mark, at_once)
        self._steps, self._bankrupt = forced_steps(
            self._positions, self._rules, self._mark, books, sent
        )
        self._levels = book_levels(self._mark, symbols, inputs.books)
        responses = [MARK_RESPONSES.get(rule or "") for rule, _ in self._terms]
        kappa = [1.0 if response is None else response.kappa(LATENCY_S) for response in responses]
        self._kappa = np.array(kappa * 2)
        self._system = MarketSystem(
            self._positions, self._rules, self._mark, self._levels, np.array(kappa), sent
        )
        order = pools.markets_by_name
        self._order = order[~np.isnan(self._mark[order])].tolist()
        self._names = names

    def _read_terms(self, name: str) -> tuple[str | None, str | None]:
        """A market's mark rule and path: those that its reference names, else its regime's own."""
        raw = self._venue.rule_records.get(name)
        event = None if raw is None else validate_record(raw, "reference")
        if not isinstance(event, MarketReference):
            return None, None
        return event.mark_rule or event.regime, event.path or event.regime

    def shock(
        self, shocks: Sequence[float], survives: Sequence[float], symbols: Sequence[str] = (),
        factors: Sequence[float] = (),
    ) -> VenueStress:  # fmt: skip
        """Every shock (a fraction, not 0, above −1) of the markets `symbols` (empty: all), each
        alone; and every one of `factors` of all markets together."""
        answers = {
            share: ShockAnswers.find(self._steps, self._levels, self._kappa, share)
            for share in survives
        }
        markets: list[SideStress] = []
        unknown = [
            f"{name}: {why}"
            for name, why in sorted(self._left_out.items())
            if not symbols or name in symbols
        ]
        for k in self._order:
            name = self._names[k]
            if symbols and name not in symbols:
                continue
            unknown += self._unknown_of(k)
            for side, sign in enumerate((-1, 1)):
                chosen = [shock for shock in shocks if shock * sign > 0]
                if not chosen:
                    continue
                bucket = side * len(self._mark) + k
                one = BucketStress(
                    self._steps,
                    self._levels,
                    self._bankrupt,
                    bucket,
                    float(self._mark[k]),
                    sign,
                    self._fund(name),
                )
                rows = tuple(
                    one.row(answers[share], shock) for shock in chosen for share in survives
                )
                critical = tuple((share, one.critical(answers[share])) for share in survives)
                unknown += one.unknown(name, SIDES[side], chosen, [*answers.values()])
                markets.append(SideStress(name, one.mark, SIDES[side], rows, critical))
        return VenueStress(tuple(markets), self._shock_system(factors, survives), tuple(unknown))

    def _shock_system(self, factors: Sequence[float], survives: Sequence[float]) -> SystemStress:
        system, first, edges, radii, critical = self._system, survives[0], [], [], []
        for side in SIDES:
            k, accounts = system.edges(RATE_SPAN, side == "down", first)
            radii.append(spectral_radius(k))
            critical.append(system.critical_factor(side == "down", first))
            edges += [
                Edge(self._names[n], self._names[m], float(k[n, m]), int(accounts[n, m]), side)
                for n, m in np.argwhere(k > 0.0).tolist()
            ]
        edges.sort(key=lambda edge: (-edge.k, edge.source, edge.target, edge.side))
        rows = tuple(self._factor_row(f, share) for f in factors for share in survives)
        return SystemStress(max(radii), (critical[0], critical[1]), tuple(edges[:EDGES_MAX]), rows)

    def _factor_row(self, factor: float, survives: float) -> FactorRow:
        sign = 1 if factor > 0 else -1
        shock = np.full(len(self._mark), abs(math.log1p(factor)))
        state = self._system.settle(shock, sign < 0, survives)
        p = self._positions
        used = np.flatnonzero(state.forced)
        slots = np.concatenate(
            [np.arange(p.start[i], p.start[i] + p.length[i]) for i in used.tolist()]
            or [np.empty(0, np.int64)]
        )
        gross = float(np.sum(np.abs(p.quantity[slots]) * self._mark[p.market[slots]]))
        after = self._mark * np.exp(sign * state.moved)
        prices = {self._names[k]: float(after[k]) for k in self._order}
        return FactorRow(factor, survives, gross, len(used), prices)

    def _fund(self, name: str) -> float:
        funds = self._venue.funds
        return funds.get(name, funds.get("", 0)) / MONEY_SCALE

    def _unknown_of(self, k: int) -> list[str]:
        """What nobody has said of a market, and what is assumed instead."""
        name, (rule, path) = self._names[k], self._terms[k]
        unknown = []
        if rule not in MARK_RESPONSES:
            unknown.append(
                f"{name}: how its mark follows its book (mark_rule); taken to follow at once"
            )
        if path is None:
            unknown.append(f"{name}: how it liquidates (path); taken to sell all at once")
        if name not in self._venue.funds and "" not in self._venue.funds:
            unknown.append(f"{name}: its insurance fund; taken to be empty")
        return unknown
