"""Two gateways write one topic partition, and the clock of one of them is behind.

Source: public reports of half of a feed's records dropped as late; read 2026-11.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cases.front_door import START_NS, replay_records


@pytest.mark.parametrize("behind_ms", [120, 400])
def test_the_records_of_both_gateways_count(tmp_path: Path, behind_ms: int) -> None:
    rng = np.random.default_rng(8)
    slow = rng.random(3_000) < 0.5
    ts = START_NS + np.arange(3_000) * 20_000_000 - slow * behind_ms * 1_000_000
    fixed = {"kind": "order", "side": "buy", "price": "1", "quantity": "1", "action": "new"}
    records = [
        {**fixed, "ts": int(t), "symbol": "AB"[i % 2], "account": f"u{i % 9}"}
        for i, t in enumerate(ts)
    ]
    got = replay_records(tmp_path, records)
    assert got.report["late"] == 0
    assert not got.alerts_of("late_records")


def test_a_standing_share_of_late_records_is_an_incident_from_the_start(tmp_path: Path) -> None:
    ts = START_NS + np.arange(4_000) * 50_000_000
    ts[5::10] -= 3_000_000_000
    fixed = {"kind": "cancel", "symbol": "Z"}
    got = replay_records(tmp_path, [{**fixed, "ts": int(t)} for t in ts])
    assert got.report["late"] == 400
    (alert,) = [a for a in got.alerts_of("late_records") if not a["symbols"]]
    assert alert["layer"] == "data"
    assert "10 % of the last records in topic cancels, partition 0" in alert["summary"]
