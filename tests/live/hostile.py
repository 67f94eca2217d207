"""Many records that no venue should send: every kind of fault in the tests of the decoder."""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.core.decode.codec import validate_record
from tests.core.decode.test_codec import (
    ORDER,
    TS,
    test_each_fault_has_its_reason,
    test_each_fault_of_a_book_has_its_reason,
)
from tests.core.strategies import KINDS, anything, compact, edited, hostile

BOOK = {"kind": "book", "ts": TS, "symbol": "X"}
LARGE = (
    b'{"kind":"order","x":"' + b"y" * 900_000,  # broken off
    compact({**ORDER, "symbol": "z" * 900_000}),  # a name of 900 kB
    b"[" * 900_000,
    b" " * (1_100_000),  # longer than a record may be
)
SMALL_BYTES_MAX = 4_096
DRAWN = 100
"""Examples that hypothesis makes for each kind; the rest is made of these by chance."""


def _drawn(kind: str) -> list[bytes]:
    examples: list[bytes] = []

    @given(st.one_of(hostile, edited(kind), anything(kind)))
    @settings(
        max_examples=DRAWN,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def collect(raw: bytes) -> None:
        examples.append(raw)

    collect()
    return examples


def _faults(kind: str) -> list[bytes]:
    """The bytes of the tables in `test_codec`: at least one for each reason."""
    (mark,) = test_each_fault_has_its_reason.pytestmark
    faults: list[bytes] = [raw for raw, _ in mark.args[1]]
    if kind == "book":
        (mark,) = test_each_fault_of_a_book_has_its_reason.pytestmark
        faults += [compact({**BOOK, "bids": bids, "asks": asks}) for bids, asks, _ in mark.args[1]]
    return faults


def _draw_hostile(chance: random.Random, examples: list[bytes]) -> Iterator[bytes]:
    """Without end: the examples, noise, and records cut short or with a byte changed."""
    while True:
        raw = chance.choice(examples)
        yield raw
        yield chance.randbytes(chance.randrange(200))
        at = chance.randrange(len(raw) + 1)
        yield raw[:at]
        yield raw[:at] + chance.randbytes(1) + raw[at + 1 :]
        yield compact({"kind": chance.choice(KINDS), "ts": chance.randrange(2**62), "n": at})
        yield compact([at, None, True, "x" * (at % 50)])


def refused(kind: str, count: int, seed: int) -> list[tuple[bytes, str, str]]:
    """`count` records that a topic of this kind refuses, with the reason and its detail."""
    if not count:
        return []
    chance = random.Random(seed)
    table = _faults(kind)
    examples = [raw for raw in table + _drawn(kind) if len(raw) <= SMALL_BYTES_MAX]
    larger = [raw for raw in table if SMALL_BYTES_MAX < len(raw) < 1_000_000]
    first = [*LARGE, *larger, *examples]
    source = _draw_hostile(chance, examples)
    records: list[tuple[bytes, str, str]] = []
    while len(records) < count:
        raw = first.pop() if first else next(source)
        verdict = validate_record(raw, kind)
        if isinstance(verdict, tuple):
            records.append((raw, *verdict))
    chance.shuffle(records)
    return records
