"""Positions of reference records in columns: those of the models, row for row."""

from __future__ import annotations

import json

import hypothesis
import numpy as np
from hypothesis import strategies as st

from monitor.core.contract import stepped
from monitor.core.contract.events import TS_MAX, TS_MIN, PositionReference
from monitor.core.decode.batch import ABSENT, POSITION, columns_of
from monitor.core.decode.codec import decode, decode_positions, scan, validate_record

NUMBERS = st.one_of(
    st.decimals(-(10**9), 10**9, allow_nan=False, places=4).map(str),
    st.integers(-(10**12), 10**20),
    st.floats(-1e6, 1e6).map(repr),
    st.sampled_from(["0", "-0", "0.000000000000000001", "01", "1e3", "", None, True]),
)
TEXTS = st.sampled_from(["BTC-USD", "a", "a b", "", "é", '"', "x" * 300, 3, None])
FIELDS = {
    "ts": st.one_of(st.integers(TS_MIN - 1, TS_MAX), st.just("1")),
    "symbol": TEXTS,
    "about": st.sampled_from(["position"] * 6 + ["market", "insurance_fund", "other"]),
    "account": TEXTS,
    "quantity": NUMBERS,
    "entry_price": NUMBERS,
    "margin_mode": st.sampled_from(["cross", "isolated", "isolated", "hedged", None]),
    "leverage": NUMBERS,
    "isolated_margin": NUMBERS,
    "seq": st.one_of(st.none(), st.integers(-2, 2**64)),
    "more": st.sampled_from(["x", [1], 2]),
}
PLAIN = {
    "kind": "reference", "ts": TS_MIN + 5, "symbol": "BTC-USD", "about": "position",
    "account": "a1", "quantity": "-2.5", "entry_price": "100.25", "margin_mode": "isolated",
    "leverage": "5", "isolated_margin": "50",
}  # fmt: skip


def _raw(**changes: object) -> bytes:
    return json.dumps({**PLAIN, **changes}).encode()


RECORDS = st.dictionaries(st.sampled_from(sorted(FIELDS)), st.none(), max_size=4).flatmap(
    lambda chosen: st.fixed_dictionaries({name: FIELDS[name] for name in chosen})
)


@hypothesis.given(RECORDS, st.sets(st.sampled_from(sorted(PLAIN)), max_size=1))
@hypothesis.settings(max_examples=300, deadline=None)
def test_the_scanner_reads_a_position_as_the_model_does(
    changes: dict[str, object], without: set[str]
) -> None:
    raw = json.dumps(
        {name: value for name, value in {**PLAIN, **changes}.items() if name not in without}
    ).encode()
    draft = scan(POSITION, [raw])
    if draft.undecided[0]:
        return
    event = validate_record(raw, "reference")
    assert isinstance(event, PositionReference), raw
    batch = draft.build("reference", 0, np.array([1]), [], None)
    for column in columns_of(POSITION):
        expected = getattr(event, column.name)
        if column.type == "text":
            assert batch.texts[column.name].to_strings() == [expected], raw
        elif column.name in batch.numbers:
            if column.values and expected is not None:
                expected = column.code(expected)
            expected = ABSENT if expected is None else expected
            assert batch.numbers[column.name].tolist() == [expected], raw


def test_positions_are_parted_from_rules_whoever_reads_them() -> None:
    fund = b'{"kind":"reference","ts":1764000000000000000,"about":"insurance_fund","amount":"5"}'
    odd = _raw(account="\N{GREEK SMALL LETTER ALPHA}")
    raws = [_raw(), fund, odd, _raw(quantity="1e1", isolated_margin=None)]
    references = decode("reference", "reference", 0, np.arange(4), raws)
    assert not references.refused
    # The last two are written so that only the model reads them.
    assert scan(POSITION, raws).undecided.tolist() == [False, True, True, True]
    positions, are_positions = decode_positions(references)
    assert are_positions.tolist() == [True, False, True, True]
    assert positions.offset.tolist() == [0, 2, 3]
    assert positions.texts["account"].to_strings() == ["a1", "\N{GREEK SMALL LETTER ALPHA}", "a1"]
    assert positions.numbers["isolated_margin"].tolist() == [50_000_000, 50_000_000, ABSENT]
    assert positions.numbers["quantity"].tolist()[0] == -stepped.quantise("2.5", stepped.PLAIN)
