"""Why a connection to Kafka fails, in one sentence.

aiokafka says `Unable to bootstrap` for a closed port, a foreign certificate and a wrong password
alike. Here the connection is made again step by step (TCP, TLS, Kafka's greeting, SASL, the
addresses that the broker advertises), and the first step that fails decides the sentence. What a
broker answers to each mistake was observed on Apache Kafka 4.3.
"""

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import IllegalSaslStateError, KafkaError, SaslAuthenticationFailed
from aiokafka.protocol.admin import SaslAuthenticateRequest, SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from monitor.security import KafkaSecurity, SecurityError

TIMEOUT_S = 5.0

# OpenSSL's X509_V_ERR_*: depth-zero self-signed, self-signed in chain, no local issuer, no leaf
# signature; and host name, address mismatch.
UNKNOWN_CA = (18, 19, 20, 21)
NAME_MISMATCH = (62, 64)
EXPIRED = 10


class _Fault(Exception):
    """Carries the sentence for the step that failed."""


async def diagnose(bootstrap: str, security: KafkaSecurity, timeout_s: float = TIMEOUT_S) -> str:
    """One sentence on why clients with these settings cannot use these brokers, or that they can.

    bootstrap: host:port, several with commas; the first that answers decides. timeout_s: for each
    step. The sentence names addresses, files and the user, and never a secret.
    """
    try:
        options = security.client_options()
    except SecurityError as error:
        return str(error)
    try:
        brokers = collect_hosts(bootstrap, randomize=False)
    except ValueError:
        return f"bootstrap_servers is not host:port, or several with commas: {bootstrap}"
    unreachable = ""
    for host, port, _ in brokers:
        try:
            await _reach(host, port, timeout_s)
        except _Fault as fault:
            unreachable = unreachable or str(fault)
            continue
        try:
            await _Probe(host, port, security, options, timeout_s).run()
        except _Fault as fault:
            return str(fault)
        return f"{host}:{port} accepts these settings now: whatever the failure was, it has passed"
    return unreachable


async def _reach(host: str, port: int, timeout_s: float) -> None:
    """TCP alone."""
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        raise _Fault(f"{host}:{port} does not answer within {timeout_s:g} s: a firewall?") from None
    except ConnectionRefusedError:
        raise _Fault(f"nobody listens at {host}:{port}: is Kafka running there?") from None
    except OSError as error:
        raise _Fault(f"{host}:{port} cannot be reached: {error.strerror or error}") from None
    writer.transport.abort()


