"""The state of a venue: accounts across symbols, marks, books and rules.

Records wait until the watermark of all topics has passed their cell of time (`bands_every_s`). Then
they are applied, cell by cell, in the order of event time, kind, partition and offset: the state at
the end of a cell is a function of the set of records. Cells without records are skipped.

A late record of an account, or of rules, counts from the cell of the watermark that it met in its
topic partition: that is a property of its log, and no cell that has been applied. There it takes
its place in the order of event time. Late marks and books do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64
from monitor.core.accounts import ledger_entries
from monitor.core.accounts.coin_entries import CoinEntries
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import (
    ACCOUNT,
    ENTRY_COLUMNS,
    OFFSET,
    ORDER_COLUMNS,
    TS,
)
from monitor.core.accounts.liquidation_outcomes import COUNTERPARTY, JudgedMarket, Outcomes
from monitor.core.bands.inputs import CoinRules, MarketInputs, mark_prices
from monitor.core.cascade.branching import LiquidationTimes
from monitor.core.contract import stepped
from monitor.core.contract.events import (
    AccountReference,
    ContractTerms,
    InsuranceFundReference,
    MarketReference,
)
from monitor.core.contract.units import DAY_NS, SECOND_NS
from monitor.core.decode.batch import ABSENT, Batch, TextColumn
from monitor.core.decode.codec import decode_positions, validate_record
from monitor.core.event_time.clock_state import NEVER
from monitor.core.event_time.repeats import MET
from monitor.core.margin.contract_types import (
    INVERSE,
    LINEAR,
    QUANTO,
    SETTLEMENT_UNITS,
    Contract,
)
from monitor.core.margin.liquidation_price import Regime
from monitor.core.margin.paths.table import PATHS
from monitor.core.margin.regimes import REGIMES, RULE_CHANGES, regime_at
from monitor.core.margin.tiers import TierError, Tiers
from monitor.core.marks import market_rows
from monitor.core.marks.index_moves import IndexMoves
from monitor.core.marks.mark_filter import MarkFilter
from monitor.core.marks.market_rows import (
    BOOK_WIDTH,
    FUNDING_INTERVAL,
    INDEX,
    MARK,
    MARK_COLUMNS,
    MARK_VALUES,
    SYMBOL,
    VALUES,
)
from monitor.core.marks.shown_depth import ShownDepth
from monitor.core.settings import EngineSettings
from monitor.core.tables.hash_table import GrowableRows
from monitor.core.venue.event_time_queue import RowQueue
from monitor.core.venue.own_rules import OwnRules

BOOK_DOUBTS = {"unsound_book", "stale_book", "frozen_book"}
"""Conditions in which a market's book says nothing."""
KINDS = ("fill", "leverage", "mark", "book", "collateral", "reference")
"""Kinds of records that are read here."""
UNNAMED = "unknown: a name of coin-margined contracts, and no reference says contract"
"""Why a market has no bands whose contract may be linear or not."""
NO_TERMS = {
    INVERSE: "inverse: no reference says its size",
    QUANTO: "quanto: no reference says its multiplier",
}
TOO_LATE = "{}: what its contract is came after its first record of an account, or changed"
"""Why a market has no bands whose positions cannot be counted."""
PendingRule = tuple[int, int, int, int, bytes]
"""A market's rules or an insurance fund: the time from which it counts; ts, partition, offset; the
record."""


def _date(day: int) -> str:
    """The date, as 2026-05-27, of a day (UTC) since 1970."""
    return str(np.datetime64(day, "D"))


