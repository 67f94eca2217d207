"""A simulated day is a valid recorded day, and contains the incidents of its ground truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.core.contract import stepped
from monitor.core.contract.events import KINDS, TOPICS
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode import codec, validate
from monitor.core.decode.batch import Batch
from monitor.core.decode.stepped_kernels import to_floats
from replay.day import Day
from replay.ground_truth import INCIDENTS_FILE
from replay.simulation.clearing.columns import FUNDING
from replay.simulation.incidents.plan import DEFAULT_MIX
from replay.simulation.incidents.planted import PlantedIncident
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import START_TS, simulate

SAMPLE = 400
"""Records of a batch that are validated: some 40,000 in all."""
Table = dict[str, np.ndarray[Any, Any]]


def table(day: Day, kind: str) -> Table:
    """The columns of one kind, over all partitions; books have their bid depth."""
    batches = [b for b in day.batches() if b.kind == kind]
    columns: Table = {
        name: np.concatenate([b.numbers[name] for b in batches]) for name in batches[0].numbers
    }
    for name in batches[0].texts:
        columns[name] = np.concatenate([np.array(b.texts[name].to_strings()) for b in batches])
    if kind == "book":
        sides = [b.ladders["bids"] for b in batches]
        columns["depth"] = np.concatenate(
            [np.add.reduceat(to_floats(s.quantity), s.offset[:-1]) for s in sides]
        )
    return columns


def units_e8(codes: np.ndarray) -> list[int]:
    return [round(stepped.exact(code) * 10**8) for code in codes.tolist()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "day"
    simulate(out, SimulationSettings(partitions=2))
    return out


@pytest.fixture(scope="module")
def tables(folder: Path) -> Callable[[str], Table]:
    return cache(lambda kind: table(Day(folder), kind))


def small_day(out: Path, **given: Any) -> Path:
    size = {"minutes": 4, "symbols": 3, "accounts": 100, "rate": 60.0}
    simulate(out, SimulationSettings(**{**size, **given}))
    return out


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    one, two = small_day(tmp_path / "one"), small_day(tmp_path / "two")
    other = small_day(tmp_path / "other", seed=8)
    assert Day(one).meta.files == Day(two).meta.files
    assert (one / INCIDENTS_FILE).read_bytes() == (two / INCIDENTS_FILE).read_bytes()
    assert Day(one).meta.files != Day(other).meta.files


def test_a_day_has_all_eight_kinds_and_no_damage(folder: Path) -> None:
    day = Day(folder)
    day.verify()
    assert set(day.meta.records) == set(KINDS)
    assert min(day.meta.records.values()) > 0
    assert not day.meta.refused
    assert day.meta.span is not None
    assert day.meta.span.end_ts == START_TS + 20 * 60 * SECOND_NS
    flow = sum(day.meta.records[kind] for kind in ("order", "cancel", "fill"))
    assert flow == pytest.approx(400 * 1200, rel=0.4)  # the drift of activity is slow


def test_every_record_is_one_that_the_contract_accepts(folder: Path) -> None:
    rng = np.random.default_rng(1)

    def check(batch: Batch) -> None:
        rows = np.sort(rng.choice(len(batch), min(len(batch), SAMPLE), replace=False))
        sample = batch.select_rows(rows)
        raws = codec.encode(sample)
        for raw in raws:
            verdict = validate.validate_record(raw, batch.kind)
            assert not isinstance(verdict, tuple), (verdict, raw)
        again = codec.decode(batch.kind, batch.topic, batch.partition, sample.offset, raws)
        assert not again.refused
        assert codec.encode(again) == raws

    for batch in Day(folder).batches():
        check(batch)


def test_records_of_a_partition_are_at_most_ten_milliseconds_out_of_order(
    folder: Path,
) -> None:
    high: dict[tuple[str, int], int] = {}
    back = 0
    for batch in Day(folder).batches():
        key, ts = (batch.topic, batch.partition), batch.numbers["ts"]
        before = np.maximum.accumulate(np.concatenate(([high.get(key, 0)], ts)))
        assert (before[:-1] - ts).max() < 10_000_000
        back += int((before[:-1] > ts).sum())
        high[key] = int(before[-1])
    assert back > 0


def test_no_record_is_older_than_the_control_records_before_it(folder: Path) -> None:
    day = Day(folder)
    logs = {(k, p): [np.zeros(0, np.int64)] for k in TOPICS.values() for p in range(2)}
    for batch in day.batches():
        logs[batch.topic, batch.partition].append(batch.numbers["ts"])
    whole = {key: np.concatenate(parts) for key, parts in logs.items()}
    silent = 0
    for control in day.controls():
        later = whole[control.topic, control.partition][control.offset :]
        assert (later >= control.ts).all()
        silent += control.topic == "reference"
    assert silent > 2 * 200  # rules come at the opening only, and say so every five seconds


def test_orders_are_placed_once_then_cancelled_replaced_or_filled(
    tables: Callable[[str], Table],
) -> None:
    orders, cancels, fills = tables("order"), tables("cancel"), tables("fill")
    placed = dict(zip(orders["order_id"].tolist(), orders["ts"].tolist(), strict=True))
    owner = dict(zip(orders["order_id"].tolist(), orders["account"].tolist(), strict=True))
    size = dict(zip(orders["order_id"].tolist(), units_e8(orders["quantity"]), strict=True))
    assert len(placed) == len(orders["ts"])
    assert len({*cancels["order_id"].tolist()}) == len(cancels["ts"])
    replaced = [name for name in orders["replaces"].tolist() if name is not None]
    assert replaced
    assert not {*replaced} & {*cancels["order_id"].tolist()}
    for order, ts, account in zip(
        *(cancels[name].tolist() for name in ("order_id", "ts", "account")), strict=True
    ):
        assert placed[order] <= ts
        assert owner[order] == account
    timed = cancels["placed_ts"] > 0
    assert 0.2 < timed.mean() < 0.4
    ids, when = cancels["order_id"][timed].tolist(), cancels["placed_ts"][timed].tolist()
    assert all(placed[order] == ts for order, ts in zip(ids, when, strict=True))
    left = dict(zip(cancels["order_id"].tolist(), units_e8(cancels["quantity"]), strict=True))
    filled = fills["order_id"].tolist(), fills["ts"].tolist(), units_e8(fills["quantity"])
    by_clearing = fills["trade_id"][fills["cause"] >= 2].tolist()  # they have no orders
    for trade, order, ts, quantity in zip(fills["trade_id"].tolist(), *filled, strict=True):
        if order is None:
            assert trade in by_clearing
        else:
            assert placed[order] <= ts
            assert quantity + left.get(order, 0) <= size[order]


def test_a_trade_has_two_sides_that_agree(tables: Callable[[str], Table]) -> None:
    fills = tables("fill")
    order = np.lexsort((fills["liquidity"], fills["trade_id"]))
    maker, taker = order[::2], order[1::2]
    assert (fills["trade_id"][maker] == fills["trade_id"][taker]).all()
    assert (fills["side"][maker] == -fills["side"][taker]).all()
    assert (fills["quantity"][maker] == fills["quantity"][taker]).all()
    assert (fills["account"][maker] != fills["account"][taker]).all()


def test_cancels_cluster_more_than_a_poisson_process(tmp_path: Path) -> None:
    simulate(tmp_path / "day", SimulationSettings(minutes=8, incidents="none"))
    cancels = table(Day(tmp_path / "day"), "cancel")
    for symbol in ("BTC-PERP", "SUI-PERP"):
        ts = cancels["ts"][cancels["symbol"] == symbol]
        counts = np.bincount((ts - START_TS) // SECOND_NS, minlength=480)[60:480]
        assert counts.var() / counts.mean() > 2


def test_some_accounts_are_far_more_active_than_most(tables: Callable[[str], Table]) -> None:
    _, counts = np.unique(tables("order")["account"], return_counts=True)
    counts[::-1].sort()
    assert counts[: len(counts) // 20].sum() > 0.3 * counts.sum()


def around(
    rows: Table, incident: PlantedIncident
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Rows of the incident's market within it, and in the minute on both sides of it."""
    ts, mine = rows["ts"], rows["symbol"] == incident.symbol
    within = mine & (ts >= incident.start_ts) & (ts < incident.end_ts)
    near = (
        mine & (ts >= incident.start_ts - 60 * SECOND_NS) & (ts < incident.end_ts + 60 * SECOND_NS)
    )
    return within, near & ~within


