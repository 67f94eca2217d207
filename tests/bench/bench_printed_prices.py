"""The liquidation prices that venues print, against the engine's: `python -m
tests.bench.bench_printed_prices`.

Dumps of account states go the way of any dump: `import positions`, the engine, its pools, the
kernels. Nothing is compared but what a position's own record says; each account is priced at the
marks that its own state shows, for the accounts of a snapshot were read some seconds apart.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from detectors.arrays.types import Float64
from monitor.core.bands.inputs import BookImpact, MarketRules
from monitor.core.bands.kernels.arrays import PRICE_LIQUIDATION, STRESS
from monitor.core.bands.kernels.position_prices import price_positions
from monitor.core.decode.batch import TextColumn
from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from monitor.venues.positions import hyperliquid
from monitor.venues.positions.states import AccountState
from replay.day import Day
from replay.positions.importer import import_positions
from replay.stress_day import engine_at
from tests.support import recording

AGREES = 1e-5
"""A tenth of a basis point of the price."""


class Check(NamedTuple):
    """One position. `engine`, `printed`: None: there is no such price."""

    account: str
    symbol: str
    is_isolated: bool
    printed: float | None
    engine: float | None

    @property
    def agrees(self) -> bool:
        if self.printed is None or self.engine is None:
            return self.printed is self.engine
        return abs(self.engine / self.printed - 1) <= AGREES


def replay_dump(parts: list[dict[str, Any]]) -> Engine:
    """The engine behind a dump."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dump.json"
        path.write_text(json.dumps(parts))
        import_positions([path], Path(folder) / "day")
        return engine_at(Day(Path(folder) / "day"), EngineSettings(), None, lambda _: None)


def check_accounts(engine: Engine, accounts: list[AccountState]) -> Iterator[Check]:
    """Every position of these accounts, priced by the kernels at the marks of its own account."""
    venue, pools = engine.venue, engine.stage.band_maker.pools
    positions, inputs = pools.update(), venue.market_inputs()
    rules = MarketRules.read(pools.market_names, pools.market_symbols, inputs)
    marks = rules.marks(inputs.marks)
    places = {name: k for k, name in enumerate(pools.market_names)}
    slip = np.ravel(BookImpact.from_books(marks, rules.symbols, inputs.books * 0).slip)
    owner = pools.accounts(np.arange(len(positions.cash)))
    numbers = venue.ledger.names.intern(TextColumn.from_strings([a.account for a in accounts]))
    for account, number in zip(accounts, numbers.tolist(), strict=True):
        shown = {p.symbol: p for p in account.positions}
        at = marks.copy()
        for k, market in enumerate(rules.arrays.market.tolist()):
            if (one := shown.get(pools.market_names[market])) is not None:
                at[k] = float(one.mark)
        mine = np.flatnonzero((owner == number) & (positions.length > 0))
        of_mine = {name: getattr(positions, name)[mine] for name in positions._fields[:5]}
        prices: Float64 = np.full((STRESS, len(positions.quantity)), np.nan)
        price_positions(positions._replace(**of_mine), rules.arrays.at_marks(at), slip, prices)
        for pool in mine.tolist():
            first = int(positions.start[pool])
            for slot in range(first, first + int(positions.length[pool])):
                name = pools.market_names[int(positions.market[slot])]
                price, one = float(prices[PRICE_LIQUIDATION, slot]), shown[name]
                there = 0.0 < price < np.inf
                yield Check(
                    account.account, name, bool(positions.isolated[pool]),
                    None if one.printed is None else float(one.printed), price if there else None,
                )  # fmt: skip
    assert places


def large_accounts() -> Iterator[list[dict[str, Any]]]:
    """The snapshots of February 2026, each as a dump: without equity, mode or older leverages."""
    folder = recording("hyperliquid-positions-2026-02")
    tables = json.loads((folder / "tier_tables.json").read_text())
    names = sorted(tables)
    meta = {
        "universe": [
            {"name": name, "maxLeverage": tables[name]["table"][0][1], "marginTableId": i}
            for i, name in enumerate(names)
        ],
        "marginTables": [
            [i, {"marginTiers": [
                {"lowerBound": low, "maxLeverage": most} for low, most in tables[name]["table"]
            ]}]
            for i, name in enumerate(names)
        ],
    }  # fmt: skip
    rows = pq.read_table(folder / "positions.parquet").to_pylist()
    for ts in sorted({row["ts"] for row in rows}):
        accounts: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if row["ts"] == ts:
                accounts.setdefault(row["account"], []).append(_position(row))
        time = round(ts.timestamp() * 1000)
        yield [{"meta": meta}] + [
            {"user": name, "clearinghouseState": {"time": time, "assetPositions": positions}}
            for name, positions in accounts.items()
        ]


def _position(row: dict[str, Any]) -> dict[str, Any]:
    printed = row["liquidation_price"]
    return {"position": {
        "coin": row["coin"], "szi": repr(row["signed_size"]), "entryPx": repr(row["entry_price"]),
        "positionValue": repr(row["position_value"]), "leverage": {"value": row["leverage"]},
        # The venue's vaults pay 1 % on everything, which it shows as 50.
        "maxLeverage": 50 if row["hlp_vault"] else None,
        "liquidationPx": None if printed is None or printed != printed else repr(printed),
    }}  # fmt: skip


def states_of(parts: list[dict[str, Any]]) -> list[AccountState]:
    """The account states of a dump."""
    texts = (json.loads(json.dumps(part), parse_float=str) for part in parts)
    return [a for part in texts for a in hyperliquid.read(part, b"", "").accounts]


def check_dump(parts: list[dict[str, Any]]) -> tuple[list[Check], Engine]:
    engine = replay_dump(parts)
    return list(check_accounts(engine, states_of(parts))), engine


def main() -> None:
    total: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for parts in large_accounts():
        checks, engine = check_dump(parts)
        prints = [c for c in checks if c.printed is not None]
        by_account = Counter(c.account for c in prints)
        nulls = [c for c in checks if c.printed is None and by_account[c.account]]
        total["prints"] += len(prints)
        total["agree"] += sum(c.agrees for c in prints)
        others = [c for c in prints if by_account[c.account] > 1]
        total["prints of accounts with several"] += len(others)
        total["agree of these"] += sum(c.agrees for c in others)
        total["nulls"] += len(nulls)
        total["nulls that agree"] += sum(c.agrees for c in nulls)
        total["nulls of accounts without a print"] += len(checks) - len(prints) - len(nulls)
        wrong.update(c.symbol for c in prints if not c.agrees)
        verdicts.update(engine.stage.printed_prices.verdicts)
        print(dict(total), dict(verdicts), file=sys.stderr)
    print(dict(total), dict(verdicts), wrong.most_common(20))


if __name__ == "__main__":
    main()
