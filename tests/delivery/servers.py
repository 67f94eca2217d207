"""A receiver of the tests' own: keeps what it gets, and answers as told; and an Alertmanager."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import skip_or_fail

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


class Alertmanager:
    """Debian's or Prometheus's own, on loopback, with its log and state in `folder`; a context
    manager. It may be stopped and started again, at the same address and with the same state."""

    def __init__(self, folder: Path, config: str) -> None:
        path = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if path is None:
            skip_or_fail("the program alertmanager (apt-get install prometheus-alertmanager)")
        folder.mkdir(exist_ok=True)
        file = folder / "alertmanager.yml"
        file.write_text(config)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self._log = folder / "log"
        self._command = [str(path), f"--config.file={file}", f"--storage.path={folder / 'state'}"]
        self._command += ["--cluster.listen-address=", f"--web.listen-address={self.address}"]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while not self._is_ready():
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """In order: it keeps its silences, and of what it has notified."""
        self._child.terminate()
        self._child.wait(10)

    def _is_ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as reply:
            return bool(reply.status == 200)
        return False

    def alerts(self) -> list[dict[str, Any]]:
        """What it lists: alerts that fire."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as reply:
            alerts: list[dict[str, Any]] = json.load(reply)
        return sorted(alerts, key=lambda one: one["labels"]["severity"])

    def silence(self, **labels: str) -> None:
        """Silence alerts with these labels, by its own means, for an hour."""
        now_s = time.time()
        matchers = [
            {"name": name, "value": value, "isRegex": False, "isEqual": True}
            for name, value in labels.items()
        ]
        document = {"matchers": matchers, "createdBy": "test", "comment": "test"}
        for name, at_s in (("startsAt", now_s), ("endsAt", now_s + 3600)):
            document[name] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
        request = urllib.request.Request(
            f"{self.url}/api/v2/silences",
            json.dumps(document).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as reply:
            assert reply.status == 200
