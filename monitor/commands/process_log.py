"""The log of a running process: JSON lines on stderr, ours and those of the libraries, at a rate.

A cause that lasts (no file descriptor left, a broker that is away) makes a library say the same
thousands of times. Each message passes once in `REPEAT_S`, with how many were left out.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from structlog import processors

REPEAT_S = 10.0
EVENTS_MAX = 1_000
"""Messages whose last time is kept, at most; the oldest are forgotten."""
PER_PERIOD_MAX = 200
"""Lines in `REPEAT_S` over all messages, at most: a message may name what changes each time."""

Event = MutableMapping[str, Any]


class RepeatLimit:
    """A structlog processor that drops what was said a moment ago.

    What is compared is the message, its level, and the owner, topic partition, receiver or
    alert that it is about.
    now_s: monotonic time.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._last: OrderedDict[tuple[Any, ...], tuple[float, int]] = OrderedDict()
        """When each was said last, and how many were left out since."""
        self._period: tuple[float, int] = now_s(), 0
        """When the period began, and how many lines it had."""

    def __call__(self, logger: Any, method: str, event: Event) -> Event:
        now = self._now_s()
        names = "event", "owner", "topic", "partition", "receiver", "id"
        key = method, *(event.get(name) for name in names)
        last_s, left_out = self._last.pop(key, (-REPEAT_S, 0))
        began_s, lines = self._period
        if now - began_s >= REPEAT_S:
            began_s, lines = now, 0
        is_dropped = now - last_s < REPEAT_S or lines >= PER_PERIOD_MAX
        self._last[key] = (last_s, left_out + 1) if is_dropped else (now, 0)
        if len(self._last) > EVENTS_MAX:
            self._last.popitem(last=False)
        if is_dropped:
            raise structlog.DropEvent
        self._period = began_s, lines + 1
        if left_out:
            event["left_out"] = left_out
        return event


def shorten_expected_errors(logger: Any, method: str, event: Event) -> Event:
    """An error of the operating system or of Kafka becomes one line: its traceback says nothing
    that its message does not.
    """
    error = event.get("exc_info")
    if isinstance(error, tuple):
        error = error[1]
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, OSError | KafkaError | TimeoutError):
        del event["exc_info"]
        event["error"] = f"{type(error).__name__}: {error}"
    return event


class LibraryLog(logging.Handler):
    """Hands what libraries log to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger().bind(library=record.name.partition(".")[0])
        # The template, not the text: what differs in offsets or ports is the same message.
        extra = {} if record.exc_info is None else {"exc_info": record.exc_info}
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        log.log(record.levelno, str(record.msg), **({"text": text} if record.args else {}), **extra)


def configure() -> None:
    """All logs of this process go to stderr from here on."""
    stamp, render = processors.TimeStamper(fmt="iso", utc=True), processors.JSONRenderer()
    structlog.configure(
        [
            processors.add_log_level,
            RepeatLimit(),
            shorten_expected_errors,
            stamp,
            processors.format_exc_info,
            render,
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, handlers=[LibraryLog()], force=True)


def note(text: str) -> None:
    """A line of the log that is a sentence."""
    structlog.get_logger().info(text)


def log_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """What nobody awaited, and failures of the loop itself, become lines of the log."""

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        extra = {} if error is None else {"exc_info": (type(error), error, error.__traceback__)}
        structlog.get_logger().error(context["message"], library="asyncio", **extra)

    loop.set_exception_handler(handle)
