"""A real schema registry with Confluent's own serializers, and one that fails in every way."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from monitor.config import load
from monitor.errors import ConfigError
from monitor.sources import registry as registry_module
from monitor.sources.formats.base import make_format
from monitor.sources.registry import (
    RegistryUnavailableError,
    SchemaRegistry,
    SchemaRegistrySettings,
    make_registry,
)
from monitor.sources.settings import SourceSettings
from monitor.sources.translators import make_translator
from tests.schema_registry import Apicurio, StandIn
from tests.sources.formats.protobuf.schemas import ORDERS, classes

OLD = {
    "type": "record", "name": "Order",
    "fields": [
        {"name": "px", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12,
                                "scale": 2}},
    ],
}  # fmt: skip
NEW = {**OLD, "fields": [*OLD["fields"], {"name": "venue", "type": "string", "default": "X"}]}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "PAUSE_S", 0.001)


def reading(form: str, url: str) -> Any:
    return make_format(SourceSettings(format=form), make_registry(SchemaRegistrySettings(url=url)))


def framed(schema_id: int, body: bytes) -> bytes:
    return b"\x00" + schema_id.to_bytes(4) + body


# --- a real registry


def test_what_confluents_avro_serializer_writes_is_read_and_an_added_field_goes_on(
    apicurio: Apicurio,
) -> None:
    from decimal import Decimal

    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    client = SchemaRegistryClient({"url": apicurio.url, "timeout": 20})
    context = SerializationContext("evolving", MessageField.VALUE)
    old = AvroSerializer(client, json.dumps(OLD))({"px": Decimal("-1.50")}, context)
    new = AvroSerializer(client, json.dumps(NEW))({"px": Decimal("2"), "venue": "Y"}, context)
    assert old[:5] != new[:5]
    assert reading("avro", apicurio.url).read([old, new]) == [
        {"@type": "Order", "px": "-1.50"},
        {"@type": "Order", "px": "2.00", "venue": "Y"},
    ]


def test_what_confluents_protobuf_serializer_writes_is_read(apicurio: Apicurio) -> None:
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext

    text = ORDERS.replace('import "confluent/type/decimal.proto";', "")
    text = text.replace("confluent.type.Decimal price = 17;", "")
    of, client = classes(text), SchemaRegistryClient({"url": apicurio.url, "timeout": 20})
    context = SerializationContext("messages", MessageField.VALUE)
    order, trade = (
        ProtobufSerializer(of[name], client)(of[name](symbol="BTC"), context)
        for name in ("Order", "Trade")
    )
    read = reading("protobuf", apicurio.url).read([order, trade])
    assert [(row["@type"], row["symbol"]) for row in read] == [
        ("venue.Order", "BTC"), ("venue.Trade", "BTC"),
    ]  # fmt: skip


def test_schemas_that_refer_to_others_are_read_with_them(apicurio: Apicurio) -> None:
    apicurio.register("side", '{"type": "enum", "name": "v.Side", "symbols": ["B", "S"]}')
    apicurio.register(
        "pair", '{"type": "record", "name": "v.Pair", "fields": [{"name": "s", "type": "v.Side"}]}',
        references=({"name": "v.Side", "subject": "side", "version": 1},),
    )  # fmt: skip
    avro = apicurio.register(
        "order", '{"type": "record", "name": "v.O", "fields": [{"name": "p", "type": "v.Pair"}]}',
        references=({"name": "v.Pair", "subject": "pair", "version": 1},),
    )  # fmt: skip
    [row] = reading("avro", apicurio.url).read([framed(avro, b"\x02")])
    assert row["p"] == {"@type": "v.Pair", "s": "S"}

    apicurio.register("common", 'syntax = "proto3"; package c; message Px { double v = 1; }',
                      "PROTOBUF")  # fmt: skip
    protobuf = apicurio.register(
        "importing", 'syntax = "proto3"; import "c/px.proto"; message O { repeated c.Px p = 1; }',
        "PROTOBUF", ({"name": "c/px.proto", "subject": "common", "version": 1},),
    )  # fmt: skip
    [row] = reading("protobuf", apicurio.url).read([framed(protobuf, b"\x00\x0a\x00")])
    assert row["p"] == [{"v": "0.0"}]


def test_an_id_that_the_registry_does_not_have_and_one_of_another_form_are_refused(
    apicurio: Apicurio,
) -> None:
    schema_id = apicurio.register("one", json.dumps(OLD))
    unknown, other = (
        reading(form, apicurio.url).read([framed(number, b"\x00")])[0]
        for form, number in (("avro", 99_999), ("protobuf", schema_id))
    )
    assert unknown.detail == "the registry has no schema 99999"
    assert other.detail == f"schema {schema_id} is of AVRO, and the source's format is PROTOBUF"
    make_registry(SchemaRegistrySettings(url=apicurio.url)).check()  # type: ignore[union-attr]


# --- one that answers as it is bidden


@pytest.fixture
def answers() -> Iterator[StandIn]:
    started = StandIn(json.dumps(OLD))
    yield started
    started.close()


def test_a_schema_is_asked_for_once_and_one_that_there_is_not_again_after_a_while(
    answers: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.has(7)
    records, unknown = reading("avro", answers.url), framed(8, b"\x02\x01")
    for _ in range(3):
        first, second = records.read([framed(7, b"\x02\x01"), unknown])
        assert first == {"@type": "Order", "px": "0.01"}
        assert second.detail == "the registry has no schema 8"
    assert answers.asked == {"/schemas/ids/7": 1, "/schemas/ids/8": 1}
    answers.has(8)
    later = time.monotonic() + registry_module.REFUSED_KEPT_S
    monkeypatch.setattr(registry_module.time, "monotonic", lambda: later)
    assert records.read([unknown]) == [{"@type": "Order", "px": "0.01"}]


def test_no_record_is_refused_while_the_registry_does_not_answer(answers: StandIn) -> None:
    answers.has(7, code=503)
    records = reading("avro", answers.url)
    with pytest.raises(RegistryUnavailableError, match="answered 503 to /schemas/ids/7"):
        records.read([framed(7, b"\x02\x01")])
    assert answers.asked["/schemas/ids/7"] == registry_module.TRIES
    answers.has(7)
    assert records.read([framed(7, b"\x02\x01")]) == [{"@type": "Order", "px": "0.01"}]


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [
        (200, b"<html>", "does not answer like a schema registry: check the path in its url"),
        (200, b"[]", "does not answer like a schema registry"),
        (200, b'{"schema": "x", "references": [{}]}', "does not answer like a schema registry"),
        (200, b"[" * 100_000, "does not answer like a schema registry"),
        (302, b"", "answered 302"),
        (401, b"", "check username and password_file, or token_file"),
        (404, b"not here", "check the path in its url"),
        (404, b'{"error_code": 404}', "check the path in its url"),
        (429, b"", "answered 429"),
    ],
)
def test_every_other_answer_is_a_sentence_that_says_how_to_mend_it(
    answers: StandIn, code: int, body: bytes, words: str
) -> None:
    answers.answers["/schemas/ids/7"] = code, body
    with pytest.raises(RegistryUnavailableError) as error:
        reading("avro", answers.url).read([framed(7, b"")])
    assert words in str(error.value)
    assert answers.asked["/elsewhere"] == 0


def test_a_registry_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(RegistryUnavailableError, match=r"cannot be reached: .* is it running"):
        reading("avro", "http://127.0.0.1:1").read([framed(7, b"")])


def test_references_in_a_circle_end_and_those_that_lead_nowhere_are_refused(
    answers: StandIn,
) -> None:
    to_itself = [{"name": "a", "subject": "s/1", "version": 1}]
    answers.has(7, references=to_itself)
    answers.has(8, references=[{"name": "b", "subject": "none", "version": 1}])
    circle = json.dumps({"schema": json.dumps(OLD), "references": to_itself}).encode()
    answers.answers["/subjects/s%2F1/versions/1"] = 200, circle
    circular, lost = reading("avro", answers.url).read([framed(7, b"\x02\x01"), framed(8, b"")])
    assert circular == {"@type": "Order", "px": "0.01"}
    assert lost.detail == "schema 8 refers to b, which the registry does not have"


def test_it_is_shown_who_we_are(answers: StandIn, tmp_path: Path) -> None:
    answers.has(7)
    (tmp_path / "secret").write_text("s3cret\n")
    for settings, header in (
        ({"username": "me", "password_file": tmp_path / "secret"}, "Basic bWU6czNjcmV0"),
        ({"token_file": tmp_path / "secret"}, "Bearer s3cret"),
        ({}, None),
    ):
        SchemaRegistry(SchemaRegistrySettings(url=answers.url, **settings)).schema(7)  # type: ignore[arg-type]
        assert answers.authorization == header


# --- its settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"username": "me"}, "username is for a registry: set url"),
        ({"url": "registry:8081"}, "url is like https://host:8081"),
        ({"url": "https://me:s3cret@registry"}, "url holds a user"),
        ({"url": "http://r", "username": "me", "password": "s3cret"}, "must be an https address"),
        ({"url": "http://registry", "token": "s3cret"}, "must be an https address"),
        ({"url": "https://registry", "username": "me"}, "password or password_file"),
        ({"url": "https://registry", "password": "x"}, "needs its username"),
        ({"url": "https://registry", "token": "x", "token_file": "y"}, "not both"),
        ({"url": "https://registry", "token": "x", "username": "me", "password": "x"}, "not both"),
        ({"url": "https://registry", "key_file": "k"}, "set cert_file"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_with_words_and_without_secrets(
    settings: dict[str, str], words: str
) -> None:
    with pytest.raises(ValidationError) as error:
        SchemaRegistrySettings(**settings)  # type: ignore[arg-type]
    assert words in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_file_that_cannot_be_read_is_a_sentence_at_the_start(tmp_path: Path) -> None:
    for name in ("ca_file", "cert_file", "token_file"):
        settings = SchemaRegistrySettings(url="https://registry", **{name: tmp_path / "none"})  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=rf"schema_registry: {name} .* cannot be read"):
            make_registry(settings)


def test_it_is_a_table_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[schema_registry]\nurl = "http://127.0.0.1:8081"\n')
    assert load(tmp_path / "c.toml").schema_registry.url == "http://127.0.0.1:8081"
    assert make_registry(load().schema_registry) is None


def test_the_configuration_of_the_page_is_one(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "avro-and-protobuf.md"
    block = page.read_text().partition("    [schema_registry]\n")[2].partition("\n\nThe values")[0]
    (tmp_path / "secret").write_text("s3cret")
    text = textwrap.dedent("    [schema_registry]\n" + block)
    text = text.replace("/run/secrets/registry", str(tmp_path / "secret"))
    (tmp_path / "c.toml").write_text(text)
    config = load(tmp_path / "c.toml")
    make_translator("orders", config.source["orders"], make_registry(config.schema_registry))
