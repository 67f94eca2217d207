"""The alerts of one incident, read as its history: when it opened, how grave it got, its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from monitor.core.alerts.severity import SEVERITIES
from monitor.core.contract.alert import Alert, Severity
from monitor.core.contract.feature_catalogue import SILENCE_FEATURES


@dataclass(frozen=True, slots=True)
class IncidentHistory:
    """All alerts of one incident, at least one, in the order of their publication."""

    alerts: tuple[Alert, ...]

    @property
    def incident(self) -> str:
        """Its id."""
        return self.alerts[0].incident

    @property
    def latest(self) -> Alert:
        """The last alert with all its evidence; a resolution only where there is no other."""
        fired = [alert for alert in self.alerts if alert.status != "resolved"]
        return (fired or self.alerts)[-1]

    @property
    def opened_ns(self) -> int:
        """When it was first published, event time, ns."""
        return self.alerts[0].ts

    @property
    def end_ns(self) -> int:
        """When it was last published, event time, ns."""
        return self.alerts[-1].ts

    @property
    def resolved_ns(self) -> int | None:
        """When it was resolved, event time, ns; None: it fires."""
        return self.end_ns if self.alerts[-1].status == "resolved" else None

    @property
    def since_ns(self) -> int:
        """When the change began, ns."""
        return min(alert.since for alert in self.alerts)

    @property
    def severity(self) -> Severity:
        """The gravest that it had."""
        return max((alert.severity for alert in self.alerts), key=SEVERITIES.index)

    @property
    def returns(self) -> int:
        """How often its evidence came back after it was quiet."""
        return self.alerts[-1].returns

    @property
    def silenced_by(self) -> str | None:
        """The silence that covers the latest of its alerts, where all of them are covered."""
        fired = [alert for alert in self.alerts if alert.status != "resolved"]
        return self.latest.silenced_by if all(alert.silenced_by for alert in fired) else None

    @property
    def is_by_rule(self) -> bool:
        """Whether a rule decided it and not chance: it spends no budget."""
        first = self.latest.evidence[0]
        return first.p is None or first.stream in SILENCE_FEATURES


def group_by_incident(alerts: Iterable[Alert]) -> list[IncidentHistory]:
    """The history of each incident, in the order in which they opened."""
    by_incident: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_incident.setdefault(alert.incident, []).append(alert)
    return [IncidentHistory(tuple(one)) for one in by_incident.values()]
