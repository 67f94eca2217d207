"""The event loop of a command."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from monitor.errors import BrinkwatchError

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; an error of Kafka becomes a `BrinkwatchError`."""
    try:
        return asyncio.run(work)
    except KafkaError as error:
        raise BrinkwatchError(f"Kafka: {type(error).__name__}: {error}") from error
