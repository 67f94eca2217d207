"""The configuration of the try-out Kafka: its listeners, its server.properties, its users.

One node that is broker and controller in one (KRaft), everything on loopback. The settings are
those of Kafka's documentation for a single node; what differs has its reason beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

USER = "brinkwatch"
PASSWORD = "let-me-in"  # the try-out broker's only user, on loopback: no secret
SCRAM_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")

_LOGIN = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Listener:
    """A port of the broker.

    name: what callers ask for it by; protocol: Kafka's security protocol; host: under which it is
    advertised; settings: its own server settings, without the `listener.name.X.` in front.
    """

    name: str
    protocol: str
    host: str = "127.0.0.1"
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The name inside Kafka's configuration."""
        return self.name.upper()


PLAIN = Listener("plain", "PLAINTEXT")


def _sasl(name: str, mechanisms: tuple[str, ...], *settings: tuple[str, str]) -> Listener:
    enabled = ("sasl.enabled.mechanisms", ",".join(mechanisms))
    return Listener(name, "SASL_SSL", "localhost", (enabled, *settings))


# The certificate names `localhost` and not 127.0.0.1, so that a mismatch of names can be had too.
SECURE = (
    Listener("tls", "SSL", "localhost"),
    Listener("mtls", "SSL", "localhost", (("ssl.client.auth", "required"),)),
    _sasl(
        "scram",
        SCRAM_MECHANISMS,
        *(
            (f"{m.lower()}.sasl.jaas.config", f"{_LOGIN}.scram.ScramLoginModule required;")
            for m in SCRAM_MECHANISMS
        ),
    ),
    _sasl(
        "plain_sasl",
        ("PLAIN",),
        (
            "plain.sasl.jaas.config",
            f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
        ),
    ),
    _sasl(
        "oauth",
        ("OAUTHBEARER",),
        (
            "oauthbearer.sasl.jaas.config",
            f"{_LOGIN}.oauthbearer.OAuthBearerLoginModule required "
            'unsecuredLoginStringClaim_sub="broker";',
        ),
        # Takes tokens without a signature: no identity server is here to ask for its keys.
        (
            "oauthbearer.sasl.server.callback.handler.class",
            f"{_LOGIN}.oauthbearer.internals.unsecured"
            ".OAuthBearerUnsecuredValidatorCallbackHandler",
        ),
    ),
)


def server_properties(
    listeners: Mapping[Listener, int],
    controller_port: int,
    data: Path,
    advertise: Mapping[str, str],
    stores: tuple[Path, Path] | None,
    settings: Mapping[str, str],
) -> str:
    """The text of server.properties.

    listeners: each with its port; data: where the log segments go; advertise: by listener's name
    the address that clients get, where it is not the listener's own (a proxy in front); stores: PEM
    files, the server's key with its certificate, and the authority that clients' certificates must
    come from; settings: anything more, over everything else.
    """
    bound = [f"{listener.label}://127.0.0.1:{port}" for listener, port in listeners.items()]
    advertised = [
        f"{listener.label}://{advertise.get(listener.name, f'{listener.host}:{port}')}"
        for listener, port in listeners.items()
    ]
    controller = f"CONTROLLER://127.0.0.1:{controller_port}"
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([*bound, controller]),
        "advertised.listeners": ",".join([*advertised, controller]),
        "listener.security.protocol.map": ",".join(
            ["CONTROLLER:PLAINTEXT", *(f"{each.label}:{each.protocol}" for each in listeners)]
        ),
        # The broker writes transaction markers to itself over this one: never through a proxy.
        "inter.broker.listener.name": PLAIN.label,
        "log.dirs": str(data),
        "group.initial.rebalance.delay.ms": "0",
        # One node holds every replica; 4 partitions (of 50) so that it is ready sooner.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }
    for listener in listeners:
        prefix = f"listener.name.{listener.name}."
        properties.update({prefix + key: value for key, value in listener.settings})
    if stores is not None:
        key_store, trust_store = stores
        properties.update(
            {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(key_store),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(trust_store),
            }
        )
    properties.update(settings)
    return "".join(f"{key}={value}\n" for key, value in properties.items())
