"""Stress of a venue: what each shock would force, and where the mark would come to rest.

Never a stopping price: each answer comes for several shares of the book that survive, since how much
of it is withdrawn decides more than anything else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from detectors.arrays.types import Float64
from monitor.core.bands.inputs import BookImpact, RuleArrays, mark_prices
from monitor.core.bands.kernels.books import IMPACT_EXPONENT
from monitor.core.bands.maker import NO_RULES, BandMaker
from monitor.core.cascade.all_shocks import BookLevels, ForcedSteps, Jump, ShockAnswers
from monitor.core.cascade.shock_kernels import FAR_MIN
from monitor.core.cascade.system import FactorShock, MarketSystem, spectral_radius
from monitor.core.cascade.venue_steps import book_levels, forced_steps, sent_at_once
from monitor.core.contract.events import MarketReference
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.decode.codec import validate_record
from monitor.core.margin.mark_response import MARK_RESPONSES
from monitor.core.venue.state import VenueState

LATENCY_S = 30.0
"""How long forced flow stands against the venue's own book before outside prices answer, s."""
REACH = math.log(2.0)
"""Log distance up to which critical shocks are looked for: half, or twice, the mark."""
RATE_SPAN = 0.005
"""Log distance over which R is measured: a single position is a step, and has no slope."""
TAIL_POINTS = 512
"""Points at which the power law behind the visible book is summed."""
JUMP_MIN = 0.001
"""A jump of the rest that is shorter (log distance) is no critical shock: every single position
that is sold moves the mark by something."""
EDGES_MAX = 50
"""Edges that are shown, the largest ones."""
MARKET_PATH = "market"
SIDES = ("down", "up")


@dataclass(frozen=True, slots=True)
class ShockRow:
    """One shock with one share of the book.

    `shock`: a fraction of the mark, negative: it falls. `survives`: the share of the book's
    quantities that is still there. `forced_notional` at today's mark, `price_after`: where the mark
    comes to rest (None: there is no book), `vwap`: at which the forced quantity is closed (None:
    nothing is), `multiplier`: how much further than the shock the mark goes. `shortfall`: what the
    closes cost beyond the margin of their accounts; `adl_notional`: of the positions that the
    insurance fund does not cover. `r`: the reproduction number there. Amounts in quote currency.
    """

    shock: float
    survives: float
    forced_notional: float
    price_after: float | None
    vwap: float | None
    multiplier: float | None
    shortfall: float
    adl_notional: float
    r: float | None


@dataclass(frozen=True, slots=True)
class SideStress:
    """One side of one market: the shocks down or up, and the critical shock for each share of the
    book, None where there is none within reach."""

    symbol: str
    mark: float
    side: str
    rows: tuple[ShockRow, ...]
    critical: tuple[tuple[float, Jump | None], ...]


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
    """All markets moved by `shock`: what is forced, and where each mark comes to rest, by market."""

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
        there = np.array([name in inputs.rules for name in names], np.bool_)
        self._rules = RuleArrays.from_markets(
            [inputs.rules.get(name, NO_RULES) for name in names]
        )
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
        markets, unknown = [], []
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
                    self._steps, self._levels, self._bankrupt, bucket, float(self._mark[k]), sign,
                    self._fund(name),
                )
                rows = tuple(
                    one.row(answers[share], shock) for shock in chosen for share in survives
                )
                critical = tuple((share, one.critical(answers[share])) for share in survives)
                unknown += one.unknown(name, SIDES[side], rows)
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


