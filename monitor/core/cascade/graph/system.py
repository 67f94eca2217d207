"""Many markets at once: accounts in cross margin carry a fall from one market into another.

All markets move in synchronous rounds (`rounds.py`). A market's *edges* say what happens one step
further: K[n, m] is how far market m's mark moves for each unit that market n moves. It has two
parts. Through *accounts* that hold both: n's move forces them, and what they send in m moves m's
book, and κ of that its mark. Through *indices*: what is sent in any market moves its book, outside
prices of that market follow by a measured share, and those of others follow them by their measured
slopes. The reproduction number of the system is the largest of the moduli of K's eigenvalues; for
one market it is that market's R.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.bands.inputs import RuleArrays
from monitor.core.bands.kernels.arrays import Int32, MarketTable, PositionArrays
from monitor.core.cascade.all_shocks import BookLevels
from monitor.core.cascade.graph.rounds import Rounds, SystemState
from monitor.core.cascade.graph.system_kernels import (
    SideBooks,
    flow_by_pool,
    gather_pools,
    index_pools,
    measure_reach,
    order_pools,
    push_books,
    spread_moves,
)
from monitor.core.cascade.market_stress import JUMP_MIN

SHOCK_STEP = 0.005
SHOCK_REACH = 0.5
"""A critical shock is looked for in steps of the one up to the other (log)."""
SHOCK_GRAIN = 1e-4
"""And in the steps where most happens in these."""
STEPS_REFINED = 3
PACE_MIN = 0.05
"""Markets that no shock moves are expected to move less than this part of those that one does."""
_NO_POOLS: Int32 = np.empty(0, np.int32)
PUSH_MAX = 50.0
"""How far a book that is not there gives way where time passes (log distance): to nothing."""
UNIT_BITS = 61
"""All that a market could send is below 2 to this power of its unit: sums stay in 64 bits."""


class CriticalShock(NamedTuple):
    """All markets move by `shock` times their share of it (log distance), and come to rest `length`
    further away than with a little less; it forces `pools`. See `SystemSide.critical_factor`."""

    shock: float
    length: float
    pools: int


class Edges(NamedTuple):
    """K (from market, to market) in its two parts, and the number of pools behind each entry."""

    accounts: Float64
    indices: Float64
    pools: Int64

    @property
    def total(self) -> Float64:
        return self.accounts + self.indices


class RoundTiming(NamedTuple):
    """How time passes in rounds. `round_s`: from one to the next. `kappa` (rounds, markets): the
    part of a move of the book that is in the mark after 1, 2, … rounds. `refill`: the share of the
    depth taken that comes back in a second, 0 to 1."""

    round_s: float
    kappa: Float64
    refill: float


class _Place(NamedTuple):
    """Where rounds begin. `reach`: by pool, how far all marks may move from there before it can be
    due; `order`: the pools that can be, nearest first. Pools are numbered as in the side."""

    state: SystemState
    reach: Float64
    order: Int32


@dataclass(frozen=True)
class MarketSystem:
    """A venue's pools, marks and books.

    `mark`, `kappa`: by market, NaN marks: not known. `levels`: see `book_levels`. `sent`: by slot,
    the quantity of a position that goes to the book at once. `index_carry` (from, to): the part of
    a book's move that passes into a mark through outside prices; None: they stand still. `beta`: by
    market, how far it moves for each unit of the common factor; None: by as much.
    """

    positions: PositionArrays
    rules: RuleArrays
    mark: Float64
    levels: BookLevels
    kappa: Float64
    sent: Float64
    index_carry: Float64 | None = None
    beta: Float64 | None = None

    def side(self, falls: bool, survives: float) -> SystemSide:
        """All marks move down, or all up, with `survives` of the books' quantities still there."""
        return SystemSide(self, falls, survives)

    @cached_property
    def unit(self) -> Float64:
        """By market: a power of two, so that whole quantities stay whole in it."""
        p, markets = self.positions, len(self.mark)
        total = np.bincount(p.market, np.where(p.quantity != 0.0, self.sent, 0.0), markets)
        unit: Float64 = np.ldexp(1.0, np.frexp(total)[1] - UNIT_BITS)
        return unit

    @cached_property
    def sent_units(self) -> Int64:
        p = self.positions
        sent = np.where(p.quantity != 0.0, self.sent / self.unit[p.market], 0.0)
        return np.rint(sent).astype(np.int64)

    @cached_property
    def open_notional(self) -> Float64:
        """By market, quote currency; 0 where the mark is not known."""
        p = self.positions
        total = np.bincount(p.market, np.abs(p.quantity), len(self.mark))
        return np.nan_to_num(total * self.mark)


