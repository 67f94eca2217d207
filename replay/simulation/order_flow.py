"""The orders of a simulated day: when they are placed, filled, cancelled or replaced.

Orders excite further orders: each is followed shortly after by some more, often of the same account
(a branching process, so that counts cluster far more than a Poisson process). Most orders of a
cluster end together, so that cancels cluster too. Market makers place several quotes at once, on
both sides, and cancel them at once.
"""

from __future__ import annotations

import numpy as np

from monitor.core.contract.fixed_point import SCALE
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from monitor.core.decode.batch import Int64
from replay.simulation.incidents.planted import PlantedIncident
from replay.simulation.market import Float64, Population, Rng, Rows, SimulatedMarkets, Stretch

NEVER = 2**62
"""The time of what does not happen to an order."""
ID_STRIDE, TAKER_ID, REPLACEMENT_ID = 4, 1, 2
"""Ids of orders are multiples of four; the taker who meets an order and the order that replaces it
have its id plus these."""

BRANCHING = 0.6
"""Orders that an order excites, on average."""
EXCITE_S = (0.15, 3.0)
"""Mean delays of a fast and of a slow reaction."""
SAME_ACCOUNT = 0.6
"""Share of reactions of the same account."""
MAKER_SHARE, MAKER_QUOTES, QUOTE_S = 0.2, 6.0, 0.02
"""Share of spontaneous orders that are a market maker's; its further quotes, on average; their mean
delay."""
SHARED_LIFE_SHARE = 0.7
"""Share of orders that end with the first of their cluster."""
LIFE_S, LIFE_SPREAD, LIFE_MAX_S = 1.5, 1.2, 600.0
"""Lifetimes are log-normal: median, standard deviation of the logarithm, largest."""
FILLED_SHARE, NEAR_TOUCH_SHARE, FILL_S = 0.1, 0.56, 1.0
"""Share of all orders that meet a taker; share of all orders that are near the best price, where
takers meet them; mean time until then."""
REPLACED_SHARE = 0.05
"""Share of unfilled orders that are replaced by another instead of cancelled."""
EVENTS_PER_ORDER = 2.3
"""Records (orders, cancels, fills) for each order of the clusters."""
LAYERS, LAYERED_NOTIONAL = 20, 100_000_000.0
"""Orders of one layering; a usual depth within 25 bps of a market that has all orders of the
venue, quote currency."""
CANCELS_PER_EVENT = 0.42
"""Share of cancels among these records."""

ORDER = np.dtype(
    [
        ("ts", "i8"),
        ("end", "i8"),  # when it is cancelled or replaced; NEVER if it is filled entirely
        ("fill_ts", "i8"),  # when a taker meets it; NEVER if none does
        ("id", "i8"),  # -1: not numbered yet
        ("replaces", "i8"),  # -1: a new order
        ("symbol", "i4"),
        ("account", "i4"),
        ("taker", "i4"),  # account that meets it
        ("side", "i1"),
        ("replaced", "?"),  # another order replaces it: it has no cancel
        ("price", "i8"),  # before it is placed: ticks behind the best price; then 1e-8
        ("quantity", "i8"),
        ("filled", "i8"),
    ]
)


def _delays(rng: Rng, count: int, *means_s: float) -> Int64:
    """Exponential delays plus 1 ms, in ns; each has one of the means, drawn at random."""
    mean = np.array(means_s)[rng.integers(len(means_s), size=count)]
    return (MILLISECOND_NS + rng.exponential(mean * SECOND_NS)).astype(np.int64)


def _lifetimes(rng: Rng, count: int) -> Int64:
    life_s = LIFE_S * np.exp(LIFE_SPREAD * rng.standard_normal(count))
    return (np.clip(life_s, 0.001, LIFE_MAX_S) * SECOND_NS).astype(np.int64)


def quantities(
    rng: Rng, markets: SimulatedMarkets, symbol: Int64, wealth: Float64, share: float = 0.003
) -> Int64:
    """Order quantities (1e-8, multiples of the lot) of about `share` of the account's wealth."""
    notional = wealth * share * np.exp(rng.standard_normal(len(symbol)))
    units = notional / markets.price[symbol] * SCALE
    lot = markets.lot[symbol]
    return np.maximum(np.rint(units / lot).astype(np.int64), 1) * lot


