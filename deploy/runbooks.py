"""`docs/runbooks/kinds.md`: what to look at, for each kind of alert of the sidecar.

`python -m deploy.runbooks` writes it from what alerts say themselves.
"""

from __future__ import annotations

from pathlib import Path

from monitor.core.alerts.hints import BY_KIND

PAGE = Path(__file__).parents[1] / "docs" / "runbooks" / "kinds.md"
INTRODUCTION = """# Alerts of the sidecar, by kind

Read the sentence first, then the evidence and the money: `brinkwatch show INCIDENT`. How grave it
is and why: `docs/severity.md`. What is understood is silenced (`brinkwatch silence add`); whether
it was true is kept with `brinkwatch feedback ID true|false`. An alert of several kinds together
(`incident`) names the lowest layer first: what is broken below explains what is odd above.

"""


def render() -> str:
    """The page."""
    rows = [f"| `{kind}` | {place} |" for kind, place in sorted(BY_KIND.items())]
    return INTRODUCTION + "\n".join(["| kind | look at |", "|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
