"""The numbers that an incident's evidence is about, around the incident: cut from the last windows
of all features once the incident is resolved, or `AFTER_WINDOWS` after its alert."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monitor.core.contract.alert import Alert, AlertEvidence
from monitor.core.contract.feature_catalogue import FEATURE_NAMES, FEATURES
from monitor.core.contract.units import MILLISECOND_NS
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.finding import ACCOUNT_BURST
from replay.report.market_series import SpanRows, WindowRange, pack

KEPT_WINDOWS = 1_800
"""Of each market: as many as an evidence chart shows at the most."""
BEFORE_WINDOWS, AFTER_WINDOWS = 600, 600
"""Shown before the change began, and after its alert at the most."""
USUAL_WINDOWS_MIN = 60
"""What is usual is said of so many windows before the change, or not at all."""
USUAL_SHARE = 0.98
"""The usual band holds this share of the windows before the change began."""
CHARTS_MAX = 4
"""Of one incident: those with the largest shares of the evidence."""
INCIDENTS_MAX = 500
"""Incidents with charts: the first so many; the others have their numbers in a table."""


@dataclass(slots=True)
class _EvidenceCut:
    """An incident whose charts are not cut yet. `places`: numbers of its markets."""

    alert: Alert
    low: int
    until: int
    places: list[int] = field(default_factory=list)


class EvidenceSeries:
    """Charts of evidence by incident.

    `numbers`: of each market, from 0 on. `window_ns`: how long a window is.
    """

    def __init__(self, numbers: dict[str, int], window_ns: int) -> None:
        self._numbers, self._window_ns = numbers, window_ns
        shape = len(numbers), KEPT_WINDOWS
        self._values = np.full((*shape, len(FEATURE_NAMES)), np.nan, np.float32)
        self._window = np.full(shape, -1, np.int64)
        self._until = np.zeros(len(numbers), np.int64)
        self._pending: dict[str, _EvidenceCut] = {}
        self.charts: dict[str, list[dict[str, Any]]] = {}
        """By incident, as the incident card takes them."""

    def take(self, rows: SpanRows) -> None:
        """Take the rows of closed windows; those of one market in the order of time."""
        until = rows.low + len(rows.values)
        here = set(rows.places.tolist())
        self._cut_due(here, until - KEPT_WINDOWS)
        kept = rows.values[-KEPT_WINDOWS:]
        windows = np.arange(until - len(kept), until)
        at = np.ix_(rows.places, windows % KEPT_WINDOWS)
        self._values[at] = kept.transpose(1, 0, 2)
        self._window[at] = windows
        self._until[rows.places] = until
        self._cut_due(here)

    def _cut_due(self, places: set[int], forgotten: int | None = None) -> None:
        """Cut what has come to its end in these markets, or would lose its beginning: windows
        below `forgotten`."""
        for incident, one in list(self._pending.items()):
            if places.isdisjoint(one.places):
                continue
            is_over = all(self._until[place] >= one.until for place in one.places)
            if is_over if forgotten is None else one.low < forgotten:
                self._cut(incident)

    def follow(self, alert: Alert) -> None:
        """Take an alert. An incident that comes back has charts of its last evidence."""
        now = alert.ts // self._window_ns
        one = self._pending.get(alert.incident)
        if alert.status == "resolved":
            if one is not None:
                self._cut(alert.incident)
            return
        if one is None:
            if len({*self._pending, *self.charts, alert.incident}) > INCIDENTS_MAX:
                return
            low = max(alert.since // self._window_ns, now - AFTER_WINDOWS) - BEFORE_WINDOWS
            one = self._pending[alert.incident] = _EvidenceCut(alert, low, now + AFTER_WINDOWS)
        one.alert = alert
        symbols = {part.symbol or alert.symbols[0] for part in alert.evidence if alert.symbols}
        one.places = [n for name, n in self._numbers.items() if name in symbols]

    def finish(self) -> None:
        """The day has ended: cut what is left."""
        for incident in list(self._pending):
            self._cut(incident)

    def _cut(self, incident: str) -> None:
        one = self._pending.pop(incident)
        ranked = sorted(one.alert.evidence, key=lambda part: -part.share)
        charts = (self._chart(one, part) for part in ranked)
        self.charts[incident] = [chart for chart in charts if chart is not None][:CHARTS_MAX]

    def _chart(self, one: _EvidenceCut, part: AlertEvidence) -> dict[str, Any] | None:
        """None where the number is none of a market's windows."""
        alert = one.alert
        symbol = part.symbol or (alert.symbols[0] if alert.symbols else "")
        place, column = self._numbers.get(symbol), FEATURE_COLUMN.get(part.stream)
        if place is None or column is None:
            return None
        until = min(one.until, int(self._until[place]))
        windows = np.arange(max(one.low, until - KEPT_WINDOWS), until)
        slots = windows % KEPT_WINDOWS
        came = self._window[place, slots] == windows
        values = np.where(came, self._values[place, slots, column], np.nan)
        some = np.flatnonzero(~np.isnan(values))
        if not len(some):
            return None
        values, windows = (array[some[0] : some[-1] + 1] for array in (values, windows))
        spec = FEATURES[part.stream]
        during = WindowRange(alert.since // self._window_ns, alert.ts // self._window_ns)
        by_account = part.detector == ACCOUNT_BURST
        about = " (a few accounts' alone is judged)" if by_account else ""
        where = f" · {symbol}" if len(alert.symbols) > 1 else ""
        return {
            "title": f"{spec.noun.strip(',')}{where}{about}",
            "unit": f"{spec.unit} in a window" if spec.is_additive else spec.unit,
            "from": float(windows[0] * self._window_ns / MILLISECOND_NS),
            "step": self._window_ns / MILLISECOND_NS,
            "values": pack(values),
            "expected": None if by_account else _expected(part, values, windows, during),
            "usual": _usual(values[windows < during.low]),
            "additive": spec.is_additive,
        }


def _expected(
    part: AlertEvidence, values: np.ndarray, windows: np.ndarray, during: WindowRange
) -> float | None:
    """What was expected of a window, by the alert. Of a number that adds up the alert has the sums
    since the change began, so it is the mean of these windows over the alert's ratio."""
    if not FEATURES[part.stream].is_additive:
        return part.expected
    shown = values[(windows >= during.low) & (windows < during.until)]
    if part.ratio is None or not part.ratio or np.isnan(shown).all():
        return None
    return float(f"{np.nanmean(shown) / part.ratio:.6g}")


def _usual(before: np.ndarray) -> list[float] | None:
    """The band that holds `USUAL_SHARE` of the windows."""
    some = before[~np.isnan(before)]
    if len(some) < USUAL_WINDOWS_MIN:
        return None
    tail = (1 - USUAL_SHARE) / 2
    return [float(f"{value:.6g}") for value in np.quantile(some, (tail, 1 - tail))]
