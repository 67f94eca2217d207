"""Many markets in rounds against a loop over accounts that knows nothing of arrays."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from monitor.core.bands.inputs import RuleArrays
from monitor.core.cascade.all_shocks import BookLevels, ForcedSteps, ShockAnswers
from monitor.core.cascade.graph.carriers import spectral_radius
from monitor.core.cascade.graph.system import SHOCK_GRAIN, MarketSystem, RoundTiming
from monitor.core.cascade.graph.system_kernels import measure_reach
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers
from tests.core.bands.position_arrays import sort_positions
from tests.core.cascade.test_all_shocks import displaced

CASES = int(os.environ.get("BRINKWATCH_TEST_CASES", "500"))
RATES = [0.005, 0.01, 0.05]
GENERIC = REGIMES["generic"]


class RandomVenue:
    """Accounts in cross margin that hold some of a few markets, in whole quantities."""

    def __init__(self, rng: np.random.Generator, markets: int, largest: int = 60) -> None:
        pools = int(rng.integers(1, 25))
        self.mark = rng.integers(50, 150, markets).astype(float)
        self.rates = rng.choice(RATES, markets)
        self.books = [
            [
                (np.sort(rng.integers(0, 40, n := int(rng.integers(1, 8)))) / 256).tolist(),
                rng.integers(1, largest, n).astype(float).tolist(),
            ]
            for _ in range(2 * markets)
        ]
        self.kappa = rng.choice([0.25, 1.0], markets)
        self.held = [
            {
                int(m): float(rng.integers(1, 20) * rng.choice([-1, 1, 1]))
                for m in rng.choice(markets, int(rng.integers(1, markets + 1)), replace=False)
            }
            for _ in range(pools)
        ]
        gross = [sum(abs(q) * self.mark[m] for m, q in held.items()) for held in self.held]
        self.equity = [float(g * rng.uniform(0.03, 0.3)) for g in gross]

    def system(self) -> MarketSystem:
        rows = [(p, m, q) for p, held in enumerate(self.held) for m, q in held.items()]
        pool, market, quantity = (np.array(column) for column in zip(*rows, strict=True))
        value = np.bincount(pool, quantity * self.mark[market], minlength=len(self.held))
        cash = np.array(self.equity) - value
        positions = sort_positions(
            pool, market, quantity, self.mark[market], cash, np.zeros(len(self.held), np.int64)
        )
        rules = RuleArrays.from_markets(
            [(GENERIC, Tiers.flat(Fraction(str(rate)))) for rate in self.rates]
        )
        counts = np.cumsum([0] + [len(book[0]) for book in self.books])
        distance = np.concatenate([np.array(book[0]) for book in self.books])
        total = np.concatenate([np.cumsum(book[1]) for book in self.books])
        levels = BookLevels(counts.astype(np.int64), distance, total)
        return MarketSystem(
            positions, rules, self.mark, levels, self.kappa, np.abs(positions.quantity)
        )

    def due(self, held: dict[int, float], equity: float, mark: np.ndarray) -> bool:
        gain = sum(q * (mark[m] - self.mark[m]) for m, q in held.items())
        need = sum(abs(q) * mark[m] * self.rates[m] for m, q in held.items())
        return bool(equity + gain <= need)

    def rounds(
        self, shock: np.ndarray, falls: bool, survives: float
    ) -> tuple[np.ndarray, set[int]]:
        """Move the marks, force who is due, move them by what that sends, and again."""
        sign, side = (-1, 0) if falls else (1, len(self.mark))
        forced: set[int] = set()
        moved = shock.copy()
        while True:
            mark = self.mark * np.exp(sign * moved)
            new = {
                p for p, held in enumerate(self.held)
                if p not in forced and self.due(held, self.equity[p], mark)
            }  # fmt: skip
            if not new:
                return moved, forced
            forced |= new
            for m in range(len(self.mark)):
                sold = sum(
                    abs(q) for p in forced for k, q in self.held[p].items()
                    if k == m and (q > 0) == falls
                )  # fmt: skip
                own = displaced(sold / survives, tuple(self.books[side + m]))  # type: ignore[arg-type]
                moved[m] = max(moved[m], shock[m] + self.kappa[m] * own)


def test_rounds_end_where_a_loop_over_accounts_ends() -> None:
    rng = np.random.default_rng(4)
    spread = 0
    for _ in range(CASES):
        venue = RandomVenue(rng, int(rng.integers(1, 6)))
        falls, survives = bool(rng.integers(2)), float(rng.choice([1.0, 0.25]))
        shock = rng.choice([0.0, 0.02, 0.05, 0.1], len(venue.mark))
        state = venue.system().side(falls, survives).settle(shock)
        moved, forced = venue.rounds(shock, falls, survives)
        assert set(np.flatnonzero(state.forced).tolist()) == forced
        assert state.moved == pytest.approx(moved, rel=1e-12)
        still = shock == 0
        spread += bool(shock.any() and (moved[still] > 0).any())
    assert spread > CASES / 20, "moves reach markets that nobody shocked"


def test_a_larger_shock_and_a_thinner_book_never_end_nearer() -> None:
    rng = np.random.default_rng(5)
    for _ in range(CASES // 10):
        venue = RandomVenue(rng, 3)
        system, ones = venue.system(), np.ones(3)
        state = None
        for shock in (0.0, 0.02, 0.05, 0.1):
            alone = system.side(True, 0.5).settle(ones * shock)
            # Going on from where a smaller shock ended comes to the same, for pools that only
            # lose as all markets fall.
            thinner = system.side(True, 0.25).settle(ones * shock)
            assert (thinner.moved >= alone.moved - 1e-12).all()
            if state is not None:
                assert (alone.moved >= state.moved - 1e-12).all() or any(
                    q < 0 for held in venue.held for q in held.values()
                )
            state = alone


def test_one_market_rests_where_its_own_pass_says() -> None:
    rng = np.random.default_rng(6)
    for _ in range(CASES // 10):
        venue = RandomVenue(rng, 1)
        longs = [p for p, held in enumerate(venue.held) if held[0] > 0]
        system, mark, rate = venue.system(), venue.mark[0], venue.rates[0]
        steps = [(0.0, 0.0)]
        for p in longs:
            q = venue.held[p][0]
            price = (q * mark - venue.equity[p]) / (q * (1 - rate))
            if price > 0:
                steps.append((max(0.0, math.log(mark / price)), q))
        steps.sort()
        distance, quantity = (np.array(column) for column in zip(*steps, strict=True))
        total = np.cumsum(quantity)
        first = np.array([0, system.levels.first[1]])
        levels = BookLevels(first, system.levels.distance, system.levels.total)
        one = ForcedSteps(np.array([0, len(steps)]), distance, total, total)
        answers = ShockAnswers.find(one, levels, system.kappa, 0.5)
        for shock in rng.uniform(0, 0.2, 5).tolist():
            state = system.side(True, 0.5).settle(np.array([shock]))
            assert state.moved[0] == pytest.approx(answers.rest(0, shock)[1], rel=1e-9)
        span = 0.01
        k = system.side(True, 0.5).edges(span).total
        a, b = (answers.moved_at(0, answers.rest(0, 0.0)[1] + extra) for extra in (0.0, span))
        assert spectral_radius(k) == pytest.approx((b - a) / span, abs=1e-9)


def test_an_edge_is_what_the_market_moves_by_when_another_moves() -> None:
    """An account holds 10 of A and 20 of B; A's fall forces both, and B's book gives way."""
    rng = np.random.default_rng(0)
    venue = RandomVenue(rng, 2)
    venue.mark, venue.rates = np.array([100.0, 100.0]), np.array([0.01, 0.01])
    venue.kappa, venue.held, venue.equity = np.ones(2), [{0: 10.0, 1: 20.0}], [35.0]
    venue.books = [[[0.01, 0.03], [5.0, 50.0]] for _ in range(4)]
    edges = venue.system().side(True, 1.0).edges(0.01)
    k, accounts = edges.total, edges.pools
    assert k == pytest.approx(np.array([[3.0, 3.0], [3.0, 3.0]]))
    assert accounts.tolist() == [[1, 1], [1, 1]]
    assert spectral_radius(k) == pytest.approx(6.0)
    critical = venue.system().side(True, 1.0).critical_factor()
    assert critical is not None
    # Equity 35 meets maintenance of 1 % where 3000·(1 − x) less 2965 is 30·(1 − x).
    assert critical.shock == pytest.approx(-math.log(2965 / 2970), abs=2e-4)
    assert critical.length == pytest.approx(0.03, abs=2e-4)
    assert critical.pools == 1


def only_longs(rng: np.random.Generator, markets: int) -> RandomVenue:
    """A venue in which every pool only loses as marks fall: no order of events matters."""
    venue = RandomVenue(rng, markets)
    venue.held = [{m: abs(q) for m, q in held.items()} for held in venue.held]
    return venue


def test_less_depth_more_sent_and_a_quicker_mark_never_end_nearer() -> None:
    rng = np.random.default_rng(7)
    further = 0
    for _ in range(CASES // 10):
        venue, shock = only_longs(rng, 3), rng.choice([0.0, 0.02, 0.05], 3)
        system = venue.system()
        rest = system.side(True, 0.5).settle(shock).moved
        less_sent = replace(system, sent=system.sent * 0.5)
        slower = replace(system, kappa=system.kappa * 0.5)
        for milder in (less_sent.side(True, 0.5), slower.side(True, 0.5), system.side(True, 1.0)):
            nearer = milder.settle(shock).moved
            assert (nearer <= rest + 1e-12).all()
            further += bool((nearer < rest - 1e-6).any())
        still = replace(system, kappa=np.zeros(3)).side(True, 0.5).settle(shock)
        assert still.moved.tolist() == shock.tolist()
    assert further > CASES / 20


def test_rounds_in_time_end_where_rounds_without_it_do() -> None:
    """With κ the same at all times and no refill; and with refill never further."""
    rng = np.random.default_rng(8)
    nearer = 0
    for _ in range(CASES // 10):
        venue, shock = only_longs(rng, 3), rng.choice([0.0, 0.02, 0.05], 3)
        system = venue.system()
        side, rounds = system.side(True, 0.5), 30
        constant = np.tile(system.kappa, (rounds, 1))
        rest = side.settle(shock)
        timed = side.time_rounds(shock, RoundTiming(3.0, constant, 0.0))
        assert timed[-1].moved == pytest.approx(rest.moved, rel=1e-9)
        assert timed[-1].forced.tolist() == rest.forced.tolist()
        before = timed
        for refill in (0.02, 0.2):
            refilled = side.time_rounds(shock, RoundTiming(3.0, constant, refill))
            for a, b in zip(refilled, before, strict=True):
                assert (a.moved <= b.moved + 1e-12).all()
            nearer += bool((refilled[-1].moved < before[-1].moved - 1e-6).any())
            before = refilled
        assert still_without_books(system, shock)
        growing = constant * (np.arange(1, rounds + 1) / rounds)[:, None]
        slower = side.time_rounds(shock, RoundTiming(3.0, growing, 0.0))
        assert (slower[-1].moved <= rest.moved + 1e-12).all()
    assert nearer > CASES / 100


def still_without_books(system: MarketSystem, shock: np.ndarray) -> bool:
    """Whether marks that follow no book stay at the shock where there is no book."""
    first = np.zeros(7, np.int64)
    bare = replace(system, levels=BookLevels(first, np.empty(0), np.empty(0)), kappa=np.zeros(3))
    timing = RoundTiming(3.0, np.zeros((2, 3)), 0.1)
    rests = [bare.side(True, 1.0).settle(shock), *bare.side(True, 1.0).time_rounds(shock, timing)]
    return all((rest.moved == shock).all() for rest in rests)


@pytest.mark.parametrize("falls", [True, False])
@pytest.mark.parametrize("regime", ["binance", "okx", "bybit"])
def test_nobody_who_is_due_is_passed_over(falls: bool, regime: str) -> None:
    """Rising shocks look only at pools that can be due; at each rest, all pools are looked at."""
    rng = np.random.default_rng(9)
    rows = [
        (Fraction(b), Fraction(r), None) for b, r in ((0, "0.01"), (900, "0.03"), (1_500, "0.1"))
    ]
    whole = REGIMES[regime].whole_position
    tiers = Tiers.from_rows(rows, whole=whole)
    forced = 0
    for _ in range(CASES // 20):
        venue = RandomVenue(rng, 4)
        rules = RuleArrays.from_markets([(REGIMES[regime], tiers)] * 4)
        system = replace(venue.system(), rules=rules)
        side = system.side(falls, 0.5)
        share = rng.choice([0.0, 0.5, 1.0], 4)
        rounds = side.rounds_along(share)
        for shock in np.arange(0.0, 0.6, 0.03).tolist():
            rounds.settle(share * shock)
            reach = np.empty(len(rounds.forced))
            table, ones = side.table(rounds.moved), np.ones(4)
            given = side.positions, table, ones, falls, rounds.forced, reach
            measure_reach(0, len(reach), *given)
            assert (reach > 0.0).all()
        forced += rounds.forced_count
    assert forced > CASES / 20


def test_a_critical_shock_is_where_the_rest_jumps() -> None:
    """Of the common factor, and of one market alone, against rests worked out one by one."""
    rng = np.random.default_rng(10)
    critical = 0
    for _ in range(CASES // 20):
        venue = only_longs(rng, 3)
        side = venue.system().side(True, 0.5)
        weight = venue.system().open_notional
        asked = [(np.ones(3), weight / weight.sum(), side.critical_factor())]
        alone = side.critical_markets(range(3))
        asked += [(unit, unit, one) for unit, one in zip(np.eye(3), alone, strict=True)]
        for share, by, shock in asked:
            if shock is None:
                continue
            critical += 1
            rests = [
                float(by @ side.settle(share * at).moved)
                for at in (shock.shock - SHOCK_GRAIN, shock.shock)
            ]
            own = float(by @ share) * SHOCK_GRAIN
            assert rests[1] - rests[0] - own == pytest.approx(shock.length, abs=1e-9)
    assert critical > CASES / 50


def test_the_order_of_pools_changes_no_bit() -> None:
    rng = np.random.default_rng(11)
    venue = RandomVenue(rng, 4)
    venue.held = [{m: q * 0.1 for m, q in held.items()} for held in venue.held]
    venue.equity = [equity * 0.1 for equity in venue.equity]
    shock = np.array([0.05, 0.0, 0.02, 0.0])
    rest = venue.system().side(True, 0.25).settle(shock)
    order = rng.permutation(len(venue.held)).tolist()
    venue.held = [venue.held[p] for p in order]
    venue.equity = [venue.equity[p] for p in order]
    again = venue.system().side(True, 0.25).settle(shock)
    assert again.moved.tolist() == rest.moved.tolist()
    assert again.forced.tolist() == rest.forced[order].tolist()


def test_indices_that_follow_a_book_carry_its_move() -> None:
    """A's holder sells and A's book gives way by .03; B's index goes half as far as A's, and
    outside prices of A follow its book by a fifth."""
    venue = RandomVenue(np.random.default_rng(0), 2)
    venue.mark, venue.rates = np.array([100.0, 100.0]), np.array([0.01, 0.01])
    venue.kappa, venue.held = np.array([0.5, 0.5]), [{0: 10.0}, {1: 10.0}]
    venue.equity = [15.0, 500.0]
    venue.books = [[[0.01, 0.03], [5.0, 50.0]] for _ in range(4)]
    carry = np.array([[0.2 * 0.5, 0.2 * 0.5], [0.0, 0.0]])
    system = replace(venue.system(), index_carry=carry)
    edges = system.side(True, 1.0).edges(0.01)
    assert edges.accounts == pytest.approx(np.array([[1.5, 0.0], [0.0, 0.0]]))
    assert edges.indices == pytest.approx(np.array([[0.3, 0.3], [0.0, 0.0]]))
    rest = system.side(True, 1.0).settle(np.array([0.01, 0.0])).moved
    assert rest == pytest.approx([0.01 + 0.015 + 0.003, 0.003])


def keep_rate(system: MarketSystem, rates: list[float], market: int) -> MarketSystem:
    """The same, but the market's own rate is another one, and all who hold it keep theirs."""
    rules = [(GENERIC, Tiers.flat(Fraction(str(rate)))) for rate in rates]
    others = [*rules, rules[market]]
    others[market] = GENERIC, Tiers.flat(Fraction(1, 2))
    mine = system.positions.market == market
    markets, first = len(rates), system.levels.first
    # The books of the column behind the markets are empty.
    counts = np.concatenate((first[: markets + 1], first[markets:], first[-1:]))
    return replace(
        system,
        positions=system.positions._replace(
            rules=np.where(mine, -1, system.positions.market).astype(np.int32)
        ),
        rules=RuleArrays.from_markets(others, [market]),
        mark=np.append(system.mark, system.mark[market]),
        kappa=np.append(system.kappa, 0.0),
        levels=system.levels._replace(first=counts),
    )


def test_positions_that_keep_their_rules_are_due_by_those() -> None:
    rng = np.random.default_rng(11)
    forced = 0
    for _ in range(100):
        venue = RandomVenue(rng, markets := int(rng.integers(1, 5)))
        falls, market = bool(rng.integers(2)), int(rng.integers(markets))
        shock = rng.choice([0.0, 0.02, 0.05, 0.1], markets)
        system = venue.system()
        kept = keep_rate(system, venue.rates.tolist(), market)
        alone = system.side(falls, 1.0).settle(shock)
        side = kept.side(falls, 1.0)
        state = side.settle(np.append(shock, 0.0))
        assert state.moved[:markets].tolist() == alone.moved.tolist()
        assert state.forced.sum() == alone.forced.sum()
        edges, others = side.edges(0.005), system.side(falls, 1.0).edges(0.005)
        assert (edges.total[:markets, :markets] == others.total).all()
        forced += int(alone.forced.sum())
    assert forced > 50
