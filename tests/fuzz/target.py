"""What is given changed inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Target:
    """`read` takes inputs and raises only what is a fault."""

    name: str
    seeds: list[bytes]
    read: Callable[[list[bytes]], None]
