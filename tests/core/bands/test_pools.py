"""Pools that are updated with the accounts equal pools built from the accounts at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.bands.pools import Pools
from tests.core.accounts.test_ledger import EVENTS, entries, machine
from tests.core.bands.position_arrays import pools_of


def content(pools: Pools) -> list[Any]:
    """Every pool as plain values: whose, whether isolated, its cash and its positions in order."""
    p = pools.update()
    out = []
    for pool in np.flatnonzero(p.length).tolist():
        span = range(p.start[pool], p.start[pool] + p.length[pool])
        positions = [(pools.market_names[p.market[i]], p.quantity[i], p.entry[i]) for i in span]
        assert [name for name, *_ in positions] == sorted(name for name, *_ in positions)
        (owner,) = pools._ledger.names.names(pools.accounts(np.array([pool])))
        out.append((owner, bool(p.isolated[pool]), positions, p.cash[pool].tobytes()))
    unused = pools_of(p) < 0
    assert (p.quantity[unused] == 0).all()
    markets = sorted(pools.market_names[m] for m in pools.markets_by_name)
    return [sorted(out), pools.assumed, markets]


@given(st.lists(st.lists(EVENTS, min_size=1, max_size=25), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_pools_updated_step_by_step_equal_pools_built_at_once(parts: list[list[Any]]) -> None:
    ledger = machine()
    updated = Pools(ledger)
    begin = 0
    for events in parts:
        ledger.apply_entries(entries(ledger, events, begin))
        begin += len(events)
        after_update = content(updated)
        ledger._touched = None
        assert content(Pools(ledger)) == after_update
        open_rows = np.count_nonzero(ledger.is_open)
        assert sum(len(pool[2]) for pool in after_update[0]) == open_rows


def test_pools_are_built_again_when_accounts_get_new_numbers() -> None:
    ledger = machine()
    pools = Pools(ledger)
    events = [(3, (who, 0), 10**9, 10**8, 0, -1) for who in range(4)]
    ledger.apply_entries(entries(ledger, events))
    before = content(pools)
    ledger.apply_entries(entries(ledger, [(3, (0, 0), -(10**9), 10**8, 0, -1)], 4))
    ledger.forget(2 * 10**18)
    assert content(pools)[0] == [pool for pool in before[0] if pool[0] != "a-0"]
