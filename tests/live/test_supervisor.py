"""What a supervisor does with each failure of its sessions; no Kafka is needed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from monitor.errors import ConfigError
from monitor.kafka.clients import UnreachableError
from monitor.kafka.logs.identity import LogChangedError
from monitor.live import supervisor as module
from monitor.live.supervisor import Supervisor
from monitor.metrics.sidecar import Metrics


class Session:
    """Fails as it begins, or after a turn."""

    def __init__(self, begin: Exception | None = None, turn: Exception | None = None) -> None:
        self._begin, self._turn = begin, turn
        self.last_turn_s = 0.0

    async def begin(self) -> None:
        if self._begin is not None:
            raise self._begin

    async def turn(self, is_stopping: Any) -> None:
        if self._turn is not None:
            raise self._turn
        await asyncio.sleep(0)

    async def commit(self, snapshot: bool) -> None: ...

    async def end(self) -> None: ...


async def run(sessions: list[Session]) -> int:
    """Run these sessions, and stop with the last; how many were made."""
    count = 0

    def make() -> Any:
        nonlocal count
        count += 1
        if count == len(sessions):
            owner.stop()
        return sessions[count - 1]

    owner = Supervisor("0", make, Metrics())
    await asyncio.wait_for(owner.run(), 30)
    return count


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACK_OFF_S", (0.0,))


AWAY = UnreachableError("nobody listens")


def test_a_broker_killed_before_the_first_turn_is_waited_for() -> None:
    assert asyncio.run(run([Session(AWAY), Session(AWAY), Session()])) == 3


def test_it_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_S", 0.0)
    with pytest.raises(UnreachableError):
        asyncio.run(run([Session(AWAY), Session()]))


def test_what_people_have_to_mend_ends_it() -> None:
    with pytest.raises(ConfigError, match="settings"):
        asyncio.run(run([Session(ConfigError("settings")), Session()]))
    changed = LogChangedError("made anew")
    with pytest.raises(LogChangedError):
        asyncio.run(run([Session(turn=AWAY), Session(turn=changed), Session()]))


def test_once_a_session_ran_other_trouble_of_connections_passes() -> None:
    sessions = [Session(turn=AWAY), Session(ConfigError("a certificate")), Session()]
    assert asyncio.run(run(sessions)) == 3
