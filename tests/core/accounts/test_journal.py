"""Late entries: the ledger is as if they had come in time."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.accounts import journal
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import FILL, LEVERAGE, ORDER_COLUMNS, POSITION, TS
from monitor.core.decode.batch import TextColumn
from tests.core.accounts.equity_parts import equity_parts
from tests.core.accounts.test_ledger import (
    ACCOUNTS,
    E6,
    E8,
    EVENTS,
    LONG_AGO,
    MARKS,
    entries,
    machine,
    row,
)

CELL = 4
"""Entries of a cell of time; they lie one ns apart."""
ARRIVALS = st.lists(st.tuples(EVENTS, st.integers(0, 6)), min_size=1, max_size=40)
"""Events in their order, each with the number of cells by which it is late."""
FEW = settings(max_examples=150, deadline=None, derandomize=True)


def apply_by_cell(ledger: AccountLedger, rows: np.ndarray, late_cells: list[int]) -> AccountLedger:
    """Give entries to the ledger cell by cell, as the venue stage does."""
    cell = (rows[:, TS] - LONG_AGO) // CELL
    arrival = cell + np.array(late_cells)
    for now in range(int(arrival.max()) + 1):
        late = rows[(arrival == now) & (cell < now)]
        if len(late):
            ledger.apply_late(late)
        ledger.apply_entries(rows[(arrival == now) & (cell == now)])
    return ledger


def in_order(events: list[Any]) -> AccountLedger:
    ledger = machine()
    ledger.apply_entries(entries(ledger, events))
    return ledger


@FEW
@given(ARRIVALS)
def test_late_entries_give_the_ledger_of_the_ordered_day(arrivals: list[Any]) -> None:
    events, late = zip(*arrivals, strict=True)
    ledger = machine()
    ledger.names.intern(TextColumn.from_strings(ACCOUNTS[::-1]))
    apply_by_cell(ledger, entries(ledger, list(events)), list(late))
    assert ledger.digest() == in_order(list(events)).digest()
    assert ledger.late["unordered"] == 0


@FEW
@given(ARRIVALS, st.integers(0, 40))
def test_a_restart_keeps_the_journal(arrivals: list[Any], at: int) -> None:
    events, late = zip(*arrivals, strict=True)
    first = machine()
    rows = entries(first, list(events))
    arrival = rows[:, TS] + CELL * np.array(late)
    rows = rows[np.lexsort((rows[:, TS], arrival))]
    apply_one_by_one(first, rows[:at])
    again = machine()
    again.restore(first.snapshot())
    apply_one_by_one(again, rows[at:])
    assert again.digest() == in_order(list(events)).digest()
    apply_one_by_one(first, rows[at:])
    assert _plain(again.snapshot()) == _plain(first.snapshot())


def apply_one_by_one(ledger: AccountLedger, rows: np.ndarray) -> None:
    for i in range(len(rows)):
        newest = ledger.account_rows[:, -1].max(initial=0)
        late = rows[i, TS] < newest
        (ledger.apply_late if late else ledger.apply_entries)(rows[i : i + 1])


@FEW
@given(ARRIVALS, st.integers(1, 12), st.integers(1, 12))
def test_beyond_the_journal_sums_and_last_writes_are_those_of_the_ordered_day(
    arrivals: list[Any], span: int, rows_max: int
) -> None:
    events, late = (list(part) for part in zip(*arrivals, strict=True))
    ledger = machine()
    with (
        mock.patch.object(journal, "SPAN_NS", span),
        mock.patch.object(journal, "ROWS_MAX", rows_max),
    ):
        apply_by_cell(ledger, entries(ledger, events), late)
    ordered = in_order(events)
    for name in {ACCOUNTS[who[0]] for _, who, *_ in events}:
        assert equity_parts(ledger, name, MARKS) == equity_parts(ordered, name, MARKS)
    assert (ledger.fills_by_cause == ordered.fills_by_cause).all()
    assert _last_writes(ledger) == _last_writes(ordered)


def _last_writes(ledger: AccountLedger) -> dict[Any, Any]:
    names = ("quantity", "leverage", "mode", "ts", "set_ts")
    owner, symbol = ledger.row_owners()
    keys = zip(ledger.names.names(owner), ledger.symbols.names(symbol), strict=True)
    rows = (ledger.position_values(i) for i in range(len(ledger.position_rows)))
    return {k: [r[n] for n in names] for k, r in zip(keys, rows, strict=True)}


def test_the_entry_value_after_a_late_fill_is_that_of_the_true_order() -> None:
    fills = [
        (FILL, (0, 0), 2 * E8, 100 * E8, 0, -1),
        (FILL, (0, 0), -E8, 150 * E8, 0, -1),
        (FILL, (0, 0), E8, 300 * E8, 0, -1),
    ]
    ledger = machine()
    rows = entries(ledger, fills)
    ledger.apply_entries(rows[[0, 2]])
    assert row(ledger)["entry"] == 500 * E6
    ledger.apply_late(rows[[1]])
    assert (row(ledger)["quantity"], row(ledger)["entry"]) == (2 * E8, 400 * E6)
    assert ledger.late == {"in_order": 1, "unordered": 0}


def test_a_position_that_was_not_flat_after_all_keeps_its_margin() -> None:
    events = [
        (POSITION, (0, 0), E8, 100 * E8, 50 * E6, 5 * E8),
        (FILL, (0, 0), E8, 100 * E8, 0, -1),
        (FILL, (0, 0), -E8, 120 * E8, 0, -1),
    ]
    ledger = machine()
    rows = entries(ledger, events)
    ledger.apply_entries(rows[[0, 2]])
    assert row(ledger)["isolated"] == 0
    ledger.apply_late(rows[[1]])
    assert (row(ledger)["quantity"], row(ledger)["isolated"]) == (E8, 50 * E6)


def test_a_late_leverage_change_does_not_undo_a_later_one() -> None:
    changes = [(LEVERAGE, (0, 0), times * E8, 0, 0, 0) for times in (5, 10, 20)]
    for span in (journal.SPAN_NS, 0):
        ledger = machine()
        rows = entries(ledger, changes)
        with mock.patch.object(journal, "SPAN_NS", span):
            ledger.apply_entries(rows[[0, 2]])
            ledger.apply_late(rows[[1]])
        assert row(ledger)["leverage"] == 20 * E8
        assert ledger.late["unordered"] == int(span == 0)


def test_an_account_that_lost_a_position_over_the_limits_does_not_get_it_back() -> None:
    ledger = AccountLedger(100, 1, 10**18)
    events = [(FILL, (0, market), E8, 10 * E8, 0, -1) for market in (0, 1, 0)]
    rows = entries(ledger, events)
    ledger.apply_entries(rows[[0, 1]])
    ledger.forget(LONG_AGO)
    assert len(ledger.position_rows) == 1
    quantities = {m: q for (_, m), (q, *_) in _last_writes(ledger).items()}
    ledger.apply_late(rows[[2]])
    after = {m: q for (_, m), (q, *_) in _last_writes(ledger).items()}
    assert after == {**quantities, "BTC": quantities.get("BTC", 0) + E8}
    assert ledger.account_values(0)["open"] == len([q for q in after.values() if q])


def test_the_journal_stays_within_its_span_and_its_rows() -> None:
    ledger = machine()
    fills = [(FILL, (i % 4, 0), E8, 10 * E8, 0, -1) for i in range(5000)]
    with mock.patch.object(journal, "ROWS_MAX", 300):
        for low in range(0, 5000, 50):
            ledger.apply_entries(entries(ledger, fills[low : low + 50], low))
            kept = ledger.snapshot()["journal"]["rows"]
            assert len(kept) == min(low + 50, 300)
            assert (np.diff(kept[:, :ORDER_COLUMNS], axis=0)[:, 0] == 1).all()


def _plain(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _plain(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray) else state
