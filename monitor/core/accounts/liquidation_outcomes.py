"""What was predicted for an account, beside what the venue then did to it.

A fill with cause liquidation, backstop or adl is compared with the price at which this account, as
the records stood just before that fill, met its requirement (k = 1), the venue's backstop or its
bankruptcy (k = 0). What happened is the venue's raw mark at that time: the venue acted on it even
where our guard does not trust it. It is not the fill's price, which includes the slippage of the
close. Where the records do not give a price, the reason is counted instead of an error.

Forced fills of one account at most `EPISODE_NS` after its last one belong to the same liquidation
(an order walks the book, a large position is sold in parts) and count as `continued`.
All numbers are integers and exact rationals, in the order of entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64
from monitor.core.accounts.account_pool import MODES, MarginPool, pool_of, price_pool
from monitor.core.accounts.ledger import CAUSES, AccountLedger
from monitor.core.accounts.ledger_kernels import ACCOUNT, FILL, OP, SYMBOL, TS
from monitor.core.accounts.ledger_kernels import FILL_CAUSE as CAUSE
from monitor.core.accounts.ledger_kernels import FILL_QUANTITY as QUANTITY
from monitor.core.contract.fixed_point import SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.core.margin.formulas import BANKRUPTCY_K, LIQUIDATION_K, Regime
from monitor.core.margin.tiers import Tiers

FORCED_CAUSES = ("liquidation", "backstop", "adl")
EDGES_BPS = (10, 25, 100)
EPISODE_NS = 60 * SECOND_NS
"""Twice the longest pause that a venue makes within one liquidation (Hyperliquid: 30 s)."""
VERDICTS = (
    *(f"within_{edge}_bps" for edge in EDGES_BPS),
    f"beyond_{EDGES_BPS[-1]}_bps",
    "continued",
    "no_position",  # none on record, or the fill does not reduce it
    "no_margin",  # isolated, and neither its margin nor its leverage is on record
    "no_collateral",  # cross, and no money of the account is on record
    "no_rules",  # a market of the pool without a tier table
    "no_mark",  # a market of the pool without a mark
    "no_price",  # at no price would the records force it
    "counterparty",  # deleveraged though not under water: the other side of somebody's loss
)
_FORCED_CODES = tuple(CAUSES.index(cause) for cause in FORCED_CAUSES)
MarketLookup = Callable[[int], tuple[int | None, tuple[Regime, Tiers] | None]]
"""A market's raw mark (1e-8) and rules by its number; None where there is none."""


