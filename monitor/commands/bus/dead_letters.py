"""`brinkwatch dlq list` and `brinkwatch dlq replay`."""

from __future__ import annotations

from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.kafka import dead_letters
from monitor.kafka.clients import run_async

COLUMNS = ["topic", "partition", "offset", "reason", "detail", "bytes", "begins"]


def list_dead_letters(config: Config, console: Console) -> dict[str, Any]:
    """Show every dead letter."""
    letters = run_async(dead_letters.list_letters(config))
    rows = [[str(letter.get(name, "")) for name in COLUMNS] for letter in letters]
    console.table(f"{len(letters):,} dead letters", COLUMNS, rows)
    return {"letters": letters}


def resend_dead_letters(config: Config, console: Console) -> dict[str, Any]:
    """Send every dead letter again to where it came from, each once."""
    result = run_async(dead_letters.resend(config))
    console.say(f"{result.sent:,} dead letters sent again to where they came from")
    if result.of_sources:
        console.say(
            f"{result.of_sources:,} came from the topics of sources, which are only read: mend the "
            "field map; dlq list keeps them"
        )
    if result.foreign:
        console.say(
            f"{result.foreign:,} records of {config.kafka.dlq_topic} were left out: they name no "
            "topic partition of the venue, so somebody else has written them"
        )
    return result._asdict()
