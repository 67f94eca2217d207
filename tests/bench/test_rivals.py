"""What the comparison with others rests on: windows checked against the truth, costs of samples,
programs that compile."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from monitor.errors import BrokerError
from tests.bench.bench_rivals import Cost
from tests.bench.others.contenders import Sample
from tests.bench.others.java_programs import MAIN_CLASSES, compile_program
from tests.bench.others.windows import CommittedWindows, check_windows


def window(symbol: str, end_ms: int, orders: int) -> bytes:
    counts = {"orders": orders, "cancels": 1, "fills": 0}
    return json.dumps({"symbol": symbol, "end_ms": end_ms, **counts, "score": 0.5}).encode()


def test_a_window_is_right_once_and_with_the_counts_of_the_records() -> None:
    truth = {(kind, "A", end): 1 for kind in ("order", "cancel") for end in (1_000, 2_000)}
    once = [window("A", 1_000, 1), window("A", 2_000, 1)]
    assert check_windows(once, truth) == CommittedWindows(2, 0, 0, 4)
    again = [*once, window("A", 1_000, 1)]
    assert check_windows(again, truth) == CommittedWindows(2, 0, 1, 6)
    lost = [window("A", 1_000, 0), window("B", 2_000, 1)]
    assert check_windows(lost, truth) == CommittedWindows(0, 2, 0, 3)


def test_the_cost_of_all_events_has_the_start_and_that_of_warm_ones_has_not() -> None:
    samples = [Sample(0, 5.0, 1.0), Sample(200, 9.0, 3.0), Sample(1_000, 13.0, 3.8)]
    cost = Cost.of(samples)
    assert cost.cpu_us == pytest.approx(2_800)
    assert cost.warm_cpu_us == pytest.approx(1_000)
    assert cost.warm_rate == pytest.approx(200)


@pytest.mark.parametrize("name", MAIN_CLASSES)
def test_the_java_programs_compile(name: str, tmp_path: Path) -> None:
    try:
        command = compile_program(name, tmp_path)
    except BrokerError as reason:
        if os.environ.get("BRINKWATCH_REQUIRE_ALL") == "1" or "compile" in str(reason):
            raise
        pytest.skip(str(reason))
    main = command[-1].replace(".", "/")
    assert (tmp_path / f"{main}.class").exists()
