"""What `check-config --connect` says of a schema registry; Kafka's own part has a real broker in
`tests/live/test_acls.py`."""

from __future__ import annotations

from monitor.commands.bus.check_broker import check_broker
from monitor.config import load
from tests.schema_registry import StandIn


def test_the_schema_registry_is_tried_too_where_there_is_one() -> None:
    registry = StandIn("")
    findings = {}
    for url in (registry.url, f"{registry.url}/elsewhere", ""):
        kafka = {"bootstrap_servers": "127.0.0.1:1"}
        config = load(None, kafka=kafka, schema_registry={"url": url})
        of_registry = [f for f in check_broker(config) if "schema registry" in f.sentence]
        findings[url] = [finding.ok for finding in of_registry]
        registry.answers["/elsewhere/schemas/types"] = 404, b"no registry"
    registry.close()
    assert findings == {registry.url: [True], f"{registry.url}/elsewhere": [False], "": []}
