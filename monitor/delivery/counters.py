"""What is counted of each receiver, for Prometheus. Receivers are those of the configuration."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge


class DeliveryCounters:
    """All receivers of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"brinkwatch_delivery_{name}", text, ["receiver"], registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"brinkwatch_delivery_{name}", text, ["receiver"], registry=registry)

        self._sent = counter("sent_total", "Alerts that a receiver has taken")
        self._failures = counter("failures_total", "Attempts that failed and are made again")
        self._rejected = counter(
            "rejected_total", "Alerts that a receiver does not take as they are: given up"
        )
        self._waiting = gauge(
            "waiting", "Offsets of the alerts topic that a receiver has not come to"
        )
        self._up = gauge("up", "1 unless the last attempt failed")
        self._last = gauge("last_success_timestamp_seconds", "When a receiver last took something")

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
