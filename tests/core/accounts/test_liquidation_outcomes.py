"""Forced fills beside their predictions: exact errors, or a reason why there is none."""

from __future__ import annotations

import json
from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.accounts.liquidation_outcomes import EDGES_BPS, VERDICTS, Outcome, pool_of
from monitor.core.bands.pools import Pools
from monitor.core.contract.events import TOPICS
from monitor.core.decode.codec import decode
from monitor.core.settings import AccountSettings, EngineSettings
from monitor.core.venue.state import VenueState

SECOND = 10**9
START = 1_764_000_000 * SECOND
Record = dict[str, Any]


def rules(symbol: str = "SOL", regime: str = "hyperliquid") -> Record:
    tiers = [{"lower_bound": 0, "maintenance_rate": "0.05"}]
    return {"kind": "reference", "about": "market", "symbol": symbol, "regime": regime,
            "tiers": tiers}  # fmt: skip


def deposit(account: str, amount: object, cause: str = "deposit", **more: object) -> Record:
    return {"kind": "collateral", "account": account, "amount": amount, "cause": cause, **more}


def fill(account: str, signed: float, price: object = 100, **more: object) -> Record:
    side = "buy" if signed > 0 else "sell"
    return {"kind": "fill", "symbol": "SOL", "account": account, "side": side, "price": price,
            "quantity": str(abs(signed)), **more}  # fmt: skip


def forced(account: str, signed: float, at: float = 5, cause: str = "liquidation",
           **more: object) -> Record:  # fmt: skip
    return fill(account, signed, 90, cause=cause, at=at, **more)


def mark(price: object, at: float = 0, symbol: str = "SOL") -> Record:
    return {"kind": "mark", "symbol": symbol, "mark": price, "at": at}


def batches(records: list[Record]) -> list[Any]:
    """Each record at START, or `at` seconds later, as a batch of its own, at its offset."""
    by_kind: dict[str, list[bytes]] = defaultdict(list)
    for record in sorted(records, key=lambda r: r.get("at", 0)):
        full = {**record, "ts": START + round(float(record.get("at", 0)) * SECOND)}
        by_kind[record["kind"]].append(json.dumps(full).encode())
    result = []
    for kind, raws in by_kind.items():
        for offset, raw in enumerate(raws):
            batch = decode(kind, TOPICS[kind], 0, np.array([offset]), [raw])
            assert not batch.refused, batch.refused
            result.append(batch)
    return result


def venue(cell_s: float = 60) -> VenueState:
    return VenueState(EngineSettings(streams=(), accounts=AccountSettings(bands_every_s=cell_s)))


def advanced(machine: VenueState, seconds: float) -> list[Outcome]:
    until = START + round(seconds * SECOND)
    return [outcome for _ in machine.advance(until) for outcome in machine.outcomes.last]


def run(*records: Record) -> list[Outcome]:
    machine = venue()
    for batch in batches(list(records)):
        machine.add_batch(batch)
    return advanced(machine, 10_000)


BASE = (rules(), mark(100), deposit("a", 110), fill("a", 10))


def test_a_cross_long_is_compared_at_the_mark_of_its_time() -> None:
    (outcome,) = run(*BASE, mark("93.5", 4), forced("a", -10), mark(80, 6))
    # 110 + 10 (x − 100) = 0.05 · 10 x  →  x = 890 / 9.5
    price = 890 / 9.5
    assert outcome.predicted is not None
    assert float(outcome.predicted) == pytest.approx(price, rel=1e-15)
    assert outcome.actual == Fraction("93.5")
    assert outcome.error_bps == pytest.approx((price / 93.5 - 1) * 1e4)
    assert (outcome.cause, outcome.mode, outcome.verdict) == (
        "liquidation",
        "cross",
        "within_25_bps",
    )


def test_a_short_forced_later_than_predicted_was_predicted_too_early() -> None:
    short = (rules(), mark(100), deposit("a", 110), fill("a", -10))
    # 110 + 10 (100 − x) = 0.05 · 10 x  →  x = 1110 / 10.5
    for price, early in ((106, True), (105, False)):
        (outcome,) = run(*short, mark(price, 4), forced("a", 10))
        assert outcome.error_bps == pytest.approx((1 - 1110 / 10.5 / price) * 1e4)
        assert (outcome.error_bps > 0) == early


