"""The engine's accounts, rebuilt from the records, are those of the clearing house.

The small venue writes its happenings as records, the engine's ledger reads them: equity, positions
and the money of each pool are equal, to the last digit, second by second.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitor.core.accounts.equity_split import split_equity
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_entries import account_entries
from monitor.core.accounts.liquidation_outcomes import pool_of
from monitor.core.contract.events import TOPICS, Collateral, Event, Fill, Leverage
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode import codec
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.regimes import CLEARING
from replay.simulation.clearing.states import StateTrail, equities
from tests.replay.simulation.clearing.small_venue import (
    ACCOUNTS,
    CAUSES,
    LOTS,
    SYMBOLS,
    TICKS,
    SmallVenue,
)

NAMES = [*(f"a-{n}" for n in range(ACCOUNTS)), "vault", "fund"]
FILL_CAUSES = ("trade", "liquidation", "backstop", "adl")


def decimal(value: Fraction) -> str:
    text = f"{float(value):.8f}"
    assert Fraction(text) == value
    return text


def records(venue: SmallVenue) -> dict[str, list[Event]]:
    """What has happened so far as records, as the clearing house's docstring says."""
    moves = []
    for ts, account, symbol, amount, cause in venue.moves:
        if amount:
            move = {
                "ts": ts,
                "account": NAMES[account],
                "amount": decimal(Fraction(amount, MONEY_SCALE)),
                "cause": CAUSES[cause],
                "symbol": None if symbol < 0 else SYMBOLS[symbol],
            }
            moves.append(Collateral.model_validate(move))
    fills = []
    for ts, symbol, maker, taker, lots, price, cause, maker_fee, taker_fee in venue.fills:
        sides = (
            (taker, lots, cause, taker_fee, "taker"),
            (maker, -lots, cause, maker_fee, "maker"),
        )
        for account, signed, why, fee, liquidity in sides:
            forced = liquidity == "taker" or why == c.ADL
            fills.append(
                Fill.model_validate(
                    {
                        "ts": ts, "symbol": SYMBOLS[symbol], "account": NAMES[account],
                        "side": "buy" if signed > 0 else "sell", "liquidity": liquidity,
                        "price": decimal(price * Fraction(TICKS[symbol])),
                        "quantity": decimal(abs(signed) * Fraction(LOTS[symbol])),
                        "fee": decimal(Fraction(fee, MONEY_SCALE)),
                        "cause": FILL_CAUSES[why if forced else c.TRADE],
                    }
                )
            )  # fmt: skip
    return {"collateral": moves, "fill": fills, "leverage": choices(venue)}


def choices(venue: SmallVenue) -> list[Event]:
    """The leverage and mode of every position, as of now, at the time of the first record."""
    rows = venue.ledger.positions[: venue.ledger.totals[c.ROWS]]
    return [
        Leverage.model_validate(
            {
                "ts": 10**18, "symbol": SYMBOLS[row[c.MARKET]], "account": NAMES[row[c.HOLDER]],
                "leverage": str(row[c.LEVERAGE] // SCALE),
                "margin_mode": ("cross", "isolated")[row[c.MODE]],
            }
        )
        for row in rows.tolist()
    ]  # fmt: skip


def rebuild(venue: SmallVenue) -> AccountLedger:
    """The engine's ledger after all records so far."""
    ledger = AccountLedger(1_000, 10_000, 10**18)
    entries = []
    for kind, rows in records(venue).items():
        batch = codec.batch_from_events(kind, TOPICS[kind], 0, np.arange(len(rows)), rows)
        entries.append(account_entries(batch, ledger.names, ledger.symbols))
    together = np.concatenate(entries)
    ledger.apply_entries(together[np.lexsort(together[:, :4].T[::-1])])
    return ledger


@pytest.mark.parametrize("regime", sorted(CLEARING))
@pytest.mark.parametrize("seed", [1, 2])
def test_the_engine_rebuilds_the_accounts_of_the_clearing_house(seed: int, regime: str) -> None:
    venue = SmallVenue(seed, regime)
    for second in range(24):
        venue.step(0.1)
        if second % 8 == 7:
            venue.pay_funding()
            compare(venue, rebuild(venue))
    assert {fill[1 + c.FILL_CAUSE] for fill in venue.fills} > {c.TRADE}


def compare(venue: SmallVenue, ledger: AccountLedger) -> None:
    prices = [int(m) * Fraction(t) for m, t in zip(venue.marks, TICKS, strict=True)]
    marks = dict(zip(SYMBOLS, prices, strict=True))
    names = ledger.names.names(np.arange(len(ledger.names)))
    owner, symbol = ledger.row_owners()
    symbols = ledger.symbols.names(np.arange(len(ledger.symbols)))
    own = equities(venue.ledger, venue.marks)
    pools = venue.ledger.pools[:, c.CASH]
    for number, name in enumerate(names):
        account = NAMES.index(name)
        assert split_equity(ledger, number, marks).total * MONEY_SCALE == own[account]
        rows = {
            int(symbol[row]): ledger.position_values(row)
            for row in np.flatnonzero(owner == number).tolist()
        }
        for market, values in rows.items():
            place = SYMBOLS.index(symbols[market])
            quantity = Fraction(values["quantity"], SCALE)
            assert quantity == venue.lots(account, place) * Fraction(LOTS[place])
            if quantity:
                row = venue.row(account, place)
                isolated = venue.ledger.positions[row, c.MODE] == c.ISOLATED
                pool = pool_of(ledger.account_values(number), rows, market)
                assert pool.cash == pools[ACCOUNTS + 2 + row if isolated else account]


def test_the_trail_has_the_equity_of_all_and_the_lots_of_open_positions(tmp_path: Path) -> None:
    venue = SmallVenue(3, "hyperliquid")
    trail = StateTrail(tmp_path / "states.parquet")
    expected = []
    for _ in range(3):
        venue.step()
        fills, moves = len(venue.fills), len(venue.moves)
        trail.write(venue.now, venue.ledger, venue.marks, fills, moves)
        own = equities(venue.ledger, venue.marks).tolist()
        at = (venue.now, fills, moves)
        expected += [(*at, account, -1, value) for account, value in enumerate(own)]
        for row in range(int(venue.ledger.totals[c.ROWS])):
            position = venue.ledger.positions[row]
            if position[c.LOTS]:
                holder, symbol, lots = position[[c.HOLDER, c.MARKET, c.LOTS]].tolist()
                expected.append((*at, holder, symbol, lots))
    trail.close()
    table = pq.read_table(tmp_path / "states.parquet").to_pydict()
    assert list(zip(*table.values(), strict=True)) == expected
