"""The documents of the configuration are those that the models generate, and they work."""

from __future__ import annotations

import contextlib
import json
import re
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from monitor.config import Config, load
from monitor.configuration.environment import key_paths, variable_name
from monitor.configuration.example import example_toml
from monitor.configuration.keys import tables
from monitor.configuration.page import with_tables
from monitor.configuration.schema import json_schema
from monitor.core.settings import StreamSettings
from monitor.errors import ConfigError
from tests.support import ROOT

DOCS = ROOT / "docs"
PAGE, EXAMPLE = DOCS / "configuration.md", DOCS / "examples" / "brinkwatch.toml"
SCHEMA = DOCS / "configuration.schema.json"


def documents() -> dict[Path, str]:
    return {
        PAGE: with_tables(PAGE.read_text("utf-8")),
        EXAMPLE: example_toml(),
        SCHEMA: json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
    }


@pytest.mark.parametrize("path", [PAGE, EXAMPLE, SCHEMA], ids=lambda path: path.name)
def test_committed_document_is_what_the_models_say(path: Path) -> None:
    assert path.read_text("utf-8") == documents()[path]


def test_the_example_says_nothing_but_the_defaults() -> None:
    assert load(EXAMPLE) == Config()


def test_each_default_of_the_example_is_that_of_its_key(tmp_path: Path) -> None:
    """With every # before a key taken away; tables that are there only if one wants stay away."""
    sections = EXAMPLE.read_text("utf-8").split("\n\n")
    on = [section for section in sections if not re.search(r"^#\[", section, re.MULTILINE)]
    text = re.sub(r'^#(\w+ = (?!"?…))', r"\1", "\n\n".join(on), flags=re.MULTILINE)
    assert len(tomllib.loads(text)["kafka"]) > 10
    file = tmp_path / "all.toml"
    file.write_text(text)
    assert load(file) == Config()


def test_every_key_of_the_models_is_on_the_page_and_in_the_example() -> None:
    page, example = PAGE.read_text("utf-8"), EXAMPLE.read_text("utf-8")
    places = {table.path: table for table in tables()}
    for path in key_paths(Config):
        if path[:-1] in places and places[path[:-1]].same_as:
            continue
        is_table = any(place[: len(path)] == path for place in places)
        assert is_table or f"`{variable_name(path)}`" in page, path
        assert re.search(rf"^#?\[*(.*\.)?{path[-1]}\b( =|\]|\.)", example, re.MULTILINE), path
    for name in StreamSettings.model_fields:
        assert f"| `{name}` |" in page


def test_every_key_is_described() -> None:
    assert [
        (table.path, key.name) for table in tables() for key in table.keys if not key.meaning
    ] == []
    assert [table.path for table in tables()[1:] if not table.meaning] == []


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (EXAMPLE.read_text("utf-8"), True),
        ('[kafka]\ngroup = "desk"\n[kafka.security]\nsecurity_protocol = "SSL"\n', True),
        ('[[streams]]\nfeature = "cancels"\nparameters = { warm_up = 3 }\n', True),
        ('[topics]\norder = "oms.orders"\n', True),
        ('[topics]\nordr = "oms.orders"\n', False),
        ('[kafka]\ngruop = "desk"\n', False),
        ('[kafka]\ngroup = ""\n', False),
        ("[alerts]\nper_day = 0\n", False),
        ("[http]\nport = 65536\n", False),
        ('[kafka.security]\nsecurity_protocol = "ssl"\n', False),
        ('[[streams]]\ndetector = "burst"\n', False),
    ],
)
def test_an_editor_and_the_program_judge_a_file_alike(
    text: str, fits: bool, tmp_path: Path
) -> None:
    Draft7Validator.check_schema(json_schema())
    assert Draft7Validator(json_schema()).is_valid(tomllib.loads(text)) == fits
    file = tmp_path / "b.toml"
    file.write_text(text)
    with contextlib.nullcontext() if fits else pytest.raises(ConfigError):
        load(file)


def test_each_file_that_the_page_shows_loads(tmp_path: Path) -> None:
    shown = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(shown) > 6
    for number, text in enumerate(shown):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        load(file)


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, "utf-8")
