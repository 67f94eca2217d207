"""A simulated day through the engine: its accounts are those of the venue's own books."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitor.core.accounts.equity_split import split_equity
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_entries import account_entries
from monitor.core.contract import stepped
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch
from monitor.core.decode.codec import decode_positions
from monitor.core.settings import EngineSettings
from replay.day import Day
from replay.run import replay
from replay.simulation.market import FUND, VAULT, make_markets
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import START_TS, simulate

MINUTES, MARKETS, ACCOUNTS = 6, 2, 300
SHOCK_PER_CENT = -8.0
"""Deep enough that some of the leveraged longs fall below maintenance."""
NAMES = [*(f"a-{n}" for n in range(ACCOUNTS)), VAULT, FUND]


class SimulatedFiles(NamedTuple):
    """The day, and what the venue says that every account had after each minute."""

    day: Path
    states: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimulatedFiles:
    folder = tmp_path_factory.mktemp("simulated")
    out = SimulatedFiles(folder / "day", folder / "states.parquet")
    shock = {
        "id": "shock", "kind": "price_shock", "symbol": "BTC-PERP", "symbols": ["ETH-PERP"],
        "start_ts": START_TS + 120 * SECOND_NS, "end_ts": START_TS + 240 * SECOND_NS,
        "size": SHOCK_PER_CENT,
    }  # fmt: skip
    (folder / "shock.json").write_text(json.dumps([shock]))
    settings = SimulationSettings(
        minutes=MINUTES,
        symbols=MARKETS,
        accounts=ACCOUNTS,
        rate=60.0,
        incidents=str(folder / "shock.json"),
    )
    simulate(out.day, settings, states=out.states)
    return out


def rebuild(batches: list[Batch], counts: dict[str, int]) -> AccountLedger:
    """The engine's ledger after so many records of a kind; of all others after all of them."""
    ledger = AccountLedger(10_000, 100_000, 10**18)
    entries = []
    for batch in batches:
        if batch.kind == "reference":
            batch = decode_positions(batch)[0]
        elif batch.kind in counts:
            batch = batch.select_rows(np.flatnonzero(batch.offset < counts[batch.kind]))
        if len(batch):
            entries.append(account_entries(batch, ledger.names, ledger.symbols))
    rows = np.concatenate(entries)
    ledger.apply_entries(rows[np.lexsort(rows[:, :4].T[::-1])])
    return ledger


def last_marks(batches: list[Batch], ts: int) -> dict[str, Fraction]:
    """The last mark of each market before `ts`."""
    marks: dict[str, tuple[int, Fraction]] = {}
    for batch in batches:
        rows = zip(batch.numbers["ts"].tolist(), batch.texts["symbol"].to_strings(),
                   batch.numbers["mark"].tolist(), strict=True)  # fmt: skip
        for at, symbol, mark in rows:
            if at < ts and at >= marks.get(str(symbol), (0, None))[0]:
                marks[str(symbol)] = at, stepped.exact(mark)
    return {symbol: mark for symbol, (_, mark) in marks.items()}


def test_the_engines_accounts_equal_the_venues_own_after_every_minute(
    files: SimulatedFiles,
) -> None:
    by_kind: dict[str, list[Batch]] = {}
    for batch in Day(files.day).batches():
        by_kind.setdefault(batch.kind, []).append(batch)
    kinds = ("reference", "fill", "collateral", "leverage")
    records = [batch for kind in kinds for batch in by_kind.get(kind, [])]
    rows = np.column_stack([column.to_numpy() for column in pq.read_table(files.states).columns])
    markets = make_markets(np.random.default_rng(0), MARKETS)
    times = np.unique(rows[:, 0]).tolist()
    assert len(times) == MINUTES
    for ts in times:
        state = rows[rows[:, 0] == ts]
        _, fills, moves, _, _, _ = state[0].tolist()
        ledger = rebuild(records, {"fill": fills, "collateral": moves})
        expected = {
            (NAMES[account], markets.names[market], lots * int(markets.lot[market]))
            for _, _, _, account, market, lots in state.tolist()
            if market >= 0
        }
        assert open_positions(ledger) == expected
        equity = state[state[:, 4] < 0, 5].tolist()
        marks = last_marks(by_kind["mark"], ts)
        for number, name in enumerate(ledger.names.names(np.arange(len(ledger.names)))):
            rebuilt = split_equity(ledger, number, marks).total * MONEY_SCALE
            assert rebuilt == equity[NAMES.index(name)], (ts, name)


def open_positions(ledger: AccountLedger) -> set[tuple[str, str, int]]:
    """Account, market and quantity (1e-8) of each."""
    names = ledger.names.names(np.arange(len(ledger.names)))
    symbols = ledger.symbols.names(np.arange(len(ledger.symbols)))
    owner, symbol = ledger.row_owners()
    return {
        (names[owner[row]], symbols[symbol[row]], ledger.position_values(row)["quantity"])
        for row in np.flatnonzero(ledger.is_open).tolist()
    }


def test_liquidations_happen_where_the_engine_had_said(files: SimulatedFiles) -> None:
    """The mark at the first forced fill of an account lies within 25 bps of the price at which the
    engine had said that it falls below maintenance, by formulas that the venue does not have: a
    second of the shock moves the mark by 7 bps, and the venue looks once a second."""
    outcomes = replay(Day(files.day), EngineSettings(streams=()), []).outcomes
    verdicts: Counter[str] = Counter()
    for counts in outcomes["liquidation"].values():
        verdicts.update(counts)
    assert verdicts["within_10_bps"] + verdicts["within_25_bps"] >= 3
    assert set(verdicts) <= {"within_10_bps", "within_25_bps", "continued"}
