"""The programs for Kafka Streams and Flink: their jars, pinned, and their sources, compiled when
they are needed. Java itself comes with the extra that brings a Kafka.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import jgo

from monitor.broker.jars import (
    download_lock,
    java_and_class_path,
    trust_system_certificates,
    verified_jar,
)
from monitor.errors import BrokerError

HERE = Path(__file__).parent
MAIN_CLASSES = {"kafka-streams": "StreamsCounts", "flink": "FlinkCounts"}
"""The main class by the name of the file of jars."""
SHARED = ("Event", "Counts", "Score", "Progress")
RELEASE = "21"
"""Of Java, for the compiler."""
HEAP = ["-Xmx2g", "-XX:+UseParallelGC"]
"""In one run each it took 8 % less processor time than G1 with Flink, and as much with
Kafka Streams."""
OPTIONS = {
    # Flink's serialisers look into the library's own classes.
    "flink": [
        f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("util", "lang", "time")
    ],
}


def class_path(name: str) -> str:
    """The jars of `jars/NAME.sha256`, fetched where they are not here.

    Raises `BrokerError` where one cannot be had.
    """
    trust_system_certificates()
    context = jgo.MavenContext(remote_repos={"central": jgo.MAVEN_CENTRAL_URL})
    paths = []
    with download_lock():
        for line in (HERE / "jars" / f"{name}.sha256").read_text().splitlines():
            digest, coordinates = line.split()
            group, artifact, version = coordinates.split(":")
            jar = context.project(group, artifact).at_version(version).artifact()
            try:
                paths.append(str(verified_jar(jar, {jar.filename: digest})))
            except BrokerError:
                raise
            except Exception as error:  # jgo lets through whatever its HTTP library raises
                raise BrokerError(
                    f"{coordinates} cannot be fetched from Maven Central: {error}. Is there a way "
                    "out to the network?"
                ) from error
    return ":".join(paths)


def java() -> str:
    """The program of the Java runtime."""
    return java_and_class_path(lambda line: None)[0]


def compile_program(name: str, folder: Path) -> list[str]:
    """Compile `kafka-streams` or `flink` into a folder; returns the command that runs it.

    Raises `BrokerError` where the sources do not compile or a jar cannot be had.
    """
    main = MAIN_CLASSES[name]
    path = class_path(name)
    sources = [str(HERE / "java" / f"{each}.java") for each in (*SHARED, main)]
    command = [java(), "-jar", class_path("ecj"), "-nowarn", "-source", RELEASE, "-target", RELEASE]
    done = subprocess.run(
        [*command, "-cp", path, "-d", str(folder), *sources], capture_output=True, text=True
    )
    if done.returncode:
        raise BrokerError(f"{main}.java does not compile: {done.stdout}{done.stderr}")
    options = [*HEAP, "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", *OPTIONS.get(name, [])]
    return [java(), *options, "-cp", f"{folder}:{path}", f"bench.{main}"]
