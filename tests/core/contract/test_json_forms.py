"""A validator of JSON Schema and the models agree on records, but for what no schema can say."""

from __future__ import annotations

import json
import random
import re
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from monitor.core.contract.schema import json_schema
from monitor.core.decode.validate import validate_record
from tests.core.strategies import kinds, records
from tests.fuzz.mutations import mutate_field

EXAMPLES, MUTANTS = 500, 19
"""10,000 records: each example is a valid one and its mutants."""
TS = 1_764_000_000_000_000_000
ORDER = {"kind": "order", "ts": TS, "symbol": "X", "side": "buy", "quantity": "1", "action": "new"}
REFERENCE = {"kind": "reference", "about": "market", "ts": TS, "symbol": "X"}
BOOK = {"kind": "book", "ts": TS, "symbol": "X", "bids": [["2", "1"]], "asks": [["3", "1"]]}


@cache
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(json_schema())
    return Draft202012Validator(json_schema())


def judge(raw: bytes) -> tuple[str, str] | None:
    """Why the models refuse a record, and a detail; None: they accept all of it."""
    left_out: list[str] = []
    verdict = validate_record(raw, None, left_out)
    if not isinstance(verdict, BaseModel):
        return verdict
    return ("out_of_range", f"{left_out[0]}: left out, saw") if left_out else None


def is_unsaid(raw: bytes, record: Any, reason: str, detail: str) -> bool:
    """Whether the models refuse the record by one of `schema.UNSAID_RULES`."""
    if reason in ("duplicate_key", "book_order", "too_large") or "price × quantity" in detail:
        return True
    value = record
    for part in re.split(r"\.", detail.partition(": ")[0]):
        value = value[int(part) if isinstance(value, list) else part]
    if isinstance(value, str):
        hidden = any(ord(c) > 0xFFFF or not c.isprintable() for c in value)
        return reason == "out_of_range" or value.endswith("\n") or (reason == "bad_text" and hidden)
    if isinstance(value, list):  # levels of one price, added up
        return reason == "out_of_range"
    text = detail.rpartition("saw ")[2].strip("'")
    long = len(text) > 58 or re.search(r"[eE][+-]?[0-9]{5,}", text) is not None
    return isinstance(value, int | float) and (long or reason == "wrong_type")


def _reject_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


@given(st.data())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_schema_accepts_and_refuses_what_the_models_do(data: st.DataObject) -> None:
    good = data.draw(kinds.flatmap(records))
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    raw = json.dumps(good).encode()
    assert judge(raw) is None
    assert validator().is_valid(good)
    mutants = [mutate_field(chance, raw) for _ in range(MUTANTS - 1)]
    for mutant in (re.sub(rb'"(-?[0-9]+(?:\.[0-9]+)?)"', rb"\1", raw), *mutants):
        try:
            record = json.loads(mutant, parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            continue
        refusal = judge(mutant)
        if refusal is None:
            assert validator().is_valid(record), mutant
        elif validator().is_valid(record):
            assert is_unsaid(mutant, record, *refusal), (refusal, mutant)


@pytest.mark.parametrize(
    "record",
    [
        ORDER | {"ts": 1_764_000_000},
        ORDER | {"seq": -1},
        ORDER | {"seq": 2**63},
        ORDER | {"symbol": "A B"},
        ORDER | {"symbol": "A\u202eB"},
        ORDER | {"symbol": ""},
        ORDER | {"symbol": "x" * 129},
        ORDER | {"quantity": 0},
        ORDER | {"quantity": "0.000"},
        ORDER | {"quantity": "-1"},
        ORDER | {"quantity": 1e-9},
        ORDER | {"quantity": 2e16},
        ORDER | {"quantity": "+1"},
        ORDER | {"quantity": ".5"},
        ORDER | {"price": "0e5"},
        ORDER | {"price": 1e-19},
        ORDER | {"price": True},
        ORDER | {"side": "BUY"},
        ORDER | {"reduce_only": 1},
        REFERENCE | {"tiers": [{"lower_bound": -1, "maintenance_rate": 0.5}]},
        REFERENCE | {"tiers": [{"lower_bound": "-0.01", "maintenance_rate": 0.5}]},
        REFERENCE | {"tiers": [{"lower_bound": 0, "maintenance_rate": 1.5}]},
        REFERENCE | {"tiers": [{"lower_bound": 0, "maintenance_rate": "1.5"}]},
        REFERENCE | {"tiers": [{"lower_bound": 0, "maintenance_rate": "0.1"}] * 65},
        BOOK | {"bids": [["2", "1", "1"]]},
        BOOK | {"bids": [[str(200 - i), "1"] for i in range(51)]},
    ],
    ids=lambda record: json.dumps(record)[-60:],
)  # fmt: skip
def test_a_wrong_record_is_refused_by_both(record: dict[str, Any]) -> None:
    assert judge(json.dumps(record).encode()) is not None
    assert not validator().is_valid(record)


@pytest.mark.parametrize(
    "record",
    [
        ORDER | {"quantity": "5.1e-9", "price": 5.1e-19},
        ORDER | {"quantity": "1e3", "price": "0.0000004244"},
        ORDER | {"symbol": "币安/永续:é"},
        REFERENCE | {"tiers": [{"lower_bound": "-0.0000004", "maintenance_rate": "1.000000004"}]},
        REFERENCE | {"tiers": [{"lower_bound": "-1e-30", "maintenance_rate": "100e-2"}]},
        REFERENCE | {"tiers": [{"lower_bound": -0.0000004, "maintenance_rate": 1.000000004}]},
    ],
    ids=lambda record: json.dumps(record)[-60:],
)
def test_a_record_at_the_edge_of_the_grid_is_accepted_by_both(record: dict[str, Any]) -> None:
    assert judge(json.dumps(record).encode()) is None
    assert validator().is_valid(record)
