"""The bill of materials names what the locks pin, and nothing else."""

from __future__ import annotations

import re

from deploy.sbom import DEPLOY, bill_of_materials

RUN_LOCK = """\
aiohttp==3.1.0 \\
    --hash=sha256:00
    # via
    #   -c requirements.lock
    #   brinkwatch (pyproject.toml)
idna==3.9 \\
    --hash=sha256:01
    # via aiohttp
"""
PACKAGE_LOCK = """{"packages": {"": {"name": "report"},
    "node_modules/uplot": {"version": "1.6.0", "license": "MIT"}}}"""


def test_each_pin_is_a_component_and_who_needs_it_is_said() -> None:
    document = bill_of_materials(RUN_LOCK, PACKAGE_LOCK)
    named = [component["purl"] for component in document["components"]]
    assert named == ["pkg:pypi/aiohttp@3.1.0", "pkg:pypi/idna@3.9", "pkg:npm/uplot@1.6.0"]
    needs = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    own = document["metadata"]["component"]["bom-ref"]
    assert needs[own] == ["pkg:npm/uplot@1.6.0", "pkg:pypi/aiohttp@3.1.0"]
    assert needs["pkg:pypi/aiohttp@3.1.0"] == ["pkg:pypi/idna@3.9"]
    assert document["components"][2]["licenses"] == [{"expression": "MIT"}]


def test_the_real_locks_are_whole_in_it() -> None:
    texts = [(DEPLOY / name).read_text() for name in ("run.lock", "report/package-lock.json")]
    document = bill_of_materials(*texts)
    pins = re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", texts[0], re.MULTILINE)
    purls = {component["purl"] for component in document["components"]}
    assert pins
    assert purls >= {f"pkg:pypi/{name}@{version}" for name, version in pins}
    # Each is there because something needs it.
    needed = {ref for each in document["dependencies"] for ref in each["dependsOn"]}
    assert purls <= needed
