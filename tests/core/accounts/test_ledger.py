"""The ledger of accounts: exact sums that depend on the records alone."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.accounts.ledger import CAUSES, AccountLedger
from monitor.core.accounts.ledger_kernels import (
    ADJUSTMENT,
    DEPOSIT,
    ENTRY_COLUMNS,
    FILL,
    FUNDING,
    ISOLATED,
    LEVERAGE,
    MARGIN_IN,
    MARGIN_OUT,
    MOVE,
    POSITION,
    REBATE,
    WITHDRAWAL,
)
from monitor.core.decode.batch import ABSENT, COLUMNS, TextColumn
from monitor.core.decode.stepped_kernels import from_e8
from tests.core.accounts.equity_parts import equity_parts

E8, E6 = 10**8, 10**6
ACCOUNTS = [f"a-{i}" for i in range(4)]
SYMBOLS = ["BTC", "ETH", "SOL"]
MARKS = {"BTC": 60_000 * E8 + 7, "ETH": 3_000 * E8 + 1, "SOL": 151 * E8 + 33}
LONG_AGO = 10**18
HOUR = 3_600 * 10**9

CAUSES_OF_MOVES = {
    "deposit": DEPOSIT, "withdrawal": WITHDRAWAL, "isolated_in": MARGIN_IN,
    "isolated_out": MARGIN_OUT, "funding": FUNDING, "rebate": REBATE, "adjustment": ADJUSTMENT,
}  # fmt: skip

QUANTITY = st.integers(-(10**12), 10**12).filter(bool)
PRICE = st.integers(1, 10**13)
WHO = st.tuples(st.integers(0, 3), st.integers(0, 2))
EVENTS = st.one_of(
    st.tuples(st.just(FILL), WHO, QUANTITY, PRICE, st.integers(-E6, E6), st.integers(-1, 3)),
    st.tuples(st.just(POSITION), WHO, QUANTITY, PRICE, st.integers(0, E8), st.just(5 * E8)),
    st.tuples(st.just(MOVE), WHO, st.integers(-(10**9), 10**9), st.integers(0, 6), st.just(0),
              st.just(0)),
    st.tuples(st.just(LEVERAGE), WHO, st.integers(1, 40 * E8), st.integers(0, 1), st.just(0),
              st.just(0)),
)  # fmt: skip


def entries(machine: AccountLedger, events: list[Any], begin: int = 0) -> np.ndarray:
    """Entries one ns apart, quantities and prices from 1e-8; names are interned in their order."""
    names = machine.names.intern(
        TextColumn.from_strings([ACCOUNTS[who[0]] for _, who, *_ in events])
    )
    symbols = machine.symbols.intern(
        TextColumn.from_strings([SYMBOLS[who[1]] for _, who, *_ in events])
    )
    out = np.zeros((len(events), len(ENTRY_COLUMNS)), np.int64)
    for i, (op, _, a, b, c, d) in enumerate(events):
        if op in (FILL, POSITION):
            a, b = from_e8(np.array([a, b])).tolist()
        out[i] = LONG_AGO + begin + i, op, 0, i, names[i], symbols[i], a, b, c, d, 0
    return out


def machine(accounts: int = 100, positions: int = 1000) -> AccountLedger:
    return AccountLedger(accounts, positions, HOUR)


def value(price: int, quantity: int) -> int:
    return price * abs(quantity) // 10**10


def expected(events: list[Any], account: int) -> tuple[Fraction, int, int, int]:
    """Price, funding, fees and transfers, by plain bookkeeping without positions."""
    cash, funding, fees, transfers = 0, 0, 0, 0
    quantity = dict.fromkeys(SYMBOLS, 0)
    for op, who, a, b, c, _ in events:
        if who[0] != account:
            continue
        if op in (FILL, POSITION):
            cash += value(b, a) if a < 0 else -value(b, a)
            quantity[SYMBOLS[who[1]]] += a
            fees += c if op == FILL else 0
            transfers += c if op == POSITION else 0
        elif op == MOVE:
            funding += a if b == 4 else 0
            fees -= a if b == 5 else 0
            transfers += a if b in (0, 1, 6) else 0
    worth = sum(Fraction(q * MARKS[s], 10**10) for s, q in quantity.items())
    return cash + worth, funding, fees, transfers


@given(st.lists(EVENTS, min_size=1, max_size=40))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_equity_is_price_and_funding_less_fees_and_transfers_to_the_last_unit(
    events: list[Any],
) -> None:
    ledger = machine()
    ledger.apply_entries(entries(ledger, events))
    for name in {ACCOUNTS[who[0]] for _, who, *_ in events}:
        split = equity_parts(ledger, name, MARKS)
        want = expected(events, ACCOUNTS.index(name))
        assert (split.price, split.funding, split.fees, split.transfers) == want
        assert split.total == want[0] + want[1] - want[2] + want[3]


@given(st.lists(EVENTS, min_size=1, max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_ledger_sums_do_not_depend_on_the_order_of_entries(events: list[Any], random: Any) -> None:
    one, other = machine(), machine()
    one.apply_entries(entries(one, events))
    mixed = list(events)
    random.shuffle(mixed)
    other.apply_entries(entries(other, mixed))
    for name in {ACCOUNTS[who[0]] for _, who, *_ in events}:
        assert equity_parts(one, name, MARKS) == equity_parts(other, name, MARKS)
    assert (one.fills_by_cause == other.fills_by_cause).all()


@given(st.lists(EVENTS, min_size=2, max_size=40), st.integers(0, 40))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_batching_and_a_snapshot_in_between_change_nothing(events: list[Any], at: int) -> None:
    whole = machine()
    whole.apply_entries(entries(whole, events))
    part = machine()
    # Names are interned in another order here, which must not show.
    part.names.intern(TextColumn.from_strings(ACCOUNTS[::-1]))
    part.symbols.intern(TextColumn.from_strings(SYMBOLS[::-1]))
    part.apply_entries(entries(part, events[:at]))
    rest = entries(part, events[at:], at)
    again = machine()
    again.restore(part.snapshot())
    again.apply_entries(rest)
    assert again.digest() == whole.digest()
    assert whole.digest() != machine().digest()


def row(ledger: AccountLedger) -> dict[str, int]:
    assert len(ledger.position_rows) == 1
    return ledger.position_values(0)


def test_the_entry_value_is_that_of_the_open_quantity() -> None:
    ledger = machine()
    at = (0, 0)
    fills = [
        (FILL, at, 2 * E8, 100 * E8, 0, -1),
        (FILL, at, 2 * E8, 200 * E8, 0, -1),
        (FILL, at, -1 * E8, 500 * E8, 0, -1),
    ]
    ledger.apply_entries(entries(ledger, fills))
    assert (row(ledger)["quantity"], row(ledger)["entry"]) == (3 * E8, 450 * E6)
    ledger.apply_entries(entries(ledger, [(FILL, at, -5 * E8, 300 * E8, 0, -1)], 9))
    assert (row(ledger)["quantity"], row(ledger)["entry"]) == (-2 * E8, 600 * E6)


def test_the_money_and_margin_of_a_flat_position_go_to_the_account() -> None:
    ledger = machine()
    at = (0, 0)
    events = [
        (MOVE, at, 1000 * E6, 0, 0, 0),
        (LEVERAGE, at, 10 * E8, 1, 0, 0),
        (MOVE, at, 100 * E6, 2, 0, 0),
        (FILL, at, E8, 100 * E8, E6, -1),
    ]
    ledger.apply_entries(entries(ledger, events))
    assert row(ledger)["isolated"] == 100 * E6
    ledger.apply_entries(entries(ledger, [(FILL, at, -E8, 110 * E8, E6, -1)], 9))
    position = row(ledger)
    assert {position[n] for n in ("quantity", "entry", "trade", "fees", "isolated")} == {0}
    assert (position["leverage"], position["mode"]) == (10 * E8, 1)
    assert equity_parts(ledger, "a-0", {}).total == 1008 * E6


def test_causes_and_modes_have_the_numbers_of_the_contract() -> None:
    columns = (*COLUMNS["collateral"], *COLUMNS["leverage"])
    values = {column.name: column.values for column in columns}
    assert [values["cause"].index(cause) for cause in CAUSES_OF_MOVES] == list(
        CAUSES_OF_MOVES.values()
    )
    assert len(values["cause"]) == len(CAUSES_OF_MOVES)
    assert values["margin_mode"].index("isolated") == ISOLATED


@pytest.mark.parametrize("signs", [(1, -1), (1, 1), (-1, -1)])
def test_the_cause_of_an_isolated_move_gives_its_direction(signs: tuple[int, int]) -> None:
    ledger = machine()
    moves = [(MOVE, (0, 0), signs[0] * 70, 2, 0, 0), (MOVE, (0, 0), signs[1] * 30, 3, 0, 0)]
    ledger.apply_entries(entries(ledger, moves))
    assert row(ledger)["isolated"] == 40
    assert equity_parts(ledger, "a-0", {}).total == 0


def test_forced_fills_are_counted_by_cause() -> None:
    ledger = machine()
    causes = [-1, 0, 1, 1, 2, 3]
    ledger.apply_entries(entries(ledger, [(FILL, (0, 0), E8, 10 * E8, 0, c) for c in causes]))
    count = dict(zip((*CAUSES, None), ledger.fills_by_cause[:, 0].tolist(), strict=True))
    assert count == {"trade": 1, "liquidation": 2, "backstop": 1, "adl": 1, None: 1}
    assert ledger.fills_by_cause[CAUSES.index("liquidation"), 1] == 20 * E6


def test_idle_flat_accounts_are_dropped_and_accounts_with_open_positions_stay() -> None:
    ledger = machine(accounts=2)
    fills = [(FILL, (i, 0), E8, 10 * E8, 0, -1) for i in range(4)]
    ledger.apply_entries(entries(ledger, [*fills, (FILL, (3, 0), -E8, 10 * E8, 0, -1)]))
    assert ledger.is_over_limits
    ledger.forget(LONG_AGO + HOUR)  # none is idle: those with the highest hash are dropped
    assert ledger.dropped == {"idle": 0, "accounts": 2, "positions": 0}
    ledger = machine(accounts=3)
    ledger.apply_entries(entries(ledger, [*fills, (FILL, (3, 0), -E8, 10 * E8, 0, -1)]))
    ledger.forget(LONG_AGO + 2 * HOUR)
    assert ledger.names.names(np.arange(len(ledger.names))) == ACCOUNTS[:3]
    assert not ledger.is_over_limits
    assert ledger.dropped == {"idle": 1, "accounts": 0, "positions": 0}
    assert equity_parts(ledger, "a-1", MARKS).price == Fraction(MARKS["BTC"], 100) - 10 * E6


def test_eviction_depends_on_account_names_not_on_arrival_order() -> None:
    fills = [(FILL, (i, j), E8, 10 * E8, 0, ABSENT) for i in range(4) for j in range(3)]
    one, other = machine(positions=5), machine(positions=5)
    one.apply_entries(entries(one, fills))
    other.names.intern(TextColumn.from_strings(["somebody", *ACCOUNTS[::-1]]))
    backwards = entries(other, fills)
    other.apply_entries(backwards)
    for ledger in (one, other):
        ledger.forget(LONG_AGO)
        assert (len(ledger.position_rows), ledger.dropped["positions"]) == (5, 7)
    assert one.digest() == other.digest()
