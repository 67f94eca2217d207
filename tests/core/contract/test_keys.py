"""A key's partition is the same in every run and topic."""

from __future__ import annotations

from monitor.core.contract.events import TOPICS
from monitor.core.contract.keys import key_column, partition_of


def test_a_key_keeps_its_partition() -> None:
    # The CRC-32 of the check string of all CRCs is published: 0xCBF43926.
    assert partition_of("123456789", 1_000) == 0xCBF43926 % 1_000
    assert {partition_of(f"S{n}", 4) for n in range(50)} == {0, 1, 2, 3}


def test_collateral_is_of_an_account_and_all_else_of_a_symbol() -> None:
    assert {kind for kind in TOPICS if key_column(kind) == "account"} == {"collateral"}
