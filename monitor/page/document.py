"""One HTML file that holds all it shows: styles, scripts, data, and the licences of what it draws
with. Its policy forbids the browser to load anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from monitor.errors import BrinkwatchError

HERE = Path(__file__).parent
STYLE = HERE / "components" / "page.css"
COMPONENTS = (
    STYLE,
    *(
        HERE / "components" / f"{name}.js"
        for name in (
            "format", "arrays", "element", "data_table", "line_chart", "heat_map", "incidents",
            "swim_lanes", "incident_card",
        )
    ),
)  # fmt: skip
"""The style, and the scripts of what pages are built of, in the order in which they run: each says
at its top what `data` its element takes."""
ASSETS = HERE / "assets"
"""What charts are drawn with; `make assets` fetches it."""
LINES = ("uPlot.min.css", "uPlot.iife.min.js")
GRAPHS = ("echarts.min.js",)
LICENSES = "LICENSES.txt"
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"


def check_assets(names: Sequence[str]) -> None:
    """Raise `BrinkwatchError` where something that charts are drawn with is missing."""
    missing = [name for name in names and (*names, LICENSES) if not (ASSETS / name).is_file()]
    if missing:
        raise BrinkwatchError(
            f"a report draws with {', '.join(missing)}, and {ASSETS} does not have it: run `make "
            "assets` in the repository (it needs npm), or leave the report out"
        )


def make_document(
    title: str, body: str, data: dict[str, Any], assets: Sequence[str], files: Sequence[Path],
    policy: str = POLICY,
) -> str:  # fmt: skip
    """The HTML file. `body`: HTML, everything from the day escaped; `data`: JSON that the scripts
    find as `REPORT`; `assets`: names in `ASSETS`; `files`: styles and scripts, in the order in
    which they run; `policy`: what the browser may load.

    Raises `BrinkwatchError` where the assets are missing.
    """
    check_assets(assets)
    files = [ASSETS / name for name in assets] + [*files]
    styles = "".join(f"<style>{_read(file)}</style>\n" for file in files if file.suffix == ".css")
    scripts = "".join(f"<script>{_read(file)}</script>\n" for file in files if file.suffix == ".js")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n{styles}</head>\n<body>\n<main>\n{body}\n"
        f"{_licenses() if assets else ''}</main>\n"
        f"<script>const REPORT = {_script_json(data)};</script>\n{scripts}</body>\n</html>\n"
    )


def _licenses() -> str:
    text = escape(_read(ASSETS / LICENSES))
    return (
        f"<details><summary>Licences of what this page draws with</summary><pre>{text}</pre>"
        "</details>\n"
    )


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _script_json(data: dict[str, Any]) -> str:
    """JSON that no text of the day can end a script with. NaN and ∞ are no JSON, and no number."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def format_move(move: float, places: int = 2) -> str:
    """A fraction in per cent with its sign, as the scripts of the pages write it."""
    return f"{move * 100:+.{places}f} %".replace("-", "−")
