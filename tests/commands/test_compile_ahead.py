"""Kernels are compiled ahead, on all cores: which, and that the cache then has them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.commands.compile_ahead import KernelFolder, compile_folders, find_kernels


def _folder(*modules: str) -> KernelFolder:
    folder = KernelFolder()
    folder.modules.extend(modules)
    return folder


def test_what_is_compiled_ahead_is_what_a_replay_imports() -> None:
    script = (
        "import json, sys, replay.run\n"
        "from monitor.config import load\nfrom monitor.plugins import detector_factories\n"
        "detector_factories(load(None).streams)\n"
        "print(json.dumps([n for n, m in sys.modules.items() if m and any("
        "type(v).__name__ == 'CPUDispatcher' and v.py_func.__module__ == n"
        " for v in list(vars(m).values()))]))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    ours = ("monitor", "detectors", "replay")
    imported = {name for name in json.loads(done.stdout) if name.partition(".")[0] in ours}
    assert {module for folder in find_kernels() for module in folder.modules} == imported


def test_the_cache_has_what_was_compiled_ahead_and_a_second_time_nothing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folders = [_folder("detectors.stats.normal_scores"), _folder("monitor.core.tables.hash_table")]
    compiled = set(compile_folders(folders))
    assert {
        "detectors.stats.normal_scores.normal_score",
        "monitor.core.tables.hash_table._find_or_add",
    } <= compiled
    kernels = {path.name.partition("-")[0] for path in tmp_path.rglob("*.nbi")}
    assert {"normal_scores.normal_score", "hash_table._find_or_add"} <= kernels
    assert not list(compile_folders(folders))


def test_a_folder_that_cannot_be_imported_ends_the_compiling_ahead_and_raises_nothing() -> None:
    assert not list(compile_folders([_folder("monitor.no_such_module")]))
