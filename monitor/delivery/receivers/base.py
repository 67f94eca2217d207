"""What every receiver is, and the failures that decide whether an alert is tried again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from monitor.delivery.incidents import Notice


class DeliveryError(Exception):
    """An attempt failed; the alert is tried again. The message has no secret in it.

    retry_after_s: what the receiver asked to wait, if it did.
    """

    def __init__(self, why: str, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class RejectedError(DeliveryError):
    """The receiver will never take this alert as it is; trying again would hold up the others."""


class Receiver(Protocol):
    """Sends notices. One at a time: the next call comes when the last one has ended."""

    resend_s: float | None
    """How often what fires is sent again, s; None: never."""

    async def send(self, notice: Notice) -> None:
        """Send one; raises `DeliveryError`."""

    async def resend(self, notices: Sequence[Notice]) -> None:
        """Send again what fires; raises `DeliveryError`."""

    async def close(self) -> None:
        """Give back what it holds open; `send` may open it again."""


class OnceReceiver:
    """A receiver to which nothing is sent again."""

    resend_s: float | None = None

    async def resend(self, notices: Sequence[Notice]) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""