def rate_ratio(rows: Table, incident: PlantedIncident) -> float:
    within, near = around(rows, incident)
    seconds = (incident.end_ts - incident.start_ts) / SECOND_NS
    return float(within.sum() / seconds / (near.sum() / 120))


def test_planted_incidents_are_visible_in_the_data(
    folder: Path, tables: Callable[[str], Table]
) -> None:
    plan = [PlantedIncident(**row) for row in json.loads((folder / INCIDENTS_FILE).read_text())]
    assert {i.kind for i in plan} == {"cascade"} | {one.kind for one in DEFAULT_MIX}
    assert {len(i.accounts) for i in plan if i.kind == "cancel_burst"} == {1, 3}
    for incident in plan:
        if incident.kind in ("cancel_burst", "joint"):
            assert rate_ratio(tables("cancel"), incident) > 3, incident
            within, _ = around(tables("cancel"), incident)
            planted = np.isin(tables("cancel")["account"][within], incident.accounts)
            assert planted.mean() > 0.5, incident
        if incident.kind in ("leverage_surge", "joint"):
            assert rate_ratio(tables("leverage"), incident) > 2, incident
        if incident.kind in ("thin_book", "joint"):
            within, near = around(tables("book"), incident)
            depth = tables("book")["depth"]
            assert depth[within].mean() < 0.6 * depth[near].mean(), incident


