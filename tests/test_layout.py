"""The rules of the layout: folders that a reader can hold in mind, names that say what is there."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.test_imports import ROOT, imported, sources

PACKAGES = ("monitor", "detectors", "replay")
MODULES_MAX = 12
PARAMETERS_MAX = 10
PARAMETERS_OF = {
    "monitor/core/decode/scanner.py": "one state machine over one record's bytes",
    "monitor/cli.py": "a command's parameters are its options",
}
"""Where more parameters are allowed, and why."""
TWICE_MAX = 3
BANNED = {"told", "held", "heard", "word", "words", "made", "found", "known"}
"""They say that something happened to something, and not to what."""
BANNED_BUT = {("monitor/sources/settings.py", "words"), ("monitor/http/port.py", "connection_made")}
"""A key of the field map: what a venue writes in a field are its words. And a method of asyncio's
protocols, which aiohttp's server has too."""
ORDER = (
    "contract", "decode", "tables", "margin", "event_time", "windows", "accounts", "marks",
    "bands", "cascade", "features", "detection", "alerts", "watch_state", "venue", "shard",
    "engine",
)  # fmt: skip
"""Of `monitor/core`, lowest first: what stands later may import what stands earlier."""
EVERYWHERE = {"snapshot", "settings", "finding", "budget"}
"""Modules of `monitor/core` that every folder may import; they import the contract alone."""


def test_no_folder_holds_more_than_twelve_modules() -> None:
    modules = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    )
    assert {folder: n for folder, n in modules.items() if n > MODULES_MAX} == {}


def test_no_file_name_repeats_the_name_of_its_folder() -> None:
    prefixed = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.stem.startswith(path.parent.name + "_")
    ]
    assert prefixed == []


def test_folders_of_the_engine_import_downwards_only() -> None:
    upward = []
    for path, tree in sources("monitor/core"):
        here = _place(path.removesuffix(".py").split("/")[2])
        for name in imported(tree):
            parts = name.split(".")
            if parts[:2] == ["monitor", "core"] and len(parts) > 2 and _place(parts[2]) > here:
                upward.append((path, name))
    assert not upward, "\n".join(map(str, upward))


def _place(name: str) -> float:
    if name in EVERYWHERE:
        return 0.5  # above the contract, below all else
    if name == "shard_report":
        return ORDER.index("detection") + 0.5
    return ORDER.index(name) if name in ORDER else -1


def test_no_function_takes_more_than_ten_parameters() -> None:
    long = []
    for path, node in _functions():
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        if len(every) > PARAMETERS_MAX and path not in PARAMETERS_OF:
            long.append((path, node.name, len(every)))
    assert not long, "\n".join(map(str, long))


def test_a_class_name_means_one_thing() -> None:
    places = defaultdict(list)
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(path)
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert len(twice) <= TWICE_MAX, twice


def test_names_say_what_they_name() -> None:
    empty = sorted({(path, name) for path, tree in _trees() for name in _names(tree, path)})
    empty = [(path, name) for path, name in empty if BANNED & set(_parts(name))]
    assert [entry for entry in empty if entry not in BANNED_BUT] == []


def _names(tree: ast.Module, path: str) -> Iterator[str]:
    """Of modules, classes, functions and attributes, and of what a module or class assigns."""
    yield path.rsplit("/", 1)[-1].removesuffix(".py")
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        if isinstance(node, ast.Module | ast.ClassDef):
            for statement in node.body:
                if isinstance(statement, ast.Assign):
                    yield from (t.id for t in statement.targets if isinstance(t, ast.Name))
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    yield statement.target.id


def _parts(name: str) -> list[str]:
    """The words of a name, in lower case: `ClosedWindows` and `closed_windows` have the same."""
    return [part.lower() for part in re.split(r"_|(?<=[a-z0-9])(?=[A-Z])", name)]


def test_what_a_docstring_names_is_there() -> None:
    """Names in backticks: files, modules, and whatever the code calls so."""
    identifiers = {name for _, tree in _trees() for name in _identifiers(tree)}
    files = {path for package in (*PACKAGES, "tests", "deploy") for path, _ in sources(package)}
    identifiers |= {part for path in files for part in path.removesuffix(".py").split("/")}
    identifiers |= {"np", "numpy", "river", "brinkwatch"}
    missing = []
    for path, tree in _trees():
        folder = path.rsplit("/", 1)[0]
        for text in _docstrings(tree):
            for token in re.findall(r"`([^`\n]+)`", text):
                if re.fullmatch(r"[\w/]+\.py", token):
                    if token not in files and f"{folder}/{token}" not in files:
                        missing.append((path, token))
                elif re.fullmatch(r"[A-Za-z_][\w.]*(\(\))?", token):
                    names = token.removesuffix("()").strip(".").split(".")
                    if not all(name in identifiers for name in names):
                        missing.append((path, token))
    assert not missing, "\n".join(map(str, missing))


def _identifiers(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield from node.name.split(".")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"\w+", node.value) if len(node.value) < 60 else ()


def _docstrings(tree: ast.Module) -> Iterator[str]:
    """Every string that stands alone as a statement: docstrings, and those below a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text = node.value.value
            if isinstance(text, str):
                yield text


def _functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        yield from sources(package)


def test_paths_in_the_documents_are_there() -> None:
    missing = []
    for document in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for path in re.findall(
            r"`([\w./-]+/[\w./-]+\.(?:py|md|ipynb))`", document.read_text("utf-8")
        ):
            if "NAME" not in path and not (ROOT / path).exists():
                missing.append((document.name, path))
    assert not missing, "\n".join(map(str, missing))


def test_a_constant_of_time_stands_once() -> None:
    """A second, a day and a year in ns or s are written in `units.py` alone."""
    numbers = {1_000_000_000, 86_400_000_000_000, 31_536_000, 31_557_600}
    again = [
        (path, node.targets[0].id)
        for path, tree in _trees()
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and node.value.value in numbers
        and not path.endswith("contract/units.py")
    ]
    assert not again, "\n".join(map(str, again))


def test_the_rules_above_see_a_breach() -> None:
    assert BANNED & set(_parts("_AllTold")) == {"told"}
    assert not BANNED & set(_parts("unknown"))
    assert all(_place(a) < _place(b) for a, b in pairwise(ORDER))
    tree = ast.parse("x = 1\n'''see `nothing_here`'''")
    assert [*_docstrings(tree)] == ["see `nothing_here`"]
