"""A schema registry, asked for the schemas of records by their ids.

All that is needed of it is two requests of Confluent's API, which Karapace, Apicurio and Redpanda
answer too: `GET /schemas/ids/{id}`, and `GET /subjects/{subject}/versions/{version}` for the
schemas that a schema refers to.
"""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, SecretStr, model_validator

from monitor.core.settings import StrictModel
from monitor.errors import BrinkwatchError, ConfigError
from monitor.security import LOOPBACK, NoRedirect, SecurityError, read_secret, tls_context
from monitor.sources.formats.schemas import SCHEMA_BYTES_MAX, Schema
from monitor.venues.parse import UnreadableError

TRIES = 3
PAUSE_S = 0.3
"""Between tries; the next one is three times as long."""
REFERENCES_MAX = 200
"""Schemas that one schema may need, directly or not."""
REFUSED_KEPT_S = 10.0
"""An id without a schema is asked for again after so long: it may be registered yet."""
REFUSED_MAX = 10_000
_NO_SUCH_SCHEMA = range(40401, 40404)
"""The API's own codes: no such subject, version, schema."""
_UNLIKE = "does not answer like a schema registry: check the path in its url"


class SchemaRegistrySettings(StrictModel):
    """Where the schemas of Avro and Protobuf records are, and how the registry knows us."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = ""
    """`https://host:8081`; with its path where the registry has one (Apicurio:
    `/apis/ccompat/v7`). Empty: there is none."""
    username: str | None = None
    """For basic authentication, with `password` or `password_file`."""
    password: SecretStr | None = None
    """That of `username`."""
    password_file: Path | None = None
    """The file that holds `password`, in its place."""
    token: SecretStr | None = None
    """What is sent after `Authorization: Bearer`, in place of a user."""
    token_file: Path | None = None
    """The file that holds `token`; read anew for each request, since tokens are rotated."""
    ca_file: Path | None = None
    """PEM, the authority of the registry's certificate; without it the system's authorities."""
    cert_file: Path | None = None
    """PEM, our own certificate, for mutual TLS."""
    key_file: Path | None = None
    """PEM, the key of `cert_file`; it may be in `cert_file` too."""
    key_password_file: Path | None = None
    """The password of the key, where it has one."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long one request may take, s."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = [name for name in self.model_fields_set if getattr(self, name) not in (None, "")]
        if not self.url:
            if secrets := [name for name in given if name != "timeout_s"]:
                raise ValueError(f"{min(secrets)} is for a registry: set url")
            return self
        address = urllib.parse.urlsplit(self.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("url is like https://host:8081 or http://host:8081")
        if address.username is not None:
            raise ValueError("url holds a user: set username, and password_file")
        if (self.password or self.password_file) is not None and not self.username:
            raise ValueError("a password needs its username")
        if self.username and (self.password is None) == (self.password_file is None):
            raise ValueError("username needs password or password_file (one of them)")
        if self.token is not None and self.token_file is not None:
            raise ValueError("give token or token_file, not both")
        token = (self.token or self.token_file) is not None
        if token and self.username:
            raise ValueError("give username or a token, not both")
        plain = address.scheme == "http" and address.hostname not in LOOPBACK
        if plain and (token or self.username):
            raise ValueError("url must be an https address: it is sent the secret")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("a client key needs its certificate: set cert_file")
        return self


class RegistryUnavailableError(BrinkwatchError):
    """The registry does not answer, or not as one; the records wait, none is refused for it."""


class _MissingError(Exception):
    """The registry says that there is no such schema."""


class SchemaRegistry:
    """A `SchemaStore` that asks a registry. Requests block: not for an event loop's own thread."""

    def __init__(self, settings: SchemaRegistrySettings) -> None:
        self._settings = settings
        self.url = settings.url.rstrip("/")
        self._refused: dict[int, tuple[float, str]] = {}
        try:
            password = read_secret("key_password", None, settings.key_password_file)
            context = tls_context(settings.ca_file, settings.cert_file, settings.key_file, password)
            self._authorization()
        except SecurityError as error:
            raise ConfigError(f"schema_registry: {error}") from error
        # Redirects are not followed: the secret goes where the configuration says, nowhere else.
        self._opener = urllib.request.build_opener(
            NoRedirect, urllib.request.HTTPSHandler(context=context)
        )

    def schema(self, schema_id: int) -> Schema:
        """The schema of this id; raises `UnreadableError` (no_schema) where there is none, and
        `RegistryUnavailableError`."""
        until, detail = self._refused.get(schema_id, (0.0, ""))
        if time.monotonic() >= until:
            try:
                return self._look_up(schema_id)
            except _MissingError as error:
                detail = str(error)
            if len(self._refused) >= REFUSED_MAX:
                self._refused.clear()
            self._refused[schema_id] = time.monotonic() + REFUSED_KEPT_S, detail
        raise UnreadableError("no_schema", detail)

    def _look_up(self, schema_id: int) -> Schema:
        references: dict[str, bytes] = {}
        answer = self._get(f"/schemas/ids/{schema_id}", f"the registry has no schema {schema_id}")
        try:
            self._add_references(f"schema {schema_id}", answer, references)
            form, source = str(answer.get("schemaType") or "AVRO"), str(answer["schema"])
        except (KeyError, ValueError, TypeError, AttributeError):
            raise RegistryUnavailableError(f"the schema registry {self.url} {_UNLIKE}") from None
        return Schema(form.upper(), source.encode(), tuple(references.items()))

    def check(self) -> None:
        """Raises `RegistryUnavailableError` where the registry does not answer."""
        with contextlib.suppress(_MissingError):  # which is an answer too
            self._get("/schemas/types")

    def _add_references(self, whose: str, answer: Any, references: dict[str, bytes]) -> None:
        """Those of the references first: each schema comes after what it needs."""
        for reference in answer.get("references") or ():
            name = str(reference["name"])
            if name in references:
                continue
            if len(references) >= REFERENCES_MAX:
                raise _MissingError(f"{whose} refers to over {REFERENCES_MAX} others")
            references[name] = b""  # a circle ends here
            subject = urllib.parse.quote(str(reference["subject"]), safe="")
            inner = self._get(
                f"/subjects/{subject}/versions/{int(reference['version'])}",
                f"{whose} refers to {name}, which the registry does not have",
            )
            self._add_references(whose, inner, references)
            del references[name]
            references[name] = str(inner["schema"]).encode()

    def _get(self, path: str, missing: str = "") -> Any:
        """The answer to a request, which is tried a few times; raises `_MissingError` with the
        text `missing` where the registry says that there is no such schema."""
        pause_s = PAUSE_S
        for _ in range(TRIES - 1):
            try:
                return self._ask(path, missing)
            except RegistryUnavailableError:
                time.sleep(pause_s)
                pause_s *= 3
        return self._ask(path, missing)

    def _ask(self, path: str, missing: str) -> Any:
        try:
            headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
            headers |= self._authorization()
            request = urllib.request.Request(f"{self.url}{path}", headers=headers)
            with self._opener.open(request, timeout=self._settings.timeout_s) as reply:
                return json.loads(reply.read(SCHEMA_BYTES_MAX))
        except urllib.error.HTTPError as error:
            if _error_code(error) in _NO_SUCH_SCHEMA:
                raise _MissingError(missing) from None
            why = f"answered {error.code} to {path}: {_mend(error.code)}"
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error) or type(error).__name__
            why = f"cannot be reached: {reason}: is it running, and is its url right?"
        except SecurityError as error:
            why = f"cannot be asked: {error}"
        except (ValueError, RecursionError):
            why = _UNLIKE
        raise RegistryUnavailableError(f"the schema registry {self.url} {why}")

    def _authorization(self) -> dict[str, str]:
        settings = self._settings
        if settings.username:
            password = read_secret("password", settings.password, settings.password_file)
            login = b64encode(f"{settings.username}:{password}".encode()).decode()
            return {"Authorization": f"Basic {login}"}
        token = read_secret("token", settings.token, settings.token_file)
        return {"Authorization": f"Bearer {token.strip()}"} if token else {}


def _error_code(error: urllib.error.HTTPError) -> int:
    """The API's own code of an error; 0 where the answer has none."""
    try:
        return int(json.loads(error.read(1 << 16))["error_code"])
    except (OSError, HTTPException, ValueError, TypeError, KeyError, RecursionError):
        return 0


def _mend(code: int) -> str:
    if code in (401, 403):
        return "check username and password_file, or token_file"
    return "check the path in its url" if code == 404 else "see the registry's own log"


def make_registry(settings: SchemaRegistrySettings) -> SchemaRegistry | None:
    """The registry that is configured; None: there is none. Raises `ConfigError` where a file that
    it needs cannot be read."""
    return SchemaRegistry(settings) if settings.url else None
