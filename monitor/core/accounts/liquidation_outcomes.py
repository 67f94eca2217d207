"""What was predicted for an account, beside what the venue then did to it.

A fill with cause liquidation, backstop or adl is compared with the price at which this account, as
the records stood just before that fill, met its requirement (k = 1), the venue's backstop or its
bankruptcy (k = 0). What happened is the venue's raw mark at that time: the venue acted on it even
where our guard does not trust it. It is not the fill's price, which includes the slippage of the
close. Where the records do not give a price, the reason is counted instead of an error.

Forced fills of one account at most `EPISODE_NS` after its last one belong to the same liquidation
(an order walks the book, a large position is sold in parts) and count as `continued`.
All numbers are integers and exact rationals, in the order of entries. Pools follow the rules of
`monitor/core/bands/pools.py`, which prices all pools of a venue in floats; a test holds the two
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Int64
from monitor.core.accounts.coin_entries import owner_name
from monitor.core.accounts.ledger import CAUSES, AccountLedger
from monitor.core.accounts.ledger_kernels import ACCOUNT, FILL, ISOLATED, OP, ROW_MODE, SYMBOL, TS
from monitor.core.accounts.ledger_kernels import FILL_CAUSE as CAUSE
from monitor.core.accounts.ledger_kernels import FILL_QUANTITY as QUANTITY
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.stepped_kernels import LIMB
from monitor.core.margin import liquidation_price
from monitor.core.margin.contract_types import SETTLEMENT_UNITS
from monitor.core.margin.liquidation_price import Position, Regime
from monitor.core.margin.tiers import Tiers

FORCED_CAUSES = ("liquidation", "backstop", "adl")
MODES = ("cross", "isolated")
EDGES_BPS = (10, 25, 100)
EPISODE_NS = 60 * SECOND_NS
"""Twice the longest pause that a venue makes within one liquidation (Hyperliquid: 30 s)."""
COUNTERPARTY = "counterparty"
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
    "late",  # it came too late to be compared with the state before it
    COUNTERPARTY,  # deleveraged though not under water: the other side of somebody's loss
)
_FORCED_CODES = tuple(CAUSES.index(cause) for cause in FORCED_CAUSES)
RowValues = dict[str, int]
"""A row of the ledger by the names of its columns."""


class JudgedMarket(NamedTuple):
    """A market as its positions count (`coin_entries`): its raw mark, of an inverse contract
    `SETTLEMENT_UNITS` over it, and its rules; None where there is none."""

    mark: Fraction | None
    rules: tuple[Regime, Tiers] | None
    is_inverse: bool = False

    def price(self, coordinate: Fraction) -> Fraction:
        """The price that the coordinate stands for."""
        return SETTLEMENT_UNITS / coordinate if self.is_inverse else coordinate


MarketLookup = Callable[[int, int], JudgedMarket]
"""A market by its number, with the rules of that number where a position has its own."""


@dataclass(frozen=True, slots=True)
class MarginPool:
    """The open rows of a pool by market, and its `cash` (1e-6): equity less quantity × mark.

    `reason`: a verdict that says why the cash is not known; empty where it is.
    """

    rows: Mapping[int, RowValues]
    cash: int
    mode: str
    reason: str = ""


def pool_of(account: RowValues, rows: Mapping[int, RowValues], symbol: int) -> MarginPool:
    """The pool of an account's position in `symbol`; `rows`: all of its positions by market."""
    position = rows[symbol]
    if position["mode"] == ISOLATED:
        margin = _isolated_margin(position)
        reason = "" if margin > 0 else "no_margin"
        return MarginPool({symbol: position}, _own_cash(position) + margin, MODES[1], reason)
    cash = account["trade"] - account["fees"] + account["funding"] + account["transfers"]
    for row in rows.values():
        cash += -_isolated_margin(row) if row["mode"] == ISOLATED else _own_cash(row)
    crossed = {s: r for s, r in rows.items() if r["quantity"] and r["mode"] != ISOLATED}
    return MarginPool(crossed, cash, MODES[0], "" if account["transfers"] else "no_collateral")


def _own_cash(row: RowValues) -> int:
    return row["trade"] + row["funding"] - row["fees"]


