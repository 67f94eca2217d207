"""`brinkwatch sweep`: the alerts of a recorded day under each of several budgets.

What an hour can say about a budget of one a day is little, and the output says so: how long the
day is and what of it was judged, how many false alerts a budget expects in it, and the range of
alerts a day that their number allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

from detectors.calibration.calibrator import BLOCK_WINDOWS, OWN_BLOCKS
from detectors.calibration.tail_prior import READY_BLOCKS
from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts import formatting as fmt
from monitor.core.alerts.history import IncidentHistory, group_by_incident
from monitor.core.contract.alert import Alert
from monitor.core.contract.units import DAY_NS, DAY_S
from monitor.core.detection.detector_group import tail_prior
from monitor.core.settings import EngineSettings
from monitor.errors import ConfigError
from monitor.plugins import detector_factories
from replay import commands, ground_truth
from replay.day import Day
from replay.incident_changes import compare_runs
from replay.run import replay
from replay.simulation.incidents.planted import PlantedIncident

BUDGETS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""False alerts a day, by default: from a desk that is seldom called to one that looks at all."""
RATE_DAYS_MIN = 1 / 24
"""Of a shorter day no alerts a day are shown."""
NORMAL_90 = 1.645
"""The standard normal number that 5 % exceed: a range leaves out 5 % at either end."""


@dataclass(slots=True)
class BudgetRun:
    """What a day brings under one budget (false alerts a day)."""

    budget: float
    alerts: list[Alert]
    incidents: list[IncidentHistory] = field(init=False)

    def __post_init__(self) -> None:
        self.incidents = group_by_incident(self.alerts)

    @property
    def by_rule(self) -> int:
        """Incidents that a rule decided: they spend no budget."""
        return sum(one.is_by_rule for one in self.incidents)

    @property
    def kinds(self) -> Counter[str]:
        """The incidents by kind."""
        return Counter(one.latest.kind for one in self.incidents)


def run(path: Path, config: Config, budgets: list[float], console: Console) -> dict[str, Any]:
    """Replay the day once for each budget (false alerts a day) and once for the configured one, and
    print what each reports and misses."""
    day, present = commands.open_day(path), config.engine().alerts.per_day
    span = day.meta.span
    if span is None:
        raise ConfigError(f"{path} has no records: sweep a day that has some")
    every = sorted({*budgets, present})
    with console.progress("sweeping, records", day.record_count * len(every)) as show:
        runs = {
            budget: _replay_with(
                day,
                config,
                budget,
                lambda done, n=n: show(n * day.record_count + done),  # type: ignore[misc]
            )
            for n, budget in enumerate(every)
        }
    learning = learning_seconds(config)
    days = max(span.last_ts - span.first_ts, 1) / DAY_NS
    judged = max(0.0, days - min(learning.values(), default=0.0) / DAY_S)
    lost = {
        budget: [c.shown.incident for c in compare_runs(runs[present].alerts, one.alerts).gone]
        for budget, one in runs.items()
    }
    planted = ground_truth.read_planted(path)
    rows = {
        budget: _row(one, days, judged, lost[budget]) | _compare_with_planted(one.alerts, planted)
        for budget, one in runs.items()
    }
    names = {b: _budget_name(b) + (" (now)" if b == present else "") for b in every}
    _print_budgets(f"{path}, {fmt.format_duration(days * DAY_S)}", rows, names, console)
    _print_kinds(runs, names, console)
    _print_lost(runs[present], lost, console)
    _print_limits(days, judged, every, learning, console)
    if not planted:
        console.say("the day has no ground truth: which incidents no budget finds cannot be said")
    return {
        "days": days,
        "judged_days": judged,
        "learning_s": learning,
        "planted": len(planted),
        "present": rows[present],
        "budgets": [rows[budget] for budget in dict.fromkeys(budgets)],
    }


def _replay_with(
    day: Day, config: Config, budget: float, progress: Callable[[int], None]
) -> BudgetRun:
    alerts: list[Alert] = []
    settings = config.engine()
    with_budget = settings.alerts.model_copy(update={"per_day": budget})
    settings = settings.model_copy(update={"alerts": with_budget})
    factories = detector_factories(config.streams)
    replay(day, settings, factories, on_alert=alerts.append, progress=progress)
    return BudgetRun(budget, alerts)


def learning_seconds(config: Config) -> dict[str, float]:
    """How long each kind of judge learns from the begin of a feed before it judges, s."""
    settings: EngineSettings = config.engine()
    window_s = settings.time.window_s
    windows: dict[str, float] = {}
    for stream, factory in zip(settings.streams, detector_factories(config.streams), strict=True):
        detector = factory()
        # Without a theory of its scores, a stream waits until it has seen enough of them: a block,
        # where other markets lend theirs.
        lent = tail_prior(stream, settings.time.windows_per_day)
        blocks = 0 if detector.log_likelihood else OWN_BLOCKS if lent else READY_BLOCKS
        calibrating = blocks * BLOCK_WINDOWS
        learning = max(getattr(detector, "warm_up", 0), calibrating)
        windows[stream.detector] = max(learning, windows.get(stream.detector, 0))
    if settings.account_bursts.streams:
        windows["account_burst"] = settings.account_bursts.warm_up
    if len(settings.joint.streams) > 1:
        windows["joint"] = settings.joint.warm_up * settings.joint_block
    return {name: n * window_s for name, n in sorted(windows.items(), key=lambda item: item[1])}


