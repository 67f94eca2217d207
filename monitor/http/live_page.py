"""/: the page of a running sidecar. It holds nothing of the venue: its scripts ask the other paths,
with the token where one is set. The browser may load nothing else, and nothing from elsewhere."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from pathlib import Path

from monitor.page.document import COMPONENTS, GRAPHS, LINES, make_document

HERE = Path(__file__).parent / "page"
BODY = HERE / "body.html"
FILES = (
    *COMPONENTS, HERE / "style.css",
    *(HERE / f"{name}.js" for name in ("connection", "incidents", "markets", "page")),
)  # fmt: skip
POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; script-src {}"
)


@functools.cache
def make_live_page() -> tuple[str, str]:
    """The page, and the policy that its answer has as a header: only the page's own scripts run.

    Raises `BrinkwatchError` where what charts are drawn with is missing.
    """
    body, loose = BODY.read_text(encoding="utf-8"), POLICY.format("'unsafe-inline'")
    text = make_document("brinkwatch", body, {}, (*LINES, *GRAPHS), FILES, loose)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    own = POLICY.format(" ".join(map(_hash_source, scripts)))
    return text, f"{own}; frame-ancestors 'none'"


def _hash_source(script: str) -> str:
    """A script as a policy names it."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
