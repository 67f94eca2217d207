"""The configuration as JSON Schema, for editors; the other documents are made from it."""

from __future__ import annotations

from typing import Any

from monitor.config import Config

DIALECT = "http://json-schema.org/draft-07/schema#"
"""What editors of TOML read."""


def json_schema() -> dict[str, Any]:
    """The schema of a configuration file."""
    schema = Config.model_json_schema()
    schema.pop("description")
    definitions = schema.pop("$defs")
    for model in (schema, *definitions.values()):
        for name, field in model.get("properties", {}).items():
            model["properties"][name] = _tidy(field)
        model.pop("title")
    return {
        "$schema": DIALECT,
        "title": "The configuration of brinkwatch",
        **schema,
        "$defs": definitions,
    }


def _tidy(field: dict[str, Any]) -> dict[str, Any]:
    """Without the titles that repeat names, and without the defaults of whole tables."""
    noise = {"title", "default"} if "$ref" in field else {"title"}
    tidy = {key: value for key, value in field.items() if key not in noise}
    if "description" in tidy:
        tidy["description"] = " ".join(tidy["description"].split())
    return tidy
