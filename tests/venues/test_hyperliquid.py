"""Hyperliquid: a node's blocks fill by fill, and the tables of 2023 in any order."""

from __future__ import annotations

import doctest
import gzip
import itertools
import json
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from monitor.core.decode.codec import encode
from monitor.venues.adapter import OptionError
from monitor.venues.hyperliquid import Hyperliquid, forced_fills
from monitor.venues.hyperliquid import tables as tables_module
from monitor.venues.hyperliquid.tables import iso_ns
from monitor.venues.parse import UnreadableError
from replay.day import Day
from replay.day.importer import ingest
from tests.support import recording
from tests.venues.feeds import records_from, refused_from

T = 1_761_584_399_797
NS = T * 1_000_000


def told(user: str = "0xa", **fields: Any) -> list[Any]:
    fill = {
        "coin": "ETH", "px": "4215.9", "sz": "0.5", "side": "B", "time": T, "startPosition": "0.0",
        "dir": "Open Long", "closedPnl": "0.0", "hash": "0x1", "oid": 7, "crossed": True,
        "fee": "0.67", "tid": 9, "feeToken": "USDC", "twapId": None,
    }  # fmt: skip
    return [user, {**fill, **fields}]


def block(*events: Any, number: int = 5) -> str:
    head = {"local_time": "x", "block_time": "2025-10-27T16:59:59.797563798"}
    return json.dumps({**head, "block_number": number, "events": list(events)})


def test_each_side_of_a_trade_is_a_fill_with_its_fee() -> None:
    records = records_from(
        Hyperliquid(), block(told(), told("0xb", side="A", crossed=False, fee="-0.03"))
    )
    assert [r["account"] for r in records] == ["0xa", "0xb"]
    assert records[0] == {
        "kind": "fill", "ts": NS, "seq": 5, "symbol": "ETH", "account": "0xa", "trade_id": "9",
        "order_id": "7", "side": "buy", "price": "4215.9", "quantity": "0.5", "fee": "0.67",
        "liquidity": "taker", "cause": "trade",
    }  # fmt: skip
    assert (records[1]["side"], records[1]["liquidity"], records[1]["fee"]) == (
        "sell", "maker", "-0.03",
    )  # fmt: skip


def test_a_position_from_before_the_recording_is_set_once_and_then_checked() -> None:
    venue = Hyperliquid()
    first = told(side="A", dir="Close Long", startPosition="2.0", closedPnl="10.5", px="100")
    second = told(startPosition="1.5")
    position, *fills = [r for r in records_from(venue, block(first, second)) if r["kind"] != "mark"]
    # 0.5 closed with a gain of 10.5: bought at 100 − 21.
    assert position == {
        "kind": "reference", "ts": NS, "about": "position", "symbol": "ETH", "account": "0xa",
        "quantity": "2", "entry_price": "79", "margin_mode": "cross",
    }  # fmt: skip
    assert len(fills) == 2
    assert venue.notes["start positions that are as the fills before had left them"] == 1


def test_a_start_position_that_differs_is_counted_and_corrected() -> None:
    venue = Hyperliquid()
    records = records_from(venue, block(told()), block(told(startPosition="0.75"), number=6))
    assert [r["kind"] for r in records] == ["fill", "reference", "fill"]
    assert records[1]["quantity"] == "0.25"
    assert venue.notes["start positions that differ from the fills before: set by a record"] == 1
    noise = block(told(startPosition="3130537.6000000001"), told(startPosition="3130538.10000001"))
    assert len(records_from(Hyperliquid(), noise)) == 3


def test_only_the_liquidated_accounts_fill_is_forced_and_its_mark_becomes_a_record() -> None:
    by = {"liquidatedUser": "0xa", "markPx": "4200.5", "method": "market"}
    records = records_from(Hyperliquid(), block(told(liquidation=by), told("0xb", liquidation=by)))
    assert records[0] == {"kind": "mark", "ts": NS, "symbol": "ETH", "mark": "4200.5"}
    assert [r["cause"] for r in records[1:]] == ["liquidation", "trade"]
    taken = told(liquidation={**by, "method": "backstop"})
    leveraged = told(dir="Auto-Deleveraging")
    fills = [r for r in records_from(Hyperliquid(), block(taken, leveraged)) if r["kind"] == "fill"]
    assert [r["cause"] for r in fills] == ["backstop", "adl"]


def test_other_dexes_have_accounts_of_their_own_and_spot_fills_make_no_record() -> None:
    venue = Hyperliquid()
    spots = [told(coin="@107", feeToken="HYPE"), told(coin="PURR/USDC")]
    (fill,) = records_from(venue, block(told(coin="xyz:XYZ100"), *spots))
    assert (fill["account"], fill["symbol"]) == ("0xa/xyz", "xyz:XYZ100")
    assert venue.left_out["fills of spot markets, which have no positions"] == 2


