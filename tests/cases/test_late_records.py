"""Kind: records of accounts come after later ones of their topic, and are lost to the accounts.

Modelled on public reports of positions that drift from the venue's own after a feed delivered some
fills, transfers or leverage changes seconds late. Read 2026-11.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cases.front_door import START_NS, Replayed, replay_records
from tests.cases.test_repeated_records import SECOND, day

LEVERAGE = [
    {"kind": "leverage", "ts": START_NS + second * SECOND, "symbol": "AVAX-PERP",
     "account": "long", "leverage": str(times), "margin_mode": mode}
    for second, times, mode in ((3, 10, "cross"), (6, 4, "isolated"), (9, 5, "isolated"))
]  # fmt: skip
MARGIN = {"kind": "collateral", "ts": START_NS + 7 * SECOND, "account": "long", "amount": "3000",
          "symbol": "AVAX-PERP", "cause": "isolated_in"}  # fmt: skip
LATER = {"kind": "collateral", "ts": START_NS + 20 * SECOND, "account": "other", "amount": "1",
         "cause": "deposit"}  # fmt: skip


def ordered() -> list[dict[str, Any]]:
    return sorted([*day(), *LEVERAGE, MARGIN, LATER], key=lambda record: record["ts"])


def delayed(late_s: float, *kinds: str) -> list[dict[str, Any]]:
    """The same day; every second record of these kinds comes `late_s` later."""
    out, count = [], 0
    for record in ordered():
        is_late = record["kind"] in kinds and (count := count + 1) % 2 == 0
        out.append((record["ts"] + is_late * late_s * SECOND, record))
    return [record for _, record in sorted(out, key=lambda row: row[0])]


@pytest.fixture(scope="module")
def in_time(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    return replay_records(tmp_path_factory.mktemp("ordered"), ordered())


@pytest.mark.parametrize(
    ("late_s", "kinds"),
    [(2.5, ("fill",)), (4.0, ("leverage",)), (9.0, ("collateral",)), (7.5, ("reference",)),
     (3.3, ("fill", "leverage", "collateral", "reference"))],
)  # fmt: skip
def test_late_records_reach_the_accounts(
    tmp_path: Path, in_time: Replayed, late_s: float, kinds: tuple[str, ...]
) -> None:
    replayed = replay_records(tmp_path, delayed(late_s, *kinds))
    assert replayed.report["late"] > 0 or kinds == ("reference",)
    assert replayed.bands[-1] == in_time.bands[-1]
    assert replayed.report["late_in_accounts"]["unordered"] == 0