class SystemSide:
    """One direction of a system.

    Its pools are those that can be due at all, nearest first: what is looked at together lies
    together. Edges and critical shocks are those from the base: where the marks come to rest
    without any shock, when everybody who is due already is forced.
    """

    def __init__(self, system: MarketSystem, falls: bool, survives: float) -> None:
        self.falls, self.survives = falls, survives
        self._system, self._sign = system, -1.0 if falls else 1.0
        markets, (first, distance, total) = len(system.mark), system.levels
        begin = 0 if falls else markets
        first = np.ascontiguousarray(first[begin : begin + markets + 1])
        self.books = SideBooks(first, distance, total, system.unit)
        self.positions = system.positions
        none = np.zeros(len(system.positions.cash), np.bool_)
        reach, self._pools = self._measure(np.zeros(markets), none)
        self.positions, self.sent = _gather(self._pools, system.positions, system.sent_units)
        pools = len(self._pools)
        start = SystemState(
            np.zeros(markets), np.zeros(pools, np.bool_), np.zeros(markets, np.int64)
        )
        self._start = _Place(start, reach[self._pools], np.arange(pools, dtype=np.int32))

    def marks(self, moved: Float64) -> Float64:
        """The marks when each has moved so far (log distance)."""
        # Rules of single positions stand behind the markets, and their marks are those of these.
        of_market = moved[self._system.rules.market]
        with np.errstate(over="ignore"):
            moved_to: Float64 = self._system.mark * np.exp(self._sign * of_market)
        return moved_to

    def table(self, moved: Float64) -> MarketTable:
        """What positions take from their markets there."""
        with np.errstate(divide="ignore"):
            return self._system.rules.at_marks(self.marks(moved))

    def carry(self, pushed: Float64) -> Float64:
        """How far the marks move when the books give way by `pushed` (log distances)."""
        kappa = self._system.kappa
        return np.where(kappa > 0.0, pushed, 0.0) * kappa + self._carry_by_indices(pushed)

    def _carry_by_indices(self, pushed: Float64) -> Float64:
        carry = self._system.index_carry
        if carry is None:
            return np.zeros(len(pushed))
        followed: Float64 = np.where(np.isfinite(pushed), pushed, 0.0) @ carry
        return followed

    @cached_property
    def _base(self) -> _Place:
        """Where the marks come to rest without any shock."""
        rounds = self._rounds(self._start)
        rounds.settle(rounds.moved)
        if not rounds.forced_count:
            return self._start
        return _Place(rounds.state, *self._measure(rounds.moved, rounds.forced))

    def _measure(self, moved: Float64, forced: Bool) -> tuple[Float64, Int32]:
        """`reach` and `order` of a place."""
        pools, ones = len(forced), np.ones(len(moved))
        reach, order = np.empty(pools), np.empty(pools, np.int32)
        given = self.positions, self.table(moved), ones, self.falls, forced
        measure_reach(0, pools, *given, reach)
        return reach, order[: order_pools(reach, order)]

    def _rounds(
        self, place: _Place, pace: Float64 | None = None, slow: float = 1.0,
        early: Int32 = _NO_POOLS,
    ) -> Rounds:  # fmt: skip
        pace = np.ones(len(self._system.mark)) if pace is None else pace
        return Rounds(self, place.state, pace, slow, place.order, place.reach, early)

    def settle(self, shock: Float64) -> SystemState:
        """Where rounds end. `shock`: by market, log distance, not negative."""
        rounds = self._rounds(self._start)
        rounds.settle(shock)
        return self._outside(rounds.state)

    def _outside(self, state: SystemState) -> SystemState:
        """The state with all pools as the system numbers them."""
        forced = np.zeros(len(self._system.positions.cash), np.bool_)
        forced[self._pools[state.forced]] = True
        return state._replace(forced=forced)

    def time_rounds(self, shock: Float64, timing: RoundTiming) -> list[SystemState]:
        """Where each round ends, when time passes between them.

        What is sold stands against the book; `refill` of it is made good each second. Each mark
        follows its book by what κ says of the time since the book gave way, and never back.
        """
        rounds = self._rounds(self._start)
        rounds.move(shock)
        before = sold = rounds.sold.copy()
        keep = (1.0 - timing.refill) ** timing.round_s
        pushed, states = [np.zeros(len(shock))], []
        for k in range(len(timing.kappa)):
            rounds.force()
            sold = np.rint(sold * keep).astype(np.int64) + (rounds.sold - before)
            before = rounds.sold.copy()
            pushed.append(np.minimum(self._push(sold), PUSH_MAX))
            # κ of the youngest step is that of one round.
            passed = np.sum(timing.kappa[k::-1] * np.diff(pushed, axis=0), axis=0)
            rounds.move(shock + np.maximum(passed, 0.0) + self._carry_by_indices(pushed[-1]))
            states.append(self._outside(SystemState(rounds.moved, rounds.forced, before)))
        return states

    def _push(self, sold: Int64) -> Float64:
        """How far the books give way to quantities sent, in their units."""
        pushed, none = np.zeros(len(sold)), np.zeros(len(sold), np.int64)
        levels = self.books.first[:-1].copy()
        push_books(sold, none, self.books, self.survives, levels, pushed)
        return pushed

    def edges(self, span: float) -> Edges:
        """K and what is behind it. `span`: the log distance of the moves that it is measured on."""
        markets, sold = len(self._system.mark), self._base.state.sold
        flow, pools = (np.zeros((markets, markets), np.int64) for _ in range(2))
        spread_moves(self._near(span), *self._move(span), flow, pools)
        before, steps = self._push(sold), np.zeros((markets, markets))
        for n in np.flatnonzero(flow.any(axis=1)).tolist():
            after = self._push(sold + flow[n])
            # Without a book nothing is known; the stress test says so.
            with np.errstate(invalid="ignore"):
                steps[n] = np.where(np.isfinite(after), after - before, 0.0) / span
        through, carry = steps * self._system.kappa, self._system.index_carry
        return Edges(through, np.zeros_like(steps) if carry is None else steps @ carry, pools)

    def _near(self, span: float) -> Int32:
        """The pools that a move of this length can make due."""
        near: Int32 = np.flatnonzero(self._base.reach <= span).astype(np.int32)
        return near

    def _move(self, span: float) -> tuple[PositionArrays, MarketTable, Float64, Int64, float]:
        """What the loops over a small move of single markets are given."""
        ones, growth = np.ones(len(self._system.mark)), float(np.exp(self._sign * span))
        return self.positions, self.table(self._base.state.moved), ones, self.sent, growth

    def flow_of(self, source: int, target: int, span: float) -> tuple[Int32, Float64]:
        """The pools behind an edge, and the quantity that each sends in market `target`."""
        near = self._near(span)
        out = np.zeros(len(near), np.int64)
        flow_by_pool(near, *self._move(span), source, target, out)
        there = np.flatnonzero(out)
        return self._pools[near[there]], out[there] * self._system.unit[target]

    def critical_factor(self) -> CriticalShock | None:
        """The shock of the common factor at which the marks' rest jumps furthest, on the average of
        their open notional; None: in no step by as much as the step."""
        system = self._system
        beta = np.ones(len(system.mark)) if system.beta is None else system.beta
        return self._critical(beta, system.open_notional, SHOCK_STEP, _NO_POOLS)

    def critical_markets(self, markets: Sequence[int]) -> list[CriticalShock | None]:
        """The same of each of these markets when it alone is shocked, and of its own mark's rest;
        the others follow through the accounts."""
        first = np.zeros(len(self._system.mark) + 1, np.int64)
        pools = np.empty(len(self.positions.quantity), np.int32)
        index_pools(self.positions, self.falls, first, pools)
        shocks = []
        for n in markets:
            alone = np.zeros(len(self._system.mark))
            alone[n] = 1.0
            shocks.append(self._critical(alone, alone, JUMP_MIN, pools[first[n] : first[n + 1]]))
        return shocks

    def _critical(
        self, share: Float64, weight: Float64, least: float, early: Int32
    ) -> CriticalShock | None:
        """The shock along `share` (by market) at which the weighted rest jumps furthest; None: in
        no step by `least`, or in no grain by `JUMP_MIN`."""
        if not weight.any():
            return None
        weight = weight / weight.sum()
        steps = np.linspace(SHOCK_STEP, SHOCK_REACH, round(SHOCK_REACH / SHOCK_STEP))
        rises, _ = self._rises(steps, share, weight, early)
        chosen = np.argsort(-rises, kind="stable")[:STEPS_REFINED]
        chosen = chosen[rises[chosen] >= least]
        if not len(chosen):
            return None
        grains = np.arange(1, round(SHOCK_STEP / SHOCK_GRAIN) + 1) * SHOCK_GRAIN - SHOCK_STEP
        last = grains[-1:]
        parts = [grains if k in chosen else last for k in range(chosen.max() + 1)]
        shocks: Float64 = np.concatenate(
            [step + part for step, part in zip(steps, parts, strict=False)]
        )
        rises, pools = self._rises(shocks, share, weight, early)
        is_grain = np.concatenate([np.full(len(part), len(part) > 1) for part in parts])
        best = int(np.argmax(np.where(is_grain, rises, 0.0)))
        if rises[best] < JUMP_MIN:
            return None
        return CriticalShock(float(shocks[best]), float(rises[best]), int(pools[best]))

    def rounds_along(self, share: Float64, early: Int32 = _NO_POOLS) -> Rounds:
        """Rounds from the base for shocks along `share`. `early`: the pools that lose with the
        markets that it moves; none: it moves many, and all pools are looked at in their turn."""
        pace = np.maximum(share, PACE_MIN)
        slow = PACE_MIN if len(early) else float(pace.max())
        return self._rounds(self._base, pace, slow, early)

    def _rises(
        self, shocks: Float64, share: Float64, weight: Float64, early: Int32
    ) -> tuple[Float64, Int64]:
        """For shocks that rise along `share`: by how much the weighted rest goes further than the
        shock, more than it did at the one before, and how many more pools it forces."""
        rounds = self.rounds_along(share, early)
        own, beyond, pools = float(weight @ share), [], []
        for shock in (0.0, *shocks.tolist()):
            rounds.settle(share * shock)
            rest = weight @ np.where(np.isfinite(rounds.moved), rounds.moved, 0.0)
            beyond.append(float(rest) - own * shock)
            pools.append(rounds.forced_count)
        return np.diff(beyond), np.diff(pools)


def _gather(pools: Int32, positions: PositionArrays, sent: Int64) -> tuple[PositionArrays, Int64]:
    """These pools alone, in this order, and what their positions send. Columns that no loop here
    reads are empty."""
    length = positions.length[pools]
    ends = np.cumsum(length, dtype=np.int64)
    slots = int(ends[-1]) if len(ends) else 0
    out = positions._replace(
        start=ends - length, length=length, key=np.empty(0, np.uint64), cash=np.empty(len(pools)),
        isolated=np.empty(0, np.bool_), row=np.empty(0, np.int32),
        market=np.empty(slots, np.int32), quantity=np.empty(slots), entry=np.empty(slots),
        rules=np.empty(slots, np.int32),
    )  # fmt: skip
    out_sent = np.empty(slots, np.int64)
    gather_pools(pools, positions, sent, out, out_sent)
    return out, out_sent