def test_records_before_a_fill_in_the_same_minute_count_and_those_after_it_do_not() -> None:
    records = [*BASE, mark("93.5", 4), forced("a", -10)]
    (plain,) = run(*records)
    (more,) = run(*records, deposit("a", 50, at=4.5))
    (same,) = run(*records, deposit("a", 50, at=5.5))
    assert plain == same
    assert more.predicted is not None
    assert plain.predicted is not None
    assert more.predicted < plain.predicted


def test_an_isolated_position_is_priced_by_its_margin_or_its_leverage() -> None:
    isolated = {"kind": "leverage", "symbol": "SOL", "account": "a", "leverage": 10,
                "margin_mode": "isolated"}  # fmt: skip
    records = [*BASE, isolated, mark("94.5", 4), forced("a", -10)]
    margin = deposit("a", 100, "isolated_in", symbol="SOL")
    by_leverage, by_margin = run(*records), run(*records, margin)
    assert by_leverage == by_margin
    assert by_margin[0].mode == "isolated"
    # 100 + 10 (x − 100) = 0.05 · 10 x
    assert by_margin[0].error_bps == pytest.approx((900 / 9.5 / 94.5 - 1) * 1e4)


def test_a_backstop_and_a_bankruptcy_have_their_own_prices() -> None:
    records = [*BASE, mark(92, 4)]
    (backstop,) = run(*records, forced("a", -10, cause="backstop"))
    (bankrupt,) = run(*records, mark(85, 4.5), forced("a", -10, cause="adl"))
    assert backstop.error_bps == pytest.approx((890 / (10 - 1 / 3) / 92 - 1) * 1e4)
    assert bankrupt.error_bps == pytest.approx((89 / 85 - 1) * 1e4)


REASONS = {
    "no_position": [rules(), mark(100), deposit("a", 110), fill("a", -10), forced("a", -10)],
    "no_margin": [
        *BASE,
        {"kind": "reference", "about": "position", "symbol": "SOL", "account": "a",
         "quantity": 1, "entry_price": 100, "margin_mode": "isolated"},
        forced("a", -10),
    ],
    "no_collateral": [rules(), mark(100), fill("a", 10), forced("a", -10)],
    "no_rules": [mark(100), deposit("a", 110), fill("a", 10), forced("a", -10)],
    "no_mark": [rules(), deposit("a", 110), fill("a", 10), forced("a", -10)],
    "no_price": [rules(), mark(100), deposit("a", 2000), fill("a", 10), forced("a", -10)],
    "counterparty": [*BASE, forced("a", -10, cause="adl")],
}  # fmt: skip


@pytest.mark.parametrize("reason", REASONS)
def test_an_outcome_without_a_prediction_has_a_reason(reason: str) -> None:
    (outcome,) = run(*REASONS[reason])
    assert outcome.verdict == reason
    assert (outcome.predicted, outcome.actual, outcome.error_bps) == (None, None, None)


def test_there_is_no_prediction_where_another_market_of_the_pool_has_no_mark() -> None:
    other = fill("a", 1, symbol="BTC")
    (outcome,) = run(*BASE, other, rules("BTC"), forced("a", -10))
    assert outcome.verdict == "no_mark"
    (outcome,) = run(*BASE, other, rules("BTC"), mark(100, symbol="BTC"), forced("a", -10))
    # 110 + 10 (x − 100) = 0.05 · (10 x + 100)
    assert outcome.error_bps == pytest.approx((895 / 9.5 / 100 - 1) * 1e4)


def test_one_liquidation_is_one_outcome_until_a_quiet_minute() -> None:
    machine = venue()
    parts = [forced("a", -1, 5), forced("a", -1, 5), forced("a", -1, 60), forced("a", -1, 121)]
    for batch in batches([*BASE, mark("93.5", 4), *parts]):
        machine.add_batch(batch)
    assert len(advanced(machine, 1000)) == 2
    verdicts = machine.outcomes.counts_by_name()["liquidation"]["cross"]
    assert verdicts["continued"] == 2
    assert sum(verdicts.values()) == 4


