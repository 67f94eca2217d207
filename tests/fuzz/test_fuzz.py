"""The fuzzer runs, and finds a fault where there is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.target import Target
from tests.fuzz.targets import all_targets


def test_a_few_thousand_changed_inputs_are_refused_in_words(tmp_path: Path) -> None:
    counts = fuzz([*all_targets(tmp_path)], inputs=6_000, seconds=120, seed=7)
    assert sum(counts.values()) >= 6_000
    assert min(counts.values()) > 100


def test_a_fault_is_shown_with_its_input() -> None:
    def read(inputs: list[bytes]) -> None:
        for raw in inputs:
            try:
                document = json.loads(raw)
            except (ValueError, RecursionError):
                continue
            assert not isinstance(document, dict) or document.get("a") != "BTCUSD"

    with pytest.raises(SystemExit, match=r"(?s)AssertionError.*weak fails on .*BTCUSD"):
        fuzz([Target("weak", [b'{"a": "b"}'], read)], inputs=100_000, seconds=60, seed=1)
