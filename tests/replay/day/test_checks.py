"""A damaged day is refused in words, whatever is damaged and even where its sha256s fit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError

from monitor.core.contract.events import TS_MIN, Mark
from monitor.core.contract.stepped import ONE, quantise
from monitor.core.decode import codec
from monitor.core.decode.batch import Batch
from replay.day import Day, DayError, DayWriter
from replay.day.layout import CONTROL, META, PARTITIONS_MAX, REFUSED
from tests.replay.day.damage import PART, content_of, edit_table, seal, with_column

T0 = 1_700_000_000_000_000_000
S = 1_000_000_000
ROWS = 4


def decoded(kind: str, topic: str, lines: list[dict[str, Any]]) -> Batch:
    raws = [json.dumps({"kind": kind, **line}).encode() for line in lines]
    return codec.decode(kind, topic, 0, pa.array(range(len(raws))).to_numpy(), raws)


def write(path: Path) -> Path:
    order = {"symbol": "A", "side": "buy", "price": "2000", "quantity": "1", "action": "new"}
    orders = [{**order, "ts": T0 + i * S, "order_id": f"o{i}"} for i in range(ROWS)]
    levels = {"bids": [["9", "1"], ["8", "1"]], "asks": [["10", "1"], ["11", "1"]]}
    books = [{"ts": T0 + i * S, "symbol": "A", **levels} for i in range(ROWS)]
    rule = {"ts": T0, "about": "insurance_fund", "amount": "5"}
    source = {"name": "x", "price": "9", "ts": T0}
    marks = [{"ts": T0, "symbol": "A", "index": "9", "sources": [source]}, {"ts": 1, "symbol": "A"}]
    with DayWriter(path, venue="test") as day:
        day.write(decoded("order", "orders", orders))
        day.write(decoded("book", "books", books))
        day.write(decoded("reference", "reference", [rule]))
        day.write(decoded("mark", "marks", marks))
    return path


@pytest.fixture
def day(tmp_path: Path) -> Path:
    return write(tmp_path / "day")


def refusal(path: Path) -> str:
    with pytest.raises(DayError) as caught:
        content_of(path)
    return str(caught.value)


def test_the_day_of_these_tests_is_sound_and_has_a_refused_record(day: Path) -> None:
    assert content_of(day) == content_of(day)
    assert Day(day).meta.refused == {"out_of_range": 1}
    seal(day)
    edit_table(day, PART, lambda table: table)
    assert content_of(day) == content_of(write(day.parent / "again"))


@pytest.mark.parametrize("name", [PART, CONTROL, REFUSED, "book/part-00000.parquet"])
def test_a_changed_byte_of_any_file_is_refused_before_a_record_is_read(
    day: Path, name: str
) -> None:
    whole = (day / name).read_bytes()
    for at in (4, len(whole) // 2, len(whole) - 6):
        (day / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert f"{name} is damaged (its sha256 differs)" in refusal(day)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("ts", [T0, None, T0, T0], "other columns"),
        ("ts", [T0, -(2**62), T0, T0], "beyond the contract's bounds"),
        ("ts", [T0, TS_MIN - 1, T0, T0], "beyond the contract's bounds"),
        ("offset", [0, 1, 1, 3], "they do not rise"),
        ("offset", [0, 2, 1, 3], "they do not rise"),
        ("offset", [-1, 1, 2, 3], "not from 0 to below 4"),
        ("offset", [0, 1, 2, 4], "not from 0 to below 4"),
        ("price", [1, 0, 1, 1], "beyond the contract's bounds"),
        ("quantity", [ONE, quantise("1e15"), ONE, ONE], "out_of_range"),
        ("quantity", [ONE, 2**62, ONE, ONE], "beyond the contract's bounds"),
        ("quantity", [ONE, ONE - 1, ONE, ONE], "more than 8 places"),
        ("side", ["buy", "up", "buy", "buy"], "side: 'up'"),
        ("symbol", ["A", "", "A", "A"], "empty, too long"),
        ("symbol", ["A", "A\x1b[2J", "A", "A"], "cannot be shown"),
        ("order_id", ["x" * 129] * 4, "too long"),
        ("topic", ["orders", "books", "orders", "orders"], "another topic"),
        ("partition", [0, 1, 0, 0], "another partition"),
    ],
)
def test_a_column_that_breaks_the_contract_is_refused_though_the_sha256_fits(
    day: Path, name: str, values: list[Any], words: str
) -> None:
    edit_table(day, PART, with_column(name, values))
    assert words in refusal(day)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("bids_price", [[9, 8], [8, 9], [9, 8], [9, 8]], "not best first"),
        ("asks_price", [[9, 9], [8, 9], [8, 9], [8, 9]], "not best first"),
        ("bids_price", [[9, 8], [9, 0], [9, 8], [9, 8]], "not above 0"),
        ("bids_price", [[9], [9, 8], [9, 8], [9, 8]], "differ in number"),
        ("bids_price", [list(range(60, 0, -1))] * 4, "values in 4 rows|differ in number"),
    ],
)
def test_books_that_are_no_ladders_are_refused(
    day: Path, name: str, values: list[Any], words: str
) -> None:
    edit_table(day, "book/part-00000.parquet", with_column(name, values))
    assert any(part in refusal(day) for part in words.split("|"))


def test_nested_json_is_judged_by_the_contract(day: Path) -> None:
    edit_table(day, "mark/part-00000.parquet", with_column("sources", ["[" * 100_000]))
    assert "is damaged" in refusal(day)


@pytest.mark.parametrize("payload", ["", "{", '{"kind":"reference","about":"market","ts":1}'])
def test_rules_are_judged_by_the_contract(day: Path, payload: str) -> None:
    edit_table(day, "reference/part-00000.parquet", with_column("payload", [payload]))
    assert "is damaged" in refusal(day)


def _drop_first(table: pa.Table) -> pa.Table:
    return table.slice(1)


def _add_column(table: pa.Table) -> pa.Table:
    return table.append_column("more", pa.array([1] * table.num_rows))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_drop_first, "3 rows, and 4 by day.json"),
        (_add_column, "other columns"),
        (lambda table: table.drop_columns(["price"]), "other columns"),
        (with_column("price", [1.5] * 4, pa.float64()), "other columns"),
        (with_column("price", [[1]] * 4, pa.list_(pa.int64())), "other columns"),
        (with_column("ts", ["x"] * 4, pa.string()), "other columns"),
    ],
)
def test_other_rows_columns_and_types_are_refused(
    day: Path, change: Callable[[pa.Table], pa.Table], words: str
) -> None:
    edit_table(day, PART, change)
    assert words in refusal(day)


def _partition(value: int) -> Callable[[dict[str, Any]], None]:
    def change(meta: dict[str, Any]) -> None:
        meta["partitions"][0]["partition"] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_partition(10**6), f"partitions are from 0 to {PARTITIONS_MAX - 1}"),
        (_partition(-1), "partitions are from 0"),
        (lambda m: m["records"].update(order=3), "differ in number"),
        (lambda m: m["refused"].update(empty=1), "rows, and 2 by day.json"),
        (lambda m: m["partitions"].append(m["partitions"][0]), "each file once|there twice"),
        (lambda m: m["files"].pop(CONTROL), "each file once"),
        (lambda m: m.update(span=[T0, T0 - 1, T0]), "a span that is no time"),
        (lambda m: m.update(span=None), "records without a span"),
        (lambda m: m["files"].update({"../x": {"bytes": 0, "sha256": ""}}), "No such file"),
    ],
)
def test_a_day_json_that_contradicts_itself_is_refused(
    day: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    if "No such" in words:
        (day.parent / "x").touch()
        words = "which no recorded day has"
    seal(day, change)
    assert any(part in refusal(day) for part in words.split("|"))


@pytest.mark.parametrize(
    "document",
    [b"", b"{", b"[]", b"\xff\xfe{", b'{"format":' * 100_000, b"[" * 100_000, b'{"format":"2"}'],
)
def test_a_day_json_of_anything_is_refused(day: Path, document: bytes) -> None:
    (day / META).write_bytes(document)
    assert "is no recorded day: day.json" in refusal(day)


def test_a_changed_note_of_day_json_is_refused(day: Path) -> None:
    text = (day / META).read_text()
    (day / META).write_text(text.replace('"venue": "test"', '"venue": "best"'))
    assert "day.json was changed after it was written" in refusal(day)


def test_what_is_no_file_in_the_place_of_one_is_refused(day: Path) -> None:
    (day / PART).unlink()
    (day / PART).mkdir()
    assert "is missing" in refusal(day)
    (day / PART).rmdir()
    os.mkfifo(day / PART)
    assert "is missing" in refusal(day)
    (day / PART).unlink()
    (day / PART).symlink_to(day / PART)
    assert "is missing" in refusal(day)


def test_a_link_to_the_same_bytes_and_a_further_file_change_nothing(day: Path) -> None:
    before = content_of(day)
    (day / PART).rename(day.parent / "elsewhere")
    (day / PART).symlink_to(day.parent / "elsewhere")
    (day / "order/part-00001.parquet").write_bytes(b"PAR1")
    assert content_of(day) == before


def test_controls_of_what_is_not_there_are_refused(day: Path) -> None:
    count = len(Day(day).controls())
    edit_table(day, CONTROL, with_column("offset", [-1] * count))
    assert "a control record of no place" in refusal(day)
    write(day.parent / "other")
    edit_table(day.parent / "other", CONTROL, with_column("partition", [7] * count))
    assert "is damaged" in refusal(day.parent / "other")


def test_tables_for_users_are_checked_too(day: Path) -> None:
    assert Day(day).to_arrow("order")["price"].to_pylist() == [2000.0] * 4
    edit_table(day, PART, with_column("price", [0] * 4))
    with pytest.raises(DayError, match="beyond the contract's bounds"):
        Day(day).to_arrow("order")


def test_a_control_record_may_be_behind_the_last_record(tmp_path: Path) -> None:
    with DayWriter(tmp_path / "day", venue="test") as day:
        day.declare("order", "orders", 0, 3)
        day.control("orders", 0, 9, T0)
    assert [c.offset for c in Day(tmp_path / "day").controls()] == [9]


def test_a_day_of_more_partitions_than_can_be_read_is_not_written(tmp_path: Path) -> None:
    with (
        pytest.raises(DayError, match="at most 1024 partitions"),
        DayWriter(tmp_path / "day", venue="test") as day,
    ):
        day.declare("order", "orders", PARTITIONS_MAX)
    assert list(tmp_path.iterdir()) == []


ODD_SOURCES = [
    "[]", "null", "[1]", "{}", "[{}]", "[[]]", "[",
    *(
        f'[{{"name":{name},"price":{price},"ts":{ts}{more}}}]'
        for name, price, ts, more in [
            ('"x"', '"9.5"', T0, ""), ('"x"', '"0.5"', T0, ',"more":[1]'), ('"x"', "9.5", T0, ""),
            ('"é"', '"9"', T0, ""), ('""', '"9"', T0, ""), ('"a b"', '"9"', T0, ""),
            ('"x"', '"0"', T0, ""), ('"x"', '"0.0"', T0, ""), ('"x"', '"-1"', T0, ""),
            ('"x"', '"01"', T0, ""), ('"x"', '"1e3"', T0, ""), ('"x"', '"1e99"', T0, ""),
            ('"x"', '"9\\n"', T0, ""), ('"x"', '"9."', T0, ""), ('"x"', f'"{10**17}"', T0, ""),
            ('"x"', '"0.0000000000000000001"', T0, ""), ('"x"', '"9"', 5, ""),
            ('"x"', '"9"', f'"{T0}"', ""), ('"x"', '"9"', 2**63, ""), ('"x"', '"9"', T0, ',"ts":1'),
            (f'"{"x" * 128}"', '"9"', T0, ""), (f'"{"x" * 129}"', '"9"', T0, ""),
        ]
    ),
    "[" + ",".join([f'{{"name":"x","price":"9","ts":{T0}}}'] * 64) + "]",
    "[" + ",".join([f'{{"name":"x","price":"9","ts":{T0}}}'] * 65) + "]",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD_SOURCES)
def test_sources_are_refused_where_the_model_of_marks_refuses_them(day: Path, text: str) -> None:
    model = TypeAdapter(Mark.model_fields["sources"].annotation)
    edit_table(day, "mark/part-00000.parquet", with_column("sources", [text]))
    try:
        model.validate_json(text)
    except ValidationError:
        assert "is damaged" in refusal(day)
    else:
        content_of(day)


@pytest.mark.parametrize(
    ("text", "sound"),
    [("\x1f", False), ("\x7f", False), ("a b", False), ("~!", True), ("é", True),
     ("\u202e", False), ("é" * 128, True), ("é" * 129, False), ("x" * 129, False), ("", False)],
)  # fmt: skip
def test_ids_are_text_that_can_be_shown_in_ascii_and_beyond(
    day: Path, text: str, sound: bool
) -> None:
    edit_table(day, PART, with_column("order_id", ["o1", text, None, "o2"]))
    if sound:
        content_of(day)
    else:
        assert "text that is empty, too long or cannot be shown" in refusal(day)
