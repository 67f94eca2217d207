"""Free ports on loopback."""

import random
import socket

from monitor.errors import BrokerError

# Below the range from which the system gives out ports for outgoing connections (32768 on
# Linux), so that none takes one of ours between choosing and binding, or while Kafka is down.
PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, chosen at random so that two brokers do not race for one."""
    ports: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if not is_free(port):
            continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise BrokerError(f"no {count} free ports between {PORTS.start} and {PORTS.stop}")


def is_free(port: int) -> bool:
    """Whether nobody listens on it."""
    with socket.socket() as probe:
        # As Kafka binds: connections of a broker that was here before do not count, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Whether a connection is accepted: Kafka opens a port only when it is ready to answer."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
