"""What the scripts of pages work out: numbers in words, packed arrays, lanes, filters, verdicts."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from monitor.desk.verdicts import read_verdicts
from replay.report.market_series import pack
from tests.page.components import evaluate


def test_numbers_moments_and_moves_are_written_as_people_do() -> None:
    assert evaluate("""[
        formatMoney(1234567), formatMoney(null), formatMoney(NaN), formatMove(-0.0413),
        formatMove(0), formatShare(0.3), formatClock(Date.UTC(2025, 10, 24, 16, 3, 7)),
        formatClock(0, 86400000), formatClock(60000, 60000), formatDuration(42000),
        formatDuration(185000), formatDuration(7500000)
    ]""") == [
        "1.23M", "–", "–", "−4.13 %", "0 %", "30 %", "16:03:07", "1970-01-01", "00:01", "42 s",
        "3 min 5 s", "2 h 5 min",
    ]  # fmt: skip


def test_an_array_arrives_as_it_was_packed() -> None:
    real, counts = [1.5, float("nan"), -3e7, 0.0], [0, 7, 2**32 - 1]
    packed = json.dumps([pack(np.array(real)), pack(np.array(counts))])
    shown = evaluate(f"{packed}.map(decodeArray).map((one) => withGaps(one))")
    assert shown == [[1.5, None, -3e7, 0.0], counts]


@pytest.mark.parametrize(("length", "most"), [(0, 5), (3, 5), (5, 5), (86_400, 60)])
def test_rows_of_a_table_are_spread_over_all_with_both_ends(length: int, most: int) -> None:
    places = evaluate(f"spreadPlaces({length}, {most})")
    assert len(places) == min(length, most)
    assert places == sorted(set(places))
    if places:
        assert (places[0], places[-1]) == (0, length - 1)


def incident(kind: str, severity: str, symbols: list[str]) -> dict[str, object]:
    return {"alert": {"kind": kind, "symbols": symbols}, "severity": severity}


INCIDENTS = [
    incident("burst", "info", ["B"]),
    incident("thin_book", "critical", ["A", "B"]),
    incident("burst", "warning", ["A"]),
    incident("feed_stopped", "warning", []),
]


@pytest.mark.parametrize(
    ("choice", "places"),
    [
        ({}, [0, 1, 2, 3]),
        ({"market": "B"}, [0, 1]),
        ({"market": "whole venue"}, [3]),
        ({"kind": "burst"}, [0, 2]),
        ({"severity": "warning"}, [1, 2, 3]),
        ({"severity": "critical", "market": "A"}, [1]),
        ({"kind": "burst", "market": "C"}, []),
    ],
)
def test_a_choice_lets_through_what_it_names(choice: dict[str, str], places: list[int]) -> None:
    shown = evaluate(f"filterIncidents({json.dumps(INCIDENTS)}, {json.dumps(choice)})")
    assert shown == [INCIDENTS[place] for place in places]


def test_lanes_have_every_incident_and_the_gravest_stand_first() -> None:
    lanes = evaluate(f"layLanes({json.dumps(INCIDENTS)}, 'market')")
    assert [(lane["name"], len(lane["incidents"])) for lane in lanes] == [
        ("A", 2), ("B", 2), ("whole venue", 1),
    ]  # fmt: skip
    kinds = evaluate(f"layLanes({json.dumps(INCIDENTS)}, 'kind')")
    assert [lane["name"] for lane in kinds] == ["thin book", "burst", "feed stopped"]


def test_no_two_bars_of_a_row_overlap() -> None:
    rng = np.random.default_rng(3)
    starts = np.sort(rng.integers(0, 100, 60))
    spans = [[int(start), int(start + length)] for start, length in
             zip(starts, rng.integers(1, 20, 60), strict=True)]  # fmt: skip
    rows = evaluate(f"stackRows({json.dumps(spans)})")
    for row in set(rows):
        own = [span for span, at in zip(spans, rows, strict=True) if at == row]
        assert all(before[1] <= after[0] for before, after in pairwise(own))
    depth = max(sum(low <= at < high for low, high in spans) for at in range(120))
    assert len(set(rows)) == depth


def test_a_verdict_of_a_page_is_one_for_the_command_line(tmp_path: Path) -> None:
    verdict = {
        "incident": "i", "alert": "a", "kind": "burst", "severity": "info", "symbols": ["<X>"],
        "opened": 1_764_000_187_123_456_789, "detector": "d", "stream": "s", "alerts_per_day": 10.0,
        "settings": "f", "engine": "0",
    }  # fmt: skip
    note = 'said "no"\n</script>'
    given = json.dumps({"isTrue": False, "note": note, "at": "2025-11-24T16:00:00Z"})
    file = tmp_path / "verdicts.jsonl"
    file.write_text(evaluate(f"verdictLine({json.dumps(json.dumps(verdict))}, {given})") + "\n")
    (one,), broken = read_verdicts(file)
    assert (one.is_true, one.note, broken) == (False, note, 0)
    assert one.opened == verdict["opened"]
