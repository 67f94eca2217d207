"""`brinkwatch diff`: what differs between two outputs.

Two files of alerts are compared incident by incident, other files line by line, two recorded days
record by record. Whatever they are, the first place where they part is shown last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.console import Console
from monitor.core.alerts import formatting as fmt
from monitor.core.contract.alert import Alert, Versions, parse_alert
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.codec import encode
from monitor.errors import ConfigError
from replay import commands
from replay.incident_changes import IncidentChange, Pair, RunComparison, compare_runs

FIELDS_SHOWN = 10
MOMENTS = {
    "opened": "opened", "resolved": "resolved", "since": "began", "ts": "an update came",
}  # fmt: skip
"""Differences that are event times, and their verbs."""
SMALL = 0.05
"""Numbers that differ by a smaller share are counted and not shown."""
RUN_NAMES = ("engine", "false alerts a day", "settings")
"""What is always shown of the versions of two runs that differ in any."""
CHANGE_HEAD = ["change", "UTC", "severity", "kind", "markets", "incident", "what"]
DiffEntry = tuple[str, bytes]
"""A place (a line, or a topic partition and offset) and the bytes there."""
Parting = tuple[DiffEntry | None, DiffEntry | None]
"""What stands at the first difference in each of the two (None: it has ended)."""


def run(a: Path, b: Path, console: Console) -> dict[str, Any]:
    """Compare and print: whether both are the same, else what differs."""
    for path in (a, b):
        if not path.exists():
            raise ConfigError(f"{path} is not there: give two files of alerts or two recorded days")
    if a.is_dir() != b.is_dir():
        raise ConfigError("give two files of alerts or two recorded days, not one of each")
    same, parting = _find_parting(a, b)
    if parting is None:
        console.say(f"{a} and {b} are the same: {same:,} {'records' if a.is_dir() else 'lines'}")
        return {"same": True, "compared": same}
    runs = [] if a.is_dir() else [_read_alerts(path, console) for path in (a, b)]
    result: dict[str, Any] = {}
    if len(runs) == 2 and runs[0] is not None and runs[1] is not None:
        comparison = compare_runs(runs[0], runs[1])
        _print_comparison(comparison, (a, b), console)
        result = comparison_object(comparison)
    return {**_report_parting((a, b), parting, same, console), **result}


def _find_parting(a: Path, b: Path) -> tuple[int, Parting | None]:
    """How many entries are the same, and what follows them (None: nothing does)."""
    entries = [(_records if path.is_dir() else _lines)(path) for path in (a, b)]
    same = 0
    for left, right in zip_longest(*entries):
        if left != right:
            return same, (left, right)
        same += 1
    return same, None


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


def _read_alerts(path: Path, console: Console) -> list[Alert] | None:
    """The alerts of a file; None where it holds something else."""
    alerts: list[Alert] = []
    for place, raw in _lines(path):
        if not raw.strip():
            continue
        try:
            alerts.append(parse_alert(raw))
        except ValidationError:
            if "fingerprint" in _parse_object(raw) or alerts:
                console.say(
                    f"{path}, {place}: no alert of this version, so the files are compared line by "
                    "line; replay the day again for a comparison by incident"
                )
            return None
    return alerts


def _print_comparison(
    comparison: RunComparison, paths: tuple[Path, Path], console: Console
) -> None:
    _print_versions(comparison, paths, console)
    print_incidents(comparison, console)


def print_incidents(comparison: RunComparison, console: Console) -> None:
    """The incidents that are not the same in both, in a table."""
    counts = {
        "the same": comparison.unchanged,
        "changed": comparison.changed,
        "gone": comparison.gone,
        "new": comparison.new,
    }
    numbers = ", ".join(f"{len(changes)} {what}" for what, changes in counts.items())
    rows = [change_row(change) for change in comparison.changes if not change.is_same]
    console.table(f"incidents: {numbers}", CHANGE_HEAD, rows)


def _print_versions(comparison: RunComparison, paths: tuple[Path, Path], console: Console) -> None:
    """Under what both were made, once: a line where it is the same, else what differs."""
    both = [
        {name: "; then ".join(one[name] for one in map(_describe_versions, side)) for name in names}
        for side in (comparison.before, comparison.after)
        for names in [dict.fromkeys(name for one in side for name in _describe_versions(one))]
    ]
    if both[0] == both[1]:
        console.say("both made by " + ", ".join(f"{k} {both[0][k]}" for k in list(both[0])[:3]))
        return
    rows = [
        [name, *(side.get(name, "none" if side else "no alerts") for side in both)]
        for name in dict.fromkeys([*both[0], *both[1]])
    ]
    shown = [row for row in rows if row[0] in RUN_NAMES or (row[1] != row[2] and all(both))]
    console.table("made by", ["", *map(str, paths)], shown)


def _describe_versions(versions: Versions) -> dict[str, str]:
    budget = fmt.format_number(versions.alerts_per_day)
    own = dict(zip(RUN_NAMES, (versions.engine, budget, versions.config), strict=True))
    return own | {f"detector of {stream}": name for stream, name in versions.detectors.items()}


def change_row(change: IncidentChange) -> list[str]:
    one = change.shown
    ids = dict.fromkeys(side.incident for side in (change.before, change.after) if side)
    if change.before is None or change.after is None:
        what, text = "gone" if change.after is None else "new", one.latest.summary
    else:
        what, text = "changed", "; ".join(describe_differences(change.differences))
    return [
        what, fmt.clock(one.opened_ns), one.severity, one.latest.kind,
        fmt.join_list(fmt.shorten_list(list(one.latest.symbols))), " → ".join(ids), text,
    ]  # fmt: skip


def describe_differences(differences: dict[str, Pair]) -> list[str]:
    """The differences of an incident, a phrase each, the weightiest first."""
    phrases, small = [], 0
    for name, (before, after) in differences.items():
        what, _, of = name.partition(" ")
        if name in MOMENTS:
            phrases.append(_describe_moment(MOMENTS[name], before, after))
        elif name == "evidence":  # all of it: only chances or shares differ
            phrases.append("other evidence")
        elif what == "evidence" and (before is None or after is None):
            phrases.append(f"{'without' if after is None else 'with'} evidence of {of}")
        elif what in ("evidence", "forced_notional") and _is_small(before, after):
            small += 1
        elif what == "evidence":
            pairs = [
                f"{fmt.format_number(observed)} ({fmt.format_number(expected)} expected)"
                for observed, expected in (before, after)
            ]
            phrases.append(f"{of} {' → '.join(pairs)}")
        elif name in ("symbols", "accounts"):
            phrases.append(_describe_members(name, list(before), list(after)))
        elif isinstance(before or after, list | dict):
            phrases.append(f"other {name}")
        else:
            phrases.append(f"{name.replace('_', ' ')} {_text(before)} → {_text(after)}")
    if small:
        phrases.append(f"{small} {'numbers' if small > 1 else 'number'} by less than 5 %")
    return phrases


def _is_small(before: Any, after: Any) -> bool:
    """Whether a number, or each of a pair, is within a small share of what it was."""
    if isinstance(before, tuple):
        return all(map(_is_small, before, after))
    if before is None or after is None:
        return False
    return bool(abs(after - before) <= SMALL * max(abs(before), abs(after)))


def _describe_moment(verb: str, before: int | None, after: int | None) -> str:
    if before is None or after is None:
        return "now resolved" if before is None else "not resolved any more"
    lag = fmt.format_duration(abs(after - before) / SECOND_NS)
    return f"{verb} {lag} {'later' if after > before else 'earlier'}"


def _describe_members(name: str, before: list[str], after: list[str]) -> str:
    """Who has come and who has gone among the markets or accounts of an incident."""
    noun = {"symbols": "markets"}.get(name, name)
    new, gone = [n for n in after if n not in before], [n for n in before if n not in after]
    lists = {"also": new, "without": gone}
    phrases = [
        f"{k} {fmt.join_list(fmt.shorten_list(names))}" for k, names in lists.items() if names
    ]
    return f"{noun} {', '.join(phrases)}" if phrases else f"{noun} in other shares or order"


def _text(value: Any) -> str:
    return fmt.format_number(value) if isinstance(value, int | float) else str(value or "none")


def comparison_object(comparison: RunComparison) -> dict[str, Any]:
    """The comparison for --json."""

    def plain(change: IncidentChange) -> dict[str, Any]:
        one = change.shown
        ids = [side and side.incident for side in (change.before, change.after)]
        row: dict[str, Any] = {"incident": ids, "severity": one.severity}
        row |= {"kind": one.latest.kind, "symbols": list(one.latest.symbols)}
        row["opened"] = one.opened_ns
        return row | ({"differences": change.differences} if change.differences else {})

    fields = ("engine", "config", "alerts_per_day", "detectors")
    versions = [
        [{name: getattr(one, name) for name in fields} for one in side]
        for side in (comparison.before, comparison.after)
    ]
    changes = {name: list(map(plain, getattr(comparison, name))) for name in ("new", "gone")}
    changes["changed"] = list(map(plain, comparison.changed))
    return {"versions": versions, "incidents": {"same": len(comparison.unchanged), **changes}}


def _report_parting(
    paths: tuple[Path, Path], parting: Parting, same: int, console: Console
) -> dict[str, Any]:
    """Print what stands at the first difference."""
    console.say(f"{same:,} {'are' if same != 1 else 'is'} the same; then they part")
    for path, entry in zip(paths, parting, strict=True):
        console.say(f"  {path}: {_describe(entry)}")
    fields = _differing_fields(*parting)
    for name, (left, right) in list(fields.items())[:FIELDS_SHOWN]:
        console.say(f"  {name}: {left} against {right}")
    if len(fields) > FIELDS_SHOWN:
        console.say(f"  and {len(fields) - FIELDS_SHOWN} fields more")
    places = [None if entry is None else entry[0] for entry in parting]
    return {"same": False, "compared": same, "at": places, "fields": list(fields)}


def _describe(entry: DiffEntry | None) -> str:
    if entry is None:
        return "ends here"
    place, raw = entry
    value = _parse_object(raw)
    if "summary" in value:
        head = f"{place}, {fmt.clock(value['ts'])} UTC"
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
