"""One grid for all prices: a token at 4e-7 with a tick of 1e-10 had no book, no mark and no bands.

Public reports of tokens with eight and more zeros, whose levels fell together on a grid of 1e-8,
whose open interest is over 1e12 and whose single trades are over 1e11 tokens. Read in 2026-11.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cases.front_door import START_NS, Replayed, replay_records

TICK_POWERS = (-10, -6, -2)


def _day(power: int) -> list[dict[str, Any]]:
    """A market with prices of 4244 ticks of 10^power; the notional is the same at every power."""

    def price(ticks: int) -> str:
        return f"{Decimal(ticks).scaleb(power):f}"

    def size(thousands: int) -> str:
        return f"{Decimal(thousands).scaleb(-power - 4):f}"

    def at(ms: int, kind: str, **fields: Any) -> dict[str, Any]:
        return {"kind": kind, "ts": START_NS + ms * 10**6, "symbol": "NANO-PERP", **fields}

    levels = {
        "bids": [[price(4243 - i), size(2500)] for i in range(5)],
        "asks": [[price(4245 + i), size(2500)] for i in range(5)],
    }
    tiers = [{"lower_bound": "0", "maintenance_rate": "0.05"}]
    rules = {"about": "market", "regime": "generic", "tiers": tiers}
    records = [at(0, "reference", **rules), at(1, "book", **levels)]
    records.append(
        at(2, "mark", mark=price(4244), index=price(4244), open_interest=size(1_500_000))
    )
    for i, (account, side) in enumerate((("a", "buy"), ("b", "sell"))):
        records.append({"kind": "collateral", "ts": START_NS + (3 + i) * 10**6, "account": account,
                        "amount": "6000", "cause": "deposit"})  # fmt: skip
        records.append(at(5 + i, "fill", account=account, side=side, price=price(4244),
                          quantity=size(120_000), liquidity="taker"))  # fmt: skip
    records.append(at(20_000, "book", **levels))
    return sorted(records, key=lambda record: record["ts"])


def _of_market(day: Replayed) -> dict[str, Any]:
    bands = [record for record in day.bands if record.get("symbol") == "NANO-PERP"]
    assert bands
    return bands[-1]


@pytest.mark.parametrize("power", TICK_POWERS)
def test_a_market_at_any_price_has_its_book_its_mark_and_its_bands(
    power: int, tmp_path: Path
) -> None:
    day = replay_records(tmp_path, _day(power))
    assert day.report["refused"] == 0
    market = _of_market(day)
    assert float(market["mark"]) == pytest.approx(4244 * 10.0**power, rel=1e-12)


def test_a_number_beyond_the_range_costs_itself_and_not_its_record(tmp_path: Path) -> None:
    records = _day(-10)
    for record in records:
        if record["kind"] == "mark":
            record |= {"open_interest": "1e20", "last": "0"}
    day = replay_records(tmp_path, records)
    assert day.report["refused"] == 0
    assert _of_market(day)["mark"]


def test_levels_that_fall_together_are_added_up(tmp_path: Path) -> None:
    tiny = [[f"0.0000000000000000{i}", "10"] for i in range(55, 50, -1)]
    book = {"kind": "book", "ts": START_NS, "symbol": "ATTO-PERP", "bids": tiny, "asks": []}
    day = replay_records(tmp_path, [book])
    assert (day.report["refused"], day.report["events"]) == (0, {"book": 1})
