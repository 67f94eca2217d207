"""Compiles what the engine runs, on all cores, into numba's cache.

A kernel is compiled when its module is imported, and one import runs on one core. So processes of
their own import the modules with kernels and leave; the program then finds its kernels in the
cache. A task is a folder: kernels mostly call others of their folder, so little is compiled twice.
"""

from __future__ import annotations

import gc
import importlib
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Generator, Sequence
from pathlib import Path

from numba.core import event

from monitor.commands.cores import count_cores

ROOT = Path(__file__).parents[2]
PACKAGES = ("monitor", "detectors", "replay")
LATER = (
    "detectors/contrib", "monitor/core/cascade/graph", "monitor/kafka", "replay/simulation",
)  # fmt: skip
"""Kernels that no replay runs by default: the first start that needs them compiles them."""
PROCESSES_MAX = 4
"""A process takes up to 630 MB, and the largest folder takes a sixth of all the time."""
_KERNEL = re.compile(r"^@\w*njit\((inline)?", re.MULTILINE)
"""What numba inlines is compiled within its callers, and is no kernel of its own."""


class KernelFolder:
    """The modules of a folder that have kernels, by their names for `import`."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.kernels = 0
        self.source_bytes = 0


def find_kernels() -> list[KernelFolder]:
    """The folders with kernels that the engine runs by default, the longest sources first."""
    folders: dict[Path, KernelFolder] = defaultdict(KernelFolder)
    for path in sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")):
        relative = path.relative_to(ROOT)
        source = path.read_text()
        compiled = _KERNEL.findall(source)
        if compiled and not any(map(relative.is_relative_to, LATER)):
            folder = folders[relative.parent]
            folder.modules.append(".".join(relative.with_suffix("").parts))
            folder.kernels += compiled.count("")
            folder.source_bytes += len(source)
    return sorted(folders.values(), key=lambda folder: -folder.source_bytes)


def compile_folders(folders: Sequence[KernelFolder]) -> Generator[str, None, None]:
    """Compile kernels that are not in the cache; yields the name of each, as it is done.

    A name comes again where a kernel has several types, or where two processes need it at once.
    The processes share two pipes: each reads the number of its next folder from one, and writes a
    line for each kernel to the other. Whatever fails there fails again in the caller, which says
    so: it imports the same modules.
    """
    tasks, tasks_in = os.pipe()
    os.write(tasks_in, bytes(range(len(folders))))
    os.close(tasks_in)
    progress, progress_in = os.pipe()
    names = [",".join(folder.modules) for folder in folders]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "monitor.commands.compile_ahead", *names],
            stdin=tasks,
            stdout=progress_in,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        for _ in range(min(count_cores(), PROCESSES_MAX, len(folders)))
    ]
    os.close(tasks)
    os.close(progress_in)
    try:
        with open(progress) as lines:
            for line in lines:
                yield line.rstrip()
    finally:
        for process in processes:
            process.terminate()
            process.wait()


class _Reporter(event.Listener):
    """Writes a line to standard output for each kernel that is compiled: its name."""

    def on_start(self, event: event.Event) -> None:
        pass

    def on_end(self, event: event.Event) -> None:
        if name := kernel_name(event):
            # In one write, which a pipe does not mix with those of the other processes.
            os.write(sys.stdout.fileno(), f"{name}\n".encode())


def kernel_name(event: event.Event) -> str:
    """The full name of the kernel of ours that this is about; empty for a function of numba's."""
    function = event.data["dispatcher"].py_func
    is_own = function.__module__.partition(".")[0] in PACKAGES
    return f"{function.__module__}.{function.__qualname__}" if is_own else ""


def main() -> None:
    """Compile folders, given as arguments, as long as the caller has any left."""
    gc.disable()  # it would take a sixth of the time: once a module is enough, for what is new
    event.register("numba:compile", _Reporter())  # type: ignore[no-untyped-call]
    while task := os.read(sys.stdin.fileno(), 1):
        for module in sys.argv[1 + task[0]].split(","):
            importlib.import_module(module)
            gc.collect()
            gc.freeze()


if __name__ == "__main__":
    main()