def day(seed: int) -> list[Record]:
    """Ten minutes of three accounts in two markets, many of whose fills are forced."""
    rng = np.random.default_rng(seed)
    records: list[Record] = [rules(), mark(100)]
    records += [mark(100, symbol="BTC")] if rng.random() < 0.8 else []
    records += [rules("BTC")] if rng.random() < 0.8 else []
    for _ in range(60):
        at, who = int(rng.integers(6000)) / 10, "abc"[rng.integers(3)]
        symbol, draw = ("SOL", "BTC")[rng.integers(2)], rng.random()
        signed = int(rng.integers(1, 9)) * (1 if rng.random() < 0.5 else -1)
        if draw < 0.1:
            record = deposit(who, int(rng.integers(-50, 200)))
        elif draw < 0.3:
            record = mark(int(rng.integers(90, 110)))
        elif draw < 0.35:
            mode = "isolated" if rng.random() < 0.5 else "cross"
            record = {"kind": "leverage", "account": who, "leverage": 10, "margin_mode": mode}
        elif draw < 0.75:
            record = fill(who, signed, int(rng.integers(90, 110)))
        else:
            cause = ("liquidation", "backstop", "adl")[rng.integers(3)]
            record = fill(who, signed, 100, cause=cause)
        records.append({**record, "symbol": symbol, "at": at})
    return records


SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SEEDS, st.integers(1, 700))
def test_arrival_order_steps_and_snapshots_change_nothing(seed: int, step_s: int) -> None:
    records, rng = day(seed), np.random.default_rng(seed + 1)
    plain = venue(30)
    for batch in batches(records):
        plain.add_batch(batch)
    whole = advanced(plain, 600)
    in_order, outcomes = batches(records), []
    machine, waiting = venue(30), [in_order[i] for i in rng.permutation(len(in_order))]
    for until in range(step_s, 600 + step_s, step_s):
        due = [b for b in waiting if b.numbers["ts"][0] < START + until * SECOND]
        waiting = [b for b in waiting if b.numbers["ts"][0] >= START + until * SECOND]
        for batch in due:
            machine.add_batch(batch)
        outcomes += advanced(machine, min(until, 600))
        state = machine.snapshot()
        machine = venue(30)
        machine.restore(state)
    assert outcomes == whole
    assert (machine.outcomes.counts == plain.outcomes.counts).all()
    assert machine.digest() == plain.digest()


def test_the_random_days_have_most_verdicts() -> None:
    seen = set()
    for seed in range(100):
        machine = venue(30)
        for batch in batches(day(seed)):
            machine.add_batch(batch)
        seen.update(outcome.verdict for outcome in advanced(machine, 600))
    assert seen >= set(VERDICTS[len(EDGES_BPS) :]) - {"continued", "late", "no_margin"}
    assert seen & set(VERDICTS[: len(EDGES_BPS)])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SEEDS)
def test_exact_pools_equal_the_pools_of_the_bands(seed: int) -> None:
    machine = venue(30)
    for batch in batches(day(seed)):
        machine.add_batch(batch)
    advanced(machine, 600)
    accounts = machine.ledger
    positions = Pools(accounts).update()
    owner, symbol = accounts.row_owners()
    mine: dict[tuple[float, str], list[float]] = defaultdict(list)
    for number in range(len(accounts.names)):
        account = accounts.account_values(number)
        rows = {
            int(symbol[r]): accounts.position_values(r) for r in np.flatnonzero(owner == number)
        }
        for market, row in rows.items():
            if row["quantity"]:
                pool = pool_of(account, rows, market)
                mine[row["quantity"] / 1e8, pool.mode].append(
                    float("nan") if pool.reason == "no_margin" else pool.cash / 1e6
                )
    theirs: dict[tuple[float, str], list[float]] = defaultdict(list)
    for number, (first, count) in enumerate(zip(positions.start, positions.length, strict=True)):
        mode = "isolated" if positions.isolated[number] else "cross"
        for quantity in positions.quantity[first : first + count].tolist():
            theirs[quantity, mode].append(float(positions.cash[number]))
    assert {k: sorted(v) for k, v in mine.items()} == {
        k: pytest.approx(sorted(v), abs=1e-5, nan_ok=True) for k, v in theirs.items()
    }