def test_a_wrong_fill_is_refused_alone_and_a_wrong_block_entirely() -> None:
    venue = Hyperliquid()
    late = told("0xb", time="x")
    line = block(told(), told(px="-1"), told(sz=None), told(side="?"), late)
    bad = refused_from(venue, line)
    assert sorted(r.reason for r in bad) == [
        "bad_value", "missing_field", "out_of_range", "wrong_type",
    ]  # fmt: skip
    assert {r.raw for r in bad} == {line.encode()}
    again = records_from(venue, block(told(startPosition="2.5"), number=6))
    assert [r.get("quantity") for r in again if r["kind"] == "reference"] == ["2"]
    for text in ('{"block_number": 5}', block("x"), "{", block(["0xa"]), block(["0xa", {}])):
        (one,) = refused_from(venue, text)
        assert (one.topic, one.raw) == ("fills", text.encode())


def test_missing_and_repeated_blocks_are_noted() -> None:
    venue = Hyperliquid()
    records_from(venue, block(number=5), block(number=8), block(number=8))
    assert venue.notes["blocks missing between those there"] == 2
    assert venue.notes["blocks that do not come after the one before"] == 1


# The tables. 40 at 10 for a deposit of 8; closed at 9.9 where the account is worth nothing.
TRADES = """time,user,coin,side,px,sz,crossed
2023-03-01T00:00:05Z,0xa,SOL,Bid,10,40,true
2023-03-01T00:00:09Z,0xb,SOL,Ask,9.5,1,false
2023-03-01T00:00:09Z,0xa,SOL,Ask,9.8,40,false"""
LEDGER = """time,user,delta_usd
2023-03-01T00:00:01Z,0xa,9
2023-03-01T00:00:06Z,0xa,-1.5"""
# N = 40 · 9.9, A = 40 · (9.9 − 9.8)
FORCED = """time,user,liquidated_ntl_pos,liquidated_account_value,leverage_type
2023-03-01T00:00:09Z,0xa,396,4,Cross"""
START = iso_ns("2023-03-01T00:00:00Z")


def tables(*files: str, **options: str) -> tuple[list[dict[str, Any]], Hyperliquid]:
    venue = Hyperliquid(options)
    for file in files:
        venue.begin_file("f")
        assert records_from(venue, *file.splitlines()) == []
    return [json.loads(raw) for batch in venue.finish() for raw in encode(batch)], venue


def test_tables_in_any_order_give_the_same_records() -> None:
    plain, _ = tables(TRADES, LEDGER, FORCED)
    for files in itertools.permutations((TRADES, LEDGER, FORCED)):
        assert tables(*files)[0] == plain
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for record in plain:
        by_kind.setdefault(record["kind"], []).append(record)
    assert [(r["ts"] - START, r["amount"], r["cause"]) for r in by_kind["collateral"]] == [
        (1_000_000_000, "9", "deposit"),
        (6_000_000_000, "-1.5", "withdrawal"),
        # 9 − 1.5 − 400 + 392 = −0.5, and it is worth nothing.
        (9_000_000_001, "0.5", "adjustment"),
    ]
    assert [r["cause"] for r in by_kind["fill"]] == ["trade", "trade", "liquidation"]
    assert by_kind["mark"] == [
        {"kind": "mark", "ts": START + 9 * 10**9, "symbol": "SOL", "mark": "9.9"}
    ]
    (rules,) = by_kind["reference"]
    assert rules["tiers"] == [
        {"lower_bound": "0", "maintenance_rate": "0.01", "initial_rate": "0.02"}
    ]


def test_fills_that_do_not_add_up_to_the_notional_are_not_forced() -> None:
    records, venue = tables(TRADES, LEDGER, FORCED.replace("396", "300"))
    assert all(r["cause"] == "trade" for r in records if r["kind"] == "fill")
    assert not any(r["kind"] == "mark" for r in records)
    assert venue.notes["liquidations whose fills are not in the tables: no record"] == 1


def test_the_forced_market_is_recognised_among_several_traded_in_a_second() -> None:
    other = (
        "\n2023-03-01T00:00:05Z,0xa,BTC,Bid,100,1,true\n2023-03-01T00:00:09Z,0xa,BTC,Ask,99,1,true"
    )
    records, _ = tables(TRADES + other, LEDGER, FORCED.replace("Cross", "Isolated"))
    causes = {r["symbol"]: r["cause"] for r in records if r["kind"] == "fill"}
    assert causes == {"SOL": "liquidation", "BTC": "trade"}
    assert not any(r.get("cause") == "adjustment" for r in records)


