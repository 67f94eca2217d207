"""`make stack`: Kafka, Alertmanager, Prometheus, the sidecar and a simulated venue as processes.

For machines without Docker. Everything listens on loopback and ends with this process. Prometheus
and Alertmanager are the machine's: `apt-get install prometheus prometheus-alertmanager` on Debian.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from monitor.broker.child_processes import end_child, start_child
from monitor.broker.kafka_server import Broker
from monitor.commands.arguments import parse_speed
from monitor.commands.bus.topics import create_topics
from monitor.config import load
from monitor.console import Console, print_error
from monitor.errors import BrinkwatchError, ConfigError

DEPLOY = Path(__file__).parent
PROGRAMS = {
    "Prometheus": ("prometheus",),
    "Alertmanager": ("alertmanager", "prometheus-alertmanager"),
}
"""The names that a program goes by; the second is Debian's."""
USUAL_PORTS = {"Alertmanager": 9093, "Prometheus": 9090, "the sidecar": 9464}
START_S_MAX = 300.0
"""Each has so long to be ready; the first start of the sidecar compiles for one to two minutes."""
STOP_S_MAX = 15.0
POLL_S = 1.0
PREFIX = "BRINKWATCH_"
"""Variables of the environment that begin so would change the configuration that is written."""


class Service(NamedTuple):
    """A process that runs; `name` as people are to read it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise where it has ended."""
        status = self.process.poll()
        if status is not None:
            raise BrinkwatchError(f"{self.name} ended (status {status}): its log is {self.log}")


class Places(NamedTuple):
    """Where things are: addresses as host:port, and the folder of all files."""

    out: Path
    kafka: str
    alertmanager: str
    prometheus: str
    sidecar: str

    @property
    def config(self) -> Path:
        """The sidecar's configuration; the commands of the command line take it too."""
        return self.out / "brinkwatch.toml"


def run_stack(
    out: Path, minutes: int, speed: str, receivers: Path | None, console: Console
) -> None:
    """Start everything, publish a day, and show what reaches Alertmanager; until an interrupt.

    out: the folder of logs, configurations and data. minutes, speed: of the simulated day, as
    `brinkwatch demo` takes them. receivers: a file of `[[receivers]]`, beside Alertmanager. Raises
    `BrinkwatchError` where a program is missing or one ends.
    """
    from replay import demo  # heavy: a wrong option is answered before

    parse_speed(speed)  # before anything is started
    more = "" if receivers is None else _read_receivers(receivers)
    programs = {name: find_program(name) for name in PROGRAMS}
    out.mkdir(parents=True, exist_ok=True)
    day = demo.make_day(out, console, minutes)
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(brief=True, say=console.say))
        ports = {name: f"127.0.0.1:{choose_port(port)}" for name, port in USUAL_PORTS.items()}
        places = Places(out.resolve(), broker.bootstrap, *ports.values())
        write_settings(places, more)
        create_topics(load(places.config), 1, console)
        services = []
        for name, command in _commands(programs, places).items():
            console.say(f"starting {name}")
            services.append(stack.enter_context(_running(name, command, places.out)))
        for service, address in zip(services, _readiness(places), strict=True):
            _wait_until_ready(service, address)
        _print_places(places, console)
        command = [*_brinkwatch("publish", places), str(day), "--speed", speed]
        publisher = stack.enter_context(_running("the simulated venue", command, places.out))
        _watch(services, publisher, broker, places, console)


def _read_receivers(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read ({error}): give a file of [[receivers]]"
        ) from None


def find_program(name: str) -> str:
    """The path of a program. Raises `ConfigError` where the machine has none."""
    for file in PROGRAMS[name]:
        if path := shutil.which(file):
            return path
    packages = "apt-get install prometheus prometheus-alertmanager"
    raise ConfigError(f"{name} is not on this machine: {packages}, or put it on the PATH")


