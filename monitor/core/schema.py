"""The contract as documents: JSON Schema and AsyncAPI, generated from the models.

Both are committed (`docs/schema.json`, `docs/asyncapi.json`); a test keeps them true. Write them
anew with `python -m tests.core.test_schema`.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic.json_schema import models_json_schema

from monitor.core import events

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _models() -> dict[str, list[Any]]:
    """The models of each kind: one, or as many as its union has."""
    models = {k: [m] if isinstance(m, type) else _members(m) for k, m in events.KINDS.items()}
    return {**models, "control": [events.Control]}


def _members(union: Any) -> list[Any]:
    return list(get_args(get_args(union)[0]))


def _definitions(template: str) -> dict[str, Any]:
    """The schema of every model by name; `kind` is required, as the judge requires it."""
    every = [m for models in _models().values() for m in models]
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
    names = [m.__name__ for kind in events.KINDS for m in _models()[kind]]
    return {
        "$schema": DIALECT,
        "title": f"A record of the brinkwatch contract, version {events.VERSION}",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in names],
        "$defs": _definitions("#/$defs/{model}"),
    }


def _keyed_by(kind: str) -> str:
    return {"collateral": "the account", "control": "the topic it speaks of"}.get(
        kind, "the symbol"
    )


def asyncapi() -> dict[str, Any]:
    """The topics and their messages, as an AsyncAPI 3.0 document; names as by default."""
    channels: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for kind, topic in {**events.TOPICS, "control": events.CONTROL_TOPIC}.items():
        models = [m.__name__ for m in _models()[kind]]
        channels[kind] = {
            "address": topic,
            "description": f"Records of kind {kind}, keyed by {_keyed_by(kind)}.",
            "messages": {m: {"$ref": f"#/components/messages/{m}"} for m in models},
        }
        operations[f"receive_{kind}"] = {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{kind}"},
        }
        for model in models:
            messages[model] = {
                "name": model,
                "contentType": "application/json",
                "payload": {"$ref": f"#/components/schemas/{model}"},
            }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "brinkwatch", "version": f"{events.VERSION}.0.0"},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": _definitions("#/components/schemas/{model}"),
        },
    }
