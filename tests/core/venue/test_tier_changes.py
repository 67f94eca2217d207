"""Tier tables that change during a day count from the second of their record."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pyarrow.parquet as pq
import pytest

from monitor.core.bands.layout import BIN_WIDTH
from monitor.core.margin.liquidation_price import Position, prices
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers
from tests.core.bands.position_arrays import forced_zones
from tests.core.venue.test_state import SECOND, START, deposit, mark, run
from tests.support import recording

F = Fraction
Rows = list[dict[str, Any]]
CHANGE_S = 5


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[str, Rows]]:
    """Every table by date and symbol, as a reference record has it. Of a date that has two files
    the later rows count."""
    path = recording("binance-tiers-2022-2024") / "tiers.parquet"
    out: dict[str, dict[str, Rows]] = {}
    for row in pq.read_table(path).to_pylist():
        tier = {"lower_bound": row["lower_bound"], "maintenance_rate": row["maintenance_rate"]}
        day = out.setdefault(row["date"], {})
        if row["tier"] == 0:
            day[row["symbol"]] = []
        day[row["symbol"]].append(tier)
    return out


def reference(symbol: str, tiers: Rows, at: float) -> dict[str, Any]:
    return {"kind": "reference", "about": "market", "symbol": symbol, "regime": "binance",
            "tiers": tiers, "at": at}  # fmt: skip


def exact(tiers: Rows) -> Tiers:
    return Tiers.from_rows(
        (F(str(t["lower_bound"])), F(str(t["maintenance_rate"])), None) for t in tiers
    )


def test_every_table_of_every_date_is_accepted(tables: dict[str, dict[str, Rows]]) -> None:
    every = {(s, str(t)): t for day in tables.values() for s, t in day.items()}
    distinct = {text: tiers for (_, text), tiers in every.items()}
    assert len(tables) >= 55
    assert len({symbol for symbol, _ in every}) >= 640
    symbols = [f"M{i}" for i in range(len(distinct))]
    records = [reference(s, t, 0) for s, t in zip(symbols, distinct.values(), strict=True)]
    engine, _ = run(records, end_s=2)
    assert engine.venue.unread == {"reference": 0, "tiers": 0}
    assert len(engine.venue.market_rules) == len(distinct)
    for symbol, tiers in zip(symbols, distinct.values(), strict=True):
        assert engine.venue.market_rules[symbol][1] == exact(tiers)


def test_prices_are_those_of_the_old_table_and_then_of_the_new_one(
    tables: dict[str, dict[str, Rows]],
) -> None:
    days = sorted(tables)
    # The same market has a longer name in later files.
    first, last = (
        {symbol.partition(":")[0]: tiers for symbol, tiers in tables[day].items()}
        for day in (days[0], days[-1])
    )
    changed = [s for s in sorted(first) if s in last and first[s] != last[s]][::8]
    assert len(changed) > 8
    records, positions = [], {}
    for number, symbol in enumerate(changed):
        price = 100 + number
        # The position crosses tiers on its way: larger than the first bound of either table.
        bound = max(t[1]["lower_bound"] for t in (first[symbol], last[symbol]) if len(t) > 1)
        quantity = round(1.5 * bound / price, 3)
        account, margin = f"a{number}", round(0.2 * quantity * price, 2)
        records += [
            reference(symbol, first[symbol], 0), reference(symbol, last[symbol], CHANGE_S),
            *(mark(price, symbol) | {"at": at} for at in range(2 * CHANGE_S)),
            deposit(account, margin),
            {"kind": "fill", "symbol": symbol, "account": account, "side": "buy", "price": price,
             "quantity": quantity},
        ]  # fmt: skip
        positions[symbol] = (
            Position(symbol, F(str(quantity)), F(price), exact(first[symbol])),
            F(str(margin)),
        )
    _, bands = run(records)
    seen = set()
    for band in bands:
        second = (band.ts - START) // SECOND
        table = first if second <= CHANGE_S else last
        for market in band.markets:
            one, equity = positions[market.symbol]
            one = Position(one.symbol, one.quantity, one.price, exact(table[market.symbol]))
            solved = prices(REGIMES["binance"], one, equity, F(0)).liquidation.price
            ((zone, _),) = forced_zones(market)[0].items()
            assert solved is not None
            assert zone == int(float(1 - solved / one.price) / BIN_WIDTH)
            seen.add((second <= CHANGE_S, market.symbol, zone))
    moved = {s for _, s, _ in seen if len({z for _, name, z in seen if name == s}) == 2}
    assert len(moved) > len(changed) // 2
