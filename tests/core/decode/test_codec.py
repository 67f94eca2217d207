"""The scanner and the judge are one decoder, and canonical JSON is its inverse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from monitor.core.contract import events, stepped
from monitor.core.decode.batch import ABSENT, Batch
from monitor.core.decode.codec import (
    REASONS,
    UNKNOWN,
    batch_from_events,
    decode,
    encode,
    kind_of,
    scan,
    validate_record,
)
from monitor.core.decode.stepped_kernels import to_floats
from tests.core.strategies import KINDS, anything, canonical, compact, hostile, kinds, spelt

thorough = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TS = 1_764_000_000_000_000_000
ORDER = {"kind": "order", "ts": TS, "symbol": "X", "side": "buy", "quantity": "1", "action": "new"}


def values(b: Batch) -> dict[str, Any]:
    """All that a batch says, in plain Python, to compare."""
    ladders = {
        name: (x.offset.tolist(), x.price.tolist(), x.quantity.tolist())
        for name, x in b.ladders.items()
    }
    return {
        "place": (b.kind, b.topic, b.partition, b.offset.tolist()),
        **{name: x.tolist() for name, x in b.numbers.items()},
        **{name: x.to_strings() for name, x in b.texts.items()},
        **ladders,
        "refused": b.refused,
    }


def read(kind: str, *raws: bytes) -> Batch:
    return decode(kind, "t", 3, np.arange(len(raws)) * 2 + 10, raws)


def order(**fields: Any) -> bytes:
    return compact({k: v for k, v in {**ORDER, **fields}.items() if v is not ...})


@given(st.data())
@thorough
def test_scanner_and_judge_accept_and_refuse_the_same_bytes_alike(data: st.DataObject) -> None:
    kind = data.draw(kinds)
    raws = data.draw(st.lists(anything(kind), max_size=6))
    verdicts = [validate_record(raw, kind) for raw in raws]
    good = [i for i, v in enumerate(verdicts) if isinstance(v, BaseModel)]
    offset = np.arange(len(raws)) * 2 + 10
    expected = batch_from_events(kind, "t", 3, offset[good], [verdicts[i] for i in good])
    got = decode(kind, "t", 3, offset, raws)
    refused = {r.offset: (r.reason, r.detail, r.raw) for r in got.refused}
    got.refused.clear()
    assert values(got) == values(expected)
    assert refused == {
        10 + 2 * i: (*v, raws[i]) for i, v in enumerate(verdicts) if isinstance(v, tuple)
    }
    assert all(v[0] in REASONS and v[1].isascii() for v in verdicts if isinstance(v, tuple))


@given(st.data())
@thorough
def test_encoding_is_the_inverse_of_decoding(data: st.DataObject) -> None:
    kind = data.draw(kinds)
    made = data.draw(st.lists(canonical(kind), max_size=5))
    b = batch_from_events(kind, "t", 0, np.arange(len(made)), made)
    raws = encode(b)
    assert values(decode(kind, "t", 0, b.offset, raws)) == values(b)
    assert encode(decode(kind, "t", 0, b.offset, raws)) == raws
    assert [kind_of(raw) for raw in raws] == [kind] * len(raws)


@given(st.one_of(hostile, kinds.flatmap(anything)))
@thorough
def test_what_the_cheap_look_calls_unknown_is_refused(raw: bytes) -> None:
    kind, verdict = kind_of(raw), validate_record(raw, None)
    if isinstance(verdict, BaseModel):
        assert kind == verdict.kind  # type: ignore[attr-defined]
    elif kind is None:
        assert decode(UNKNOWN, UNKNOWN, 0, np.array([5]), [raw]).refused[0].reason == verdict[0]


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "reference"])
def test_scanner_leaves_no_plain_record_open(kind: str) -> None:
    @given(spelt(kind))
    @settings(thorough, max_examples=100)
    def holds(raw: bytes) -> None:
        verdict = validate_record(raw, kind)
        if isinstance(verdict, BaseModel) and getattr(verdict, "sources", None) is None:
            plain = encode(batch_from_events(kind, "t", 0, np.arange(1), [verdict]))[0]
            small = len(plain) < 400 and b"\\" not in plain and plain.isascii()
            if small and all(abs(x) < 10**17 for x in _grid_values(verdict)):
                assert not scan(kind, [plain]).undecided[0], plain

    holds()


def _grid_values(event: BaseModel) -> list[int]:
    skip = ("ts", "placed_ts", "seq", "funding_interval_s")
    found = [v for k, v in event if isinstance(v, int) and k not in skip]
    price, quantity = getattr(event, "price", None), getattr(event, "quantity", None)
    if price and quantity and price * quantity > 10**27:  # nearer to the bound than is certain
        found.append(10**17)
    for side in ("bids", "asks"):
        found += [v for level in getattr(event, side, ()) for v in level]
    return found


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("151.25", 15_125_000_000),
        ("0.000000005", 0),
        ("0.000000015", 2),
        ("0.0000000050000000000000000000000000000000000001", 1),
        ("92233720368.54775807", 2**63 - 1),
        ("1.000000014999999999999999999999999", 100_000_001),
        ("9.99999999999", 1_000_000_000),
        ("1e-7", 10),
        ("1E2", 10_000_000_000),
    ],
)
@pytest.mark.parametrize("quoted", [True, False])
def test_a_number_is_read_from_its_text_half_to_even(text: str, units: int, quoted: bool) -> None:
    number = f'"{text}"' if quoted else text
    raw = f'{{"kind":"mark","ts":{TS},"symbol":"X","funding_rate":{number}}}'.encode()
    assert read("mark", raw).numbers["funding_rate"].tolist() == [units]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b" " * (events.RECORD_BYTES_MAX + 1), "too_large"),
        (order(symbol="x" * 10_000_000), "too_large"),
        (order(symbol="é")[:-80], "not_json"),
        (order(symbol="ab").replace(b"ab", b"\xc3"), "not_utf8"),
        (order(symbol="ab").replace(b"ab", b"\xed\xa0\x80"), "not_utf8"),
        (b"[" * 100_000, "not_json"),
        (order(x=0).replace(b":0", b":" + b"[" * 40 + b"]" * 40), "not_json"),
        (order(quantity=0).replace(b":0", b":NaN"), "not_json"),
        (order(quantity=0).replace(b":0", b":-Infinity"), "not_json"),
        (order(quantity=0).replace(b":0", b":01"), "not_json"),
        (order() + b"{}", "not_json"),
        (b"[1]", "not_object"),
        (order()[:-1] + b',"side":"buy"}', "duplicate_key"),
        (order()[:-1] + b',"x":1,"x":1}', "duplicate_key"),
        (order()[:-1] + b',"x":{"y":1,"y":2}}', "duplicate_key"),
        (order(kind="orders"), "unknown_kind"),
        (order(kind="cancel"), "wrong_kind"),
        (order(kind=...), "missing_field"),
        (order(kind=None), "wrong_type"),
        (order(side=...), "missing_field"),
        (order(side=None), "wrong_type"),
        (order(side=1), "wrong_type"),
        (order(side="Buy"), "bad_value"),
        (order(ts=str(TS)), "wrong_type"),
        (order(ts=float(TS)), "wrong_type"),
        (order(ts=TS // 1_000_000), "out_of_range"),
        (order(ts=10**30), "out_of_range"),
        (order(quantity="0"), "out_of_range"),
        (order(quantity="0.000000004"), "out_of_range"),
        (order(quantity="1e999"), "out_of_range"),
        (order(quantity="0." + "1" * 63), "out_of_range"),
        (order(quantity="1000000", price="1000000.1"), "out_of_range"),
        (order(quantity="NaN"), "wrong_type"),
        (order(quantity=True), "wrong_type"),
        (order(quantity=["1"]), "wrong_type"),
        (order(reduce_only=1), "wrong_type"),
        (order(symbol=5), "wrong_type"),
        (order(symbol=""), "bad_text"),
        (order(symbol="a b"), "bad_text"),
        (order(symbol="x" * 129), "bad_text"),
        (order(symbol="a\u202eb"), "bad_text"),
        (order(symbol="ab").replace(b"ab", b"\\ud800"), "bad_text"),
        (order(symbol="ab").replace(b"ab", b"\\u0000"), "bad_text"),
        (order(symbol="ab").replace(b"ab", b"\x00"), "not_json"),
    ],
)
def test_each_fault_has_its_reason(raw: bytes, reason: str) -> None:
    (refused,) = read("order", raw).refused
    assert (refused.reason, refused.raw, refused.topic) == (reason, raw, "t")
    assert (refused.partition, refused.offset) == (3, 10)
    assert len(refused.detail) < 300


@pytest.mark.parametrize(
    ("bids", "asks", "reason"),
    [
        ([["1", "1"], ["2", "1"]], [], "book_order"),
        ([], [["2", "1"], ["1", "1"]], "book_order"),
        ([["1", "1"]] * 51, [], "too_many"),
        ([["1", "0"]], [], "out_of_range"),
        ([["1"]], [], "missing_field"),
        ([["1", "1", "1"]], [], "too_many"),
        ("", [], "wrong_type"),
        ({}, [], "wrong_type"),
        ([], None, "wrong_type"),
    ],
)
def test_each_fault_of_a_book_has_its_reason(bids: Any, asks: Any, reason: str) -> None:
    raw = compact({"kind": "book", "ts": TS, "symbol": "X", "bids": bids, "asks": asks})
    assert [r.reason for r in read("book", raw).refused] == [reason]


def test_every_reason_that_is_named_can_happen() -> None:
    marks = [
        *test_each_fault_has_its_reason.pytestmark,
        *test_each_fault_of_a_book_has_its_reason.pytestmark,
    ]
    assert {case[-1] for mark in marks for case in mark.args[1]} == set(REASONS)


def test_detail_names_the_field_and_what_was_seen() -> None:
    raw = order(price="-1")
    assert validate_record(raw, "order") == (
        "out_of_range",
        "price: Input should be greater than 0, saw '-1'",
    )
    long = validate_record(order(side="\x1b[31m" + "x" * 1000), "order")
    assert isinstance(long, tuple)
    assert "\x1b" not in long[1]
    assert len(long[1]) < 150


def test_refused_and_judged_records_leave_the_others_in_place() -> None:
    raws = [order(seq=0), b"?", order(seq=1, symbol="é"), order(seq=2, price=2.5), b"{}"]
    b = read("order", *raws)
    assert b.offset.tolist() == [10, 14, 16]
    assert b.numbers["seq"].tolist() == [0, 1, 2]
    assert b.numbers["price"].tolist() == [ABSENT, ABSENT, stepped.quantise("2.5")]
    assert b.texts["symbol"].to_strings() == ["X", "é", "X"]
    assert [r.offset for r in b.refused] == [12, 18]


def test_a_book_that_the_judge_reads_stands_between_its_neighbours() -> None:
    def book(symbol: str, *bids: str) -> bytes:
        levels = [[p, "1"] for p in bids]
        return compact({"kind": "book", "ts": TS, "symbol": symbol, "bids": levels, "asks": []})

    b = read("book", book("A", "3", "2"), book("é", "9"), book("B", "1", "5"), book("C", "4"))
    assert b.ladders["bids"].offset.tolist() == [0, 2, 3, 4]
    assert to_floats(b.ladders["bids"].price).tolist() == [3, 2, 9, 4]
    assert b.ladders["asks"].offset.tolist() == [0, 0, 0, 0]


def test_a_record_never_reads_on_into_the_next() -> None:
    whole = order()
    for cut in range(len(whole)):
        b = read("order", whole[:cut], whole[cut:])
        assert (len(b), len(b.refused)) == (0, 2) if cut else (1, 1)


def test_an_empty_batch_is_a_batch() -> None:
    for kind in KINDS:
        b = read(kind)
        assert (len(b), b.refused, encode(b)) == (0, [], [])


def test_offsets_that_do_not_match_the_records_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="as many offsets"):
        decode("order", "t", 0, np.arange(2), [b""])
    with pytest.raises(ValueError, match="known kind"):
        decode(UNKNOWN, UNKNOWN, 0, np.arange(1), [order()])


def test_a_number_out_of_range_costs_itself_where_the_record_may_do_without() -> None:
    mark = {"kind": "mark", "ts": TS, "symbol": "X", "mark": "2"}
    b = read(
        "mark",
        compact({**mark, "open_interest": "1e17", "index": "0", "funding_rate": "1e12"}),
        compact({**mark, "open_interest": "-1"}),
        compact({**mark, "open_interest": "1e15"}),
    )
    assert b.refused == []
    assert b.numbers["mark"].tolist() == [stepped.quantise("2")] * 3
    assert b.numbers["open_interest"].tolist() == [ABSENT, ABSENT, stepped.quantise("1e15")]
    assert b.left_out == {"mark.open_interest": 2, "mark.index": 1, "mark.funding_rate": 1}
    words = read("mark", compact({**mark, "open_interest": "many", "index": "0"}))
    assert [r.reason for r in words.refused] == ["out_of_range"]


def test_an_order_without_its_price_would_be_another_order() -> None:
    b = read("order", order(price="1e17"), order(price="0"), order(seq=-1))
    assert [r.reason for r in b.refused] == ["out_of_range", "out_of_range"]
    assert b.left_out == {"order.seq": 1}


def test_levels_that_fall_together_on_the_grid_are_added_up() -> None:
    levels = [["1.000000004", "0.5"], ["1.000000001", "2"], ["0.9", "1"]]
    b = read("book", compact({"kind": "book", "ts": TS, "symbol": "X", "bids": levels, "asks": []}))
    bids = b.ladders["bids"]
    assert bids.offset.tolist() == [0, 2]
    assert [stepped.format_code(c) for c in bids.price.tolist()] == ["1", "0.9"]
    assert [stepped.format_code(c) for c in bids.quantity.tolist()] == ["2.5", "1"]
