"""A stream whose detector breaks is out: the rest goes on, one alert says so, and it is counted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from detectors.account_burst.detector import AccountBurstDetector
from detectors.burst.detector import BurstDetector
from detectors.calibration.calibrator import Calibrator
from detectors.joint.cross_market import CrossMarketStatistics
from detectors.joint.cusums import JointCusums
from monitor.core.contract.events import TOPICS, Control
from monitor.core.decode.codec import decode
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings, StreamSettings
from tests.core.detection.frail import FAULTS, FrailDetector, WholeDetector
from tests.core.test_shard import START, at

SETTINGS = EngineSettings(
    streams=(
        StreamSettings(feature="cancels", detector="frail"),
        StreamSettings(feature="orders", parameters={"warm_up": 20}),
    ),
    joint={"warm_up": 10, "window_s": 1.0, "streams": ("cancels", "orders"), "across_share": 0.1},
    account_bursts={"warm_up": 10},
    alerts={"per_day": 1000.0},
)
SECONDS = 60
AFTER = 5
"""Calls after which what judges many markets breaks."""


def records() -> list[dict[str, Any]]:
    """Two markets with an order and a cancel a second; in X, 40 cancels in second 30."""
    out = []
    for second in range(SECONDS):
        for symbol in ("X", "Y"):
            for kind in ("order", "cancel"):
                number = 40 if (kind, symbol, second) == ("cancel", "X", 30) else 1
                base = {"kind": kind, "symbol": symbol, "side": "buy", "price": "10"}
                base |= {"quantity": "1", "account": f"a{second % 3}"}
                base |= {"action": "new"} if kind == "order" else {}
                out += [{**base, "ts": at(second + 0.01 * i)} for i in range(number)]
    return out


def run(
    factory: DetectorFactory, restart_at: int | None = None, seconds: int = SECONDS
) -> tuple[list[Any], Engine]:
    """All alerts of `records`, which come second by second."""

    def engine() -> Engine:
        return Engine(SETTINGS, [factory, lambda: BurstDetector("orders", warm_up=20)])

    machine, given, alerts = engine(), records(), []
    controls = [
        Control(topic=topic, partition=0, offset=0, ts=at(seconds))
        for kind, topic in TOPICS.items()
        if kind not in ("order", "cancel")
    ]
    alerts += machine.control(controls).alerts
    offset = dict.fromkeys(TOPICS, 0)
    for second in range(seconds):
        if second == restart_at:
            state, machine = machine.snapshot(), engine()
            machine.restore(state)
        for kind in ("order", "cancel"):
            here = [
                r for r in given if r["kind"] == kind and at(second) <= r["ts"] < at(second + 1)
            ]
            raws = [json.dumps(r).encode() for r in here]
            offsets = np.arange(offset[kind], offset[kind] + len(raws))
            offset[kind] += len(raws)
            alerts += machine.step(decode(kind, TOPICS[kind], 0, offsets, raws)).alerts
    return alerts + machine.finish().alerts, machine


def of_kind(alerts: list[Any], kind: str) -> list[Any]:
    return [alert for alert in alerts if alert.kind == kind]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("detector", [FrailDetector, WholeDetector])
def test_a_detector_that_breaks_takes_its_own_stream_out_and_no_other(
    fault: str, detector: type[FrailDetector]
) -> None:
    alerts, machine = run(lambda: detector("cancels", fault))
    (out,) = of_kind(alerts, "stream_out")
    assert (out.layer, out.symbols, out.status) == ("data", ("X",), "firing")
    assert out.ts == START + 31 * 10**9
    assert "Stream cancels of X is out" in out.summary
    assert ("its score is infinite" if fault == "infinite" else "raised ") in out.summary
    assert "at 1" not in out.summary
    assert machine.stage.streams_out == {"frail": 1}
    (group, _) = machine.shards[0]._judges[0]._groups._groups  # type: ignore[attr-defined]
    assert [detector.seen for detector in group._bank._detectors] == [0, machine.windows // 2]


def test_what_the_plug_in_says_is_part_of_no_alert_and_each_run_is_alike() -> None:
    first, machine = run(lambda: FrailDetector("cancels", "learn"))
    second, other = run(lambda: FrailDetector("cancels", "learn"))
    assert first == second
    assert machine.digest() == other.digest()


@pytest.mark.parametrize("fault", ["judge", "learn"])
@pytest.mark.parametrize("second", [30, 31, 32, 45])
def test_a_stream_that_is_out_stays_out_after_a_restart(fault: str, second: int) -> None:
    whole, machine = run(lambda: FrailDetector("cancels", fault))
    parts, restarted = run(lambda: FrailDetector("cancels", fault), restart_at=second)
    assert parts == whole
    assert restarted.digest() == machine.digest()
    assert restarted.stage.streams_out == {"frail": 1}


def test_a_detector_without_a_state_to_write_is_out_after_the_restart_only() -> None:
    alone, machine = run(lambda: FrailDetector("cancels", "snapshot", 1e9))
    assert not of_kind(alone, "stream_out")
    machine.snapshot()
    alerts, _ = run(lambda: FrailDetector("cancels", "snapshot", 1e9), restart_at=40)
    (x, y) = of_kind(alerts, "stream_out")
    assert {x.symbols, y.symbols} == {("X",), ("Y",)}
    assert "its state could not be written" in x.summary


def healthy() -> FrailDetector:
    return FrailDetector("cancels", "", 1e9)


def test_a_calibrator_that_breaks_takes_its_stream_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def p_value(self: Calibrator, score: float) -> float:
        if score == 100.0:
            raise ValueError(str(id(self)))
        return ask(self, score)

    ask = Calibrator.p_value
    monkeypatch.setattr(Calibrator, "p_value", p_value)
    alerts, _ = run(lambda: FrailDetector("cancels", ""))
    (out,) = of_kind(alerts, "stream_out")
    assert "raised ValueError" in out.summary
    assert out.symbols == ("X",)


@pytest.mark.parametrize(
    ("broken", "method", "stream"),
    [
        (JointCusums, "judge", "joint evidence"),
        (JointCusums, "learn", "joint evidence"),
        (CrossMarketStatistics, "judge", "evidence across markets"),
        (AccountBurstDetector, "learn_ordinary", "cancels"),
    ],
)
@pytest.mark.parametrize("restart_at", [None, 55])
def test_evidence_of_many_markets_that_breaks_is_out_and_the_rest_goes_on(
    broken: type, method: str, stream: str, restart_at: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fail(self: Any, *given: Any) -> Any:
        calls.append(1)
        if len(calls) > AFTER:
            raise FloatingPointError
        return ask(self, *given)

    ask = getattr(broken, method)
    monkeypatch.setattr(broken, method, fail)
    alerts, machine = run(healthy, restart_at)
    out = of_kind(alerts, "stream_out")
    assert any(f"Stream {stream} is out" in alert.summary for alert in out)
    assert all(alert.symbols == () for alert in out)
    assert len(calls) == AFTER + len(out)
    assert machine.windows >= 2 * (SECONDS - 2)


def test_a_market_whose_joint_evidence_is_no_number_is_out_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def judge(self: JointCusums, *given: Any) -> Any:
        score = ask(self, *given)
        score[:1] = np.where(self.judging_streams[:1] >= 2, np.inf, score[:1])
        return score

    ask = JointCusums.judge
    monkeypatch.setattr(JointCusums, "judge", judge)
    alerts, _ = run(healthy)
    (out,) = of_kind(alerts, "stream_out")
    assert len(out.symbols) == 1
    assert "joint evidence" in out.summary
