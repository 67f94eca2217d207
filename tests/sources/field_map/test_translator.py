"""What rows become, rule by rule: a field of a source in, a field of the contract out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monitor.core.decode.validate import validate_record
from monitor.errors import ConfigError
from monitor.sources.settings import SourceSettings
from monitor.sources.translation import Translation
from monitor.sources.translators import make_translator

AT = 1_764_000_000_000
FIELDS = {
    "ts": {"field": "t", "unit": "ms"},
    "symbol": "s",
    "side": "side",
    "price": "px",
    "quantity": "qty",
    "fee": "fee",
}
ROW = {"t": AT, "s": "BTC", "side": "BUY", "px": "1.5", "qty": "2"}


def translate(
    row: Any, fields: dict[str, Any] | None = None, kind: Any = "fill", **settings: Any
) -> Translation:
    source = SourceSettings(kind=kind, fields=FIELDS if fields is None else fields, **settings)
    raw = row if isinstance(row, bytes) else json.dumps(row).encode()
    (result,) = make_translator("x", source).translate([raw])
    return result


def field(name: str, value: Any, rule: Any = None, **settings: Any) -> Any:
    """The contract's field `name` where the source has `value` for it, under the name `v`."""
    more = value if isinstance(value, dict) else {"v": value}
    fields = {**FIELDS, name: rule or "v"}
    result = translate({**ROW, **more}, fields, **settings)
    if result.refused is not None:
        return result.refused.reason, result.refused.detail
    record = json.loads(result.records[0][2], parse_float=str)
    return record.get(name)


def test_a_record_has_its_kind_and_the_symbol_as_key() -> None:
    ((kind, key, record),) = translate(ROW).records
    assert (kind, key) == ("fill", "BTC")
    assert not isinstance(validate_record(record, "fill"), tuple)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1.50", "1.50"), ("+1.5", "1.5"), ("007", 7), (".5", "0.5"), ("5.", 5), (" 2 ", 2),
        ("1.5E2", 150), (7, 7), ("1e-8", "0.00000001"), ("0.1234567890123456789", None),
    ],
)  # fmt: skip
def test_numbers_are_read_from_their_text(value: Any, number: Any) -> None:
    assert field("price", value) == (value if number is None else number)


