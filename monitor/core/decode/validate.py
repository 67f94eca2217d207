"""The slow path of decoding: the contract's models judge one record's bytes.

JSON is read strictly (UTF-8, no duplicate keys at any level, no NaN, bounded size and depth), every
number is kept as its text, and pydantic decides. The first error, in the order of the model's
fields, gives the reason: a stable code of `REASONS`, and a detail as text.
"""

from __future__ import annotations

import json
import re
from typing import Any, Never

from pydantic import BaseModel, TypeAdapter, ValidationError

from monitor.core.contract import events, fixed_point

REASONS: dict[str, str] = {
    "empty": "the record has no bytes, or white space only",
    "too_large": "the record is longer than 1 MiB; it was not read",
    "not_utf8": "the bytes are not UTF-8",
    "not_json": "the text is not one JSON value, or is nested too deep",
    "duplicate_key": "an object has the same key twice",
    "not_object": "the JSON value is no object",
    "unknown_kind": "`kind` is none that the contract knows",
    "wrong_kind": "`kind` is not the kind of this topic",
    "missing_field": "a required field is missing",
    "wrong_type": "a field has a value of another type",
    "out_of_range": "a number is beyond its bounds",
    "bad_text": "a text is empty, too long, or has characters that cannot be shown",
    "bad_value": "a word is none of those that the field may be",
    "too_many": "a list is longer than the contract allows",
    "book_order": "a book's levels are not best first",
}
"""Why a record is refused, by code. Codes are stable; they label metrics and dead letters."""

DEPTH_MAX = 32
"""Deeper nesting is refused: the contract needs 3. The parser's own limit would depend on the depth
of its caller's stack."""
_PREVIEW_MAX = 60

# Types of pydantic's errors; the contract's own errors are named by their reason already.
_REASON_OF = {
    "missing": "missing_field", "union_tag_not_found": "missing_field",
    "union_tag_invalid": "bad_value", "too_long": "too_many",
    "greater_than": "out_of_range", "greater_than_equal": "out_of_range",
    "less_than": "out_of_range", "less_than_equal": "out_of_range",
    "string_pattern_mismatch": "bad_text", "string_unicode": "bad_text",
}  # fmt: skip
_ABOUT = ("market", "position", "account_rules", "insurance_fund")
_NESTING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)
_ADAPTERS: dict[str, TypeAdapter[Any]] = {k: TypeAdapter(m) for k, m in events.KINDS.items()}
_NEEDLESS = {
    "order": {"seq"},  # an order without a price would be a market order
    "cancel": {"seq", "price", "quantity", "placed_ts"},
    "fill": {"seq", "fee"},
    "leverage": {"seq", "previous"},
    "book": {"seq"},
    "mark": {
        "seq", "mark", "index", "last", "funding_rate", "funding_interval_s", "open_interest",
    },
    "collateral": {"seq"},
    "reference": {"seq", "tick", "lot"},
}  # fmt: skip
"""Numbers of each kind that a record may lack without meaning something else."""


class _RefusedError(Exception):
    """Stops the reading of a record: reason and detail. It never leaves this module."""


def preview(value: Any) -> str:
    """`value` in printable ASCII, shortened, to stand in a detail."""
    text = ascii(value[: _PREVIEW_MAX + 1] if isinstance(value, str | bytes | list) else value)
    return text if len(text) <= _PREVIEW_MAX else text[: _PREVIEW_MAX - 1] + "~"


def field_of(detail: str) -> str:
    """The field of the contract that the detail of a refusal begins with.

    >>> field_of("price: Field required"), field_of("bids.0.1: not a decimal number")
    ('price', 'bids')
    """
    return detail.partition(":")[0].partition(".")[0]


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise _RefusedError("duplicate_key", f"{preview(key)} twice in one object")
        fields[key] = value
    return fields


def _reject_constant(text: str) -> Never:
    raise _RefusedError("not_json", f"{text} is no JSON number")


_DECODER = json.JSONDecoder(
    parse_float=fixed_point.NumberText,
    parse_int=fixed_point.NumberText,
    parse_constant=_reject_constant,
    object_pairs_hook=_build_object,
)


def _check_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for token in _NESTING.finditer(raw):
        if token[0] in (b"[", b"{"):
            depth += 1
            if depth > DEPTH_MAX:
                raise _RefusedError("not_json", f"nested deeper than {DEPTH_MAX}")
        elif token[0] in (b"]", b"}"):
            depth -= 1


