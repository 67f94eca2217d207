"""State to plain values and back: one way for every object that is part of a snapshot."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, ClassVar

import numpy as np


class Stateful:
    """An object whose state is the attributes named in `STATE`.

    An attribute that is itself stateful (it has `snapshot` and `restore`) keeps its place and is
    asked for its own state, and so is each member of a list or tuple of such objects. Arrays are
    copied in both directions. Everything else must be what a snapshot can hold: numbers, texts,
    bytes, and lists and dicts of them. A deque, a `Counter` and a tuple keep their type.

    What needs more (state that is derived, or members that have to be created first) overrides
    `restore`, and calls this one for the rest.
    """

    __slots__ = ()

    STATE: ClassVar[tuple[str, ...]] = ()
    """Attributes, in the order in which they are restored; a leading underscore is not written."""

    def snapshot(self) -> dict[str, Any]:
        """Everything that must outlive the process, as plain values."""
        return {name.lstrip("_"): _to_plain(getattr(self, name)) for name in self.STATE}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue, bit for bit, where the object that gave `state` stood."""
        for name in self.STATE:
            setattr(self, name, _from_plain(getattr(self, name), state[name.lstrip("_")]))


def _to_plain(value: Any) -> Any:
    if hasattr(value, "snapshot"):
        return value.snapshot()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, list | tuple | deque):
        return [_to_plain(member) for member in value]
    return dict(value) if isinstance(value, dict) else value


def _from_plain(now: Any, state: Any) -> Any:
    """The restored value; `now` is the attribute as a new object has it, and says its type."""
    if hasattr(now, "restore"):
        now.restore(state)
        return now
    if isinstance(now, np.ndarray):
        return np.array(state, now.dtype)
    if isinstance(now, list | tuple) and now and hasattr(now[0], "restore"):
        for member, member_state in zip(now, state, strict=True):
            member.restore(member_state)
        return now
    if isinstance(now, deque):
        return deque(state, now.maxlen)
    if isinstance(now, Counter | tuple | dict):
        return type(now)(state)
    return state
