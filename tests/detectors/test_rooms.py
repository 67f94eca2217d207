"""The folders of `detectors` import downwards only, and their examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import detectors
from tests.test_imports import imported, sources

ROOMS = (
    ("arrays", "interrupts"),
    ("stats",),
    ("calibration",),
    ("usual_values", "window_run"),
    ("base", "row_detector"),
    ("burst", "ratio", "level_shift", "record_high", "account_burst", "joint", "drift"),
    ("contrib", "river_adapter", "conformance"),
)
"""Lowest first. A room imports from itself and from those below."""
EQUALS = {
    ("row_detector", "base"),
    ("contrib", "river_adapter"),
}
"""What may be imported between rooms of one height."""
MODULES = [module.name for module in pkgutil.walk_packages(detectors.__path__, "detectors.")]


def height(room: str) -> int:
    return next(i for i, rooms in enumerate(ROOMS) if room in rooms)


def is_allowed(room: str, other: str) -> bool:
    return room == other or height(other) < height(room) or (room, other) in EQUALS


def test_each_room_of_the_detectors_imports_only_from_rooms_below() -> None:
    upward = []
    for path, tree in sources("detectors"):
        parts = path.removesuffix(".py").split("/")
        for name in imported(tree):
            inside = parts[1] != "__init__" and name.startswith("detectors.")
            if inside and not is_allowed(parts[1], name.split(".")[1]):
                upward.append((path, name))
    assert not upward, "\n".join(map(str, upward))


def test_a_breach_of_the_order_is_seen() -> None:
    assert is_allowed("burst", "base")
    assert not is_allowed("base", "burst")
    assert not is_allowed("calibration", "joint")
    assert not is_allowed("burst", "ratio")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
