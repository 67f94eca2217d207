"""`docs/configuration.md`: what people wrote, and the tables of keys between two marks."""

from __future__ import annotations

from monitor.configuration.environment import variable_name
from monitor.configuration.keys import Key, Table, tables
from monitor.configuration.toml_text import toml_value

BEGIN = "<!-- The tables of keys are generated: python -m tests.configuration.test_documents -->\n"
END = "<!-- End of the tables of keys. -->\n"
DEFAULT_CHARS_MAX = 40


def with_tables(page: str) -> str:
    """The page with the tables made anew."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{''.join(map(_table, tables()))}{END}{after}"


def _table(table: Table) -> str:
    title = (
        f"### `{table.head}`" if table.path else "### Keys of no table: they stand first in a file"
    )
    lines = [title, ""]
    if table.meaning:
        lines += [table.meaning, ""]
    if table.same_as:
        return "\n".join([*lines, f"The same keys as `{table.same_as}`.", "", ""])
    if table.form == "array":
        lines += [f"Environment: `{variable_name(table.path)}`, all of them as a JSON list.", ""]
    lines += ["| key | type and bounds | default | meaning |", "|---|---|---|---|"]
    lines += [_row(table, key) for key in table.keys]
    return "\n".join(lines) + "\n\n"


def _row(table: Table, key: Key) -> str:
    name = f"`{key.name}`"
    if table.form == "table":
        path = *table.path, key.name
        name += f"<br>`{variable_name(path)}`"
    cells = name, key.form, _default(key), key.meaning
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(key: Key) -> str:
    if key.default is None:
        return "needed" if key.required else ""
    text = toml_value(key.default)
    return f"`{text}`" if len(text) <= DEFAULT_CHARS_MAX else "in the example"
