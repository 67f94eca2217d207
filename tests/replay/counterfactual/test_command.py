"""A day under other rules: what nothing changes, what a rule changes, and whom it spares.

A long of q bought at p with margin e is due at (q·p − e)/(q·(1 − r)), where r is the maintenance
rate of the lowest tier.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.config import Config
from monitor.console import Console
from replay.commands import open_days, replay_days
from replay.day.importer import ingest
from replay.run import AlertFilter, ReplayOptions
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.cases.markets import at

PRICE, QUANTITY, MARGIN = 100.0, 10.0, 100.0
FALL = 90.5
"""Where the venue liquidates: below 90.909, the price with a maintenance rate of 1 %."""
TIERS = [{"lower_bound": 0, "maintenance_rate": 0.01}]


def run(day: Path, rules: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """The result, with the bytes of alerts and bands."""
    files = {name: day.parent / f"{name}.jsonl" for name in ("alerts", "bands")}
    override = None
    if rules is not None:
        override = day.parent / "rules.json"
        override.write_text(json.dumps(rules))
    result = replay_days(
        open_days([str(day)]), Config(), Console(True), ReplayOptions(**options),
        files["alerts"], files["bands"], override,
    )  # fmt: skip
    return result | {name: file.read_bytes() for name, file in files.items()}


def make_day(folder: Path, tiers: Any = TIERS, size: float = 2.0, **terms: Any) -> Path:
    """One long in X; its mark falls, and the venue liquidates it at 12 s. Somebody else's long in
    Y, whose margin is not on record, is liquidated too."""
    records: list[dict[str, Any]] = []
    for symbol in "XY":
        table = {} if tiers is None else {"tiers": tiers}
        records.append({"kind": "reference", "about": "market", "ts": at(0), "symbol": symbol,
                        "contract": {"type": "linear"}, **table, **terms})  # fmt: skip
    for account, symbol, margin in (("a", "X", {"isolated_margin": f"{MARGIN}"}), ("b", "Y", {})):
        records.append({
            "kind": "reference", "about": "position", "ts": at(0), "symbol": symbol,
            "account": account, "quantity": f"{QUANTITY}", "entry_price": f"{PRICE}",
            "margin_mode": "isolated", **margin,
        })  # fmt: skip
    for second in range(1, 20):
        price = PRICE if second < 10 else FALL
        for symbol in "XY":
            records.append({"kind": "mark", "ts": at(second), "symbol": symbol,
                            "mark": f"{price}", "index": f"{price}"})  # fmt: skip
            ladder = [[f"{price * (1 - 1e-3 * i):.6f}", f"{size}"] for i in range(1, 20)]
            asks = [[f"{price * (1 + 1e-3 * i):.6f}", f"{size}"] for i in range(1, 20)]
            records.append({"kind": "book", "ts": at(second + 0.1), "symbol": symbol,
                            "bids": ladder, "asks": asks})  # fmt: skip
    for account, symbol in (("a", "X"), ("b", "Y")):
        records.append({
            "kind": "fill", "ts": at(12.5), "symbol": symbol, "account": account, "side": "sell",
            "price": f"{FALL}", "quantity": f"{QUANTITY}", "cause": "liquidation",
            "liquidity": "taker",
        })  # fmt: skip
    folder.mkdir()
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    ingest("canonical", [source], folder / "day")
    return folder / "day"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_day(tmp_path_factory.mktemp("override") / "one", mark_rule="last", path="market")


def test_rules_that_change_nothing_give_exactly_what_was(tmp_path: Path) -> None:
    """Of a day with cross and isolated accounts, late records and several partitions: tables and
    funds as they are, and caps that nobody reaches."""
    day = tmp_path / "day"
    simulate(day, SimulationSettings(seed=3, minutes=2, symbols=3, accounts=150, partitions=2))
    plain = run(day)
    tables = {}
    for batch in open_days([str(day)]).batches(10_000):
        for text in batch.texts["payload"].to_strings() if batch.kind == "reference" else []:
            event = json.loads(text or "")
            if event["about"] == "market":
                tables[event["symbol"]] = {"tiers": event["tiers"]}
            elif event["about"] == "insurance_fund":
                tables["*"] = {"insurance_fund": event["amount"], "leverage_max": 1_000_000}
    assert len(tables) == 4
    same = run(day, tables)
    assert same["override"]["same"]
    for name in ("digest", "alerts", "bands", "records", "windows", "outcomes"):
        assert same[name] == plain[name], name
    assert same["override"]["was"]["digest"] == plain["digest"]
    assert all(row["max"]["was"] == row["max"]["under"] for row in same["override"]["forced"])
    assert any(row["max"]["was"] for row in same["override"]["forced"])
    capped = run(day, {"*": {"leverage_max": 3}})
    assert not capped["override"]["same"]
    assert sum(row["mean"]["under"] for row in capped["override"]["forced"]) < sum(
        row["mean"]["was"] for row in capped["override"]["forced"]
    )


@pytest.mark.parametrize("tiers", [TIERS, None])
def test_other_tables_give_what_a_day_with_those_tables_gives(tmp_path: Path, tiers: Any) -> None:
    """Also where the day has no table at all."""
    other = [
        {"lower_bound": 0, "maintenance_rate": 0.03},
        {"lower_bound": 950, "maintenance_rate": 0.2},
    ]
    recorded = run(make_day(tmp_path / "recorded", other))
    under = run(make_day(tmp_path / "under", tiers), {"*": {"tiers": other}})
    for name in ("alerts", "bands", "outcomes"):
        assert under[name] == recorded[name], name
    assert b'"forced":9' in recorded["bands"]


def test_another_path_and_mark_rule_give_what_a_day_with_them_gives(
    day: Path, tmp_path: Path
) -> None:
    names = {"mark_rule": "bybit", "path": "hyperliquid"}
    recorded = run(make_day(tmp_path / "recorded", **names), {"*": {"leverage_max": 1_000_000}})
    under = run(day, {"*": names})
    assert under["bands"] == recorded["bands"]
    rows, others = (result["override"]["stress"]["rows"] for result in (under, recorded))
    for row, other in zip(rows, others, strict=True):
        for name in ("nearest", "shortfall", "adl_notional"):
            assert row[name]["under"] == other[name]["was"]
    assert any(row["nearest"]["under"] != row["nearest"]["was"] for row in rows)


@pytest.mark.parametrize(
    ("rules", "price"),
    [
        ({"X": {"tiers": [{"lower_bound": 0, "maintenance_rate": 0.005}]}}, 900 / (10 * 0.995)),
        ({"*": {"leverage_max": 5}}, 800 / (10 * 0.99)),
    ],
)
def test_a_liquidation_is_spared_where_its_price_under_the_other_rules_was_not_reached(
    day: Path, rules: dict[str, Any], price: float
) -> None:
    result = run(day, rules)["override"]["liquidations"]
    (spared,) = result["not_forced"]
    assert (spared["account"], spared["symbol"], spared["mode"]) == ("a", "X", "isolated")
    assert spared["mark"] == FALL
    assert spared["price"] == {
        "was": pytest.approx(900 / (10 * 0.99)), "under": pytest.approx(price),
    }  # fmt: skip
    assert result["still_forced"] == 0
    assert result["unanswered"] == {"no_margin": 1}


def test_a_liquidation_that_the_other_rules_bring_sooner_is_not_spared(day: Path) -> None:
    rules = {"X": {"tiers": [{"lower_bound": 0, "maintenance_rate": 0.02}]}}
    result = run(day, rules)["override"]["liquidations"]
    assert result == {"not_forced": [], "still_forced": 1, "unanswered": {"no_margin": 1}}


def stress_row(result: dict[str, Any]) -> dict[str, Any]:
    rows = result["override"]["stress"]["rows"]
    (row,) = [r for r in rows if (r["symbol"], r["side"], r["survives"]) == ("X", "down", 0.3)]
    return dict(row)


def test_a_mark_that_the_book_does_not_move_has_no_critical_shock(day: Path) -> None:
    row = stress_row(run(day, {"*": {"mark_rule": "oracle"}}))
    assert row["moments"] == {"was": 1, "under": 1}
    assert row["with_critical"] == {"was": 1, "under": 0}
    # The long is due 9.09 % away: a shock up to there forces it.
    assert row["nearest"] == {"was": pytest.approx(-(1 - 900 / 9.9 / 100), rel=1e-6), "under": None}


def test_an_insurance_fund_spares_others_from_being_deleveraged(tmp_path: Path) -> None:
    """The book is so thin that a close costs more than its margin."""
    day = make_day(tmp_path / "one", size=0.1, mark_rule="last", path="generic")
    row = stress_row(run(day, {"X": {"insurance_fund": 1000}}))
    assert row["shortfall"]["was"] == row["shortfall"]["under"] > 0
    assert row["adl_notional"] == {"was": pytest.approx(QUANTITY * PRICE), "under": 0.0}


def test_the_mean_over_time_and_the_highest_are_those_of_the_bands(day: Path) -> None:
    """The long stands 9.09 % away for 9 s, nearer than 1 % never; then it is due, and then gone."""
    rows = run(day, {"*": {"leverage_max": 50}})["override"]["forced"]
    of_x = {(r["side"], r["within_pct"]): r["max"]["was"] for r in rows if r["symbol"] == "X"}
    assert of_x["long", 5.0] == of_x["long", 1.0] == pytest.approx(QUANTITY * FALL)
    assert of_x["long", 10.0] == pytest.approx(QUANTITY * PRICE)
    assert of_x["short", 10.0] == 0.0


def test_a_choice_of_markets_and_of_time_holds_for_the_comparison(day: Path) -> None:
    shown = AlertFilter(to_ts=at(8), symbols=frozenset({"X"}))
    result = run(day, {"*": {"leverage_max": 5}}, shown=shown)["override"]
    assert {row["symbol"] for row in result["forced"]} == {"X"}
    assert result["liquidations"] == {"not_forced": [], "still_forced": 0, "unanswered": {}}


def test_the_comparison_does_not_depend_on_the_size_of_batches(day: Path) -> None:
    rules = {"*": {"leverage_max": 5}}
    assert run(day, rules)["override"] == run(day, rules, rows=3)["override"]
