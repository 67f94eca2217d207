"""Messages to Slack."""

from __future__ import annotations

from tests.delivery.receivers.notices import notice, send, settings
from tests.delivery.servers import receiver_server


def test_messages_keep_slacks_bounds_and_cannot_mention_anybody() -> None:
    long = "<!channel> & " + "x" * 5_000
    with receiver_server() as server:
        to = settings(kind="slack", url=server.url, runbook_url="https://wiki.example.com/{kind}")
        send(to, notice(summary=long, symbols=("S" * 200,)), notice(status="resolved"))
        fired, resolved = (request.document for request in server.taken)
    header, section, context = fired["blocks"]
    assert (header["type"], section["type"], context["type"]) == ("header", "section", "context")
    assert len(header["text"]["text"]) <= 150
    assert len(section["text"]["text"]) <= 3_000
    assert "&lt;!channel&gt; &amp; x" in section["text"]["text"]
    assert "<!channel>" not in fired["text"]
    assert "|runbook>" in context["elements"][0]["text"]
    assert ":white_check_mark:" in resolved["blocks"][1]["text"]["text"]
