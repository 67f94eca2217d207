"""The silences that a recorded day keeps, so that its replay says what was said."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from monitor.errors import ConfigError
from monitor.silences.silence import AlertSilence

FILE = "silences.json"
"""In the folder of the day."""
_ADAPTER = TypeAdapter(tuple[AlertSilence, ...])


def silences_json(silences: Iterable[AlertSilence]) -> bytes:
    """The content of the file."""
    return _ADAPTER.dump_json(tuple(silences))


def read_recorded(folder: Path) -> tuple[AlertSilence, ...]:
    """The silences of the day in `folder`; none where it keeps none."""
    file = folder / FILE
    try:
        return _ADAPTER.validate_json(file.read_bytes()) if file.exists() else ()
    except (OSError, ValidationError) as error:
        raise ConfigError(f"{file} cannot be read ({error}): record the day anew") from error
