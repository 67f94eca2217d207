"""The bodies of the commands on recorded days: arguments in, sentences and a result out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.config import Config, load
from monitor.console import Console, Display, DisplayLog
from monitor.core.alerts.formatting import format_iso
from monitor.core.contract.alert import Alert
from monitor.core.contract.feature_catalogue import NEAR_DEPTH_BPS
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode import codec
from monitor.core.watch_state import describe
from monitor.errors import BrinkwatchError, ConfigError
from monitor.page.document import check_assets
from monitor.plugins import detector_factories
from monitor.silences.recorded import read_recorded
from monitor.silences.silence import Silences
from monitor.sources.formats import base
from monitor.sources.registry import make_registry
from replay.coverage import describe_coverage
from replay.day import Day
from replay.day.address import open_day_at
from replay.day.importer import ImportReport
from replay.day.layout import REFUSED
from replay.day.sequence import DaySequence
from replay.run import ReplayOptions, ReplaySummary, atomic_file, replay
from replay.selection import check_selection
from replay.simulation.settings import SimulationSettings

if TYPE_CHECKING:
    from replay.report.day_recorder import DayRecorder

_WHY = {**codec.REASONS, **base.REASONS}


def open_day(path: Path) -> Day:
    """The recorded day in the folder `path`; raises `DayError` where it is none."""
    return Day(path)


def simulate_day(out: Path, settings: SimulationSettings, console: Console) -> dict[str, Any]:
    """`brinkwatch simulate`."""
    from replay.simulation.simulate import simulate

    try:
        with console.progress("simulating, seconds", settings.minutes * 60) as show:
            day = simulate(out, settings, progress=lambda done, _: show(done))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    console.say(
        f"{day.records:,} records of {settings.minutes} minutes in {out}, with "
        f"{len(day.incidents)} planted incidents"
    )
    return {"records": day.records, "events": day.events, "incidents": len(day.incidents)}


def import_feed(
    venue: str, files: list[Path], out: Path, options: Mapping[str, str], console: Console
) -> dict[str, Any]:
    """`brinkwatch import`."""
    from replay.day.importer import ingest
    from replay.positions.importer import import_positions

    with console.progress(f"importing {venue}, source events", None) as show:
        if venue == "positions":
            report = import_positions(files, out, options, lambda _, done: show(done))
        else:
            report = ingest(venue, files, out, lambda _, done: show(done), options)
    return _describe_import(report, out, console)


def import_mapped(files: list[str], out: Path, map_file: Path, console: Console) -> dict[str, Any]:
    """`brinkwatch import map`."""
    with console.progress("importing by the map, records", None) as show:
        report = write_mapped_day(map_file, files, out, show)
    result = _describe_import(report, out, console)
    for sample in report.first_refused:
        console.say(f"refused, {sample}")
    return result


def write_mapped_day(
    map_file: Path, files: list[str], out: Path, progress: Callable[[int], None] | None = None
) -> ImportReport:
    """Write the recorded day `out` of the files of a map, or of those that the user named."""
    from replay.field_map.importer import import_map

    config = load(map_file)
    registry = make_registry(config.schema_registry)
    base, venue = map_file.parent, map_file.stem
    return import_map(
        config.source, files, out, base, venue=venue, registry=registry, progress=progress
    )


def try_map(map_file: Path, samples: list[str], console: Console) -> dict[str, Any]:
    """`brinkwatch check-config --map`; raises `BrinkwatchError` where a source makes no record."""
    from replay.field_map import trial as job

    config = load(map_file)
    registry = make_registry(config.schema_registry)
    trials = job.try_map(config.source, samples, map_file.parent, registry)
    for trial in trials:
        console.say(f"source.{trial.source}: {trial.records:,} records tried")
        for original, records in trial.examples:
            console.say(f"  {original}")
            for record in records:
                console.say(f"    becomes {record}")
        console.say(f"  accepted: {format_counts(trial.accepted)}")
        if trial.left_out:
            console.say(f"  left out: {format_counts(trial.left_out)}")
        if trial.refused:
            console.say(f"  refused: {format_counts(trial.refused)}")
        for sentence in (*trial.first_refused, *trial.missing):
            console.say(f"  {sentence}")
    empty = [trial.source for trial in trials if not trial.accepted]
    if empty:
        raise BrinkwatchError(
            f"no record of source.{', source.'.join(empty)} is accepted: mend the map as said above"
        )
    return {"ok": True, "sources": [dataclasses.asdict(trial) for trial in trials]}


def _describe_import(report: ImportReport, out: Path, console: Console) -> dict[str, Any]:
    """Say what an import read and wrote; its result as an object."""
    console.say("the feed's own events: " + format_counts(report.source))
    console.say(f"records in {out}: " + format_counts(report.records))
    if left_out := describe_left_out(report.left_out, report.refused, out):
        console.say(left_out)
    if numbers := report.numbers_left_out:
        console.say(
            f"left out numbers out of range, of records that stay: {format_counts(numbers)}"
        )
    for text in describe_anomalies(report.odd):
        console.say(f"odd in the feed: {text}")
    for note, number in report.notes.items():
        console.say(f"noted{f' {number:,} times' if number > 1 else ''}: {note}")
    result = dataclasses.asdict(report)
    del result["day"]
    return result


def describe_left_out(
    left_out: Mapping[str, int], refused: Mapping[str, int], out: Path
) -> str | None:
    """What of a feed made no record, why, and where it is; None where nothing was left out."""
    reasons = [f"{n:,} {what}" for what, n in left_out.items()]
    reasons += [f"{n:,} refused as {why} ({_WHY[why]})" for why, n in refused.items()]
    total = sum(left_out.values()) + sum(refused.values())
    where = f"; the bytes of what was refused are in {out / REFUSED}" if refused else ""
    lines = "one line" if total == 1 else f"{total:,} lines"
    return f"left out {lines}: {', '.join(reasons)}{where}" if total else None


def describe_anomalies(odd: Mapping[str, Any]) -> list[str]:
    """The anomalies of a feed (`FeedAnomalies.facts`), one sentence for each kind that occurs."""
    lines = []
    if odd["breaks"]:
        over, longest = odd["break_over_ns"] // SECOND_NS, odd["longest_breaks_listed"][:3]
        spans = ", ".join(f"{format_iso(b['from'])} to {format_iso(b['to'])}" for b in longest)
        lines.append(f"{odd['breaks']:,} breaks of over {over} s, the longest {spans}")
    if odd["jumps_ahead"]:
        most = odd["jump_ahead_ns_max"] / SECOND_NS
        lines.append(f"{odd['jumps_ahead']:,} event times that jump ahead, by up to {most:g} s")
    if odd["jumps_back"]:
        most = odd["jump_back_ns_max"] / SECOND_NS
        lines.append(f"{odd['jumps_back']:,} jumps back in time, of up to {most:g} s")
    if odd["repeated_lines"]:
        lines.append(f"{odd['repeated_lines']:,} lines that stood just so before")
    if odd["locked_books"]:
        lines.append(f"{odd['locked_books']:,} locked books (best bid equals best ask)")
    if odd["crossed_books"]:
        lines.append(f"{odd['crossed_books']:,} crossed books (best bid above best ask)")
    lines += [f"{name} breaks off in its middle" for name in odd["broken_off"]]
    return lines


def format_counts(numbers: Mapping[str, int]) -> str:
    """Numbers by name, in one line."""
    return ", ".join(f"{n:,} {name}" for name, n in numbers.items() if n) or "none"


def open_days(addresses: Sequence[str]) -> DaySequence:
    """The recorded days at these addresses, in the order of time; raises `ConfigError`."""
    return DaySequence([open_day_at(address) for address in addresses])


def replay_days(
    days: DaySequence,
    config: Config,
    console: Console,
    options: ReplayOptions | None = None,
    alerts_to: Path | None = None,
    bands_to: Path | None = None,
    override: Path | None = None,
) -> dict[str, Any]:
    """`brinkwatch replay`. `override`: a file of other rules, whose run is compared with what was;
    alerts and bands are those of the other rules."""
    options = with_silences(options or ReplayOptions(), config, days)
    metrics_to = None if options.metrics is None else options.metrics.path
    if override is not None:
        if metrics_to is not None:
            raise ConfigError("--metrics is of one run: leave out --override")
        if options.report is not None:
            raise ConfigError("--report is of one run: leave out --override")
        from replay.counterfactual.command import replay_override

        return replay_override(days, config, console, options, alerts_to, bands_to, override)
    chosen = options.shown
    empty = check_selection(days, chosen.symbols, chosen.from_ts, chosen.to_ts)
    recorder = None if options.report is None else make_recorder(days, config, options)
    shown: list[Alert] = []

    def show_alert(alert: Alert) -> None:
        shown.append(alert)
        if recorder is not None:
            recorder.take_alert(alert)

    with console.progress("replaying, records", days.record_count) as show:
        summary = replay(
            days,
            config.engine(),
            detector_factories(config.streams),
            options,
            alerts_to=alerts_to,
            bands_to=bands_to,
            on_alert=show_alert,
            progress=show,
            observe=None if recorder is None else recorder.take,
        )
    console.alerts(shown)
    if empty is not None:
        console.say(empty)
    describe_summary(summary, days, console)
    if recorder is not None:
        assert options.report is not None
        write_day_report(options.report, days, recorder, summary, config)
    for what, file in (("alerts", alerts_to), ("bands", bands_to), ("metrics", metrics_to)):
        if file is not None:
            console.say(f"{what} are in {file}")
    if options.report is not None:
        console.say(f"the report is in {options.report}")
    return dataclasses.asdict(summary)


def make_recorder(days: DaySequence, config: Config, options: ReplayOptions) -> DayRecorder:
    """What collects for the report of a replay; raises `BrinkwatchError` where the page could not
    be written, before the days are read."""
    from replay.report.day import DAY_ASSETS
    from replay.report.day_recorder import DayRecorder

    check_assets(DAY_ASSETS)
    shown, span = options.shown, days.span
    low, high = (0, 0) if span is None else (span.first_ts, span.last_ts)
    low, high = max(low, shown.from_ts or low), min(high, shown.to_ts or high)
    counts = days.count_by_market(shown.from_ts, shown.to_ts)
    chosen = {name: n for name, n in counts.items() if not shown.symbols or name in shown.symbols}
    return DayRecorder(chosen, low, high, config.engine())


def write_day_report(
    file: Path, days: DaySequence, recorder: DayRecorder, summary: ReplaySummary, config: Config
) -> None:
    """Write the page of the days that were replayed."""
    from replay.report.day import DayNames, day_report

    log = DisplayLog()
    describe_summary(summary, days, log)
    names = DayNames(
        ", ".join(Path(day.address).name for day in days.days),
        list(dict.fromkeys(day.meta.venue for day in days.days)),
    )
    recorder.finish()
    page = day_report(names, recorder, summary, config.engine(), log.parts)
    with atomic_file(file) as out:
        out.write(page.encode())


def with_silences(options: ReplayOptions, config: Config, days: DaySequence) -> ReplayOptions:
    """The options with the silences of the configuration, and those that the days keep."""
    recorded = [silence for day in days.days for silence in read_recorded(day.path)]
    silences = Silences(config.silences).joined_with(recorded)
    return dataclasses.replace(options, silences=silences)


def describe_summary(summary: ReplaySummary, days: DaySequence, console: Display) -> None:
    """What a replay read, what it had to go by, and how long it took."""
    records = f"{summary.records:,} records ({format_counts(summary.events)})"
    console.say(f"{records} in {summary.windows:,} windows")
    if (span := days.span) is not None:
        console.say(f"from {format_iso(span.first_ts)} to {format_iso(span.last_ts)}")
    if summary.refused:
        console.say(f"refused {summary.refused:,}: {format_counts(summary.refused_by_reason)}")
    if summary.late:
        late = format_counts(summary.late_by_kind)
        console.say(f"too late for their windows {summary.late:,}: {late}")
    if any(summary.late_in_accounts.values()):
        late = format_counts(summary.late_in_accounts)
        console.say(f"of these in the accounts all the same: {late}")
    if summary.repeated:
        repeated = format_counts(summary.repeated_by_kind)
        console.say(f"repeats, which count once {summary.repeated:,}: {repeated}")
    for name, number in summary.silenced.items():
        console.say(f"alerts that {name} silences: {number:,}")
    if summary.streams_out:
        console.say(
            f"streams that were taken out, by detector: {format_counts(summary.streams_out)}"
        )
    if summary.short_books:
        books = ", ".join(f"{name} at {bps:g}" for name, bps in summary.short_books.items())
        console.say(f"books that end before {NEAR_DEPTH_BPS} bps of the mid: {books} bps")
    for line in (
        *describe(summary.streams),
        *describe_coverage(summary.kinds_not_seen, summary.dropped, summary.last_bands),
    ):
        console.say(line)
    for cause, modes in summary.outcomes.items():
        for mode, verdicts in modes.items():
            beside = f"beside the prediction: {format_counts(verdicts)}"
            console.say(f"forced by {cause}, {mode}, {beside}")
    if summary.tasks_repeated:
        console.say(
            f"tasks of the cluster that failed and were given out again: {summary.tasks_repeated:,}"
        )
    console.say(f"digest {summary.digest}")
    console.say(f"{summary.seconds:.2f} s, {summary.events_per_second:,.0f} records a second")
