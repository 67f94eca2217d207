"""An alert has the stakes of the last bands before it."""

from __future__ import annotations

from monitor.core import snapshot
from monitor.core.alerts.stakes import StakeHistory
from monitor.core.contract.alert import AlertZone, MarketStake, Stake


def stake(forced: float) -> MarketStake:
    return MarketStake(Stake(forced, forced, 0.0, 2.0), (AlertZone(1.0, 2.0, "long", forced),))


def test_stake_is_that_of_the_last_moment_up_to_the_alert() -> None:
    history = StakeHistory()
    assert history.find("A", 100) is None
    history.add(10, {"A": stake(1.0)})
    history.add(20, {"A": stake(2.0), "B": stake(3.0)})
    history.add(30, {})
    assert [history.find("A", ts) for ts in (9, 10, 19, 20, 29, 30)] == [
        None, stake(1.0), stake(1.0), stake(2.0), stake(2.0), None,
    ]  # fmt: skip
    assert history.find("B", 19) is None
    history.forget()
    assert history.find("A", 29) is None


def test_stakes_continue_from_a_snapshot() -> None:
    history, restored = StakeHistory(), StakeHistory()
    history.add(20, {"A": stake(2.0)})
    packed = snapshot.pack({"stakes": history.snapshot()}, "")
    restored.restore(snapshot.unpack(packed, "")["stakes"])
    assert restored.find("A", 25) == stake(2.0)
    assert restored.snapshot() == history.snapshot()
