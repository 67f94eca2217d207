"""A venue's files in a form of its own, read by a field map, are the same day as the same records
written as the contract has them: records, refusals, and the digest of their replay."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from replay.day import Day
from tests.cases.front_door import brinkwatch, replay_day
from tests.cases.mapped_venue import make_events, write_venue

KINDS = ("order", "cancel", "fill", "leverage", "book", "mark", "collateral", "reference")


def import_both(folder: Path) -> tuple[Path, Path]:
    """The day by the map and the day of the canonical records."""
    mapped, canonical = folder / "mapped", folder / "canonical"
    done = brinkwatch("import", "map", mapped, "--map", folder / "venue.toml")
    assert done.returncode == 0, done.stderr
    done = brinkwatch("import", "canonical", folder / "canonical.jsonl", canonical)
    assert done.returncode == 0, done.stderr
    return mapped, canonical


def rows_of(day: Path) -> dict[str, Any]:
    return {kind: Day(day).to_arrow(kind).to_pylist() for kind in KINDS}


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
@pytest.mark.parametrize("seed", range(4))
def test_a_map_makes_the_day_that_canonical_records_make(
    tmp_path: Path, form: str, seed: int
) -> None:
    rng = random.Random(f"{form} {seed}")
    write_venue(rng, make_events(rng, 250, faulty=True), tmp_path / "venue", form)
    mapped, canonical = import_both(tmp_path / "venue")
    assert rows_of(mapped) == rows_of(canonical)
    assert Day(mapped).meta.refused == Day(canonical).meta.refused


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_the_replay_of_both_has_one_digest(tmp_path: Path, form: str) -> None:
    rng = random.Random(f"digest {form}")
    write_venue(rng, make_events(rng, 600, faulty=False), tmp_path / "venue", form)
    mapped, canonical = (replay_day(day) for day in import_both(tmp_path / "venue"))
    assert mapped.report["digest"] == canonical.report["digest"]
    assert mapped.report["records"] == canonical.report["records"] == 600


def test_one_file_may_mix_kinds_and_others_are_skipped_by_their_names(tmp_path: Path) -> None:
    rng = random.Random(11)
    events = make_events(rng, 300, faulty=False)
    events = [e for e in events if e["kind"] in ("order", "cancel", "fill")]
    kinds = {"order": "NewOrder", "cancel": "Cxl", "fill": "TRADE"}
    lines = []
    for event in events:
        fields = {name: value for name, value in event.items() if name != "kind"}
        if event["kind"] == "fill":
            fields["last"] = fields.pop("price")
        lines.append({"msg": {"type": kinds[event["kind"]]}, "body": fields})
        if rng.random() < 0.2:
            lines.append({"msg": {"type": "Heartbeat"}})
    write_lines(tmp_path / "oms.json", lines)
    write_lines(tmp_path / "canonical.jsonl", events)
    (tmp_path / "venue.toml").write_text(MIXED)
    mapped, canonical = import_both(tmp_path)
    assert rows_of(mapped) == rows_of(canonical)
    skipped = sum(line["msg"]["type"] == "Heartbeat" for line in lines)
    notes = Day(mapped).meta.notes
    assert notes["left_out"] == {"of the kind Heartbeat, which is not mapped": skipped}


MIXED = """
[source.oms]
files = ["oms.json"]
kind = { field = "msg.type", words = { neworder = "order", CXL = "cancel", trade = "fill" } }
[source.oms.fields]
ts = "body.ts"
symbol = "body.symbol"
account = "body.account"
order_id = "body.order_id"
trade_id = "body.trade_id"
side = "body.side"
price = "body.price"
quantity = "body.quantity"
action = "body.action"
reason = "body.reason"
reduce_only = "body.reduce_only"
fee = "body.fee"
liquidity = "body.liquidity"
cause = "body.cause"
[source.oms.by_kind.fill]
price = "body.last"
"""


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


ORDERS = """
[source.orders]
files = ["orders*.csv"]
format = "csv"
kind = "order"
[source.orders.fields]
ts = { field = "time", unit = "ms" }
symbol = "market"
side = { field = "side", words = { 1 = "buy", 2 = "sell" } }
price = "px"
quantity = { field = "lots", times = "0.001" }
action = { value = "new" }
"""
HEADER = "time,market,side,px,lots,note\n"
ROW = "1764000000000,BTC,1,100.5,7,\n"


def import_orders(folder: Path, content: str, map_text: str = ORDERS) -> Any:
    (folder / "orders.csv").write_text(content)
    (folder / "venue.toml").write_text(map_text)
    return brinkwatch("import", "map", folder / "day", "--map", folder / "venue.toml", "--json")


def test_a_refusal_names_the_files_line_and_field_and_keeps_the_line(tmp_path: Path) -> None:
    bad = '1764000000001,BTC,1,"1,234.5",7,"two\nlines"\n'
    done = import_orders(tmp_path, HEADER + ROW + "\n" + bad + ROW.replace(",1,", ",3,"))
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["records"]["order"] == 1
    assert report["first_refused"] == [
        "wrong_type: price: 'px' is '1,234.5', a number with separators of thousands: write it "
        "without them; orders.csv, line 4",
        "bad_value: side: 'side' is '3', none of its words (buy, sell, 1, 2); orders.csv, line 6",
    ]
    raws = [refused.raw for refused in Day(tmp_path / "day").refused_records()]
    assert raws[0] == bad.rstrip("\n").encode()


def test_an_import_of_nothing_ends_with_1_and_the_first_refusals(tmp_path: Path) -> None:
    done = import_orders(tmp_path, HEADER + ROW.replace("100.5", "-1"))
    assert done.returncode == 1
    assert "price: Input should be greater than 0, saw '-1" in done.stderr
    assert "(from 'px'); orders.csv, line 2" in done.stderr
    assert not (tmp_path / "day").exists()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("side =", "sidde =", "source.orders.fields.sidde: order has no such field; did you mean"),
        ('"buy"', '"by"', "'1' cannot mean 'by'; did you mean buy?"),
        ('action = { value = "new" }', "", "a record of the kind order needs action; add action"),
        ('value = "new"', 'value = "nw"', "did you mean new?"),
        ('unit = "ms"', 'unit = "msec"', "source.orders.fields.ts.unit"),
        ('"csv"', '"cvs"', "no format 'cvs'; did you mean csv?"),
        ('times = "0.001"', 'times = "a"', "'a' is no number other than 0"),
        ('"order"', '"ordr"', "source.orders.kind"),
        ('"orders*.csv"', '"order.csv"', "source.orders.files: no file is"),
        ('"px"', '{ field = "px", unit = "s" }', "price: unit is for times"),
        ('"px"', '{ field = "px", join = "" , fields = ["a"] }', "give one of field, fields"),
        ('"px"', '{ fields = [] }', "give one of field, fields"),
    ],
)  # fmt: skip
def test_a_wrong_map_ends_with_2_and_a_sentence(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in ORDERS
    done = import_orders(tmp_path, HEADER + ROW, ORDERS.replace(old, new))
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_column_that_no_row_has_is_named(tmp_path: Path) -> None:
    done = import_orders(tmp_path, HEADER + ROW, ORDERS + 'account = "notes"\n')
    assert done.returncode == 0
    assert "no record of source.orders has 'notes' (for account); did you mean note?" in done.stderr


def test_check_config_shows_what_records_become(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(HEADER + ROW + ROW.replace(",1,", ",3,"))
    (tmp_path / "venue.toml").write_text(ORDERS)
    done = brinkwatch("check-config", "--map", tmp_path / "venue.toml", "--json")
    (trial,) = json.loads(done.stdout.splitlines()[-1])["sources"]
    assert trial["accepted"] == {"order": 1}
    assert trial["refused"] == {"bad_value": 1}
    (example,) = trial["examples"]
    assert example[0] == ROW.rstrip("\n")
    assert json.loads(example[1][0])["quantity"] == "0.007"


def test_check_config_of_a_map_that_makes_nothing_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "sample.csv").write_text(HEADER + ROW.replace(",1,", ",3,"))
    (tmp_path / "venue.toml").write_text(ORDERS)
    arguments = "--map", tmp_path / "venue.toml", "--sample", tmp_path / "sample.csv"
    done = brinkwatch("check-config", *arguments)
    assert done.returncode == 1
    assert "none of its words" in done.stdout
