"""Members of one group share the partitions; whatever becomes of them, the alerts are the same."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.live.helpers import (
    configuration,
    create_topics_of,
    replay_to_file,
    send,
    total,
    write_day,
)
from tests.live.killing import (
    PARTITIONS,
    SYMBOLS,
    Group,
    kill_loop,
    record_day,
    values,
)
from tests.live.sidecars import Process, wait_to_end


def owned(member: Process) -> list[int]:
    """The partitions that a member reads, once all of them are restored."""
    state = member.snapshot()
    return state["partitions"] if state["ready"] else []


def wait_to_share(members: list[Process], seconds: float = 60.0) -> None:
    """Until every member has some of the partitions, and all of them are taken once."""
    end = time.monotonic() + seconds
    while True:
        shares = [owned(member) for member in members]
        if all(shares) and sorted(p for share in shares for p in share) == list(range(PARTITIONS)):
            return
        assert time.monotonic() < end, [member.snapshot() for member in members]
        time.sleep(0.1)


def test_two_then_three_members_then_one_publish_the_same_alerts(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka, member_timeout_s=6.0)
    day = write_day(tmp_path, config, partitions=PARTITIONS, symbols=SYMBOLS, minutes=1)
    create_topics_of(day, config)
    sender = threading.Thread(target=send, args=(day, config, 2.5), daemon=True)
    sender.start()
    with Group(tmp_path, config, 2) as group:
        wait_to_share(group.members)
        group.members.append(group.start(2))
        wait_to_share(group.members)
        for gone in (group.members.pop(0), group.members.pop()):
            gone.child.terminate()
            assert gone.child.wait(15) == 0
        wait_to_share(group.members)
        sender.join()
        wait_to_end(group.members, total(day))
    _, alerts = replay_to_file(record_day(config, tmp_path / "again"), config, tmp_path / "alerts")
    assert alerts
    assert values(kafka, config.kafka.alerts_topic) == alerts


@pytest.mark.parametrize(("members", "kills"), [(1, 6), (2, 8)])
def test_killed_at_any_moment_members_lose_no_alert_and_publish_none_twice(
    kafka: str, tmp_path: Path, members: int, kills: int
) -> None:
    outcome = kill_loop(
        kafka, tmp_path, kills=kills, members=members, seed=members, minutes=1, speed=2.5
    )
    assert outcome.wanted
    assert outcome.good, outcome.summary_line()
