"""What the report of a day shows, collected while the day is replayed: it reads what the engine
puts out, and keeps arrays whose size is fixed before the first record."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.core.contract.alert import Alert
from monitor.core.engine import EngineOutput
from monitor.core.settings import EngineSettings
from monitor.core.venue.stage import StageOutput
from replay.report.band_history import BandHistory
from replay.report.evidence_series import EvidenceSeries
from replay.report.market_series import MarketSeries, WindowRange, chosen_rows

MARKETS_MAX = 40
"""Markets with charts: those with the most records. Incidents of all markets are in the report."""
ALERTS_MAX = 20_000
"""Alerts kept: a day has tens. What comes after is counted."""


class DayRecorder:
    """Follows a replay.

    `records`: by market, how many there are in the day. `from_ns`, `to_ns`: the time that the
    report is of, both included, ns.
    """

    def __init__(
        self, records: Mapping[str, int], from_ns: int, to_ns: int, settings: EngineSettings
    ) -> None:
        ranked = sorted(records, key=lambda name: (-records[name], name))
        self.markets, self.left_out = ranked[:MARKETS_MAX], ranked[MARKETS_MAX:]
        """Those with charts, the most records first, and those without."""
        self.from_ns, self.to_ns = from_ns, to_ns
        window_ns = settings.time.window_ns
        self._numbers = {name: k for k, name in enumerate(self.markets)}
        self.windows = WindowRange(from_ns // window_ns, to_ns // window_ns + 1)
        self.series = MarketSeries(self._numbers, self.windows)
        self.evidence = EvidenceSeries(self._numbers, window_ns)
        interval_ns = settings.accounts.bands_interval_ns
        self.bands = BandHistory(self.markets, from_ns, to_ns, interval_ns)
        self.alerts: list[Alert] = []
        self.alerts_left_out = 0

    def take(self, output: StageOutput) -> None:
        """Take what a step decides, its alerts already chosen."""
        for span in output.closed if isinstance(output, EngineOutput) else ():
            rows = chosen_rows(span, self._numbers, self.windows)
            if rows.values.size:
                self.series.take(span, rows)
                self.evidence.take(rows)
        for bands in output.bands:
            self.bands.take(bands)

    def take_alert(self, alert: Alert) -> None:
        """Take an alert that is shown."""
        if len(self.alerts) < ALERTS_MAX:
            self.alerts.append(alert)
            self.evidence.follow(alert)
        else:
            self.alerts_left_out += 1

    def finish(self) -> None:
        """The day has ended."""
        self.evidence.finish()