class PredictionVerdict(NamedTuple):
    """A forced fill beside its prediction; the other values are None where `name` is a reason."""

    name: str
    predicted: Fraction | None = None
    actual: int | None = None
    error_bps: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One position that the venue forced. Prices in 1e-8; `predicted`, `actual` and `error_bps`
    are None where `verdict` is a reason.

    `error_bps`: how much too early the prediction was, bps of the mark; negative: too late.
    """

    ts: int
    account: str
    symbol: str
    cause: str
    mode: str
    verdict: str
    predicted: Fraction | None
    actual: int | None
    error_bps: float | None


def judge_forced_fill(
    pool: MarginPool, symbol: int, signed: int, cause: str, lookup: MarketLookup
) -> PredictionVerdict:
    """Compare a forced fill of quantity `signed` (1e-8) with the pool just before it."""
    row = pool.rows.get(symbol)
    if row is None or not row["quantity"] or (row["quantity"] > 0) == (signed > 0):
        return PredictionVerdict("no_position")
    if pool.reason:
        return PredictionVerdict(pool.reason)
    markets = {}
    has_marks = True
    for market in pool.rows:
        mark, rules = lookup(market)
        if rules is None:
            return PredictionVerdict("no_rules")
        has_marks &= mark is not None
        markets[market] = (mark or 0, *rules)
    if not has_marks:
        return PredictionVerdict("no_mark")
    priced = price_pool(pool, symbol, markets)
    if cause == "adl" and priced.meets_maintenance:
        return PredictionVerdict("counterparty")
    k = {"liquidation": LIQUIDATION_K, "adl": BANKRUPTCY_K}.get(cause, priced.regime.backstop_k)
    price = priced.price_at(LIQUIDATION_K if k is None else k)
    if price is None:
        return PredictionVerdict("no_price")
    position = priced.position
    early = (price / position.price - 1) * 10_000 * (1 if position.quantity > 0 else -1)
    band = sum(abs(early) > edge for edge in EDGES_BPS)
    return PredictionVerdict(VERDICTS[band], price * SCALE, markets[symbol][0], float(early))


class Outcomes(Stateful):
    """Counts of all outcomes of a venue, and the outcomes of the last cell of time."""

    STATE = ("counts", "_last_forced_ns")

    def __init__(self) -> None:
        self.counts: Int64 = np.zeros((len(FORCED_CAUSES), len(MODES), len(VERDICTS)), np.int64)
        """By cause, mode and verdict."""
        self.last: list[Outcome] = []
        """Outcomes of the cell that was applied last; not part of a snapshot."""
        self._last_forced_ns: dict[int, int] = {}
        """Hash of an account's name → its last forced fill (ns), for `EPISODE_NS`."""

    def begin_cell(self, ts: int) -> None:
        """A cell of time begins at `ts`."""
        self.last = []
        since = ts - EPISODE_NS
        self._last_forced_ns = {
            name: last for name, last in self._last_forced_ns.items() if last >= since
        }

    def forced_fills(self, entries: Int64) -> Iterator[tuple[int, Int64]]:
        """Where to stop among sorted entries, to judge with the state before them: the index of the
        first forced fill of each account and time, and all of its forced fills at that time."""
        forced = np.isin(entries[:, CAUSE], _FORCED_CODES) & (entries[:, OP] == FILL)
        groups: dict[tuple[int, int], list[int]] = {}
        for i in np.flatnonzero(forced & (entries[:, QUANTITY] != 0)).tolist():
            groups.setdefault((int(entries[i, TS]), int(entries[i, ACCOUNT])), []).append(i)
        for group in groups.values():
            yield group[0], entries[group]

    def record_fills(
        self, fills: Int64, ledger: AccountLedger, places: Mapping[int, int], lookup: MarketLookup
    ) -> None:
        """Count the forced fills of one account at one time; the ledger stands before the first.

        `places`: the account's position row in each of its markets, by the market's number.
        """
        ts, number = int(fills[0, TS]), int(fills[0, ACCOUNT])
        name_hash = int(ledger.names.hashes[number])
        last_ns = self._last_forced_ns.get(name_hash)
        goes_on = last_ns is not None and ts - last_ns <= EPISODE_NS
        self._last_forced_ns[name_hash] = ts
        account = ledger.account_values(number)
        rows = {market: ledger.position_values(row) for market, row in places.items()}
        (name,) = ledger.names.names(np.array([number]))
        judged: set[int] = set()
        for fill in fills:
            symbol, cause = int(fill[SYMBOL]), CAUSES[int(fill[CAUSE])]
            pool = pool_of(account, rows, symbol)
            if goes_on or symbol in judged:
                self._count(cause, pool.mode, "continued")
                continue
            judged.add(symbol)
            verdict = judge_forced_fill(pool, symbol, int(fill[QUANTITY]), cause, lookup)
            self._count(cause, pool.mode, verdict.name)
            (market,) = ledger.symbols.names(np.array([symbol]))
            self.last.append(Outcome(ts, name, market, cause, pool.mode, *verdict))

    def _count(self, cause: str, mode: str, verdict: str) -> None:
        at = FORCED_CAUSES.index(cause), MODES.index(mode), VERDICTS.index(verdict)
        self.counts[at] += 1

    def counts_by_name(self) -> dict[str, dict[str, dict[str, int]]]:
        """The counts above 0 by cause, mode and verdict."""
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for c, m, v in np.argwhere(self.counts).tolist():
            verdicts = counts.setdefault(FORCED_CAUSES[c], {}).setdefault(MODES[m], {})
            verdicts[VERDICTS[v]] = int(self.counts[c, m, v])
        return counts

    def digest(self) -> bytes:
        """A digest of the counts and of the liquidations under way."""
        return self.counts.tobytes() + repr(sorted(self._last_forced_ns.items())).encode()
