"""Integer arithmetic of distances: cancels 2 and 4 bps from the best count as near at any price.

Public reports of rules in basis points that work for dear markets and do nothing for cheap ones,
because price // 10,000 is 0 there. Read in 2026-11.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.core.test_shard import at, cancel, closed, values


def _price(ticks: int, power: int) -> str:
    return f"{Decimal(ticks).scaleb(power):f}"


@pytest.mark.parametrize("power", [-16, -9, -8, -4, -3, 0, 4])
def test_two_of_four_cancels_are_near_at_any_price(power: int) -> None:
    """Best bid 4999 and ask 5001 ticks; a tick is 2 bps."""
    levels: dict[str, Any] = {
        "bids": [[_price(4999 - i, power), "1000"] for i in range(10)],
        "asks": [[_price(5001 + i, power), "1000"] for i in range(10)],
    }
    records = [{"kind": "book", "symbol": "X", "ts": at(0.5), **levels}]
    for side, sign, best in (("buy", -1, 4999), ("sell", 1, 5001)):
        records += [
            cancel(1.2, side=side, price=_price(best + sign * away, power), quantity="0.001")
            for away in (1, 2, 3, 4)
        ]
    got = values(closed(records, 2), 1)
    assert (got["cancels_near"], got["cancels_near_share"]) == (4, 0.5)
    assert got["spread_bps"] == pytest.approx(4)
