"""The contract as documents: JSON Schema and AsyncAPI, generated from the types.

Both are committed (`docs/schema.json`, `docs/asyncapi.json`), and a test compares them with the
types. Write them anew with `python -m tests.core.contract.test_schema`.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import TypeAdapter

from monitor.core.contract import events
from monitor.core.contract.outputs import OUTPUT_MODELS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
UNSAID_RULES = (
    "a record is at most 1 MiB of UTF-8, nested at most 32 deep, and no key stands twice",
    "integers have no decimal point and no exponent",
    "a number's own text has at most 64 characters and an exponent of at most four digits",
    "decimal text has the bounds in size of a JSON number, also after it is rounded",
    "price × quantity is at most 1e12",
    "a book is best first, bids falling and asks rising, levels of one price at most 1e16 together",
    "text has no unpaired surrogates, no hidden characters beyond 16 bits, none that Unicode has "
    "not assigned, and does not end with a line's end (which `$` lets pass in Python)",
    "a number out of range that its record may lack is left out and counted, and the record stays",
)
"""What JSON Schema cannot say about a record."""
_SCHEMAS = "#/components/schemas/{model}"
_CHUNK_DESCRIPTION = (
    "A part of a value in msgpack, compressed with zstd; the header `brinkwatch-chunk` tells which "
    "part, of how many, and the sha256 of the whole. For this sidecar's own members alone: it may "
    "change with each version."
)
_BINARY_CHANNELS = {
    "dlq": (
        "brinkwatch.dlq",
        "A record that was refused: its bytes untouched; the headers `brinkwatch_topic`, "
        "`_partition`, `_offset`, `_timestamp`, `_reason` and `_detail` say where it came from "
        "and why.",
    ),
    "windows": ("brinkwatch.windows", f"What a shard tells the venue stage. {_CHUNK_DESCRIPTION}"),
    "snapshots": ("brinkwatch.snapshots", f"State, compacted by key. {_CHUNK_DESCRIPTION}"),
    "silences": (
        "brinkwatch.silences",
        "What `brinkwatch silence` sets, compacted by name: JSON with the keys of the "
        "configuration's `[[silences]]`.",
    ),
}
"""Outputs that are not JSON: the topic, and what its bytes are."""
_JSON_CHANNELS = {
    "alert": ("brinkwatch.alerts", "Alerts, keyed by fingerprint, in the order of event time."),
    "bands": (
        "brinkwatch.bands",
        'Liquidation bands, keyed by symbol; the venue\'s own record has the key "".',
    ),
}
_KEYS = {"collateral": "the account", "control": "the topic it speaks of"}
"""What the records of a kind are keyed by, where it is not the symbol."""


def _models_by_kind() -> dict[str, list[Any]]:
    """The models of each kind of input: one, or all members of its union."""
    models = {
        kind: [model] if isinstance(model, type) else list(get_args(get_args(model)[0]))
        for kind, model in events.KINDS.items()
    }
    return {**models, "control": [events.Control]}


def _definitions(types: list[Any], template: str) -> dict[str, Any]:
    """The schema of every type, and of all that they hold, by name."""
    inputs = [(t.__name__, "validation", TypeAdapter(t)) for t in types]
    _, top = TypeAdapter.json_schemas(inputs, ref_template=template)  # type: ignore[arg-type]
    definitions: dict[str, Any] = top["$defs"]
    return definitions


def _input_definitions(template: str) -> dict[str, Any]:
    """The schemas of the inputs; `kind` is required, as the validation of records requires it.

    What tells them apart stands first: a validator that tries them all is soon done with each.
    """
    types = [model for models in _models_by_kind().values() for model in models]
    definitions = _definitions(types, template)
    for schema in definitions.values():
        fields = schema["properties"]
        if "kind" in fields:
            schema["required"] = ["kind", *schema["required"]]
            fields["kind"].pop("default")
            first = {name: fields[name] for name in ("kind", "about") if name in fields}
            schema["properties"] = first | fields
    return definitions


def json_schema() -> dict[str, Any]:
    """One record of any kind, as JSON Schema, with what no schema can say as its description."""
    names = [m.__name__ for kind in events.KINDS for m in _models_by_kind()[kind]]
    return {
        "$schema": DIALECT,
        "title": f"A record of the brinkwatch contract, version {events.VERSION}",
        "description": f"Checked beyond this schema: {'; '.join(UNSAID_RULES)}.",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in names],
        "$defs": _input_definitions("#/$defs/{model}"),
    }


class _Channels:
    """Channels, messages and operations of an AsyncAPI document, as they are added."""

    def __init__(self) -> None:
        self.channels: dict[str, Any] = {}
        self.messages: dict[str, Any] = {}
        self.operations: dict[str, Any] = {}

    def add(
        self, name: str, topic: str, description: str, messages: dict[str, Any], *actions: str
    ) -> None:
        """A topic, the messages in it, and what brinkwatch does with it: send or receive."""
        self.channels[name] = {
            "address": topic,
            "description": description,
            "messages": {m: {"$ref": f"#/components/messages/{m}"} for m in messages},
        }
        self.messages |= messages
        channel = {"$ref": f"#/channels/{name}"}
        for action in actions:
            self.operations[f"{action}_{name}"] = {"action": action, "channel": channel}


def _json_messages(types: list[Any]) -> dict[str, Any]:
    return {
        t.__name__: {
            "name": t.__name__,
            "contentType": "application/json",
            "payload": {"$ref": _SCHEMAS.format(model=t.__name__)},
        }
        for t in types
    }


def asyncapi() -> dict[str, Any]:
    """The topics and their messages, as an AsyncAPI 3.0 document; topics have default names."""
    out = _Channels()
    for kind, topic in {**events.TOPICS, "control": events.CONTROL_TOPIC}.items():
        description = f"Records of kind {kind}, keyed by {_KEYS.get(kind, 'the symbol')}."
        actions = ("receive", "send") if kind == "control" else ("receive",)
        out.add(kind, topic, description, _json_messages(_models_by_kind()[kind]), *actions)
    for kind, (topic, description) in _JSON_CHANNELS.items():
        out.add(kind, topic, description, _json_messages([*OUTPUT_MODELS[kind]]), "send")
    for kind, (topic, description) in _BINARY_CHANNELS.items():
        message = {
            "name": f"{kind}_bytes",
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary", "description": description},
        }
        out.add(kind, topic, description, {f"{kind}_bytes": message}, "send")
    outputs = [t for types in OUTPUT_MODELS.values() for t in types]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "brinkwatch", "version": f"{events.VERSION}.0.0"},
        "defaultContentType": "application/json",
        "channels": out.channels,
        "operations": out.operations,
        "components": {
            "messages": out.messages,
            "schemas": _input_definitions(_SCHEMAS) | _definitions(outputs, _SCHEMAS),
        },
    }
