"""The liquidation prices that venues print, against the engine's: `python -m
tests.bench.bench_printed_prices`.

Dumps of account states go the way of any dump: `import positions`, the engine, its pools, the
kernels. Nothing is compared but what a position's own record says; each account is priced at the
marks that its own state shows, for the accounts of a snapshot were read some seconds apart.

A print that is alone in its account, and one that gives its position a margin of its own (cause
own_margin), agrees by construction: nothing else checks it.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
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
from monitor.venues.positions.dump import VENUES
from monitor.venues.positions.shown import ShownAccount
from replay.day import Day
from replay.moment import engine_at
from replay.positions.importer import import_positions
from tests.support import recording

LARGE = "hyperliquid-positions-2026-02"
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


def check_accounts(engine: Engine, accounts: list[ShownAccount]) -> Iterator[Check]:
    """Every position of these accounts, priced by the kernels at the marks of its own account."""
    venue, pools = engine.venue, engine.stage.band_maker.pools
    positions, inputs = pools.update(), venue.market_inputs()
    rules = MarketRules.read(pools.market_names, pools.market_symbols, inputs)
    marks = rules.marks(inputs.marks)
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


Dump = tuple[str, list[dict[str, Any]]]
"""A name, and the parts of a dump."""


def large_accounts() -> Iterator[Dump]:
    """The snapshots of February 2026, each as a dump: without equity, mode or older leverages."""
    rows = pq.read_table(recording(LARGE) / "positions.parquet").to_pylist()
    for ts in sorted({row["ts"] for row in rows}):
        accounts: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if row["ts"] == ts:
                accounts.setdefault(row["account"], []).append(_position(row))
        time = round(ts.timestamp() * 1000)
        states = [
            {"user": name, "clearinghouseState": {"time": time, "assetPositions": positions}}
            for name, positions in accounts.items()
        ]
        yield str(ts)[:16], [{"meta": _tables()}, *states]


def reported_accounts() -> Iterator[Dump]:
    """Single states of 2023 to 2026 with their equity, isolated cash and maximum leverages."""
    folder = recording("venue-reported-liquidation-prices")
    for account in json.loads((folder / "hyperliquid-accounts.json").read_text()):
        time = account["time"] if isinstance(account["time"], int) else 1_770_000_000_000
        state = {
            "time": time, "crossMarginSummary": {"accountValue": account["crossAccountValue"]},
            "assetPositions": [_reported(position) for position in account["positions"]],
        }  # fmt: skip
        yield account["name"], [{"meta": _tables()}, {"user": "one", "clearinghouseState": state}]


def account_of_83() -> Iterator[Dump]:
    """One account of January 2026 without its equity."""
    folder = recording("venue-reported-liquidation-prices")
    with (folder / "hyperliquid-one-account-83-positions.csv").open() as file:
        positions = [
            {"position": {
                "coin": row["coin"], "szi": row["size"], "entryPx": row["entry_price"],
                "positionValue": row["position_value"],
                "liquidationPx": row["liquidation_price"] or None,
            }}
            for row in csv.DictReader(file)
        ]  # fmt: skip
    state = {"time": 1_768_000_000_000, "assetPositions": positions}
    yield "account of 83", [{"meta": _tables()}, {"user": "one", "clearinghouseState": state}]


def isolated_rows() -> Iterator[Dump]:
    """Binance's isolated positions of 2021 to 2024, under the brackets of the nearest date."""
    folder = recording("venue-reported-liquidation-prices")
    tiers = pq.read_table(recording("binance-tiers-2022-2024") / "tiers.parquet").to_pylist()
    for row in json.loads((folder / "binance-isolated.json").read_text()):
        symbol = row["symbol"].removesuffix("USDT") + "/USDT"
        mine = [t for t in tiers if t["symbol"] in (symbol, symbol + ":USDT")]
        day = date.fromisoformat(row["date"])
        nearest = min(
            {t["date"] for t in mine}, key=lambda d: abs((date.fromisoformat(d) - day).days)
        )
        brackets = [
            {
                "notionalFloor": t["lower_bound"], "initialLeverage": t["max_leverage"],
                "maintMarginRatio": t["maintenance_rate"],
            }
            for t in mine if t["date"] == nearest
        ]  # fmt: skip
        position = {
            "symbol": row["symbol"], "positionAmt": row["quantity"], "entryPrice": row["entry"],
            "markPrice": row["mark"], "liquidationPrice": row["liquidation_price"],
            "marginType": "isolated", "isolatedWallet": row["isolated_wallet"],
        }  # fmt: skip
        time = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
        rules = [{"symbol": row["symbol"], "brackets": brackets}]
        account = {
            "account": "one", "time": time, "positionRisk": [position], "leverageBracket": rules,
        }  # fmt: skip
        yield f"{row['symbol']} {row['date']} (brackets of {nearest})", [account]


