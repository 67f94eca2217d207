"""JSON: one object a record. Numbers keep the text that they were written in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from monitor.sources.formats.base import Row, read_each
from monitor.sources.settings import SourceSettings
from monitor.venues.parse import UnreadableError

_FAST = msgspec.json.Decoder(float_hook=str)


def _reject_constant(constant: str) -> None:
    raise UnreadableError("not_json", f"{constant} is no JSON number")


def _build_object(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UnreadableError("duplicate_key", f"{ascii(twice)[:60]} twice in one object")
    return row


_STRICT = json.JSONDecoder(
    parse_float=str, parse_constant=_reject_constant, object_pairs_hook=_build_object
)


class JsonLines:
    """Reads JSON objects; those of Confluent's JSON Schema serializers too, which have a frame."""

    def __init__(self, settings: SourceSettings) -> None:
        pass

    def read(self, raws: Sequence[bytes]) -> list[Row | UnreadableError]:
        # A byte 0 begins a frame and no JSON text; the schema in the registry is not needed.
        return read_each([raw[5:] if raw[:1] == b"\x00" else raw for raw in raws], read_object)


def read_value(raw: bytes) -> Any:
    """The JSON value in `raw`; raises `UnreadableError`."""
    try:
        return _FAST.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_strictly(raw)


def read_object(raw: bytes) -> Row:
    """The object in `raw`; raises `UnreadableError`."""
    value = read_value(raw)
    if not isinstance(value, dict):
        raise UnreadableError("not_object", "the JSON value is no object")
    row: Row = value
    # The fast decoder keeps the last of equal keys; their number shows whether some may be equal.
    if len(row) != raw.count(b'":') and _count_keys(row) != raw.count(b'":'):
        row = _read_strictly(raw)
    return row


def _read_strictly(raw: bytes) -> Any:
    try:
        return _STRICT.decode(raw.decode())
    except UnicodeDecodeError as error:
        raise UnreadableError("not_utf8", f"at byte {error.start}: {error.reason}") from None
    except json.JSONDecodeError as error:
        raise UnreadableError("not_json", f"at character {error.pos}: {error.msg}") from None
    except RecursionError:
        raise UnreadableError("not_json", "nested too deep") from None
    except ValueError:
        raise UnreadableError("not_json", "an integer of thousands of digits") from None


def _count_keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(_count_keys(v) for v in value.values() if type(v) in (dict, list))
    return sum(_count_keys(v) for v in value if type(v) in (dict, list))
