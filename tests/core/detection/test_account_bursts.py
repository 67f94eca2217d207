"""Bursts by account in the engine: the accounts named, the records, the sentence."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from monitor.core.contract.events import TOPICS, Control
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from tests.core.alerts.findings import plain

SECOND = 1_000_000_000
START = 1_764_000_000
WARM, BURST, END = 900, 5, 960
LARGE_BUDGET = {"per_day": 1000.0}
OFF = {"warm_up": 10_000}
SHORT_WARM_UP = {"warm_up": 300}


def cancels(spoofers: tuple[str, ...]) -> list[dict[str, Any]]:
    """Cancels of 40 accounts in two markets for 15 minutes, then a burst of the spoofers in one."""
    rng = np.random.default_rng(3)
    rows = []
    for second in range(END):
        for _ in range(rng.poisson(4)):
            account, symbol = f"trader-{rng.integers(40)}", "XY"[rng.integers(2)]
            rows.append((second + rng.random(), symbol, account))
        if second == 0:
            rows += [(0.5, "X", name) for name in spoofers]
        if WARM <= second < WARM + BURST:
            for name in spoofers:
                rows += [(second + rng.random(), "X", name) for _ in range(24 // len(spoofers))]
    return [
        {"kind": "cancel", "ts": round((START + t) * 1e3) * 1_000_000, "symbol": s, "account": a}
        for t, s, a in sorted(rows)
    ]


def alerts(
    spoofers: tuple[str, ...], settings: EngineSettings, cut: int | None = None
) -> list[dict[str, Any]]:
    """The engine's alerts; at record `cut`, a new engine goes on from a snapshot."""
    engine = Engine(settings, [])
    ends = [
        Control(topic=t, partition=0, offset=0, ts=(START + END + 1) * SECOND)
        for t in TOPICS.values()
        if t != TOPICS["cancel"]
    ]
    output = list(engine.control(ends).alerts)
    raws = [json.dumps(record).encode() for record in cancels(spoofers)]
    for low in range(0, len(raws), 500):
        part = raws[low : low + 500]
        offset = np.arange(low, low + len(part))
        output += engine.step(decode("cancel", TOPICS["cancel"], 0, offset, part)).alerts
        if cut == low:
            again = Engine(settings, [])
            again.restore(engine.snapshot())
            engine = again
    return [plain(alert) for alert in (*output, *engine.finish().alerts)]


@pytest.mark.parametrize("spoofers", [("sly",), ("ann", "ben", "cyd")])
def test_a_burst_names_its_accounts_with_their_shares_and_records(
    spoofers: tuple[str, ...],
) -> None:
    output = alerts(
        spoofers,
        EngineSettings(streams=(), joint=OFF, alerts=LARGE_BUDGET, account_bursts=SHORT_WARM_UP),
    )
    first = next(a for a in output if a["kind"] == "account_burst")
    records = cancels(spoofers)
    mine = [i for i, r in enumerate(records) if r["account"] in spoofers and i > 100]
    assert first["symbols"] == ["X"]
    assert {a["account"] for a in first["accounts"]} == set(spoofers)
    assert sum(a["share"] for a in first["accounts"]) == pytest.approx(1, abs=1e-4)
    assert first["since"] == (START + WARM) * SECOND
    (span,) = first["records"]
    assert span["first_offset"] <= mine[0] < span["last_offset"] <= mine[-1] + 10
    assert first["evidence"][0]["stream"] == "cancels"
    assert first["ts"] <= (START + WARM + BURST) * SECOND


def test_the_sentence_compares_the_accounts_with_their_own_habits() -> None:
    output = alerts(
        ("sly",),
        EngineSettings(streams=(), joint=OFF, alerts=LARGE_BUDGET, account_bursts=SHORT_WARM_UP),
    )
    first = next(a for a in output if a["kind"] == "account_burst")
    head, body = first["summary"].split(" (")
    assert head.startswith("Cancels of one account at ")
    assert body.startswith("usual ")
    assert " by its own habits; rarer than anything in the 10 min seen), since " in body
    assert body.endswith(" UTC; sly 100 %")


def test_a_snapshot_anywhere_does_not_change_the_alerts() -> None:
    settings = EngineSettings(
        streams=(), joint=OFF, alerts=LARGE_BUDGET, account_bursts=SHORT_WARM_UP
    )
    whole = alerts(("sly",), settings)
    for cut in (500, 2500, 3500):
        assert alerts(("sly",), settings, cut) == whole


def test_an_account_whose_burst_began_in_the_warm_up_is_named_afterwards() -> None:
    bursts = {"warm_up": WARM + 2}
    output = alerts(
        ("sly",), EngineSettings(streams=(), joint=OFF, alerts=LARGE_BUDGET, account_bursts=bursts)
    )
    first = next(a for a in output if a["kind"] == "account_burst")
    assert [a["account"] for a in first["accounts"]] == ["sly"]
    assert first["ts"] > (START + WARM + 2) * SECOND


def test_without_streams_there_are_no_account_bursts() -> None:
    settings = EngineSettings(
        streams=(), joint=OFF, alerts=LARGE_BUDGET, account_bursts={"streams": ()}
    )
    assert alerts(("sly",), settings) == []
