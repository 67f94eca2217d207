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

from monitor.core import entries as made
from monitor.core.accountkernels import ENTRY
from monitor.core.accounts import Accounts
from monitor.core.bandinput import Rules
from monitor.core.bands import Room, Run
from monitor.core.batch import ABSENT, Batch, Int64, Text
from monitor.core.decode import judge
from monitor.core.events import InsuranceFundReference, MarketReference, PositionReference
from monitor.core.margin import Regime
from monitor.core.outcomes import Outcomes
from monitor.core.pools import Pools
from monitor.core.pricing import Pricing
from monitor.core.regimes import REGIMES
from monitor.core.settings import EngineSettings
from monitor.core.tables import Grid
from monitor.core.tiers import TierError, Tiers
from monitor.core.watermark import NEVER

KINDS = ("fill", "leverage", "mark", "book", "collateral", "reference")
"""What the venue scope reads."""
_BOOK_SYMBOL = 3
_ACCOUNT = ENTRY.index("account")
_PRICE_WIDTH = len(made.PRICE)
HeldRule = tuple[int, int, int, bytes]
"""ts, partition, offset and record of a market's rules or of an insurance fund."""


class Venue:
    """All accounts of a venue and what their margin hangs on."""

    def __init__(self, settings: EngineSettings) -> None:
        limits = settings.accounts
        self.cell_ns = limits.cell_ns
        self.accounts = Accounts(limits.most, limits.positions, round(limits.idle_s * 1e9))
        self.pools = Pools(self.accounts)
        self.room: Room | None = None
        """Where the last bands were made."""
        self.arrays: tuple[list[str], Rules] | None = None
        """The tables as arrays, and the list of the markets' names that they are for; None: to be
        made anew."""
        self.run: Run = map
        """How the parts of a refresh are run; no result hangs on it."""
        self._entries: list[Int64] = []
        self._marks: list[Int64] = []
        self._books: list[Int64] = []
        self._rules: list[HeldRule] = []
        self.told = Grid(2, ABSENT)
        """By symbol: the last mark and index as told, believed or not: what the venue acted on."""
        self.mark = Grid(len(made.TOLD), ABSENT)
        """By symbol: the last of `entries.TOLD`, 1e-8."""
        self.book = Grid(made.BOOK, 0)
        """By symbol: the last book."""
        self.rules: dict[str, bytes] = {}
        """By market: the last rules with a table that can be used."""
        self.tables: dict[str, tuple[Regime, Tiers]] = {}
        """What `rules` say."""
        self.funds: dict[str, int] = {}
        """Insurance fund by market ("": the venue's), 1e-6."""
        self.unread = {"reference": 0, "tiers": 0}
        """Reference records that could not be read, and tier tables refused."""
        self.pricing = Pricing(self.accounts.symbols)
        self.outcomes = Outcomes()
        """Forced fills beside what was predicted."""
        self.changes: list[tuple[Int64, Int64]] = []
        """Entries of the cell that was applied last and what they did (`ENTRY`, `MOVED`): no state,
        gone with the next."""
        self._passed = NEVER

    def hold(self, batch: Batch) -> None:
        """Keep admitted records until their time has come."""
        if not len(batch):
            return
        names, symbols = self.accounts.names, self.accounts.symbols
        if batch.kind == "fill":
            self._add(made.of_fills(batch, names, symbols))
        elif batch.kind == "leverage":
            self._add(made.of_leverage(batch, names, symbols))
        elif batch.kind == "collateral":
            self._add(made.of_collateral(batch, names, symbols))
        elif batch.kind == "mark":
            self._marks.append(made.of_marks(batch, symbols))
            if made.named(batch.texts["sources"]):
                sources = batch.texts["sources"].words()
                self.pricing.hold(batch.partition, batch.offset.tolist(), sources)
        elif batch.kind == "book":
            self._books.append(made.of_books(batch, symbols, self.cell_ns))
        elif batch.kind == "reference":
            self._hold_references(batch)

    def _add(self, rows: Int64) -> None:
        if len(rows):
            self._entries.append(rows)

    def _hold_references(self, batch: Batch) -> None:
        positions = []
        times = batch.numbers["ts"].tolist()
        payloads = batch.texts["payload"].words()
        for ts, offset, payload in zip(times, batch.offset.tolist(), payloads, strict=True):
            raw = (payload or "").encode()
            event = judge(raw, "reference")
            if isinstance(event, PositionReference):
                at = batch.partition, offset
                names, symbols = self.accounts.names, self.accounts.symbols
                positions.append(made.of_position(event, at, names, symbols))
            else:
                self._rules.append((ts, batch.partition, offset, raw))
        if positions:
            self._add(np.array(positions, np.int64))

    def advance(self, passed_ns: int) -> Iterator[int]:
        """Apply all before the last cell's end that has passed, cell by cell: gives the end (ns) of
        each that had records in it, when all before that end and nothing later is applied.
        """
        until = passed_ns // self.cell_ns
        if passed_ns == NEVER or until <= self._passed:
            return
        self._passed = until
        end = until * self.cell_ns
        entries = _take(self._entries, end, len(ENTRY), (3, 2, 1, 0))
        marks = _take(self._marks, end, _PRICE_WIDTH, (2, 1, 0))
        books = _take(self._books, end, made.BOOK, (2, 1, 0))
        rules = sorted(rule for rule in self._rules if rule[0] < end)
        self._rules = [rule for rule in self._rules if rule[0] >= end]
        parts = (entries[:, 0], marks[:, 0], books[:, 0], np.array([r[0] for r in rules], np.int64))
        cells = np.unique(np.concatenate(parts) // self.cell_ns)
        self._grow()
        begin = [0, 0, 0, 0]
        for cell in cells.tolist():
            end = (cell + 1) * self.cell_ns
            stop = [int(np.searchsorted(part, end)) for part in parts]
            self._set_rules(rules[begin[3] : stop[3]])
            self._set_books(books[begin[2] : stop[2]])
            self.outcomes.begin(cell * self.cell_ns)
            self._apply(entries[begin[0] : stop[0]], marks[begin[1] : stop[1]])
            if self.accounts.full:
                self._forget(end, entries[stop[0] :])
            begin = stop
            yield end

    def _apply(self, entries: Int64, marks: Int64) -> None:
        """Entries and marks of one cell; each forced fill finds all that came before it."""
        done = told = 0
        self.changes = []
        stops = list(self.outcomes.moments(entries))
        if stops:
            accounts = np.unique([fills[0, _ACCOUNT] for _, fills in stops])
            places = self.accounts.places(entries, accounts)
        for stop, fills in stops:
            by_now = int(np.searchsorted(marks[:, 0], fills[0, 0], side="right"))
            self._set_marks(marks[told:by_now])
            self._take(entries[done:stop])
            done, told = stop, by_now
            self.outcomes.take(fills, self.accounts, places[int(fills[0, _ACCOUNT])], self._known)
        self._set_marks(marks[told:])
        self._take(entries[done:])

    def _take(self, entries: Int64) -> None:
        if len(entries):
            self.changes.append((entries, self.accounts.apply(entries)))

    def _known(self, symbol: int) -> tuple[int | None, tuple[Regime, Tiers] | None]:
        """A market's mark (the index where there is none), 1e-8, and its rules."""
        told = self.told.data[symbol]
        price = int(told[0] if told[0] != ABSENT else told[1])
        name = self.accounts.symbols.names(np.array([symbol]))[0]
        return None if price == ABSENT else price, self.tables.get(name)

    def _forget(self, now_ns: int, rest: Int64) -> None:
        """Let accounts go; entries to come are given their accounts' new numbers."""
        waiting = [rest, *self._entries, *(entries for entries, _ in self.changes)]
        spoken = np.unique(np.concatenate([rows[:, _ACCOUNT] for rows in waiting]))
        words: list[str | None] = list(self.accounts.names.names(spoken))
        self.accounts.forget(now_ns)
        new = self.accounts.names.intern(Text.of(words))
        for rows in waiting:
            rows[:, _ACCOUNT] = new[np.searchsorted(spoken, rows[:, _ACCOUNT])]

    def _grow(self) -> None:
        self.told.grow(len(self.accounts.symbols))
        self.mark.grow(len(self.accounts.symbols))
        self.book.grow(len(self.accounts.symbols))

    def _set_marks(self, rows: Int64) -> None:
        for column in range(2):
            told = rows[rows[:, 4 + column] != ABSENT]
            self.told.data[told[:, 3], column] = told[:, 4 + column]
        rows = self.pricing.judge(rows, self.book.data)
        for column in range(self.mark.data.shape[1]):
            told = rows[rows[:, 4 + column] != ABSENT]
            self.mark.data[told[:, 3], column] = told[:, 4 + column]

    def _set_books(self, rows: Int64) -> None:
        self.book.data[rows[:, 3]] = rows

    def _set_rules(self, rules: list[HeldRule]) -> None:
        for *_, raw in rules:
            event = judge(raw, "reference")
            if isinstance(event, MarketReference) and event.tiers is not None:
                try:
                    tiers = Tiers.of_reference(event.tiers)
                except TierError:
                    self.unread["tiers"] += 1
                    continue
                regime = REGIMES.get(event.regime or "", REGIMES["generic"])
                self.rules[event.symbol], self.tables[event.symbol] = raw, (regime, tiers)
                self.arrays = None
            elif isinstance(event, InsuranceFundReference):
                self.funds[event.symbol or ""] = event.amount
            elif not isinstance(event, MarketReference):
                self.unread["reference"] += 1

    def digest(self) -> bytes:
        """Of everything applied: equal for equal sets of records."""
        symbols = self.accounts.symbols
        parts = [self.accounts.digest(), self.outcomes.digest()]
        parts.append(repr(self.pricing.doubted).encode())
        parts += [repr(sorted(self.rules.items())).encode()]
        parts += [repr(sorted(self.funds.items())).encode(), repr(self.unread).encode()]
        self._grow()
        names = symbols.names(np.arange(len(symbols)))
        for i in sorted(range(len(names)), key=names.__getitem__):
            mark = np.concatenate((self.mark.data[i], self.told.data[i]))
            book = np.delete(self.book.data[i], _BOOK_SYMBOL)
            if (mark != ABSENT).any() or book.any():
                parts += [names[i].encode(), mark.tobytes(), book.tobytes()]
        return hashlib.sha256(b"\n".join(parts)).digest()

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain arrays; what is held too."""
        return {
            "accounts": self.accounts.snapshot(),
            "entries": _joined(self._entries, len(ENTRY)),
            "marks": _joined(self._marks, _PRICE_WIDTH),
            "books": _joined(self._books, made.BOOK),
            "held_rules": [list(rule) for rule in self._rules],
            "told": self.told.data.copy(),
            "mark": self.mark.data.copy(),
            "book": self.book.data.copy(),
            "rules": self.rules,
            "funds": self.funds,
            "unread": self.unread,
            "pricing": self.pricing.snapshot(),
            "outcomes": self.outcomes.snapshot(),
            "passed": self._passed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self.accounts.restore(state["accounts"])
        self._entries, self._marks = [state["entries"]], [state["marks"]]
        self._books = [state["books"]]
        self._rules = [(r[0], r[1], r[2], bytes(r[3])) for r in state["held_rules"]]
        self.mark.data, self.book.data = state["mark"], state["book"]
        self.told.data = state["told"]
        self.funds, self.rules, self.tables = dict(state["funds"]), {}, {}
        self.arrays = None
        self._set_rules([(0, 0, 0, bytes(raw)) for raw in state["rules"].values()])
        self.unread = dict(state["unread"])
        self.pricing.restore(state["pricing"])
        self.outcomes.restore(state["outcomes"])
        self._passed = state["passed"]


def _joined(parts: list[Int64], width: int) -> Int64:
    return np.concatenate((np.empty((0, width), np.int64), *parts))


def _take(parts: list[Int64], end: int, width: int, order: tuple[int, ...]) -> Int64:
    """Remove from `parts` the rows before `end`; sorted by the columns, the last one first."""
    rows = _joined(parts, width)
    early = rows[:, 0] < end
    parts[:] = [rows[~early]] if not early.all() else []
    taken = rows[early]
    return taken[np.lexsort(tuple(taken[:, column] for column in order))]