def rate_range(count: int, days: float) -> tuple[float, float]:
    """The alerts a day between which the true number lies, with 90 % confidence, where `count` came
    in `days`: Byar's approximation to the limits of a Poisson mean.

    Breslow and Day, Statistical Methods in Cancer Research II (1987), 2.3.

    >>> [round(limit, 1) for limit in rate_range(10, 1.0)]
    [5.4, 17.0]
    """
    over = count + 1
    low = count * (1 - 1 / (9 * count) - NORMAL_90 / (3 * sqrt(count))) ** 3 if count else 0.0
    high = over * (1 - 1 / (9 * over) + NORMAL_90 / (3 * sqrt(over))) ** 3
    return max(0.0, low) / days, high / days


def _row(one: BudgetRun, days: float, judged: float, lost: list[str]) -> dict[str, Any]:
    number = len(one.incidents)
    return {
        "budget": one.budget,
        "expected": one.budget * judged,
        "alerts": number,
        "by_rule": one.by_rule,
        "alerts_per_day": number / days,
        "alerts_per_day_range": rate_range(number, days) if days >= RATE_DAYS_MIN else None,
        "kinds": dict(one.kinds),
        "lost": lost,
    }


def _compare_with_planted(alerts: list[Alert], planted: list[PlantedIncident]) -> dict[str, Any]:
    missed = Counter(i.kind for i in planted if not ground_truth.alerts_about(alerts, i))
    away = ground_truth.unrelated_incidents(alerts, planted)
    return {
        "found": len(planted) - missed.total(),
        "missed": dict(missed),
        "away": len(away) if planted else None,
    }


def _budget_name(budget: float) -> str:
    name = fmt.format_number(budget)
    return name if budget >= 1 else f"{name} (1 in {fmt.format_number(1 / budget)} days)"


def _print_budgets(
    title: str, rows: dict[float, dict[str, Any]], names: dict[float, str], console: Console
) -> None:
    head = [
        "budget a day", "expected false here", "alerts here", "by rules", "a day (90 % sure)",
        "of now's missed",
    ]  # fmt: skip
    cells = [
        [
            names[budget],
            "less than one" if row["expected"] < 1 else fmt.format_number(row["expected"]),
            str(row["alerts"]),
            str(row["by_rule"]),
            " to ".join(map(fmt.format_number, row["alerts_per_day_range"] or [])) or "too short",
            str(len(row["lost"])),
        ]
        for budget, row in rows.items()
    ]
    if any(row["away"] is not None for row in rows.values()):
        head += ["planted: found", "missed", "alerts on none"]
        for line, row in zip(cells, rows.values(), strict=True):
            by_kind = (f"{n} {kind}" for kind, n in sorted(row["missed"].items()))
            planted = row["found"] + sum(row["missed"].values())
            line += [
                f"{row['found']} of {planted}", ", ".join(by_kind) or "none", str(row["away"]),
            ]  # fmt: skip
    console.table(title, head, cells)


def _print_kinds(runs: dict[float, BudgetRun], names: dict[float, str], console: Console) -> None:
    total: Counter[str] = sum((one.kinds for one in runs.values()), Counter())
    cells = [
        [kind, *(str(one.kinds[kind]) for one in runs.values())] for kind, _ in total.most_common()
    ]
    if cells:
        console.table("alerts by kind, for each budget", ["kind", *names.values()], cells)


def _print_lost(present: BudgetRun, lost: dict[float, list[str]], console: Console) -> None:
    """The incidents of the present budget that some other budget does not report."""
    rows = []
    for one in present.incidents:
        without = [budget for budget, gone in lost.items() if one.incident in gone]
        if without:
            rows.append([
                fmt.clock(one.opened_ns), one.severity, one.latest.kind,
                fmt.join_list(fmt.shorten_list(list(one.latest.symbols))), one.incident,
                fmt.join_list([fmt.format_number(budget) for budget in without]),
                one.latest.summary,
            ])  # fmt: skip
    if not rows:
        return
    budget, number = fmt.format_number(present.budget), len(present.incidents)
    head = ["UTC", "severity", "kind", "markets", "incident", "missed at", "what"]
    console.table(
        f"incidents at {budget} a day: {number}, of which another budget misses {len(rows)}",
        head,
        rows,
    )


def _print_limits(
    days: float, judged: float, budgets: list[float], learning: dict[str, float], console: Console
) -> None:
    """What the length of the day does not allow to say."""
    day_s = days * DAY_S
    waits = [
        f"{name} {fmt.format_duration(seconds)}"
        + (", so not in this day" if seconds >= day_s else "")
        for name, seconds in learning.items()
        if seconds
    ]
    if waits:
        console.say(
            "while it learns, a detector does not judge; from the begin of a feed: "
            + "; ".join(waits)
        )
    few = [fmt.format_number(budget) for budget in budgets if budget * judged < 1]
    if few:
        console.say(
            f"a budget of {fmt.join_list(few)} a day expects less than one false alert in "
            f"{fmt.format_duration(judged * DAY_S)} that could be judged: this day cannot show "
            "whether it is kept"
        )
    if days < 1:
        console.say(
            "a day has hours that this recording has not: take the range of alerts a day as what "
            "these hours would come to, not as a forecast"
        )