def _isolated_margin(row: RowValues) -> int:
    """Margin of an isolated position; entry value / leverage where the records give no margin."""
    if row["isolated"] > 0 or not row["quantity"] or row["leverage"] <= 0:
        return row["isolated"]
    return round(Fraction(row["entry"] * SCALE, row["leverage"]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One position that the venue forced. None where `verdict` is a reason.

    `error_bps`: how much too early the prediction was, bps of the mark; negative: too late.
    """

    ts: int
    account: str
    symbol: str
    cause: str
    mode: str
    verdict: str
    predicted: Fraction | None = None
    actual: Fraction | None = None
    error_bps: float | None = None


def _judge(
    pool: MarginPool, symbol: int, signed: int, cause: str, lookup: MarketLookup
) -> tuple[Any, ...]:
    """Compare a forced fill of quantity `signed` (a code) with the pool just before it.

    Returns the last fields of an `Outcome`, from its verdict on.
    """
    row = pool.rows.get(symbol)
    if row is None or not row["quantity"] or (row["quantity"] > 0) == (signed > 0):
        return ("no_position",)
    if pool.reason:
        return (pool.reason,)
    positions, marks, has_marks = {}, {}, True
    for market, values in pool.rows.items():
        judged = lookup(market, values["own_rules"])
        if judged.rules is None:
            return ("no_rules",)
        has_marks &= judged.mark is not None
        marks[market] = judged.mark or Fraction(0)
        positions[market] = _position(market, values, marks[market], *judged.rules)
    if not has_marks:
        return ("no_mark",)
    regime, position = positions.pop(symbol)
    others = sum(
        (liquidation_price.requirement(*other) for other in positions.values()), Fraction(0)
    )
    worth = (values["quantity"] * marks[market] for market, values in pool.rows.items())
    equity = Fraction(pool.cash, MONEY_SCALE) + sum(worth, Fraction(0)) / LIMB
    if cause == "adl" and equity >= others + liquidation_price.requirement(regime, position):
        return (COUNTERPARTY,)
    k = liquidation_price.BANKRUPTCY_K if cause == "adl" else liquidation_price.LIQUIDATION_K
    if cause == "backstop" and regime.backstop_k is not None:
        k = regime.backstop_k
    root = liquidation_price.crossing(regime, position, equity, others, k).price
    if root is None:
        return ("no_price",)
    judged = lookup(symbol, 0)
    price, actual = judged.price(root), judged.price(position.price)
    is_long = (position.quantity > 0) != judged.is_inverse
    early = (price / actual - 1) * 10_000 * (1 if is_long else -1)
    band = sum(abs(early) > edge for edge in EDGES_BPS)
    return VERDICTS[band], price, actual, float(early)


def _position(
    symbol: int, row: RowValues, mark: Fraction, regime: Regime, tiers: Tiers
) -> tuple[Regime, Position]:
    quantity = Fraction(row["quantity"], LIMB)
    entry = Fraction(row["entry"], MONEY_SCALE) / abs(quantity) if regime.at_entry else None
    fee = regime.closing_fee or Fraction(0)
    position = Position(str(symbol), quantity, mark, tiers, entry, fee, contracts=quantity)
    return regime, position


def _is_forced(entries: Int64) -> Bool:
    """Which entries are fills that the venue forced."""
    cause, has_cause = entries[:, CAUSE], np.zeros(len(entries), np.bool_)
    for code in _FORCED_CODES:
        has_cause |= cause == code
    forced: Bool = has_cause & (entries[:, OP] == FILL) & (entries[:, QUANTITY] != 0)
    return forced


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
        self._last_forced_ns = {n: t for n, t in self._last_forced_ns.items() if t >= since}

    def record_late(self, entries: Int64, rows: Int64, ledger: AccountLedger) -> None:
        """Count the forced fills among late entries. `rows`: their position rows."""
        for i in np.flatnonzero(_is_forced(entries)).tolist():
            mode = MODES[int(ledger.position_rows[rows[i], ROW_MODE])]
            self._count(CAUSES[int(entries[i, CAUSE])], mode, "late")
            name_hash = int(ledger.names.hashes[entries[i, ACCOUNT]])
            ts = int(entries[i, TS])
            self._last_forced_ns[name_hash] = max(ts, self._last_forced_ns.get(name_hash, ts))

    def forced_fills(self, entries: Int64) -> Iterator[tuple[int, Int64]]:
        """Where to stop among sorted entries, to judge with the state before them: the index of the
        first forced fill of each account and time, and all of its forced fills at that time."""
        groups: dict[tuple[int, int], list[int]] = {}
        for i in np.flatnonzero(_is_forced(entries)).tolist():
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
        account["transfers"] += int(ledger.collateral_outside[number, 0])
        rows = {market: ledger.position_values(row) for market, row in places.items()}
        (name,) = ledger.names.names(np.array([number]))
        judged: set[int] = set()
        for fill in fills:
            symbol, cause = int(fill[SYMBOL]), CAUSES[int(fill[CAUSE])]
            pool = self.pool_of(account, rows, symbol)
            if goes_on or symbol in judged:
                self._count(cause, pool.mode, "continued")
                continue
            judged.add(symbol)
            judged_as = _judge(pool, symbol, int(fill[QUANTITY]), cause, lookup)
            self._count(cause, pool.mode, judged_as[0])
            (market,) = ledger.symbols.names(np.array([symbol]))
            self.last.append(Outcome(ts, owner_name(name), market, cause, pool.mode, *judged_as))

    def pool_of(self, account: RowValues, rows: Mapping[int, RowValues], symbol: int) -> MarginPool:
        """The pool that a forced fill in `symbol` is judged with; see the function `pool_of`."""
        return pool_of(account, rows, symbol)

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
