"""Every secure listener lets the right client in, and every mistake has its own sentence.

On a real Kafka. The sentences are pinned whole: they are what a user reads.
"""

import asyncio
import base64
import json
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from monitor.broker import certificates
from monitor.broker.kafka_server import Broker
from monitor.broker.server_config import PASSWORD, USER
from monitor.kafka.diagnose import diagnose
from monitor.security import KafkaSecurity
from tests.live.proxy import Proxy

WRONG = "wrong-Secret-7"
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")


def token(life_s: int = 3600) -> str:
    """An unsigned bearer token (RFC 7519 with alg none), as the broker's validator takes them."""

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()

    now = int(time.time())
    return f"{part({'alg': 'none'})}.{part({'sub': USER, 'iat': now, 'exp': now + life_s})}."


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(token() + "\n")
    return file


@pytest.fixture
def foreign(tmp_path: Path) -> certificates.Certificates:
    """Certificates of another authority."""
    return certificates.make_certificates(tmp_path / "foreign")


def security(broker: Broker, listener: str, **changes: Any) -> KafkaSecurity:
    """Settings that are right for the listener, but for the changes (None: left out)."""
    files = broker.certificates
    login = {"username": USER, "password": PASSWORD}
    right: dict[str, dict[str, Any]] = {
        "plain": {},
        "tls": {},
        "mtls": {"cert_file": files.client_cert, "key_file": files.client_key},
        "scram": {"sasl_mechanism": "SCRAM-SHA-512", **login},
        "plain_sasl": {"sasl_mechanism": "PLAIN", **login},
        "oauth": {"sasl_mechanism": "OAUTHBEARER"},
    }
    settings = dict(right[listener])
    if listener != "plain":
        settings["ca_file"] = files.ca
        settings["security_protocol"] = "SASL_SSL" if "sasl_mechanism" in settings else "SSL"
    settings.update(changes)
    return KafkaSecurity(**{name: value for name, value in settings.items() if value is not None})


async def publish(address: str, settings: KafkaSecurity) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address, **settings.client_options())
    await producer.start()
    try:
        await producer.send_and_wait("security", b"x")
    finally:
        await producer.stop()


def said(address: str, settings: KafkaSecurity) -> str:
    """The sentence, once it is known that aiokafka itself cannot connect."""

    async def fail_and_ask() -> str:
        with pytest.raises(KafkaConnectionError):
            await publish(address, settings)
        return await diagnose(address, settings)

    return asyncio.run(fail_and_ask())


@pytest.mark.parametrize("listener", ["plain", "tls", "mtls", "scram", "plain_sasl", "oauth"])
def test_the_right_settings_publish_and_are_found_right(
    broker: Broker, listener: str, token_file: Path
) -> None:
    settings = security(broker, listener, token_file=token_file if listener == "oauth" else None)
    address = broker.listeners[listener]
    asyncio.run(publish(address, settings))
    assert asyncio.run(diagnose(address, settings)) == (
        f"{address} accepts these settings now: whatever the failure was, it has passed"
    )


def test_both_scram_mechanisms_log_in(broker: Broker) -> None:
    for mechanism in SCRAM:
        settings = security(broker, "scram", sasl_mechanism=mechanism)
        asyncio.run(publish(broker.listeners["scram"], settings))


def test_a_closed_port_has_its_sentence() -> None:
    assert said("127.0.0.1:1", KafkaSecurity()) == (
        "nobody listens at 127.0.0.1:1: is Kafka running there?"
    )


def test_a_name_that_does_not_resolve_has_its_sentence() -> None:
    sentence = asyncio.run(diagnose("kafka.invalid:9092", KafkaSecurity()))
    assert sentence.startswith("kafka.invalid:9092 cannot be reached: ")


def test_the_first_broker_that_answers_decides(broker: Broker) -> None:
    address = broker.listeners["tls"]
    sentence = asyncio.run(diagnose(f"127.0.0.1:1,{address}", KafkaSecurity()))
    assert sentence.startswith(f"{address} speaks TLS")


def test_plain_text_to_a_tls_port_has_its_sentence(broker: Broker) -> None:
    address = broker.listeners["tls"]
    assert said(address, security(broker, "plain")) == (
        f"{address} speaks TLS, and security_protocol is PLAINTEXT: set SSL, or SASL_SSL"
    )


def test_tls_to_a_plain_port_has_its_sentence(broker: Broker) -> None:
    address = broker.listeners["plain"]
    assert said(address, security(broker, "tls")) == (
        f"{address} speaks plain text without TLS, and security_protocol is SSL: "
        "set PLAINTEXT, or SASL_PLAINTEXT"
    )


def test_an_unknown_authority_has_its_sentence(
    broker: Broker, foreign: certificates.Certificates
) -> None:
    address = broker.listeners["tls"]
    begin = f"the certificate of {address} comes from an authority that is not in "
    assert said(address, security(broker, "tls", ca_file=foreign.ca)) == (
        f"{begin}{foreign.ca}: set ca_file"
    )
    assert said(address, security(broker, "tls", ca_file=None)) == (
        f"{begin}the system's authorities (no ca_file is set): set ca_file"
    )