def test_wrong_options_are_refused() -> None:
    records, _ = tables(TRADES, maintenance="0.025")
    assert records[0]["tiers"][0]["maintenance_rate"] == "0.025"
    assert not any(
        r.get("cause") == "adjustment"
        for r in tables(TRADES, LEDGER, FORCED, account_values="leave")[0]
    )
    for wrong in ({"maintenance": "1"}, {"maintenance": "x"}, {"account_values": "no"}):
        with pytest.raises(OptionError):
            Hyperliquid(wrong)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2023-03-01T00:00:05Z,0xa,SOL,Bid,10,40", "missing_field"),
        ("2023-03-01 at noon,0xa,SOL,Bid,10,40,true", "wrong_type"),
        ("2023-02-30T00:00:05Z,0xa,SOL,Bid,10,40,true", "wrong_type"),
        ("2023-03-01T00:00:05Z,0xa,SOL,Both,10,40,true", "bad_value"),
        ("2023-03-01T00:00:05Z,0xa,SOL,Bid,0,40,true", "out_of_range"),
        ("2023-03-01T00:00:05Z,0xa,SOL,Bid,1e99,40,true", "out_of_range"),
        ("2023-03-01T00:00:05Z,0xa,SOL,Bid,10,40,maybe", "bad_value"),
        ('"2023', "wrong_type"),
        ("", "empty"),
    ],
)
def test_a_wrong_row_is_refused_with_its_bytes_and_the_rest_stays(row: str, reason: str) -> None:
    venue = Hyperliquid()
    venue.begin_file("f")
    header, *good = TRADES.splitlines()
    (bad,) = refused_from(venue, header, row, *good)
    assert (bad.reason, bad.raw, bad.topic) == (reason, row.encode(), "fills")
    kinds = [batch.kind for batch in venue.finish() for _ in range(len(batch))]
    assert kinds.count("fill") == 3


def test_a_row_that_the_contract_refuses_keeps_its_line() -> None:
    venue = Hyperliquid()
    venue.begin_file("f")
    row = "2023-03-01T00:00:05Z,,SOL,Bid,10,40,true"
    assert refused_from(venue, TRADES.splitlines()[0], row) == []
    bad = [r for batch in venue.finish() for r in batch.refused]
    assert [(r.reason, r.raw) for r in bad] == [("bad_text", row.encode())]


def test_rows_before_a_header_are_refused() -> None:
    venue = Hyperliquid()
    venue.begin_file("f")
    assert [r.reason for r in refused_from(venue, "a,b,c", TRADES.splitlines()[1])] == [
        "missing_field", "missing_field",
    ]  # fmt: skip


def test_no_damage_to_the_files_makes_the_adapter_raise() -> None:
    files = (block(told(), told("0xb", side="A")), TRADES, LEDGER, FORCED)
    scraps = (b"null", b'"', b"-", b"1e300", b"[]", b"{}", b",", b"\x00", b"9" * 30, b"\xff")
    for seed in range(300):
        rng, venue = random.Random(seed), Hyperliquid()
        for file in files:
            venue.begin_file("f")
            lines = []
            for line in file.encode().splitlines():
                at = rng.randrange(len(line))
                cut = line[:at] + rng.choice(scraps) + line[at + rng.randrange(9) :]
                lines.append(cut if rng.random() < 0.4 else line)
            bad = [r for batch in venue.read(lines) for r in batch.refused]
            assert all(r.raw in lines for r in bad)
        venue.finish()


def test_times_are_utc_to_the_ns() -> None:
    assert iso_ns("2023-02-27T15:02:26") == iso_ns("2023-02-27 15:02:26.000000000+00:00")
    for wrong in ("2023-02-27T15:02:26+01:00", "1677510146", "2023-02-27"):
        with pytest.raises(UnreadableError):
            iso_ns(wrong)


def test_the_tables_of_2023_are_read_completely_and_nine_in_ten_liquidations_recognised(
    tmp_path: Path,
) -> None:
    folder = recording("hyperliquid-2023")
    report = ingest("hyperliquid", [folder], tmp_path / "day")
    rows = {}
    for path in folder.iterdir():
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt") as file:
            rows[path.name.split(".")[0]] = sum(1 for _ in file) - 1
    assert report.source == {
        "trades": rows["non_mm_trades"],
        "ledger updates": rows["non_mm_ledger_updates"],
        "liquidations": rows["liquidations"],
    }
    assert (report.refused, report.odd["jumps_back"]) == ({}, 0)
    recognised = report.notes["liquidations whose fills are recognised"]
    assert recognised >= 0.9 * rows["liquidations"]


def test_every_fill_of_a_node_starts_where_the_fills_before_ended(
    tmp_path: Path,
) -> None:
    path = recording("hyperliquid-node-fills-2025-10-27") / "blocks.jsonl.gz"
    report = ingest("hyperliquid", [path], tmp_path / "day")
    with gzip.open(path, "rt") as lines:
        fills = sum(len(json.loads(line)["events"]) for line in lines)
    spot = report.left_out["fills of spot markets, which have no positions"]
    assert report.source["fills"] == fills == report.records["fill"] + spot
    assert report.refused == {}
    assert "start positions that differ from the fills before: set by a record" not in report.notes
    assert report.notes["start positions that are as the fills before had left them"] > 2000
    assert sum(len(batch) for batch in Day(tmp_path / "day").batches()) == sum(
        report.records.values()
    )


@pytest.mark.parametrize("module", [forced_fills, tables_module])
def test_the_examples_of_the_docstrings_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert (result.failed, result.attempted > 0) == (0, True)