def test_a_json_number_keeps_the_text_that_it_was_written_in() -> None:
    row = json.dumps(ROW).replace('"1.5"', "0.10000000000000000555").encode()
    assert b'"price":0.10000000000000000555' in translate(row).records[0][2]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1,234.5", "separators of thousands"), ("1'234", "separators of thousands"),
        ("1,5", "decimal comma"), ("abc", "no number"), (True, "no number"), ({}, "no single"),
        ("1_0", "no number"), ("Infinity", "no number"), ("0x10", "no number"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_in_words(value: Any, words: str) -> None:
    reason, detail = field("price", {"v": value})
    assert reason == "wrong_type"
    assert detail.startswith("price: 'v' is ")
    assert words in detail


@pytest.mark.parametrize("value", ["", "null", "NaN", "None", "\\N", None, "  "])
def test_texts_that_mean_absent_are_absent(value: Any) -> None:
    assert field("fee", value) is None
    assert field("quantity", value) == ("missing_field", "quantity: 'v' is absent")
    assert field("trade_id", value) is None
    assert field("liquidity", value) is None


def test_the_map_may_say_what_means_absent() -> None:
    assert field("fee", "n/a", null=["N/A"]) is None
    assert field("trade_id", "null", null=["N/A"]) == "null"


@pytest.mark.parametrize(
    ("rule", "row", "number"),
    [
        ({"field": "v", "times": "0.001"}, {"v": 7}, "0.007"),
        ({"field": "v", "times": 0.001}, {"v": "7"}, "0.007"),
        ({"field": "v", "times": {"BTC": "0.001"}}, {"v": "7"}, "0.007"),
        ({"field": "v", "times": {"ETH": "0.001", "*": "10"}}, {"v": "7"}, 70),
        ({"field": "v", "absolute": True}, {"v": "-7"}, 7),
        ({"field": "v", "times": "100", "over": "px"}, {"v": "3"}, 200),
        ({"field": "v", "times": "1", "over": "px"}, {"v": "1"}, "0.666666666666666667"),
        ({"field": "v", "sign": {"field": "w", "words": {"L": "+", "S": "-"}}},
         {"v": "7", "w": "s"}, -7),
    ],
)  # fmt: skip
def test_a_rule_changes_a_number_exactly(rule: Any, row: Any, number: Any) -> None:
    assert field("quantity", row, rule) == number


@pytest.mark.parametrize(
    ("rule", "row", "detail"),
    [
        ({"field": "v", "times": {"ETH": "1"}}, {"v": "7"}, "has no factor for the symbol 'BTC'"),
        ({"field": "v", "over": "w"}, {"v": "7", "w": "0"}, "its divisor, 'w', is 0"),
        ({"field": "v", "over": "w"}, {"v": "7"}, "its divisor, 'w', is absent"),
        ({"field": "v", "sign": {"field": "w", "words": {"L": "+"}}}, {"v": "7", "w": "X"},
         "its sign, 'w', is 'X', none of its words (l)"),
        ({"field": "v", "sign": {"field": "w", "words": {"L": "+"}}}, {"v": "7"},
         "its sign, 'w', is absent"),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_done_is_refused(rule: Any, row: Any, detail: str) -> None:
    assert field("quantity", row, rule)[1] == f"quantity: 'v' {detail}"


@pytest.mark.parametrize(("quantity", "side"), [("7", "buy"), ("-7", "sell"), ("-0.5", "sell")])
def test_a_negative_quantity_may_mean_sell(quantity: str, side: str) -> None:
    assert field("side", {"v": quantity}, {"sign_of": "v"}) == side


def test_the_sign_may_mean_the_opposite_and_zero_means_nothing() -> None:
    opposite = {"sign_of": "v", "words": {"+": "sell", "-": "buy"}}
    assert field("side", "7", opposite) == "sell"
    assert field("side", "0", {"sign_of": "v"})[0] == "bad_value"


@pytest.mark.parametrize(
    ("value", "rule", "word"),
    [
        ("sell", "v", "sell"), ("SELL", "v", "sell"),
        (1, {"field": "v", "words": {"1": "buy"}}, "buy"),
        ("b", {"field": "v", "words": {"B": "buy"}}, "buy"),
        (True, {"field": "v", "words": {"true": "buy", "false": "sell"}}, "buy"),
        ("x", {"field": "v", "words": {"B": "buy", "*": "sell"}}, "sell"),
    ],
)  # fmt: skip
def test_words_are_matched_as_text_without_case(value: Any, rule: Any, word: str) -> None:
    assert field("side", value, rule) == word


def test_a_word_may_mean_absent_and_an_unlisted_one_is_refused() -> None:
    rule = {"field": "v", "words": {"M": "maker", "*": ""}}
    assert field("liquidity", "?", rule) is None
    assert field("side", "hold")[1] == "side: 'v' is 'hold', none of its words (buy, sell)"


def test_words_of_free_text_rename_and_let_others_pass() -> None:
    rule = {"field": "v", "words": {"XBT": "BTC"}}
    assert field("symbol", "xbt", rule) == "BTC"
    assert field("symbol", "ETH", rule) == "ETH"


@pytest.mark.parametrize(
    ("value", "flag"), [("Y", True), ("no", False), (1, True), ("0", False), (True, True)]
)
def test_flags_are_read_in_their_usual_words(value: Any, flag: bool) -> None:
    row = {**ROW, "v": value}
    fields = {**FIELDS, "action": {"value": "new"}, "reduce_only": "v"}
    del fields["fee"]
    ((_, _, record),) = translate(row, fields, kind="order").records
    assert json.loads(record)["reduce_only"] is flag


@pytest.mark.parametrize(
    ("value", "unit", "ns"),
    [
        (AT, "ms", AT * 10**6), (str(AT), "ms", AT * 10**6),
        (f"{AT}.5", "ms", AT * 10**6 + 500_000), ("1.764E+12", "ms", AT * 10**6),
        (AT * 1000, "us", AT * 10**6), ("1764000000", "s", AT * 10**6),
        ("2025-11-24T16:00:00Z", "iso", AT * 10**6), (AT * 10**6, None, AT * 10**6),
    ],
)  # fmt: skip
def test_times_of_every_unit(value: Any, unit: str | None, ns: int) -> None:
    assert field("ts", value, {"field": "v", "unit": unit}) == ns


@pytest.mark.parametrize(
    ("value", "unit", "detail"),
    [
        ("yesterday", "ms", "is 'yesterday', not a number of ms"),
        ("2025-11-24T16:00:00Z", None, "not a time in ns (give its unit)"),
        (AT, "iso", "no ISO 8601 time"),
        ("2025-02-30", "iso", "day is out of range for month"),
    ],
)
def test_what_is_no_time_is_refused_in_words(value: Any, unit: str | None, detail: str) -> None:
    reason, words = field("ts", value, {"field": "v", "unit": unit})
    assert reason == "wrong_type"
    assert detail in words


def test_several_fields_make_one_text() -> None:
    rule = {"fields": ["a", "b.c"], "join": "/"}
    assert field("account", {"a": 7, "b": {"c": "x"}}, rule) == "7/x"
    assert field("account", {"a": 7}, rule) is None


def test_a_path_reaches_into_objects_and_lists_and_a_name_may_have_dots() -> None:
    assert field("price", {"v": {"p": [{"x": "3"}]}}, "v.p.0.x") == 3
    assert field("price", {"v": {"p": []}}, "v.p.0.x")[0] == "missing_field"
    assert field("price", {"v.p": "4", "v": {"p": "3"}}, "v.p") == 4


def test_a_text_with_quotes_and_other_scripts_stays_itself() -> None:
    for text in ('a"b', "a\\b", "账户", "é"):
        assert field("account", text) == text
        assert translate({**ROW, "s": text}).records[0][1] == text


def test_the_first_fault_in_the_contracts_order_is_the_reason() -> None:
    refused = translate({**ROW, "t": 5, "side": "hold"}).refused
    assert refused is not None
    assert refused.reason == "out_of_range"
    assert refused.detail.endswith("('t' in ms)")


def test_a_record_of_a_kind_that_is_not_mapped_is_skipped_by_its_word() -> None:
    kind = {"field": "type", "words": {"T": "fill"}}
    assert translate({**ROW, "type": "t"}, kind=kind).records
    assert translate({**ROW, "type": "Hello"}, kind=kind) == Translation(skipped="Hello")
    assert translate(ROW, kind=kind).refused.reason == "missing_field"  # type: ignore[union-attr]
    every = {"field": "type", "words": {"*": "fill"}}
    assert translate({**ROW, "type": "Hello"}, kind=every).records


def test_a_record_may_hold_several_in_a_list() -> None:
    trades = [{"px": "1", "qty": "1"}, {"px": "2", "qty": "1"}]
    message = {"s": "BTC", "side": "buy", "t": AT, "data": trades}
    assert [json.loads(r)["price"] for _, _, r in translate(message, unpack="data").records] == [
        1,
        2,
    ]
    assert translate({"event": "hello"}, unpack="data").skipped == "without data"
    trades[1]["px"] = "x"
    assert translate(message, unpack="data").refused is not None
    assert translate({"data": 7}, unpack="data").refused is not None
    assert translate({"data": []}, unpack="data").skipped == "without data"


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"b": [["1.5", "2"], ["1.4", 3, "x"]]}, "b"),
        ({"b": [{"p": "1.5", "q": "2"}, {"p": "1.4", "q": "3"}]},
         {"field": "b", "each": {"price": "p", "quantity": "q"}}),
        ({"p1": "1.5", "q1": "2", "p2": "1.4", "q2": "3", "p3": None, "q3": ""},
         {"levels": [1, 3], "each": {"price": "p{level}", "quantity": "q{level}"}}),
        ({"b": '[["1.5","2"],["1.4","3"]]'}, "b"),
        ({"b": [["1.5", 20], ["1.4", 30]]},
         {"field": "b",
          "each": {"price": "0", "quantity": {"field": "1", "times": {"BTC": "0.1"}}}}),
        ({"b": [["1.5", "2"], ["1.4", "3"], ["1.3", "9"]]}, {"field": "b", "first": 2}),
    ],
)  # fmt: skip
def test_the_side_of_a_book_in_every_form(row: Any, rule: Any) -> None:
    fields = {"ts": FIELDS["ts"], "symbol": "s", "bids": rule, "asks": {"each": {
        "price": "ask", "quantity": "size"}}}  # fmt: skip
    row = {**row, "t": AT, "s": "BTC", "ask": "1.6", "size": "9"}
    ((_, _, record),) = translate(row, fields, kind="book").records
    book = json.loads(record, parse_float=str)
    assert [[str(p), str(float(q)).removesuffix(".0")] for p, q in book["bids"]] == [
        ["1.5", "2"], ["1.4", "3"]
    ]  # fmt: skip
    assert book["asks"] == [["1.6", 9]]