@dataclass(frozen=True, slots=True)
class BucketStress:
    """One side of one market. `sign`: −1 where the mark falls, 1 where it rises; `fund`: what the
    insurance fund holds, quote currency. The others: see `venue_steps`."""

    steps: ForcedSteps
    levels: BookLevels
    bankrupt: Float64
    bucket: int
    mark: float
    sign: int
    fund: float

    def row(self, answers: ShockAnswers, shock: float) -> ShockRow:
        """What `shock` does where `answers.survives` of the book is there."""
        away = abs(math.log1p(shock))
        step, y = answers.rest(self.bucket, away)
        low = int(self.steps.first[self.bucket])
        total = float(self.steps.total[step])
        shortfall, adl, vwap = self._close(low, step, answers.survives)
        there = math.isfinite(y)
        return ShockRow(
            shock, answers.survives, total * self.mark,
            self.mark * math.exp(self.sign * y) if there else None,
            vwap, y / away if there else None, shortfall, adl, self._rate(answers, y),
        )  # fmt: skip

    def _close(self, low: int, step: int, survives: float) -> tuple[float, float, float | None]:
        """Shortfall, notional that is auto-deleveraged, and average price of closing the steps up
        to `step`, the nearest first."""
        sent = self.steps.sent[low : step + 1]
        if sent[-1] <= 0.0 or self._depth == 0.0:
            return 0.0, 0.0, None
        proceeds = self._proceeds(sent / survives) * survives
        sizes = np.diff(sent)
        with np.errstate(invalid="ignore", divide="ignore"):
            prices = np.diff(proceeds) / sizes
        short = -self.sign * (self.bankrupt[low + 1 : step + 1] - prices) * sizes
        short = np.where(np.isfinite(short), np.maximum(short, 0.0), 0.0)
        uncovered = (np.cumsum(short) > self.fund) & (short > 0.0)
        adl = float(np.sum(sizes[uncovered])) * self.mark
        return float(short.sum()), adl, float(proceeds[-1] / sent[-1])

    @property
    def _depth(self) -> float:
        high = int(self.levels.first[self.bucket + 1])
        there = high > self.levels.first[self.bucket]
        return float(self.levels.total[high - 1]) if there else 0.0

    def _proceeds(self, quantity: Float64) -> Float64:
        """What the whole book pays for each quantity; behind its last level by the power law."""
        low, high = self.levels.first[self.bucket], self.levels.first[self.bucket + 1]
        distance, total = self.levels.distance[low:high], self.levels.total[low:high]
        price = self.mark * np.exp(self.sign * distance)
        edges = np.concatenate(([0.0], total))
        paid = np.concatenate(([0.0], np.cumsum(price * np.diff(edges))))
        if quantity[-1] > total[-1]:
            beyond = np.geomspace(total[-1], quantity[-1], TAIL_POINTS)
            far = max(float(distance[-1]), FAR_MIN) * (beyond / total[-1]) ** IMPACT_EXPONENT
            price = self.mark * np.exp(self.sign * far)
            more = np.cumsum((price[1:] + price[:-1]) / 2 * np.diff(beyond))
            edges, paid = (
                np.concatenate((edges, beyond[1:])),
                np.concatenate((paid, paid[-1] + more)),
            )
        return np.interp(quantity, edges, paid)

    def _rate(self, answers: ShockAnswers, y: float) -> float | None:
        """R: how far the mark moves by what is forced in the next `RATE_SPAN`, over that span."""
        if not math.isfinite(y):
            return None
        a, b = (answers.moved_at(self.bucket, at) for at in (y, y + RATE_SPAN))
        return (b - a) / RATE_SPAN if math.isfinite(b) else None

    def critical(self, answers: ShockAnswers) -> Jump | None:
        """The shock at which the rest jumps furthest, the nearest of equal ones; None: by less
        than `JUMP_MIN` everywhere."""
        jumps = [j for j in answers.jumps(self.bucket, REACH) if j.length >= JUMP_MIN]
        return max(jumps, key=lambda jump: jump.length, default=None)

    def unknown(self, name: str, side: str, rows: Sequence[ShockRow]) -> list[str]:
        """Which answers rest on what no book shows."""
        if self._depth == 0.0:
            forced = any(row.forced_notional for row in rows)
            return [f"{name} {side}: there is no book to close into"] if forced else []
        beyond = [
            f"{row.shock:+.1%} with {row.survives:g} of the book"
            for row in rows
            if self._sent(row) > self._depth * row.survives
        ]
        if not beyond:
            return []
        seen = f"{name} {side}: the visible book takes {self._depth * self.mark:,.0f}"
        return [f"{seen}; beyond it a power law answers ({', '.join(beyond)})"]

    def _sent(self, row: ShockRow) -> float:
        at = np.searchsorted(self._totals, row.forced_notional / self.mark * (1 + 1e-12), "right")
        return float(self.steps.sent[int(self.steps.first[self.bucket]) + int(at) - 1])

    @property
    def _totals(self) -> Float64:
        low, high = self.steps.first[self.bucket], self.steps.first[self.bucket + 1]
        return self.steps.total[low:high]


def stress_object(at_ns: int, stress: VenueStress) -> dict[str, Any]:
    """What `brinkwatch stress --json` prints."""
    markets = []
    for side in stress.markets:
        first = side.critical[0][1]
        markets.append({
            "symbol": side.symbol, "mark": side.mark, "side": side.side,
            "rows": [
                {name: getattr(row, name) for name in ShockRow.__slots__} for row in side.rows
            ],
            "critical_shock": None if first is None else _as_fraction(first.shock, side.side),
            "jump": None if first is None else _finite(first.length),
            "critical": [
                {
                    "survives": share,
                    "shock": None if jump is None else _as_fraction(jump.shock, side.side),
                    "jump": None if jump is None else _finite(jump.length),
                    "prices_passed": None if jump is None else jump.steps,
                }
                for share, jump in side.critical
            ],
        })  # fmt: skip
    system = stress.system
    shocks = zip(SIDES, system.critical, strict=True)
    return {
        "at": at_ns,
        "markets": markets,
        "system": {
            "r": system.r,
            "critical_factor_shock": {
                side: None if critical is None else _as_fraction(critical.shock, side)
                for side, critical in shocks
            },
            "edges": [
                {"from": e.source, "to": e.target, "k": e.k, "accounts": e.accounts, "side": e.side}
                for e in system.edges
            ],
            "factor_rows": [
                {name: getattr(row, name) for name in FactorRow.__slots__} for row in system.factor
            ],
        },
        "unknown": list(stress.unknown),
    }


def _as_fraction(shock: float, side: str) -> float:
    return math.expm1(-shock if side == "down" else shock)


def _finite(length: float) -> float | None:
    return length if math.isfinite(length) else None
