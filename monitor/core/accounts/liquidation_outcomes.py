"""What was predicted for an account, beside what the venue then did to it.

A fill with cause liquidation, backstop or adl is held against the price at which this account, as
the records stood just before that fill, met its requirement (k = 1), the venue's backstop or its
bankruptcy (k = 0). What happened is the venue's mark by then, as told (a mark that our guard doubts
is what the venue acted on), not the fill's price, which holds the slippage of the close. Where the
records cannot say, the reason is counted instead of an error.

Fills of one account less than `EPISODE_NS` after its last forced one go on with the same
liquidation (an order walks the book, a large position is sold in parts): counted as `continued`.
Everything is integers and exact rationals, in the order of entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from monitor.core.accounts.ledger import CAUSES, AccountLedger
from monitor.core.accounts.ledger_kernels import (
    ACCOUNT_COLUMNS,
    ENTRY_COLUMNS,
    FILL,
    ISOLATED,
    POSITION_COLUMNS,
)
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.batch import Int64
from monitor.core.margin.formulas import (
    BANKRUPTCY_K,
    LIQUIDATION_K,
    Position,
    Regime,
    crossing,
    requirement,
)
from monitor.core.margin.tiers import Tiers

FORCED_CAUSES = ("liquidation", "backstop", "adl")
MODES = ("cross", "isolated")
EDGES_BPS = (10, 25, 100)
EPISODE_NS = 60_000_000_000
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
    "no_price",  # by the records nothing could force it
    "counterparty",  # deleveraged though not under water: the other side of somebody's loss
)
_CODES = tuple(CAUSES.index(cause) for cause in FORCED_CAUSES)
_AT = {name: ENTRY_COLUMNS.index(name) for name in ("ts", "op", "account", "symbol", "a", "d")}
_E10, _E16 = SCALE**2 // MONEY_SCALE, SCALE**2
RowValues = dict[str, int]
MarketLookup = Callable[[int], tuple[int | None, tuple[Regime, Tiers] | None]]
"""A market's mark (1e-8) and rules by its number; None where not known."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One position that the venue forced. Prices in 1e-8; `predicted`, `actual` and `error_bps`
    are None where `verdict` is a reason why not.

    `error_bps`: how much too early the prediction was, bps of the mark; negative: too late.
    """

    ts: int
    account: str
    symbol: str
    cause: str
    mode: str
    verdict: str
    predicted: Fraction | None = None
    actual: int | None = None
    error_bps: float | None = None


@dataclass(frozen=True, slots=True)
class MarginPool:
    """The margin pool in which a position stands: its open rows by market, and its `cash` (1e-6):
    equity less quantity × mark. `reason` not, where that is not known."""

    rows: Mapping[int, RowValues]
    cash: int
    mode: str
    reason: str = ""


def pool_of(account: RowValues, rows: Mapping[int, RowValues], symbol: int) -> MarginPool:
    """The pool of an account's position in `symbol`; the rules are those of `monitor/core/bands/pools.py`."""
    mine = rows[symbol]
    if mine["mode"] == ISOLATED:
        margin = _isolated_margin(mine)
        why = "" if margin > 0 else "no_margin"
        return MarginPool({symbol: mine}, _own_cash(mine) + margin, MODES[1], why)
    cash = account["trade"] - account["fees"] + account["funding"] + account["transfers"]
    for row in rows.values():
        cash += -_isolated_margin(row) if row["mode"] == ISOLATED else _own_cash(row)
    held = {s: r for s, r in rows.items() if r["quantity"] and r["mode"] != ISOLATED}
    return MarginPool(held, cash, MODES[0], "" if account["transfers"] else "no_collateral")


def _own_cash(row: RowValues) -> int:
    return row["trade"] + row["funding"] - row["fees"]


def _isolated_margin(row: RowValues) -> int:
    """Margin of an isolated position; by its leverage where none is on record."""
    if row["isolated"] > 0 or not row["quantity"] or row["leverage"] <= 0:
        return row["isolated"]
    return round(Fraction(row["entry"] * SCALE, row["leverage"]))


def judge_forced_fill(
    pool: MarginPool, symbol: int, signed: int, cause: str, known: MarketLookup
) -> dict[str, Any]:
    """Verdict, and the prices where they can be said; `signed`: the forced fill's quantity."""
    row = pool.rows.get(symbol)
    if row is None or not row["quantity"] or (row["quantity"] > 0) == (signed > 0):
        return {"verdict": "no_position"}
    if pool.reason:
        return {"verdict": pool.reason}
    markets = {s: known(s) for s in pool.rows}
    if any(rules is None for _, rules in markets.values()):
        return {"verdict": "no_rules"}
    if any(mark is None for mark, _ in markets.values()):
        return {"verdict": "no_mark"}
    held = {s: _position(s, r, *markets[s]) for s, r in pool.rows.items()}
    others = (requirement(*one) for s, one in held.items() if s != symbol)
    other = sum(others, Fraction(0))
    value = sum(pool.rows[s]["quantity"] * (markets[s][0] or 0) for s in held)
    equity = Fraction(pool.cash * _E10 + value, _E16)
    regime, position = held[symbol]
    if cause == "adl" and equity >= other + requirement(regime, position):
        return {"verdict": "counterparty"}
    k = {"liquidation": LIQUIDATION_K, "adl": BANKRUPTCY_K}.get(cause, regime.backstop_k)
    lines = regime.requirement(position)
    price = crossing(position, lines, equity, other, LIQUIDATION_K if k is None else k).price
    if price is None:
        return {"verdict": "no_price"}
    early = (price / position.price - 1) * 10_000 * (1 if position.quantity > 0 else -1)
    band = sum(abs(early) > edge for edge in EDGES_BPS)
    return {
        "verdict": VERDICTS[band],
        "predicted": price * SCALE,
        "actual": markets[symbol][0],
        "error_bps": float(early),
    }


