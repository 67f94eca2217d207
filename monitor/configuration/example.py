"""A configuration file with every key, its meaning and its default, to begin one's own from."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from monitor.configuration.keys import Key, Table, tables
from monitor.configuration.toml_text import toml_key, toml_value

WIDTH = 98
HEAD = """\
#:schema ../configuration.schema.json
# Every key of brinkwatch's configuration: what it means, its type and bounds, and its default. A
# key that stands behind # has its default; take the # away to set it. docs/configuration.md is
# the same as a page.
"""


def example_toml() -> str:
    """The text of the file."""
    return HEAD + "".join(f"\n{_section(table)}" for table in tables())


def _section(table: Table) -> str:
    lines = list(_comment(table.meaning)) if table.path else []
    if table.path:
        lines.append(f"#{table.head}" if table.optional else table.head)
    if table.same_as:
        lines.append(f"# The same keys as {table.same_as}.")
    inner = [key for key in table.keys if key.default and isinstance(key.default, dict)]
    for key in table.keys:
        if key not in inner:
            form = () if key.form in ("text", "path") else (key.form,)
            lines += [*_comment(key.meaning, *form), f"#{key.name} = {_value(key)}"]
    for key in inner:
        path = ".".join((*table.path, key.name))
        lines += ["", *_comment(key.meaning, key.form), f"[{path}]"]
        lines += [f"#{toml_key(name)} = {toml_value(v)}" for name, v in key.default.items()]
    return "".join(f"{line}\n" for line in lines)


def _value(key: Key) -> str:
    """The default, or `…` where there is none."""
    if key.default is not None:
        return toml_value(key.default)
    kind = key.form.partition(" ")[0]
    return {"whole": "…", "number": "…", "true": "…", "table": "{}", "list": "[]"}.get(kind, '"…"')


def _comment(*texts: str) -> Iterator[str]:
    for text in texts:
        for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False):
            yield f"# {line}"