def test_a_certificate_for_another_name_has_its_sentence(broker: Broker) -> None:
    address = broker.listeners["tls"].replace("localhost", "127.0.0.1")
    assert said(address, security(broker, "tls")) == (
        f"the certificate of {address} is for another name than 127.0.0.1: use a name that it "
        "holds in bootstrap_servers, or have the broker's certificate name this one"
    )


def test_a_missing_client_certificate_has_its_sentence(broker: Broker) -> None:
    address = broker.listeners["mtls"]
    assert said(address, security(broker, "tls")) == (
        f"{address} wants a client certificate: set cert_file and key_file"
    )


def test_a_foreign_client_certificate_has_its_sentence(
    broker: Broker, foreign: certificates.Certificates
) -> None:
    address = broker.listeners["mtls"]
    files = {"cert_file": foreign.client_cert, "key_file": foreign.client_key}
    assert said(address, security(broker, "mtls", **files)) == (
        f"{address} does not accept the client certificate in {foreign.client_cert} "
        "(certificate unknown): is it from an authority that the broker trusts, and not expired?"
    )


@pytest.mark.parametrize(
    ("listener", "mechanism"), [("plain_sasl", "PLAIN"), *(("scram", each) for each in SCRAM)]
)
@pytest.mark.parametrize("change", [{"password": WRONG}, {"username": "nobody"}])
def test_a_wrong_login_has_its_sentence(
    broker: Broker, listener: str, mechanism: str, change: dict[str, str]
) -> None:
    address = broker.listeners[listener]
    settings = security(broker, listener, sasl_mechanism=mechanism, **change)
    assert said(address, settings) == (
        f"{address} refuses the login of {change.get('username', USER)} by {mechanism}: "
        "the user name or the password is wrong"
    )


def test_a_mechanism_that_is_not_offered_has_a_sentence_with_those_that_are(broker: Broker) -> None:
    address = broker.listeners["scram"]
    assert said(address, security(broker, "scram", sasl_mechanism="PLAIN")) == (
        f"{address} does not offer the SASL mechanism PLAIN; "
        "it offers SCRAM-SHA-256 or SCRAM-SHA-512"
    )


def test_a_login_where_none_is_taken_has_its_sentence(broker: Broker) -> None:
    address = broker.listeners["tls"]
    assert said(address, security(broker, "scram")) == (
        f"{address} takes no SASL login, and security_protocol is SASL_SSL: set SSL"
    )


def test_no_login_where_one_is_wanted_has_its_sentence(broker: Broker) -> None:
    address = broker.listeners["plain_sasl"]
    assert said(address, security(broker, "tls")) == (
        f"{address} wants a SASL login, and security_protocol is SSL: "
        "set SASL_SSL and sasl_mechanism to PLAIN"
    )


@pytest.mark.parametrize("bad", [token(life_s=-60), "rubbish"])
def test_a_refused_token_has_its_sentence(broker: Broker, tmp_path: Path, bad: str) -> None:
    file = tmp_path / "token"
    file.write_text(bad)
    address = broker.listeners["oauth"]
    settings = security(broker, "oauth", token_file=file)
    assert asyncio.run(diagnose(address, settings)) == (
        f"{address} does not accept the OAUTHBEARER token (invalid_token): "
        "is it expired, or for another audience?"
    )


def test_a_broker_that_advertises_what_cannot_be_reached_has_its_sentence(broker: Broker) -> None:
    with (
        Proxy(broker.listeners["plain"]) as proxy,
        Broker(brief=True, advertise={"lost": "127.0.0.1:1"}) as other,
    ):
        proxy.target = other.listeners["lost"]
        assert asyncio.run(diagnose(proxy.address, KafkaSecurity())) == (
            f"{proxy.address} sends its clients on to 127.0.0.1:1 (its advertised.listeners), "
            "and nobody listens at 127.0.0.1:1: is Kafka running there?"
        )


def test_a_port_that_is_silent_has_its_sentence_in_bounded_time(broker: Broker) -> None:
    with Proxy(broker.bootstrap) as proxy:
        proxy.blackhole = True
        begin = time.monotonic()
        sentence = asyncio.run(diagnose(proxy.address, KafkaSecurity(), timeout_s=0.5))
        assert time.monotonic() - begin < 5
        assert sentence == (
            f"{proxy.address} takes connections but does not answer as Kafka does: "
            "is it a Kafka broker's port?"
        )


def test_tls_1_2_without_a_client_certificate_has_the_same_sentence(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = ssl.create_default_context

    def old(**arguments: Any) -> ssl.SSLContext:
        context = create(**arguments)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    monkeypatch.setattr(ssl, "create_default_context", old)
    address = broker.listeners["mtls"]
    assert asyncio.run(diagnose(address, security(broker, "tls"))) == (
        f"{address} wants a client certificate: set cert_file and key_file"
    )
