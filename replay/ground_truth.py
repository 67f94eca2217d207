"""A day's alerts compared with the incidents planted in it: found, missed, unrelated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monitor.core.alerts.history import group_by_incident
from monitor.core.alerts.severity import SEVERITIES
from monitor.core.contract.alert import Alert, AlertEvidence, Severity
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import COLUMNS
from monitor.errors import ConfigError
from replay.day import Day
from replay.simulation.incidents.plan import read_plan
from replay.simulation.incidents.planted import IncidentKind, PlantedIncident

INCIDENTS_FILE = "incidents.json"
"""The planted incidents of a simulated day, in its folder."""
GRACE_NS = 5 * SECOND_NS
"""An alert within five seconds after the end of a planted incident is still about it."""
SLOW_GRACE_NS = 65 * SECOND_NS
"""So is one a minute later where a rule decides by the minute: delays and silences of a topic."""
LEAD_NS = 90 * SECOND_NS
"""The orders of a burst of cancels are placed before it, 20 s on average and seldom over 90 s: an
alert of that time that names the burst's accounts is about the burst."""

_BOOK = frozenset({"thin_book", "wide_spread", "costly_book", "slow_refill"})
_LEVERAGE = frozenset({"leverage_surge", "leverage_into_thin_book", "mode_switches"})
_PRICE = frozenset({"price_move", "volatility", "sweep", "trade_rush"})
_FORCED = frozenset({"forced_beyond_book", "critical_shock"})
_CANCELS = frozenset({"order", "cancel"})
"""Evidence from such records is about cancels: they were orders before."""
_FEED = frozenset({"feed_stopped", "stale_book", "stale_mark", "stale_index", "unsound_book"})
EVIDENCE: dict[IncidentKind, frozenset[str]] = {
    "cancel_burst": _CANCELS,
    "layering": _CANCELS,
    "leverage_surge": _LEVERAGE,
    "thin_book": _BOOK,
    "joint": _CANCELS | _LEVERAGE | _BOOK,
    "thin_book_cluster": _BOOK,
    "depth_withdrawal": _BOOK,
    "index_fault": frozenset(
        {"outlying_index", "outlying_mark", "outlying_source", "mark_off_market", "mark_gap"}
    ),
    "feed_silence": _FEED,
    "latency_flip": frozenset({"delay_shift", "late_records", "lag"}),
    "crowded_funding": frozenset({"funding", "crowding", "mark_gap"}),
    "price_shock": _PRICE,
    "cascade": _CANCELS | _LEVERAGE | _BOOK | _PRICE | _FORCED | {"fill"},
}
"""What is about an incident: kinds of alert, and kinds of record that evidence is from."""
_SLOW: tuple[IncidentKind, ...] = ("feed_silence", "latency_flip")


def read_planted(day: Path) -> list[PlantedIncident]:
    """The planted incidents of a simulated day; none for any other day."""
    file = day / INCIDENTS_FILE
    try:
        return read_plan(file) if file.exists() else []
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read ({error}): simulate the day anew") from error


def lifecycles(alerts: list[Alert]) -> list[list[Alert]]:
    """The alerts of each incident, from the first to the last, without the resolutions."""
    histories = (one.alerts for one in group_by_incident(alerts))
    return [[alert for alert in one if alert.status != "resolved"] for one in histories]


def is_near(alert: Alert, incident: PlantedIncident) -> bool:
    """Whether an alert may come from a planted incident: the same market, and either the time of
    the incident, or one of its accounts while it places the orders that it will cancel.

    A cascade is near everywhere: what it forces are accounts with positions in other markets too.
    """
    if incident.kind != "cascade" and not _is_in_markets(alert, incident):
        return False
    grace_ns = SLOW_GRACE_NS if incident.kind in _SLOW else GRACE_NS
    if incident.start_ts < alert.ts <= incident.end_ts + grace_ns:
        return True
    early = incident.start_ts - LEAD_NS < alert.ts <= incident.start_ts
    named = {a.account for a in alert.accounts}
    return early and not named.isdisjoint(incident.accounts)


