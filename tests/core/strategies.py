"""Hypothesis strategies: canonical events of every kind, their bytes in many spellings, and the
hostile bytes that the decoder must survive."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from monitor.core.contract import events, fixed_point, stepped
from monitor.core.decode.batch import COLUMNS, Column
from monitor.core.decode.codec import validate_record

KINDS = sorted(COLUMNS)
kinds = st.sampled_from(KINDS)

_WORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
_SHOWN = st.text(st.sampled_from('aZ09-/:_"\\éßж中𝕏'), min_size=1, max_size=8)
texts = st.one_of(_WORDS, _SHOWN, st.just("x" * events.TEXT_MAX))
times = st.integers(events.TS_MIN, events.TS_MAX - 1)


def _units(low: int, high: int) -> st.SearchStrategy[int]:
    """Integers of a grid, most of them of a size seen in markets."""
    usual = st.integers(max(low, -(10**14)), min(high, 10**14))
    return st.one_of(usual, usual, st.integers(low, high), st.sampled_from([low, high]))


def _codes(low: int, high: int) -> st.SearchStrategy[int]:
    """Codes of stepped decimals, most of them of a size seen in markets."""
    usual = st.integers(max(low, stepped.PLAIN_FROM), min(high, stepped.PLAIN_FROM + 10**14))
    cheap = st.integers(max(low, 1), 10**14)
    return st.one_of(usual, usual, cheap, st.integers(low, high), st.sampled_from([low, high]))


def _quantity_text(code: int) -> str:
    """Quantities below 1 have 8 places."""
    return stepped.format_code(stepped.quantise(stepped.format_code(code), stepped.PLAIN))


def _value(column: Column) -> st.SearchStrategy[Any]:
    if column.type == "time":
        return times
    if column.type == "count":
        return _units(column.low, column.high)
    if column.type == "price":
        return _codes(column.low, column.high).map(stepped.format_code)
    if column.type == "quantity":
        return _codes(max(column.low, 10**10), column.high).map(_quantity_text)
    if column.type in ("e8", "e6"):
        scale = fixed_point.SCALE if column.type == "e8" else fixed_point.MONEY_SCALE
        return _units(column.low, column.high).map(
            lambda units: fixed_point.format_decimal(units, scale)
        )
    if column.type == "flag":
        return st.booleans()
    if column.type == "enum":
        return st.sampled_from(column.values)
    if column.type == "ladder":
        return ladders(falling=column.name == "bids")
    if column.type == "json":
        return st.lists(_SOURCES, max_size=4)
    return texts


@st.composite
def ladders(draw: st.DrawFn, falling: bool) -> list[list[str]]:
    """One side of a book, best first."""
    prices = draw(st.lists(_codes(1, stepped.CODE_MAX), max_size=events.LEVELS_MAX, unique=True))
    sizes = draw(
        st.lists(_codes(10**10, stepped.CODE_MAX), min_size=len(prices), max_size=len(prices))
    )
    prices.sort(reverse=falling)
    levels = zip(prices, sizes, strict=True)
    return [[stepped.format_code(p), _quantity_text(q)] for p, q in levels]


_PRICES = st.integers(1, 10**14).map(
    lambda units: fixed_point.format_decimal(units, fixed_point.SCALE)
)
_MONEY = st.integers(-(10**14), 10**14).map(
    lambda units: fixed_point.format_decimal(units, fixed_point.MONEY_SCALE)
)
_SHARES = st.integers(0, fixed_point.SCALE).map(
    lambda units: fixed_point.format_decimal(units, fixed_point.SCALE)
)
_NOTIONALS = st.integers(0, 10**15).map(
    lambda units: fixed_point.format_decimal(units, fixed_point.MONEY_SCALE)
)
_SOURCES = st.fixed_dictionaries({"name": texts, "price": _PRICES, "ts": times})
_TIERS = st.fixed_dictionaries(
    {"lower_bound": _NOTIONALS, "maintenance_rate": _SHARES}, optional={"initial_rate": _SHARES}
)
_CONTRACTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["linear", "inverse", "quanto"])},
    optional={"size": _PRICES, "multiplier": _PRICES, "settles_in": texts},
)
_BASE = {"kind": st.just("reference"), "ts": times}
_REFERENCES = st.one_of(
    st.fixed_dictionaries(
        {**_BASE, "symbol": texts, "about": st.just("market")},
        optional={
            "tick": _PRICES,
            "lot": _PRICES,
            "tiers": st.lists(_TIERS, max_size=4),
            "contract": _CONTRACTS,
        },
    ),
    st.fixed_dictionaries(
        {
            **_BASE,
            "symbol": texts,
            "about": st.just("position"),
            "account": texts,
            "quantity": _MONEY,
            "entry_price": _PRICES,
            "margin_mode": st.sampled_from(["cross", "isolated"]),
        },
        optional={"leverage": _PRICES, "isolated_margin": _MONEY},
    ),
    st.fixed_dictionaries(
        {**_BASE, "about": st.just("insurance_fund"), "amount": _MONEY},
        optional={"symbol": texts, "seq": st.integers(0, fixed_point.INT64_MAX)},
    ),
)


def _bounded(record: dict[str, Any]) -> bool:
    if record["kind"] not in ("order", "cancel", "fill"):
        return True
    price, size = (float(record.get(name, 0)) for name in ("price", "quantity"))
    return price * size < events.NOTIONAL_MAX * 0.99


def records(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """Valid records of a kind, as what JSON would hold."""
    if kind == "reference":
        return _REFERENCES
    columns = COLUMNS[kind]
    return st.fixed_dictionaries(
        {"kind": st.just(kind), **{c.name: _value(c) for c in columns if c.required}},
        optional={c.name: _value(c) for c in columns if not c.required},
    ).filter(_bounded)


def compact(value: Any) -> bytes:
    """The record as plain JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def canonical(kind: str) -> st.SearchStrategy[BaseModel]:
    """Valid events of a kind, as models."""

    def event(record: dict[str, Any]) -> BaseModel:
        made = validate_record(compact(record), kind)
        assert isinstance(made, BaseModel), made
        return made

    return records(kind).map(event)


