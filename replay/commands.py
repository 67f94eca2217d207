"""The commands' work on recorded days: arguments in, words and a result out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts.formatting import format_iso
from monitor.core.contract.alert import Alert
from monitor.errors import BrinkwatchError, ConfigError
from monitor.plugins import detector_factories
from replay.day.reader import Day, DayError
from replay.run import AlertFilter, ReplaySummary, replay


def open_day(path: Path) -> Day:
    """A recorded day; raises `ConfigError` where the folder is none."""
    try:
        return Day(path)
    except DayError as error:
        raise ConfigError(str(error)) from error


def simulate_day(out: Path, console: Console, **numbers: Any) -> dict[str, Any]:
    """`brinkwatch simulate`."""
    from replay.simulation.simulate import simulate

    try:
        with console.progress("simulating, seconds", numbers["minutes"] * 60) as show:
            made = simulate(out, progress=lambda done, _: show(done), **numbers)
    except (DayError, ValueError) as error:
        raise ConfigError(str(error)) from error
    console.say(
        f"{made.records:,} records of {numbers['minutes']} minutes in {out}, with "
        f"{len(made.incidents)} planted incidents"
    )
    return {"records": made.records, "events": made.events, "incidents": len(made.incidents)}


def import_feed(
    venue: str, files: list[Path], out: Path, options: Mapping[str, str], console: Console
) -> dict[str, Any]:
    """`brinkwatch import`."""
    from replay.day.importer import IngestError, ingest

    try:
        with console.progress(f"importing {venue}, source events", None) as show:
            report = ingest(venue, files, out, lambda _, done: show(done), options)
    except (DayError, IngestError) as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise BrinkwatchError(f"{error.filename}: {error.strerror}") from error
    console.say("the feed's own events: " + format_counts(report.source))
    console.say(f"records in {out}: " + format_counts(report.records))
    if report.refused:
        console.say("refused: " + format_counts(report.refused))
    for text in describe_anomalies(report.odd):
        console.say(f"odd in the feed: {text}")
    for what, number in report.notes.items():
        console.say(f"noted {number:,} times: {what}")
    held = dataclasses.asdict(report)
    del held["day"]
    return held


def describe_anomalies(odd: Mapping[str, Any]) -> list[str]:
    """What is odd in a feed's order of time, a line each; nothing where nothing is."""
    words = []
    if odd["breaks"]:
        over, longest = odd["break_over_ns"] // 10**9, odd["longest_breaks_listed"][:3]
        spans = ", ".join(f"{format_iso(b['from'])} to {format_iso(b['to'])}" for b in longest)
        words.append(f"{odd['breaks']:,} breaks of over {over} s, the longest {spans}")
    if odd["jumps_back"]:
        most = odd["jump_back_ns_max"] / 1e9
        words.append(f"{odd['jumps_back']:,} jumps back in time, of up to {most:g} s")
    if odd["repeated_lines"]:
        words.append(f"{odd['repeated_lines']:,} lines that stood just so before")
    words += [f"{name} breaks off in its middle" for name in odd["broken_off"]]
    return words


def format_counts(numbers: Mapping[str, int]) -> str:
    """Numbers by name, in one line."""
    return ", ".join(f"{n:,} {name}" for name, n in numbers.items() if n) or "none"


def replay_day(
    path: Path,
    config: Config,
    console: Console,
    *,
    rows: int,
    choice: AlertFilter,
    speed: float | None,
    alerts_to: Path | None,
    bands_to: Path | None = None,
) -> dict[str, Any]:
    """`brinkwatch replay`."""
    day = open_day(path)
    shown: list[Alert] = []
    with console.progress("replaying, records", sum(day.meta.records.values())) as show:
        summary = replay(
            day,
            config.engine(),
            detector_factories(config.streams),
            rows=rows,
            choice=choice,
            speed=speed,
            alerts_to=alerts_to,
            bands_to=bands_to,
            on_alert=shown.append,
            progress=show,
        )
    console.alerts(shown)
    print_summary(console, summary, day)
    if alerts_to is not None:
        console.say(f"alerts are in {alerts_to}")
    if bands_to is not None:
        console.say(f"bands are in {bands_to}")
    return dataclasses.asdict(summary)


def print_summary(console: Console, summary: ReplaySummary, day: Day) -> None:
    """The replay in a few lines."""
    records = f"{summary.records:,} records ({format_counts(summary.events)})"
    console.say(f"{records} in {summary.windows:,} windows")
    if day.meta.span is not None:
        console.say(f"from {format_iso(day.meta.span[0])} to {format_iso(day.meta.span[1])}")
    if summary.refused:
        console.say(f"refused {summary.refused:,}: {format_counts(summary.refused_by_reason)}")
    if summary.late:
        console.say(f"too late to count {summary.late:,}: {format_counts(summary.late_by_kind)}")
    for cause, modes in summary.outcomes.items():
        for mode, verdicts in modes.items():
            console.say(
                f"forced by {cause}, {mode}, beside the prediction: {format_counts(verdicts)}"
            )
    console.say(f"digest {summary.digest}")
    console.say(f"{summary.seconds:.2f} s, {summary.events_per_second:,.0f} records a second")
