"""Kafka's security settings: what does not fit is refused with words, and secrets never show."""

import asyncio
import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from monitor.broker import certificates
from monitor.security import KafkaSecurity, SecurityError

SECRET = "s3cret:Value/9"
LOGIN = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "username": "u"}
OAUTH = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}


def options(**settings: Any) -> dict[str, Any]:
    return KafkaSecurity(**settings).client_options()


def test_plain_text_is_the_default() -> None:
    assert options() == {"security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ca_file": "ca.pem"}, "ca_file is for TLS, but security_protocol is PLAINTEXT"),
        ({"security_protocol": "SSL", "key_file": "k"}, "a client key needs its certificate"),
        (
            {"security_protocol": "SSL", "ca_file": "c", "key_password": "x"},
            "a client key needs its certificate",
        ),
        ({"security_protocol": "SSL", "username": "u"}, "username is for SASL"),
        ({"security_protocol": "SASL_SSL"}, "SASL needs sasl_mechanism"),
        (LOGIN, "PLAIN needs username, and password or password_file"),
        ({**LOGIN, "password": ""}, "PLAIN needs username, and password or password_file"),
        ({**LOGIN, "password": SECRET, "password_file": "p"}, "not both"),
        ({**LOGIN, "password": SECRET, "token_file": "t"}, "token_file is for OAUTHBEARER"),
        (OAUTH, "OAUTHBEARER needs token_file or token_endpoint"),
        ({**OAUTH, "token_endpoint": "https://id.example/t"}, "token_endpoint needs username"),
        (
            {
                **OAUTH,
                "token_endpoint": "http://id.example/t",
                "username": "u",
                "password": SECRET,
            },
            "token_endpoint must be an https address",
        ),
        ({"security_protocol": "TLS"}, "'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ({**LOGIN, "passwrd": SECRET}, "passwrd"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_with_words_and_without_secrets(
    settings: dict[str, str], words: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        KafkaSecurity.model_validate(settings)
    assert words in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_secret_shows_in_no_repr_and_no_dump() -> None:
    settings = KafkaSecurity.model_validate({**LOGIN, "password": SECRET})
    assert settings.client_options()["sasl_plain_password"] == SECRET
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown


def test_a_password_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f" {SECRET} \r\n")
    assert options(**LOGIN, password_file=file)["sasl_plain_password"] == f" {SECRET} "


def test_a_password_file_that_is_missing_or_empty_has_its_sentence(tmp_path: Path) -> None:
    file = tmp_path / "password"
    with pytest.raises(SecurityError, match=r"^password_file .*/password cannot be read: No such"):
        options(**LOGIN, password_file=file)
    file.write_text("\n")
    with pytest.raises(SecurityError, match=r"^password_file .*/password is empty$"):
        options(**LOGIN, password_file=file)


@pytest.fixture
def files(tmp_path: Path) -> certificates.Certificates:
    return certificates.make_certificates(tmp_path / "tls")


def lock(key_file: Path, password: str) -> Path:
    """The same key under a password."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    locked = key_file.with_name("locked.pem")
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
    )
    return locked


def test_a_key_under_a_password_opens_with_it_alone(
    files: certificates.Certificates,
) -> None:
    given = {
        "security_protocol": "SSL",
        "cert_file": files.client_cert,
        "key_file": lock(files.client_key, SECRET),
    }
    assert "ssl_context" in options(**given, key_password=SECRET)
    with pytest.raises(SecurityError, match=r"is no PEM key that key_password opens$"):
        options(**given, key_password="other")
    with pytest.raises(SecurityError, match=r"is under a password: give key_password_file$"):
        options(**given)


def test_files_that_do_not_hold_what_they_should_have_their_sentence(
    files: certificates.Certificates, tmp_path: Path
) -> None:
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("rubbish")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    tls = {"security_protocol": "SSL"}
    certificate = files.client_cert
    with pytest.raises(SecurityError, match=r"^ca_file .*rubbish holds no PEM certificate$"):
        options(**tls, ca_file=rubbish)
    with pytest.raises(SecurityError, match=r"^ca_file .*binary is not text$"):
        options(**tls, ca_file=binary)
    with pytest.raises(SecurityError, match=r"^cert_file .*none cannot be read: No such"):
        options(**tls, cert_file=tmp_path / "none")
    with pytest.raises(SecurityError, match=r"^the key in .*rubbish is no PEM key, or is under"):
        options(**tls, cert_file=certificate, key_file=rubbish)
    other = certificates.make_certificates(tmp_path / "other").client_key
    with pytest.raises(SecurityError, match=r"is not the key of the certificate in .*client\.pem$"):
        options(**tls, cert_file=certificate, key_file=other)


def test_the_authority_is_checked_and_the_name_too(files: certificates.Certificates) -> None:
    context = options(security_protocol="SSL", ca_file=files.ca)["ssl_context"]
    assert context.check_hostname
    assert [dict(each["subject"][0]) for each in context.get_ca_certs()] == [
        {"commonName": "brinkwatch try-out authority"}
    ]


class IdentityServer(HTTPServer):
    """Gives out tokens by the client-credentials grant; `asked` is what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.status, self.answer = 200, b""
        self.url = f"http://127.0.0.1:{self.server_port}/token"


class _Handler(BaseHTTPRequestHandler):
    server: IdentityServer

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append((self.headers["Authorization"], form))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *words: Any) -> None:
        """Not to the terminal."""


@pytest.fixture
def identity() -> Iterator[IdentityServer]:
    with IdentityServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def provider(identity: IdentityServer, **more: str) -> Any:
    login = {"token_endpoint": identity.url, "username": "the client", "password": SECRET}
    tls = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER"}
    return options(**tls, **login, **more)["sasl_oauth_token_provider"]


def test_a_token_is_asked_for_once_in_its_life(identity: IdentityServer) -> None:
    async def twice(**more: str) -> list[str]:
        asks = provider(identity, **more)
        return list(await asyncio.gather(asks.token(), asks.token()))

    identity.answer = json.dumps({"access_token": "t1", "expires_in": 600}).encode()
    assert asyncio.run(twice(token_scope="kafka")) == ["t1", "t1"]
    [(authorization, form)] = identity.asked
    assert form == {"grant_type": ["client_credentials"], "scope": ["kafka"]}
    assert b64decode(authorization.removeprefix("Basic ")) == b"the%20client:s3cret%3AValue%2F9"

    identity.answer = json.dumps({"access_token": "t2"}).encode()
    assert asyncio.run(twice()) == ["t2", "t2"]
    assert len(identity.asked) == 3  # no life was error: each connection asks


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (401, b"", "answered 401"),
        (302, b"", "answered 302"),
        (200, b"<html>", "did not answer with a token"),
        (200, b"[]", "did not answer with a token"),
        (200, b'{"error": "no"}', "did not answer with a token"),
    ],
)
def test_an_identity_server_that_gives_no_token_has_a_sentence_without_the_secret(
    identity: IdentityServer, status: int, answer: bytes, words: str
) -> None:
    identity.status, identity.answer = status, answer
    with pytest.raises(SecurityError) as error:
        asyncio.run(provider(identity).token())
    assert str(error.value) == f"token_endpoint {identity.url} {words}"


def test_a_token_file_is_read_anew_for_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = options(**OAUTH, token_file=file)["sasl_oauth_token_provider"]
    for content in ("first", "second"):
        file.write_text(f"{content}\n")
        assert asyncio.run(tokens.token()) == content
    file.write_text("")
    with pytest.raises(SecurityError, match=r"^token_file .*/token is empty$"):
        asyncio.run(tokens.token())
