"""A question put to what answers like a sidecar, and to what does not."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from monitor.broker import certificates
from monitor.config import HttpSettings
from monitor.console import Console
from monitor.desk.questions import AccountQuestion
from monitor.desk.sidecar_client import ask_sidecar
from monitor.errors import BrinkwatchError, ConfigError

ANSWER = {"at": 1, "display": ["a sentence", ["title", ["x"], [["1"], [2]]], {"odd": 1}, ["odd"]]}


class Replies(BaseHTTPRequestHandler):
    """Answers as `reply` says, and keeps what it was asked."""

    reply: tuple[int, bytes] = 200, b""
    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        status, body = self.reply
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def replying(status: int, body: bytes, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    Replies.reply, Replies.asked = (status, body), []
    server = HTTPServer(("127.0.0.1", 0), Replies)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # The certificate is for this name.
    yield f"{'http' if tls is None else 'https'}://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def ask(url: str, http: HttpSettings | None = None, ca_file: Path | None = None) -> dict[str, Any]:
    question = AccountQuestion("a b")
    return ask_sidecar(url, question, http or HttpSettings(), ca_file, Console(True))


def test_the_token_goes_along_and_the_tables_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with replying(200, json.dumps(ANSWER).encode()) as url:
        assert ask(url, HttpSettings(token="t")) == {"at": 1}  # type: ignore[arg-type]
        assert Replies.asked == [("/account?account=a+b&display=true", "Bearer t")]
    assert capsys.readouterr().err == "a sentence\ntitle\n  x\n  1\n  2\n"


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [(404, b"no account", ConfigError, "no account"), (400, b"give one", ConfigError, "give one"),
     (401, b"a bearer token is needed", ConfigError, "--token-file"),
     (503, b"ask again", BrinkwatchError, "ask again"), (302, b"", BrinkwatchError, "Found"),
     (200, b"<html>", BrinkwatchError, "did not answer as a sidecar"),
     (200, b"[1]", BrinkwatchError, "did not answer as a sidecar")],
)  # fmt: skip
def test_what_is_no_answer_is_one_sentence(
    status: int, body: bytes, error: type[BrinkwatchError], says: str
) -> None:
    with replying(status, body) as url, pytest.raises(BrinkwatchError, match=says) as failed:
        ask(url, HttpSettings(token="secret"))  # type: ignore[arg-type]
    assert type(failed.value) is error
    assert "secret" not in str(failed.value)
    assert len(Replies.asked) == 1


def test_a_certificate_is_checked_against_its_authority(tmp_path: Path) -> None:
    files = certificates.make_certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.server)
    with replying(200, b"{}", tls) as url:
        assert ask(url, ca_file=files.ca) == {}
        with pytest.raises(BrinkwatchError, match="cannot be reached"):
            ask(url)
