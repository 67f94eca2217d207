"""A receiver of the tests' own: keeps what it gets, and answers as it is told to."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Answer = tuple[int, dict[str, str]]
OK: Answer = (200, {})


@dataclass
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    """As it was answered."""

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class ReceiverServer:
    """`answers`: those to the next requests; later ones get `otherwise`, None: no answer at all."""

    port: int
    scheme: str
    answers: list[Answer | None] = field(default_factory=list)
    otherwise: Answer | None = OK
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/in"

    @property
    def taken(self) -> list[Request]:
        """Requests that were answered with 200."""
        return [request for request in self.requests if request.status == 200]


@contextmanager
def receiver_server(pem: Path | None = None, port: int = 0) -> Iterator[ReceiverServer]:
    """A server on loopback; `pem`: its key and certificate, for TLS."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = kept.answers.pop(0) if kept.answers else kept.otherwise
            status, headers = answer or (0, {})
            kept.requests.append(Request(self.path, dict(self.headers), body, status))
            if answer is None:
                time.sleep(0.5)
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    kept = ReceiverServer(server.server_address[1], "http" if pem is None else "https")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
