"""Pools kept beside the accounts are the pools made anew from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import POSITION_COLUMNS
from monitor.core.bands.pools import Pools
from tests.core.accounts.test_ledger import EVENTS, entries, machine

OPEN = POSITION_COLUMNS.index("quantity")


def content(pools: Pools, accounts: AccountLedger) -> list[Any]:
    """Every pool in words: whose, whether isolated, its cash and its positions in their order."""
    p = pools.update()
    out = []
    for pool in np.flatnonzero(p.count).tolist():
        span = range(p.start[pool], p.start[pool] + p.count[pool])
        held = [(pools.market_names[p.market[i]], p.quantity[i], p.entry[i]) for i in span]
        assert [name for name, *_ in held] == sorted(name for name, *_ in held)
        (owner,) = pools.owners(np.array([pool]))
        out.append((owner, bool(p.isolated[pool]), held, p.cash[pool].tobytes()))
    unused = p.pool_of_position < 0
    assert (p.quantity[unused] == 0).all()
    return [
        sorted(out),
        pools.assumed,
        sorted(pools.market_names[m] for m in pools.markets_by_name),
    ]


@given(st.lists(st.lists(EVENTS, min_size=1, max_size=25), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_is_changed_bit_by_bit_is_what_is_made_anew(parts: list[list[Any]]) -> None:
    made = machine()
    kept = Pools(made)
    begin = 0
    for events in parts:
        made.apply_entries(entries(made, events, begin))
        begin += len(events)
        held = content(kept, made)
        made._touched = None
        anew = Pools(made)
        assert content(anew, made) == held
        assert sum(len(part[2]) for part in held[0]) == np.count_nonzero(
            made.position_rows[:, OPEN]
        )


def test_pools_are_made_anew_when_accounts_are_numbered_anew() -> None:
    made = machine()
    kept = Pools(made)
    events = [(3, (who, 0), 10**9, 10**8, 0, -1) for who in range(4)]
    made.apply_entries(entries(made, events))
    before = content(kept, made)
    made.apply_entries(entries(made, [(3, (0, 0), -(10**9), 10**8, 0, -1)], 4))
    made.forget(2 * 10**18)
    after = content(kept, made)
    assert after[0] == [part for part in before[0] if part[0] != "a-0"]
