"""`brinkwatch diff`: the first place where two outputs part, and in what.

Two files of alerts are compared line by line, two recorded days record by record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from monitor.console import Console
from monitor.core.alerts.formatting import clock
from monitor.core.decode.codec import encode
from monitor.errors import ConfigError
from replay import commands

FIELDS_SHOWN = 10
DiffEntry = tuple[str, bytes]
"""Where something stands, and what stands there."""


def run(a: Path, b: Path, console: Console) -> dict[str, Any]:
    """Compare; the result tells whether they are the same, else where they part."""
    for path in (a, b):
        if not path.exists():
            raise ConfigError(f"{path} is not there: give two files of alerts or two recorded days")
    if a.is_dir() != b.is_dir():
        raise ConfigError("give two files of alerts or two recorded days, not one of each")
    places = zip_longest(*((_records if path.is_dir() else _lines)(path) for path in (a, b)))
    same = 0
    for left, right in places:
        if left == right:
            same += 1
            continue
        return _report_difference(a, b, left, right, same, console)
    console.say(f"{a} and {b} are the same: {same:,} {'records' if a.is_dir() else 'lines'}")
    return {"same": True, "compared": same}


def _lines(path: Path) -> Iterator[DiffEntry]:
    with path.open("rb") as file:
        for number, text in enumerate(file, 1):
            yield f"line {number}", text.rstrip(b"\n")


def _records(path: Path) -> Iterator[DiffEntry]:
    day = commands.open_day(path)
    for batch in day.batches(4_096):
        rows = zip(batch.offset.tolist(), encode(batch) if len(batch) else [], strict=True)
        held = [*rows, *((r.offset, r.raw) for r in batch.refused)]
        for offset, raw in sorted(held):
            yield f"{batch.topic}/{batch.partition} offset {offset}", raw


def _report_difference(
    a: Path, b: Path, left: DiffEntry | None, right: DiffEntry | None, same: int, console: Console
) -> dict[str, Any]:
    console.say(f"{same:,} are the same; then they part")
    for path, place in ((a, left), (b, right)):
        console.say(f"  {path}: {_describe(place)}")
    fields = _differing_fields(left, right)
    for name, (one, other) in list(fields.items())[:FIELDS_SHOWN]:
        console.say(f"  {name}: {one} against {other}")
    if len(fields) > FIELDS_SHOWN:
        console.say(f"  and {len(fields) - FIELDS_SHOWN} fields more")
    where = [None if place is None else place[0] for place in (left, right)]
    return {"same": False, "compared": same, "at": where, "fields": list(fields)}


def _describe(place: DiffEntry | None) -> str:
    if place is None:
        return "ends here"
    where, raw = place
    held = _parse_object(raw)
    if "summary" in held:
        return f"{where}, {clock(held['ts'])} UTC, {held['status']} {held['id']}: {held['summary']}"
    return f"{where}: {raw[:200].decode(errors='replace')}"


def _parse_object(raw: bytes) -> dict[str, Any]:
    try:
        held = json.loads(raw)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def _differing_fields(
    left: DiffEntry | None, right: DiffEntry | None
) -> dict[str, tuple[str, str]]:
    """The fields in which two objects part, by their path."""
    if left is None or right is None:
        return {}
    one, other = _flatten(_parse_object(left[1])), _flatten(_parse_object(right[1]))
    names = sorted(one.keys() | other.keys())
    nothing = "nothing"
    pairs = {name: (one.get(name, nothing), other.get(name, nothing)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flatten(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        items = [(f"{path}.{key}" if path else str(key), v) for key, v in value.items()]
    elif isinstance(value, list):
        items = [(f"{path}[{i}]", v) for i, v in enumerate(value)]
    else:
        return {path: json.dumps(value, ensure_ascii=False)}
    return {name: text for key, v in items for name, text in _flatten(v, key).items()}
