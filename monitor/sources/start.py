"""Where the reading of a source begins, while nothing of it was read."""

from __future__ import annotations

from datetime import UTC, datetime

EARLIEST, LATEST = "earliest", "latest"


def start_time_ms(start: str) -> int:
    """The time that `start` names, ms since 1970 (UTC unless it says otherwise).

    Raises `ValueError`, in words, where it names none.

    >>> start_time_ms("2025-11-24T14:03:07Z")
    1763992987000
    """
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        raise ValueError(
            f"start = {start!r} is none of earliest, latest, and a time such as "
            "2025-11-24T14:03:07Z"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)
