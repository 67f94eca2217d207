"""The scripts of pages in Node.js: what needs no browser."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from monitor.page.document import HERE
from tests.support import program

LOAD = """
const fs = require("fs"), vm = require("vm");
const [names, expression] = JSON.parse(fs.readFileSync(0, "utf8"));
const text = names.map((name) => fs.readFileSync(name, "utf8")).join("\\n");
process.stdout.write(JSON.stringify(vm.runInNewContext(`${text}\\n(${expression})`, {atob, Intl})));
"""
LOGIC = ("format", "arrays", "incidents")
"""The components without elements."""


def evaluate(expression: str) -> Any:
    """The value of an expression in which the functions of `LOGIC` are there."""
    names = [str(HERE / "components" / f"{name}.js") for name in LOGIC]
    done = subprocess.run(
        [program("node"), "-e", LOAD], input=json.dumps([names, expression]), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)
