"""Why a detector abstains, in words that several detectors share."""

from __future__ import annotations

from detectors.stats.limits import NUMBER_MAX


def learning_reason(seen: float, warm_up: int) -> str:
    """For a detector that has learnt `seen` of the `warm_up` windows that it needs.

    >>> learning_reason(3, 300)
    'learning: 3 of 300 windows seen'
    """
    return f"learning: {int(seen)} of {warm_up} windows seen"


def count_refusal(*counts: float) -> str | None:
    """Why these cannot be counts of one window; None where they can.

    >>> count_refusal(-1.0)
    'the number is below zero or beyond 64 bits, and a count is not'
    """
    if all(0.0 <= count <= NUMBER_MAX for count in counts):
        return None
    number = "the number" if len(counts) == 1 else "a number"
    return f"{number} is below zero or beyond 64 bits, and a count is not"
