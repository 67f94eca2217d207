"""Webhooks are signed as Standard Webhooks say; the check here is written from that document."""

from __future__ import annotations

import base64
import hmac
import time
from dataclasses import replace

import pytest

from monitor.core.contract.alert import Carrier, parse_alert
from monitor.delivery.receivers.base import DeliveryError
from monitor.delivery.receivers.webhook import sign
from monitor.delivery.settings import webhook_key
from tests.core.alerts.findings import alert
from tests.delivery.receivers.notices import notice, send, settings
from tests.delivery.servers import Request, receiver_server

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def verify(secret: str, request: Request) -> None:
    """Fails unless the request is signed with the secret, now."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    stamp = headers["webhook-timestamp"]
    assert abs(time.time() - int(stamp)) < 300
    content = headers["webhook-id"].encode() + b"." + stamp.encode() + b"." + request.body
    key = base64.b64decode(secret.split("_")[1])
    expected = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    signatures = [each.split(",") for each in headers["webhook-signature"].split(" ")]
    assert ["v1", expected] in signatures


def test_the_example_of_the_specification() -> None:
    key = webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_alert_arrives_signed_and_whole_and_a_retry_has_the_same_id() -> None:
    one = notice(accounts=(Carrier("mm1", 0.5),))
    with receiver_server() as server:
        to = settings(kind="webhook", url=server.url, secret=SECRET)
        server.answers = [(500, {})]
        with pytest.raises(DeliveryError):
            send(to, one)
        send(to, one)
        first, again = server.requests
    for request in (first, again):
        verify(SECRET, request)
        assert request.headers["webhook-id"] == one.alert.id
    assert again.document["type"] == "alert.firing"
    assert parse_alert(again.body[again.body.index(b'"data":') + 7 : -1]) == one.alert
    with pytest.raises(AssertionError):
        verify(SECRET, replace(again, body=again.body + b" "))


def test_the_runbook_is_that_of_the_kind_and_the_dashboard_that_of_the_market() -> None:
    keys = {
        "runbook_url": "https://wiki.example.com/{kind}",
        "dashboard_url": "https://grafana.example.com/d/x?var-symbol={symbol}",
    }
    with receiver_server() as server:
        to = settings(kind="webhook", url=server.url, secret=SECRET, **keys)
        send(to, notice(symbols=("A/B&C", "D")), notice(symbols=()))
        first, of_no_market = (request.document for request in server.requests)
    assert first["runbook_url"] == f"https://wiki.example.com/{alert().kind}"
    assert first["dashboard_url"] == "https://grafana.example.com/d/x?var-symbol=A%2FB%26C"
    assert "dashboard_url" not in of_no_market
