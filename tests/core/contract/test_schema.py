"""The committed documents of the contract are those that the models generate."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from monitor.config import Config
from monitor.core.contract import events
from monitor.core.contract.schema import asyncapi, json_schema
from monitor.core.decode.batch import COLUMNS
from monitor.kafka import topics

DOCS = Path(__file__).parents[3] / "docs"
DOCUMENTS = {"schema.json": json_schema, "asyncapi.json": asyncapi}


def text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_committed_document_is_what_the_models_say(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == text(DOCUMENTS[name]())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_within_a_document_leads_somewhere(name: str) -> None:
    document = DOCUMENTS[name]()
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    assert references
    for path in references:
        at: Any = document
        for step in path.split("/"):
            at = at[step]


def test_schema_has_every_field_and_requires_what_the_columns_require() -> None:
    definitions = json_schema()["$defs"]
    for kind, columns in COLUMNS.items():
        if kind == "reference":
            continue
        schema = definitions[events.KINDS[kind].__name__]
        assert set(schema["properties"]) == {"kind", *(c.name for c in columns)}
        assert set(schema["required"]) == {"kind", *(c.name for c in columns if c.required)}


def test_every_topic_is_a_channel() -> None:
    document = asyncapi()
    addresses = {c["address"] for c in document["channels"].values()}
    config = Config()
    every = {
        **topics.venue_topics(config, list(config.topics.values()), 1),
        **topics.sidecar_topics(config, 1),
    }
    assert addresses == set(every)
    written = {
        document["channels"][o["channel"]["$ref"].rpartition("/")[2]]["address"]
        for o in document["operations"].values()
        if o["action"] == "send"
    }
    assert written == set(topics.sidecar_topics(config, 1))
    for message in document["components"]["messages"].values():
        assert message["payload"]


if __name__ == "__main__":
    for name, make in DOCUMENTS.items():
        (DOCS / name).write_text(text(make()), "utf-8")