def choose_port(usual: int) -> int:
    """The usual port, or a free one where somebody has it."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            number: int = probe.getsockname()[1]
            return number
    raise BrinkwatchError("there is no free port on loopback: stop something that listens")


def write_settings(places: Places, receivers: str = "") -> None:
    """Write what each program reads: `deploy`'s own files with the addresses of here.

    receivers: TOML that is added to the sidecar's configuration.
    """
    for folder in ("prometheus", "alertmanager"):
        shutil.rmtree(places.out / folder, ignore_errors=True)  # with the data of a run before
        shutil.copytree(DEPLOY / folder, places.out / folder)
    settings = places.out / "prometheus" / "prometheus.yml"
    text = settings.read_text()
    for name, address in (
        ("brinkwatch:9464", places.sidecar),
        ("alertmanager:9093", places.alertmanager),
    ):
        text = text.replace(f'"{name}"', f'"{address}"')
    settings.write_text(text)
    places.config.write_text(
        f'[kafka]\nbootstrap_servers = "{places.kafka}"\n\n'
        f"[http]\nport = {places.sidecar.rpartition(':')[2]}\n\n"
        f"[state]\ndir = {json.dumps(str(places.out / 'state'))}\n\n"
        '[[receivers]]\nname = "alertmanager"\nkind = "alertmanager"\n'
        f'url = "http://{places.alertmanager}"\n\n{receivers}'
    )


def _commands(programs: Mapping[str, str], places: Places) -> dict[str, list[str]]:
    """The command of each process, in the order of their start."""
    alertmanager, prometheus = places.out / "alertmanager", places.out / "prometheus"
    return {
        "Alertmanager": [
            programs["Alertmanager"],
            f"--config.file={alertmanager / 'alertmanager.yml'}",
            f"--storage.path={alertmanager / 'data'}",
            f"--web.listen-address={places.alertmanager}",
            "--cluster.listen-address=",  # or it listens for others of its kind, on all addresses
        ],
        "Prometheus": [
            programs["Prometheus"],
            f"--config.file={prometheus / 'prometheus.yml'}",
            f"--storage.tsdb.path={prometheus / 'data'}",
            f"--web.listen-address={places.prometheus}",
            "--enable-feature=exemplar-storage",
        ],
        "the sidecar": _brinkwatch("run", places),
    }


def _brinkwatch(command: str, places: Places) -> list[str]:
    return [sys.executable, "-m", "monitor.cli", command, "--config", str(places.config)]


def _readiness(places: Places) -> list[str]:
    """The address that says whether each is ready, in the order of their start."""
    return [
        f"http://{places.alertmanager}/-/ready",
        f"http://{places.prometheus}/-/ready",
        f"http://{places.sidecar}/readyz",
    ]


@contextmanager
def _running(name: str, command: list[str], out: Path) -> Iterator[Service]:
    """Run a process until the context ends; its log is `out`/NAME.log."""
    log = out / f"{name.split()[-1].lower()}.log"
    log.write_bytes(b"")
    environment = {k: text for k, text in os.environ.items() if not k.startswith(PREFIX)}
    process = start_child(command, log, environment)
    try:
        yield Service(name, process, log)
    finally:
        end_child(process, STOP_S_MAX)


def _wait_until_ready(service: Service, address: str) -> None:
    deadline = time.monotonic() + START_S_MAX
    why: object = ""
    while time.monotonic() < deadline:
        service.check()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError as error:
            why = error
        time.sleep(0.2)
    raise BrinkwatchError(f"{service.name} is not ready ({why}): its log is {service.log}")


def _print_places(places: Places, console: Console) -> None:
    console.say(f"Alertmanager   http://{places.alertmanager}/#/alerts")
    console.say(f"Prometheus     http://{places.prometheus}/alerts")
    console.say(f"the sidecar    http://{places.sidecar}/metrics, /readyz, /state, /stress")
    console.say(f"Kafka          {places.kafka}")
    console.say(f"configuration  {places.config} (brinkwatch COMMAND --config takes it)")
    console.say(f"logs           {places.out}/*.log")


def _watch(
    services: list[Service], publisher: Service, broker: Broker, places: Places, console: Console
) -> NoReturn:
    """Show each alert that reaches Alertmanager; ends by an interrupt, or where one has ended."""
    started_s, shown, is_publishing = time.monotonic(), set(), True
    console.say("the simulated venue publishes; alerts as they reach Alertmanager; Ctrl-C ends all")
    while True:
        if broker.has_exited:
            raise BrinkwatchError(f"Kafka ended by itself: {broker.log_tail()}")
        for service in services:
            service.check()
        if is_publishing and (status := publisher.process.poll()) is not None:
            if status:
                publisher.check()
            is_publishing = False
            console.say(
                "the day is over, and soon the rules will say that its topics are silent; "
                "all else goes on until Ctrl-C"
            )
        for alert in _alerts(places):
            if alert["fingerprint"] not in shown:
                shown.add(alert["fingerprint"])
                labels = alert["labels"]
                console.say(
                    f"after {time.monotonic() - started_s:.0f} s: {labels.get('severity', '')} "
                    f"{labels['alertname']}: {alert['annotations'].get('summary', '')}"
                )
        time.sleep(POLL_S)


def _alerts(places: Places) -> list[dict[str, Any]]:
    """What Alertmanager has; nothing where it does not answer in time."""
    try:
        with urllib.request.urlopen(f"http://{places.alertmanager}/api/v2/alerts", timeout=5) as r:
            alerts: list[dict[str, Any]] = json.load(r)
            return alerts
    except (OSError, ValueError):
        return []


def main() -> int:
    """The exit status: 0 after an interrupt, 1 where something ended by itself, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m deploy.stack", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("stack-out"), help="logs, data, settings")
    parser.add_argument("--minutes", type=int, default=40, help="length of the simulated day")
    parser.add_argument("--speed", default="10", help="its seconds a second")
    parser.add_argument("--receivers", type=Path, help="TOML: more [[receivers]] for the sidecar")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    console = Console(False)
    try:
        run_stack(given.out, given.minutes, given.speed, given.receivers, console)
    except KeyboardInterrupt:
        console.say(f"everything is stopped; logs and data stay in {given.out}")
    except BrinkwatchError as error:
        print_error(str(error))
        return 2 if isinstance(error, ConfigError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
