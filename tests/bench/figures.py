"""The common form of a bench: what it measures comes as figures, and its sizes stand beside it.

A bench is a module `bench_NAME.py` here with two names:

- `CASES`: for each of `SIZES`, the cases to measure, each a dictionary of arguments;
- `measure(scratch, **case)`, which yields a `Figure` for each thing measured. `scratch` is a folder
  that the bench's cases and rounds share: a simulated day in it is made once.

`python -m tests.bench NAME` runs each case in a process of its own, several times. Where a bench
yields a figure of one name several times, these are further measurements of the same thing.
"""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

SIZES = ("full", "quick", "tiny")
"""Full is what the project states, quick is for while one works, tiny is for the tests."""


class Figure(NamedTuple):
    """One measurement."""

    name: str
    """What was measured; the same in every run."""
    value: float
    unit: str
    work: int
    """How much was really done for it: records read, windows closed, calls."""
    better: Literal["less", "more"] = "less"
    goal: float | None = None
    """What is asked, in `unit`."""


@dataclass(frozen=True)
class Result:
    """All measurements of one figure."""

    bench: str
    name: str
    unit: str
    better: str
    goal: float | None
    work: int
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Highest less lowest, as a share of the median."""
        return (max(self.values) - min(self.values)) / abs(self.median) if self.median else 0.0

    @property
    def beyond(self) -> float | None:
        """How many times its goal it is where it misses it; otherwise None."""
        if self.goal is None:
            return None
        times = self.median / self.goal if self.better == "less" else self.goal / self.median
        return times if times > 1 else None

    def to_json(self) -> dict[str, Any]:
        """With the median and the spread, for readers who compute nothing."""
        return {**asdict(self), "median": self.median, "spread": self.spread}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Result:
        fields = {name: given[name] for name in cls.__dataclass_fields__}
        return cls(**{**fields, "values": tuple(given["values"])})


def results(bench: str, figures: Iterable[Figure]) -> list[Result]:
    """Figures of one name together, in the order in which they first came."""
    return [
        Result(
            bench,
            name,
            few[0].unit,
            few[0].better,
            few[0].goal,
            few[0].work,
            tuple(figure.value for figure in few),
        )
        for name, few in _by_name(figures).items()
    ]


def medians(run: Iterable[Figure]) -> list[Figure]:
    """One figure of each name: what one process measured several times has its errors in common."""
    return [
        few[0]._replace(value=statistics.median(figure.value for figure in few))
        for few in _by_name(run).values()
    ]


def _by_name(figures: Iterable[Figure]) -> dict[str, list[Figure]]:
    grouped: dict[str, list[Figure]] = {}
    for figure in figures:
        grouped.setdefault(figure.name, []).append(figure)
    return grouped


def cases(bench: str, size: str) -> tuple[dict[str, Any], ...]:
    """The cases of a bench at one of `SIZES`."""
    of_size: tuple[dict[str, Any], ...] = _module(bench).CASES[size]
    return of_size


def measure(bench: str, case: dict[str, Any], scratch: Path) -> Iterator[Figure]:
    """Measure one case in this process."""
    yield from _module(bench).measure(scratch, **case)


def _module(bench: str) -> Any:
    return importlib.import_module(f"tests.bench.bench_{bench}")