def _parse(raw: bytes) -> dict[str, Any]:
    if len(raw) > events.RECORD_BYTES_MAX:
        raise _RefusedError("too_large", f"{len(raw)} bytes")
    if not raw.strip():
        raise _RefusedError("empty", f"{len(raw)} bytes")
    try:
        text = raw.decode()
        _check_depth(raw)
        fields = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise _RefusedError("not_utf8", f"at byte {error.start}: {error.reason}") from None
    except json.JSONDecodeError as error:
        raise _RefusedError("not_json", f"at character {error.pos}: {error.msg}") from None
    if not isinstance(fields, dict):
        raise _RefusedError("not_object", f"saw {preview(fields)}")
    return fields


def _check_kind(fields: dict[str, Any], kind: str | None) -> str:
    if "kind" not in fields:
        raise _RefusedError("missing_field", "kind: Field required")
    name = fields["kind"]
    if not isinstance(name, str) or isinstance(name, fixed_point.NumberText):
        raise _RefusedError("wrong_type", f"kind: not text, saw {preview(name)}")
    if name not in events.KINDS:
        raise _RefusedError("unknown_kind", f"kind: saw {preview(name)}")
    if kind is not None and name != kind:
        raise _RefusedError("wrong_kind", f"kind: saw {preview(name)} where {kind} belongs")
    return name


def _refusal_reason(error: ValidationError) -> tuple[str, str]:
    first = error.errors(include_url=False, include_context=False)[0]
    seen, message = first["input"], first["msg"]
    if first["type"] == "literal_error":
        text = isinstance(seen, str) and not isinstance(seen, fixed_point.NumberText)
        reason = "bad_value" if text else "wrong_type"
    elif first["type"] in ("too_short", "too_long") and isinstance(seen, str):
        reason = "bad_text"
    elif first["type"] in REASONS:
        reason = first["type"]
    else:
        reason = _REASON_OF.get(first["type"], "wrong_type")
    place = [str(part) for part in first["loc"]]
    if place and place[0] in _ABOUT:  # pydantic names the union's member first
        place = place[1:]
    if first["type"].startswith("union_tag"):
        listed = ", ".join(f"'{name}'" for name in _ABOUT[:-1])
        place, message = ["about"], f"Input should be {listed} or '{_ABOUT[-1]}'"
        seen = seen.get("about")
    detail = f"{'.'.join(place)}: {message}" if place else message
    complete = reason == "missing_field" or not place
    return reason, detail if complete else f"{detail}, saw {preview(seen)}"


def _needless_numbers(error: ValidationError, kind: str) -> list[str]:
    """The fields that are all that is wrong, if each is a number that may be absent."""
    names = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        place = [part for part in fault["loc"] if part not in _ABOUT]
        reason = _REASON_OF.get(fault["type"], fault["type"])
        if reason != "out_of_range" or len(place) != 1 or place[0] not in _NEEDLESS[kind]:
            return []
        names.append(str(place[0]))
    return names


def validate_record(
    raw: bytes, kind: str | None, left_out: list[str] | None = None
) -> BaseModel | tuple[str, str]:
    """An event of the contract, or the reason why the record is none, and a detail.

    `kind`: the kind of the record's topic; `None`: take it from the record. A number out of range
    that may be absent is: the names of such fields are added to `left_out`.

    >>> validate_record(b'{"kind": "order"}', "cancel")
    ('wrong_kind', "kind: saw 'order' where cancel belongs")
    """
    try:
        fields = _parse(raw)
        kind = _check_kind(fields, kind)
        try:
            event: BaseModel = _ADAPTERS[kind].validate_python(fields)
        except ValidationError as error:
            names = _needless_numbers(error, kind)
            if not names:
                return _refusal_reason(error)
            without = {name: value for name, value in fields.items() if name not in names}
            event = _ADAPTERS[kind].validate_python(without)
            if left_out is not None:
                left_out += names
    except _RefusedError as refused:
        reason, detail = refused.args
        return reason, detail
    except ValidationError as error:
        return _refusal_reason(error)
    return event


_KIND_PATTERN = re.compile(rb'"kind"[ \t\r\n]*:[ \t\r\n]*"([a-z]{1,16})"')


def kind_of(raw: bytes) -> str | None:
    """The kind that the record names; `None`: none of the contract's.

    A refused record may have a kind all the same: even a line that breaks off counts as an order.
    """
    matches = _KIND_PATTERN.findall(raw)
    if len(matches) == 1 and b"\\" not in raw:
        kind = matches[0].decode()
    else:  # the pattern cannot tell
        try:
            kind = _parse(raw).get("kind")
        except _RefusedError:
            return None
    return kind if isinstance(kind, str) and kind in events.KINDS else None
