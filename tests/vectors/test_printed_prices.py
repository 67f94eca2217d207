"""The engine's liquidation prices are those that venues print: import, pools and kernels."""

from __future__ import annotations

from itertools import islice

from tests.bench.bench_printed_prices import (
    account_of_83,
    isolated_rows,
    large_accounts,
    reported_accounts,
    score,
)


def test_prices_of_single_accounts_are_those_printed() -> None:
    for dumps in (reported_accounts(), account_of_83(), isolated_rows()):
        one = score(dumps)
        assert one.prints[True] >= 0.99 * one.prints.total() > 0
        assert not one.nulls[False]


def test_prices_of_large_accounts_are_those_printed_with_nothing_told_but_sizes_and_marks() -> None:
    one = score(islice(large_accounts(), 1))
    assert one.prints[True] >= 0.98 * one.prints.total() > 1000
    assert not one.nulls[False]
