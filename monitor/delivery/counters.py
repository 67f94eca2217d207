"""What is counted of each receiver, for Prometheus. Receivers are those of the configuration."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry

from monitor.metrics.catalogue import counter, gauge


class DeliveryCounters:
    """All receivers of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sent = counter("delivery_sent_total", registry)
        self._failures = counter("delivery_failures_total", registry)
        self._rejected = counter("delivery_rejected_total", registry)
        self._waiting = gauge("delivery_waiting", registry)
        self._up = gauge("delivery_up", registry)
        self._last = gauge("delivery_last_success_timestamp_seconds", registry)

    def begin(self, receiver: str) -> None:
        """Its series are there from now on: `rate` would not see the first event otherwise."""
        for series in (self._sent, self._failures, self._rejected, self._waiting, self._last):
            series.labels(receiver)
        self._up.labels(receiver).set(1)

    def count_sent(self, receiver: str, alerts: int) -> None:
        """It has taken so many alerts; 0: what it has already."""
        self._sent.labels(receiver).inc(alerts)
        self._up.labels(receiver).set(1)
        self._last.labels(receiver).set(time.time())

    def count_failure(self, receiver: str) -> None:
        """An attempt failed."""
        self._failures.labels(receiver).inc()
        self._up.labels(receiver).set(0)

    def count_rejected(self, receiver: str) -> None:
        """An alert is given up."""
        self._rejected.labels(receiver).inc()

    def set_waiting(self, receiver: str, offsets: int) -> None:
        """How far it is behind."""
        self._waiting.labels(receiver).set(offsets)