# Numbers at the edges of the grid: many digits, ties, exponents, forms that JSON does not have.
_DIGITS = st.text("0123456789", min_size=1, max_size=24)
_TIES = st.builds(
    lambda sign, whole, kept, tail: f"{sign}{whole}.{kept}{tail}",
    st.sampled_from(["", "-"]),
    st.integers(0, 10**11).map(str),
    st.text("0123456789", min_size=6, max_size=8),
    st.sampled_from(["5", "50", "500000000000001", "49999999999999999999", "51", "0", "5" * 50]),
)
_LARGE = st.sampled_from(
    [
        "92233720368.54775807", "92233720368.54775808", "92233720368.547758074",
        "92233720368.547758075", "9223372036854.775807", "9223372036854.7758075",
        "-92233720368.54775808", "9223372036854775807", "9223372036854775808",
        "18446744073709551617", "999999999999999999", "100000000000000000000",
        "946684800000000000", "946684799999999999", "4102444800000000000",
        "4102444799999999999", "0.000000005", "0.000000015",
        "0.0000000050000000000000000000000000000000000001",
    ]
)  # fmt: skip
_ODD = st.sampled_from(
    [
        "-0", "-0.0", "0.0", "00", "01", "1.", ".5", "+1", "1e2", "1E-2", "1e999", "-1e999",
        "1e-999", "0e0", "NaN", "Infinity", "-Infinity", "-", "--", "0x1", "1_000", "1,5", "٣",
        "null", "true", "false", "nan", "inf", "'1'", "[]", "{}", "[1]", '"1"', '""', '" 1"',
        '"1 "', '"1e3"', '"-0"', '"NaN"', '"1\\u0030"',
    ]
)  # fmt: skip
numbers = st.one_of(
    _TIES, _LARGE, _ODD, _DIGITS, st.builds("{}.{}".format, _DIGITS, _DIGITS),
    st.builds("{}{}".format, _DIGITS, st.integers(-20, 20).map("e{}".format)),
    st.just("0." + "1" * 61), st.just("0." + "1" * 62), st.just("0." + "1" * 63),
)  # fmt: skip
_STRANGE = st.sampled_from(
    [
        '"x"', '"a b"', '""', "1", "-1.5", "1e5", "0", "00", "true", "false", "null", "nul", "tru",
        "[]", "{}", '{"a":1,"a":2}', '{"kind":"order"}', '"\\n"', '"é"', '"\t"', '"\x7f"', "NaN",
        '"unended', "999999999999999999999999", '"\\ud800"', "[[[[1]]]]", "falsy", "truthy",
    ]
)  # fmt: skip
_NAMES = st.sampled_from(["x", "y", "kinds", "t", "price_", "pric", "K", "", "a b", "é", "\\u0078"])
_HOSTILE_TEXT = st.sampled_from(
    ["", " ", "a b", "a\x00b", "a\x1fb", "\x7f", "\u202e", "\u200b", "\ufeff", "\u00a0", "\ue000",
     "\ud800", "e\u0301", "x" * 129, "é" * 128, "é" * 129, "\u2028", "buy", "\U000e0001"]
)  # fmt: skip
_SPACES = st.sampled_from(["", "", "", " ", "\n", "\t ", "\r\n", "\x0b", "\u00a0"])


