"""A recording with a clock that is wrong keeps its books.

Source: public reports of recorders and of traders of Binance's web socket: single events with a
time minutes ahead, recorders whose clock is an hour off, snapshots without a time. Read 2026-11.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replay.day import Day
from tests.cases.front_door import START_NS, brinkwatch

START_MS = START_NS // 1_000_000
BOOKS = 300


def _line(ms: int, received_ms: int, data: dict[str, object]) -> str:
    return f"{received_ms}000 {json.dumps(data)}"


def _feed(clock_ms: int, jump_ms: int, jump_at: int, snapshot_time: bool) -> str:
    """A book that changes every 100 ms: the recorder is `clock_ms` ahead, one difference has a time
    `jump_ms` ahead."""
    lines = []

    def difference(number: int, ms: int, first: int, last: int, before: int) -> None:
        shown = ms + (jump_ms if number == jump_at else 0)
        data = {"e": "depthUpdate", "E": shown + 2, "T": shown, "s": "TST", "U": first, "u": last}
        levels = {"pu": before, "b": [[f"9.{number % 9 + 1}", "3"]], "a": [["10.1", "5"]]}
        lines.append(_line(ms, ms + clock_ms, {"stream": "tst@depth", "data": data | levels}))

    difference(0, START_MS - 50, 90, 95, 89)
    times = {"E": START_MS, "T": START_MS} if snapshot_time else {}
    book = {"lastUpdateId": 100, "bids": [["9.5", "5"]], "asks": [["10.0", "6"]]}
    lines.append(_line(START_MS, START_MS + clock_ms, book | times))
    for k in range(1, BOOKS + 1):
        difference(k, START_MS + 100 * k, 99 + 2 * k, 100 + 2 * k, 98 + 2 * k)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("clock_ms", "jump_ms", "jump_at", "snapshot_time", "noted"),
    [
        (3, 240_000, 100, True, True),
        (3, -3_600_000, BOOKS, True, True),
        (3_600_000, 0, 0, False, False),
        (-86_400_000, 60_000, 7, False, True),
    ],
)
def test_no_clock_alone_silences_the_books(
    tmp_path: Path,
    clock_ms: int,
    jump_ms: int,
    jump_at: int,
    snapshot_time: bool,
    noted: bool,
) -> None:
    (tmp_path / "feed").write_text(_feed(clock_ms, jump_ms, jump_at, snapshot_time))
    done = brinkwatch("import", "binance", tmp_path / "feed", tmp_path / "day", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert abs(report["records"]["book"] - BOOKS) <= 2
    assert any("event times that jump" in note for note in report["notes"]) == noted
    span = Day(tmp_path / "day").meta.span
    assert span is not None
    assert span.first_ts >= START_NS - 10**9
    assert span.last_ts <= START_NS + (BOOKS + 1) * 10**8
