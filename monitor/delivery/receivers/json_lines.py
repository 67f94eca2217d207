"""A file of JSON lines: the alerts of the topic as they are, silenced ones too."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from monitor.core.contract.alert import alert_json
from monitor.delivery.incidents import Notice
from monitor.delivery.receivers.base import DeliveryError, OnceReceiver
from monitor.delivery.settings import ReceiverSettings

MODE = 0o640
"""Of a new file: alerts may name accounts."""


class FileReceiver(OnceReceiver):
    """Adds a line for each alert, and returns once the disk has it."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._path = settings.path or Path()  # the settings see to it

    async def send(self, notice: Notice) -> None:
        """Add one line."""
        try:
            await asyncio.to_thread(self._append, alert_json(notice.alert) + b"\n")
        except OSError as error:
            raise DeliveryError(f"{self._path} cannot be written: {error.strerror}") from None

    def _append(self, line: bytes) -> None:
        """One write; what a full disk cut short, or a crash, is ended before."""
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, MODE)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                line = b"\n" + line
            if os.write(file, line) != len(line):
                raise OSError(28, "the disk is full")
            os.fsync(file)
        finally:
            os.close(file)
