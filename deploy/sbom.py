"""`make sbom`: what is in the image beside its base, as a CycloneDX document.

From the locks alone, so the same locks give the same bytes: the Python packages of `run.lock` with
who needs whom, and what reports draw with, of npm. A licence is there where this machine has the
package at that version. What the base image brings, its own registry or a scanner of images knows.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from monitor import __version__

DEPLOY = Path(__file__).parent
SPECIFICATION = "1.6"
NAME = "brinkwatch"


def bill_of_materials(run_lock: str, package_lock: str) -> dict[str, Any]:
    """The document, of the texts of the two locks."""
    own = _component("application", "pypi", NAME, __version__, "Apache-2.0")
    pins, needed_by = _read_run_lock(run_lock)
    references = {NAME: own["bom-ref"]}
    components = []
    for name, version in pins.items():
        components.append(_component("library", "pypi", name, version, _licence(name, version)))
        references[name] = components[-1]["bom-ref"]
    needs: dict[str, set[str]] = {reference: set() for reference in references.values()}
    for name, others in needed_by.items():
        for other in others & references.keys():
            needs[references[other]].add(references[name])
    for path, package in json.loads(package_lock)["packages"].items():
        if path:  # the empty one is the list itself
            name = path.rpartition("node_modules/")[2]
            component = _component(
                "library", "npm", name, package["version"], package.get("license")
            )
            components.append(component)
            needs[component["bom-ref"]] = set()
            needs[own["bom-ref"]].add(component["bom-ref"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": {"component": own},
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": sorted(needs[ref])} for ref in sorted(needs)],
    }


def _component(
    kind: str, ecosystem: str, name: str, version: str, licence: str | None
) -> dict[str, Any]:
    purl = f"pkg:{ecosystem}/{name}@{version}"
    component = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return component if licence is None else {**component, "licenses": [{"expression": licence}]}


def _read_run_lock(text: str) -> tuple[dict[str, str], dict[str, set[str]]]:
    """The version of each package, and the packages that need it; both by name."""
    pins: dict[str, str] = {}
    needed_by: dict[str, set[str]] = {}
    name = ""
    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            name, version = line.split(" ")[0].split("==")
            name = name.partition("[")[0]
            pins[name], needed_by[name] = version, set()
        elif name and "#" in line:
            # "# via NAME", or "# via" with a name on each of the next lines.
            needer = line.partition("#")[2].strip().removeprefix("via").strip()
            needed_by[name].add(needer.split(" ")[0].partition("[")[0])
    return pins, needed_by


def _licence(name: str, version: str) -> str | None:
    """As the package itself says, as an SPDX expression; None where this machine cannot know."""
    try:
        package = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    is_same = package["Version"] == version and "License-Expression" in package
    return package["License-Expression"] if is_same else None


def main(out: Path) -> None:
    """Write the document."""
    locks = DEPLOY / "run.lock", DEPLOY / "report" / "package-lock.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(bill_of_materials(*(lock.read_text() for lock in locks)), indent=1)
    out.write_text(text + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
