"""The engine sees the accounts of a simulated venue as that venue itself does."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.cascades.days import NAMES, draw_day
from tests.bench.cascades.engine_view import LOOK_S, EngineView
from tests.bench.cascades.state import FIRST_TRADER, UNITS_PER_USD
from tests.bench.cascades.steps import equity, maintenance


@pytest.mark.parametrize("factor", [-0.03, -0.08, 0.06])
def test_the_same_accounts_are_due_when_all_markets_move(factor: float) -> None:
    day = draw_day(2, shocked=True)
    venue = day.venue
    view = EngineView(venue, day.isolated, NAMES, {"mark_rule": "oracle"})
    for turn in range(1, 3):
        view.read(venue, turn * LOOK_S)
    (row,) = view.stress_test().shock([factor], [1.0], NAMES, [factor]).system.factor
    marks = np.rint(venue.market.mark * (1 + factor)).astype(np.int64)
    accounts = venue.accounts
    due = [
        a for a in range(FIRST_TRADER, len(accounts.cash))
        if accounts.quantity[a].any()
        and equity(a, accounts, marks) < maintenance(a, accounts, marks, venue.rules)
    ]  # fmt: skip
    gross = np.abs(accounts.quantity[due]) @ venue.market.mark
    assert due
    assert row.pools == pytest.approx(len(due), abs=1)
    assert row.forced_notional == pytest.approx(gross.sum() / UNITS_PER_USD, rel=0.01)
