"""Compare snapshots."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_same_state(a: Any, b: Any) -> bool:
    """Whether two snapshots hold the same keys, and the same numbers bit for bit."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(is_same_state(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(is_same_state, a, b))
    return bool(a == b)
