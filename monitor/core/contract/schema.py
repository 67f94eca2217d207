"""The contract as documents: JSON Schema and AsyncAPI, generated from the models.

Both are committed (`docs/schema.json`, `docs/asyncapi.json`); a test keeps them true. Write them
anew with `python -m tests.core.contract.test_schema`.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from monitor.core.contract import events
from monitor.core.contract.outputs import OUTPUT_MODELS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
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
}
"""What goes out and is no JSON: topic, and what its bytes are."""
_JSON_CHANNELS = {
    "alert": ("brinkwatch.alerts", "Alerts, keyed by fingerprint, in the order of event time."),
    "bands": (
        "brinkwatch.bands",
        'Liquidation bands, keyed by symbol; the venue\'s own record has the key "".',
    ),
}


def _models_by_kind() -> dict[str, list[Any]]:
    """The models of each kind: one, or as many as its union has."""
    models = {k: [m] if isinstance(m, type) else _union_members(m) for k, m in events.KINDS.items()}
    return {**models, "control": [events.Control]}


def _union_members(union: Any) -> list[Any]:
    return list(get_args(get_args(union)[0]))


def _definitions(template: str) -> dict[str, Any]:
    """The schema of every model by name; `kind` is required, as the judge requires it."""
    every = [m for models in _models_by_kind().values() for m in models]
    _, top = models_json_schema([(m, "validation") for m in every], ref_template=template)
    definitions: dict[str, Any] = top["$defs"]
    for schema in definitions.values():
        if "kind" in schema["properties"]:
            schema["required"] = ["kind", *schema["required"]]
            schema["properties"]["kind"].pop("default")
    return definitions


def json_schema() -> dict[str, Any]:
    """One record of any kind, as JSON Schema.

    It says what a record looks like. Stricter than it: duplicate keys, the order of a book's
    levels, bounds of decimals and of price × quantity are for the judge alone.
    """
    names = [m.__name__ for kind in events.KINDS for m in _models_by_kind()[kind]]
    return {
        "$schema": DIALECT,
        "title": f"A record of the brinkwatch contract, version {events.VERSION}",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in names],
        "$defs": _definitions("#/$defs/{model}"),
    }


def _record_key(kind: str) -> str:
    return {"collateral": "the account", "control": "the topic it speaks of"}.get(
        kind, "the symbol"
    )


def _output_definitions() -> dict[str, Any]:
    """The schema of every type that goes out, by name."""
    types = [t for types in OUTPUT_MODELS.values() for t in types]
    _, top = TypeAdapter.json_schemas(
        [(t.__name__, "validation", TypeAdapter(t)) for t in types],
        ref_template="#/components/schemas/{model}",
    )
    definitions: dict[str, Any] = top["$defs"]
    return definitions


def _json_messages(names: list[str]) -> dict[str, Any]:
    return {
        name: {
            "name": name,
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{name}"},
        }
        for name in names
    }


def _channel(address: str, description: str, messages: list[str]) -> dict[str, Any]:
    return {
        "address": address,
        "description": description,
        "messages": {m: {"$ref": f"#/components/messages/{m}"} for m in messages},
    }


def _operation(action: str, channel: str) -> dict[str, Any]:
    return {
        f"{action}_{channel}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{channel}"},
        }
    }


def asyncapi() -> dict[str, Any]:
    """The topics and their messages, as an AsyncAPI 3.0 document; names as by default."""
    channels: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for kind, topic in {**events.TOPICS, "control": events.CONTROL_TOPIC}.items():
        models = [m.__name__ for m in _models_by_kind()[kind]]
        told = f"Records of kind {kind}, keyed by {_record_key(kind)}."
        channels[kind] = _channel(topic, told, models)
        operations |= _operation("receive", kind)
        messages |= _json_messages(models)
    operations |= _operation("send", "control")
    for kind, (topic, told) in _JSON_CHANNELS.items():
        models = [m.__name__ for m in OUTPUT_MODELS[kind]]
        channels[kind] = _channel(topic, told, models)
        operations |= _operation("send", kind)
        messages |= _json_messages(models)
    for kind, (topic, told) in _BINARY_CHANNELS.items():
        channels[kind] = _channel(topic, told, [f"{kind}_bytes"])
        operations |= _operation("send", kind)
        messages[f"{kind}_bytes"] = {
            "name": f"{kind}_bytes",
            "contentType": "application/octet-stream",
            "payload": {"type": "string", "format": "binary", "description": told},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "brinkwatch", "version": f"{events.VERSION}.0.0"},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": _definitions("#/components/schemas/{model}") | _output_definitions(),
        },
    }
