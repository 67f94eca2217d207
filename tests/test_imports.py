"""The layers hold, and what is pure stays pure: read from the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PURE = ("detectors", "monitor/core")
OUTSIDE = {
    "asyncio", "datetime", "io", "logging", "os", "pathlib", "random", "secrets", "shutil",
    "socket", "structlog", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
    "aiokafka", "prometheus_client", "pyarrow", "rich", "typer",
}  # fmt: skip
"""Clocks, chance, files, sockets, threads and their libraries: not for pure code."""
ALLOWED = {
    # Times are written as text there; `now` is banned below, everywhere.
    ("monitor/core/alerts/formatting.py", "datetime"),
    # Seeded generators only, for the made-up data of a test suite that others run.
    ("detectors/conformance.py", "random"),
    # Bytes in memory, for pickle's own interface.
    ("detectors/river_adapter.py", "io"),
}
CALLS = {"open", "input", "print", "exec", "eval", "now", "today", "utcnow", "urandom"}
SHELL = ("monitor.kafka", "monitor.live", "monitor.http", "monitor.health", "monitor.sidecar")


def sources(folder: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def within(name: str, *packages: str) -> bool:
    return any(name == p or name.startswith(p + ".") for p in packages)


def at_top(tree: ast.Module) -> Iterator[str]:
    """Imports that run when the module is imported, those for the type checker left out."""
    for node in tree.body:
        # What stands under `if TYPE_CHECKING` is an `ast.If`, so it is left out here.
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(ast.Module([node], []))


def test_pure_code_imports_no_clock_no_chance_and_no_input_or_output() -> None:
    found = [
        (path, name)
        for folder in PURE
        for path, tree in sources(folder)
        for name in imported(tree)
        if name.split(".")[0] in OUTSIDE and (path, name.split(".")[0]) not in ALLOWED
    ]
    assert found == []


def test_pure_code_calls_nothing_that_reads_the_world() -> None:
    found = []
    for folder in PURE:
        for path, tree in sources(folder):
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    called = node.func
                    name = called.attr if isinstance(called, ast.Attribute) else None
                    name = called.id if isinstance(called, ast.Name) else name
                    if name in CALLS or ("id='random'" in ast.dump(called) and name != "Random"):
                        found.append((path, node.lineno, name))
    assert found == []


def test_pure_code_never_iterates_over_a_set() -> None:
    """The order of a set of strings differs from run to run."""
    found = []
    for folder in PURE:
        for path, tree in sources(folder):
            for node in ast.walk(tree):
                loops = (ast.For, ast.comprehension)
                if isinstance(node, loops) and isinstance(node.iter, ast.Set | ast.SetComp):
                    found.append((path, node.iter.lineno))
                if isinstance(node, loops) and isinstance(node.iter, ast.Call):
                    called = node.iter.func
                    if isinstance(called, ast.Name) and called.id in ("set", "frozenset"):
                        found.append((path, node.iter.lineno))
    assert found == []


def test_layers_import_downwards_only() -> None:
    found = []
    for path, tree in sources("detectors"):
        found += [(path, n) for n in imported(tree) if within(n, "monitor", "replay")]
    for path, tree in sources("monitor/core"):
        for name in imported(tree):
            if within(name, "replay") or (
                within(name, "monitor") and not within(name, "monitor.core")
            ):
                found.append((path, name))
    for path, tree in sources("monitor/venues"):
        for name in imported(tree):
            if within(name, "replay") or within(name, *SHELL):
                found.append((path, name))
    for path, tree in sources("replay"):
        found += [(path, n) for n in imported(tree) if within(n, *SHELL)]
    assert found == []


def test_only_the_command_line_and_the_python_interface_import_replay() -> None:
    """The command line only when a command runs, so that others start fast."""
    found = []
    for path, tree in sources("monitor"):
        if path == "monitor/api.py":
            continue
        names = at_top(tree) if path == "monitor/cli.py" else imported(tree)
        found += [(path, name) for name in names if within(name, "replay")]
    assert found == []


def test_the_laws_above_see_a_breach() -> None:
    bad = ast.parse("import time\nfrom os import path\nfor x in {1, 2}: print(x)")
    assert {name.split(".")[0] for name in imported(bad)} & OUTSIDE == {"time", "os"}