@dataclass
class _Probe:
    """One broker, probed step by step."""

    host: str
    port: int
    security: KafkaSecurity
    options: dict[str, Any]
    """The client options made from `security`."""
    timeout_s: float

    def __post_init__(self) -> None:
        self.address = f"{self.host}:{self.port}"
        self.tls: ssl.SSLContext | None = self.options.get("ssl_context")

    async def run(self) -> None:
        """Raise _Fault for the first step that fails."""
        connection = await self._greet()
        try:
            mechanism = self.security.sasl_mechanism
            if mechanism is not None:
                await self._check_mechanism(connection, mechanism)
                if mechanism == "OAUTHBEARER":
                    await self._check_token(connection)
                else:
                    connection.close()
                    connection = await self._log_in(mechanism)
            brokers = await self._brokers(connection)
        finally:
            connection.close()
        for host, port in brokers:
            try:
                await _reach(host, port, self.timeout_s)
            except _Fault as fault:
                raise _Fault(
                    f"{self.address} sends its clients on to {host}:{port} "
                    f"(its advertised.listeners), and {fault}"
                ) from None

    async def _greet(self, **options: Any) -> AIOKafkaConnection:
        """Connect as far as Kafka's greeting (ApiVersions), or with SASL where options say so."""
        base = {"security_protocol": "SSL" if self.tls else "PLAINTEXT", "ssl_context": self.tls}
        try:
            timeout_ms = int(self.timeout_s * 1000)
            options = (options or base) | {"request_timeout_ms": timeout_ms}
            return await create_conn(self.host, self.port, **options)
        except (OSError, KafkaError, EOFError) as error:
            if isinstance(error, SaslAuthenticationFailed):
                raise
            raise _Fault(await self._why(error)) from None

    async def _why(self, error: BaseException) -> str:
        """The sentence for a connection that ended before Kafka's greeting."""
        ended = error if isinstance(error, OSError) else error.__cause__
        if isinstance(ended, ssl.SSLCertVerificationError):
            return self._why_unverified(ended)
        if self.tls is None and await self._answers_tls():
            return self._protocol_fault("speaks TLS", "SSL, or SASL_SSL")
        # An alert means that TLS was spoken; whatever else ended it, a plain port would have too.
        alert = (ended.reason or "") if isinstance(ended, ssl.SSLError) else ""
        if "ALERT" in alert:
            return self._why_alert(alert)
        if self.tls is not None and await self._answers_plain():
            spoken = "speaks plain text without TLS"
            return self._protocol_fault(spoken, "PLAINTEXT, or SASL_PLAINTEXT")
        return (
            f"{self.address} takes connections but does not answer as Kafka does: "
            "is it a Kafka broker's port?"
        )

    def _protocol_fault(self, fact: str, mend: str) -> str:
        protocol = self.security.security_protocol
        return f"{self.address} {fact}, and security_protocol is {protocol}: set {mend}"

    def _why_unverified(self, error: ssl.SSLCertVerificationError) -> str:
        where = f"the certificate of {self.address}"
        if error.verify_code in NAME_MISMATCH:
            return (
                f"{where} is for another name than {self.host}: use a name that it holds in "
                "bootstrap_servers, or have the broker's certificate name this one"
            )
        if error.verify_code in UNKNOWN_CA:
            trusted = self.security.ca_file or "the system's authorities (no ca_file is set)"
            return f"{where} comes from an authority that is not in {trusted}: set ca_file"
        if error.verify_code == EXPIRED:
            return f"{where} has expired"
        return f"{where} is not valid: {error.verify_message}"

    def _why_alert(self, alert: str) -> str:
        """alert: OpenSSL's name for the TLS alert with which the broker ended the connection."""
        if self.security.cert_file is not None:
            return (
                f"{self.address} does not accept the client certificate in "
                f"{self.security.cert_file} ({_alert_text(alert)}): is it from an authority that "
                "the broker trusts, and not expired?"
            )
        if "CERTIFICATE_REQUIRED" in alert or "HANDSHAKE_FAILURE" in alert:
            # A handshake failure is what TLS 1.2 has for a certificate that is missing.
            return f"{self.address} wants a client certificate: set cert_file and key_file"
        return f"{self.address} refuses the TLS handshake ({_alert_text(alert)})"

    async def _answers_tls(self) -> bool:
        """Whether TLS is spoken, with any certificate: nothing is sent over it."""
        anyone = ssl.create_default_context()
        anyone.check_hostname = False
        anyone.verify_mode = ssl.CERT_NONE
        try:
            async with asyncio.timeout(self.timeout_s):
                _, writer = await asyncio.open_connection(self.host, self.port, ssl=anyone)
        except ssl.SSLError as error:
            return "ALERT" in (error.reason or "")
        except (OSError, EOFError):
            return False
        writer.transport.abort()
        return True

    async def _answers_plain(self) -> bool:
        """Whether Kafka greets in plain text: nothing secret is in a greeting."""
        timeout_ms = int(self.timeout_s * 1000)
        try:
            connection = await create_conn(self.host, self.port, request_timeout_ms=timeout_ms)
        except (OSError, KafkaError, EOFError):
            return False
        connection.close()
        return True

    async def _send(self, connection: AIOKafkaConnection, request: Any) -> Any:
        """The answer, or None where the broker closes the connection instead."""
        try:
            return await connection.send(request)
        except (OSError, KafkaError):
            return None

    async def _check_mechanism(self, connection: AIOKafkaConnection, mechanism: str) -> None:
        reply = await self._send(connection, SaslHandShakeRequest(mechanism))
        if reply is None:
            raise _Fault(f"{self.address} closed the connection when asked for {mechanism}")
        if reply.error_code == IllegalSaslStateError.errno:
            without = "SSL" if self.tls else "PLAINTEXT"
            raise _Fault(self._protocol_fault("takes no SASL login", without))
        if reply.error_code or mechanism not in reply.enabled_mechanisms:
            raise _Fault(
                f"{self.address} does not offer the SASL mechanism {mechanism}; "
                f"it offers {_list_mechanisms(reply.enabled_mechanisms)}"
            )

    async def _log_in(self, mechanism: str) -> AIOKafkaConnection:
        try:
            return await self._greet(**self.options)
        except SaslAuthenticationFailed:
            raise _Fault(
                f"{self.address} refuses the login of {self.security.username} by {mechanism}: "
                "the user name or the password is wrong"
            ) from None
        except ValueError:  # aiokafka on a server's proof that does not fit
            raise _Fault(
                f"{self.address} could not prove by {mechanism} that it knows the password of "
                f"{self.security.username}: is it the right broker?"
            ) from None

    async def _check_token(self, connection: AIOKafkaConnection) -> None:
        """To aiokafka a refusal is an answer like any other: a JSON text (RFC 7628, 3.2.2)."""
        try:
            token = await self.options["sasl_oauth_token_provider"].token()
        except SecurityError as error:
            raise _Fault(str(error)) from None
        greeting = f"n,,\x01auth=Bearer {token}\x01\x01".encode()
        reply = await self._send(connection, SaslAuthenticateRequest(greeting))
        if reply is not None and not reply.error_code and not reply.sasl_auth_bytes:
            return
        status = _status(reply.sasl_auth_bytes) if reply is not None else ""
        raise _Fault(
            f"{self.address} does not accept the OAUTHBEARER token{status}: "
            "is it expired, or for another audience?"
        )

    async def _brokers(self, connection: AIOKafkaConnection) -> list[tuple[str, int]]:
        """The addresses that the broker gives to its clients."""
        reply = await self._send(connection, MetadataRequest([]))
        if reply is not None:
            return [(broker[1], broker[2]) for broker in reply.brokers]
        if self.security.sasl_mechanism is None:
            again = await self._greet()
            asked = await self._send(again, SaslHandShakeRequest("PLAIN"))
            again.close()
            if asked is not None and asked.enabled_mechanisms:
                secure = "SASL_SSL" if self.tls else "SASL_PLAINTEXT"
                mend = (
                    f"{secure} and sasl_mechanism to {_list_mechanisms(asked.enabled_mechanisms)}"
                )
                raise _Fault(self._protocol_fault("wants a SASL login", mend))
        raise _Fault(f"{self.address} closed the connection when asked for its brokers")


def _alert_text(alert: str) -> str:
    """OpenSSL's SSLV3_ALERT_CERTIFICATE_UNKNOWN as `certificate unknown`."""
    return alert.partition("ALERT_")[2].replace("_", " ").lower()


def _list_mechanisms(mechanisms: list[str]) -> str:
    return " or ".join(sorted(mechanisms)) or "none"


def _status(reply: bytes | None) -> str:
    """The reason in a refusal, ` (invalid_token)`, nothing where there is none."""
    try:
        return f" ({json.loads(reply or b'')['status']})"
    except (ValueError, KeyError, TypeError):
        return ""
