"""What `brinkwatch watch` says of a sidecar: once, where it stays, and again where it changes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console as RichConsole

from monitor.config import HttpSettings
from monitor.desk.live_view import LiveView
from monitor.desk.sidecar_client import SidecarAddress
from monitor.errors import BrinkwatchError

STATE = {
    "ready": True, "why": "ready", "lag": 1_200, "partitions": [0, 1], "alerts": 3,
    "cascade_graph": {"critical_factor_shock": {"down": {"shock": -0.13, "jump": 0.06}}},
}  # fmt: skip


def row(name: str, **changes: Any) -> dict[str, Any]:
    """An incident of /alerts."""
    return {
        "incident": name, "status": "firing", "severity": "warning", "kind": "burst",
        "opened": "2026-01-01T00:00:00Z", "summary": f"{name} happened", **changes,
    }  # fmt: skip


class Answering(SidecarAddress):
    """A sidecar that answers as the test says."""

    __slots__ = ()

    def fetch_document(self, path: str) -> dict[str, Any]:
        if path not in DOCUMENTS:
            raise BrinkwatchError("it is away")
        return DOCUMENTS[path]


DOCUMENTS: dict[str, dict[str, Any]] = {}


@pytest.fixture
def view() -> LiveView:
    DOCUMENTS.update({"/state": STATE, "/alerts": {"incidents": [row("a"), row("b")]}})
    return LiveView(Answering("http://x", HttpSettings()))


def test_a_line_for_each_change_and_none_without_one(view: LiveView) -> None:
    view.look()
    first = view.changes()
    assert first[0] == "ready; 1,200 records wait; partitions 0, 1; 3 alerts published"
    assert first[1:] == [
        f"2026-01-01T00:00:00Z  firing  warning  burst  {name}  {name} happened" for name in "ab"
    ]
    view.look_again()
    assert view.changes() == []
    DOCUMENTS["/alerts"] = {"incidents": [row("b", severity="critical")]}
    view.look_again()
    grew, ended = view.changes()
    assert "critical  burst  b" in grew
    assert ended == "resolved: a"


def test_a_sidecar_that_goes_away_is_said_to_be_and_comes_back(view: LiveView) -> None:
    view.look()
    view.changes()
    del DOCUMENTS["/state"]
    view.look_again()
    assert view.changes() == ["it is away"]
    view.look_again()
    assert view.changes() == []
    DOCUMENTS["/state"] = {**STATE, "ready": False, "why": "starting"}
    del DOCUMENTS["/alerts"]
    view.look_again()
    assert view.changes()[0].startswith("not ready: starting; ")


def test_the_picture_has_the_gravest_first_and_no_escape_of_a_terminal(view: LiveView) -> None:
    critical = row("c", severity="critical", summary="\x1b[2J of 30 s")
    silenced = row("s", severity="critical", status="silenced")
    DOCUMENTS["/alerts"] = {"incidents": [silenced, row("a"), critical]}
    view.look()
    out = io.StringIO()
    RichConsole(file=out, width=80).print(view.picture(80))
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["http://x", "ready"]
    assert "critical shock of all markets together: −12 % carries them 6 % further" in lines
    assert "3 incidents are firing" in lines
    assert [line.split()[-1] for line in lines if "burst" in line] == ["c", "a", "s"]
    assert "  \\x1b[2J of 30 s" in lines