class VenueState(Stateful):
    """All accounts of a venue and what their margin depends on.

    By symbol, as codes: `raw_marks`, the last mark and index, trusted or not (what the venue acted
    on); `trusted_marks`, the last trusted `MARK_VALUES`; `last_books`, the last that were not
    crossed. By symbol, ns: `mark_times`, of the last trusted mark and index. By market:
    `rule_records`, the last rules with a table that can be used, and `market_rules`, what they say
    of contracts in quote currency; `coin_rules`: of those that settle in coin (`coin_entries`);
    `mark_rules`, the name of their mark's; `rules_version` rises with every change.
    `contract_terms`: of markets whose reference says them; `left_out`: those with rules but without
    bands, and why. `funds`: insurance fund by market ("": the venue's), 1e-6. `written`: ts,
    partition and offset of each of these rules, contracts and funds. `unread`: reference records
    that could not be read, and tier tables refused. `changes`: entries of the cell that was applied
    last (`ENTRY_COLUMNS`), without those that came late, and their effects (`EFFECT_COLUMNS`), in
    base units and quote currency; no part of a snapshot.
    """

    STATE = (
        "ledger", "_entries", "_late", "_marks", "_books", "_pending_rules", "raw_marks",
        "trusted_marks", "mark_times", "last_books", "rule_records", "contract_terms",
        "coin_entries", "funds", "written", "unread", "mark_filter", "outcomes", "index_moves",
        "liquidation_times", "shown_depth", "own_rules", "_shown", "_passed_cell", "_day",
    )  # fmt: skip

    def __init__(self, settings: EngineSettings) -> None:
        limits = settings.accounts
        self.bands_interval_ns = limits.bands_interval_ns
        idle_ns = round(limits.idle_s * SECOND_NS)
        self.ledger = AccountLedger(limits.most, limits.positions, idle_ns)
        self._entries = RowQueue(len(ENTRY_COLUMNS), ORDER_COLUMNS)
        self._late = RowQueue(1 + len(ENTRY_COLUMNS), 1 + ORDER_COLUMNS)
        """Late entries, each behind the watermark that it met."""
        self._marks = RowQueue(len(MARK_COLUMNS), 3)
        self._books = RowQueue(BOOK_WIDTH, 3)
        self._pending_rules: list[PendingRule] = []
        self.raw_marks = GrowableRows(2, ABSENT)
        self.trusted_marks = GrowableRows(len(MARK_VALUES), ABSENT)
        self.mark_times = GrowableRows(2, ABSENT)
        self.last_books = GrowableRows(BOOK_WIDTH, 0)
        self.rule_records: dict[str, bytes] = {}
        self.market_rules: dict[str, tuple[Regime, Tiers]] = {}
        self.coin_rules: dict[str, CoinRules] = {}
        self.contract_terms: dict[str, dict[str, Any]] = {}
        self.coin_entries = CoinEntries(self.ledger)
        self.left_out: dict[str, str] = {}
        self._rules: dict[str, tuple[Regime, Tiers]] = {}
        self.mark_rules: dict[str, str | None] = {}
        self.rules_version = 0
        self.funds: dict[str, int] = {}
        self.written: dict[str, tuple[int, int, int]] = {}
        self.unread = {"reference": 0, "tiers": 0}
        self.mark_filter = MarkFilter(self.ledger.symbols)
        self.outcomes = Outcomes()
        self.index_moves = IndexMoves()
        self.liquidation_times = LiquidationTimes()
        self.shown_depth = ShownDepth()
        self.changes: list[tuple[Int64, Int64]] = []
        self.own_rules = OwnRules(self.ledger, _read_kept)
        self._shown = RowQueue(ledger_entries.SHOWN_WIDTH, ORDER_COLUMNS)
        """What the venue shows of positions, until its time has come."""
        self.shown: Int64 = self._shown.take_before(0)
        """The same of the cell that was applied last; no part of a snapshot."""
        self._passed_cell = NEVER
        self._day = NEVER
        """The day (UTC, since 1970) of the cell that was applied last, whose rules count."""

    def market_inputs(self, doubts: Mapping[str, list[str]] | None = None) -> MarketInputs:
        """What bands need to know of the markets, as of now; `doubts`: see `MarketDoubts`."""
        self._grow()
        doubts = doubts or {}
        books = self.last_books.data
        names = [name for name, some in doubts.items() if BOOK_DOUBTS & {*some}]
        if names:
            books = books.copy()
            books[self.ledger.symbols.intern(TextColumn.from_strings(names)), VALUES:] = 0
        return MarketInputs(
            self.market_rules, self.rules_version, self.trusted_marks.data, self.mark_times.data,
            books, self.mark_filter.volatility, self.left_out, doubts, self.mark_rules,
            self.shown_depth.today, self.own_rules.rules(self.market_rules), self.coin_rules,
        )  # fmt: skip

    @property
    def passed_ns(self) -> int:
        """Everything before this event time is applied."""
        return self._passed_cell * self.bands_interval_ns

    def add_batch(self, batch: Batch) -> None:
        """Keep records until their time has come; late ones have `MET`."""
        if not len(batch):
            return
        names, symbols = self.ledger.names, self.ledger.symbols
        match batch.kind:
            case "fill" | "leverage" | "collateral":
                self._add_entries(batch, ledger_entries.account_entries(batch, names, symbols))
            case "mark":
                self._marks.add(market_rows.mark_rows(batch, symbols))
                if ledger_entries.has_text(batch.texts["sources"]):
                    sources = batch.texts["sources"].to_strings()
                    self.mark_filter.add_sources(batch.partition, batch.offset.tolist(), sources)
            case "book":
                self._books.add(market_rows.book_rows(batch, symbols, self.bands_interval_ns))
            case "reference":
                self._add_references(batch)

    def _add_entries(self, batch: Batch, entries: Int64) -> None:
        met = batch.numbers.get(MET)
        if met is None:
            self._entries.add(entries)
            return
        # A late entry whose cell is still open is in time.
        met = met[np.searchsorted(batch.offset, entries[:, OFFSET])]
        late = entries[:, TS] // self.bands_interval_ns < met // self.bands_interval_ns
        self._entries.add(entries[~late])
        self._late.add(np.column_stack((met, entries))[late])

    def _add_references(self, batch: Batch) -> None:
        positions, are_positions = decode_positions(batch)
        if len(positions):
            names, symbols = self.ledger.names, self.ledger.symbols
            entries = ledger_entries.account_entries(positions, names, symbols)
            self._add_entries(batch, entries)
            shown = ledger_entries.shown_values(positions, entries)
            if (met := batch.numbers.get(MET)) is not None:
                late = met[np.searchsorted(batch.offset, shown[:, OFFSET])]
                shown[:, TS] = np.maximum(shown[:, TS], late)
            self._shown.add(shown)
        rules = batch.select_rows(~are_positions)
        due = np.maximum(rules.numbers["ts"], rules.numbers.get(MET, NEVER)).tolist()
        times, offsets = rules.numbers["ts"].tolist(), rules.offset.tolist()
        payloads = rules.texts["payload"].to_strings()
        for due_ns, ts, offset, payload in zip(due, times, offsets, payloads, strict=True):
            raw = (payload or "").encode()
            self._pending_rules.append((due_ns, ts, batch.partition, offset, raw))

    def advance(self, passed_ns: int) -> Iterator[int]:
        """Apply everything before the last cell's end that has passed, cell by cell.

        Gives the end (ns) of each cell that has records, when everything before that end and
        nothing later is applied.
        """
        until = passed_ns // self.bands_interval_ns
        if passed_ns == NEVER or until <= self._passed_cell:
            return
        self._passed_cell = until
        end = until * self.bands_interval_ns
        entries, marks = self._entries.take_before(end), self._marks.take_before(end)
        books, late = self._books.take_before(end), self._late.take_before(end)
        shown = self._shown.take_before(end)
        rules = sorted(rule for rule in self._pending_rules if rule[0] < end)
        self._pending_rules = [rule for rule in self._pending_rules if rule[0] >= end]
        rule_times = np.array([due_ns for due_ns, *_ in rules], np.int64)
        times = (
            entries[:, TS], marks[:, market_rows.TS], books[:, market_rows.TS], rule_times,
            late[:, 0], shown[:, TS],
        )  # fmt: skip
        cells = np.unique(np.concatenate(times) // self.bands_interval_ns)
        self._grow()
        begin: tuple[int, ...] = (0,) * len(times)
        ends = (cells + 1) * self.bands_interval_ns
        stops = zip(*(np.searchsorted(part, ends).tolist() for part in times), strict=True)
        for end, stop in zip(ends.tolist(), stops, strict=True):
            if (end - self.bands_interval_ns) // DAY_NS != self._day:
                self._begin_day((end - self.bands_interval_ns) // DAY_NS)
            now_entries, now_marks, now_books, now_rules, now_late, now_shown = map(
                slice, begin, stop
            )
            self._set_rules(rules[now_rules])
            self.last_books.data[books[now_books, SYMBOL]] = books[now_books]
            self.shown_depth.update(books[now_books], self.last_books.data)
            self.outcomes.begin_cell(end - self.bands_interval_ns)
            self._apply_late(late[now_late, 1:])
            self._apply_cell(entries[now_entries], marks[now_marks])
            self.shown = shown[now_shown]
            if len(self.shown) or self.own_rules.account_rates:
                came = map(self.coin_entries.convert, (entries[now_entries], late[now_late, 1:]))
                self.own_rules.apply((*came,), self.shown, self._mark_codes(), self.market_rules)
            if self.ledger.is_over_limits:
                rest = entries[stop[0] :], late[stop[4] :, 1:], shown[now_shown.start :]
                self._forget_accounts(end, *rest)
            self._remember(end)
            begin = stop
            yield end

    def _remember(self, end: int) -> None:
        """What the cell that ends at `end` adds to moves and liquidations."""
        if self.index_moves.is_due(end):
            symbols = len(self.ledger.symbols)
            marks, times = self.trusted_marks.data[:symbols], self.mark_times.data[:symbols]
            self.index_moves.read(end, marks, times)
        forced = [o for o in self.outcomes.last if o.verdict != COUNTERPARTY]
        if forced:
            self.liquidation_times.add((outcome.ts, outcome.symbol) for outcome in forced)

    def _apply_late(self, entries: Int64) -> None:
        """Entries that belong to earlier cells: no streams judge them, and no predictions."""
        if len(entries):
            converted = self.coin_entries.convert(entries)
            as_read = None if converted is entries else entries
            rows = self.ledger.apply_late(converted, as_read)
            self.outcomes.record_late(converted, rows, self.ledger)

    def _apply_cell(self, entries: Int64, marks: Int64) -> None:
        """Entries and marks of one cell; each forced fill meets everything that came before it."""
        next_entry = next_mark = 0
        self.changes = []
        as_read, entries = entries, self.coin_entries.convert(entries)
        stops = list(self.outcomes.forced_fills(entries))
        if stops:
            accounts = np.unique([fills[0, ACCOUNT] for _, fills in stops])
            places = self.ledger.rows_by_market(entries, accounts)
        for stop, fills in stops:
            by_now = int(np.searchsorted(marks[:, market_rows.TS], fills[0, TS], side="right"))
            self._set_marks(marks[next_mark:by_now])
            self._apply_entries(entries[next_entry:stop], as_read[next_entry:stop])
            next_entry, next_mark = stop, by_now
            self.outcomes.record_fills(
                fills, self.ledger, places[int(fills[0, ACCOUNT])], self._judged_market
            )
        self._set_marks(marks[next_mark:])
        self._apply_entries(entries[next_entry:], as_read[next_entry:])

    def _apply_entries(self, entries: Int64, as_read: Int64 | None = None) -> None:
        if not len(entries):
            return
        if as_read is None or not self.coin_entries.contracts:
            self.changes.append((entries, self.ledger.apply_entries(entries)))
            return
        effects = self.ledger.apply_entries(entries, as_read)
        marks = mark_prices(self.trusted_marks.data)
        self.changes.append(self.coin_entries.restate(as_read, entries, effects, marks))

    def _judged_market(self, symbol: int, own_rules: int) -> JudgedMarket:
        """A market with its mark (the index where there is none), and its rules, or those of this
        number."""
        mark, index = self.raw_marks.data[symbol].tolist()
        code = index if mark == ABSENT else mark
        price = None if code == ABSENT else stepped.exact(code)
        name = self.ledger.symbols.names(np.array([symbol]))[0]
        if name not in self.coin_rules:
            rules = self.market_rules.get(name)
            if own_rules:
                rules = self.own_rules.rules(self.market_rules)[own_rules - 1][1]
            return JudgedMarket(price, rules)
        regime, tiers, contract = self.coin_rules[name]
        is_inverse = contract.type == INVERSE
        if is_inverse and price is not None:
            price = SETTLEMENT_UNITS / price
        return JudgedMarket(price, (regime, tiers), is_inverse)

    def _forget_accounts(self, now_ns: int, *rest: Int64) -> None:
        """Drop accounts over the limits; entries that wait get their accounts' new numbers."""
        waiting = [*rest, *self._entries.parts, *(part[:, 1:] for part in self._late.parts)]
        waiting += [entries for entries, _ in self.changes] + self._shown.parts
        numbers = np.unique(np.concatenate([rows[:, ACCOUNT] for rows in waiting]))
        names: list[str | None] = list(self.ledger.names.names(numbers))
        self.ledger.forget(now_ns)
        new = self.ledger.names.intern(TextColumn.from_strings(names))
        for rows in waiting:
            rows[:, ACCOUNT] = new[np.searchsorted(numbers, rows[:, ACCOUNT])]

    def _mark_codes(self) -> Int64:
        """The last trusted mark of each symbol, the index where there is none, codes."""
        marks = self.trusted_marks.data
        mark, index = marks[:, MARK - VALUES], marks[:, INDEX - VALUES]
        return np.where(mark == ABSENT, index, mark)

    def _grow(self) -> None:
        for last in (self.raw_marks, self.trusted_marks, self.mark_times, self.last_books):
            last.grow(len(self.ledger.symbols))
        self.mark_filter.volatility.grow(len(self.ledger.symbols))
        self.shown_depth.grow(len(self.ledger.symbols))

    def _set_marks(self, rows: Int64) -> None:
        trusted = self.mark_filter.filter_rows(rows, self.last_books.data)
        last = self.raw_marks.data, self.trusted_marks.data, self.mark_times.data
        market_rows.set_last_marks(rows, trusted, *last)

    def _set_rules(self, rules: list[PendingRule]) -> None:
        for _, ts, partition, offset, raw in rules:
            at = ts, partition, offset
            event = validate_record(raw, "reference")
            if isinstance(event, MarketReference):
                self._set_market(event, raw, at)
            elif isinstance(event, InsuranceFundReference):
                if self._is_last(f"fund {event.symbol or ''}", at):
                    self.funds[event.symbol or ""] = event.amount
            elif isinstance(event, AccountReference):
                if self._is_last(f"account {event.account}", at):
                    self.own_rules.set_account_rate(event.account, event.maintenance_rate)
            else:
                self.unread["reference"] += 1

    def _begin_day(self, day: int) -> None:
        """The rules of `day` count from now on: those of venues that have changed theirs since the
        last one are read again."""
        last, self._day = self._day, day
        if last == NEVER:
            return
        before, now = _date(last), _date(day)
        changed = {
            name
            for name, days in RULE_CHANGES.items()
            if any(before < since <= now for since in days)
        }
        for symbol in [s for s, (regime, _) in self._rules.items() if regime.name in changed]:
            event = validate_record(self.rule_records[symbol], "reference")
            if isinstance(event, MarketReference):
                self._rules[symbol] = self._rules_of(event) or self._rules[symbol]
                self._sort_market(symbol)

    def _rules_of(self, event: MarketReference) -> tuple[Regime, Tiers] | None:
        """A market's rules as they hold today; None: they cannot be used."""
        return _rules_on(event.ts // DAY_NS if self._day == NEVER else self._day, event)

    def _set_market(self, event: MarketReference, raw: bytes, at: tuple[int, int, int]) -> None:
        """Take a market's contract and its rules, each where the record gives it."""
        symbol = event.symbol
        if event.contract is not None and self._is_last(f"contract {symbol}", at):
            self.contract_terms[symbol] = event.contract.model_dump()
        if event.isolated_only is not None and self._is_last(f"isolated {symbol}", at):
            (number,) = self.ledger.symbols.intern(TextColumn.from_strings([symbol])).tolist()
            self.ledger.set_isolated_only(number, event.isolated_only)
        if event.tiers is not None:
            rules = self._rules_of(event)
            if rules is None:
                self.unread["tiers"] += 1
            elif self._is_last(f"rules {symbol}", at):
                before = self._rules.get(symbol)
                if before is not None and rules[0].keeps_tables and before[1] != rules[1]:
                    self.own_rules.keep_table(symbol, self.rule_records[symbol])
                self.rule_records[symbol] = raw
                self._rules[symbol] = rules
                self.mark_rules[symbol] = event.mark_rule or event.regime
        self._sort_market(symbol)

    def _sort_market(self, symbol: str) -> None:
        """Give a market with rules bands where its positions can be counted, else leave it out."""
        rules = self._rules.get(symbol)
        contract, why = self._contract_of(symbol, None if rules is None else rules[0].name)
        if contract is not None:
            of_coin = None if contract.type == LINEAR else contract
            if not self.coin_entries.accept(symbol, of_coin):
                why = TOO_LATE.format(contract.type)
        if rules is None:
            return
        for kept in (self.market_rules, self.coin_rules, self.left_out):
            kept.pop(symbol, None)
        if why:
            self.left_out[symbol] = why
        elif contract is not None:
            regime, tiers = rules
            if tiers.by_contracts:
                tiers = tiers.times(contract.quantity_units)
            if contract.type == LINEAR:
                self.market_rules[symbol] = regime, tiers
            else:
                units = 1 if tiers.by_contracts else SETTLEMENT_UNITS
                self.coin_rules[symbol] = CoinRules(regime, tiers.times(Fraction(units)), contract)
        self.rules_version += 1

    def _contract_of(self, symbol: str, regime: str | None) -> tuple[Contract | None, str]:
        """A market's contract as its reference says it or the venue names it, and if it cannot be
        told why not."""
        of_venue = None if regime is None else Contract.at_venue(regime, symbol)
        if symbol not in self.contract_terms:
            return of_venue, "" if of_venue or regime is None else UNNAMED
        terms = ContractTerms.model_construct(**self.contract_terms[symbol])
        contract = Contract.from_terms(terms, of_venue)
        return contract, "" if contract else NO_TERMS[terms.type]

    def _is_last(self, what: str, at: tuple[int, int, int]) -> bool:
        """Whether nothing later by ts, partition and offset has been written there."""
        if self.written.get(what, at) > at:
            return False
        self.written[what] = at
        return True

    def digest(self) -> bytes:
        """Hash of everything applied: equal for equal sets of records."""
        symbols = self.ledger.symbols
        records, funds = sorted(self.rule_records.items()), sorted(self.funds.items())
        types = sorted((symbol, terms["type"]) for symbol, terms in self.contract_terms.items())
        plain = self.mark_filter.doubted, records, types, funds, self.unread
        parts = [self.ledger.digest(), self.outcomes.digest(), *(repr(v).encode() for v in plain)]
        parts += self.own_rules.digest_parts()
        if self.coin_entries.contracts:
            parts.append(repr(sorted(self.coin_entries.contracts.items())).encode())
        self._grow()
        names = symbols.names(np.arange(len(symbols)))
        for i in sorted(range(len(names)), key=names.__getitem__):
            # Without the funding interval, on which nothing that is put out rests.
            trusted = self.trusted_marks.data[i, : FUNDING_INTERVAL - VALUES]
            mark = np.concatenate((trusted, self.raw_marks.data[i]))
            book = np.delete(self.last_books.data[i], SYMBOL)
            if (mark != ABSENT).any() or book.any():
                parts += [names[i].encode(), mark.tobytes(), book.tobytes()]
        return hashlib.sha256(b"\n".join(parts)).digest()

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._pending_rules = [
            (due, ts, p, offset, raw) for due, ts, p, offset, raw in self._pending_rules
        ]
        self.written = {what: (ts, p, offset) for what, (ts, p, offset) in self.written.items()}
        records, self.rule_records, self.market_rules = self.rule_records, {}, {}
        self._rules, self.left_out, self.mark_rules, self.coin_rules = {}, {}, {}, {}
        self._set_rules([(0, *self.written[f"rules {s}"], raw) for s, raw in records.items()])


def _read_kept(raw: bytes) -> tuple[Regime, Tiers] | None:
    """Regime and tier table of a market's reference record as of its own day; None: it has none
    that can be used."""
    event = validate_record(raw, "reference")
    return _rules_on(event.ts // DAY_NS, event) if isinstance(event, MarketReference) else None


def _rules_on(day: int, event: MarketReference) -> tuple[Regime, Tiers] | None:
    """A market's regime as it holds on a day, and its tiers; None: they cannot be used."""
    regime = regime_at(event.regime or "", _date(day)) or REGIMES["generic"]
    if event.path in PATHS:
        regime = replace(regime, path=PATHS[event.path])
    by_contracts = event.tiers_by == "contracts"
    whole = regime.whole_position or by_contracts
    try:
        tiers = Tiers.from_reference(event.tiers or (), whole=whole, by_contracts=by_contracts)
    except TierError:
        return None
    return regime, tiers