def _tables() -> dict[str, Any]:
    """The venue's meta as of February 2026."""
    tables = json.loads((recording(LARGE) / "tier_tables.json").read_text())
    universe, margin_tables = [], []
    for i, name in enumerate(sorted(tables)):
        rows = tables[name]["table"]
        universe.append({"name": name, "maxLeverage": rows[0][1], "marginTableId": i})
        tiers = [{"lowerBound": low, "maxLeverage": most} for low, most in rows]
        margin_tables.append([i, {"marginTiers": tiers}])
    return {"universe": universe, "marginTables": margin_tables}


def _reported(position: dict[str, Any]) -> dict[str, Any]:
    mode = "cross" if position["rawUsd"] is None else "isolated"
    entry = Decimal(position["positionValue"]) / abs(Decimal(position["szi"]))
    leverage = {"type": mode, "rawUsd": position["rawUsd"]}
    return {"position": {**position, "entryPx": f"{entry:.12g}", "leverage": leverage}}


def _position(row: dict[str, Any]) -> dict[str, Any]:
    printed = row["liquidation_price"]
    return {"position": {
        "coin": row["coin"], "szi": repr(row["signed_size"]), "entryPx": repr(row["entry_price"]),
        "positionValue": repr(row["position_value"]), "leverage": {"value": row["leverage"]},
        # The venue's vaults pay 1 % on everything, which it shows as 50.
        "maxLeverage": 50 if row["hlp_vault"] else None,
        "liquidationPx": None if printed is None or printed != printed else repr(printed),
    }}  # fmt: skip


def states_of(parts: list[dict[str, Any]]) -> list[ShownAccount]:
    """The account states of a dump."""
    texts = [json.loads(json.dumps(part), parse_float=str) for part in parts]
    of_venue = [next(v for v in VENUES.values() if v.is_shown(part)) for part in texts]
    return [
        account
        for venue, part in zip(of_venue, texts, strict=True)
        for account in venue.read(part, b"", "").accounts
    ]


def check_dump(parts: list[dict[str, Any]]) -> tuple[list[Check], Engine]:
    """Every position of a dump, and the engine behind it."""
    engine = replay_dump(parts)
    return list(check_accounts(engine, states_of(parts))), engine


class Score:
    """Sums over dumps. `causes`: prints by what the engine made of them."""

    def __init__(self) -> None:
        self.prints: Counter[bool] = Counter()
        self.nulls: Counter[bool] = Counter()
        self.causes: Counter[str] = Counter()
        self.wrong: list[tuple[str, Check]] = []

    def add(self, name: str, parts: list[dict[str, Any]]) -> None:
        checks, engine = check_dump(parts)
        for check in checks:
            (self.nulls if check.printed is None else self.prints)[check.agrees] += 1
            if not check.agrees:
                self.wrong.append((name, check))
        self.causes.update(engine.stage.printed_prices.verdicts)


def score(dumps: Iterator[Dump]) -> Score:
    out = Score()
    for name, parts in dumps:
        out.add(name, parts)
    return out


def main() -> None:
    for title, dumps in (
        ("large accounts of February 2026: nothing told but sizes, marks and tables",
         large_accounts()),
        ("single accounts of 2023 to 2026", reported_accounts()),
        ("one account of 83 positions, without equity", account_of_83()),
        ("Binance, isolated", isolated_rows()),
    ):  # fmt: skip
        one = score(dumps)
        print(title)
        for what, counts in (("printed", one.prints), ("no price", one.nulls)):
            total = counts.total()
            share = counts[True] / total if total else 1.0
            print(f"  {what}: {counts[True]:,} of {total:,} within .1 bp ({share:.2%})")
        print(f"  causes: {dict(one.causes)}")
        for name, check in one.wrong[:40]:
            print(f"  {name} {check.symbol}: printed {check.printed}, engine {check.engine}")


if __name__ == "__main__":
    main()
