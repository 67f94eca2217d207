"""Where equity came from, worked out by hand."""

from __future__ import annotations

from fractions import Fraction

from monitor.core.accounts.equity_split import EquitySplit, split_equity
from tests.core.accounts.test_ledger import E6, E8, FILL, MOVE, entries, machine

F = Fraction


def test_an_account_with_two_positions_is_split_to_the_last_unit() -> None:
    ledger = machine()
    ledger.apply_entries(entries(ledger, [
        (MOVE, (0, 2), 5_000 * E6, 0, 0, 0),              # deposit
        (FILL, (0, 0), 2 * E8, 60_000 * E8, 12 * E6, -1),    # 2 BTC, 12 of fee
        (FILL, (0, 0), -E8 // 2, 61_000 * E8, 3 * E6, -1),   # half a BTC sold: 500 realised
        (FILL, (0, 1), -10 * E8, 3_000 * E8, 1, -1),         # short 10 ETH
        (MOVE, (0, 0), -1_234_567, 4, 0, 0),                 # funding paid on BTC
        (MOVE, (0, 2), 250_000, 5, 0, 0),                 # a rebate
        (MOVE, (0, 2), -100 * E6, 1, 0, 0),               # withdrawal
    ]))  # fmt: skip
    split = split_equity(ledger, 0, {"BTC": F(60_200), "ETH": F(3_010)})
    assert split == EquitySplit(
        realised=F(500),
        unrealised=F("1.5") * 200 - 10 * 10,
        funding=F("-1.234567"),
        fees=F("15.000001") - F("0.25"),
        transfers=F(4_900),
    )
    assert split.price == 700
    assert split.total == F("700") - F("1.234567") - F("14.750001") + 4_900
