"""Records that come again are found by the log alone, and remembered for an hour or more."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.contract.events import TOPICS
from monitor.core.decode.codec import decode
from monitor.core.event_time.admission import AdmissionControl, RecordCounts
from monitor.core.event_time.repeats import HOUR_NS, RepeatFilter, record_keys, split_records
from monitor.core.tables.interner import Interner

SECOND = 10**9
START = 1_764_000_000 * SECOND


def find(seen: RepeatFilter, keys: list[int], hours: list[float], first: int = 0) -> list[bool]:
    """Records one after another; keys differ by more than their lowest bit."""
    ts = START + (np.array(hours) * HOUR_NS).astype(np.int64)
    offset = first + np.arange(len(keys))
    return seen.find_first(4 * np.array(keys, np.uint64), offset, ts, ts).tolist()


class Model:
    """The same in plain words: generations of an hour or of `keys_max` records."""

    def __init__(self, keys_max: int) -> None:
        self.keys_max, self.old, self.new = keys_max, set[int](), set[int]()
        self.high, self.hour = -1.0, -1

    def is_first(self, key: int, hour: float) -> bool:
        self.high = max(self.high, hour)
        if self.hour < 0:
            self.hour = int(self.high)
        if int(self.high) > self.hour:
            self.old = self.new if int(self.high) == self.hour + 1 else set()
            self.new, self.hour = set(), int(self.high)
        elif len(self.new) >= self.keys_max:
            self.old, self.new = self.new, set()
        if key == 0:
            return True
        if key in self.old or key in self.new:
            return False
        self.new.add(key)
        return True


RECORDS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([0.0, 0.0, 0.1, 0.3, 1.0, 2.5])), max_size=60
)


@given(RECORDS, st.integers(1, 8), st.integers(1, 9))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_slices_and_restarts_change_nothing_and_the_model_agrees(
    steps: list[tuple[int, float]], keys_max: int, size: int
) -> None:
    keys = [key for key, _ in steps]
    hours = [round(float(h), 6) for h in np.cumsum([step for _, step in steps])]
    model = Model(keys_max)
    expected = [model.is_first(key, hour) for key, hour in zip(keys, hours, strict=True)]
    assert find(RepeatFilter(SECOND, keys_max), keys, hours) == expected
    seen, out = RepeatFilter(SECOND, keys_max), []
    for low in range(0, len(keys), size):
        part = slice(low, low + size)
        out += find(seen, keys[part], hours[part], low)
        state = seen.snapshot()
        seen = RepeatFilter(SECOND, keys_max)
        seen.restore(state)
        assert repr(seen.snapshot()) == repr(state)
    assert out == expected


def test_many_records_are_all_remembered_while_the_table_grows() -> None:
    seen = RepeatFilter(SECOND)
    keys = list(range(1, 20_001))
    assert all(find(seen, keys, [0.5] * len(keys)))
    assert not any(find(seen, keys[::-1], [1.5] * len(keys), 30_000))
    assert all(find(seen, keys, [3.5] * len(keys), 60_000))
    assert seen.snapshot()["keys"].nbytes == 8 * len(keys)


def test_of_records_that_say_the_same_the_one_judged_first_counts() -> None:
    seen = RepeatFilter(SECOND)
    ts = np.full(2, START)
    first = seen.find_first(np.array([8, 8], np.uint64), np.array([7, 3]), ts, ts)
    assert first.tolist() == [True, False]
    (count,) = seen.counts.values()
    assert count == (2, 1, 3, 3)


FILL = {"symbol": "X", "trade_id": "t", "account": "a", "side": "buy", "price": 1, "quantity": 1,
        "liquidity": "maker"}  # fmt: skip
LEVERAGE = {"symbol": "X", "account": "a", "leverage": 5, "margin_mode": "cross"}
COLLATERAL = {"account": "a", "amount": 5, "cause": "deposit"}
POSITION = {"about": "position", "symbol": "X", "account": "a", "quantity": 1, "entry_price": 1,
            "margin_mode": "cross"}  # fmt: skip


def keys_of(kind: str, records: list[dict[str, Any]]) -> list[int]:
    raws = [json.dumps({"kind": kind, "ts": START, **record}).encode() for record in records]
    batch = decode(kind, TOPICS[kind], 0, np.arange(len(raws)), raws)
    assert not batch.refused
    return record_keys(batch, Interner(), Interner()).tolist()


@pytest.mark.parametrize(
    ("kind", "record", "same", "others"),
    [
        (
            "fill",
            FILL,
            [{"price": 2}, {"order_id": "o"}, {"ts": START + 5}],
            [{"symbol": "Y"}, {"trade_id": "u"}, {"account": "b"}, {"side": "sell"},
             {"liquidity": "taker"}, {"liquidity": None}, {"account": None}],
        ),
        (
            "leverage",
            LEVERAGE,
            [],
            [{"leverage": 6}, {"account": "b"}, {"ts": START + 5}, {"previous": 4},
             {"margin_mode": "isolated"}, {"seq": 1}],
        ),
        (
            "collateral",
            COLLATERAL,
            [],
            [{"amount": 6}, {"account": "b"}, {"ts": START + 5}, {"cause": "withdrawal"},
             {"symbol": "X"}, {"seq": 1}, {"amount": -5}],
        ),
        ("reference", POSITION, [], [{"ts": START + 5}, {"quantity": 2}, {"account": "b"}]),
    ],
)  # fmt: skip
def test_what_makes_two_records_the_same(
    kind: str, record: dict[str, Any], same: list[Any], others: list[Any]
) -> None:
    first, again, *keys = keys_of(
        kind, [record, record, *({**record, **change} for change in (*same, *others))]
    )
    assert first == again != 0
    assert keys[: len(same)] == [first] * len(same)
    assert len({first, *keys[len(same) :]}) == 1 + len(others)


def test_a_fill_without_a_trade_id_is_no_repeat_of_another() -> None:
    assert keys_of("fill", [{**FILL, "trade_id": None}] * 2) == [0, 0]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_record_that_waited_comes_after_those_judged_before_it(size: int) -> None:
    """The record at offset 3 claims a time that only the control record at offset 5 bears out; by
    then the one at offset 4 has said the same.
    """
    seconds, trades = [0, 1, 2, 60, 3, 61, 62], ["a", "b", "c", "t", "t", "d", "e"]
    raws = [
        json.dumps({"kind": "fill", "ts": START + second * SECOND, **FILL, "trade_id": trade})
        for second, trade in zip(seconds, trades, strict=True)
    ]
    control = AdmissionControl(("fill",), SECOND)
    control.clocks["fill"].add_controls([(5, START + 60 * SECOND)])
    seen, names, tally = RepeatFilter(SECOND), (Interner(), Interner()), RecordCounts()
    offsets = np.arange(len(raws))
    batch = decode("fill", TOPICS["fill"], 0, offsets, [raw.encode() for raw in raws])
    kept = []
    for low in range(0, len(raws), size):
        admission = control.admit(batch.select_rows(slice(low, low + size)), tally)
        admitted, behind_ns, late = split_records(seen, names, admission, tally)
        assert len(behind_ns) == len(admitted)
        kept += [*admitted.offset.tolist(), *late.offset.tolist()]
    assert sorted(kept) == [0, 1, 2, 4, 5, 6]
    assert tally.repeated == {"fill": 1}