def is_about(alert: Alert, incident: PlantedIncident) -> bool:
    """Whether an alert near an incident has evidence of its kind."""
    if not is_near(alert, incident) or not _is_in_markets(alert, incident):
        return False
    wanted = EVIDENCE[incident.kind]
    return any(not wanted.isdisjoint(_kinds_of(evidence)) for evidence in alert.evidence)


def _is_in_markets(alert: Alert, incident: PlantedIncident) -> bool:
    return not incident.markets or not set(incident.markets).isdisjoint(alert.symbols)


def _kinds_of(evidence: AlertEvidence) -> tuple[str, ...]:
    """The kind of alert that this evidence makes, and the kinds of record that it is from; records
    say nothing of evidence that has a kind of its own."""
    spec = FEATURES.get(evidence.stream)
    if spec is None or spec.layer == "data":
        return (spec.kind or evidence.detector,) if spec else (evidence.detector,)
    return (spec.kind or evidence.detector, *spec.records)


def alerts_about(alerts: list[Alert], incident: PlantedIncident) -> list[Alert]:
    """The alerts about a planted incident, without resolutions."""
    return [a for a in alerts if a.status != "resolved" and is_about(a, incident)]


def unrelated_incidents(alerts: list[Alert], planted: list[PlantedIncident]) -> list[list[Alert]]:
    """The incidents in which no alert may come from a planted incident."""
    return [
        life
        for life in lifecycles(alerts)
        if not any(is_near(alert, incident) for alert in life for incident in planted)
    ]


@dataclass(frozen=True, slots=True)
class PlantedOutcome:
    """What the alerts of a day say of one planted incident."""

    incident: PlantedIncident
    alerts: list[Alert]
    """Those about it, in the order of publication."""
    first_forced_ts: int | None = None
    """When the first position was closed by force in its markets, ns; None: none was."""

    @property
    def kinds(self) -> list[str]:
        """Kinds of its alerts."""
        return sorted({alert.kind for alert in self.alerts})

    @property
    def first_ts(self) -> int | None:
        """Time of the first alert, ns."""
        return min((alert.ts for alert in self.alerts), default=None)

    @property
    def delay_s(self) -> float | None:
        """From its start to the first alert; below 0 where a burst is seen while its orders are
        placed."""
        first = self.first_ts
        return None if first is None else (first - self.incident.start_ts) / SECOND_NS

    @property
    def lead_s(self) -> float | None:
        """From the first alert to the first position that was closed by force."""
        if self.first_ts is None or self.first_forced_ts is None:
            return None
        return (self.first_forced_ts - self.first_ts) / SECOND_NS

    @property
    def severity(self) -> Severity | None:
        """The gravest of its alerts."""
        return max((a.severity for a in self.alerts), key=SEVERITIES.index, default=None)


def compare(day: Day, alerts: list[Alert]) -> list[PlantedOutcome]:
    """The outcome of each planted incident of a day, by its start."""
    return [
        PlantedOutcome(incident, alerts_about(alerts, incident), first_forced_ts(day, incident))
        for incident in read_planted(day.path)
    ]


def first_forced_ts(day: Day, incident: PlantedIncident) -> int | None:
    """When the first position was closed by force during a cascade in its markets, ns."""
    if incident.kind != "cascade":
        return None
    trade = next(c for c in COLUMNS["fill"] if c.name == "cause").code("trade")
    fills = [(p.kind, p.partition) for p in day.meta.partitions if p.kind == "fill"]
    forced: list[int] = []
    for batch in day.batches(
        symbols=incident.markets,
        from_ts=incident.start_ts,
        to_ts=incident.end_ts,
        sources=fills,
    ):
        cause, ts = batch.numbers["cause"], batch.numbers["ts"]
        forced += ts[(cause != trade) & (cause >= 0)].tolist()
    return min(forced, default=None)
