"""Inputs made of good ones: a field, a byte or a piece is changed into what nobody should send."""

from __future__ import annotations

import json
import random
from typing import Any

DEEP = 3_000
"""How deep a value is nested: deeper than Python recurses."""
ODD_NUMBERS = (
    "0", "-0", "1", "-1", "0.1", "-1e-30", "1e400", "-1e400", "1e-400", "NaN", "Infinity",
    "-Infinity", "9" * 30, "9" * 5_000, "0." + "3" * 60, "9223372036854775807",
    "-9223372036854775808", "1764000000000000000", "1764000000", "4102444800000000000", "1_000",
    "0x10", "１２",
)  # fmt: skip
ODD_TEXTS = (
    "", " ", "\x00", "\x1b[31m", "\u202e", "\ud800", "𝕏" * 200, "x" * 100_000, "null", "buy", "-",
    "/", "../..", "a/b/c", "BTCUSD", "BTCUSD_PERP", "2024-13-40T25:61:61Z", "%s%n", "é",
)  # fmt: skip


class _Bare(str):
    """Text that stands in the JSON as it is, without quotation marks."""


def _odd_value(chance: random.Random) -> Any:
    pick = chance.randrange(8)
    if pick < 3:
        number = chance.choice(ODD_NUMBERS)
        return _Bare(number) if chance.random() < 0.5 else number
    if pick < 5:
        return chance.choice(ODD_TEXTS)
    if pick == 5:
        return chance.choice((None, True, False, [], {}, [[]], [{}], {"": None}))
    if pick == 6:
        return _Bare("[" * DEEP + "]" * DEEP) if chance.random() < 0.1 else [[["1", "2"], None]]
    return [chance.choice(ODD_NUMBERS)] * chance.choice((1, 2, 70))


def _dump(value: Any) -> str:
    """As JSON, with `_Bare` text as it is and lone surrogates escaped."""
    if isinstance(value, _Bare):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(k))}:{_dump(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    return json.dumps(value)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything inside."""
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    here = [] if not path else [path]
    return here + [place for key, inner in pairs for place in _places(inner, (*path, key))]


def mutate_field(chance: random.Random, raw: bytes) -> bytes:
    """A JSON document with one thing in it changed."""
    return _dump(_mutate_document(chance, json.loads(raw))).encode()


def _mutate_document(chance: random.Random, document: Any) -> Any:
    places = _places(document)
    if not places:
        return _odd_value(chance)
    *way, last = chance.choice(places)
    around = document
    for key in way:
        around = around[key]
    pick = chance.randrange(6)
    if pick == 0:
        del around[last]
    elif pick == 1 and isinstance(around, dict):
        around[chance.choice(ODD_TEXTS)] = around.pop(last)
    elif pick == 2 and isinstance(around, list):
        around.extend([around[last]] * chance.choice((1, 60)))
    else:
        around[last] = _odd_value(chance)
    return document


def _mutate_bytes(chance: random.Random, raw: bytes, other: bytes) -> bytes:
    at = chance.randrange(len(raw) + 1)
    pick = chance.randrange(6)
    if pick == 0:
        return raw[:at]
    if pick == 1:
        return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]
    if pick == 2:
        return raw[:at] + other[chance.randrange(len(other) + 1) :]
    if pick == 3:
        odd = chance.choice(ODD_NUMBERS + ODD_TEXTS).encode("utf-8", "surrogatepass")
        return raw[:at] + odd + raw[at:]
    if pick == 4:
        end = min(len(raw), at + chance.choice((1, 4, 30)))
        return raw[:at] + raw[end:]
    end = min(len(raw), at + 40)
    return raw[:end] + raw[at:]


def mutate(chance: random.Random, seeds: list[bytes]) -> bytes:
    """One of the seeds with one to three changes; half of them within its JSON, where it has any.

    A line may have words before its JSON, as some feeds do.
    """
    raw = chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 2, 3))):
        begin = raw.find(b"{")
        document = None
        if begin >= 0 and chance.random() < 0.6 and len(raw) < 20_000:
            try:
                document = json.loads(raw[begin:])
            except (ValueError, RecursionError):
                document = None
        if document is None:
            raw = _mutate_bytes(chance, raw, chance.choice(seeds))
        else:
            raw = raw[:begin] + _dump(_mutate_document(chance, document)).encode()
    return raw
