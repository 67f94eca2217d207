"""Evidence across markets: the finding, its incident, its sentence."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.core import snapshot
from monitor.core.alerts.incidents import Incidents
from monitor.core.contract.alert import alert_json, parse_alert
from monitor.core.detection.cross_market_evidence import CrossMarketEvidence
from monitor.core.detection.judge import BlockPValues, PassedTime
from monitor.core.finding import JOINT, Finding, FindingPart
from monitor.core.settings import EngineSettings
from tests.core.alerts.findings import START, alerts_of, finding

NAMES = [f"M{i:02}" for i in range(12)]
SETTINGS = EngineSettings(joint={"streams": ("cancels", "leverage_raises", "spread_bps")})
MOVED = ("M03", "M05", "M07", "M08")


def block(rng: np.random.Generator, at: int, moved: tuple[str, ...] = ()) -> list[BlockPValues]:
    """Reports of two shards on a block: cancels and leverage rise in the markets `moved`."""
    blocks = []
    for partition in range(2):
        here = NAMES[partition::2]
        p = rng.random(len(here))
        streams = np.ones((len(here), 3, 4))
        streams[:, :, 0] = rng.exponential(size=(len(here), 3))
        streams[:, :, 1:3] = 10.0, 10.0
        for i, name in enumerate(here):
            if name in moved:
                p[i] = 1e-3
                streams[i, :2, 0] = 4.0
                streams[i, :2, 1] = 16.0, 14.0
        blocks.append(BlockPValues(5 * at + 4, partition, here, p, streams))
    return blocks


def judge_blocks(evidence: CrossMarketEvidence, order: int = 1) -> list[Finding]:
    rng = np.random.default_rng(3)
    findings: list[Finding] = []
    for at in range(2000):
        moved = MOVED if at in (1990, 1991) else ()
        evidence.add(block(rng, at, moved)[::order])
        findings += evidence.judge(PassedTime(5 * at + 5))
    return findings


def test_markets_that_move_together_are_one_finding_with_their_names_and_streams() -> None:
    findings = [f for f in judge_blocks(CrossMarketEvidence(SETTINGS)) if f.window >= 5 * 1990]
    assert findings
    first = findings[0]
    parts = first.parts
    assert {part.symbol for part in parts} == set(MOVED)
    assert {part.stream for part in parts} == {"cancels", "leverage_raises"}
    assert abs(sum(part.share for part in parts) - 1) < 1e-9
    assert {part.stream: part.ratio for part in parts} == {"cancels": 1.6, "leverage_raises": 1.4}
    assert first.window in (9954, 9959)
    assert first.since == 9950
    assert first.partition == NAMES.index(first.symbol) % 2


def test_neither_the_order_of_shards_nor_a_snapshot_changes_the_findings() -> None:
    plain = judge_blocks(CrossMarketEvidence(SETTINGS))
    assert plain == judge_blocks(CrossMarketEvidence(SETTINGS), order=-1)
    rng, evidence = np.random.default_rng(3), CrossMarketEvidence(SETTINGS)
    findings: list[Finding] = []
    for at in range(2000):
        moved = MOVED if at in (1990, 1991) else ()
        evidence.add(block(rng, at, moved))
        if at in (1000, 1991):
            raw = snapshot.pack(evidence.snapshot(), "x")
            evidence = CrossMarketEvidence(SETTINGS)
            evidence.restore(snapshot.unpack(raw, "x"))
            assert snapshot.pack(evidence.snapshot(), "x") == raw
        findings += evidence.judge(PassedTime(5 * at + 5))
    assert findings == plain


def test_without_a_share_of_the_budget_nothing_is_kept() -> None:
    settings = EngineSettings(joint={"across_share": 0.0})
    evidence = CrossMarketEvidence(settings)
    evidence.add(block(np.random.default_rng(1), 0))
    assert evidence.judge(PassedTime(100)) == []
    assert evidence.snapshot()["waiting"] == []
    assert settings.budget.single_streams.per_day > EngineSettings().budget.single_streams.per_day


def together(symbols: list[str], **changes: Any) -> Finding:
    share = 0.5 / len(symbols)
    parts = [
        FindingPart(symbol, stream, JOINT, START + 2, observed, 10.0, 1e-3, share, windows=10)
        for symbol in symbols
        for stream, observed in (("leverage_raises", 16.0), ("cancels", 14.0))
    ]
    base: dict[str, Any] = {"symbol": symbols[0], "detector": JOINT, "stream": "leverage_raises"}
    rest = {"parts": parts, "since": START + 2, "accounts": [], "records": [], "abstained": []}
    return finding(**{**base, **rest, **changes})


def test_the_sentence_names_the_streams_over_all_markets() -> None:
    firing, over = alerts_of(together([f"M{i}" for i in range(8)]), until=START + 60)
    assert firing.summary == (
        "Cancels ×1.4 and leverage raises ×1.6 for 10 s in 8 markets together (once in 40 days), "
        "since 16:03:09 UTC: M0, M1, M2, and 5 more"
    )
    assert over.summary == (
        "Cancels ×1.4 and leverage raises ×1.6 for 10 s in 8 markets together (once in 40 days); "
        "over: quiet for 30 s"
    )
    assert over.fingerprint == firing.fingerprint


def test_the_alert_fits_its_schema_and_walks_through_the_layers() -> None:
    (alert,) = alerts_of(together(["A", "B", "C"]))
    assert parse_alert(alert_json(alert)) == alert
    assert (alert.kind, alert.symbols) == ("incident", ("A", "B", "C"))
    assert {(e.symbol, e.stream) for e in alert.evidence} == {
        (symbol, stream) for symbol in "ABC" for stream in ("leverage_raises", "cancels")
    }
    assert {e.detector for e in alert.evidence} == {"joint"}
    assert alert.accounts == alert.records == ()
    assert all(f"--symbol {symbol} " in alert.reproduce for symbol in "ABC")
    margin = next(step for step in alert.triage or () if step.layer == "margin")
    assert margin.says.startswith("leverage raises ×1.6 in A")


def test_it_joins_the_open_incident_of_any_of_its_markets_and_counts_once() -> None:
    incidents = Incidents(30)
    own = together(["B"], window=START + 4, since=START)
    (firing,) = incidents.advance([own], START + 5)
    (grown,) = incidents.advance([together(["A", "B", "C"], window=START + 14)], START + 15)
    assert (grown.status, grown.fingerprint) == ("updated", firing.fingerprint)
    assert sorted(grown.symbols) == ["A", "B", "C"]
    again = next(p for p in grown.finding.parts if (p.symbol, p.stream) == ("B", "cancels"))
    assert again.observed == 14.0
