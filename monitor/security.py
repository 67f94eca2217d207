"""How the sidecar proves who it is to Kafka, and how Kafka proves it to the sidecar.

The settings have Kafka's own names (security protocol, SASL mechanism). Secrets come from a file or
the environment and are shown nowhere: not in a repr, not in an error. `monitor.kafka.diagnose`
finds out why a connection with these settings fails.
"""

import asyncio
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any, Literal, Self

from aiokafka.abc import AbstractTokenProvider
from pydantic import ConfigDict, SecretStr, model_validator

from monitor.core.settings import StrictModel

TLS = ("SSL", "SASL_SSL")
SASL = ("SASL_PLAINTEXT", "SASL_SSL")
TOKEN_TIMEOUT_S = 10.0
TOKEN_REPLY_BYTES_MAX = 1 << 20
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class SecurityError(ValueError):
    """A file or a token cannot be read; the message says which and why, without any secret."""


class KafkaSecurity(StrictModel):
    """How clients prove who they are to Kafka, and how Kafka proves it to them."""

    # A model that holds this one must hide input in errors too: pydantic asks the outermost.
    model_config = ConfigDict(hide_input_in_errors=True)

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """As the broker's listener has it."""
    ca_file: Path | None = None
    """PEM, of the authority that signed the brokers' certificates; absent: the system's."""
    cert_file: Path | None = None
    """PEM, the client's own certificate, for mutual TLS."""
    key_file: Path | None = None
    """PEM, the key of `cert_file`; absent: it is in `cert_file`."""
    key_password: SecretStr | None = None
    """Of a key under a password."""
    key_password_file: Path | None = None
    """The file that holds `key_password`, in its place."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    """How to log in, where the protocol is SASL_SSL or SASL_PLAINTEXT."""
    username: str | None = None
    """Of PLAIN and SCRAM; with `token_endpoint`, the client's id."""
    password: SecretStr | None = None
    """Of PLAIN and SCRAM; with `token_endpoint`, the client's secret."""
    password_file: Path | None = None
    """The file that holds `password`, in its place."""
    token_file: Path | None = None
    """OAUTHBEARER: the file that holds the token, read anew for each connection."""
    token_endpoint: str | None = None
    """OAUTHBEARER: the https address that is asked for a token with the client-credentials grant
    (RFC 6749 section 4.4)."""
    token_scope: str | None = None
    """What `token_endpoint` is asked for."""

    @model_validator(mode="after")
    def _tls_fits(self) -> Self:
        names = ("ca_file", "cert_file", "key_file", "key_password", "key_password_file")
        given = [name for name in names if getattr(self, name) is not None]
        if given and self.security_protocol not in TLS:
            raise ValueError(
                f"{given[0]} is for TLS, but security_protocol is {self.security_protocol}: "
                "set SSL or SASL_SSL"
            )
        if self.cert_file is None and len(given) > (self.ca_file is not None):
            raise ValueError("a client key needs its certificate: set cert_file")
        if self.key_password is not None and self.key_password_file is not None:
            raise ValueError("give key_password or key_password_file, not both")
        return self

    @model_validator(mode="after")
    def _sasl_fits(self) -> Self:
        names = ("sasl_mechanism", "username", "password", "password_file")
        token_names = ("token_file", "token_endpoint", "token_scope")
        given = [name for name in names + token_names if getattr(self, name) is not None]
        if self.security_protocol not in SASL:
            if given:
                raise ValueError(
                    f"{given[0]} is for SASL, but security_protocol is {self.security_protocol}: "
                    "set SASL_SSL (or SASL_PLAINTEXT)"
                )
            return self
        if self.sasl_mechanism is None:
            names_all = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
            raise ValueError(f"SASL needs sasl_mechanism: {names_all}")
        if self.password is not None and self.password_file is not None:
            raise ValueError("give password or password_file, not both")
        login = bool(self.username) and (self.password or self.password_file) is not None
        if self.sasl_mechanism == "OAUTHBEARER":
            self._oauth_fits(login)
        elif not login:
            raise ValueError(f"{self.sasl_mechanism} needs username, and password or password_file")
        elif extra := [name for name in given if name in token_names]:
            raise ValueError(f"{extra[0]} is for OAUTHBEARER, not for {self.sasl_mechanism}")
        return self

    def _oauth_fits(self, login: bool) -> None:
        if (self.token_file is None) == (self.token_endpoint is None):
            raise ValueError("OAUTHBEARER needs token_file or token_endpoint (one of them)")
        if self.token_endpoint is None:
            return
        if not login:
            raise ValueError(
                "token_endpoint needs username (the client's id), and password or password_file "
                "(its secret)"
            )
        url = urllib.parse.urlsplit(self.token_endpoint)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
            raise ValueError("token_endpoint must be an https address: it is sent the secret")

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments for aiokafka's clients; with secrets in them, never to be logged.

        Raises SecurityError when a file cannot be read or does not hold what it should.
        """
        options: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.security_protocol in TLS:
            options["ssl_context"] = self._ssl_context()
        if self.security_protocol in SASL:
            options["sasl_mechanism"] = self.sasl_mechanism
            if self.sasl_mechanism != "OAUTHBEARER":
                options["sasl_plain_username"] = self.username
                options["sasl_plain_password"] = self._password()
            elif self.token_file is not None:
                options["sasl_oauth_token_provider"] = FileToken(self.token_file)
            else:
                endpoint, client = self.token_endpoint or "", self.username or ""  # both are given
                token = EndpointToken(endpoint, client, self._password(), self.token_scope)
                options["sasl_oauth_token_provider"] = token
        return options

    def _password(self) -> str:
        secret = read_secret("password", self.password, self.password_file)
        if not secret:  # only a file can be empty: the validators saw to the rest
            raise SecurityError(f"password_file {self.password_file} is empty")
        return secret

    def _ssl_context(self) -> ssl.SSLContext:
        secret = read_secret("key_password", self.key_password, self.key_password_file)
        return tls_context(self.ca_file, self.cert_file, self.key_file, secret)


class FileToken(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka carries no types
    """A bearer token that someone else keeps fresh in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def token(self) -> str:
        """The token as it is in the file now."""
        token = _read("token_file", self._file).strip()
        if not token:
            raise SecurityError(f"token_file {self._file} is empty")
        return token


