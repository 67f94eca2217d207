"""How a post ends: taken, tried again, or given up; and that no message has the address in it."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.broker.certificates import make_certificates
from monitor.delivery.receivers.base import DeliveryError, RejectedError
from tests.delivery.receivers.notices import notice, send, settings
from tests.delivery.servers import OK, Answer, ReceiverServer, receiver_server


@pytest.fixture
def server() -> Iterator[ReceiverServer]:
    with receiver_server() as one:
        yield one


def test_a_redirect_is_not_followed(server: ReceiverServer) -> None:
    with receiver_server() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            server.answers = [(status, {"Location": elsewhere.url})]
            with pytest.raises(DeliveryError, match=f"{status}, a redirect, which is not"):
                send(settings(kind="slack", url=server.url), notice())
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        ((500, {}), None),
        ((429, {"Retry-After": "7"}), 7.0),
        ((503, {"Retry-After": "86400"}), 300.0),
        ((429, {"Retry-After": "soon"}), None),
        ((429, {"Retry-After": "9" * 400}), None),
        ((401, {}), None),
        ((404, {}), None),
    ],
)
def test_what_may_be_mended_is_tried_again(
    server: ReceiverServer, answer: Answer, wait_s: float | None
) -> None:
    server.answers = [answer]
    with pytest.raises(DeliveryError) as error:
        send(settings(kind="slack", url=server.url), notice())
    assert not isinstance(error.value, RejectedError)
    assert error.value.retry_after_s == wait_s
    assert "/in" not in str(error.value)


def test_a_date_to_wait_for_is_understood(server: ReceiverServer) -> None:
    server.answers = [(429, {"Retry-After": email.utils.formatdate(time.time() + 60, usegmt=True)})]
    with pytest.raises(DeliveryError) as error:
        send(settings(kind="slack", url=server.url), notice())
    assert error.value.retry_after_s == pytest.approx(60, abs=5)


def test_a_body_that_is_not_accepted_is_given_up(server: ReceiverServer) -> None:
    server.answers = [(400, {}), OK]
    with pytest.raises(RejectedError, match="it answered 400"):
        send(settings(kind="slack", url=server.url), notice())


def test_a_receiver_that_hangs_or_is_away_has_failed_in_time(server: ReceiverServer) -> None:
    server.otherwise = None
    with pytest.raises(DeliveryError, match="did not answer in time"):
        send(settings(kind="slack", url=server.url, timeout_s=0.2), notice())
    with receiver_server() as gone:
        url = gone.url
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1 cannot be reached"):
        send(settings(kind="slack", url=url), notice())


def test_only_a_certificate_that_is_trusted_is_sent_to(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "certs", "localhost")
    with receiver_server(files.server) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(DeliveryError, match="is not trusted: set ca_file"):
            send(settings(kind="slack", url=url), notice())
        assert server.requests == []
        send(settings(kind="slack", url=url, ca_file=files.ca), notice())
        assert len(server.taken) == 1
        with pytest.raises(DeliveryError, match="is not trusted"):  # of another name
            send(settings(kind="slack", url=server.url, ca_file=files.ca), notice())
