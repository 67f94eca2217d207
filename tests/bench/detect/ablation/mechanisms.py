"""A detector without one of its mechanisms: the copy that is measured, and what decides."""

from __future__ import annotations

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


def copy_without(mechanism: Mechanism | None, source: Path, folder: Path) -> None:
    """Copy `detectors` to `folder`, with the lines of `source` in it changed as `mechanism` says.

    What is compiled is copied, too, but for `source`: constants are compiled into every loop of it.
    Raises `ValueError` where the lines are not there exactly once.
    """
    shutil.copytree(ROOT / "detectors", folder / "detectors")
    shutil.rmtree(folder / source / "__pycache__", ignore_errors=True)
    if mechanism:
        path = folder / source / mechanism.file
        text = path.read_text()
        if text.count(mechanism.text) != 1:
            raise ValueError(f"{mechanism.name}: {mechanism.file} has no such lines")
        path.write_text(text.replace(mechanism.text, mechanism.without))


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
        return self.mean / self.error if self.error else np.sign(self.mean) * np.inf * bool(self.mean)

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ± {self.error:.3f}"


class Loss(NamedTuple):
    """What goes without a mechanism: figures without it less those with it."""

    recall: Difference
    false: Difference
    false_ten: Difference
    named: Difference | None
    """None where nobody is named."""
    recall_by_background: dict[str, Difference]

    @property
    def worst(self) -> str:
        """The background on which most recall is lost, in errors."""
        by = self.recall_by_background
        return min(by, key=lambda name: by[name].errors)

    @property
    def is_one(self) -> bool:
        """Whether there is a loss beyond chance: whether the mechanism earns its lines."""
        falls = min(of.errors for of in (self.recall, self.named) if of)
        rises = max(self.false.errors, self.false_ten.errors)
        anywhere = self.recall_by_background[self.worst].errors
        return max(-falls, rises) > ERRORS_OVERALL or -anywhere > ERRORS_ANYWHERE
