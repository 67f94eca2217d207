"""Errors that a user can mend. Each message says how."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class BrinkwatchError(Exception):
    """The job failed: exit status 1."""


class ConfigError(BrinkwatchError):
    """Wrong usage or configuration: exit status 2."""


class BrokerError(BrinkwatchError):
    """The try-out Kafka cannot be had; the message says why and what to do."""


def nearest_name(name: str, names: Sequence[str]) -> str:
    """The end of an error about a name that is not among `names`: the nearest one, or all."""
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
