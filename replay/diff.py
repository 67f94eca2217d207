"""`brinkwatch diff`: the first difference between two outputs.

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
"""A place (a line, or a topic partition and offset) and the bytes there."""


def run(a: Path, b: Path, console: Console) -> dict[str, Any]:
    """Compare and print: whether both are the same, else the first difference."""
    for path in (a, b):
        if not path.exists():
            raise ConfigError(f"{path} is not there: give two files of alerts or two recorded days")
    if a.is_dir() != b.is_dir():
        raise ConfigError("give two files of alerts or two recorded days, not one of each")
    entries = zip_longest(*((_records if path.is_dir() else _lines)(path) for path in (a, b)))
    same = 0
    for left, right in entries:
        if left != right:
            return _report_difference((a, left), (b, right), same, console)
        same += 1
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
        for offset, raw in sorted([*rows, *((r.offset, r.raw) for r in batch.refused)]):
            yield f"{batch.topic}/{batch.partition} offset {offset}", raw


def _report_difference(
    a: tuple[Path, DiffEntry | None], b: tuple[Path, DiffEntry | None], same: int, console: Console
) -> dict[str, Any]:
    """Print what stands at the first difference (None: the file or day has ended)."""
    console.say(f"{same:,} are the same; then they part")
    for path, entry in (a, b):
        console.say(f"  {path}: {_describe(entry)}")
    fields = _differing_fields(a[1], b[1])
    for name, (left, right) in list(fields.items())[:FIELDS_SHOWN]:
        console.say(f"  {name}: {left} against {right}")
    if len(fields) > FIELDS_SHOWN:
        console.say(f"  and {len(fields) - FIELDS_SHOWN} fields more")
    places = [None if entry is None else entry[0] for _, entry in (a, b)]
    return {"same": False, "compared": same, "at": places, "fields": list(fields)}


def _describe(entry: DiffEntry | None) -> str:
    if entry is None:
        return "ends here"
    place, raw = entry
    value = _parse_object(raw)
    if "summary" in value:
        head = f"{place}, {clock(value['ts'])} UTC"
        return f"{head}, {value['status']} {value['id']}: {value['summary']}"
    return f"{place}: {raw[:200].decode(errors='replace')}"


def _parse_object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _differing_fields(
    left: DiffEntry | None, right: DiffEntry | None
) -> dict[str, tuple[str, str]]:
    """Both values of each field in which two JSON objects differ, by the field's path."""
    if left is None or right is None:
        return {}
    one, other = (_flatten(_parse_object(entry[1])) for entry in (left, right))
    names = sorted(one.keys() | other.keys())
    pairs = {name: (one.get(name, "nothing"), other.get(name, "nothing")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _flatten(value: Any, path: str = "") -> dict[str, str]:
    """The scalar fields of a JSON value as text, by their path (`evidence[0].stream`)."""
    if isinstance(value, dict):
        items = [(f"{path}.{key}" if path else str(key), v) for key, v in value.items()]
    elif isinstance(value, list):
        items = [(f"{path}[{i}]", v) for i, v in enumerate(value)]
    else:
        return {path: json.dumps(value, ensure_ascii=False)}
    return {name: text for key, v in items for name, text in _flatten(v, key).items()}
