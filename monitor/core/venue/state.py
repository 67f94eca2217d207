"""The venue scope: accounts across symbols, marks, books and rules, as of any moment passed.

Records are held until the watermark of everything has passed their cell of time (`bands_every_s`).
Then they are applied, cell by cell, in the order of event time, kind, partition and offset: what is
known at the end of a cell is a function of the set of records. Cells without records are skipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from monitor.core.accounts import ledger_entries as made
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import ENTRY_COLUMNS
from monitor.core.accounts.liquidation_outcomes import Outcomes
from monitor.core.bands.inputs import RuleArrays
from monitor.core.bands.pools import Pools
from monitor.core.bands.refresh import ParallelMap, Workspace
from monitor.core.contract.events import InsuranceFundReference, MarketReference, PositionReference
from monitor.core.decode.batch import ABSENT, Batch, Int64, TextColumn
from monitor.core.decode.codec import validate_record
from monitor.core.event_time.watermark import NEVER
from monitor.core.margin.formulas import Regime
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import TierError, Tiers
from monitor.core.marks import market_rows
from monitor.core.marks.mark_filter import MarkFilter
from monitor.core.settings import EngineSettings
from monitor.core.tables.hash_table import GrowableRows

KINDS = ("fill", "leverage", "mark", "book", "collateral", "reference")
"""What the venue scope reads."""
_BOOK_SYMBOL = 3
_ACCOUNT = ENTRY_COLUMNS.index("account")
_PRICE_WIDTH = len(market_rows.MARK_COLUMNS)
PendingRule = tuple[int, int, int, bytes]
"""ts, partition, offset and record of a market's rules or of an insurance fund."""


