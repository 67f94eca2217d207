"""The alerts of the last time, bounded: those that fire, then the newest that are resolved."""

from __future__ import annotations

import asyncio
import dataclasses
from bisect import bisect_right
from typing import Any, NamedTuple

from monitor.core.alerts.formatting import format_iso
from monitor.core.alerts.history import IncidentHistory
from monitor.core.contract.alert import Alert, alert_json
from monitor.delivery.texts import without_accounts
from monitor.errors import UnknownNameError, nearest_name

BYTES_MAX = 16 << 20
"""Of the alerts that are kept, as JSON."""
ALERTS_MAX = 5_000
NO_EVENT = -1
"""Stands for the last event where there was none; after it comes all that is kept."""


class KeptAlert(NamedTuple):
    """One alert of the topic. `line`: its JSON."""

    offset: int
    id: str
    line: bytes
    line_without_accounts: bytes


class KeptIncident:
    """One incident: its alerts as JSON, and what an overview says of them."""

    def __init__(self) -> None:
        self.alerts: list[KeptAlert] = []
        self._outlines: list[Alert] = []
        """The alerts without what is large in them."""

    def add(self, kept: KeptAlert, alert: Alert) -> None:
        self.alerts.append(kept)
        self._outlines.append(_outline(alert))

    @property
    def history(self) -> IncidentHistory:
        return IncidentHistory(tuple(self._outlines))

    @property
    def is_firing(self) -> bool:
        return self._outlines[-1].status != "resolved"

    @property
    def size(self) -> int:
        """Bytes, of its alerts as JSON."""
        return sum(len(kept.line) for kept in self.alerts)


class RecentAlerts:
    """Filled in the order of the alerts topic.

    Where more than `ALERTS_MAX` or `BYTES_MAX` would be kept, the incident that was resolved first
    is forgotten; where none is resolved, the one that opened first.
    """

    def __init__(self) -> None:
        self.last_offset = NO_EVENT
        """Of the newest alert."""
        self.topics_before = 0
        """How often the topic was made anew."""
        self.changed = asyncio.Event()
        """Set with the next alert; another one stands here then."""
        self.forgotten = 0
        """Incidents that are not kept any more."""
        self.foreign = 0
        """Records that are no alerts of this version."""
        self._incidents: dict[str, KeptIncident] = {}
        self._order: list[KeptAlert] = []
        self._bytes = 0

    def take(self, offset: int, alert: Alert) -> None:
        """Take the next alert of the topic."""
        hidden = without_accounts(alert)
        line = alert_json(alert)
        kept = KeptAlert(offset, alert.id, line, line if hidden is alert else alert_json(hidden))
        self._incidents.setdefault(alert.incident, KeptIncident()).add(kept, alert)
        self._order.append(kept)
        self._bytes += len(line)
        self.last_offset = offset
        while len(self._incidents) > 1 and (
            len(self._order) > ALERTS_MAX or self._bytes > BYTES_MAX
        ):
            self._forget_one(alert.incident)
        self._announce()

    def _announce(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def _forget_one(self, newest: str) -> None:
        others = [(name, one) for name, one in self._incidents.items() if name != newest]
        resolved = [(one.alerts[-1].offset, name) for name, one in others if not one.is_firing]
        firing = [(one.alerts[0].offset, name) for name, one in others]
        gone = self._incidents.pop(min(resolved or firing)[1])
        offsets = {kept.offset for kept in gone.alerts}
        self._order = [kept for kept in self._order if kept.offset not in offsets]
        self._bytes -= gone.size
        self.forgotten += 1

    def begin_anew(self) -> None:
        """The topic was made anew: nothing that is kept is in it."""
        self._incidents, self._order, self._bytes = {}, [], 0
        self.last_offset = NO_EVENT
        self.topics_before += 1
        self._announce()

    def after(self, offset: int) -> list[KeptAlert]:
        """Those that came behind an offset, in order."""
        return self._order[bisect_right(self._order, offset, key=lambda kept: kept.offset) :]

    def overview(self, every: bool, shows_accounts: bool) -> dict[str, Any]:
        """A row for each incident that fires, those that opened last first; with `every` for those
        that are resolved too."""
        incidents = list(self._incidents.values())
        rows = [
            describe_incident(one.history, shows_accounts)
            for one in reversed(incidents)
            if every or one.is_firing
        ]
        return {
            "firing": sum(one.is_firing for one in incidents),
            "silenced": sum(row["status"] == "silenced" for row in rows),
            "forgotten": self.forgotten,
            "last_event": self.last_offset,
            "incidents": rows,
        }

    def lines(self, shows_accounts: bool) -> bytes:
        """All that are kept, in order, as lines of JSON: what `replay --alerts` writes."""
        kept = self._order
        return b"".join(
            (one.line if shows_accounts else one.line_without_accounts) + b"\n" for one in kept
        )

    def incident(self, reference: str, shows_accounts: bool) -> bytes:
        """All alerts of an incident as JSON. `reference`: its id, or that of one of its alerts.

        Raises `UnknownNameError`.
        """
        by_alert = (
            name for name, one in self._incidents.items()
            if any(kept.id == reference for kept in one.alerts)
        )  # fmt: skip
        name = reference if reference in self._incidents else next(by_alert, None)
        if name is None:
            mend = nearest_name(reference, [*self._incidents], "/alerts?all= lists what is kept")
            raise UnknownNameError(f"no alert or incident {reference} is kept: {mend}")
        alerts = self._incidents[name].alerts
        lines = [one.line if shows_accounts else one.line_without_accounts for one in alerts]
        return b'{"incident":"%b","alerts":[%b]}\n' % (name.encode(), b",".join(lines))


def describe_incident(incident: IncidentHistory, shows_accounts: bool) -> dict[str, Any]:
    """What an overview says of an incident, as plain values."""
    latest = incident.latest if shows_accounts else without_accounts(incident.latest)
    resolved_ns, silenced_by = incident.resolved_ns, incident.silenced_by
    status = "firing" if silenced_by is None else "silenced"
    return {
        "incident": incident.incident,
        "status": status if resolved_ns is None else "resolved",
        "severity": incident.severity,
        "kind": latest.kind,
        "symbols": list(latest.symbols),
        "opened": format_iso(incident.opened_ns),
        "resolved": None if resolved_ns is None else format_iso(resolved_ns),
        "returns": incident.returns,
        "alerts": len(incident.alerts),
        "silenced_by": silenced_by,
        "by_rule": incident.is_by_rule,
        "summary": latest.summary,
        "look_at": list(latest.look_at),
    }


def _outline(alert: Alert) -> Alert:
    """The alert without what is large in it; the accounts stay, to be hidden."""
    return dataclasses.replace(
        alert,
        evidence=alert.evidence[:1],
        zones=(),
        triage=None,
        records=(),
        abstained=(),
        at_stake=None,
    )