@pytest.mark.parametrize(
    ("bids", "detail"),
    [
        (7, "bids: 'b' is 7, no list"),
        (None, "bids: 'b' is absent"),
        ([["1"]], "bids: 'b', member 0: quantity: '1' is absent"),
        ([["x", "1"]], "member 0: price: '0' is 'x', no number"),
    ],
)
def test_a_side_that_cannot_be_read_is_refused(bids: Any, detail: str) -> None:
    fields = {"ts": FIELDS["ts"], "symbol": "s", "bids": "b", "asks": "b"}
    refused = translate({"t": AT, "s": "BTC", "b": bids}, fields, kind="book").refused
    assert refused is not None
    assert detail in refused.detail


def test_an_index_has_its_sources_and_a_market_its_contract_and_tiers() -> None:
    fields = {
        "ts": FIELDS["ts"], "symbol": "s",
        "sources": {"field": "i", "each": {
            "name": "n", "price": "p", "ts": {"field": "t", "unit": "s"}}},
    }  # fmt: skip
    row = {"t": AT, "s": "BTC", "i": [{"n": "X", "p": "1.5", "t": AT // 1000}]}
    ((_, _, record),) = translate(row, fields, kind="mark").records
    assert not isinstance(validate_record(record, "mark"), tuple)
    fields = {
        "ts": FIELDS["ts"], "symbol": "s", "about": {"value": "market"},
        "contract": {"type": {"value": "inverse"}, "size": "cs"},
        "tiers": {"field": "b", "each": {"lower_bound": "f", "maintenance_rate": "m"}},
    }  # fmt: skip
    row = {"t": AT, "s": "BTC", "cs": "100", "b": [{"f": "0", "m": "0.01"}]}
    ((_, _, record),) = translate(row, fields, kind="reference").records
    assert not isinstance(validate_record(record, "reference"), tuple)
    assert json.loads(record)["contract"] == {"type": "inverse", "size": 100}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": None}, "say which kind its records are"),
        ({"kind": {"value": "fill", "field": "t"}}, "give one kind for all records, or a field"),
        ({"fields": {}}, "a record of the kind fill needs ts; add ts = "),
        ({"fields": {**FIELDS, "pric": "x"}}, "fill has no such field; did you mean price?"),
        ({"by_kind": {"order": {}}}, "the source's records are fill only"),
        ({"by_kind": {"fill": {"action": "x"}}}, "source.x.by_kind.fill.action: fill has no such"),
        ({"fields": {**FIELDS, "side": {"value": "byu"}}}, "did you mean buy?"),
        ({"fields": {**FIELDS, "side": {"field": "a", "words": {"1": "by"}}}}, "did you mean buy?"),
        ({"fields": {**FIELDS, "side": {"field": "a", "times": "2"}}}, "times is for numbers"),
        ({"fields": {**FIELDS, "fee": {"field": "a", "each": {"b": "c"}}}}, "each is for lists"),
        ({"fields": {**FIELDS, "fee": {"field": "a", "join": "/"}}}, "join joins"),
        ({"fields": {**FIELDS, "ts": {"value": "x"}}}, "not a time in ns"),
        ({"zone": "Mars"}, "no time zone 'Mars'"),
        ({"format": "jsn"}, "no format 'jsn'; did you mean json?"),
        ({"format": "dydx"}, "dydx knows its venue's records"),
        ({"format": "parquet", "topic": "t"}, "parquet is a format of files"),
        ({"format": "csv", "topic": "t"}, "have no header"),
    ],
)  # fmt: skip
def test_a_map_that_cannot_be_right_is_an_error(change: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {"kind": "fill", "fields": FIELDS, **change}
    with pytest.raises(ConfigError) as error:
        make_translator("x", SourceSettings(**given))
    assert sentence in str(error.value)


def test_a_venues_adapter_is_a_format() -> None:
    translator = make_translator("x", SourceSettings(format="dydx"))
    taker = {
        "kind": "taker", "ts_ms": AT, "pair": "BTC-USD", "owner": "a", "sub": 0, "client_id": 1,
        "flags": 0, "side": "BUY", "price": "1", "size": "2",
    }  # fmt: skip
    lines = [json.dumps(taker).encode(), b'{"kind": "hello", "ts_ms": 1}', b"x"]
    first, second, third = translator.translate(lines)
    assert [(kind, key) for kind, key, _ in first.records] == [("order", "BTC-USD")]
    assert second.skipped == "of the kind hello, which is not needed"
    assert third.refused is not None
