"""What a simulated day is made of: its length, its size, its traffic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """The same settings give the same bytes."""

    seed: int = 7
    minutes: int = 20
    symbols: int = 8
    """Markets."""
    accounts: int = 2000
    rate: float = 400.0
    """Orders, cancels and fills a second, on average, over all markets; books, marks and the rest
    come on top."""
    incidents: str = "default"
    """`default`, `none`, or the path of a JSON file of incidents to plant."""
    partitions: int = 1
    """Of each topic."""

    def check(self) -> None:
        """Raise `ValueError` where a number is out of range, with the range."""
        bounds = {
            "seed": (0, 2**63 - 1),
            "minutes": (1, 60 * 24 * 31),
            "symbols": (1, 10_000),
            "accounts": (10, 1_000_000),
            "rate": (0.1, 1e6),
            "partitions": (1, 1024),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}: give {low} to {high:g}")
