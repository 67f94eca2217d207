"""A cause that lasts fills no disk: the same message passes once in some seconds, with a count."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from monitor.commands.process_log import (
    EVENTS_MAX,
    PER_PERIOD_MAX,
    REPEAT_S,
    RepeatLimit,
    shorten_expected_errors,
)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def passed(limit: RepeatLimit, **event: Any) -> dict[str, Any] | None:
    try:
        return dict(limit(None, "warning", event))
    except structlog.DropEvent:
        return None


def test_the_same_message_passes_once_and_then_with_how_many_were_left_out() -> None:
    clock = Clock()
    limit = RepeatLimit(clock)
    lines = [passed(limit, event="no descriptor", text=str(i)) for i in range(10_000)]
    assert [line for line in lines if line] == [{"event": "no descriptor", "text": "0"}]
    assert passed(limit, event="no descriptor", owner="1") is not None
    clock.now_s += REPEAT_S
    assert passed(limit, event="no descriptor") == {"event": "no descriptor", "left_out": 9_999}


def test_messages_that_differ_each_time_are_bounded_too_and_so_is_the_memory() -> None:
    clock = Clock()
    limit = RepeatLimit(clock)
    lines = [passed(limit, event=f"port {i}") for i in range(10_000)]
    assert len([line for line in lines if line]) == PER_PERIOD_MAX
    assert len(limit._last) == EVENTS_MAX
    clock.now_s += REPEAT_S
    assert passed(limit, event="another") is not None


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), TimeoutError("slow")])
def test_an_error_of_the_system_has_no_traceback(error: Exception) -> None:
    try:
        raise error
    except Exception as caught:
        event = {"event": "x", "exc_info": (type(caught), caught, caught.__traceback__)}
    shorten_expected_errors(None, "error", event)
    assert "exc_info" not in event
    assert str(error) in str(event["error"])


def test_an_error_of_ours_keeps_its_traceback() -> None:
    event = {"event": "x", "exc_info": (KeyError, KeyError("a"), None)}
    assert "exc_info" in shorten_expected_errors(None, "error", event)