class VenueState:
    """All accounts of a venue and what their margin hangs on."""

    def __init__(self, settings: EngineSettings) -> None:
        limits = settings.accounts
        self.bands_interval_ns = limits.bands_interval_ns
        self.ledger = AccountLedger(limits.most, limits.positions, round(limits.idle_s * 1e9))
        self.pools = Pools(self.ledger)
        self.workspace: Workspace | None = None
        """Where the last bands were made."""
        self.rule_arrays: tuple[list[str], RuleArrays] | None = None
        """The tables as arrays, and the list of the markets' names that they are for; None: to be
        made anew."""
        self.parallel_map: ParallelMap = map
        """How the parts of a refresh are run; no result hangs on it."""
        self._pending_entries: list[Int64] = []
        self._pending_marks: list[Int64] = []
        self._pending_books: list[Int64] = []
        self._pending_rules: list[PendingRule] = []
        self.raw_marks = GrowableRows(2, ABSENT)
        """By symbol: the last mark and index as told, believed or not: what the venue acted on."""
        self.trusted_marks = GrowableRows(len(market_rows.MARK_VALUES), ABSENT)
        """By symbol: the last of `market_rows.MARK_VALUES`, 1e-8."""
        self.last_books = GrowableRows(market_rows.BOOK_WIDTH, 0)
        """By symbol: the last book."""
        self.rule_records: dict[str, bytes] = {}
        """By market: the last rules with a table that can be used."""
        self.market_rules: dict[str, tuple[Regime, Tiers]] = {}
        """What `rule_records` say."""
        self.funds: dict[str, int] = {}
        """Insurance fund by market ("": the venue's), 1e-6."""
        self.unread = {"reference": 0, "tiers": 0}
        """Reference records that could not be read, and tier tables refused."""
        self.mark_filter = MarkFilter(self.ledger.symbols)
        self.outcomes = Outcomes()
        """Forced fills beside what was predicted."""
        self.changes: list[tuple[Int64, Int64]] = []
        """Entries of the cell that was applied last and what they did (`ENTRY_COLUMNS`, `MOVED`): no state,
        gone with the next."""
        self._passed_cell = NEVER

    def add_batch(self, batch: Batch) -> None:
        """Keep admitted records until their time has come."""
        if not len(batch):
            return
        names, symbols = self.ledger.names, self.ledger.symbols
        if batch.kind == "fill":
            self._add_entries(made.fill_entries(batch, names, symbols))
        elif batch.kind == "leverage":
            self._add_entries(made.leverage_entries(batch, names, symbols))
        elif batch.kind == "collateral":
            self._add_entries(made.collateral_entries(batch, names, symbols))
        elif batch.kind == "mark":
            self._pending_marks.append(market_rows.mark_rows(batch, symbols))
            if made.has_text(batch.texts["sources"]):
                sources = batch.texts["sources"].to_strings()
                self.mark_filter.add_sources(batch.partition, batch.offset.tolist(), sources)
        elif batch.kind == "book":
            self._pending_books.append(
                market_rows.book_rows(batch, symbols, self.bands_interval_ns)
            )
        elif batch.kind == "reference":
            self._add_references(batch)

    def _add_entries(self, rows: Int64) -> None:
        if len(rows):
            self._pending_entries.append(rows)

    def _add_references(self, batch: Batch) -> None:
        positions = []
        times = batch.numbers["ts"].tolist()
        payloads = batch.texts["payload"].to_strings()
        for ts, offset, payload in zip(times, batch.offset.tolist(), payloads, strict=True):
            raw = (payload or "").encode()
            event = validate_record(raw, "reference")
            if isinstance(event, PositionReference):
                at = batch.partition, offset
                names, symbols = self.ledger.names, self.ledger.symbols
                positions.append(made.position_entry(event, at, names, symbols))
            else:
                self._pending_rules.append((ts, batch.partition, offset, raw))
        if positions:
            self._add_entries(np.array(positions, np.int64))

    def advance(self, passed_ns: int) -> Iterator[int]:
        """Apply all before the last cell's end that has passed, cell by cell: gives the end (ns) of
        each that had records in it, when all before that end and nothing later is applied.
        """
        until = passed_ns // self.bands_interval_ns
        if passed_ns == NEVER or until <= self._passed_cell:
            return
        self._passed_cell = until
        end = until * self.bands_interval_ns
        entries = _take_before(self._pending_entries, end, len(ENTRY_COLUMNS), (3, 2, 1, 0))
        marks = _take_before(self._pending_marks, end, _PRICE_WIDTH, (2, 1, 0))
        books = _take_before(self._pending_books, end, market_rows.BOOK_WIDTH, (2, 1, 0))
        rules = sorted(rule for rule in self._pending_rules if rule[0] < end)
        self._pending_rules = [rule for rule in self._pending_rules if rule[0] >= end]
        parts = (entries[:, 0], marks[:, 0], books[:, 0], np.array([r[0] for r in rules], np.int64))
        cells = np.unique(np.concatenate(parts) // self.bands_interval_ns)
        self._grow()
        begin = [0, 0, 0, 0]
        for cell in cells.tolist():
            end = (cell + 1) * self.bands_interval_ns
            stop = [int(np.searchsorted(part, end)) for part in parts]
            self._set_rules(rules[begin[3] : stop[3]])
            self._set_books(books[begin[2] : stop[2]])
            self.outcomes.begin_cell(cell * self.bands_interval_ns)
            self._apply_cell(entries[begin[0] : stop[0]], marks[begin[1] : stop[1]])
            if self.ledger.is_over_limits:
                self._forget_accounts(end, entries[stop[0] :])
            begin = stop
            yield end

    def _apply_cell(self, entries: Int64, marks: Int64) -> None:
        """Entries and marks of one cell; each forced fill finds all that came before it."""
        done = told = 0
        self.changes = []
        stops = list(self.outcomes.forced_fills(entries))
        if stops:
            accounts = np.unique([fills[0, _ACCOUNT] for _, fills in stops])
            places = self.ledger.rows_by_market(entries, accounts)
        for stop, fills in stops:
            by_now = int(np.searchsorted(marks[:, 0], fills[0, 0], side="right"))
            self._set_marks(marks[told:by_now])
            self._apply_entries(entries[done:stop])
            done, told = stop, by_now
            self.outcomes.record_fills(
                fills, self.ledger, places[int(fills[0, _ACCOUNT])], self._mark_and_rules
            )
        self._set_marks(marks[told:])
        self._apply_entries(entries[done:])

    def _apply_entries(self, entries: Int64) -> None:
        if len(entries):
            self.changes.append((entries, self.ledger.apply_entries(entries)))

    def _mark_and_rules(self, symbol: int) -> tuple[int | None, tuple[Regime, Tiers] | None]:
        """A market's mark (the index where there is none), 1e-8, and its rules."""
        told = self.raw_marks.data[symbol]
        price = int(told[0] if told[0] != ABSENT else told[1])
        name = self.ledger.symbols.names(np.array([symbol]))[0]
        return None if price == ABSENT else price, self.market_rules.get(name)

    def _forget_accounts(self, now_ns: int, rest: Int64) -> None:
        """Let accounts go; entries to come are given their accounts' new numbers."""
        waiting = [rest, *self._pending_entries, *(entries for entries, _ in self.changes)]
        spoken = np.unique(np.concatenate([rows[:, _ACCOUNT] for rows in waiting]))
        words: list[str | None] = list(self.ledger.names.names(spoken))
        self.ledger.forget(now_ns)
        new = self.ledger.names.intern(TextColumn.from_strings(words))
        for rows in waiting:
            rows[:, _ACCOUNT] = new[np.searchsorted(spoken, rows[:, _ACCOUNT])]

    def _grow(self) -> None:
        self.raw_marks.grow(len(self.ledger.symbols))
        self.trusted_marks.grow(len(self.ledger.symbols))
        self.last_books.grow(len(self.ledger.symbols))

    def _set_marks(self, rows: Int64) -> None:
        for column in range(2):
            told = rows[rows[:, 4 + column] != ABSENT]
            self.raw_marks.data[told[:, 3], column] = told[:, 4 + column]
        rows = self.mark_filter.filter_rows(rows, self.last_books.data)
        for column in range(self.trusted_marks.data.shape[1]):
            told = rows[rows[:, 4 + column] != ABSENT]
            self.trusted_marks.data[told[:, 3], column] = told[:, 4 + column]

    def _set_books(self, rows: Int64) -> None:
        self.last_books.data[rows[:, 3]] = rows

    def _set_rules(self, rules: list[PendingRule]) -> None:
        for *_, raw in rules:
            event = validate_record(raw, "reference")
            if isinstance(event, MarketReference) and event.tiers is not None:
                try:
                    tiers = Tiers.from_reference(event.tiers)
                except TierError:
                    self.unread["tiers"] += 1
                    continue
                regime = REGIMES.get(event.regime or "", REGIMES["generic"])
                self.rule_records[event.symbol], self.market_rules[event.symbol] = (
                    raw,
                    (regime, tiers),
                )
                self.rule_arrays = None
            elif isinstance(event, InsuranceFundReference):
                self.funds[event.symbol or ""] = event.amount
            elif not isinstance(event, MarketReference):
                self.unread["reference"] += 1

    def digest(self) -> bytes:
        """Of everything applied: equal for equal sets of records."""
        symbols = self.ledger.symbols
        parts = [self.ledger.digest(), self.outcomes.digest()]
        parts.append(repr(self.mark_filter.doubted).encode())
        parts += [repr(sorted(self.rule_records.items())).encode()]
        parts += [repr(sorted(self.funds.items())).encode(), repr(self.unread).encode()]
        self._grow()
        names = symbols.names(np.arange(len(symbols)))
        for i in sorted(range(len(names)), key=names.__getitem__):
            mark = np.concatenate((self.trusted_marks.data[i], self.raw_marks.data[i]))
            book = np.delete(self.last_books.data[i], _BOOK_SYMBOL)
            if (mark != ABSENT).any() or book.any():
                parts += [names[i].encode(), mark.tobytes(), book.tobytes()]
        return hashlib.sha256(b"\n".join(parts)).digest()

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain arrays; what is held too."""
        return {
            "accounts": self.ledger.snapshot(),
            "entries": _join(self._pending_entries, len(ENTRY_COLUMNS)),
            "marks": _join(self._pending_marks, _PRICE_WIDTH),
            "books": _join(self._pending_books, market_rows.BOOK_WIDTH),
            "held_rules": [list(rule) for rule in self._pending_rules],
            "told": self.raw_marks.data.copy(),
            "mark": self.trusted_marks.data.copy(),
            "book": self.last_books.data.copy(),
            "rules": self.rule_records,
            "funds": self.funds,
            "unread": self.unread,
            "pricing": self.mark_filter.snapshot(),
            "outcomes": self.outcomes.snapshot(),
            "passed": self._passed_cell,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self.ledger.restore(state["accounts"])
        self._pending_entries, self._pending_marks = [state["entries"]], [state["marks"]]
        self._pending_books = [state["books"]]
        self._pending_rules = [(r[0], r[1], r[2], bytes(r[3])) for r in state["held_rules"]]
        self.trusted_marks.data, self.last_books.data = state["mark"], state["book"]
        self.raw_marks.data = state["told"]
        self.funds, self.rule_records, self.market_rules = dict(state["funds"]), {}, {}
        self.rule_arrays = None
        self._set_rules([(0, 0, 0, bytes(raw)) for raw in state["rules"].values()])
        self.unread = dict(state["unread"])
        self.mark_filter.restore(state["pricing"])
        self.outcomes.restore(state["outcomes"])
        self._passed_cell = state["passed"]


def _join(parts: list[Int64], width: int) -> Int64:
    return np.concatenate((np.empty((0, width), np.int64), *parts))


def _take_before(parts: list[Int64], end: int, width: int, order: tuple[int, ...]) -> Int64:
    """Remove from `parts` the rows before `end`; sorted by the columns, the last one first."""
    rows = _join(parts, width)
    early = rows[:, 0] < end
    parts[:] = [rows[~early]] if not early.all() else []
    taken = rows[early]
    return taken[np.lexsort(tuple(taken[:, column] for column in order))]