class EndpointToken(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka carries no types
    """A bearer token from an identity server, kept for three quarters of its life."""

    def __init__(self, endpoint: str, client_id: str, secret: str, scope: str | None) -> None:
        self._endpoint, self._scope = endpoint, scope
        self._login = ":".join(urllib.parse.quote(each, safe="") for each in (client_id, secret))
        self._token, self._fresh_until = "", 0.0
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """The token, asked for where none is fresh."""
        async with self._asking:
            if time.monotonic() >= self._fresh_until:
                begin = time.monotonic()
                self._token, life_s = await asyncio.to_thread(self._ask)
                self._fresh_until = begin + 0.75 * life_s
            return self._token

    def _ask(self) -> tuple[str, float]:
        """The token and its life in seconds (0 where the server does not say)."""
        form = {"grant_type": "client_credentials"}
        if self._scope:
            form["scope"] = self._scope
        basic = f"Basic {b64encode(self._login.encode()).decode()}"
        headers = {"Authorization": basic, "Accept": "application/json"}
        data = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self._endpoint, data=data, headers=headers)
        # Redirects are not followed: the secret goes where the configuration says, nowhere else.
        opener = urllib.request.build_opener(NoRedirect)
        try:
            with opener.open(request, timeout=TOKEN_TIMEOUT_S) as reply:
                answer = json.loads(reply.read(TOKEN_REPLY_BYTES_MAX))
            return str(answer["access_token"]), float(answer.get("expires_in", 0))
        except urllib.error.HTTPError as error:
            why = f"answered {error.code}"
        except OSError as error:
            why = f"cannot be reached: {getattr(error, 'reason', error)}"
        except (ValueError, KeyError, TypeError, AttributeError):
            why = "did not answer with a token"
        raise SecurityError(f"token_endpoint {self._endpoint} {why}")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        """None makes the redirect an HTTPError."""


def tls_context(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None, key_password: str | None
) -> ssl.SSLContext:
    """TLS of a client; the files are as in `KafkaSecurity`. Raises `SecurityError`."""
    if ca_file is not None:
        _read("ca_file", ca_file)
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise SecurityError(f"ca_file {ca_file} holds no PEM certificate") from error
    if cert_file is None:
        return context
    _read("cert_file", cert_file)
    if key_file is not None:
        _read("key_file", key_file)
    try:
        # Always with a password: without one OpenSSL asks for it on the terminal, and waits.
        context.load_cert_chain(cert_file, key_file, password=key_password or "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"is not the key of the certificate in {cert_file}"
        elif key_password:
            why = "is no PEM key that key_password opens"
        else:
            why = "is no PEM key, or is under a password: give key_password_file"
        raise SecurityError(f"the key in {key_file or cert_file} {why}") from error
    return context


def read_secret(name: str, value: SecretStr | None, file: Path | None) -> str | None:
    """A secret from the setting itself or from its file, without the line's end."""
    if value is not None:
        return value.get_secret_value()
    return None if file is None else _read(f"{name}_file", file).rstrip("\r\n")


def _read(name: str, file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise SecurityError(f"{name} {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        # From None: the decoding error shows the bytes.
        raise SecurityError(f"{name} {file} is not text") from None
