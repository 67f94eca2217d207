"""What is read before anything runs, and the line that the log has of each alert."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from monitor.config import load
from monitor.core.contract.alert import Carrier
from monitor.delivery.counters import DeliveryCounters
from monitor.delivery.follower import BACK_OFF_MAX_S, BACK_OFF_S, back_off_s
from monitor.delivery.session import DeliverySession, log_alerts
from monitor.errors import ConfigError
from tests.core.alerts.findings import alert


def test_a_secret_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    hook = {"name": "desk", "kind": "slack", "url_file": str(tmp_path / "gone")}
    session = DeliverySession(load(None, receivers=[hook]), DeliveryCounters(CollectorRegistry()))
    with pytest.raises(ConfigError, match=r"receiver desk: url_file .*gone cannot be read"):
        session.prepare()


def test_each_alert_is_a_line_that_names_no_account_and_is_as_grave_as_it() -> None:
    one = replace(
        alert(), severity="critical", accounts=(Carrier("mm1", 0.6),), summary="cancels of mm1"
    )
    with capture_logs() as lines:
        log_alerts([
            one,
            replace(one, severity="info"),
            replace(one, status="resolved"),
            replace(one, silenced_by="works"),
        ])  # fmt: skip
    assert [line["log_level"] for line in lines] == ["warning", "info", "info", "info"]
    assert {line["event"] for line in lines} == {"alert"}
    assert lines[0]["summary"] == "cancels of (account)"
    assert lines[0]["symbols"] == ["SOL-PERP"]
    assert lines[3]["silenced_by"] == "works"
    assert "mm1" not in str(lines)


def test_the_wait_doubles_up_to_its_bound_and_differs() -> None:
    for failures in range(40):
        longest = min(BACK_OFF_S * 2.0**failures, BACK_OFF_MAX_S)
        waits = [back_off_s(failures) for _ in range(20)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 1
