"""The alerts that are kept: what fires is not forgotten for what is resolved, and no account shows
where it must not."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import aiohttp
import pytest

from monitor.config import HttpSettings
from monitor.core.contract.alert import Alert, Status, alert_json, parse_alert
from monitor.http import recent_alerts
from monitor.http.port import serve
from monitor.http.recent_alerts import RecentAlerts
from tests.core.alerts.findings import alert
from tests.http.serving import View, request, with_port


def publish(name: str, number: int, status: Status = "firing") -> Alert:
    """An alert of the incident `name`, in a market of that name."""
    one = alert(status, symbol=name)
    return dataclasses.replace(one, incident=name, id=f"{name}-{number}", ts=one.ts + number)


OPENED = [publish(name, 1) for name in ("aaaa", "bbbb", "cccc")]
RESOLVED = [publish(name, 2, "resolved") for name in ("aaaa", "bbbb", "cccc")]
ALERTS = OPENED + RESOLVED


def kept(alerts: list[Alert]) -> RecentAlerts:
    """As the topic would bring them, at every third offset."""
    recent = RecentAlerts()
    for n, one in enumerate(alerts):
        recent.take(3 * n, one)
    return recent


def test_what_fires_is_shown_and_with_all_what_is_resolved_too() -> None:
    firing = json.loads(request("/alerts", alerts=kept(OPENED)).body)
    assert (firing["firing"], firing["last_event"]) == (3, 6)
    assert [row["symbols"] for row in firing["incidents"]] == [["cccc"], ["bbbb"], ["aaaa"]]
    later = kept(ALERTS)
    assert json.loads(request("/alerts", alerts=later).body)["incidents"] == []
    rows = json.loads(request("/alerts?all=", alerts=later).body)["incidents"]
    assert {row["status"] for row in rows} == {"resolved"}
    assert {row["alerts"] for row in rows} == {2}


def test_one_incident_whole_is_named_by_it_or_by_any_of_its_alerts() -> None:
    own = OPENED[1], RESOLVED[1]
    whole = {"incident": own[0].incident, "alerts": [json.loads(alert_json(a)) for a in own]}
    for reference in (own[0].incident, own[-1].id):
        assert json.loads(request(f"/alerts/{reference}", alerts=kept(ALERTS)).body) == whole
    reply = request(f"/alerts/{own[0].incident[:-1]}", alerts=kept(ALERTS))
    assert (reply.status, "did you mean" in reply.body) == (404, True)


def test_the_lines_are_those_of_a_file_of_alerts() -> None:
    lines = request("/alerts.jsonl", alerts=kept(ALERTS)).body.splitlines()
    assert [parse_alert(line) for line in lines] == ALERTS


def test_the_first_to_be_forgotten_is_what_was_resolved_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened_a, opened_b, opened_c = OPENED
    monkeypatch.setattr(recent_alerts, "ALERTS_MAX", 3)
    recent = kept([opened_a, opened_b, RESOLVED[1], opened_c])
    rows = recent.overview(True, True)["incidents"]
    assert [row["symbols"] for row in rows] == [["cccc"], ["aaaa"]]
    assert recent.forgotten == 1
    assert [one.id for one in recent.after(-1)] == [opened_a.id, opened_c.id]
    monkeypatch.setattr(recent_alerts, "ALERTS_MAX", 1)
    recent = kept([opened_a, opened_b, opened_c])
    assert [one.id for one in recent.after(-1)] == [opened_c.id]


def test_no_account_is_named_where_everybody_could_ask() -> None:
    named = parse_alert(
        json.dumps(
            {
                **json.loads(alert_json(OPENED[0])),
                "accounts": [{"account": "0xabc", "share": 0.9}],
                "summary": "0xabc sold",
            }
        )
    )
    recent = kept([named])
    for path in ("/alerts", "/alerts.jsonl", f"/alerts/{named.incident}"):
        assert "0xabc" not in request(path, alerts=recent, host="0.0.0.0").body
        assert "0xabc" in request(path, alerts=recent).body
        body = request(path, alerts=recent, host="0.0.0.0", token="t", bearer="t").body
        assert "0xabc" in body


async def read_events(port: int, number: int, headers: dict[str, str]) -> list[tuple[int, str]]:
    """So many events: their ids, and the alerts' ids."""
    came: list[tuple[int, str]] = []
    url = f"http://127.0.0.1:{port}/events"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as reply:
        assert reply.content_type == "text/event-stream"
        while len(came) < number:
            event = (await reply.content.readuntil(b"\n\n")).decode().splitlines()
            if event[0].startswith("id: "):
                assert event[1] == "event: alert"
                data = json.loads(event[2].removeprefix("data: "))
                came.append((int(event[0].removeprefix("id: ")), data["id"]))
    return came


def test_events_go_on_behind_the_last_one_that_was_seen() -> None:
    recent = kept(OPENED[:2])

    async def follow(port: int) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        since = asyncio.create_task(read_events(port, 2, {"Last-Event-ID": "0"}))
        new = asyncio.create_task(read_events(port, 1, {}))
        await asyncio.sleep(0.3)
        recent.take(6, OPENED[2])
        return await since, await new

    since, new = with_port(follow, recent)
    assert since == [(3, "bbbb-1"), (6, "cccc-1")]
    assert new == [(6, "cccc-1")]


def test_who_read_an_overview_without_alerts_misses_none_of_those_that_come_next() -> None:
    last = json.loads(request("/alerts", alerts=RecentAlerts()).body)["last_event"]
    came = with_port(lambda port: read_events(port, 2, {"Last-Event-ID": str(last)}), kept(OPENED))
    assert came == [(0, "aaaa-1"), (3, "bbbb-1")]


def test_a_stream_ends_where_the_topic_was_made_anew() -> None:
    recent = kept(OPENED)

    async def follow(port: int) -> bytes:
        url = f"http://127.0.0.1:{port}/events"
        async with aiohttp.ClientSession() as session, session.get(url) as reply:
            recent.begin_anew()
            recent.take(0, OPENED[0])
            return await asyncio.wait_for(reply.content.read(), 5)

    assert with_port(follow, recent) == b""


@pytest.mark.parametrize("given", ["x", "-2", "9" * 30, "٣"])
def test_an_id_that_no_event_has_is_refused(given: str) -> None:
    assert request(f"/events?after={given}", alerts=RecentAlerts()).status == 400
    assert request("/events").status == 503


def test_head_has_the_head_of_events_and_ends() -> None:
    head = request("/events", method="HEAD", alerts=RecentAlerts())
    assert (head.status, head.body) == (200, "")
    assert head.headers["Content-Type"].startswith("text/event-stream")


def test_streams_are_few_and_end_with_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.http.alert_events.STREAMS_MAX", 1)

    async def follow(port: int) -> tuple[int, aiohttp.ClientResponse, aiohttp.ClientSession]:
        session = aiohttp.ClientSession()
        url = f"http://127.0.0.1:{port}/events"
        stream = await session.get(url)
        async with session.get(url) as second:
            return second.status, stream, session

    async def run() -> int:
        async with serve(View(RecentAlerts()), HttpSettings(port=0)) as port:
            status, stream, session = await follow(port)
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(stream.content.read(), 5)
        await session.close()
        return status

    assert asyncio.run(run()) == 503
