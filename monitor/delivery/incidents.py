"""What one receiver knows of the incidents: which of them it was sent, and which still fire.

It follows from the alerts topic and the receiver's settings alone, so that a restart that reads the
topic back has it again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.core.contract.alert import Alert, Severity
from monitor.delivery.settings import ReceiverSettings

INCIDENTS_MAX = 2_000
"""Incidents that are remembered, at most; the one that opened first is forgotten first."""
RESOLVED_S = 300.0
"""A resolution is sent again for so long, s, as Prometheus does."""


@dataclass(slots=True)
class Notice:
    """One alert for a receiver, and what its incident was at the first one sent there."""

    alert: Alert
    opening: Alert
    """The first alert of the incident that was sent here: what names the incident stays as in it,
    whatever the incident grows to."""
    severities: tuple[Severity, ...]
    """Those that the incident has had, as sent here, in the order in which they came."""


@dataclass(slots=True)
class _SentIncident:
    offset: int
    """Of its first alert."""
    notice: Notice | None = None
    """The last one for this receiver."""
    resolved_s: float | None = None
    """When its resolution was published, Unix time, s."""
    severities: list[Severity] = field(default_factory=list)


class ReceiverIncidents:
    """Follows the alerts topic for one receiver."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._settings = settings
        self._by_id: dict[str, _SentIncident] = {}

    def take(self, alert: Alert, offset: int, published_s: float) -> Notice | None:
        """Take the next alert of the topic; what to send of it, if anything.

        offset: in the topic. published_s: when, Unix time, s.
        """
        one = self._by_id.get(alert.incident)
        is_unknown = one is None
        if one is None or (alert.status == "firing" and one.resolved_s is not None):
            # A reopened incident begins anew: it may be less grave, or of another kind.
            one = self._by_id[alert.incident] = _SentIncident(offset)
            if len(self._by_id) > INCIDENTS_MAX:
                del self._by_id[next(iter(self._by_id))]
        if alert.status == "resolved":
            one.resolved_s = published_s
            # Of an incident that was forgotten somebody may have been notified.
            is_wanted = one.notice is not None or (is_unknown and self._settings.fits(alert))
        else:
            is_quiet = alert.silenced_by is not None and self._settings.kind != "file"
            is_wanted = not is_quiet and (one.notice is not None or self._settings.fits(alert))
        if not is_wanted:
            return None
        if alert.severity not in one.severities:
            one.severities.append(alert.severity)
        opening = alert if one.notice is None else one.notice.opening
        one.notice = Notice(alert, opening, tuple(one.severities))
        return one.notice

    def active(self, now_s: float) -> list[Notice]:
        """What fires here, and what was resolved in the last minutes; the rest is forgotten."""
        for name, one in [*self._by_id.items()]:
            if one.resolved_s is not None and now_s - one.resolved_s > RESOLVED_S:
                del self._by_id[name]
        return [one.notice for one in self._by_id.values() if one.notice is not None]

    def first_offset(self) -> int | None:
        """From where the topic must be read to know again what is known now; None: from the next
        alert."""
        return min((one.offset for one in self._by_id.values()), default=None)
