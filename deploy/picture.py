"""The README's picture: the alerts of the demo as a terminal shows them.

`make picture` runs the demo and writes `docs/alerts.svg` from the alerts that it left.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console as Rich

from monitor.console import Console
from monitor.core.contract.alert import parse_alert

ALERTS = Path("demo-out/alerts.jsonl")
PICTURE = Path(__file__).parents[1] / "docs" / "alerts.svg"
COLUMNS = 150
"""Width of the terminal that is drawn."""


def draw(lines: list[str]) -> str:
    """The table of alerts (JSON lines) as SVG that loads nothing from elsewhere."""
    console = Console(json_asked=False)
    console.rich = Rich(file=io.StringIO(), record=True, width=COLUMNS, force_terminal=True)
    console.alerts([parse_alert(line.encode()) for line in lines])
    svg = console.rich.export_svg(title="make demo", unique_id="alerts")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "monospace")


if __name__ == "__main__":
    PICTURE.write_text(draw(ALERTS.read_text().splitlines()), "utf-8")
