"""A detector without one of its mechanisms: the copy that is measured, and what decides."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[4]
ERRORS_OVERALL, ERRORS_ANYWHERE = 2.0, 3.0
"""A loss counts when it is more than two errors over all backgrounds, or more than three on one of
them: with thirty mechanisms on nine backgrounds, one in 740 is beyond three by chance."""


class Mechanism(NamedTuple):
    """`text` of `file` becomes `without`."""

    name: str
    file: str
    text: str
    without: str

    def remove(self, source: str) -> str:
        """The file without it; `ValueError` where its lines are not there exactly once."""
        if source.count(self.text) != 1:
            raise ValueError(f"{self.name}: {self.file} has no such lines")
        return source.replace(self.text, self.without)


def copy_without(mechanism: Mechanism | None, source: Path, folder: Path) -> None:
    """Copy `detectors` to `folder`, with the lines of `source` in it changed as `mechanism` says.

    What is compiled is copied, too, but for `source`: constants are compiled into every loop of it.
    """
    shutil.copytree(ROOT / "detectors", folder / "detectors")
    shutil.rmtree(folder / source / "__pycache__", ignore_errors=True)
    if mechanism:
        path = folder / source / mechanism.file
        path.write_text(mechanism.remove(path.read_text()))


class Difference(NamedTuple):
    """A mean difference and its standard error."""

    mean: float
    error: float

    @classmethod
    def of(cls, differences: Sequence[float]) -> Difference:
        """Of paired measurements, at least one.

        >>> str(Difference.of([0.01, 0.03]))
        '+0.020 ± 0.010'
        """
        n = len(differences)
        error = np.std(differences, ddof=1) / np.sqrt(n) if n > 1 else np.inf
        return cls(float(np.mean(differences)), float(error))

    @property
    def errors(self) -> float:
        """How many errors it is away from nothing.

        >>> Difference(-0.03, 0.01).errors
        -3.0
        """
        if self.error:
            return self.mean / self.error
        return math.copysign(math.inf, self.mean) if self.mean else 0.0

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ± {self.error:.3f}"


class Measured(NamedTuple):
    """What a detector makes of a case: recall of all, and by place; the share named right of what
    is found (1 where nobody is named); false alarms a day at a budget of one and of ten."""

    background: str
    seed: int
    places: list[float]
    recall: float
    named: float
    false: float
    false_ten: float


class Loss(NamedTuple):
    """What goes without a mechanism: figures without it less those with it."""

    recall: Difference
    false: Difference
    false_ten: Difference
    named: Difference
    recall_by_background: dict[str, Difference]

    @property
    def worst(self) -> str:
        """The background on which most recall is lost, in errors."""
        by = self.recall_by_background
        return min(by, key=lambda name: by[name].errors)

    @property
    def is_one(self) -> bool:
        """Whether there is a loss beyond chance: whether the mechanism earns its lines."""
        falls = min(self.recall.errors, self.named.errors)
        rises = max(self.false.errors, self.false_ten.errors)
        anywhere = self.recall_by_background[self.worst].errors
        return max(-falls, rises) > ERRORS_OVERALL or -anywhere > ERRORS_ANYWHERE


FIGURES = "recall", "false", "false_ten", "named"


def compare(without: Sequence[Measured], full: Sequence[Measured]) -> Loss:
    """Of the same cases, in the same order."""

    def paired(what: str) -> Difference:
        pairs = zip(without, full, strict=True)
        return Difference.of([getattr(a, what) - getattr(b, what) for a, b in pairs])

    places: dict[str, list[float]] = {}
    for a, b in zip(without, full, strict=True):
        places.setdefault(a.background, []).extend(np.subtract(a.places, b.places).tolist())
    by_background = {name: Difference.of(lost) for name, lost in places.items()}
    return Loss(*map(paired, FIGURES), by_background)


def full_row(full: Sequence[Measured]) -> str:
    """What there is with all mechanisms."""
    means = (np.mean([getattr(one, what) for one in full]) for what in FIGURES)
    figures = (f"{what} {mean:.3f}" for what, mean in zip(FIGURES, means, strict=True))
    return f"all mechanisms, of {len(full)} cases: {', '.join(figures)}"


HEAD = (
    "| without | recall | named right | false at 1 a day | at 10 | most recall lost on | a loss |\n"
    + "|---" * 7
    + "|"
)


def table_row(name: str, loss: Loss) -> str:
    """A line of the table."""
    worst = f"{loss.worst}: {loss.recall_by_background[loss.worst]}"
    figures = loss.recall, loss.named, loss.false, loss.false_ten, worst
    return f"| {' | '.join((name, *map(str, figures), 'yes' if loss.is_one else 'no'))} |"