def test_the_incidents_of_a_file_are_planted_unchanged(tmp_path: Path) -> None:
    row = {
        "id": "mine",
        "kind": "cancel_burst",
        "symbol": "ETH-PERP",
        "start_ts": START_TS + 100 * SECOND_NS,
        "end_ts": START_TS + 110 * SECOND_NS,
        "size": 12.0,
        "accounts": ["a-5"],
    }
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([row]))
    out = small_day(tmp_path / "day", incidents=str(plan))
    assert json.loads((out / INCIDENTS_FILE).read_text()) == [row]
    assert rate_ratio(table(Day(out), "cancel"), PlantedIncident(**row)) > 4


def rows_of(rows: Table, *names: str) -> list[tuple[Any, ...]]:
    return sorted(zip(*(rows[name].tolist() for name in names), strict=True))


def test_an_incident_changes_nothing_before_it_nor_the_index_and_elsewhere_only_draws(
    tmp_path: Path,
) -> None:
    begins = START_TS + 100 * SECOND_NS
    row = {
        "id": "thin",
        "kind": "thin_book",
        "symbol": "BTC-PERP",
        "start_ts": begins,
        "end_ts": START_TS + 130 * SECOND_NS,
        "size": 6.0,
    }
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([row]))
    with_it = Day(small_day(tmp_path / "a", incidents=str(plan)))
    without = Day(small_day(tmp_path / "b", incidents="none"))
    # The log's order is by chance too.
    index, usual_index = (
        rows_of(table(day, "mark"), "ts", "symbol", "index") for day in (with_it, without)
    )
    assert index == usual_index
    orders, usual = table(with_it, "order"), table(without, "order")
    early, usual_early = (
        [one for one in rows_of(rows, "ts", "order_id", "price", "quantity") if one[0] < begins]
        for rows in (orders, usual)
    )
    assert len(early) > 1000
    assert early == usual_early
    assert (orders["symbol"] == "BTC-PERP").sum() != (usual["symbol"] == "BTC-PERP").sum()
    elsewhere, usual_elsewhere = ((rows["symbol"] != "BTC-PERP").sum() for rows in (orders, usual))
    assert elsewhere == pytest.approx(usual_elsewhere, rel=0.2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"symbol": "NO-PERP"}, "no market 'NO-PERP'"),
        ({"kind": "cancel_burst", "accounts": ["a-100"]}, "no account 'a-100'"),
        ({"end_ts": START_TS + 10_000 * SECOND_NS}, "outside the day"),
        ({"size": 0.5}, "0.size"),
        ({"end_ts": START_TS}, "end_ts must be later"),
    ],
)
def test_an_incident_that_the_day_cannot_hold_is_refused_with_a_sentence(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    row = {
        "id": "x",
        "kind": "thin_book",
        "symbol": "BTC-PERP",
        "start_ts": START_TS + SECOND_NS,
        "end_ts": START_TS + 2 * SECOND_NS,
        "size": 3,
    }
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([{**row, **change}]))
    with pytest.raises(ValueError, match=words):
        small_day(tmp_path / "day", incidents=str(plan))
    assert not (tmp_path / "day").exists()


def test_open_positions_pay_funding_at_the_hour(
    tables: Callable[[str], Table],
) -> None:
    moves = tables("collateral")
    paid = moves["cause"] == FUNDING
    assert paid.sum() > 100
    assert (moves["ts"][paid] < START_TS + SECOND_NS).all()
    assert all(symbol is not None for symbol in moves["symbol"][paid].tolist())


def test_an_account_and_a_market_stay_in_one_partition(folder: Path) -> None:
    seen: dict[tuple[str, str], set[int]] = {}
    for batch in Day(folder).batches():
        key = "account" if batch.kind == "collateral" else "symbol"
        for name in np.unique([w or "" for w in batch.texts[key].to_strings()]).tolist():
            seen.setdefault((key, name), set()).add(batch.partition)
    assert all(len(partitions) == 1 for partitions in seen.values())
    assert {p for partitions in seen.values() for p in partitions} == {0, 1}
