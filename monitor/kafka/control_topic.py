"""The control topic: each record says that a topic partition has reached a time without data."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaProducer
from pydantic import ValidationError

from monitor.core.contract.events import Control


async def send_control(
    producer: AIOKafkaProducer, topic: str, control: Control
) -> asyncio.Future[Any]:
    """Send a control record to the partition of the same number as the one it speaks of."""
    sent: asyncio.Future[Any] = await producer.send(
        topic,
        control.model_dump_json().encode(),
        key=f"{control.topic}/{control.partition}/{control.offset}".encode(),
        partition=control.partition,
    )
    return sent


def parse_controls(records: list[Any]) -> list[Control]:
    """The control records among `records`; what is not one is left out."""
    controls: list[Control] = []
    for record in records:
        with suppress(ValidationError):
            controls.append(Control.model_validate_json(record.value or b""))
    return controls