class OrderFlow:
    """Draws the orders of one stretch after the other; keeps those that rest or are yet to come.

    `orders`: the planted ones (`planted_orders`).
    """

    def __init__(
        self, rng: Rng, markets: SimulatedMarkets, population: Population, rate: float, orders: Rows
    ) -> None:
        self._rng, self._markets, self._population = rng, markets, population
        cluster = (1 + MAKER_SHARE * MAKER_QUOTES) / (1 - BRANCHING)
        self._roots_per_s = rate / EVENTS_PER_ORDER / cluster * markets.share
        self._upcoming = orders
        self._resting = np.empty(0, ORDER)
        self._next_id = 0

    def step(self, stretch: Stretch) -> tuple[Rows, Rows, Rows]:
        """Orders placed in `stretch`, orders that meet a taker in it and orders that end in it.

        Sorted by `ts`, by `fill_ts` and by `end`.
        """
        until = stretch.start_ts + stretch.seconds * SECOND_NS
        orders = np.concatenate([self._upcoming, self._new_orders(stretch)])
        due = orders["ts"] < until
        placed = _sort_by(orders[due], "ts")
        self._upcoming = orders[~due]
        planted = np.flatnonzero(placed["id"] < 0)
        placed["id"][planted] = self._take_ids(len(planted))
        self._set_prices(placed, stretch)
        live = np.concatenate([self._resting, placed])
        filled = live["fill_ts"] < until
        ended = live["end"] < until
        met, over = _sort_by(live[filled], "fill_ts"), _sort_by(live[ended], "end")
        # An order rests until it has neither a fill nor an end to come.
        live["fill_ts"][filled] = NEVER
        live["end"][ended] = NEVER
        self._resting = live[(live["fill_ts"] < NEVER) | (live["end"] < NEVER)]
        return placed, met, over

    def _take_ids(self, count: int) -> Int64:
        ids = ID_STRIDE * (self._next_id + np.arange(count))
        self._next_id += count
        return ids

    def _set_prices(self, placed: Rows, stretch: Stretch) -> None:
        """Turn distances from the best price, in ticks, into prices at the time of placing."""
        second = np.maximum((placed["ts"] - stretch.start_ts) // SECOND_NS, 0)
        symbol, side = placed["symbol"], placed["side"].astype(np.int64)
        away = np.minimum(stretch.spread[second, symbol] + placed["price"], 500)
        ticks = stretch.mid[second, symbol] - side * away
        placed["price"] = np.maximum(ticks, 1) * self._markets.tick[symbol]

    def _new_orders(self, stretch: Stretch) -> Rows:
        """Orders of the clusters that start in the stretch, with ids, lifetimes and fills."""
        clusters, roots = self._draw_clusters(stretch)
        rng, count = self._rng, len(clusters["root"])
        order = np.argsort(clusters["ts"], kind="stable")
        rows = np.zeros(count, ORDER)
        for name in ("ts", "symbol", "account", "side"):
            rows[name] = clusters[name][order]
        shared = _lifetimes(rng, roots)[clusters["root"][order]]
        alone = rng.random(count) >= SHARED_LIFE_SHARE
        life = np.where(alone, _lifetimes(rng, count), shared + _delays(rng, count, QUOTE_S))
        rows["end"] = rows["ts"] + life
        rows["price"] = np.minimum(rng.pareto(1.2, count) * 2, 400).astype(np.int64)
        wealth = self._population.wealth
        rows["quantity"] = quantities(rng, self._markets, rows["symbol"], wealth[rows["account"]])
        rows["id"] = self._take_ids(count)
        rows["replaces"] = -1
        self._meet_takers(rows)
        rows["replaced"] = (rows["fill_ts"] == NEVER) & (rng.random(count) < REPLACED_SHARE)
        return np.concatenate([rows, self._replacements(rows[rows["replaced"]])])

    def _draw_clusters(self, stretch: Stretch) -> tuple[dict[str, Int64], int]:
        """The branching process: spontaneous orders, then generation after generation.

        Columns of orders (`root`: the number of the cluster's first), and the number of clusters.
        """
        rng, population = self._rng, self._population
        counts = rng.poisson(self._roots_per_s * stretch.activity)
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        second, symbol = np.divmod(cell, counts.shape[1])
        roots = len(cell)
        ts = stretch.start_ts + second * SECOND_NS + rng.integers(SECOND_NS, size=roots)
        quoting = rng.random(roots) < MAKER_SHARE
        account = population.draw(rng, roots)
        account[quoting] = rng.choice(population.makers, int(quoting.sum()))
        root = np.arange(roots)
        more = np.repeat(root, np.where(quoting, rng.poisson(MAKER_QUOTES, roots), 0))
        ts = np.concatenate([ts, ts[more] + _delays(rng, len(more), QUOTE_S)])
        root, account = np.concatenate([root, more]), np.concatenate([account, account[more]])
        side = rng.integers(2, size=len(ts)) * 2 - 1
        generation = [(ts, account, side, root)]
        while len(ts):
            parent = np.repeat(np.arange(len(ts)), rng.poisson(BRANCHING, len(ts)))
            count = len(parent)
            ts = ts[parent] + _delays(rng, count, *EXCITE_S)
            other = rng.random(count) >= SAME_ACCOUNT
            account = np.where(other, population.draw(rng, count), account[parent])
            side = np.where(rng.random(count) < 0.8, side[parent], -side[parent])
            root = root[parent]
            generation.append((ts, account, side, root))
        ts, account, side, root = (np.concatenate(c) for c in zip(*generation, strict=True))
        columns = {"ts": ts, "symbol": symbol[root], "account": account, "side": side, "root": root}
        return columns, roots

    def _meet_takers(self, rows: Rows) -> None:
        """Let takers meet some orders near the best price; the smaller quantity is filled."""
        rng, population = self._rng, self._population
        rows["fill_ts"] = NEVER
        near = rows["price"] <= 1
        meets = np.flatnonzero(near & (rng.random(len(rows)) < FILLED_SHARE / NEAR_TOUCH_SHARE))
        count = len(meets)
        maker = rows[meets]
        taker = population.draw(rng, count)
        taker = np.where(taker == maker["account"], population.makers[0], taker)
        taker = np.where(taker == maker["account"], population.makers[1], taker)
        wants = quantities(rng, self._markets, maker["symbol"], population.wealth[taker], 0.01)
        wait = np.minimum(_delays(rng, count, FILL_S), maker["end"] - maker["ts"])
        filled = np.minimum(maker["quantity"], wants)
        rows["taker"][meets], rows["filled"][meets] = taker, filled
        rows["fill_ts"][meets] = maker["ts"] + wait
        rest = maker["ts"] + wait + _delays(rng, count, LIFE_S)
        rows["end"][meets] = np.where(filled == maker["quantity"], NEVER, rest)

    def _replacements(self, old: Rows) -> Rows:
        """The order that replaces each of `old` when it ends."""
        rng, new = self._rng, old.copy()
        new["ts"], new["end"] = old["end"], old["end"] + _lifetimes(rng, len(old))
        new["id"], new["replaces"] = old["id"] + REPLACEMENT_ID, old["id"]
        new["price"] = np.maximum(old["price"] + rng.integers(-2, 3, len(old)), 0)
        new["replaced"] = False
        return new


def _sort_by(rows: Rows, name: str) -> Rows:
    return rows[np.argsort(rows[name], kind="stable")]


def planted_orders(
    rng: Rng,
    parts: list[PlantedIncident],
    markets: SimulatedMarkets,
    population: Population,
    rate: float,
    start_ts: int,
) -> Rows:
    """The orders of bursts of cancels and of layering: those that are rested to be cancelled."""
    rows = [np.empty(0, ORDER)]
    for part in parts:
        symbol = markets.names.index(part.symbol) if part.symbol else 0
        who = np.array([population.names.index(name) for name in part.accounts], np.int64)
        if part.kind == "cancel_burst":
            usual = rate * CANCELS_PER_EVENT * markets.share[symbol]
            seconds = (part.end_ts - part.start_ts) / SECOND_NS
            count = int(rng.poisson((part.size - 1) * usual * seconds))
            orders = _rested_orders(rng, count, symbol, who)
            orders["end"] = rng.integers(part.start_ts, part.end_ts, count)
            rested = np.clip(orders["end"] - _delays(rng, count, 20.0), start_ts, orders["end"])
            orders["ts"] = rested
            orders["side"] = rng.integers(2) * 2 - 1
            wealth = population.wealth[orders["account"]]
            orders["quantity"] = quantities(rng, markets, orders["symbol"], wealth)
        elif part.kind == "layering":
            orders = _rested_orders(rng, LAYERS, symbol, who)
            length_ns = part.end_ts - part.start_ts
            orders["ts"] = part.start_ts + np.sort(rng.integers(length_ns // 4, size=LAYERS))
            orders["end"] = part.end_ts - 1 - rng.integers(SECOND_NS // 2, size=LAYERS)
            orders["side"] = 1 if part.side == "buy" else -1
            share = markets.share[symbol] / markets.price[symbol]
            lots = part.size * LAYERED_NOTIONAL * share / LAYERS * SCALE / markets.lot[symbol]
            orders["quantity"] = max(1, round(lots)) * markets.lot[symbol]
        else:
            continue
        rows.append(orders)
    return np.concatenate(rows)


def _rested_orders(rng: Rng, count: int, symbol: int, who: Int64) -> Rows:
    """Orders of these accounts, somewhat behind the best price, that nobody meets."""
    rows = np.zeros(count, ORDER)
    rows["fill_ts"], rows["id"], rows["replaces"] = NEVER, -1, -1
    rows["symbol"] = symbol
    rows["account"] = rng.choice(who, count) if count else 0
    rows["price"] = rng.integers(1, 15, count)
    return rows
