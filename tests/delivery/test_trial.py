"""The test alert of a receiver."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config import load
from monitor.console import Console
from monitor.core.contract.alert import parse_alert
from monitor.delivery.trial import send_trial
from monitor.errors import BrinkwatchError, ConfigError
from tests.delivery.servers import receiver_server

CONSOLE = Console(True)


def test_it_says_that_it_is_one_and_is_resolved(tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    config = load(None, receivers=[{"name": "lines", "kind": "file", "path": str(path)}])
    assert send_trial(config, "lines", "critical", CONSOLE)["taken"]
    fired, ended = map(parse_alert, path.read_bytes().splitlines())
    assert (fired.status, ended.status) == ("firing", "resolved")
    assert (fired.kind, fired.severity, fired.incident) == ("test", "critical", ended.incident)
    assert "nothing is wrong" in fired.summary
    with pytest.raises(ConfigError, match="no receiver line; did you mean lines"):
        send_trial(config, "line", "info", CONSOLE)
    with pytest.raises(ConfigError, match="--severity grave: give info, warning, critical"):
        send_trial(config, "lines", "grave", CONSOLE)


def test_a_receiver_that_does_not_take_it_is_an_error_in_one_sentence() -> None:
    with receiver_server() as server:
        server.otherwise = (500, {})
        hook = {"name": "desk", "kind": "slack", "url": server.url}
        with pytest.raises(BrinkwatchError, match="desk did not take it: it answered 500"):
            send_trial(load(None, receivers=[hook]), "desk", "info", CONSOLE)
