"""Kind: one stream can stop the engine. A market grows wilder from block to block, for hours.

Source: public reports of monitors that died in the very hours for which they were bought, and again
at each restart; read 2026-11.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.front_door import START_NS, replay_records

SECOND, BLOCK_S = 1_000_000_000, 300


@pytest.mark.parametrize("calm", [17, 16, 32])
@pytest.mark.parametrize("wild", [(30, 120, 400), (50, 60, 5000, 9000, 2e4)])
def test_sweeps_that_grow_without_end_end_no_process(
    tmp_path: Path, calm: int, wild: tuple[float, ...]
) -> None:
    bps = [2.0 + 0.3 * (i % 5) for i in range(calm)] + [float(b) for b in wild]
    records = []
    for block, moved in enumerate([*bps, 1.0]):
        for n, price in enumerate((100.0, 100.0 * (1 + moved / 1e4))):
            records.append({
                "kind": "fill", "ts": START_NS + (block * BLOCK_S + 150) * SECOND + n,
                "symbol": "WILD-PERP", "trade_id": f"{block}-{n}", "side": "buy",
                "price": f"{price:.6f}", "quantity": "1", "liquidity": "taker",
            })  # fmt: skip
    day = replay_records(tmp_path, records)
    assert day.exit_code == 0
    assert day.report["records"] == len(records)
    assert day.report["streams_out"] == {}