def _spelling(draw: st.DrawFn, value: Any) -> str:
    """One value of a record as JSON text, now and then replaced by something at an edge."""
    choice = draw(st.integers(0, 19))
    if choice == 0:
        return draw(numbers)
    if choice == 1:
        return draw(_STRANGE)
    if choice == 2:
        return json.dumps(draw(_HOSTILE_TEXT), ensure_ascii=draw(st.booleans()))
    if choice == 3:
        return '"' + draw(numbers) + '"'
    if isinstance(value, list):
        gap = draw(_SPACES)
        inner = [_spelling(draw, v) if draw(st.integers(0, 9)) == 0 else _plain(v) for v in value]
        return "[" + f"{gap},".join(inner) + gap + "]"
    if isinstance(value, str) and choice < 12 and value.lstrip("-").replace(".", "").isdecimal():
        return value
    return json.dumps(value, ensure_ascii=choice == 19)


def _plain(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@st.composite
def spelt(draw: st.DrawFn, kind: str) -> bytes:
    """A record of a kind in any spelling: order of keys, white space, numbers, unknown fields."""
    record = draw(records(kind))
    members = [(name, _spelling(draw, v) if name != "kind" else _plain(v))
               for name, v in record.items()]  # fmt: skip
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2, 17]))):
        members.append((draw(_NAMES), draw(_STRANGE)))
    if draw(st.integers(0, 9)) == 0:
        absent = draw(st.sampled_from(COLUMNS[kind])).name
        members.append((absent, draw(st.sampled_from(["null", "1", '"x"']))))
    if draw(st.integers(0, 9)) == 0:
        members.append(draw(st.sampled_from(members)))
    if draw(st.integers(0, 9)) == 0:
        members.remove(draw(st.sampled_from(members)))
    members = draw(st.permutations(members)) if draw(st.booleans()) else members
    a, b, c = draw(_SPACES), draw(_SPACES), draw(_SPACES)
    text = f"{a}," + b
    body = text.join(f'"{name}"{c}:{a}{value}' for name, value in members)
    return f"{c}{{{b}{body}{a}}}{b}".encode("utf-8", "surrogatepass")


_MARKS = b'"\\{}[]:,.-+eE019 \n\0\x7f\xff'


@st.composite
def edited(draw: st.DrawFn, kind: str) -> bytes:
    """A good record with a few bytes changed, put in or taken out, or broken off."""
    raw = bytearray(compact(draw(records(kind))))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(raw) - 1, 0)))
        byte = draw(
            st.one_of(st.sampled_from(b'"\\{}[]:,.-+eE019 \n\0\x7f\xff'), st.integers(0, 255))
        )
        what = draw(st.sampled_from(["set", "put", "cut", "end"]))
        if what == "set" and raw:
            raw[at] = byte
        elif what == "put":
            raw.insert(at, byte)
        elif what == "cut":
            del raw[at : at + 1]
        elif draw(st.integers(0, 3)) == 0:
            del raw[at:]
    return bytes(raw)


hostile = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"", b" \n", b"null", b"[]", b"{}", b'"', b"{", b"NaN", b"[" * 5000, b'{"a":' * 2000,
            b"\xef\xbb\xbf{}", b'{"kind":"order"', b'{"kind":"control","ts":1}', b'{"kind":5}',
            b'{"kind":"order","kind":"order"}', b'{"\\u006bind":"order"}', b"\xc3", b"\xed\xa0\x80",
            b'{"x":' + b"[" * 31 + b"]" * 31 + b"}", b'{"x":' + b"[" * 32 + b"]" * 32 + b"}",
            b'{"x":"' + b"[" * 40 + b'"}', b'{"kind":"order"}' + b" " * events.RECORD_BYTES_MAX,
        ]
    ),
)  # fmt: skip
"""Bytes that are no record of any kind."""


def anything(kind: str) -> st.SearchStrategy[bytes]:
    """Bytes that may come in a topic of this kind."""
    good = records(kind).map(compact)
    return st.one_of(good, spelt(kind), spelt(kind), edited(kind), hostile, kinds.flatmap(spelt))