def _position(
    symbol: int, row: RowValues, mark: int | None, rules: tuple[Regime, Tiers] | None
) -> tuple[Regime, Position]:
    assert mark is not None
    assert rules is not None
    regime, tiers = rules
    quantity = Fraction(row["quantity"], SCALE)
    entry = Fraction(row["entry"], MONEY_SCALE) / abs(quantity) if regime.at_entry else None
    return regime, Position(str(symbol), quantity, Fraction(mark, SCALE), tiers, entry)


class Outcomes:
    """Counts of all outcomes of a venue, and the outcomes of the last cell of time."""

    def __init__(self) -> None:
        self.counts: Int64 = np.zeros((len(FORCED_CAUSES), len(MODES), len(VERDICTS)), np.int64)
        """By cause, mode and verdict."""
        self.last: list[Outcome] = []
        """Those of the cell that was applied last: no state, gone with the next."""
        self._last_forced_ns: dict[int, int] = {}
        """Hash of an account's name → its last forced fill (ns), for `EPISODE_NS`."""

    def begin_cell(self, ts: int) -> None:
        """A cell of time begins at `ts`."""
        self.last = []
        if self._last_forced_ns:
            since = ts - EPISODE_NS
            self._last_forced_ns = {
                name: at for name, at in self._last_forced_ns.items() if at >= since
            }

    def forced_fills(self, entries: Int64) -> Iterator[tuple[int, Int64]]:
        """Where to stop: index of the first forced fill of each account and time among sorted
        entries, and all of its forced fills at that time."""
        codes = np.isin(entries[:, _AT["d"]], _CODES) & (entries[:, _AT["op"]] == FILL)
        found = np.flatnonzero(codes & (entries[:, _AT["a"]] != 0))
        groups: dict[tuple[int, int], list[int]] = {}
        for i in found.tolist():
            key = int(entries[i, _AT["ts"]]), int(entries[i, _AT["account"]])
            groups.setdefault(key, []).append(i)
        for mine in groups.values():
            yield mine[0], entries[mine]

    def record_fills(
        self, fills: Int64, accounts: AccountLedger, places: Mapping[int, int], known: MarketLookup
    ) -> None:
        """Forced fills of one account at one time, all before the first of them being applied.

        `places`: where the account's row in a market is, by the market's number.
        """
        ts, number = int(fills[0, _AT["ts"]]), int(fills[0, _AT["account"]])
        name = int(accounts.names.hashes[number])
        goes_on = name in self._last_forced_ns and ts - self._last_forced_ns[name] <= EPISODE_NS
        self._last_forced_ns[name] = ts
        account = dict(zip(ACCOUNT_COLUMNS, accounts.account_rows[number].tolist(), strict=True))
        data = accounts.position_rows
        rows = {
            s: dict(zip(POSITION_COLUMNS, data[r].tolist(), strict=True)) for s, r in places.items()
        }
        seen: set[int] = set()
        for fill in fills:
            symbol, code = int(fill[_AT["symbol"]]), int(fill[_AT["d"]])
            pool = pool_of(account, rows, symbol)
            cause = CAUSES[code]
            if goes_on or symbol in seen:
                told: dict[str, Any] = {"verdict": "continued"}
            else:
                told = judge_forced_fill(pool, symbol, int(fill[_AT["a"]]), cause, known)
            seen.add(symbol)
            at = FORCED_CAUSES.index(cause), MODES.index(pool.mode), VERDICTS.index(told["verdict"])
            self.counts[at] += 1
            if told["verdict"] != "continued":
                who = accounts.names.names(np.array([number]))[0]
                market = accounts.symbols.names(np.array([symbol]))[0]
                self.last.append(Outcome(ts, who, market, cause, pool.mode, **told))

    def counts_by_name(self) -> dict[str, dict[str, dict[str, int]]]:
        """The counts that are not 0, by name."""
        made: dict[str, dict[str, dict[str, int]]] = {}
        for c, m, v in np.argwhere(self.counts).tolist():
            verdicts = made.setdefault(FORCED_CAUSES[c], {}).setdefault(MODES[m], {})
            verdicts[VERDICTS[v]] = int(self.counts[c, m, v])
        return made

    def digest(self) -> bytes:
        """Of the counts and of the liquidations under way."""
        return self.counts.tobytes() + repr(sorted(self._last_forced_ns.items())).encode()

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain arrays."""
        return {"counts": self.counts.copy(), "forced": sorted(self._last_forced_ns.items())}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        forced: Sequence[Sequence[int]] = state["forced"]
        self.counts, self.last = state["counts"].copy(), []
        self._last_forced_ns = {int(name): int(ts) for name, ts in forced}
