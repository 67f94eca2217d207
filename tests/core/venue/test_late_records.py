"""Late records of accounts count from the cell that their topic partition had come to."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.core.accounts.ledger import CAUSES
from monitor.core.decode.batch import Batch
from monitor.core.event_time.repeats import MET
from monitor.core.venue.state import VenueState
from tests.core.accounts.test_liquidation_outcomes import (
    BASE,
    SECOND,
    START,
    Record,
    advanced,
    batches,
    fill,
    forced,
    rules,
    venue,
)

CELL_S = 1


def late(record: Record, at: float, met: float) -> Batch:
    """A record of `at` that met the watermark `met`, seconds after START."""
    (batch,) = batches([{**record, "at": at}])
    batch.offset = batch.offset + 1000 + int(100 * at)
    batch.numbers[MET] = np.array([START + round(met * SECOND)])
    return batch


def of(*records: Record) -> VenueState:
    machine = venue(CELL_S)
    for batch in batches(list(records)):
        machine.add_batch(batch)
    return machine


def quantity(machine: VenueState) -> int:
    return int(machine.ledger.position_rows[0, 0])


def test_a_late_fill_counts_from_the_cell_of_the_watermark_that_it_met() -> None:
    seen = []
    for given_at in (0, 3, 7):  # when it is read, in cells that have passed
        machine = of(*BASE, *({**fill("b", 1), "at": second} for second in range(1, 12)))
        shown: list[tuple[float, int]] = []
        for second in range(12):
            if second == given_at:
                machine.add_batch(late(fill("a", 5), 2.5, 7.2))
            now = START + second * SECOND
            shown += [((end - START) / SECOND, quantity(machine)) for end in machine.advance(now)]
        seen.append(shown)
    assert seen[0] == seen[1] == seen[2]
    assert [q for end, q in seen[0] if end <= 7] == [10] * 7
    assert [q for end, q in seen[0] if end > 7] == [15] * 4


def test_a_late_record_whose_cell_is_open_takes_its_place_in_it() -> None:
    machine = of(*BASE)
    machine.add_batch(late(fill("a", 5), 2.5, 2.9))
    advanced(machine, 10)
    assert (quantity(machine), machine.ledger.late["in_order"]) == (15, 0)
    assert len(machine.changes[0][0]) == 1  # its streams see it


def test_streams_do_not_see_late_entries() -> None:
    machine = of(*BASE, {**fill("b", 1), "at": 7.5})
    machine.add_batch(late(fill("a", 5), 2.5, 7.2))
    advanced(machine, 10)
    assert [len(entries) for entries, _ in machine.changes] == [1]


def test_late_rules_and_funds_do_not_replace_later_ones() -> None:
    fund = {"kind": "reference", "about": "insurance_fund", "amount": 7, "at": 3}
    old_fund = {"kind": "reference", "about": "insurance_fund", "amount": 5}
    machine = of(*BASE, {**rules(regime="generic"), "at": 3}, fund)
    for record in (rules(), {**rules(), "symbol": "ETH"}, old_fund):
        machine.add_batch(late(record, 1, 6))
    advanced(machine, 10)
    assert machine.funds == {"": 7 * 10**6}
    assert machine.market_rules["SOL"][0].name == "generic"
    assert machine.market_rules["ETH"][0].name == "hyperliquid"
    again = venue(CELL_S)
    again.restore(machine.snapshot())
    assert again.digest() == machine.digest()


def verdicts(machine: VenueState) -> Any:
    return machine.outcomes.counts_by_name().get("liquidation", {})


def test_a_late_forced_fill_is_counted_and_not_compared() -> None:
    machine = of(*BASE, {**fill("b", 1), "at": 7.5})
    machine.add_batch(late(forced("a", -10), 3, 7.2))
    assert advanced(machine, 20) == []
    assert verdicts(machine) == {"cross": {"late": 1}}
    assert quantity(machine) == 0
    assert machine.ledger.fills_by_cause[CAUSES.index("liquidation"), 0] == 1


def test_a_forced_fill_after_a_late_one_continues_its_liquidation() -> None:
    machine = of(*BASE, forced("a", -4, 9))
    machine.add_batch(late(forced("a", -2), 3, 7.2))
    advanced(machine, 20)
    assert verdicts(machine) == {"cross": {"late": 1, "continued": 1}}


def test_accounts_that_are_forgotten_take_late_entries_that_wait_with_them() -> None:
    names = [fill(f"x-{i}", 1, at=1) for i in range(30)]
    machine = of(*BASE, *names)
    machine.ledger._limits = 5, 1000
    machine.add_batch(late(fill("late", 3), 0.5, 8))
    advanced(machine, 5)
    advanced(machine, 20)
    number = int(machine.ledger.names.intern(batches([fill("late", 1)])[0].texts["account"])[0])
    owner, _ = machine.ledger.row_owners()
    (row,) = np.flatnonzero(owner == number).tolist()
    assert machine.ledger.position_values(row)["quantity"] == 3 * 10**8
