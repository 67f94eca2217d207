"""What /livez and /readyz answer, each with its reason in words."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from monitor.core.event_time.watermark import PartitionClock
from monitor.kafka.partitions import PartitionKey
from monitor.live.recent_refusals import refusal_trouble
from monitor.live.supervisor import Supervisor

STUCK_S = 30.0
"""Without a turn for so long: not alive."""
LATE_SHARE_MAX = 0.5
"""With more of a topic partition's records late, it is not read in any useful sense."""
NOT_READY_S = 5.0
"""Without a turn for so long: not ready; a turn takes a second at most where Kafka answers."""


def liveness(supervisors: Collection[Supervisor]) -> tuple[bool, str]:
    """Whether every owner makes turns, or attempts to start."""
    now_s = time.monotonic()
    since_s = now_s - min((each.last_turn_s for each in supervisors), default=now_s)
    return since_s < STUCK_S, f"last turn {since_s:.1f} s ago"


def readiness(
    assigned: Collection[int] | None,
    supervisors: Mapping[str, Supervisor],
    topics_fault: str,
    lag_limit_s: float,
) -> tuple[bool, str]:
    """Whether the state is restored, and records are read in time and mostly accepted; with the
    reason where not.

    `assigned`: this member's partitions, None before the group has shared them out; `topics_fault`:
    what is wrong with the topics; `lag_limit_s`: records may wait for so long.
    """
    if assigned is None:
        return False, topics_fault or "waiting for the group to share out the partitions"
    for owner, supervisor in sorted(supervisors.items()):
        if supervisor.session is None or supervisor.why:
            return False, f"{owner}: {supervisor.why}"
    if len(supervisors) < len(assigned):
        return False, "starting"
    if topics_fault:
        return False, topics_fault
    sessions = [s.session for s in supervisors.values() if s.session is not None]
    for session in sessions:
        since_s = time.monotonic() - session.last_turn_s
        if since_s > NOT_READY_S:
            why = session.work() or "Kafka does not answer, or this machine is too slow"
            return False, f"{session.name}: nothing read or published for {since_s:.0f} s: {why}"
        if any(session.lag.values()) and session.delay_s > lag_limit_s:
            behind = f"behind by {session.delay_s:.0f} s (limit {lag_limit_s:.0f} s)"
            return False, f"{session.name}: {behind}"
        if fault := session.fault():
            return False, fault
    if refused := refusal_trouble(session.refusals.recent() for session in sessions):
        return False, refused
    return time_trouble({at: c for s in sessions for at, c in s.clocks.items()})


def time_trouble(clocks: Mapping[PartitionKey, PartitionClock]) -> tuple[bool, str]:
    """Whether the clocks let records count: not where most of a topic partition's are late."""
    for (topic, partition), clock in sorted(clocks.items()):
        if clock.late_share > LATE_SHARE_MAX:
            return False, (
                f"{topic}/{partition}: {clock.late_share:.0%} of the last minutes' records came "
                "too late to count: a producer's clock is ahead of the others', or behind"
            )
    waits = [f"{t}/{p} {len(c.waiting_offsets)}" for (t, p), c in sorted(clocks.items())
             if c.waiting_offsets]  # fmt: skip
    if not waits:
        return True, "ready"
    return True, f"ready; records far ahead of their log wait for a witness: {', '.join(waits)}"
