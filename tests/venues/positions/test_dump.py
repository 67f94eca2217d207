"""A venue's dump of account states as records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.core.decode.batch import Batch
from monitor.venues.adapter import OptionError
from monitor.venues.positions.dump import PositionsDump, split_document

META = {
    "universe": [
        {"name": "BTC", "maxLeverage": 40, "marginTableId": 7},
        {"name": "MEGA", "maxLeverage": 3, "marginTableId": 3, "onlyIsolated": True},
    ],
    "marginTables": [
        [7, {"marginTiers": [{"lowerBound": "0.0", "maxLeverage": 40},
                             {"lowerBound": "150000000.0", "maxLeverage": 20}]}],
    ],
}  # fmt: skip
STATE = {
    "time": 1_770_185_468_098,
    "crossMarginSummary": {"accountValue": "1500.0"},
    "assetPositions": [
        {"type": "oneWay", "position": {
            "coin": "BTC", "szi": "-0.5", "entryPx": "80000.0", "positionValue": "39000.0",
            "leverage": {"type": "cross", "value": 20}, "maxLeverage": 40,
            "liquidationPx": "80000.0",
        }},
        {"type": "oneWay", "position": {
            "coin": "MEGA", "szi": "1000.0", "entryPx": "1.5", "positionValue": "1600.0",
            "leverage": {"type": "isolated", "value": 3, "rawUsd": "-1000.0"}, "maxLeverage": 3,
            "liquidationPx": "1.2",
        }},
    ],
}  # fmt: skip
POSITION = {
    "symbol": "BTCUSDT", "positionAmt": "-0.002", "entryPrice": "66351.2", "markPrice": "66351.1",
    "liquidationPrice": "72670.4", "marginType": "isolated", "isolatedWallet": "13.2",
    "updateTime": 1_721_433_600_000,
}  # fmt: skip


def read(*parts: Any, **options: str) -> tuple[list[dict[str, Any]], list[Any], PositionsDump]:
    """Records, refusals and the reader, of documents that are each one part."""
    dump = PositionsDump(options)
    dump.begin_file("mine")
    for part in parts:
        dump.read(part if isinstance(part, bytes) else json.dumps(part).encode())
    batches = dump.finish()
    return [r for b in batches for r in payloads(b)], [r for b in batches for r in b.refused], dump


def payloads(batch: Batch) -> list[dict[str, Any]]:
    if batch.kind != "reference":
        return []
    return [json.loads(text or "") for text in batch.texts["payload"].to_strings()]


def of(records: list[dict[str, Any]], about: str) -> dict[str, dict[str, Any]]:
    return {r["symbol"]: r for r in records if r["about"] == about}


def test_state_and_meta_become_rules_and_positions() -> None:
    records, refused, dump = read({"user": "0x1", "clearinghouseState": STATE}, META)
    assert not refused
    markets, positions = of(records, "market"), of(records, "position")
    rates = [(t["lower_bound"], t["maintenance_rate"]) for t in markets["BTC"]["tiers"]]
    assert rates == [("0", "0.0125"), ("150000000", "0.025")]
    assert markets["MEGA"]["isolated_only"] is True
    assert "isolated_only" not in markets["BTC"]
    btc, mega = positions["BTC"], positions["MEGA"]
    assert (btc["account"], btc["quantity"], btc["mark"]) == ("0x1", "-0.5", "78000")
    assert (btc["max_leverage"], btc["liquidation_price"]) == ("40", "80000")
    assert (mega["margin_mode"], mega["isolated_margin"]) == ("isolated", "500")
    assert dump.source_counts["account states of hyperliquid"] == 1


def test_collateral_brings_the_equity_to_what_the_venue_shows() -> None:
    dump = PositionsDump()
    dump.read(json.dumps([{"user": "0x1", "clearinghouseState": STATE}]).encode())
    (moves,) = [b for b in dump.finish() if b.kind == "collateral"]
    # 1,500 less the profit of the short: 0.5 · (80,000 − 78,000).
    assert moves.numbers["amount"].tolist() == [500_000_000]


def test_second_state_makes_records_of_what_changed() -> None:
    later = json.loads(json.dumps(STATE))
    later["time"] += 60_000
    later["assetPositions"] = later["assetPositions"][:1]
    later["assetPositions"][0]["position"]["szi"] = "-0.25"
    later["assetPositions"][0]["position"]["positionValue"] = "19500.0"
    users = [{"user": "0x1", "clearinghouseState": state} for state in (later, STATE)]
    records, _, _ = read(*users)
    moved = [(r["symbol"], r["quantity"]) for r in records if r["about"] == "position"]
    assert moved == [("BTC", "-0.5"), ("MEGA", "1000"), ("BTC", "0.25"), ("MEGA", "-1000")]


def test_binance_positions_with_brackets() -> None:
    brackets = [
        {"notionalFloor": 0, "initialLeverage": 125, "maintMarginRatio": "0.004", "cum": 0},
        {"notionalFloor": 50_000, "initialLeverage": 100, "maintMarginRatio": "0.005", "cum": 50},
    ]
    rules = [{"symbol": "BTCUSDT", "brackets": brackets}]
    records, refused, _ = read([POSITION, {**POSITION, "positionAmt": "0"}], rules)
    assert not refused
    assert [t["maintenance_rate"] for t in of(records, "market")["BTCUSDT"]["tiers"]] == [
        "0.004", "0.005"
    ]  # fmt: skip
    position = of(records, "position")["BTCUSDT"]
    assert (position["account"], position["isolated_margin"]) == ("mine", "13.2")
    assert position["ts"] == 1_721_433_600_000 * 10**6


def test_without_meta_the_highest_leverage_seen_is_the_rate_and_is_said() -> None:
    records, _, dump = read({"user": "0x1", "clearinghouseState": STATE})
    assert of(records, "market")["BTC"]["tiers"] == [
        {"lower_bound": "0", "maintenance_rate": "0.0125", "initial_rate": "0.025"}
    ]
    assert (
        dump.notes["markets without rules in the dump: one rate, of the highest maxLeverage"] == 2
    )


def test_what_cannot_be_read_is_refused_with_its_bytes() -> None:
    broken = json.loads(json.dumps(STATE))
    broken["assetPositions"][0]["position"]["szi"] = "many"
    odd = [b"{", b"[]", b'{"a": 1}', b"17", json.dumps(broken).encode()]
    hedged = [POSITION, {**POSITION, "positionAmt": "1"}]
    records, refused, _ = read(*odd, hedged, STATE)
    assert [bytes(r.raw) for r in refused] == [*odd, json.dumps(hedged).encode()]
    reasons = ["not_json", "bad_value", "bad_value", "bad_value", "wrong_type", "bad_value"]
    assert [r.reason for r in refused] == reasons
    assert len(of(records, "position")) == 2


def test_states_by_account_and_lists_and_lines_are_the_same() -> None:
    one, two = (
        {"user": "a", "clearinghouseState": STATE},
        {"user": "b", "clearinghouseState": STATE},
    )
    whole, _, _ = read([one, two])
    lines, _, _ = read(b"\n".join(json.dumps(part).encode() for part in (one, two)))
    by_account, _, _ = read({"a": STATE, "b": STATE})
    assert whole == lines == by_account


def test_members_of_a_list_stay_as_they_are_written() -> None:
    text = b' [ {"assetPositions" : []} ,\n {"assetPositions":[ ]}]'
    assert [*split_document(text)] == [b'{"assetPositions" : []}', b'{"assetPositions":[ ]}']


def test_states_without_any_time_need_one() -> None:
    state = {k: v for k, v in STATE.items() if k != "time"}
    with pytest.raises(OptionError, match="time=MS"):
        read(state)
    records, _, _ = read(state, time="1770185468098")
    assert of(records, "position")["BTC"]["ts"] == 1_770_185_468_098 * 10**6


@pytest.mark.parametrize("options", [{"venue": "kraken"}, {"time": "yesterday"}, {"at": "now"}])
def test_options_that_cannot_be_read_are_said(options: dict[str, str]) -> None:
    with pytest.raises(OptionError):
        PositionsDump(options)
